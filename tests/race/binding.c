/*
 * Many processes bind at the same instant.
 *
 * The anomalies refuted:
 *
 *   a winner overwritten  A reads the slot and finds it empty; B reads it and finds it empty; A writes its value and goes on
 *                         with it; B writes over it, and neither learns of the other (Trinity #779).
 *   one value, two owners A finds that the value is nobody's; B finds so too; each writes it down as its own session's.
 *   a generation lost     A and B both read generation 3 and both write their value as the fourth.
 *
 * Rows: R15 R28 R29 R30 R122 N11
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#include <unistd.h>

#define RACERS 16
#define REBINDERS 8

enum { SLOT_LEN = 24, VALUE_LEN = 40 };

/* What one racer was told. */
struct outcome {
	enum stile_status status;
	char value[VALUE_LEN]; /* that it was told holds */
	int64_t generation;
};

struct race {
	struct codebase codebase;
	char sessions[RACERS][40];
	unsigned rounds;
	struct outcome *outcomes; /* shared: rounds * RACERS */
	size_t size;
};

static unsigned
rounds(void)
{
	return share_is_full() ? 200 : 20;
}

static int
open_race(void **state)
{
	struct race *race = calloc(1, sizeof *race);
	struct stile *resident;

	codebase_make(&race->codebase);
	resident = codebase_resident(&race->codebase);
	for (unsigned i = 0; i < RACERS; i++) {
		char name[40];

		snprintf(name, sizeof name, "conversation-%u", i);
		resident_start(resident, name, race->sessions[i]);
	}
	stile_close(resident);
	race->rounds = rounds();
	race->size = race->rounds * RACERS * sizeof *race->outcomes;
	race->outcomes = scratch_shared(race->size);
	*state = race;
	return 0;
}

static int
close_race(void **state)
{
	struct race *race = *state;
	bool whole = codebase_is_whole(&race->codebase);

	scratch_unshare(race->outcomes, race->size);
	codebase_remove(&race->codebase);
	free(race);
	return whole ? 0 : -1;
}

static void
bind(struct stile *resident, const char *session, const char *slot, const char *value, bool rebind, struct outcome *out)
{
	json_t *document;

	out->status = resident_call(resident, &document, "session bind",
	                            "{\"session\":\"%s\",\"slot\":\"%s\",\"value\":\"%s\",\"rebind\":%s}", session, slot, value,
	                            rebind ? "true" : "false");
	snprintf(out->value, sizeof out->value, "%s", json_text(document, "value", ""));
	out->generation = json_whole(document, "generation", 0);
	json_decref(document);
}

/* Each round all bind the same slot of one session, each to its own value. */
static int
binds_its_own_value(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	char slot[SLOT_LEN], value[VALUE_LEN];

	for (unsigned round = 0; round < race->rounds; round++) {
		snprintf(slot, sizeof slot, "slot-%u", round);
		snprintf(value, sizeof value, "value-%u-%u", round, member->index);
		if (!crowd_together(member))
			return 1;
		bind(resident, race->sessions[0], slot, value, false, &race->outcomes[round * RACERS + member->index]);
	}
	stile_close(resident);
	return 0;
}

/* Exactly one of these said yes; which. */
static unsigned
winner(const struct outcome *outcomes)
{
	unsigned found = 0, count = 0;

	for (unsigned i = 0; i < RACERS; i++) {
		assert_true(outcomes[i].status == STILE_OK || outcomes[i].status == STILE_CONFLICT);
		if (outcomes[i].status == STILE_OK) {
			found = i;
			count++;
		}
	}
	assert_int_equal(count, 1);
	return found;
}

/* Rows: R28 */
static void
of_racing_binders_one_wins_and_each_loser_is_told_the_winners_value(void **state)
{
	struct race *race = *state;

	assert_true(crowd_run(RACERS, binds_its_own_value, race));
	for (unsigned round = 0; round < race->rounds; round++) {
		const struct outcome *outcomes = &race->outcomes[round * RACERS];
		char slot[SLOT_LEN], value[VALUE_LEN];

		snprintf(slot, sizeof slot, "slot-%u", round);
		snprintf(value, sizeof value, "value-%u-%u", round, winner(outcomes));
		for (unsigned i = 0; i < RACERS; i++) {
			assert_string_equal(outcomes[i].value, value);
			assert_int_equal(outcomes[i].generation, 1);
		}
	}
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM binding WHERE slot LIKE $1", DB_TEXT("slot-%")),
	                 race->rounds);
	/* every refusal is in the trail, with the value that holds and the one that was refused */
	assert_int_equal(codebase_number(&race->codebase,
	                                 "SELECT count(DISTINCT a.after) FROM audit a JOIN binding b ON b.session = a.session AND "
	                                 "b.slot ="
	                                 " a.subject AND b.value = a.before WHERE a.kind = $1 AND a.after <> a.before",
	                                 DB_TEXT("binding.refused")),
	                 race->rounds * (RACERS - 1));
}

