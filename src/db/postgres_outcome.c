/*
 * A connection lost while committing proves nothing; the key that the transaction put into the table `operation` does.  Why a
 * table and not pg_xact_status(): the number of a transaction means nothing on another timeline, where it is given anew after a
 * fail-over, while a row goes to the standby with the transaction that made it.
 */
#include "db/postgres_store.h"
#include "os/clock.h"
#include "os/random.h"

#define BEGINS_PER_SWEEP 64 /* on average one of so many takes old keys of operations away ... */
#define SWEEP_MAX "256"     /* ... at most so many, which is more than were made since */

enum status
postgres_make_key(struct postgres *store, bool *sweep, struct buf *why)
{
	uint8_t random[(POSTGRES_KEY_SIZE - 1) / 2];

	if (random_bytes(random, sizeof random) != OK)
		return why_not(why, STORE_DOWN, "the system has no randomness to give");
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(store->key + 2 * i, 3, "%02x", random[i]);
	*sweep = random[0] % BEGINS_PER_SWEEP == 0;
	return OK;
}

/* Of the project whose row we have, so that no two meet in it. */
void
postgres_sweep(struct postgres *store)
{
	const struct db_value args[] = {DB_TEXT(store->project), DB_INT(POSTGRES_KEY_KEPT_MS)};

	postgres_send(store,
	              "DELETE FROM operation WHERE ctid = ANY (ARRAY(SELECT o.ctid FROM operation o WHERE o.project = $1 AND"
	              " o.at_ms < " POSTGRES_NOW " - $2::bigint ORDER BY o.at_ms LIMIT " SWEEP_MAX "))",
	              args, 2);
}

enum status
postgres_unknown(const struct postgres *store, const char *what, struct buf *why)
{
	return why_not(why, OUTCOME_UNKNOWN,
	               "%s: %s while committing; it is not known whether it was done; look before trying again", store->name, what);
}

struct lost {
	char key[POSTGRES_KEY_SIZE];
	int64_t at_ms; /* or later */
};

static enum status
ask_for(struct postgres *store, const struct lost *lost, bool *there)
{
	const struct db_value args[] = {DB_TEXT(store->project), DB_INT(lost->at_ms), DB_TEXT(lost->key)};
	PGresult *last;
	enum status status;

	postgres_send(store, "SELECT count(*) FROM operation WHERE project = $1 AND at_ms >= $2 AND key = $3", args, 3);
	status = postgres_answers(store, &last, NULL);
	if (status != OK)
		return status;
	*there = PQgetvalue(last, 0, 0)[0] == '1';
	PQclear(last);
	return OK;
}

/*
 * A write transaction like any other, and that is the point.  It takes the project's row, which the lost one has as long as it runs,
 * so one that isn't there then will never be.  And its own commit waits for the standby, so that what it has seen is there too.
 */
static enum status
look(struct postgres *store, const struct lost *lost, bool *there)
{
	int64_t left_ms = store->until_boot_ms - clock_boot_ms();
	bool older;
	enum status status;

	store->wait_ms = left_ms > 0 ? left_ms : 1;
	status = store->conn != NULL ? OK : postgres_connect(store, NULL);
	if (status == OK)
		status = postgres_begin(store, true, &older, NULL);
	if (status == OK)
		status = ask_for(store, lost, there);
	if (status == OK)
		status = postgres_commit(store, NULL);
	else if (store->conn != NULL)
		postgres_drop(store);
	return status == OK && store->unreplicated ? OUTCOME_UNKNOWN : status;
}

enum status
postgres_outcome(struct postgres *store, struct buf *why)
{
	int64_t pause_ms = 0, least_ms = clock_boot_ms() + POSTGRES_LOOK_MIN_MS;
	struct lost lost = {.at_ms = store->key_ms};
	bool there = false;
	enum status status;

	memcpy(lost.key, store->key, sizeof lost.key);
	store->until_boot_ms = store->began_boot_ms + store->wait_ms;
	if (store->until_boot_ms < least_ms)
		store->until_boot_ms = least_ms;
	do
		status = look(store, &lost, &there);
	while (status != OK && postgres_pause(&pause_ms, store->until_boot_ms));
	store->until_boot_ms = 0;
	if (status != OK)
		return postgres_unknown(store, "the connection was lost", why);
	return there ? OK
	             : why_not(why, BUSY,
	                       "%s: the connection was lost before the commit came to the server; nothing was done; try again",
	                       store->name);
}
