/* What goes into a statement and comes out of one: values, and the rows of an answer. */
#ifndef DB_ROWS_H
#define DB_ROWS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum db_type { DB_TYPE_NULL, DB_TYPE_TEXT, DB_TYPE_INT, DB_TYPE_REAL };

struct db_value {
	enum db_type type;
	const char *text;
	int64_t whole;
	double real;
};

#define DB_TEXT(value) ((struct db_value){.type = DB_TYPE_TEXT, .text = (value)}) /* NULL is bound as NULL */
#define DB_INT(value) ((struct db_value){.type = DB_TYPE_INT, .whole = (int64_t)(value)})
#define DB_REAL(value) ((struct db_value){.type = DB_TYPE_REAL, .real = (double)(value)})
#define DB_NULL ((struct db_value){.type = DB_TYPE_NULL})

/* The rows of one answer, whole.  Texts belong to it until db_rows_release. */
struct db_rows {
	size_t count, columns;
	struct db_value *values; /* count * columns */
	char *texts;
};

void db_rows_release(struct db_rows *rows);

static inline const struct db_value *
db_at(const struct db_rows *rows, size_t row, size_t column)
{
	return &rows->values[row * rows->columns + column];
}

static inline int64_t
db_int(const struct db_rows *rows, size_t row, size_t column)
{
	const struct db_value *value = db_at(rows, row, column);

	return value->type == DB_TYPE_REAL ? (int64_t)value->real : value->type == DB_TYPE_INT ? value->whole : 0;
}

static inline double
db_real(const struct db_rows *rows, size_t row, size_t column)
{
	const struct db_value *value = db_at(rows, row, column);

	return value->type == DB_TYPE_REAL ? value->real : value->type == DB_TYPE_INT ? (double)value->whole : 0;
}

/* The text, "" for NULL. */
static inline const char *
db_text(const struct db_rows *rows, size_t row, size_t column)
{
	const struct db_value *value = db_at(rows, row, column);

	return value->type == DB_TYPE_TEXT ? value->text : "";
}

static inline bool
db_is_null(const struct db_rows *rows, size_t row, size_t column)
{
	return db_at(rows, row, column)->type == DB_TYPE_NULL;
}

/* STORE_DOWN: the project's rows are in the store `where` now. */
enum status db_moved(const char *store, const char *where, struct buf *why);

#endif
