#include "db/postgres_store.h"

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

enum status
postgres_listen(struct db *db, char address[WAKE_SIZE], struct buf *why)
{
	struct postgres *store = (struct postgres *)db;
	enum status status = OK;

	/* a first answer tells whether there is a pooler between */
	if (store->conn == NULL || !store->met) {
		status = db_begin(db, false, POSTGRES_WAIT_MIN_MS, why);
		if (status == OK)
			db_rollback(db);
	}
	if (status == OK && store->channel[0] == '\0' && store->conn != NULL && !store->pooled)
		status = begin_listening(store, why);
	memcpy(address, store->channel, WAKE_SIZE);
	return status;
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
