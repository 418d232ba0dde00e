/*
 * Many processes add to the counters of several sessions at the same instant.
 *
 * The anomalies refuted:
 *
 *   a lost update  A reads 41; B reads 41; A writes 42; B writes 42: one message is gone.
 *   a blend        A and B keep their counters in one file: 42 and 18 become 60, 85,000 and 32,000 become 117,000.
 *
 * Rows: R69 R75 R77 R78 R122 N11
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#include <unistd.h>

#define SESSIONS 8
#define PER_SESSION 2 /* processes that report for one session */

struct race {
	struct codebase codebase;
	char sessions[SESSIONS][40];
	unsigned adds; /* that each process makes */
};

static int
open_race(void **state)
{
	struct race *race = calloc(1, sizeof *race);
	struct stile *resident;

	codebase_make(&race->codebase);
	resident = codebase_resident(&race->codebase);
	for (unsigned i = 0; i < SESSIONS; i++) {
		char name[40];

		snprintf(name, sizeof name, "conversation-%u", i);
		resident_start(resident, name, race->sessions[i]);
	}
	stile_close(resident);
	race->adds = share_is_full() ? 1000 : 60;
	*state = race;
	return 0;
}

static int
close_race(void **state)
{
	struct race *race = *state;
	bool whole = codebase_is_whole(&race->codebase);

	codebase_remove(&race->codebase);
	free(race);
	return whole ? 0 : -1;
}

static bool
add(struct stile *resident, const char *session, const char *name, double amount)
{
	return resident_call(resident, NULL, "metric add", "{\"session\":\"%s\",\"name\":\"%s\",\"amount\":%.17g}", session, name,
	                     amount) == STILE_OK;
}

static void
assert_metric(struct race *race, unsigned session, const char *name, int64_t value)
{
	assert_int_equal(codebase_number(&race->codebase, "SELECT value FROM metric WHERE session = $1 AND name = $2",
	                                 DB_TEXT(race->sessions[session]), DB_TEXT(name)),
	                 value);
}

/* The study's two sessions: 42 messages and 85,000 tokens; 18 and 32,000. */
static const struct {
	unsigned messages;
	unsigned tokens;
} study[2] = {{42, 85000}, {18, 32000}};

static int
lives_as_in_the_study(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	const char *session = race->sessions[member->index];
	unsigned messages = study[member->index].messages, tokens = study[member->index].tokens;
	bool well = true;

	if (!crowd_together(member))
		return 1;
	for (unsigned i = 1; i <= messages && well; i++)
		well = add(resident, session, "messages", 1) &&
		       resident_call(resident, NULL, "metric set", "{\"session\":\"%s\",\"name\":\"context_tokens\",\"amount\":%u}",
		                     session, tokens * i / messages) == STILE_OK;
	stile_close(resident);
	return well ? 0 : 2;
}

/* Rows: R69 */
static void
two_racing_sessions_keep_42_and_18_and_nobody_has_60(void **state)
{
	struct race *race = *state;

	assert_true(crowd_run(2, lives_as_in_the_study, race));
	for (unsigned i = 0; i < 2; i++) {
		assert_metric(race, i, "messages", study[i].messages);
		assert_metric(race, i, "context_tokens", study[i].tokens);
	}
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM metric WHERE value IN ($1, $2)", DB_INT(60),
	                                 DB_INT(117000)),
	                 0);
}

static int
adds_to_one_of_eight(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	const char *session = race->sessions[member->index / PER_SESSION];
	bool well = true;

	if (!crowd_together(member))
		return 1;
	for (unsigned i = 0; i < race->adds && well; i++)
		well = add(resident, session, "messages", 1) && add(resident, session, "tool_calls", member->index + 1) &&
		       (i % 4 != 0 || add(resident, session, "errors", 1)) &&
		       (i % 5 != 0 || add(resident, session, "validations_run", 1));
	stile_close(resident);
	return well ? 0 : 2;
}

/* Rows: R69 R75 R77 R78 */
static void
eight_sessions_counters_are_exact_under_racing_adds(void **state)
{
	struct race *race = *state;
	struct stile *resident;
	json_t *all;

	assert_true(crowd_run(SESSIONS * PER_SESSION, adds_to_one_of_eight, race));
	for (unsigned i = 0; i < SESSIONS; i++) {
		assert_metric(race, i, "messages", race->adds * PER_SESSION);
		assert_metric(race, i, "tool_calls", race->adds * (4 * i + 3));
		assert_metric(race, i, "errors", (race->adds + 3) / 4 * PER_SESSION);
		assert_metric(race, i, "validations_run", (race->adds + 4) / 5 * PER_SESSION);
	}
	resident = codebase_resident(&race->codebase);
	assert_int_equal(resident_call(resident, &all, "metric show", "{\"aggregate\":true}"), STILE_OK);
	assert_int_equal(json_whole(json_object_get(json_object_get(all, "aggregated"), "messages"), "value", 0),
	                 race->adds * PER_SESSION * SESSIONS);
	json_decref(all);
	stile_close(resident);
}

/* Programs, each with one event, as hooks are.  Rows: R69 */
static void
prompts_of_two_sessions_through_hooks_are_counted_for_their_own(void **state)
{
	struct race *race = *state;
	struct running running[12];
	char payload[200];

	for (unsigned i = 0; i < 12; i++) {
		snprintf(payload, sizeof payload,
		         "{\"session_id\":\"conversation-%u\",\"hook_event_name\":\"UserPromptSubmit\",\"prompt\":\"x\"}", i % 3 == 0);
		race->codebase.input = payload;
		codebase_start(&race->codebase, &running[i], (const char *const[]){"hook", "claude", NULL});
	}
	for (unsigned i = 0; i < 12; i++) {
		struct said said;

		codebase_finish(&running[i], &said);
		assert_string_equal(said.err, "");
		assert_int_equal(said.status, 0);
	}
	assert_metric(race, 0, "messages", 8);
	assert_metric(race, 1, "messages", 4);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_race, close_race)

CONTRACT_TESTS(TEST(two_racing_sessions_keep_42_and_18_and_nobody_has_60),
               TEST(eight_sessions_counters_are_exact_under_racing_adds),
               TEST(prompts_of_two_sessions_through_hooks_are_counted_for_their_own))
