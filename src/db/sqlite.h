/*
 * The embedded engine: one SQLite database in WAL mode, written and checkpointed only under the gate; its
 * log is synced after the gate and before the answer, by one for many (os/group_commit.h).
 */
#ifndef DB_SQLITE_H
#define DB_SQLITE_H

#include "db/db.h"

struct sqlite_options {
	const char *folder;  /* of the store; its gate is there */
	const char *file;    /* the database */
	const char *project; /* NULL: nobody asks whether it has moved */
	bool make;           /* make the store if it isn't there */
	bool alone; /* nothing else in this process uses SQLite, and no thread but this: its calls and settings may be ours */
};

/*
 * Opens the store and brings its schema up to date.  STORE_DOWN with `why` for one that isn't there, isn't SQLite, is
 * damaged, newer than this program, or on a file system with foreign locks.  The caller owns *out (ops->close).
 */
enum status sqlite_open(const struct sqlite_options *options, struct db **out, struct buf *why) MUST_CHECK;

#endif
