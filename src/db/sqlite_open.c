#include "base/id.h"
#include "db/dialect.h"
#include "db/sqlite_store.h"
#include "os/file.h"
#include "os/random.h"
#include "schema.h"

#include <poll.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOKS 50
#define LOOK_PAUSE_MS 10

#define SCHEMA_NEWEST (schema_files[sizeof schema_files / sizeof *schema_files - 1].number)
#define SCHEMA_TEXT_MAX ((size_t)256 << 10)

enum status
sqlite_known(struct sqlite *store, int64_t number, struct buf *why)
{
	if (number < 0)
		return why_not(why, STORE_DOWN, "%s: is damaged; move it away and run `stile init`", store->file);
	if (number <= SCHEMA_NEWEST)
		return OK;
	return why_not(why, STORE_DOWN, "%s: the store has schema %lld, this program knows up to %d; update stile", store->file,
	               (long long)number, SCHEMA_NEWEST);
}

/* Whether the database has a table of this name, or any if NULL. */
static enum status
has_table(struct sqlite *store, const char *name, bool *has, struct buf *why)
{
	sqlite3_stmt *statement;
	int code = sqlite3_prepare_v2(store->handle, "SELECT count(*) FROM sqlite_master WHERE $1 IS NULL OR name = $1", -1, &statement,
	                              NULL);

	if (code == SQLITE_OK)
		code = sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		*has = sqlite3_column_int64(statement, 0) > 0;
	sqlite3_finalize(statement);
	return code == SQLITE_ROW ? OK : sqlite_why(store, code, why);
}

/* Whether a database whose number could not be read is a store all the same.  STORE_DOWN for a stranger's. */
static enum status
is_ours(struct sqlite *store, bool *ours, struct buf *why)
{
	bool any;
	enum status status = has_table(store, NULL, &any, why);

	if (status == OK)
		status = has_table(store, "store", ours, why);
	if (status == OK && any && !*ours)
		return why_not(why, STORE_DOWN, "%s: is a SQLite database, but not a store of ours; set STILE_STORE to another path",
		               store->file);
	return status;
}

/* NO_SUCH when it has no such table: a disk or a memory that fails says nothing about that. */
static enum status
read_schema(struct sqlite *store, int64_t *number, struct buf *why)
{
	struct db_rows rows;
	enum status status = store->db.ops->ask(&store->db, &rows, "SELECT schema FROM store", NULL, 0, why);

	if (status != OK)
		return (sqlite3_errcode(store->handle) & 0xff) == SQLITE_ERROR ? NO_SUCH : status;
	*number = rows.count == 1 ? db_int(&rows, 0, 0) : -1;
	db_rows_release(&rows);
	return OK;
}

enum status
sqlite_schema(struct sqlite *store, int *number, struct buf *why)
{
	int64_t found = 0;
	bool ours = false;
	enum status status = read_schema(store, &found, why);

	if (status == NO_SUCH) {
		status = is_ours(store, &ours, why);
		/* another process may have made it since we looked: only what still has no number is damaged */
		if (status == OK && ours && (status = read_schema(store, &found, why)) == NO_SUCH)
			status = sqlite_known(store, -1, why);
	}
	if (status != OK)
		return status;
	*number = (int)found;
	return sqlite_known(store, found, why);
}

