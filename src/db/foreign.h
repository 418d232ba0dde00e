/*
 * Another program's SQLite database, which may be in use: it is read as it was at one moment, and no byte of it or of its log is
 * written.
 *
 * One query at a time; what was read belongs to it until the next row.  Waits for locks for a moment, else doesn't block.
 */
#ifndef DB_FOREIGN_H
#define DB_FOREIGN_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct foreign;

/*
 * NO_SUCH    there is no such file
 * BAD_INPUT  it is no file, or no SQLite database, or damaged
 * BUSY       another program has locked it
 * IO_FAILED  it can't be read
 * NO_MEMORY
 * So does every call below that returns a status.
 */
enum status foreign_open(const char *path, struct foreign **out, struct buf *why) MUST_CHECK;
void foreign_close(struct foreign *foreign);

/* The names of a table's columns, each with a blank before and after it; "" when there is no such table. */
enum status foreign_columns(struct foreign *foreign, const char *table, struct buf *out, struct buf *why) MUST_CHECK;

/* Whether a list of columns has that one. */
bool foreign_lists(const struct buf *columns, const char *name);

/* Looks at the structure of a table: BAD_INPUT when it is damaged. */
enum status foreign_check(struct foreign *foreign, const char *table, struct buf *why) MUST_CHECK;

/* Begins a query; $1 in it is `text`, which may be NULL. */
enum status foreign_ask(struct foreign *foreign, const char *sql, const char *text, struct buf *why) MUST_CHECK;

/* *more: there is a row, else the query is over. */
enum status foreign_next(struct foreign *foreign, bool *more, struct buf *why) MUST_CHECK;

/* A column of the row.  The text is "" for NULL, and NULL when it isn't UTF-8 or has a NUL in it. */
const char *foreign_text(struct foreign *foreign, int column);
int64_t foreign_int(struct foreign *foreign, int column);

/* The same status, its reason with the file's name before it. */
enum status foreign_named(const char *path, enum status status, struct buf *why);

/* BUSY when it was changed in a way that makes what was read doubtful. */
enum status foreign_unchanged(struct foreign *foreign, struct buf *why) MUST_CHECK;

#endif
