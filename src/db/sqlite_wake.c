#include "db/sqlite_store.h"

#include "base/str.h"
#include "os/random.h"

enum status
sqlite_listen(struct db *db, char address[WAKE_SIZE], struct buf *why)
{
	struct sqlite *store = (struct sqlite *)db;
	uint32_t random;

	if (store->gate.page == NULL) {
		*address = '\0';
		return OK;
	}
	if (store->listening == WAKE_WORDS) {
		if (random_bytes(&random, sizeof random) != OK)
			return why_not(why, STORE_DOWN, "the system has no randomness to give");
		store->listening = random % WAKE_WORDS;
	}
	store->heard = wake_count(&store->gate, store->listening);
	snprintf(address, WAKE_SIZE, "%u", store->listening);
	return OK;
}

void
sqlite_wake(struct db *db, const char *address)
{
	struct sqlite *store = (struct sqlite *)db;
	int64_t word;

	if (str_integer(address, 0, WAKE_WORDS - 1, &word) != OK)
		return;
	if (store->wake_count == store->wake_cap) {
		size_t cap = store->wake_cap == 0 ? 16 : store->wake_cap * 2;
		unsigned *wakes = realloc(store->wakes, cap * sizeof *wakes);

		/* a hint that is lost costs its waiter a second */
		if (wakes == NULL)
			return;
		store->wakes = wakes;
		store->wake_cap = cap;
	}
	store->wakes[store->wake_count++] = (unsigned)word;
}

void
sqlite_wake_all(struct sqlite *store)
{
	for (size_t i = 0; i < store->wake_count; i++)
		wake_raise(&store->gate, store->wakes[i]);
	sqlite_wake_none(store);
}

void
sqlite_wake_none(struct sqlite *store)
{
	store->wake_count = 0;
}

void
sqlite_sleep(struct db *db, int64_t limit_ms)
{
	struct sqlite *store = (struct sqlite *)db;

	if (store->gate.page == NULL || store->listening == WAKE_WORDS)
		return;
	wake_sleep(&store->gate, store->listening, store->heard, limit_ms);
	store->heard = wake_count(&store->gate, store->listening);
}

/* All are on this machine. */
enum status
sqlite_prove(struct db *db, char proof[WAKE_SIZE], struct buf *why)
{
	(void)db;
	(void)why;
	*proof = '\0';
	return OK;
}

bool
sqlite_proven(struct db *db, const char *proof)
{
	(void)db;
	(void)proof;
	return false;
}
