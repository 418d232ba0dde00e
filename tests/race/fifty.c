/*
 * Fifty sessions at once, each a process that does what sessions do; each finds its own numbers and nobody else's.
 *
 * The anomalies refuted: what race/start.c, race/binding.c, race/metric.c and race/checkpoint.c name, all at once and among
 * many; and that one of many is told "busy" though everybody works.
 *
 * Rows: R2 R5 R122 N11
 * Time limit: 600 s
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#include <unistd.h>

#define SESSIONS 50

struct soak {
	struct codebase codebase;
	unsigned rounds;
	char (*ids)[40]; /* shared */
};

static int
lives(const struct member *member)
{
	struct soak *soak = member->arg;
	struct stile *resident = codebase_resident(&soak->codebase);
	char name[40], *id = soak->ids[member->index];
	bool well = crowd_together(member);
	unsigned n = member->index;

	snprintf(name, sizeof name, "conversation-%u", n);
	resident_start(resident, name, id);
	well = well && *id != '\0' &&
	       resident_call(resident, NULL, "session bind", "{\"session\":\"%s\",\"slot\":\"memory\",\"value\":\"m-%u\"}", id,
	                     n) == STILE_OK;
	for (unsigned i = 0; i < soak->rounds && well; i++)
		well = resident_call(resident, NULL, "metric add", "{\"session\":\"%s\",\"name\":\"messages\",\"amount\":1}", id) ==
		           STILE_OK &&
		       resident_call(resident, NULL, "metric set", "{\"session\":\"%s\",\"name\":\"context_tokens\",\"amount\":%u}", id,
		                     (n + 1) * 4000 * (i + 1) / soak->rounds) == STILE_OK &&
		       resident_call(resident, NULL, "session heartbeat", "{\"session\":\"%s\"}", id) == STILE_OK &&
		       resident_call(resident, NULL, "metric show", "{\"session\":\"%s\"}", id) == STILE_OK;
	stile_close(resident);
	return well ? 0 : 2;
}

static void
assert_own_numbers(const struct soak *soak, struct db *db)
{
	for (unsigned i = 0; i < SESSIONS; i++) {
		const char *id = soak->ids[i];
		char value[20];
		unsigned tokens = (i + 1) * 4000;

		snprintf(value, sizeof value, "m-%u", i);
		assert_int_equal(store_number(db, "SELECT value FROM metric WHERE name = 'messages' AND session = $1", DB_TEXT(id)),
		                 soak->rounds);
		assert_int_equal(store_number(db, "SELECT value FROM metric WHERE name = 'context_tokens' AND session = $1",
		                              DB_TEXT(id)),
		                 tokens);
		assert_int_equal(store_number(db, "SELECT count(*) FROM binding WHERE session = $1 AND value = $2", DB_TEXT(id),
		                              DB_TEXT(value)),
		                 1);
		assert_int_equal(store_number(db, "SELECT events FROM session WHERE session = $1", DB_TEXT(id)), soak->rounds);
		assert_int_equal(store_number(db, "SELECT count(*) FROM checkpoint WHERE session = $1", DB_TEXT(id)),
		                 (tokens >= 50000) + (tokens >= 100000) + (tokens >= 150000));
		/* start, binding, two metrics a round, what fired */
		assert_int_equal(store_number(db, "SELECT count(*) FROM audit WHERE session = $1", DB_TEXT(id)),
		                 2 + 2 * soak->rounds + (tokens >= 50000) + (tokens >= 100000) + (tokens >= 150000));
	}
}

static void
fifty_sessions_at_once_keep_their_own(void **state)
{
	struct soak soak = {.rounds = share_is_full() ? 200 : 6};
	struct stile *resident;
	struct db *db;
	json_t *document;

	codebase_make(&soak.codebase);
	soak.ids = scratch_shared(SESSIONS * sizeof *soak.ids);
	assert_true(crowd_run(SESSIONS, lives, &soak));
	resident = codebase_resident(&soak.codebase);
	assert_int_equal(resident_call(resident, &document, "session list", "{}"), STILE_OK);
	assert_int_equal(json_array_size(json_object_get(document, "sessions")), SESSIONS);
	json_decref(document);
	stile_close(resident);
	db = contract_store(contract_now, soak.codebase.store);
	assert_own_numbers(&soak, db);
	assert_int_equal(store_number(db, "SELECT count(*) FROM audit WHERE session = '' OR actor = $1", DB_TEXT("")), 0);
	assert_true(store_is_whole(db));
	contract_close(db);
	scratch_unshare(soak.ids, SESSIONS * sizeof *soak.ids);
	codebase_remove(&soak.codebase);
}

CONTRACT_TESTS(cmocka_unit_test(fifty_sessions_at_once_keep_their_own))
