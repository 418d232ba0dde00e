/*
 * What the parts of the SQLite engine share: statements and transactions (sqlite.c), the log (sqlite_log.c), opening and schema
 * (sqlite_open.c).
 */
#ifndef DB_SQLITE_STORE_H
#define DB_SQLITE_STORE_H

#include "db/sqlite.h"
#include "os/clock.h"
#include "os/gate.h"
#include "os/group_commit.h"
#include "os/wake.h"

#include <sqlite3.h>

#define STATEMENTS_MAX 256 /* a power of two, well above the number of statements we have */

/*
 * Frames in the WAL from which a commit copies them back.  A process that opens the store alone pays for each frame that it
 * finds (about 2 us), a checkpoint costs two syncs: measured, the sum is least around here.  While a program stays that has the
 * store open, nobody pays for them; when it leaves, it copies back what is above the limit of the others.
 */
#define WAL_LIMIT 64
#define WAL_LIMIT_RESIDENT 1000

struct sqlite {
	struct db db; /* first: a struct db is one of these */
	sqlite3 *handle;
	struct gate gate;      /* fd -1: a store in memory, which nobody shares, or one that we may only read */
	struct group_commit group;
	bool read_only;        /* by its owner, mode or mount */
	char *file;
	char *project;
	char boot[BOOT_MAX];
	int64_t seen_ms;       /* as this transaction found it */
	int wal_frames;        /* after the last commit */
	int wal_limit;         /* checkpoint from here on */
	unsigned listening;    /* the word that this process waits at; WAKE_WORDS = none */
	uint32_t heard;        /* how often it had been raised when it was last looked at */
	unsigned *wakes;       /* words to be raised when this transaction is committed */
	size_t wake_count;
	size_t wake_cap;
	enum status failed;    /* of a queued statement, told at the next answer */
	struct buf failure;
	struct cached {
		const char *sql; /* its address is the key */
		sqlite3_stmt *statement;
	} statements[STATEMENTS_MAX];
};

extern const struct db_ops sqlite_ops;

/* What SQLite's last error means, with `why`: "<file>: <what>; <what to do>". */
enum status sqlite_why(struct sqlite *store, int code, struct buf *why);

/* Under the gate: brings the schema to ours, or makes it.  STORE_DOWN. */
enum status sqlite_migrate(struct sqlite *store, struct buf *why) MUST_CHECK;

/* The number in the store: 0 for an empty database.  STORE_DOWN when it isn't a store of ours or is newer. */
enum status sqlite_schema(struct sqlite *store, int *number, struct buf *why) MUST_CHECK;

/* STORE_DOWN unless this program knows the schema `number`; -1: the store has none. */
enum status sqlite_known(struct sqlite *store, int64_t number, struct buf *why) MUST_CHECK;

/* Under the gate: copies the WAL back and begins it anew, as far as readers allow. */
void sqlite_checkpoint(struct sqlite *store);

/*
 * Outside the gate: returns when commit `number`, or all that was read, is on disk.  STORE_DOWN with `why`: it can't be brought
 * there, and from now on everybody is refused.
 */
enum status sqlite_wait(struct sqlite *store, uint32_t number, struct buf *why) MUST_CHECK;
enum status sqlite_settle(struct sqlite *store, struct buf *why) MUST_CHECK;

/* STORE_DOWN when the store is marked. */
enum status sqlite_unmarked(struct sqlite *store, struct buf *why) MUST_CHECK;

/* Looks at a store that is marked, and opens it again when it is whole, saying so in `why`.  STORE_DOWN, BUSY. */
enum status sqlite_mend(struct sqlite *store, struct buf *why) MUST_CHECK;

/* The engine's wake-up and proof, as db.h has it; and after a commit, or a rollback: those that were asked for are woken, or not. */
enum status sqlite_listen(struct db *db, char address[WAKE_SIZE], struct buf *why);
void sqlite_wake(struct db *db, const char *address);
void sqlite_sleep(struct db *db, int64_t limit_ms);
enum status sqlite_prove(struct db *db, char proof[WAKE_SIZE], struct buf *why);
bool sqlite_proven(struct db *db, const char *proof);
void sqlite_wake_all(struct sqlite *store);
void sqlite_wake_none(struct sqlite *store);

/* In test builds: makes SQLite's own writes and syncs fail or die where STILE_FAULT says. */
void sqlite_faults(struct sqlite *store);
void sqlite_fault_section(const char *name);

#endif
