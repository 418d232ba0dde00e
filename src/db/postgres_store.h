/*
 * What the parts of the PostgreSQL engine share: transactions (postgres.c), what became of one whose connection was lost
 * (postgres_outcome.c), statements and their answers (postgres_pipe.c), the connection (postgres_connect.c), to one of several
 * hosts (postgres_hosts.c), that there was none a moment ago (postgres_away.c), tables (postgres_schema.c), who may use which project
 * (postgres_guard.c, postgres_grant.c), bytes that are no text (postgres_text.c).
 */
#ifndef DB_POSTGRES_STORE_H
#define DB_POSTGRES_STORE_H

#include "db/postgres.h"

#include <libpq-fe.h>

#define POSTGRES_STATEMENTS_MAX 512 /* a power of two, well above the number of statements we have */
#define POSTGRES_ARGS_MAX 32
#define POSTGRES_KEY_SIZE 33 /* of an operation: 128 random bits in hex */

/* One text with one choice of types; its place in the table is its name on the server. */
struct postgres_statement {
	const char *sql; /* its address is the key */
	uint64_t types;  /* two bits for each parameter */
	enum { STATEMENT_NEW, STATEMENT_SENT, STATEMENT_READY } state;
};

/* Something sent whose answer is still to come. */
struct postgres_sent {
	enum { SENT_EXECUTE, SENT_PREPARE, SENT_BEGIN, SENT_SYNC } kind;
	struct postgres_statement *prepared; /* of SENT_PREPARE */
};

struct postgres {
	struct db db; /* first: a struct db is one of these */
	PGconn *conn; /* in pipeline mode; NULL: none, or lost */
	char *url;
	char *name;
	char project[512];
	bool met;   /* a first answer came on this connection: whether it is pooled is known */
	bool known; /* the last begin found all as it must be: the next may be sent ahead */
	bool pooled;
	bool hurried;                /* as in the options */
	char channel[WAKE_SIZE];     /* that this connection listens on; "" = none */
	char proof[WAKE_SIZE];       /* that it gave; "" = none */
	bool unreplicated;           /* the server said that it didn't wait for its standby */
	bool again;                  /* of what failed last: nothing was done, and doing it once more is right */
	int64_t wait_ms;             /* for other writers, in this transaction */
	int64_t last_ms;             /* the last instant given */
	int64_t sent_boot_ms;        /* when this transaction's begin was sent ... */
	int64_t waited_ms;           /* ... and how long it then waited for the project's row */
	int64_t began_boot_ms;       /* when db_begin began */
	int64_t until_boot_ms;       /* no answer and no connection is waited for longer; 0: as the limits say */
	int64_t silent_ms;           /* so long was an answer waited for before the last connection was given up; 0: it came ... */
	int64_t silent_boot_ms;      /* ... at this instant */
	char key[POSTGRES_KEY_SIZE]; /* of this write transaction, in the table of operations ... */
	int64_t key_ms;              /* ... at this instant of the server's, or later */
	PGresult *begun;             /* what the last statement of a transaction's begin, sent ahead, was answered */
	enum status spoiled;         /* the begin, settled before anything was asked, failed so, and what it said */
	char spoiled_why[WHY_MAX];
	char *away;    /* the file that remembers for this machine that there was no connection; NULL: none does */
	char state[6]; /* SQLSTATE of the last answer that was an error; "" when there was none since postgres_answers */
	struct postgres_statement statements[POSTGRES_STATEMENTS_MAX];
	struct postgres_sent *sent;
	size_t sent_count;
	size_t sent_cap;
};

/*
 * STORE_DOWN as postgres_open.  Afterwards the connection is in pipeline mode with nothing prepared.  A server that is just coming
 * or going is tried again within the limit for connecting.  What took long and failed is remembered (postgres_away_note).
 */
enum status postgres_connect(struct postgres *store, struct buf *why) MUST_CHECK;

/* Gives the connection up. */
void postgres_drop(struct postgres *store);

/* Sleeps for *pause_ms, and makes it longer for the next time; false without sleeping when that instant (clock_boot_ms) has come. */
bool postgres_pause(int64_t *pause_ms, int64_t until_boot_ms);

/*
 * Begins a transaction on the connection that is there.  *older: the tables are of an earlier schema than ours, or there are none.
 * On failure nothing is open.
 */
enum status postgres_begin(struct postgres *store, bool write, bool *older, struct buf *why) MUST_CHECK;

/* Commits on the connection that is there: OK; else it was not done, unless the connection is lost or store->unreplicated. */
enum status postgres_commit(struct postgres *store, struct buf *why) MUST_CHECK;

/*
 * The connection was lost while committing a write: connects anew and looks.  OK it was done; BUSY it was not, and never will
 * be; OUTCOME_UNKNOWN when nobody could be asked within the limit.  May block for it.
 */
enum status postgres_outcome(struct postgres *store, struct buf *why) MUST_CHECK;

/*
 * A key for the next write transaction, in store->key; *sweep: it is this one's turn to take old ones away, which postgres_sweep
 * queues in it, of the project whose row it has.  STORE_DOWN.
 */
enum status postgres_make_key(struct postgres *store, bool *sweep, struct buf *why) MUST_CHECK;
void postgres_sweep(struct postgres *store);

/* The server's clock, in ms. */
#define POSTGRES_NOW "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

/* OUTCOME_UNKNOWN: "... `what` while committing ...". */
enum status postgres_unknown(const struct postgres *store, const char *what, struct buf *why);

/* For struct db_ops. */
void postgres_facts(struct db *db, struct buf *out);
void postgres_catch_up(struct db *db, int64_t now_ms, int64_t last);
void postgres_forget_project(struct db *db);

/* As rows that live without the result.  NO_MEMORY. */
enum status postgres_copy_rows(const PGresult *result, struct db_rows *out, struct buf *why) MUST_CHECK;

/* Queues; what goes wrong shows in postgres_answers. */
void postgres_send(struct postgres *store, const char *sql, const struct db_value *args, size_t count);

/* The same for a text that is no literal, and so never prepared. */
void postgres_send_once(struct postgres *store, const char *sql);

/* What was queued last is the end of a transaction's begin: its answer is kept in store->begun. */
void postgres_begins(struct postgres *store);

/* Sends what is queued, whose answers nobody waits for: they are read, and forgotten, with the next that somebody does. */
void postgres_forget(struct postgres *store);

/* Whether the connection is there, as far as can be told without asking.  If not it is given up. */
bool postgres_is_there(struct postgres *store);

/*
 * Sends what is queued and waits for all its answers.  OK: *last is that of the last statement, the caller's to clear.  Else
 * what was wrong with the first that failed; the ones after it were not done.  store->conn is NULL if it was lost meanwhile.
 */
enum status postgres_answers(struct postgres *store, PGresult **last, struct buf *why) MUST_CHECK;

/* The next answer; NULL when there is none or the connection is lost, as it is when the server is silent for too long. */
PGresult *postgres_next(struct postgres *store);

/* What an answer that isn't one means, with `why`: "<name>: <what>; <what to do>".  Sets store->state and store->again. */
enum status postgres_why(struct postgres *store, const PGresult *result, struct buf *why);

/* Whether the last error was that a table or column isn't there. */
bool postgres_missing(const struct postgres *store);

#define POSTGRES_FORBIDDEN "42501"

/* STORE_DOWN: what libpq says of the connection, as one line, with what to do.  state: the SQLSTATE, "" where there is none. */
enum status postgres_lost(const struct postgres *store, const char *state, const char *said, struct buf *why);

#endif
