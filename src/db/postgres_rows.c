#include "db/postgres_store.h"
#include "db/postgres_text.h"

#include <errno.h>

#define ROWS_TEXT_MAX ((size_t)64 << 20)

/* A sum of whole numbers is a `numeric`, which is whole too unless it has a point or is too large. */
static struct db_value
number_of(const char *text)
{
	char *end;
	long long whole;

	errno = 0;
	whole = strtoll(text, &end, 10);
	return *end == '\0' && errno == 0 ? DB_INT(whole) : DB_REAL(strtod(text, NULL));
}

static struct db_value
value_of(const PGresult *result, int row, int column)
{
	const char *text = PQgetvalue(result, row, column);

	if (PQgetisnull(result, row, column) != 0)
		return DB_NULL;
	switch (PQftype(result, column)) {
	case 16: /* bool */
		return DB_INT(*text == 't');
	case 20: /* int8, int2, int4, numeric */
	case 21:
	case 23:
	case 1700:
		return number_of(text);
	case 700: /* float4, float8 */
	case 701:
		return DB_REAL(strtod(text, NULL));
	default:
		return DB_TEXT(text);
	}
}

static size_t
texts_size(const struct db_rows *rows)
{
	size_t size = 0;

	for (size_t i = 0; i < rows->count * rows->columns; i++)
		if (rows->values[i].type == DB_TYPE_TEXT)
			size += strlen(rows->values[i].text) + 1;
	return size;
}

enum status
postgres_copy_rows(const PGresult *result, struct db_rows *out, struct buf *why)
{
	struct db_rows rows = {.count = (size_t)PQntuples(result), .columns = (size_t)PQnfields(result)};
	size_t cells = rows.count * rows.columns, size, at = 0;

	rows.values = malloc((cells == 0 ? 1 : cells) * sizeof *rows.values);
	if (rows.values == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	for (size_t i = 0; i < cells; i++)
		rows.values[i] = value_of(result, (int)(i / rows.columns), (int)(i % rows.columns));
	size = texts_size(&rows);
	rows.texts = size > ROWS_TEXT_MAX ? NULL : malloc(size == 0 ? 1 : size);
	if (rows.texts == NULL) {
		free(rows.values);
		return why_not(why, NO_MEMORY, "out of memory: an answer of %zu bytes", size);
	}
	for (size_t i = 0; i < cells; i++)
		if (rows.values[i].type == DB_TYPE_TEXT) {
			size_t len = strlen(rows.values[i].text) + 1;

			memcpy(rows.texts + at, rows.values[i].text, len);
			rows.values[i].text = rows.texts + at;
			postgres_text_out(rows.texts + at);
			at += len;
		}
	*out = rows;
	return OK;
}
