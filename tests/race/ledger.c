/*
 * Many processes append to one ledger.
 *
 * The anomalies refuted:
 *
 *   a fork       A reads the head; B reads the same head; both write an entry that follows it: the chain has two ends, and one of
 *                them is lost.  A lock that is let go of after a time-out makes it under load alone.
 *   a key twice  A looks for the key, and B, and neither finds it; both append.
 *
 * Rows: R86 R87 N10 R122 N11
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#define APPENDERS 64
#define EACH 8
#define KEYED 16
#define KEYS 4

struct told {
	enum stile_status status;
	int64_t seq;
	bool created;
};

struct race {
	struct codebase codebase;
	struct told (*told)[APPENDERS]; /* shared, a row for each round */
};

static int
open_race(void **state)
{
	struct race *race = calloc(1, sizeof *race);

	codebase_make(&race->codebase);
	race->told = scratch_shared(EACH * sizeof *race->told);
	*state = race;
	return 0;
}

static int
close_race(void **state)
{
	struct race *race = *state;
	bool whole = codebase_is_whole(&race->codebase);

	scratch_unshare(race->told, EACH * sizeof *race->told);
	codebase_remove(&race->codebase);
	free(race);
	return whole ? 0 : -1;
}

static void
take_answer(struct told *told, json_t *document)
{
	told->seq = json_whole(document, "seq", 0);
	told->created = json_truth(document, "created");
	json_decref(document);
}

static int
appends(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);

	if (!crowd_together(member))
		return 1;
	for (unsigned round = 0; round < EACH; round++) {
		struct told *told = &race->told[round][member->index];
		json_t *document;

		told->status = resident_call(resident, &document, "ledger append", "{\"ledger\":\"audit\",\"body\":\"%u of %u\"}", round,
		                             member->index);
		take_answer(told, document);
	}
	stile_close(resident);
	return 0;
}

static int
appends_a_key(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);

	for (unsigned round = 0; round < KEYS; round++) {
		struct told *told = &race->told[round][member->index];
		json_t *document;

		if (!crowd_together(member))
			return 1;
		told->status = resident_call(resident, &document, "ledger append",
		                             "{\"ledger\":\"audit\",\"body\":\"found\",\"key\":\"ticket-%u\"}", round);
		take_answer(told, document);
	}
	stile_close(resident);
	return 0;
}

/* That the chain is whole and has so many entries, by its own account and by the rows. */
static void
is_whole(struct race *race, int64_t entries)
{
	struct stile *resident = codebase_resident(&race->codebase);
	json_t *document;

	assert_int_equal(resident_call(resident, &document, "ledger verify", "{\"ledger\":\"audit\"}"), STILE_OK);
	assert_int_equal(json_whole(document, "entries", 0), entries);
	assert_int_equal(json_whole(document, "seq", 0), entries);
	json_decref(document);
	stile_close(resident);
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(DISTINCT prev) FROM ledger_entry WHERE ledger = $1",
	                                 DB_TEXT("audit")),
	                 entries);
}

static void
sixty_four_appenders_make_one_chain_and_no_entry_is_lost(void **state)
{
	struct race *race = *state;
	bool seen[APPENDERS * EACH + 1] = {false};

	assert_true(crowd_run(APPENDERS, appends, race));
	for (unsigned round = 0; round < EACH; round++)
		for (unsigned i = 0; i < APPENDERS; i++) {
			struct told *told = &race->told[round][i];

			assert_int_equal(told->status, STILE_OK);
			assert_in_range(told->seq, 1, APPENDERS * EACH);
			assert_false(seen[told->seq]);
			seen[told->seq] = true;
			/* each one's own are in the order in which it was answered */
			assert_true(round == 0 || told->seq > race->told[round - 1][i].seq);
		}
	is_whole(race, (int64_t)APPENDERS * EACH);
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(DISTINCT body) FROM ledger_entry WHERE ledger = $1",
	                                 DB_TEXT("audit")),
	                 APPENDERS * EACH);
}

static void
a_key_that_sixteen_append_at_once_is_one_entry(void **state)
{
	struct race *race = *state;

	assert_true(crowd_run(KEYED, appends_a_key, race));
	for (unsigned round = 0; round < KEYS; round++) {
		unsigned created = 0;

		for (unsigned i = 0; i < KEYED; i++) {
			assert_int_equal(race->told[round][i].status, STILE_OK);
			assert_int_equal(race->told[round][i].seq, round + 1);
			created += race->told[round][i].created;
		}
		assert_int_equal(created, 1);
	}
	is_whole(race, KEYS);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_race, close_race)

CONTRACT_TESTS(TEST(sixty_four_appenders_make_one_chain_and_no_entry_is_lost), TEST(a_key_that_sixteen_append_at_once_is_one_entry))