static enum status
execute(struct sqlite *store, const char *sql, struct buf *why)
{
	int code = sqlite3_exec(store->handle, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? OK : sqlite_why(store, code, why);
}

static enum status
run_file(struct sqlite *store, const char *sql, struct buf *why)
{
	struct buf text;
	enum status status;

	buf_init(&text, SCHEMA_TEXT_MAX);
	dialect_expand(&text, sql, DIALECT_SQLITE);
	status = buf_status(&text) == OK ? execute(store, text.data, why) : why_not(why, NO_MEMORY, "out of memory");
	buf_release(&text);
	return status;
}

static enum status
first_row(struct sqlite *store, struct buf *why)
{
	struct db_rows rows;
	uint8_t random[10];
	char clone[ID_SIZE];
	enum status status;

	if (random_bytes(random, sizeof random) != OK)
		return why_not(why, STORE_DOWN, "the system has no randomness to give");
	id_make(clone, clock_wall_ms(), random);
	status = db_ask(&store->db, &rows, why, "INSERT INTO store (one, schema, seen_ms, clone) VALUES (1, 0, 0, $1) RETURNING one",
	                DB_TEXT(clone));
	if (status == OK)
		db_rows_release(&rows);
	return status;
}

static enum status
migrate_step(struct sqlite *store, int number, const char *sql, struct buf *why)
{
	struct db_rows rows;
	enum status status = run_file(store, sql, why);

	if (status == OK && number == 1)
		status = first_row(store, why);
	if (status == OK)
		status = db_ask(&store->db, &rows, why, "UPDATE store SET schema = $1 RETURNING schema", DB_INT(number));
	if (status == OK)
		db_rows_release(&rows);
	return status;
}

enum status
sqlite_migrate(struct sqlite *store, struct buf *why)
{
	enum status status = execute(store, "BEGIN IMMEDIATE", why);
	uint32_t written = 0;
	int number = 0;

	if (status == OK)
		status = sqlite_schema(store, &number, why);
	for (size_t i = 0; i < sizeof schema_files / sizeof *schema_files && status == OK; i++)
		if (schema_files[i].number > number)
			status = migrate_step(store, schema_files[i].number, schema_files[i].sql, why);
	if (status == OK && store->gate.held)
		written = group_begin(&store->group);
	if (status == OK)
		status = execute(store, "COMMIT", why);
	if (status == OK && store->gate.held)
		group_written(&store->group, written);
	if (status != OK && sqlite3_get_autocommit(store->handle) == 0)
		sqlite3_exec(store->handle, "ROLLBACK", NULL, NULL, NULL);
	return status;
}

static int
count_frames(void *store, sqlite3 *handle, const char *name, int frames)
{
	(void)handle;
	(void)name;
	((struct sqlite *)store)->wal_frames = frames;
	return SQLITE_OK;
}

/* For comparison: each commit is synced inside the gate, for itself, and what comes after has nothing left to do. */
static bool
syncs_inside(void)
{
	const char *sync = getenv("STILE_SYNC");

	return sync != NULL && strcmp(sync, "full") == 0;
}

static enum status
set_up(struct sqlite *store, struct buf *why)
{
	sqlite3_extended_result_codes(store->handle, 1);
	/* only a backstop for strangers and for the recovery of the WAL's index: among ourselves the gate keeps order */
	sqlite3_busy_timeout(store->handle, 10000);
	sqlite3_db_config(store->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_db_config(store->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_wal_hook(store->handle, count_frames, store);
	sqlite_faults(store);
	return execute(store, syncs_inside() ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", why);
}

/* Under the gate: the database becomes a WAL one, with our schema. */
static enum status
make_or_migrate(struct sqlite *store, struct buf *why)
{
	sqlite3_stmt *statement = NULL;
	enum status status = OK;
	int code;

	if (store->gate.fd >= 0)
		status = gate_take(&store->gate, 10000, why);
	if (status != OK)
		return status;
	/* a commit writes whole pages, and who opens the store alone reads them again: of the sizes this was measured to be the best */
	sqlite3_exec(store->handle, "PRAGMA page_size = 2048", NULL, NULL, NULL);
	code = sqlite3_prepare_v2(store->handle, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		status = sqlite_why(store, code, why);
	else if (store->gate.fd >= 0 && strcmp((const char *)sqlite3_column_text(statement, 0), "wal") != 0)
		status = why_not(why, STORE_DOWN, "%s: this file system can't keep a write-ahead log; set STILE_STORE to a local disk",
		                 store->file);
	sqlite3_finalize(statement);
	if (status == OK)
		status = sqlite_migrate(store, why);
	if (store->gate.held)
		gate_leave(&store->gate);
	return status == OK ? sqlite_settle(store, why) : status;
}

/* Whether all of it is there, but by owner, mode or mount we may only read it.  Its log and index must be there too. */
static bool
may_only_read(const struct sqlite *store, const struct sqlite_options *options)
{
	return !options->make && access(options->file, R_OK) == 0 && access(store->gate.path, F_OK) == 0 &&
	       access(store->gate.path, W_OK) != 0 && (errno == EACCES || errno == EPERM || errno == EROFS);
}

static enum status
open_files(struct sqlite *store, const struct sqlite_options *options, struct buf *why)
{
	bool memory = options->folder == NULL;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (options->make ? SQLITE_OPEN_CREATE : 0);
	struct stat there;
	enum status status;

	if (!memory && lstat(options->file, &there) != 0) {
		if (errno != ENOENT)
			return why_not(why, STORE_DOWN, "%s: %s", options->file, strerror(errno));
		if (!options->make)
			return why_not(why, STORE_DOWN, "%s: there is no store; run `stile init` in the codebase", options->file);
	} else if (!memory && S_ISLNK(there.st_mode)) {
		return why_not(why, STORE_DOWN, "%s: is a link, and a store holds none", options->file);
	}
	if (!memory && (status = file_locks_are_local(options->folder, why)) != OK)
		return status;
	/* who can't write needs no gate: SQLite's own locks keep a checkpoint away from what a reader sees */
	if (!memory && (status = gate_open(&store->gate, options->folder, options->make, why)) != OK &&
	    !(store->read_only = may_only_read(store, options)))
		return status;
	if (store->read_only)
		gate_look(&store->gate);
	if (!memory)
		group_open(&store->group, &store->gate);
	if (store->read_only)
		flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
	if (sqlite3_open_v2(options->file, &store->handle, flags, NULL) != SQLITE_OK)
		return sqlite_why(store, store->handle == NULL ? SQLITE_NOMEM : sqlite3_errcode(store->handle), why);
	return set_up(store, why);
}

/* A new store is its owner's alone: SQLite gives its other files the mode and owner of the first. */
static enum status
make_files(struct sqlite *store, const struct sqlite_options *options, struct buf *why)
{
	mode_t before = umask(0077);
	enum status status = open_files(store, options, why);

	umask(before);
	if (options->folder == NULL || status != OK)
		return status;
	return file_give(options->file, why) == OK && file_give(store->gate.path, why) == OK ? OK : STORE_DOWN;
}

static int
no_folder(const char *path, int *fd)
{
	(void)path;
	(void)fd;
	return SQLITE_CANTOPEN;
}

/*
 * With its first sync of the log a process syncs the folder too, in case it has just made the log: one more flush, paid while
 * the gate is held.  A log with something in it was made by an earlier one, which synced the folder before it answered anybody.
 */
static void
spare_folder(const struct sqlite *store)
{
	char path[4200];
	struct stat log;

	snprintf(path, sizeof path, "%s-wal", store->file);
	if (stat(path, &log) == 0 && log.st_size > 0)
		sqlite3_vfs_find(NULL)->xSetSystemCall(sqlite3_vfs_find(NULL), "openDirectory", (sqlite3_syscall_ptr)no_folder);
}

/*
 * Who opens the database first makes the index of its log anew.  One who may not write can't help in it, but by the next moment it
 * is there.
 */
static enum status
look_at_schema(struct sqlite *store, int *number, struct buf *why)
{
	enum status status = sqlite_schema(store, number, why);

	for (int i = 0; i < LOOKS && status == STORE_DOWN && store->read_only; i++) {
		int code = sqlite3_extended_errcode(store->handle);

		if ((code & 0xff) != SQLITE_READONLY || code <= 0xff)
			break;
		poll(NULL, 0, LOOK_PAUSE_MS);
		status = sqlite_schema(store, number, why);
	}
	return status;
}

static enum status
open_store(struct sqlite *store, const struct sqlite_options *options, struct buf *why)
{
	enum status status = options->make ? make_files(store, options, why) : open_files(store, options, why);
	int number = 0;

	if (status == OK && clock_boot_name(store->boot) != OK)
		status = why_not(why, STORE_DOWN, "/proc can't be read, so this boot can't be told from another");
	if (status == OK)
		status = look_at_schema(store, &number, why);
	if (status == OK && number == 0 && !options->make)
		return why_not(why, STORE_DOWN, "%s: is empty; run `stile init` in the codebase", store->file);
	if (status == OK && number < SCHEMA_NEWEST && store->read_only)
		return why_not(why, STORE_DOWN, "%s: has schema %d, which a user who can write it must bring to %d; let one run `stile status`",
		               store->file, number, SCHEMA_NEWEST);
	if (status == OK && number < SCHEMA_NEWEST)
		status = make_or_migrate(store, why);
	if (status == OK && options->alone && !options->make)
		spare_folder(store);
	/* spared for a store that was there, this one needs it */
	if (options->make)
		sqlite3_vfs_find(NULL)->xSetSystemCall(sqlite3_vfs_find(NULL), "openDirectory", NULL);
	return status;
}

enum status
sqlite_open(const struct sqlite_options *options, struct db **out, struct buf *why)
{
	struct sqlite *store = calloc(1, sizeof *store);
	enum status status;

	if (store != NULL)
		store->file = strdup(options->file);
	if (store != NULL && options->project != NULL)
		store->project = strdup(options->project);
	if (store == NULL || store->file == NULL || (options->project != NULL && store->project == NULL)) {
		if (store != NULL)
			free(store->file);
		free(store);
		return why_not(why, NO_MEMORY, "out of memory");
	}
	if (options->alone) {
		/* one thread: no locks against others, no statistics */
		sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
		sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	}
	store->db.ops = &sqlite_ops;
	store->gate.fd = -1;
	store->listening = WAKE_WORDS;
	store->wal_limit = options->alone ? WAL_LIMIT : WAL_LIMIT_RESIDENT;
	buf_init(&store->failure, WHY_MAX);
	status = open_store(store, options, why);
	if (status == OK)
		*out = &store->db;
	else
		sqlite_ops.close(&store->db, false);
	return status;
}
