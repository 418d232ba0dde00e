#include "db/sqlite_store.h"

#include "os/fault.h"

#include <errno.h>
#include <unistd.h>

#define ROWS_TEXT_MAX ((size_t)64 << 20)

static struct sqlite *
store_of(struct db *db)
{
	return (struct sqlite *)db;
}

static enum status
disk_full(struct sqlite *store, struct buf *why)
{
	return why_not(why, STORE_DOWN, "%s: the disk is full; make room", store->file);
}

enum status
sqlite_why(struct sqlite *store, int code, struct buf *why)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return why_not(why, BUSY, "%s: another program holds the database; try again", store->file);
	case SQLITE_FULL:
		return disk_full(store, why);
	case SQLITE_IOERR:
		/* a full disk by another way: the index of the log, or a quota */
		if (sqlite3_system_errno(store->handle) == ENOSPC || sqlite3_system_errno(store->handle) == EDQUOT)
			return disk_full(store, why);
		return why_not(why, STORE_DOWN, "%s: %s; look for the disk's trouble in the system's log", store->file,
		               sqlite3_errmsg(store->handle));
	case SQLITE_READONLY:
	case SQLITE_PERM:
		/* an extended code: even a reader would have to make the log or its index first */
		if (store->read_only && code > 0xff)
			return why_not(why, STORE_DOWN,
			               "%s: its log isn't there, and uid %lu can't make it; let a user who can write the folder run "
			               "`stile status`",
			               store->file, (unsigned long)geteuid());
		return why_not(why, STORE_DOWN,
		               "%s: can be read but not written by uid %lu; check its owner, mode and mount, or put its folder on the "
		               "sandbox's write list",
		               store->file, (unsigned long)geteuid());
	case SQLITE_CANTOPEN:
		return why_not(why, STORE_DOWN, "%s: can't be opened; check that the folder can be written, or run `stile init`",
		               store->file);
	case SQLITE_NOTADB:
		return why_not(why, STORE_DOWN, "%s: is not a SQLite database; move it away and run `stile init`", store->file);
	case SQLITE_CORRUPT:
		return why_not(why, STORE_DOWN, "%s: is damaged (%s); move it away and run `stile init`", store->file,
		               sqlite3_errmsg(store->handle));
	case SQLITE_NOMEM:
		return why_not(why, NO_MEMORY, "out of memory");
	default:
		return why_not(why, STORE_DOWN, "%s: %s", store->file, sqlite3_errmsg(store->handle));
	}
}

/* The first failure since the last answer is the one that is told. */
static void
fail_later(struct sqlite *store, int code)
{
	if (store->failed == OK)
		store->failed = sqlite_why(store, code, &store->failure);
}

static enum status
tell_failure(struct sqlite *store, struct buf *why)
{
	enum status status = store->failed;

	store->failed = OK;
	return status == OK ? OK : why_not(why, status, "%s", store->failure.data);
}

static int
prepare(struct sqlite *store, const char *sql, sqlite3_stmt **out)
{
	size_t at = ((uintptr_t)sql >> 3) * 2654435761u % STATEMENTS_MAX;
	int code;

	while (store->statements[at].sql != NULL && store->statements[at].sql != sql)
		at = (at + 1) % STATEMENTS_MAX;
	if (store->statements[at].sql == NULL) {
		code = sqlite3_prepare_v3(store->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &store->statements[at].statement, NULL);
		if (code != SQLITE_OK)
			return code;
		store->statements[at].sql = sql;
	}
	*out = store->statements[at].statement;
	return SQLITE_OK;
}

static int
bind(sqlite3_stmt *statement, const struct db_value *args, size_t count)
{
	int code = SQLITE_OK;

	for (int i = 0; i < (int)count && code == SQLITE_OK; i++)
		switch (args[i].type) {
		case DB_TYPE_TEXT:
			code = sqlite3_bind_text(statement, i + 1, args[i].text, -1, SQLITE_STATIC);
			break;
		case DB_TYPE_INT:
			code = sqlite3_bind_int64(statement, i + 1, args[i].whole);
			break;
		case DB_TYPE_REAL:
			code = sqlite3_bind_double(statement, i + 1, args[i].real);
			break;
		case DB_TYPE_NULL:
			code = sqlite3_bind_null(statement, i + 1);
			break;
		}
	return code;
}

