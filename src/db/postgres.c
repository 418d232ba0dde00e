#include "base/str.h"
#include "db/postgres_reach.h"
#include "db/postgres_rights.h"
#include "db/postgres_store.h"
#include "db/postgres_wake.h"
#include "os/clock.h"
#include "os/fault.h"
#include "os/random.h"

#include <errno.h>

#define IDLE_MS "120000" /* a machine that vanished keeps others from the project's row no longer */
#define CHANGED "22012"  /* division by zero, which our begin does on purpose and nothing else */

static struct postgres *
store_of(struct db *db)
{
	return (struct postgres *)db;
}

static void
send_plain(struct postgres *store, const char *sql)
{
	postgres_send(store, sql, NULL, 0);
}

/*
 * Whatever is set for the role: the warning that a standby was not waited for must come to us, and a number to its last bit.  In each
 * transaction, since behind a pooler nothing else is ours.
 */
#define AS_WE_NEED "set_config('client_min_messages', 'warning', true), set_config('extra_float_digits', '1', true)"

/* Since the statement came to the server: the wait for the project's row. */
#define WAITED POSTGRES_NOW " - floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint"

/* Where the clock was set back the instants go on ahead of it, as fast, until it has come there by itself. */
#define SEEN "greatest(p.seen_ms, $2)"
#define AHEAD "CASE WHEN " POSTGRES_NOW " >= " SEEN " THEN 0 ELSE greatest(p.ahead_ms, " SEEN " - " POSTGRES_NOW ") END"

/*
 * Takes the project's row, making it if need be, and in the same moment the clock: what waits for the row is not yet timed.  What this
 * connection was told already is kept with it: it may have been read only, at a time when the server's clock was ahead.  The key of
 * the operation is put beside it.  Sent ahead it fails by itself where we must not write, as the commit may come with it.
 */
static void
send_begin_writing(struct postgres *store, bool ahead)
{
	char wait[24];
	const struct db_value limit[] = {DB_TEXT(wait)};
	const struct db_value begun[] = {DB_TEXT(store->project), DB_INT(store->last_ms), DB_TEXT(store->key),
	                                 DB_INT(ahead && !store->db.moved_too ? postgres_newest() : -1)};

	snprintf(wait, sizeof wait, "%lldms", (long long)store->wait_ms);
	send_plain(store, "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE");
	postgres_send(store,
	              "SELECT set_config('lock_timeout', $1, true), set_config('synchronous_commit', CASE WHEN"
	              " current_setting('synchronous_commit') = 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true), "
	              "set_config('idle_in_transaction_session_timeout', '" IDLE_MS "', true), " AS_WE_NEED,
	              limit, 1);
	postgres_send(store,
	              "WITH p AS (INSERT INTO project AS p (project, created_ms, reaped_ms, seen_ms) VALUES ($1, " POSTGRES_NOW
	              ", 0,"
	              " greatest($2::bigint, " POSTGRES_NOW ")) ON CONFLICT (project) DO UPDATE SET ahead_ms = " AHEAD ","
	              " seen_ms = greatest(p.seen_ms, $2, " POSTGRES_NOW " + " AHEAD ") RETURNING seen_ms, moved),"
	              " o AS (INSERT INTO operation (project, at_ms, key) SELECT $1, p.seen_ms, $3 FROM p)"
	              " SELECT seen_ms, pg_backend_pid(), (SELECT schema FROM store), 1 / CASE WHEN $4::bigint >= 0 AND (moved <> "
	              "''"
	              " OR (SELECT schema FROM store) <> $4) THEN 0 ELSE 1 END, moved, " WAITED " FROM p",
	              begun, 4);
}

