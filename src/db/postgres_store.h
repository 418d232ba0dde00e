/*
 * What the parts of the PostgreSQL engine share: transactions (postgres.c), statements and their answers (postgres_pipe.c),
 * the connection (postgres_connect.c), tables (postgres_schema.c).
 */
#ifndef DB_POSTGRES_STORE_H
#define DB_POSTGRES_STORE_H

#include "db/postgres.h"

#include <libpq-fe.h>

#define POSTGRES_STATEMENTS_MAX 512 /* a power of two, well above the number of statements we have */
#define POSTGRES_ARGS_MAX 32

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
	bool met; /* a first answer came on this connection: whether it is pooled is known */
	bool pooled;
	bool unreplicated;   /* the server said that it didn't wait for its standby */
	int64_t wait_ms;     /* for other writers, in this transaction */
	PGresult *begun;     /* what the last statement of a transaction's begin, sent ahead, was answered */
	enum status spoiled; /* the begin, settled before anything was asked, failed so, and what it said */
	char spoiled_why[WHY_MAX];
	int64_t last_ms; /* the last instant given */
	struct postgres_statement statements[POSTGRES_STATEMENTS_MAX];
	struct postgres_sent *sent;
	size_t sent_count;
	size_t sent_cap;
};

/* STORE_DOWN as postgres_open.  Afterwards the connection is in pipeline mode with nothing prepared. */
enum status postgres_connect(struct postgres *store, struct buf *why) MUST_CHECK;

/* Gives the connection up. */
void postgres_drop(struct postgres *store);

/* Makes the tables if there are none, and brings them to our schema, in one transaction under an advisory lock.  STORE_DOWN, BUSY. */
enum status postgres_migrate(struct postgres *store, bool make, struct buf *why) MUST_CHECK;

/* STORE_DOWN unless this program knows the schema `number`.  *older: it must be brought up to date first. */
enum status postgres_known(const struct postgres *store, int64_t number, bool *older, struct buf *why) MUST_CHECK;

/* Queues; what goes wrong shows in postgres_answers. */
void postgres_send(struct postgres *store, const char *sql, const struct db_value *args, size_t count);

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

/* What an answer that isn't one means, with `why`: "<name>: <what>; <what to do>". */
enum status postgres_why(const struct postgres *store, const PGresult *result, struct buf *why);

/* STORE_DOWN: what libpq says of the connection, as one line, with what to do. */
enum status postgres_lost(const struct postgres *store, const char *said, struct buf *why);

#endif
