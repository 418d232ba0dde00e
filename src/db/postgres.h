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
 * Lost connection.  Before a commit it is STORE_DOWN, and nothing was done.  While committing a write we connect anew, to whichever host takes writes now, and look for the key that every write transaction puts
 * into the table `operation` with its begin: OK it was done; BUSY it was not and will not be; OUTCOME_UNKNOWN when that can't be
 * found out within what is left of wait_ms since db_begin, or POSTGRES_LOOK_MIN_MS if that is more.  Who looks takes the project's
 * row first, so the lost transaction can't be running still; and commits, so what it saw is on the synchronous standby.  Keys are
 * kept for POSTGRES_KEY_KEPT_MS.  A commit whose replication was not waited for is OUTCOME_UNKNOWN.
 *
 * Once more.  Only db_begin does anything a second time, since no rule has run yet: on a connection that is lost or when the server
 * took it back, is coming or going (SQLSTATE 40001, 40P01, 57P01 to 57P03), for POSTGRES_AGAIN_MS.  Later 40001
 * and 40P01 are BUSY, nothing being done, as is 55P03, a wait that ended.
 *
 * Hosts.  Of several in the address the first that takes writes; a standby is passed over.  Each has POSTGRES_CONNECT_MS; the next
 * is tried beside one that has not answered for POSTGRES_STAGGER_MS, so one that swallows everything costs no more than that.  Nor
 * does a name server that does: names are looked up first, all at once, within the same limits.
 *
 * Away.  When connecting failed and took POSTGRES_QUICK_MS or more, or an answer did not come in time, the file `away` says so for
 * POSTGRES_AWAY_MS: boot, instant by its clock, servers, reason.  Meanwhile who is `hurried` is told STORE_DOWN at once, and so is
 * whoever has had no answer himself.  Who is answered removes it.
 *
 * Projects are apart.  Every table with a project has row security, forced on its owner too: a role sees and writes the rows of
 * projects granted to it, or to a role whose rights it has.  Who begins on another gets NO_SUCH, in the same words whether it
 * exists or not.  A superuser, or a role with BYPASSRLS, sees all.
 *
 * Wake-up.  LISTEN on a channel of a random name, NOTIFY with nothing in it.  Behind a pooler there is none: a waiter looks again
 * each second.
 *
 * Proof.  A session-level advisory lock on a random key, believed only with the backend that its proof names: anybody can
 * lock any key.  Behind a pooler there is none.
 *
 * A pooler that gives each transaction another backend is noticed, and then nothing is prepared by name.
 */
#ifndef DB_POSTGRES_H
#define DB_POSTGRES_H

#include "db/db.h"

#define POSTGRES_CONNECT_MS 900 /* to connect to a host, unless the address has a connect_timeout */
#define POSTGRES_STAGGER_MS 200
#define POSTGRES_QUICK_MS 100
#define POSTGRES_AWAY_MS 10000
#define POSTGRES_AGAIN_MS 900
#define POSTGRES_LOOK_MIN_MS 500
#define POSTGRES_KEY_KEPT_MS 3600000
#define POSTGRES_ANSWER_MS 30000 /* for an answer, besides the wait for other writers: after it the connection counts as lost */
#define POSTGRES_HURRIED_MS 3000 /* the same for who is hurried, and for everybody until a connection's first answer */
#define POSTGRES_WAIT_MIN_MS 200

struct postgres_options {
	const char *url;     /* as libpq takes it */
	const char *name;    /* the same for people: no user, no password */
	const char *project; /* at most 511 bytes */
	const char *away;    /* a file of this machine's alone; NULL: nothing is remembered */
	bool make;           /* make the tables if they aren't there; their owner is granted the project */
	bool hurried;        /* a hook: not to wait for long, nor for a server that was away a moment ago */
};

/*
 * Connects.  STORE_DOWN with `why` for a server that can't be reached, refuses us, is too old or a standby, or a database that
 * isn't there or isn't in UTF-8; no line holds a password.  NO_SUCH with `make` when the project isn't this role's.
 * Tables that are missing or newer than this program show at the first db_begin; older ones are brought up to date there, if this
 * role owns them.  The caller owns *out (ops->close).
 */
enum status postgres_open(const struct postgres_options *options, struct db **out, struct buf *why) MUST_CHECK;

#endif
