#include "cli/cli.h"

#define COLUMNS_MAX 24
#define CELL_MAX 240
#define FIRST_INSTANT_MS 100000000000 /* in 1973: what is less is a duration */

static bool
is_instant(const char *key)
{
	return str_ends(key, "_ms");
}

/* On one line, without what a terminal would obey. */
static void
text_cell(const char *text, char out[CELL_MAX])
{
	size_t at = 0;

	for (; at + 1 < CELL_MAX && text[at] != '\0'; at++)
		out[at] = (unsigned char)text[at] < ' ' || text[at] == 0x7f ? '?' : text[at];
	out[at] = '\0';
}

static void
whole_cell(const char *key, int64_t value, char out[CELL_MAX])
{
	if (is_instant(key) && value >= FIRST_INSTANT_MS)
		str_instant(out, CELL_MAX, value);
	else if (is_instant(key) && value > 0)
		snprintf(out, CELL_MAX, "%lld ms", (long long)value);
	else if (is_instant(key))
		*out = '\0';
	else
		snprintf(out, CELL_MAX, "%lld", (long long)value);
}

static void cell(const char *key, const json_t *value, char out[CELL_MAX]);

/* Of an object what is there and isn't no, each by its name; of a list each. */
static void
add_parts(const json_t *value, struct buf *out)
{
	char text[CELL_MAX];
	const char *key;
	json_t *part;
	size_t i;

	json_array_foreach(value, i, part)
	{
		cell("", part, text);
		buf_printf(out, "%s%s", i == 0 ? "" : "; ", text);
	}
	json_object_foreach((json_t *)(uintptr_t)value, key, part)
	{
		size_t len = strlen(key) - (is_instant(key) ? strlen("_ms") : 0);

		cell(key, part, text);
		if (*text != '\0' && !json_is_false(part))
			buf_printf(out, "%s%.*s %s", out->len == 0 ? "" : ", ", (int)len, key, text);
	}
}

/* One value for people: instants as dates, shares as they are. */
static void
cell(const char *key, const json_t *value, char out[CELL_MAX])
{
	struct buf text;

	*out = '\0';
	if (value == NULL || json_is_null(value))
		return;
	if (json_is_string(value))
		text_cell(json_string_value(value), out);
	else if (json_is_integer(value))
		whole_cell(key, json_integer_value(value), out);
	else if (json_is_real(value))
		snprintf(out, CELL_MAX, "%.4g", json_real_value(value));
	else if (json_is_boolean(value))
		snprintf(out, CELL_MAX, "%s", json_is_true(value) ? "yes" : "no");
	else {
		buf_init(&text, (size_t)1 << 20);
		add_parts(value, &text);
		text_cell(text.len == 0 ? "" : text.data, out);
		buf_release(&text);
	}
}

