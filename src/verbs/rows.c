#include "verbs/rows.h"

void
rows_release(struct rows *rows)
{
	db_rows_release(&rows->rows);
	*rows = (struct rows){0};
}

const struct rows_column *
rows_column(const struct rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->count; i++)
		if (str_equal(rows->columns[i].name, name))
			return &rows->columns[i];
	return NULL;
}

/* Whether the member is left out: a number is compared as it is written. */
static bool
is_left_out(const struct rows *rows, size_t row, const struct rows_column *column)
{
	const char *without = column->without;

	if (without == NULL)
		return false;
	if (column->type == ROWS_FLAG)
		return (db_int(&rows->rows, row, column->at) != 0) == str_equal(without, "true");
	return str_equal(db_text(&rows->rows, row, column->at), without);
}

static void
add_value(const struct rows *rows, size_t row, const struct rows_column *column, struct buf *out)
{
	switch (column->type) {
	case ROWS_TEXT:
		json_write_text(out, db_text(&rows->rows, row, column->at));
		break;
	case ROWS_WHOLE:
		buf_whole(out, db_int(&rows->rows, row, column->at));
		break;
	case ROWS_FLAG:
		buf_text(out, db_int(&rows->rows, row, column->at) != 0 ? "true" : "false");
		break;
	case ROWS_JSON:
		buf_text(out, db_text(&rows->rows, row, column->at));
		break;
	}
}

void
rows_json(const struct rows *rows, struct buf *out)
{
	bool first;

	buf_text(out, "{");
	json_write_text(out, rows->noun);
	buf_text(out, ":[");
	for (size_t i = 0; i < rows->rows.count; i++) {
		buf_text(out, i == 0 ? "{" : ",{");
		first = true;
		for (size_t j = 0; j < rows->count; j++) {
			if (is_left_out(rows, i, &rows->columns[j]))
				continue;
			buf_text(out, first ? "\"" : ",\"");
			buf_text(out, rows->columns[j].name);
			buf_text(out, "\":");
			add_value(rows, i, &rows->columns[j], out);
			first = false;
		}
		buf_text(out, "}");
	}
	buf_text(out, "]}");
}
