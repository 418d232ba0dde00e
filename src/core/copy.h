/*
 * A codebase's rows, all of them, from one store into another, of whichever engines: value by value, nothing renumbered.
 *
 * Whole or not at all: the source is held in a write transaction, so nobody writes there meanwhile, and one transaction of the
 * target takes all rows, reads them back and commits only when they are the same.  Then the source is marked as moved, and from
 * there on refuses whoever comes by the old address (db_moved): nothing is written where nobody looks for it any more.
 */
#ifndef CORE_COPY_H
#define CORE_COPY_H

#include "base/str.h"
#include "core/engine.h"

#define COPY_COLUMNS_MAX 34

/* Its columns begin with `project` and the key. */
struct copy_table {
	const char *name;
	const char *first; /* the rows of project $1 from the beginning, by the key; a page of them */
	const char *next;  /* from after the key $2..; NULL: there is one row at most */
	const char *insert;
	const char *erase;
	size_t page; /* rows */
	size_t keys;
	size_t columns;
};

/* The n-th table, NULL past the last; the last is `project`. */
const struct copy_table *copy_nth(size_t n);
#define COPY_TABLES_MAX 40

struct copy_count {
	int64_t rows;
	uint64_t digest[2]; /* of their values, in no order; the project's name is not among them */
};

struct copy_ask {
	const char *source_name; /* for people, as a mark in the store that is left or taken back says them */
	const char *target_name;
	bool keep; /* the source is not marked, and goes on */
	/* A rule in the source, before anything is read: what is kept apart from the rows is put with them.  NULL = nothing is. */
	rule_function *gather;
	void *arg;
};

/*
 * CONFLICT when the project has rows in the target already, unless they are those that were once moved from there to the source,
 * which are replaced, or the very same, when all that is left to do is the mark.  NO_SUCH when the source has none.  BAD_INPUT
 * when it is the same store.  Otherwise as engine_run, of either; OUTCOME_UNKNOWN when the rows are in the target and the source
 * may not be marked.  counts[i] is of copy_nth(i).
 */
enum status copy_rows(struct engine *source, struct engine *target, const struct copy_ask *ask,
                      struct copy_count counts[COPY_TABLES_MAX], struct buf *why) MUST_CHECK;

/* The rows are here after all: takes the mark away.  NO_SUCH when there is none.  A rule; `where` gets what it said. */
enum status copy_back(struct txn *txn, char where[TEXT_MAX + 1], struct buf *why) MUST_CHECK;

/* Queued: the project is gone, with all its rows. */
void copy_erase(struct txn *txn);

#endif
