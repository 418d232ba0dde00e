#include "db/postgres_store.h"
#include "db/postgres_wake.h"

#include "os/clock.h"
#include "os/random.h"

#include <poll.h>

static enum status
begin_listening(struct postgres *store, struct buf *why)
{
	char name[WAKE_SIZE], sql[WAKE_SIZE + 20];
	uint64_t random;
	PGresult *last;
	enum status status;

	if (random_bytes(&random, sizeof random) != OK)
		return why_not(why, STORE_DOWN, "the system has no randomness to give");
	snprintf(name, sizeof name, "stile_%016llx", (unsigned long long)random);
	snprintf(sql, sizeof sql, "LISTEN %s", name);
	postgres_send_once(store, sql);
	status = postgres_answers(store, &last, why);
	if (status != OK)
		return status == NO_SUCH ? STORE_DOWN : status;
	PQclear(last);
	memcpy(store->channel, name, sizeof store->channel);
	return OK;
}

/* A first answer tells whether there is a pooler between. */
static enum status
meet(struct postgres *store, struct buf *why)
{
	enum status status;

	if (store->conn != NULL && store->met)
		return OK;
	status = db_begin(&store->db, false, POSTGRES_WAIT_MIN_MS, why);
	if (status == OK)
		db_rollback(&store->db);
	return status;
}

enum status
postgres_listen(struct db *db, char address[WAKE_SIZE], struct buf *why)
{
	struct postgres *store = (struct postgres *)db;
	enum status status = meet(store, why);

	if (status == OK && store->channel[0] == '\0' && store->conn != NULL && !store->pooled)
		status = begin_listening(store, why);
	memcpy(address, store->channel, WAKE_SIZE);
	return status;
}

static enum status
lock_some_key(struct postgres *store, struct buf *why)
{
	char proof[WAKE_SIZE], sql[WAKE_SIZE + 40];
	uint32_t key[2];
	PGresult *last;
	enum status status;

	if (random_bytes(key, sizeof key) != OK)
		return why_not(why, STORE_DOWN, "the system has no randomness to give");
	snprintf(proof, sizeof proof, "%d.%u.%u", PQbackendPID(store->conn), key[0] >> 1, key[1] >> 1);
	snprintf(sql, sizeof sql, "SELECT pg_advisory_lock(%u, %u)", key[0] >> 1, key[1] >> 1);
	postgres_send_once(store, sql);
	status = postgres_answers(store, &last, why);
	if (status != OK)
		return status == NO_SUCH ? STORE_DOWN : status;
	PQclear(last);
	memcpy(store->proof, proof, sizeof store->proof);
	return OK;
}

enum status
postgres_prove(struct db *db, char proof[WAKE_SIZE], struct buf *why)
{
	struct postgres *store = (struct postgres *)db;
	enum status status = meet(store, why);

	if (status == OK && store->proof[0] == '\0' && store->conn != NULL && !store->pooled)
		status = lock_some_key(store, why);
	memcpy(proof, store->proof, WAKE_SIZE);
	return status;
}

bool
postgres_proven(struct db *db, const char *proof)
{
	struct db_rows rows;
	bool there;

	if (*proof == '\0' || db_ask(db, &rows, NULL,
	                             "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2"
	                             " AND database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())"
	                             " AND pid || '.' || classid || '.' || objid = $1",
	                             DB_TEXT(proof)) != OK)
		return false;
	there = db_int(&rows, 0, 0) > 0;
	db_rows_release(&rows);
	return there;
}

void
postgres_wake(struct db *db, const char *address)
{
	if (*address != '\0')
		postgres_send((struct postgres *)db, "SELECT pg_notify($1, '')", DB_ARGS(DB_TEXT(address)));
}

/* Whether one has come; others' channels aren't listened on. */
static bool
take_notices(struct postgres *store)
{
	PGnotify *notice;
	bool any = false;

	while ((notice = PQnotifies(store->conn)) != NULL) {
		PQfreemem(notice);
		any = true;
	}
	return any;
}

void
postgres_sleep(struct db *db, int64_t limit_ms)
{
	struct postgres *store = (struct postgres *)db;
	struct pollfd there = {.fd = -1, .events = POLLIN};
	int64_t until_ms = clock_boot_ms() + limit_ms;

	if (store->conn != NULL && store->channel[0] != '\0')
		there.fd = PQsocket(store->conn);
	while (store->conn == NULL || !take_notices(store)) {
		int64_t left_ms = until_ms - clock_boot_ms();

		if (left_ms <= 0 || poll(&there, 1, (int)left_ms) <= 0)
			return;
		/* the next that asks connects anew */
		if (PQconsumeInput(store->conn) == 0)
			there.fd = -1;
	}
}
