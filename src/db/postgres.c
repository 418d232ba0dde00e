#include "base/str.h"
#include "db/postgres_store.h"
#include "os/clock.h"

#include <errno.h>

#define ROWS_TEXT_MAX ((size_t)64 << 20)
#define NOW "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

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

/* Takes the project's row, making it if need be, and in the same moment the clock: what waits for the row is not yet timed. */
static void
send_begin_writing(struct postgres *store)
{
	char wait[24];
	const struct db_value limit[] = {DB_TEXT(wait)}, project[] = {DB_TEXT(store->project)};

	snprintf(wait, sizeof wait, "%lldms", (long long)store->wait_ms);
	send_plain(store, "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE");
	postgres_send(store,
	              "SELECT set_config('lock_timeout', $1, true), set_config('synchronous_commit', CASE WHEN"
	              " current_setting('synchronous_commit') = 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)",
	              limit, 1);
	postgres_send(store,
	              "INSERT INTO project AS p (project, created_ms, reaped_ms, seen_ms) VALUES ($1, " NOW ", 0, " NOW ")"
	              " ON CONFLICT (project) DO UPDATE SET seen_ms = greatest(p.seen_ms, " NOW ")"
	              " RETURNING seen_ms, pg_backend_pid(), (SELECT schema FROM store)",
	              project, 1);
}

