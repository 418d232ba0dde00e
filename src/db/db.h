/*
 * What Stile needs of a store: rows, a clock, a wake-up, and proof that a holder lives.
 *
 * Rows.  All work is in a transaction.  Inside it a statement that returns nothing is *queued*: db_run never fails, its error
 * shows at the next answer.  db_ask returns rows and waits for them: one round trip.  db_commit waits too, after writing.  So
 * reads come first, and a rule costs one round trip per answer that it waits for; `trips` counts them.
 * A write transaction is alone in the store (SQLite: the gate and BEGIN IMMEDIATE; PostgreSQL: its project's row, so alone among
 * those of the project); what was written and what was read is on disk when db_commit is OK.
 *
 * Clock.  `now_ms` is read once, at the start of a transaction, on the store's own clock: milliseconds since 1970 that people
 * can read, which never go back, also across a reboot, and which steps of the wall clock don't move.
 *
 * Wake-up.  Who must wait for a row to change asks db_listen for an address, writes that into a row of its own and reads once
 * more; then db_wait returns when somebody has committed a db_wake to that address since the last look.  It is a hint and may
 * come for nothing or be lost with a connection: whoever waits looks again each WAKE_RECHECK_MS.
 *
 * Proof.  A holder on this machine is proven alive or dead by the kernel (os/anchor.h).  A server proves besides, for those on
 * other machines, that a holder's connection is there; that it isn't proves nothing: a restart or a cut wire ends it too.
 *
 * SQL is a string literal (its address is its name in the statement cache), parameters are $1..$n in order of first appearance,
 * and where engines differ it has a token of dialect.h.
 */
#ifndef DB_DB_H
#define DB_DB_H

#include "db/rows.h"

struct db;
struct db_grant;
#define WAKE_SIZE 40
#define WAKE_RECHECK_MS 1000

/*
 * One engine.  Each call: OK; BUSY, STORE_DOWN: nothing was done; OUTCOME_UNKNOWN (commit only); NO_SUCH (begin: there is no such
 * project for us); with `why` in one line.
 */
struct db_ops {
	const char *name;
	/* Begins; `write` takes the store for itself, waiting at most wait_ms for others.  Sets db->now_ms.  May block. */
	enum status (*begin)(struct db *db, bool write, int64_t wait_ms, struct buf *why);
	/*
	 * The same, but it may travel with the first answer that is waited for, or with the commit: what is wrong with it shows
	 * there, and db->timed is false until then.  NULL: begin.
	 */
	enum status (*begin_ahead)(struct db *db, bool write, int64_t wait_ms, struct buf *why);
	/* Waits for what begin_ahead did not; a failure is the next answer's. */
	void (*settle)(struct db *db);
	void (*run)(struct db *db, const char *sql, const struct db_value *args, size_t count);
	enum status (*ask)(struct db *db, struct db_rows *out, const char *sql, const struct db_value *args, size_t count,
	                   struct buf *why);
	enum status (*commit)(struct db *db, struct buf *why); /* it is over afterwards, whatever is returned */
	void (*rollback)(struct db *db);
	/* Outside a transaction: the address of this connection's waiter, "" where there can be none.  STORE_DOWN. */
	enum status (*listen)(struct db *db, char address[WAKE_SIZE], struct buf *why);
	/* Inside a write transaction: wakes who waits at `address`, once it is committed. */
	void (*wake)(struct db *db, const char *address);
	/* Outside one: sleeps until woken, for limit_ms at most, or until a signal comes.  Being woken before counts, once. */
	void (*wait)(struct db *db, int64_t limit_ms);
	/* Outside one: what proves to others that this connection is there, "" where nothing does.  STORE_DOWN. */
	enum status (*prove)(struct db *db, char proof[WAKE_SIZE], struct buf *why);
	/* Inside one: whether the connection that gave `proof` is there.  One round trip, unless proof is "". */
	bool (*proven)(struct db *db, const char *proof);
	/* Queued, for rows of another store: no instant before now_ms is given any more, and the trail's numbers go on past `last`. */
	void (*catch_up)(struct db *db, int64_t now_ms, int64_t last);
	/* Queued, for a project that is no more: removes what the engine itself keeps of it.  NULL: that is nothing. */
	void (*forget)(struct db *db);
	void (*facts)(struct db *db, struct buf *out); /* for `doctor`: adds "key=value" lines */
	/* Looks at a store that a failure has shut for everybody, and opens it again when it is whole; `why` then tells of it. */
	enum status (*mend)(struct db *db, struct buf *why);
	/* As grant.h says; NULL where there are no roles. */
	enum status (*grant)(struct db *db, const struct db_grant *ask, struct db_rows *out, struct buf *why);
	void (*close)(struct db *db, bool process_ends);
};

