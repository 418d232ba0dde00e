#include "cli/cli.h"

#define COLUMNS_MAX 24
#define CELL_MAX 240

static bool
is_instant(const char *key)
{
	return str_ends(key, "_ms");
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
		snprintf(out, CELL_MAX, "%s", json_string_value(value));
	else if (json_is_integer(value) && is_instant(key))
		str_instant(out, CELL_MAX, json_integer_value(value));
	else if (json_is_integer(value))
		snprintf(out, CELL_MAX, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		snprintf(out, CELL_MAX, "%.4g", json_real_value(value));
	else if (json_is_boolean(value))
		snprintf(out, CELL_MAX, "%s", json_is_true(value) ? "yes" : "no");
	else {
		buf_init(&text, (size_t)1 << 20);
		json_write(&text, value);
		snprintf(out, CELL_MAX, "%s", text.data);
		buf_release(&text);
	}
	for (char *c = out; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
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
	size_t have = width(text);

	buf_text(out, text);
	if (!last)
		buf_printf(out, "%*s", (int)(to > have ? to - have : 0) + 2, "");
}

static void
print_table(const char *wanted, const char *noun, const json_t *rows, struct buf *out)
{
	struct table table;
	char text[CELL_MAX];
	size_t i;
	json_t *row;

	if (json_array_size(rows) == 0) {
		buf_printf(out, "no %s\n", noun);
		return;
	}
	if (!json_is_object(json_array_get(rows, 0))) {
		json_array_foreach(rows, i, row)
		{
			cell("", row, text);
			buf_printf(out, "%s\n", text);
		}
		return;
	}
	choose_columns(&table, wanted, rows);
	json_array_foreach(rows, i, row) for (size_t c = 0; c < table.count; c++)
	{
		cell(table.columns[c], json_object_get(row, table.columns[c]), text);
		if (width(text) > table.widths[c])
			table.widths[c] = width(text);
	}
	for (size_t c = 0; c < table.count; c++)
		pad(out, table.columns[c], table.widths[c], c + 1 == table.count);
	buf_text(out, "\n");
	json_array_foreach(rows, i, row)
	{
		for (size_t c = 0; c < table.count; c++) {
			cell(table.columns[c], json_object_get(row, table.columns[c]), text);
			pad(out, text, table.widths[c], c + 1 == table.count);
		}
		buf_text(out, "\n");
	}
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
		print_table(verb->columns, key, only, out);
	else
		print_fields(result, "", verb->columns, out);
}