static void
send_begin_reading(struct postgres *store)
{
	const struct db_value project[] = {DB_TEXT(store->project)};

	send_plain(store, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
	postgres_send(store,
	              "SELECT greatest(" POSTGRES_NOW ", (SELECT greatest(p.seen_ms, " POSTGRES_NOW " + CASE WHEN " POSTGRES_NOW
	              " >= p.seen_ms THEN 0 ELSE"
	              " p.ahead_ms END) FROM project p WHERE p.project = $1)), pg_backend_pid(),"
	              " (SELECT schema FROM store), " POSTGRES_GRANTED
	              ", (SELECT p.moved FROM project p WHERE p.project = $1), " WAITED ", " AS_WE_NEED,
	              project, 1);
}

static int64_t
cell(const PGresult *result, int column)
{
	return PQgetisnull(result, 0, column) ? -1 : strtoll(PQgetvalue(result, 0, column), NULL, 10);
}

/* What is still queued goes along and may fail, and what comes after it is then passed over: so a second time. */
static void
undo(struct postgres *store)
{
	PGresult *last = NULL;

	for (int time = 0; time < 2 && last == NULL && store->conn != NULL; time++) {
		send_plain(store, "ROLLBACK");
		if (postgres_answers(store, &last, NULL) != OK && time > 0)
			postgres_drop(store);
	}
	PQclear(last);
	PQclear(store->begun);
	store->begun = NULL;
}

/* Who has no right to a project is refused its row; what it has rights to otherwise is no matter. */
static enum status
judge_failed(struct postgres *store, enum status status, bool *older, struct buf *why)
{
	*older = postgres_missing(store);
	if (str_equal(store->state, CHANGED)) {
		/* the next begin finds out what it is */
		postgres_drop(store);
		return why_not(why, STORE_DOWN, "%s: its rows have moved, or its tables were changed, since we connected; try again",
		               store->name);
	}
	return str_equal(store->state, POSTGRES_FORBIDDEN) ? postgres_no_project(store, why) : status;
}

static enum status
take_begun(struct postgres *store, const PGresult *result, bool *older, struct buf *why)
{
	enum status status;

	store->known = false;
	store->pooled = cell(result, 1) != PQbackendPID(store->conn);
	status = postgres_known(store, cell(result, 2), older, why);
	if (status == OK && cell(result, 3) == 0)
		return postgres_no_project(store, why);
	if (status == OK && PQgetlength(result, 0, 4) > 0 && !store->db.moved_too)
		return db_moved(store->name, PQgetvalue(result, 0, 4), why);
	store->known = status == OK;
	store->waited_ms = cell(result, 5);
	store->key_ms = cell(result, 0);
	if (status == OK && cell(result, 0) > store->last_ms)
		store->last_ms = cell(result, 0);
	return status;
}

static void
set_clock(struct postgres *store)
{
	store->db.now_ms = store->last_ms;
	/* from when it was sent: who began after another had ended is then never found to have begun before him */
	store->db.boot_ms = store->sent_boot_ms + store->waited_ms;
	store->db.timed = true;
}

/* postgres_answers, and what a begin that was sent ahead has said with them. */
static enum status
answers(struct postgres *store, PGresult **last, struct buf *why)
{
	int64_t sent_boot_ms = clock_boot_ms();
	enum status status = postgres_answers(store, last, why);
	PGresult *begun = store->begun;
	bool older = false;

	store->begun = NULL;
	if (status != OK && begun == NULL && !store->db.timed)
		status = judge_failed(store, status, &older, why);
	if (status == OK && begun != NULL) {
		store->sent_boot_ms = sent_boot_ms;
		status = take_begun(store, begun, &older, why);
		set_clock(store);
		if (store->db.writing)
			fault_point(FAULT_GATE_TAKEN);
	}
	if (status != OK && begun != NULL) {
		PQclear(*last);
		*last = NULL;
	}
	PQclear(begun);
	return status;
}

enum status
postgres_begin(struct postgres *store, bool write, bool *older, struct buf *why)
{
	bool sweep = false;
	PGresult *last;
	enum status status = write ? postgres_make_key(store, &sweep, why) : OK;

	if (status != OK)
		return status;
	store->unreplicated = false;
	if (write)
		send_begin_writing(store, false);
	else
		send_begin_reading(store);
	store->sent_boot_ms = clock_boot_ms();
	status = postgres_answers(store, &last, why);
	if (status != OK)
		status = judge_failed(store, status, older, why);
	else
		status = take_begun(store, last, older, why);
	PQclear(last);
	if (status != OK && store->conn != NULL)
		undo(store);
	else if (sweep && status == OK)
		postgres_sweep(store);
	return status;
}

/* A hook doesn't pay again for what another one has just paid for. */
static enum status
is_worth_a_try(const struct postgres *store, struct buf *why)
{
	struct postgres_target target;
	enum status status = postgres_target(&target, store, why);

	if (status == OK)
		status = postgres_away_check(store, target.places, why);
	postgres_target_release(&target);
	return status;
}

/* Of several transactions that one caller makes only the first waits for a server that doesn't answer. */
static enum status
connect_unless_away(struct postgres *store, struct buf *why)
{
	enum status status = OK;

	if (store->silent_ms > 0 && clock_boot_ms() - store->silent_boot_ms < POSTGRES_AWAY_MS)
		return postgres_lost(store, "", "", why);
	if (store->hurried)
		status = is_worth_a_try(store, why);
	return status == OK ? postgres_connect(store, why) : status;
}

/*
 * The one place in which anything is tried again: no rule has run yet, and nobody was told anything.  A connection that was lost
 * before that has taken nothing with it.
 */
static enum status
begin_somehow(struct postgres *store, bool write, bool *older, struct buf *why)
{
	int64_t pause_ms = 0, until_ms = clock_boot_ms() + POSTGRES_AGAIN_MS;
	bool there;
	enum status status;

	do {
		store->again = false;
		status = store->conn != NULL ? OK : connect_unless_away(store, why);
		there = status == OK;
		if (there)
			status = postgres_begin(store, write, older, why);
	} while (status != OK && (store->again || (there && store->conn == NULL)) && postgres_pause(&pause_ms, until_ms));
	return status;
}

static enum status
store_begin(struct db *db, bool write, int64_t wait_ms, struct buf *why)
{
	struct postgres *store = store_of(db);
	bool older = false;
	enum status status;

	store->spoiled = OK;
	store->wait_ms = wait_ms > POSTGRES_WAIT_MIN_MS ? wait_ms : POSTGRES_WAIT_MIN_MS;
	store->began_boot_ms = clock_boot_ms();
	status = begin_somehow(store, write, &older, why);
	if (status != OK && older) {
		status = postgres_migrate(store, false, why);
		if (status == OK)
			status = begin_somehow(store, write, &older, why);
	}
	if (status == OK)
		set_clock(store);
	if (status == OK && write)
		fault_point(FAULT_GATE_TAKEN);
	return status;
}

/* Nothing is waited for, unless this is a connection's first transaction: its tables may have to be brought up to date. */
static enum status
store_begin_ahead(struct db *db, bool write, int64_t wait_ms, struct buf *why)
{
	struct postgres *store = store_of(db);
	bool sweep = false;
	enum status status = write ? postgres_make_key(store, &sweep, why) : OK;

	store->spoiled = OK;
	if (status != OK)
		return status;
	if (!postgres_is_there(store) || !store->known)
		return store_begin(db, write, wait_ms, why);
	store->wait_ms = wait_ms > POSTGRES_WAIT_MIN_MS ? wait_ms : POSTGRES_WAIT_MIN_MS;
	store->began_boot_ms = clock_boot_ms();
	store->unreplicated = false;
	/* the key is put there no earlier */
	store->key_ms = store->last_ms;
	if (write)
		send_begin_writing(store, true);
	else
		send_begin_reading(store);
	if (store->conn == NULL)
		return store_begin(db, write, wait_ms, why);
	postgres_begins(store);
	if (sweep)
		postgres_sweep(store);
	db->timed = false;
	return OK;
}

static void
store_settle(struct db *db)
{
	struct postgres *store = store_of(db);
	PGresult *last;
	struct buf why;

	buf_init(&why, sizeof store->spoiled_why);
	store->spoiled = answers(store, &last, &why);
	if (store->spoiled == OK)
		PQclear(last);
	else
		set_clock(store);
	snprintf(store->spoiled_why, sizeof store->spoiled_why, "%s", why.data);
	buf_release(&why);
}

/* What the begin failed with is the answer to whatever comes after it. */
static enum status
is_spoiled(const struct postgres *store, struct buf *why)
{
	return store->spoiled == OK ? OK : why_not(why, store->spoiled, "%s", store->spoiled_why);
}

static void
store_run(struct db *db, const char *sql, const struct db_value *args, size_t count)
{
	postgres_send(store_of(db), sql, args, count);
}

static enum status
store_ask(struct db *db, struct db_rows *out, const char *sql, const struct db_value *args, size_t count, struct buf *why)
{
	struct postgres *store = store_of(db);
	PGresult *last;
	enum status status = is_spoiled(store, why);

	if (status != OK)
		return status;
	postgres_send(store, sql, args, count);
	status = answers(store, &last, why);
	if (status == OK) {
		status = postgres_copy_rows(last, out, why);
		PQclear(last);
	}
	return status;
}

static void
store_rollback(struct db *db)
{
	struct postgres *store = store_of(db);

	if (store->conn != NULL)
		undo(store);
}

enum status
postgres_commit(struct postgres *store, struct buf *why)
{
	PGresult *last;
	enum status status;

	store->unreplicated = false;
	send_plain(store, "COMMIT");
	status = answers(store, &last, why);
	if (status == OK && !str_equal(PQcmdStatus(last), "COMMIT"))
		/* what had failed before is taken back, and COMMIT says so by its answer alone */
		status = why_not(why, STORE_DOWN, "%s: the transaction had failed and was taken back", store->name);
	else if (status != OK && store->conn != NULL)
		undo(store);
	PQclear(last);
	return status;
}

static enum status
store_commit(struct db *db, struct buf *why)
{
	struct postgres *store = store_of(db);
	bool there = store->conn != NULL;
	enum status status;

	if (is_spoiled(store, why) != OK) {
		store_rollback(db);
		return store->spoiled;
	}
	if (!db->writing && db->timed) {
		/* it has given its answers, and leaves nothing behind that could fail */
		send_plain(store, "COMMIT");
		postgres_forget(store);
		return OK;
	}
	if (db->writing)
		fault_point(FAULT_ROWS_WRITTEN);
	status = postgres_commit(store, why);
	if (!db->writing)
		return status;
	/* what is there, but perhaps on this server alone, may be gone after a fail-over */
	if (store->unreplicated && there && (status == OK || store->conn == NULL))
		return postgres_unknown(store, "the standby was not waited for", why);
	if (there && store->conn == NULL)
		return postgres_outcome(store, why);
	if (status == OK)
		fault_point(FAULT_COMMITTED);
	return status;
}

static enum status
store_mend(struct db *db, struct buf *why)
{
	(void)db;
	(void)why;
	return OK;
}

static void
store_close(struct db *db, bool process_ends)
{
	struct postgres *store = store_of(db);

	(void)process_ends;
	postgres_drop(store);
	free(store->sent);
	free(store->away);
	free(store->name);
	free(store->url);
	free(store);
}

static const struct db_ops postgres_ops = {
	.name = "postgresql",
	.begin = store_begin,
	.begin_ahead = store_begin_ahead,
	.settle = store_settle,
	.run = store_run,
	.ask = store_ask,
	.commit = store_commit,
	.rollback = store_rollback,
	.listen = postgres_listen,
	.wake = postgres_wake,
	.wait = postgres_sleep,
	.prove = postgres_prove,
	.proven = postgres_proven,
	.catch_up = postgres_catch_up,
	.forget = postgres_forget_project,
	.facts = postgres_facts,
	.mend = store_mend,
	.grant = postgres_grant,
	.close = store_close,
};

static bool
fill(struct postgres *store, const struct postgres_options *options)
{
	store->db.ops = &postgres_ops;
	store->url = strdup(options->url);
	store->name = strdup(options->name);
	store->away = options->away == NULL ? NULL : strdup(options->away);
	store->hurried = options->hurried;
	return store->url != NULL && store->name != NULL && (store->away != NULL || options->away == NULL) &&
	       str_copy(store->project, sizeof store->project, options->project) == OK;
}

enum status
postgres_open(const struct postgres_options *options, struct db **out, struct buf *why)
{
	struct postgres *store = calloc(1, sizeof *store);
	enum status status = OK;

	if (store == NULL || !fill(store, options))
		status = why_not(why, NO_MEMORY, "out of memory");
	if (status == OK)
		status = connect_unless_away(store, why);
	if (status == OK && options->make)
		status = postgres_migrate(store, true, why);
	if (status == OK)
		*out = &store->db;
	else if (store != NULL)
		store_close(&store->db, false);
	return status;
}
