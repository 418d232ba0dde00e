#include "db/sqlite_store.h"

#include "os/fault.h"

/*
 * The log and its way to the disk.  SQLite writes it inside the gate without a sync (synchronous=NORMAL: it syncs the log before
 * it copies it back, and the database after); the sync that an answer needs comes after the gate and is shared.
 */
#define GATE_MS 10000

enum status
sqlite_unmarked(struct sqlite *store, struct buf *why)
{
	if (store->group.page == NULL || !group_is_marked(&store->group))
		return OK;
	return why_not(why, STORE_DOWN,
	               "%s: the disk failed to keep what was written to it; run `stile doctor`, which looks at it and "
	               "opens it again if it is whole",
	               store->file);
}

static int
copy_back(struct sqlite *store, int mode, bool *all)
{
	int frames = 0, copied = 0, code;

	sqlite_fault_section(FAULT_CHECKPOINT);
	code = sqlite3_wal_checkpoint_v2(store->handle, NULL, mode, &frames, &copied);
	sqlite_fault_section(NULL);
	*all = code == SQLITE_OK && copied == frames;
	return code;
}

/*
 * Under the gate, when a sync has failed: what the log holds goes into the database, or nobody may use the store any more.  The
 * mark comes first: one that ends before it is through leaves it behind.
 */
static enum status
save(struct sqlite *store, struct buf *why)
{
	bool all;

	group_mark(&store->group, true);
	sqlite3_busy_timeout(store->handle, GATE_MS);
	copy_back(store, SQLITE_CHECKPOINT_RESTART, &all);
	if (all)
		group_mark(&store->group, false);
	return sqlite_unmarked(store, why);
}

void
sqlite_checkpoint(struct sqlite *store)
{
	bool all;
	int code;

	/* a reader in the way leaves the rest for the next one */
	sqlite3_busy_timeout(store->handle, 0);
	code = copy_back(store, SQLITE_CHECKPOINT_PASSIVE, &all);
	/* whoever waits for it finds the mark */
	if (code == SQLITE_IOERR_FSYNC && save(store, NULL) != OK)
		return;
	if (!all)
		return;
	group_synced(&store->group);
	/*
	 * The log is not cut but written anew from its start, since to overwrite costs half of what it costs to grow.  By this
	 * process: that all was copied back is known only until the last one that has the store open ends.  The number, which nothing
	 * uses, is written even when it is what it was.
	 */
	sqlite3_exec(store->handle, "PRAGMA user_version = 1", NULL, NULL, NULL);
}

static bool
sync_file(struct sqlite *store)
{
	sqlite3_file *log = NULL;

	if (sqlite3_file_control(store->handle, NULL, SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK || log == NULL)
		return false;
	/* one that was never opened holds nothing that we wrote or saw */
	return log->pMethods == NULL || log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) == SQLITE_OK;
}

/* Marked, it may be that somebody is saving the log at this moment, who has the gate. */
static enum status
unmarked_in_the_end(struct sqlite *store, struct buf *why)
{
	enum status status = sqlite_unmarked(store, NULL);

	if (status == OK)
		return OK;
	status = gate_take(&store->gate, GATE_MS, why);
	if (status != OK)
		return status;
	status = sqlite_unmarked(store, why);
	gate_leave(&store->gate);
	return status;
}

static enum status
sync_log(void *data, struct buf *why)
{
	struct sqlite *store = data;
	enum status status = unmarked_in_the_end(store, why);

	if (status != OK)
		return status;
	/* the kernel tells a failure once: a sync may go well after another's has failed, and without what that one lost */
	if (sync_file(store))
		return unmarked_in_the_end(store, why);
	group_mark(&store->group, true);
	status = gate_take(&store->gate, GATE_MS, why);
	if (status != OK)
		return status;
	status = save(store, why);
	gate_leave(&store->gate);
	return status;
}

enum status
sqlite_wait(struct sqlite *store, uint32_t number, struct buf *why)
{
	return group_wait(&store->group, number, sync_log, store, why);
}

enum status
sqlite_settle(struct sqlite *store, struct buf *why)
{
	/* who may not write counts nothing with the others */
	if (store->read_only && !sync_file(store))
		return why_not(why, STORE_DOWN, "%s: the disk failed to keep what was read", store->file);
	if (store->read_only)
		return sqlite_unmarked(store, why);
	return store->group.page == NULL ? OK : group_settle(&store->group, sync_log, store, why);
}

static enum status
look_at_all(struct sqlite *store, struct buf *why)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(store->handle, "PRAGMA integrity_check(1)", -1, &statement, NULL);
	enum status status;

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		status = sqlite_why(store, code, why);
	else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
		status = why_not(why, STORE_DOWN, "%s: is damaged (%s); move it away and run `stile init`", store->file,
		                 (const char *)sqlite3_column_text(statement, 0));
	else
		status = OK;
	sqlite3_finalize(statement);
	return status;
}

enum status
sqlite_mend(struct sqlite *store, struct buf *why)
{
	enum status status;

	if (store->read_only || sqlite_unmarked(store, NULL) == OK)
		return sqlite_unmarked(store, why);
	status = gate_take(&store->gate, GATE_MS, why);
	if (status != OK)
		return status;
	status = look_at_all(store, why);
	if (status == OK)
		status = save(store, why);
	gate_leave(&store->gate);
	return status != OK ? status
	                    : why_not(why, OK,
	                              "the disk had failed to keep what was written; all of it was looked at, is whole, and is in "
	                              "use again");
}
