/*
 * The team engine: one PostgreSQL database (15 or later, in UTF-8) for many codebases on many machines.  Rows and clock.
 *
 * Alone in the store.  A write transaction is READ COMMITTED and begins by taking the row of its project in the table `project`,
 * which is made if it isn't there; every other writer of that project waits for it.  So what a rule reads after db_begin stays
 * as it is until it commits, and each rule that is right behind SQLite's gate is right here; writers of different projects
 * don't meet.  A read transaction is REPEATABLE READ, READ ONLY: one state from its first answer to its last.
 * The wait for the row is bounded by wait_ms, but by no less than POSTGRES_WAIT_MIN_MS: the server needs a moment to notice
 * that a process which held it has died.
 *
 * Durable.  synchronous_commit is set by us in every write transaction to `on` (remote_apply stays, being more).
 *
 * Trips.  Statements without an answer travel with the next one that has one, in pipeline mode; so does what begins a transaction
 * (begin_ahead), and COMMIT travels with what is queued.  The COMMIT of a transaction that only read is sent and not waited for: what
 * it was told was durable before it could be seen.  So a read of one statement is one round trip, a change without one is too.  A
 * connection's first transaction waits for its begin, as part of connecting.
 *
 * Clock.  The server's, in milliseconds.  A writer's instant is kept in its project's row, and nobody there is given an earlier
 * one afterwards, also when the server's clock is set back; nor is anyone on the same connection.
 *
 * Lost connection.  While committing a write it is OUTCOME_UNKNOWN, before that STORE_DOWN; the next db_begin connects anew.  One
 * that was lost while nothing was going on is replaced without a word.  SQLSTATE 40001 and 40P01 are BUSY, nothing being done.
 * A commit whose replication was not waited for is OUTCOME_UNKNOWN.
 *
 * A pooler that gives each transaction another backend is noticed, and then nothing is prepared by name.
 */
#ifndef DB_POSTGRES_H
#define DB_POSTGRES_H

#include "db/db.h"

#define POSTGRES_CONNECT_MS 900  /* to connect, unless the address has a connect_timeout */
#define POSTGRES_ANSWER_MS 30000 /* for an answer, besides the wait for other writers: after it the connection counts as lost */
#define POSTGRES_WAIT_MIN_MS 200

struct postgres_options {
	const char *url;     /* as libpq takes it */
	const char *name;    /* the same for people: no user, no password */
	const char *project; /* at most 511 bytes */
	bool make;           /* make the tables if they aren't there */
};

/*
 * Connects.  STORE_DOWN with `why` for a server that can't be reached, refuses us, is too old or a standby, or a database that
 * isn't there or isn't in UTF-8; no line holds a password.  Tables that are missing or newer than this program show at the
 * first db_begin, which also brings older ones up to date.  The caller owns *out (ops->close).
 */
enum status postgres_open(const struct postgres_options *options, struct db **out, struct buf *why) MUST_CHECK;

#endif