/* Characters, not bytes: good enough for the letters of names and paths. */
static size_t
width(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

struct table {
	char columns[COLUMNS_MAX][LABEL_MAX + 1];
	size_t widths[COLUMNS_MAX];
	size_t count;
};

static void
add_column(struct table *table, const char *name, size_t len)
{
	if (table->count == COLUMNS_MAX || len == 0 || len > LABEL_MAX)
		return;
	memcpy(table->columns[table->count], name, len);
	table->columns[table->count][len] = '\0';
	table->widths[table->count++] = len;
}

static void
choose_columns(struct table *table, const char *wanted, const json_t *rows)
{
	const char *key;
	json_t *value;

	*table = (struct table){0};
	if (wanted == NULL) {
		json_object_foreach(json_array_get(rows, 0), key, value) add_column(table, key, strlen(key));
		return;
	}
	while (*wanted != '\0') {
		size_t len = strcspn(wanted, " ");

		add_column(table, wanted, len);
		wanted += len;
		wanted += *wanted == ' ';
	}
}

static void
pad(struct buf *out, const char *text, size_t to, bool last)
{
	static const char blanks[] = "                                ";

	buf_text(out, text);
	if (last)
		return;
	for (size_t have = width(text), left = (to > have ? to - have : 0) + 2, step; left > 0; left -= step) {
		step = left < sizeof blanks - 1 ? left : sizeof blanks - 1;
		buf_add(out, blanks, step);
	}
}

/* Where a table's cells come from. */
struct source {
	size_t count;
	void (*cell)(const struct source *source, size_t row, const char *column, char out[CELL_MAX]);
	const json_t *list;
	const struct rows *rows;
};

static void
cell_of_list(const struct source *source, size_t row, const char *column, char out[CELL_MAX])
{
	cell(column, json_object_get(json_array_get(source->list, row), column), out);
}

static void
cell_of_rows(const struct source *source, size_t row, const char *name, char out[CELL_MAX])
{
	const struct rows_column *column = rows_column(source->rows, name);
	const struct db_rows *rows = &source->rows->rows;

	*out = '\0';
	if (column == NULL)
		return;
	if (column->type == ROWS_TEXT || column->type == ROWS_JSON)
		text_cell(db_text(rows, row, column->at), out);
	else if (column->type == ROWS_FLAG)
		snprintf(out, CELL_MAX, "%s", db_int(rows, row, column->at) != 0 ? "yes" : "no");
	else
		whole_cell(name, db_int(rows, row, column->at), out);
}

static void
print_cells(struct table *table, const struct source *source, struct buf *out)
{
	char text[CELL_MAX];

	/* the last column's width matters to nobody */
	for (size_t i = 0; i < source->count; i++)
		for (size_t c = 0; c + 1 < table->count; c++) {
			source->cell(source, i, table->columns[c], text);
			if (width(text) > table->widths[c])
				table->widths[c] = width(text);
		}
	for (size_t c = 0; c < table->count; c++)
		pad(out, table->columns[c], table->widths[c], c + 1 == table->count);
	buf_text(out, "\n");
	for (size_t i = 0; i < source->count; i++) {
		for (size_t c = 0; c < table->count; c++) {
			source->cell(source, i, table->columns[c], text);
			pad(out, text, table->widths[c], c + 1 == table->count);
		}
		buf_text(out, "\n");
	}
}

static void
print_table(const char *wanted, const char *noun, const json_t *rows, struct buf *out)
{
	const struct source source = {.count = json_array_size(rows), .cell = cell_of_list, .list = rows};
	struct table table;
	char text[CELL_MAX];
	size_t i;
	json_t *row;

	if (source.count == 0) {
		buf_printf(out, "no %s\n", noun);
		return;
	}
	if (!json_is_object(json_array_get(rows, 0))) {
		json_array_foreach(rows, i, row)
		{
			cell("", row, text);
			if (noun != NULL)
				buf_printf(out, "%-18s ", i == 0 ? noun : "");
			buf_printf(out, "%s\n", text);
		}
		return;
	}
	choose_columns(&table, wanted, rows);
	print_cells(&table, &source, out);
}

void
cli_print_rows(const struct verb *verb, const struct rows *rows, struct buf *out)
{
	const struct source source = {.count = rows->rows.count, .cell = cell_of_rows, .rows = rows};
	struct table table;

	if (source.count == 0) {
		buf_printf(out, "no %s\n", rows->noun);
		return;
	}
	choose_columns(&table, verb->columns, NULL);
	print_cells(&table, &source, out);
}

/* A value beside its name is never cut, however long a text it is; its further lines stand under its first. */
static void
print_value(const char *key, const json_t *value, struct buf *out)
{
	char text[CELL_MAX];

	if (!json_is_string(value)) {
		cell(key, value, text);
		buf_text(out, text);
		return;
	}
	for (const char *c = json_string_value(value); *c != '\0'; c++)
		if (*c == '\n')
			buf_printf(out, "\n%19s", "");
		else
			buf_add(out, (unsigned char)*c < ' ' || *c == 0x7f ? "?" : c, 1);
}

/* One line a field; what stands inside an object is named by its path. */
static void
print_fields(const json_t *object, const char *path, const char *columns, struct buf *out)
{
	char name[CELL_MAX];
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		snprintf(name, sizeof name, "%.100s%s%.100s", path, *path == '\0' ? "" : ".", key);
		if (json_is_object(value)) {
			print_fields(value, name, NULL, out);
			continue;
		}
		if (json_is_array(value)) {
			if (json_array_size(value) > 0)
				print_table(columns, key, value, out);
			columns = NULL;
			continue;
		}
		buf_printf(out, "%-18s ", name);
		print_value(key, value, out);
		buf_text(out, "\n");
	}
}

void
cli_print(const struct verb *verb, const json_t *result, struct buf *out)
{
	const char *key = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)result));
	const json_t *only = key == NULL ? NULL : json_object_get(result, key);

	if (json_object_size(result) == 1 && json_is_array(only))
		/* words that are all of the answer stand alone, for scripts */
		print_table(verb->columns, json_is_string(json_array_get(only, 0)) ? NULL : key, only, out);
	else
		print_fields(result, "", verb->columns, out);
}