/* A statement without parameters and rows. */
static int
perform(struct sqlite *store, const char *sql)
{
	sqlite3_stmt *statement;
	int code = prepare(store, sql, &statement);

	if (code != SQLITE_OK)
		return code;
	sqlite3_step(statement);
	return sqlite3_reset(statement);
}

static void
store_run(struct db *db, const char *sql, const struct db_value *args, size_t count)
{
	struct sqlite *store = store_of(db);
	sqlite3_stmt *statement = NULL;
	int code;

	if (store->failed != OK)
		return;
	code = prepare(store, sql, &statement);
	if (code == SQLITE_OK)
		code = bind(statement, args, count);
	if (code == SQLITE_OK)
		while ((code = sqlite3_step(statement)) == SQLITE_ROW)
			;
	if (code != SQLITE_DONE && code != SQLITE_OK)
		fail_later(store, code);
	if (code != SQLITE_OK)
		sqlite3_reset(statement);
}

/* Adds the row that `statement` stands on.  Texts are kept as offsets until all are there. */
static bool
add_row(struct db_rows *rows, size_t *cap, struct buf *texts, sqlite3_stmt *statement)
{
	size_t need = (rows->count + 1) * rows->columns;

	if (need > *cap) {
		size_t grown = *cap == 0 ? need * 4 : *cap * 2;
		struct db_value *values = realloc(rows->values, grown * sizeof *values);

		if (values == NULL)
			return false;
		rows->values = values;
		*cap = grown;
	}
	for (int i = 0; i < (int)rows->columns; i++) {
		struct db_value *value = &rows->values[rows->count * rows->columns + (size_t)i];

		*value = DB_NULL;
		switch (sqlite3_column_type(statement, i)) {
		case SQLITE_INTEGER:
			*value = DB_INT(sqlite3_column_int64(statement, i));
			break;
		case SQLITE_FLOAT:
			*value = DB_REAL(sqlite3_column_double(statement, i));
			break;
		case SQLITE_NULL:
			break;
		default:
			value->type = DB_TYPE_TEXT;
			value->whole = (int64_t)texts->len;
			buf_add(texts, sqlite3_column_text(statement, i), (size_t)sqlite3_column_bytes(statement, i));
			buf_add(texts, "", 1);
		}
	}
	rows->count++;
	return buf_status(texts) == OK;
}

