/*
 * Many processes go for one token.
 *
 * The anomaly refuted:
 *
 *   spent twice  A sees the token's file; B sees it; A removes it and acts; B finds it gone only after it has acted, too.
 *
 * Rows: R93 R94 R95 R122 R124 N11
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#define CONSUMERS 64
#define ROUNDS 4

struct told {
	enum stile_status status;
	char consumer[80], reason[20];
};

struct race {
	struct codebase codebase;
	char sessions[CONSUMERS][40];
	struct told (*told)[CONSUMERS]; /* shared, a row for each round */
};

static int
open_race(void **state)
{
	struct race *race = calloc(1, sizeof *race);
	struct stile *resident;

	codebase_make(&race->codebase);
	resident = codebase_resident(&race->codebase);
	for (unsigned i = 0; i < CONSUMERS; i++) {
		char name[40];

		snprintf(name, sizeof name, "conversation-%u", i);
		resident_start(resident, name, race->sessions[i]);
	}
	for (unsigned round = 0; round < ROUNDS; round++)
		if (resident_call(resident, NULL, "token issue", "{\"name\":\"token-%u\",\"scope\":\"opus\"}", round) != STILE_OK)
			return -1;
	stile_close(resident);
	race->told = scratch_shared(ROUNDS * sizeof *race->told);
	*state = race;
	return 0;
}

static int
close_race(void **state)
{
	struct race *race = *state;
	bool whole = codebase_is_whole(&race->codebase);

	scratch_unshare(race->told, ROUNDS * sizeof *race->told);
	codebase_remove(&race->codebase);
	free(race);
	return whole ? 0 : -1;
}

static int
consumes(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct told *told = &race->told[round][member->index];
		json_t *document;

		if (!crowd_together(member))
			return 1;
		told->status = resident_call(resident, &document, "token consume",
		                             "{\"name\":\"token-%u\",\"scope\":\"opus\",\"session\":\"%s\"}", round,
		                             race->sessions[member->index]);
		snprintf(told->consumer, sizeof told->consumer, "%s", json_text(document, "consumer", ""));
		snprintf(told->reason, sizeof told->reason, "%s", json_text(document, "reason", ""));
		json_decref(document);
	}
	stile_close(resident);
	return 0;
}

static void
of_sixty_four_consumers_one_wins_and_the_others_are_told_who(void **state)
{
	struct race *race = *state;

	assert_true(crowd_run(CONSUMERS, consumes, race));
	for (unsigned round = 0; round < ROUNDS; round++) {
		const char *winner = NULL;
		unsigned wins = 0;

		for (unsigned i = 0; i < CONSUMERS; i++)
			if (race->told[round][i].status == STILE_OK) {
				wins++;
				winner = race->sessions[i];
			}
		assert_int_equal(wins, 1);
		for (unsigned i = 0; i < CONSUMERS; i++) {
			assert_string_equal(race->told[round][i].consumer, winner);
			if (race->told[round][i].status != STILE_OK) {
				assert_int_equal(race->told[round][i].status, STILE_HELD);
				assert_string_equal(race->told[round][i].reason, "consumed");
			}
		}
	}
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("token.consumed")),
	                 ROUNDS);
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("token.refused")),
	                 ROUNDS * (CONSUMERS - 1));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_race, close_race)

CONTRACT_TESTS(TEST(of_sixty_four_consumers_one_wins_and_the_others_are_told_who))
