/*
 * A long list as it came from the store: what a front that takes it writes out at once, without a document between.  It says
 * the same as {NOUN:[{...},...]} would.
 */
#ifndef VERBS_ROWS_H
#define VERBS_ROWS_H

#include "verbs/verb.h"

enum rows_type { ROWS_TEXT, ROWS_WHOLE, ROWS_FLAG, ROWS_JSON };

struct rows_column {
	const char *name;
	size_t at; /* in the rows */
	enum rows_type type;
	const char *without; /* a member with this value is left out; NULL: it stands in every row */
};

struct rows {
	const char *noun; /* NULL: nothing was given */
	const struct rows_column *columns;
	size_t count;
	struct db_rows rows; /* owned */
};

void rows_release(struct rows *rows);

/* The column of that name, NULL when there is none. */
const struct rows_column *rows_column(const struct rows *rows, const char *name);

/* Adds the whole document as compact JSON. */
void rows_json(const struct rows *rows, struct buf *out);

#endif