static int
fetch(struct db_rows *rows, sqlite3_stmt *statement)
{
	struct buf texts;
	size_t cap = 0;
	int code;

	buf_init(&texts, ROWS_TEXT_MAX);
	*rows = (struct db_rows){.columns = (size_t)sqlite3_column_count(statement)};
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		if (!add_row(rows, &cap, &texts, statement)) {
			code = SQLITE_NOMEM;
			break;
		}
	rows->texts = texts.cap > 0 ? texts.data : NULL;
	for (size_t i = 0; i < rows->count * rows->columns; i++)
		if (rows->values[i].type == DB_TYPE_TEXT)
			rows->values[i].text = rows->texts + rows->values[i].whole;
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

static enum status
store_ask(struct db *db, struct db_rows *out, const char *sql, const struct db_value *args, size_t count, struct buf *why)
{
	struct sqlite *store = store_of(db);
	sqlite3_stmt *statement;
	struct db_rows rows = {0};
	enum status status;
	int code;

	if (store->failed != OK)
		return tell_failure(store, why);
	code = prepare(store, sql, &statement);
	if (code != SQLITE_OK)
		return sqlite_why(store, code, why);
	code = bind(statement, args, count);
	if (code == SQLITE_OK)
		code = fetch(&rows, statement);
	status = code == SQLITE_OK ? OK : sqlite_why(store, code, why);
	sqlite3_reset(statement);
	if (status == OK)
		*out = rows;
	else
		db_rows_release(&rows);
	return status;
}

static enum status
stays(const struct sqlite *store, const struct db_rows *rows, struct buf *why)
{
	const char *where = db_text(rows, 0, 3);

	return *where == '\0' || store->db.moved_too ? OK : db_moved(store->file, where, why);
}

/*
 * The store's clock: what was fixed for this boot, plus the boot's clock.  At the first transaction after a boot it is fixed so
 * that it goes on from the last instant anybody was given; `seen_ms` is kept to the second, so a second is added.
 */
static enum status
read_clock(struct sqlite *store, bool write, struct buf *why)
{
	int64_t boot_ms = clock_boot_ms(), offset;
	struct db_rows rows;
	enum status status;

	status = db_ask(&store->db, &rows, why,
	                "SELECT seen_ms, (SELECT offset_ms FROM clock WHERE boot = $1), schema,"
	                " (SELECT p.moved FROM project p WHERE p.project = $2) FROM store",
	                DB_TEXT(store->boot), DB_TEXT(store->project));
	/* a resident program may have been overtaken by a newer one that changed the schema under it */
	if (status == OK && ((status = sqlite_known(store, rows.count > 0 ? db_int(&rows, 0, 2) : -1, why)) != OK ||
	                     (status = stays(store, &rows, why)) != OK))
		db_rows_release(&rows);
	if (status != OK)
		return status;
	store->seen_ms = rows.count > 0 ? db_int(&rows, 0, 0) : 0;
	offset = clock_wall_ms() - boot_ms;
	if (rows.count > 0 && !db_is_null(&rows, 0, 1)) {
		offset = db_int(&rows, 0, 1);
	} else {
		if (store->seen_ms + 1000 > boot_ms + offset)
			offset = store->seen_ms + 1000 - boot_ms;
		if (write)
			db_run(&store->db, "INSERT INTO clock (boot, offset_ms) VALUES ($1, $2)", DB_TEXT(store->boot), DB_INT(offset));
	}
	db_rows_release(&rows);
	store->db.now_ms = boot_ms + offset;
	store->db.boot_ms = boot_ms;
	if (write && store->db.now_ms >= store->seen_ms + 1000)
		db_run(&store->db, "UPDATE store SET seen_ms = $1", DB_INT(store->db.now_ms));
	return OK;
}

/* For a write; and the store must not be marked, nor have been while the gate was waited for. */
static enum status
take_gate(struct sqlite *store, bool write, int64_t wait_ms, struct buf *why)
{
	enum status status;

	if (!write || store->gate.fd < 0)
		return sqlite_unmarked(store, why);
	group_yield(&store->group);
	status = gate_take(&store->gate, wait_ms, why);
	if (status != OK)
		return status;
	status = sqlite_unmarked(store, why);
	if (status != OK)
		gate_leave(&store->gate);
	return status;
}

static enum status
store_begin(struct db *db, bool write, int64_t wait_ms, struct buf *why)
{
	struct sqlite *store = store_of(db);
	enum status status;
	int code;

	store->failed = OK;
	if (write && store->read_only)
		return sqlite_why(store, SQLITE_READONLY, why);
	status = take_gate(store, write, wait_ms, why);
	if (status != OK)
		return status;
	/* a stranger's lock, which no gate keeps away, is waited for no longer */
	sqlite3_busy_timeout(store->handle, (int)(wait_ms < 10000 ? wait_ms : 10000));
	code = perform(store, write ? "BEGIN IMMEDIATE" : "BEGIN");
	status = code == SQLITE_OK ? OK : sqlite_why(store, code, why);
	if (status == OK)
		status = read_clock(store, write, why);
	if (status != OK) {
		if (sqlite3_get_autocommit(store->handle) == 0)
			sqlite3_exec(store->handle, "ROLLBACK", NULL, NULL, NULL);
		if (store->gate.held)
			gate_leave(&store->gate);
	}
	return status;
}

static void
store_rollback(struct db *db)
{
	struct sqlite *store = store_of(db);

	if (sqlite3_get_autocommit(store->handle) == 0)
		sqlite3_exec(store->handle, "ROLLBACK", NULL, NULL, NULL);
	store->failed = OK;
	sqlite_wake_none(store);
	if (store->gate.held)
		gate_leave(&store->gate);
	/* a refusal says what was read */
	db->unsettled = sqlite_settle(store, NULL) != OK;
}

/* Under the gate when it is a write: the commit that has just been written, and what is to be done before the answer. */
static enum status
settle_commit(struct sqlite *store, uint32_t number, struct buf *why)
{
	enum status status;

	/* whoever reads what isn't waited for waits for it himself */
	if (!store->gate.held)
		return store->db.unhurried ? OK : sqlite_settle(store, why);
	group_written(&store->group, number);
	/* more of the same comes, and a commit that is waited for after it */
	if (store->wal_frames >= (store->db.unhurried ? WAL_LIMIT_RESIDENT : store->wal_limit))
		sqlite_checkpoint(store);
	gate_leave(&store->gate);
	/* who is woken may see it before it is on disk, and waits for that before he answers */
	sqlite_wake_all(store);
	if (store->db.unhurried)
		return OK;
	status = sqlite_wait(store, number, NULL);
	if (status != OK)
		return why_not(why, OUTCOME_UNKNOWN, "%s: the disk failed while committing; it is not known whether it was done; run "
		                                       "`stile doctor`", store->file);
	fault_point(FAULT_COMMITTED);
	return OK;
}

static enum status
store_commit(struct db *db, struct buf *why)
{
	struct sqlite *store = store_of(db);
	enum status status = tell_failure(store, why);
	uint32_t number = 0;
	int code;

	if (status != OK) {
		store_rollback(db);
		return status;
	}
	if (db->writing)
		fault_point(FAULT_ROWS_WRITTEN);
	if (store->gate.held)
		number = group_begin(&store->group);
	code = perform(store, "COMMIT");
	if (code != SQLITE_OK) {
		status = sqlite_why(store, code, why);
		/* frames that were written may or may not survive a power cut */
		if ((code & 0xff) == SQLITE_IOERR)
			status = why_not(why, OUTCOME_UNKNOWN, "%s: the disk failed while committing (%s); it is not known whether it was "
			                                       "done", store->file, sqlite3_errmsg(store->handle));
		store_rollback(db);
		return status;
	}
	if (db->writing)
		fault_point(FAULT_WRITTEN);
	return settle_commit(store, number, why);
}

static void
store_catch_up(struct db *db, int64_t now_ms, int64_t last)
{
	struct sqlite *store = store_of(db);

	/* numbers go on from the highest there is, by themselves */
	(void)last;
	db_run(db, "UPDATE store SET seen_ms = max(seen_ms, $1)", DB_INT(now_ms));
	if (now_ms > db->now_ms)
		db_run(db, "UPDATE clock SET offset_ms = offset_ms + $1 WHERE boot = $2", DB_INT(now_ms - db->now_ms),
		       DB_TEXT(store->boot));
}

static void
fact(struct sqlite *store, struct buf *out, const char *name, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(store->handle, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		buf_printf(out, "%s=%s\n", name, (const char *)sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
}

static void
store_facts(struct db *db, struct buf *out)
{
	struct sqlite *store = store_of(db);

	buf_printf(out, "engine=SQLite %s\n", sqlite3_libversion());
	fact(store, out, "journal_mode", "PRAGMA journal_mode");
	fact(store, out, "synchronous", "PRAGMA synchronous");
	fact(store, out, "busy_timeout", "PRAGMA busy_timeout");
	fact(store, out, "quick_check", "PRAGMA quick_check(1)");
	fact(store, out, "schema", "SELECT schema FROM store");
	fact(store, out, "clone", "SELECT clone FROM store");
	fact(store, out, "size_bytes", "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
	buf_printf(out, "wal_limit=%d\n", store->wal_limit);
}

static void
store_close(struct db *db, bool process_ends)
{
	struct sqlite *store = store_of(db);

	if (db->open)
		db_rollback(db);
	/* the kernel closes files and frees locks as well, and closing SQLite costs a tenth of a hook */
	if (process_ends)
		return;
	if (store->gate.fd >= 0 && store->wal_frames >= WAL_LIMIT && gate_take(&store->gate, 1000, NULL) == OK) {
		sqlite_checkpoint(store);
		gate_leave(&store->gate);
	}
	for (size_t i = 0; i < STATEMENTS_MAX; i++)
		sqlite3_finalize(store->statements[i].statement);
	sqlite3_close(store->handle);
	gate_close(&store->gate);
	buf_release(&store->failure);
	free(store->project);
	free(store->file);
	free(store->wakes);
	free(store);
}

static enum status
store_mend(struct db *db, struct buf *why)
{
	return sqlite_mend(store_of(db), why);
}

const struct db_ops sqlite_ops = {
    .name = "sqlite",
    .begin = store_begin,
    .run = store_run,
    .ask = store_ask,
    .commit = store_commit,
    .rollback = store_rollback,
    .listen = sqlite_listen,
    .wake = sqlite_wake,
    .wait = sqlite_sleep,
    .prove = sqlite_prove,
    .proven = sqlite_proven,
    .catch_up = store_catch_up,
    .facts = store_facts,
    .mend = store_mend,
    .close = store_close,
};