struct db {
	const struct db_ops *ops;
	int64_t now_ms;
	int64_t boot_ms; /* the machine's own clock (clock_boot_ms) at that instant: tells when on the store's something began */
	unsigned trips; /* answers waited for since the transaction began, and for its end if it wrote */
	bool timed; /* now_ms and boot_ms are this transaction's */
	bool writing, open; /* a transaction is */
	bool unhurried;     /* this one's rule said so: nothing is lost if what it wrote or saw is undone by a power cut, as it tells nobody */
	bool moved_too;     /* set by whoever means to begin in a project whose rows have moved away; else that is STORE_DOWN */
	bool unsettled;     /* what the last one read, and was rolled back, can't be brought to disk */
};

static inline enum status db_begin(struct db *db, bool write, int64_t wait_ms, struct buf *why) MUST_CHECK;
static inline enum status db_begin_ahead(struct db *db, bool write, int64_t wait_ms, struct buf *why) MUST_CHECK;
static inline enum status db_commit(struct db *db, struct buf *why) MUST_CHECK;
static inline enum status
db_begun(struct db *db, bool write, enum status status)
{
	db->trips = 0;
	db->writing = write;
	db->unsettled = db->unhurried = false;
	db->open = status == OK;
	return status;
}

static inline enum status
db_begin(struct db *db, bool write, int64_t wait_ms, struct buf *why)
{
	db->timed = true;
	return db_begun(db, write, db->ops->begin(db, write, wait_ms, why));
}

static inline enum status
db_begin_ahead(struct db *db, bool write, int64_t wait_ms, struct buf *why)
{
	if (db->ops->begin_ahead == NULL)
		return db_begin(db, write, wait_ms, why);
	db->timed = true;
	return db_begun(db, write, db->ops->begin_ahead(db, write, wait_ms, why));
}

/* The transaction's instant, waited for if need be. */
static inline int64_t
db_now(struct db *db)
{
	if (!db->timed) {
		db->trips++;
		db->ops->settle(db);
	}
	return db->now_ms;
}

static inline enum status
db_commit(struct db *db, struct buf *why)
{
	db->trips += db->writing || !db->timed;
	db->open = false;
	return db->ops->commit(db, why);
}

static inline void
db_rollback(struct db *db)
{
	if (db->open)
		db->ops->rollback(db);
	db->open = false;
}

#define DB_ARGS(...) ((const struct db_value[]){__VA_ARGS__}), sizeof((struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)

/* db_run(db, "INSERT ...", DB_TEXT(a), DB_INT(b)): queued, no answer. */
#define db_run(db, sql, ...) (db)->ops->run((db), (sql), DB_ARGS(__VA_ARGS__))
/* db_ask(db, &rows, why, "SELECT ...", ...): OK with *rows to be released by the caller (also when there are none). */
#define db_ask(db, rows, why, sql, ...) ((db)->trips++, (db)->ops->ask((db), (rows), (sql), DB_ARGS(__VA_ARGS__), (why)))

#endif