/* Each round every session binds one and the same value. */
static int
binds_the_same_value(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	char value[VALUE_LEN], slot[SLOT_LEN];

	for (unsigned round = 0; round < race->rounds; round++) {
		snprintf(value, sizeof value, "contested-%u", round);
		snprintf(slot, sizeof slot, "slot-%u", round);
		if (!crowd_together(member))
			return 1;
		bind(resident, race->sessions[member->index], slot, value, false, &race->outcomes[round * RACERS + member->index]);
	}
	stile_close(resident);
	return 0;
}

/* Rows: R15 */
static void
a_value_that_many_sessions_bind_at_once_belongs_to_one(void **state)
{
	struct race *race = *state;

	assert_true(crowd_run(RACERS, binds_the_same_value, race));
	for (unsigned round = 0; round < race->rounds; round++) {
		const struct outcome *outcomes = &race->outcomes[round * RACERS];
		unsigned won = winner(outcomes);

		for (unsigned i = 0; i < RACERS; i++)
			assert_int_equal(outcomes[i].generation, i == won ? 1 : 0);
	}
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM binding WHERE value LIKE $1",
	                                 DB_TEXT("contested-%")),
	                 race->rounds);
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("binding.refused")),
	                 race->rounds * (RACERS - 1));
}

static int
rebinds(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	char value[VALUE_LEN];
	struct outcome outcome;
	bool well = true;

	if (!crowd_together(member))
		return 1;
	for (unsigned round = 0; round < race->rounds; round++) {
		snprintf(value, sizeof value, "value-%u-%u", round, member->index);
		bind(resident, race->sessions[0], "resume", value, true, &outcome);
		well = well && outcome.status == STILE_OK && str_equal(outcome.value, value);
	}
	stile_close(resident);
	return well ? 0 : 2;
}

/* Rows: R29 R30 */
static void
racing_rebindings_make_one_generation_each_and_none_is_lost(void **state)
{
	struct race *race = *state;
	unsigned all = race->rounds * REBINDERS;

	assert_true(crowd_run(REBINDERS, rebinds, race));
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM binding WHERE slot = $1", DB_TEXT("resume")), all);
	assert_int_equal(codebase_number(&race->codebase, "SELECT max(generation) FROM binding WHERE slot = $1", DB_TEXT("resume")),
	                 all);
	/* the trail is a chain: what each found is what the one before it had set */
	assert_int_equal(codebase_number(&race->codebase,
	                                 "SELECT count(*) FROM (SELECT before, lag(after, 1, '') OVER (ORDER BY seq) AS expected"
	                                 " FROM audit WHERE kind = 'binding.set' AND subject = $1) AS t WHERE before <> expected",
	                                 DB_TEXT("resume")),
	                 0);
}

/* The program itself, for what the library can't show: exit status and what is printed.  Rows: R28 */
static void
a_program_that_loses_ends_with_1_and_prints_the_winners_value(void **state)
{
	struct race *race = *state;
	struct running running[8];
	char value[VALUE_LEN], held[VALUE_LEN] = "";
	int losers = 0;

	for (int i = 0; i < 8; i++) {
		snprintf(value, sizeof value, "value-%d", i);
		codebase_start(&race->codebase, &running[i],
		               (const char *const[]){"session", "bind", race->sessions[0], "memory", value, "--json", NULL});
	}
	for (int i = 0; i < 8; i++) {
		struct said said;
		json_t *document;

		codebase_finish(&running[i], &said);
		document = said_document(&said);
		assert_non_null(document);
		losers += said.status == 1;
		assert_true(said.status == 0 || (said.status == 1 && str_equal(json_text(document, "error", ""), "conflict")));
		if (*held == '\0')
			snprintf(held, sizeof held, "%s", json_text(document, "value", ""));
		assert_string_equal(json_text(document, "value", ""), held);
		json_decref(document);
	}
	assert_int_equal(losers, 7);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_race, close_race)

CONTRACT_TESTS(TEST(of_racing_binders_one_wins_and_each_loser_is_told_the_winners_value),
               TEST(a_value_that_many_sessions_bind_at_once_belongs_to_one),
               TEST(racing_rebindings_make_one_generation_each_and_none_is_lost),
               TEST(a_program_that_loses_ends_with_1_and_prints_the_winners_value))
