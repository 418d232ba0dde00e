#include "db/dialect.h"

static const struct token {
	const char *name;
	const char *sqlite;
} tokens[] = {
    {"%IDENTITY%", "INTEGER PRIMARY KEY"},
    {"%CLUSTERED%", "WITHOUT ROWID"},
};

void
dialect_expand(struct buf *out, const char *sql, enum dialect dialect)
{
	(void)dialect;
	while (*sql != '\0') {
		size_t plain = strcspn(sql, "%"), i;

		buf_add(out, sql, plain);
		sql += plain;
		for (i = 0; i < sizeof tokens / sizeof *tokens; i++)
			if (strncmp(sql, tokens[i].name, strlen(tokens[i].name)) == 0)
				break;
		if (i < sizeof tokens / sizeof *tokens) {
			buf_text(out, tokens[i].sqlite);
			sql += strlen(tokens[i].name);
		} else if (*sql != '\0') {
			buf_add(out, sql++, 1);
		}
	}
}
