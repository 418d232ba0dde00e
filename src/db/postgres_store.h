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

/* Something sent whose answer is still to come: a statement prepared, or (NULL) one executed. */
struct postgres_sent {
	struct postgres_statement *prepared;
};

struct postgres {
	struct db db; /* first: a struct db is one of these */
	PGconn *conn; /* in pipeline mode; NULL: none, or lost */
	char *url;
	char *name;
	char project[512];
	bool met; /* a first answer came on this connection: whether it is pooled is known */
	bool pooled;
	bool unreplicated;           /* the server said that it didn't wait for its standby */
	bool again;                  /* of what failed last: nothing was done, and doing it once more is right */
	int64_t wait_ms;             /* for other writers, in this transaction */
	int64_t last_ms;             /* the last instant given */
	int64_t began_boot_ms;       /* when db_begin began */
	int64_t until_boot_ms;       /* no answer and no connection is waited for longer; 0: as the limits say */
	char key[POSTGRES_KEY_SIZE]; /* of this write transaction, in the table of operations ... */
	int64_t key_ms;              /* ... at this instant of the server's */
	char *away;                  /* the file that remembers for this machine that there was no connection; NULL: none does */
	char state[6];               /* SQLSTATE of the last answer that was an error; "" when there was none since postgres_answers */
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

/* What goes into `places`: which servers an address means, without user and password. */
#define POSTGRES_PLACES_SIZE 600

/* An address taken apart. */
struct postgres_target {
	PQconninfoOption *options;
	int64_t limit_ms; /* to connect to one host */
	char places[POSTGRES_PLACES_SIZE];
};

/* BAD_CONFIG for what libpq doesn't understand.  The caller releases it in any case. */
enum status postgres_target(struct postgres_target *target, const struct postgres *store, struct buf *why) MUST_CHECK;
void postgres_target_release(struct postgres_target *target);

/*
 * A connection to the first of the target's hosts that takes writes, within its limit: STORE_DOWN with `why`, which tells of each
 * host.  store->again when one of them is just coming or going.
 */
enum status postgres_reach(struct postgres *store, const struct postgres_target *target, PGconn **out,
                           struct buf *why) MUST_CHECK;

/* Whether we can use this server: what is wrong, with what to do, goes into `said`. */
bool postgres_suits(PGconn *conn, struct buf *said);

/* Remembers in store->away that `places` could not be reached, by what `why` says.  Best effort. */
void postgres_away_note(const struct postgres *store, const char *places, const struct buf *why);

/* There is a connection again. */
void postgres_away_forget(const struct postgres *store);

/* STORE_DOWN when it is remembered that `places` could not be reached a moment ago; else OK. */
enum status postgres_away_check(const struct postgres *store, const char *places, struct buf *why) MUST_CHECK;

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

/* OUTCOME_UNKNOWN: "... `what` while committing ...". */
enum status postgres_unknown(const struct postgres *store, const char *what, struct buf *why);

/*
 * Makes the tables if there are none and `make`, and brings them to our schema: its owner alone can.  With `make` the owner is
 * granted the project.  STORE_DOWN, BUSY; NO_SUCH when `make` and the project isn't ours.
 */
enum status postgres_migrate(struct postgres *store, bool make, struct buf *why) MUST_CHECK;

/*
 * Runs `job` in one transaction under an advisory lock, so that one at a time changes tables or rights, and outside pipeline mode.
 * What the job returns, or STORE_DOWN, BUSY, OUTCOME_UNKNOWN.
 */
typedef enum status postgres_job(struct postgres *store, void *arg, struct buf *why);
enum status postgres_alone(struct postgres *store, postgres_job *job, void *arg, struct buf *why) MUST_CHECK;

/* For jobs.  Statuses as postgres_why. */
enum status postgres_do(struct postgres *store, const char *sql, struct buf *why) MUST_CHECK;
enum status postgres_look(struct postgres *store, const char *sql, const char *const *texts, int count, PGresult **out,
                          struct buf *why) MUST_CHECK;
/* The first column of the first row as a number; `none` when there is no row or it is NULL. */
enum status postgres_number(struct postgres *store, const char *sql, const char *const *texts, int count, int64_t none,
                            int64_t *out, struct buf *why) MUST_CHECK;

/*
 * Jobs' parts: closes all tables with a project to whom it isn't granted; before a migration opens them to their owner, as whom
 * the job goes on until they are closed again.
 */
enum status postgres_guard(struct postgres *store, struct buf *why) MUST_CHECK;
enum status postgres_unguard(struct postgres *store, struct buf *why) MUST_CHECK;

/* Gives those who have a grant the rights on tables that it takes. */
enum status postgres_give_rights(struct postgres *store, struct buf *why) MUST_CHECK;

/* Whether we are the owner of the tables; false when there are none. */
enum status postgres_owns(struct postgres *store, bool *out, struct buf *why) MUST_CHECK;

/* A job's part: an owner is granted the project.  NO_SUCH when we are no owner and it isn't ours. */
enum status postgres_claim(struct postgres *store, struct buf *why) MUST_CHECK;

/* The tables that hold projects' things, `c`: those beside our own `store` that have a project, but for the list of grants. */
#define POSTGRES_TABLES \
	"FROM pg_class s JOIN pg_class c ON c.relnamespace = s.relnamespace AND c.relowner = s.relowner AND" \
	" c.relkind IN ('r', 'p') AND c.relname <> 'project_grant' JOIN pg_attribute a ON a.attrelid = c.oid AND" \
	" a.attname = 'project' AND NOT a.attisdropped WHERE s.oid = to_regclass('store')"

/* Whether the project $1 is ours, 1 or 0. */
#define POSTGRES_GRANTED \
	"(NOT row_security_active('project') OR EXISTS (SELECT 1 FROM project_grant g WHERE g.project = $1 AND" \
	" pg_has_role(g.role, 'USAGE')))::int"

/* NO_SUCH, in the same words whether the project is somebody else's or nobody's. */
enum status postgres_no_project(const struct postgres *store, struct buf *why);

/* For struct db_ops. */
enum status postgres_grant(struct db *db, const struct db_grant *ask, struct db_rows *out, struct buf *why) MUST_CHECK;
enum status postgres_copy_rows(const PGresult *result, struct db_rows *out, struct buf *why) MUST_CHECK;

/* STORE_DOWN unless this program knows the schema `number`.  *older: it must be brought up to date first. */
enum status postgres_known(const struct postgres *store, int64_t number, bool *older, struct buf *why) MUST_CHECK;

/*
 * The names of folders and branches are bytes, and the server keeps nothing but UTF-8: each byte that is none stands there as a
 * character of private use, and comes back as it was.  in: *out is NULL when `text` can go as it is, else the caller's to free;
 * NO_MEMORY.  out: in place.
 */
enum status postgres_text_in(const char *text, char **out) MUST_CHECK;
void postgres_text_out(char *text);

/* Queues; what goes wrong shows in postgres_answers. */
void postgres_send(struct postgres *store, const char *sql, const struct db_value *args, size_t count);

/*
 * Sends what is queued and waits for all its answers.  OK: *last is that of the last statement, the caller's to clear.  Else
 * what was wrong with the first that failed; the ones after it were not done.  store->conn is NULL if it was lost meanwhile.
 */
enum status postgres_answers(struct postgres *store, PGresult **last, struct buf *why) MUST_CHECK;

/* What an answer that isn't one means, with `why`: "<name>: <what>; <what to do>".  Sets store->state and store->again. */
enum status postgres_why(struct postgres *store, const PGresult *result, struct buf *why);

/* Whether the last error was that a table or column isn't there. */
bool postgres_missing(const struct postgres *store);

#define POSTGRES_FORBIDDEN "42501"

/* STORE_DOWN: what libpq says of the connection, as one line, with what to do. */
enum status postgres_lost(const struct postgres *store, const char *said, struct buf *why);

#endif