static void
send_begin_reading(struct postgres *store)
{
	const struct db_value project[] = {DB_TEXT(store->project)};

	send_plain(store, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
	postgres_send(store,
	              "SELECT greatest(" NOW ", (SELECT p.seen_ms FROM project p WHERE p.project = $1)), pg_backend_pid(),"
	              " (SELECT schema FROM store)",
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
}

/* What the begin was answered: whom we have met, and the clock. */
static enum status
take_begun(struct postgres *store, const PGresult *begun, bool *older, struct buf *why)
{
	enum status status;

	store->pooled = cell(begun, 1) != PQbackendPID(store->conn);
	status = postgres_known(store, cell(begun, 2), older, why);
	if (status == OK && cell(begun, 0) > store->last_ms)
		store->last_ms = cell(begun, 0);
	return status;
}

static void
set_clock(struct postgres *store)
{
	store->db.now_ms = store->last_ms;
	store->db.boot_ms = clock_boot_ms();
	store->db.timed = true;
}

/* postgres_answers, and what a begin that was sent ahead has said with them. */
static enum status
answers(struct postgres *store, PGresult **last, struct buf *why)
{
	enum status status = postgres_answers(store, last, why);
	PGresult *begun = store->begun;
	bool older = false;

	store->begun = NULL;
	if (begun != NULL && status == OK) {
		status = take_begun(store, begun, &older, why);
		set_clock(store);
	}
	if (status != OK && begun != NULL) {
		PQclear(*last);
		*last = NULL;
	}
	PQclear(begun);
	return status;
}

/* *older: the tables are of an earlier schema than ours, or there are none. */
static enum status
try_begin(struct postgres *store, bool write, bool *older, struct buf *why)
{
	PGresult *last;
	enum status status;

	if (write)
		send_begin_writing(store);
	else
		send_begin_reading(store);
	status = postgres_answers(store, &last, why);
	if (status == NO_SUCH)
		*older = true;
	if (status == OK) {
		status = take_begun(store, last, older, why);
		PQclear(last);
	}
	if (status != OK && store->conn != NULL)
		undo(store);
	return status;
}

/* A connection that was lost while nothing was going on has taken nothing with it. */
static enum status
begin_somehow(struct postgres *store, bool write, bool *older, struct buf *why)
{
	bool old = store->conn != NULL;
	enum status status = old ? OK : postgres_connect(store, why);

	if (status == OK)
		status = try_begin(store, write, older, why);
	if (status == OK || !old || store->conn != NULL)
		return status;
	status = postgres_connect(store, why);
	return status == OK ? try_begin(store, write, older, why) : status;
}

static enum status
store_begin(struct db *db, bool write, int64_t wait_ms, struct buf *why)
{
	struct postgres *store = store_of(db);
	bool older = false;
	enum status status;

	store->spoiled = OK;
	store->wait_ms = wait_ms > POSTGRES_WAIT_MIN_MS ? wait_ms : POSTGRES_WAIT_MIN_MS;
	store->unreplicated = false;
	status = begin_somehow(store, write, &older, why);
	if (status != OK && older) {
		status = postgres_migrate(store, false, why);
		if (status == OK)
			status = begin_somehow(store, write, &older, why);
	}
	if (status == OK)
		set_clock(store);
	return status;
}

/* Nothing is waited for, unless this is a connection's first transaction: its tables may have to be brought up to date. */
static enum status
store_begin_ahead(struct db *db, bool write, int64_t wait_ms, struct buf *why)
{
	struct postgres *store = store_of(db);

	store->spoiled = OK;
	if (!postgres_is_there(store) || !store->met)
		return store_begin(db, write, wait_ms, why);
	store->wait_ms = wait_ms > POSTGRES_WAIT_MIN_MS ? wait_ms : POSTGRES_WAIT_MIN_MS;
	store->unreplicated = false;
	if (write)
		send_begin_writing(store);
	else
		send_begin_reading(store);
	if (store->conn == NULL)
		return store_begin(db, write, wait_ms, why);
	postgres_begins(store);
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

/* A sum of whole numbers is a `numeric`, which is whole too unless it has a point or is too large. */
static struct db_value
number_of(const char *text)
{
	char *end;
	long long whole;

	errno = 0;
	whole = strtoll(text, &end, 10);
	return *end == '\0' && errno == 0 ? DB_INT(whole) : DB_REAL(strtod(text, NULL));
}

static struct db_value
value_of(const PGresult *result, int row, int column)
{
	const char *text = PQgetvalue(result, row, column);

	if (PQgetisnull(result, row, column) != 0)
		return DB_NULL;
	switch (PQftype(result, column)) {
	case 16: /* bool */
		return DB_INT(*text == 't');
	case 20: /* int8, int2, int4, numeric */
	case 21:
	case 23:
	case 1700:
		return number_of(text);
	case 700: /* float4, float8 */
	case 701:
		return DB_REAL(strtod(text, NULL));
	default:
		return DB_TEXT(text);
	}
}

static size_t
texts_size(const struct db_rows *rows)
{
	size_t size = 0;

	for (size_t i = 0; i < rows->count * rows->columns; i++)
		if (rows->values[i].type == DB_TYPE_TEXT)
			size += strlen(rows->values[i].text) + 1;
	return size;
}

static enum status
copy_rows(const PGresult *result, struct db_rows *out, struct buf *why)
{
	struct db_rows rows = {.count = (size_t)PQntuples(result), .columns = (size_t)PQnfields(result)};
	size_t cells = rows.count * rows.columns, size, at = 0;

	rows.values = malloc((cells == 0 ? 1 : cells) * sizeof *rows.values);
	if (rows.values == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	for (size_t i = 0; i < cells; i++)
		rows.values[i] = value_of(result, (int)(i / rows.columns), (int)(i % rows.columns));
	size = texts_size(&rows);
	rows.texts = size > ROWS_TEXT_MAX ? NULL : malloc(size == 0 ? 1 : size);
	if (rows.texts == NULL) {
		free(rows.values);
		return why_not(why, NO_MEMORY, "out of memory: an answer of %zu bytes", size);
	}
	for (size_t i = 0; i < cells; i++)
		if (rows.values[i].type == DB_TYPE_TEXT) {
			size_t len = strlen(rows.values[i].text) + 1;

			memcpy(rows.texts + at, rows.values[i].text, len);
			rows.values[i].text = rows.texts + at;
			at += len;
		}
	*out = rows;
	return OK;
}

static enum status
store_ask(struct db *db, struct db_rows *out, const char *sql, const struct db_value *args, size_t count, struct buf *why)
{
	struct postgres *store = store_of(db);
	PGresult *last;
	enum status status = is_spoiled(store, why);

	if (status != OK)
		return status == NO_SUCH ? STORE_DOWN : status;
	postgres_send(store, sql, args, count);
	status = answers(store, &last, why);
	if (status == OK) {
		status = copy_rows(last, out, why);
		PQclear(last);
	}
	return status == NO_SUCH ? STORE_DOWN : status;
}

static void
store_rollback(struct db *db)
{
	struct postgres *store = store_of(db);

	if (store->conn != NULL)
		undo(store);
}

static enum status
unknown(struct postgres *store, const char *what, struct buf *why)
{
	return why_not(why, OUTCOME_UNKNOWN,
	               "%s: %s while committing; it is not known whether it was done; look before trying again", store->name, what);
}

static enum status
store_commit(struct db *db, struct buf *why)
{
	struct postgres *store = store_of(db);
	bool there = store->conn != NULL;
	PGresult *last;
	enum status status;

	if (is_spoiled(store, why) != OK) {
		store_rollback(db);
		return store->spoiled == NO_SUCH ? STORE_DOWN : store->spoiled;
	}
	store->unreplicated = false;
	send_plain(store, "COMMIT");
	if (!db->writing && db->timed) {
		/* it has given its answers, and leaves nothing behind that could fail */
		postgres_forget(store);
		return OK;
	}
	status = answers(store, &last, why);
	if (there && store->conn == NULL && db->writing) {
		PQclear(last);
		return unknown(store, "the connection was lost", why);
	}
	if (status != OK) {
		if (store->conn != NULL)
			undo(store);
		return status == NO_SUCH ? STORE_DOWN : status;
	}
	/* what had failed before is taken back, and COMMIT says so by its answer alone */
	if (!str_equal(PQcmdStatus(last), "COMMIT"))
		status = why_not(why, STORE_DOWN, "%s: the transaction had failed and was taken back", store->name);
	else if (store->unreplicated && db->writing)
		status = unknown(store, "the standby was not waited for", why);
	PQclear(last);
	return status;
}

static void
fact(struct postgres *store, struct buf *out, const char *name, const char *sql)
{
	PGresult *last;

	send_plain(store, sql);
	if (postgres_answers(store, &last, NULL) != OK)
		return;
	if (PQntuples(last) == 1)
		buf_printf(out, "%s=%s\n", name, PQgetvalue(last, 0, 0));
	PQclear(last);
}

static void
store_facts(struct db *db, struct buf *out)
{
	struct postgres *store = store_of(db);

	if (store->conn == NULL)
		return;
	buf_printf(out, "engine=PostgreSQL %s\n", PQparameterStatus(store->conn, "server_version"));
	buf_printf(out, "project=%s\n", store->project);
	fact(store, out, "schema", "SELECT schema FROM store");
	fact(store, out, "clone", "SELECT clone FROM store");
	fact(store, out, "rights",
	     "SELECT coalesce('missing on ' || string_agg(c.relname, ', '), 'ok') FROM pg_class c JOIN pg_class s ON"
	     " s.oid = to_regclass('store') AND c.relnamespace = s.relnamespace AND c.relowner = s.relowner WHERE c.relkind = 'r'"
	     " AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')"
	     " AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))");
	fact(store, out, "fsync", "SHOW fsync");
	fact(store, out, "full_page_writes", "SHOW full_page_writes");
	fact(store, out, "synchronous_commit",
	     "SELECT CASE WHEN current_setting('synchronous_commit') = 'remote_apply' THEN 'remote_apply' ELSE 'on, set by us' "
	     "END");
	fact(store, out, "synchronous_standby_names", "SHOW synchronous_standby_names");
	fact(store, out, "size_bytes", "SELECT pg_database_size(current_database())");
	buf_printf(out, "tls=%s\n", PQsslInUse(store->conn) ? "yes" : "no");
	buf_printf(out, "pooler=%s\n", store->pooled ? "yes, nothing is prepared by name" : "no");
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
	.facts = store_facts,
	.mend = store_mend,
	.close = store_close,
};

enum status
postgres_open(const struct postgres_options *options, struct db **out, struct buf *why)
{
	struct postgres *store = calloc(1, sizeof *store);
	enum status status;

	if (store == NULL || (store->url = strdup(options->url)) == NULL || (store->name = strdup(options->name)) == NULL ||
	    str_copy(store->project, sizeof store->project, options->project) != OK) {
		status = why_not(why, NO_MEMORY, "out of memory");
	} else {
		store->db.ops = &postgres_ops;
		status = postgres_connect(store, why);
	}
	if (status == OK && options->make)
		status = postgres_migrate(store, true, why);
	if (status == OK)
		*out = &store->db;
	else if (store != NULL)
		store_close(&store->db, false);
	return status;
}
