/*
 * Many processes report the tokens of one session at the same instant, and others start meanwhile.
 *
 * The anomalies refuted:
 *
 *   fired twice   A sees 160,000 and that 25 % has not fired; B sees the same; both fire it.
 *   never fired   A raises the counter past 25 and 50 % in one jump; only the last one passed is looked at.
 *   told twice    A and B each find 25 % fired and untold, and each tells its model.
 *   set back      B starts while A's three have fired, writes the one file anew, and A fires all three once more.
 *
 * Rows: R73 R80 R122 N11
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#include <unistd.h>

#define REPORTERS 8

struct race {
	struct codebase codebase;
	unsigned rounds;
	unsigned *fired; /* shared: [rounds][REPORTERS][3] */
	size_t size;
	char a[40];
};

static int
open_race(void **state)
{
	struct race *race = calloc(1, sizeof *race);
	struct stile *resident;

	codebase_make(&race->codebase);
	race->rounds = share_is_full() ? 100 : 10;
	race->size = race->rounds * REPORTERS * 3 * sizeof *race->fired;
	race->fired = scratch_shared(race->size);
	resident = codebase_resident(&race->codebase);
	resident_start(resident, "a", race->a);
	stile_close(resident);
	*state = race;
	return 0;
}

static int
close_race(void **state)
{
	struct race *race = *state;
	bool whole = codebase_is_whole(&race->codebase);

	scratch_unshare(race->fired, race->size);
	codebase_remove(&race->codebase);
	free(race);
	return whole ? 0 : -1;
}

/* Reports, and counts what it was answered to have fired. */
static bool
report(struct stile *resident, const char *session, unsigned tokens, unsigned fired[3])
{
	json_t *document, *list, *one;
	size_t i;
	enum stile_status status = resident_call(resident, &document, "metric set",
	                                         "{\"session\":\"%s\",\"name\":\"context_tokens\",\"amount\":%u}", session, tokens);

	list = json_object_get(document, "checkpoints");
	json_array_foreach(list, i, one)
	{
		int64_t percent = json_whole(one, "percent", 0);

		if (percent == 25 || percent == 50 || percent == 75)
			fired[percent / 25 - 1]++;
	}
	json_decref(document);
	return status == STILE_OK;
}

/* Each round one new session, which all report from nothing to 160,000: most in one jump, some in steps of their own. */
static int
reports(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	bool well = true;

	for (unsigned round = 0; round < race->rounds && well; round++) {
		unsigned *fired = race->fired + (round * REPORTERS + member->index) * 3;
		char name[40], id[40];

		snprintf(name, sizeof name, "session-%u", round);
		resident_start(resident, name, id);
		if (!crowd_together(member))
			return 1;
		well = report(resident, id, 0, fired);
		if (member->index >= 5)
			well = well && report(resident, id, 20000 * member->index, fired);
		well = well && report(resident, id, 160000, fired);
	}
	stile_close(resident);
	return well ? 0 : 2;
}

/* Rows: R73 */
static void
eight_racing_reporters_fire_three_checkpoints_each_once(void **state)
{
	struct race *race = *state;

	assert_true(crowd_run(REPORTERS, reports, race));
	for (unsigned round = 0; round < race->rounds; round++)
		for (unsigned which = 0; which < 3; which++) {
			unsigned count = 0;

			for (unsigned i = 0; i < REPORTERS; i++)
				count += race->fired[(round * REPORTERS + i) * 3 + which];
			assert_int_equal(count, 1);
		}
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM checkpoint WHERE percent IN (25, 50, $1)",
	                                 DB_INT(75)),
	                 race->rounds * 3);
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM audit WHERE kind = $1",
	                                 DB_TEXT("checkpoint.fired")),
	                 race->rounds * 3);
	/* after a restart, which new processes are: none again */
	memset(race->fired, 0, race->size);
	assert_true(crowd_run(REPORTERS, reports, race));
	for (size_t i = 0; i < race->size / sizeof *race->fired; i++)
		assert_int_equal(race->fired[i], 0);
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM checkpoint WHERE percent > $1", DB_INT(0)),
	                 race->rounds * 3);
}

/* Rows: R73 */
static void
of_racing_programs_one_is_answered_each_checkpoint(void **state)
{
	struct race *race = *state;
	struct running running[REPORTERS];
	size_t fired = 0;

	for (int i = 0; i < REPORTERS; i++)
		codebase_start(&race->codebase, &running[i],
		               (const char *const[]){"metric", "set", "context_tokens", "160000", "--session", race->a, "--json",
		                                     NULL});
	for (int i = 0; i < REPORTERS; i++) {
		struct said said;
		json_t *document;

		codebase_finish(&running[i], &said);
		assert_int_equal(said.status, 0);
		document = said_document(&said);
		fired += json_array_size(json_object_get(document, "checkpoints"));
		json_decref(document);
	}
	assert_int_equal(fired, 3);
}

static size_t
occurrences(const char *text, const char *of)
{
	size_t count = 0;

	for (; (text = strstr(text, of)) != NULL; text++)
		count++;
	return count;
}

/* Starts eight hooks with this event of conversation `name` at once; how often they were told of a checkpoint of 50 %. */
static size_t
told_by_hooks(struct race *race, const char *event, const char *name, bool each_its_own)
{
	struct running running[REPORTERS];
	char payload[200];
	size_t told = 0;

	for (int i = 0; i < REPORTERS; i++) {
		snprintf(payload, sizeof payload, "{\"session_id\":\"%s%.0d\",\"hook_event_name\":\"%s\",\"source\":\"startup\"}", name,
		         each_its_own ? i + 1 : 0, event);
		race->codebase.input = payload;
		codebase_start(&race->codebase, &running[i], (const char *const[]){"hook", "claude", NULL});
	}
	race->codebase.input = NULL;
	for (int i = 0; i < REPORTERS; i++) {
		struct said said;

		codebase_finish(&running[i], &said);
		assert_string_equal(said.err, "");
		assert_int_equal(said.status, 0);
		told += occurrences(said.out, "Stile: context checkpoint 50 %");
	}
	return told;
}

/* Rows: R73 */
static void
of_racing_hooks_one_tells_its_model(void **state)
{
	struct race *race = *state;
	struct said said;

	codebase_run(&race->codebase, &said, "metric", "set", "context_tokens", "110000", "--session", race->a);
	assert_int_equal(said.status, 0);
	assert_int_equal(told_by_hooks(race, "UserPromptSubmit", "a", false), 1);
	assert_int_equal(told_by_hooks(race, "UserPromptSubmit", "a", false), 0);
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM checkpoint WHERE told_ms > $1", DB_INT(0)), 2);
}

struct starting {
	struct race *race;
	unsigned starts;
};

/* Member 0 is A, which goes on reporting; the others start sessions of their own, again and again. */
static int
starts_or_reports(const struct member *member)
{
	struct starting *starting = member->arg;
	struct race *race = starting->race;
	struct stile *resident = codebase_resident(&race->codebase);
	char name[40], id[40];
	bool well = true;

	if (!crowd_together(member))
		return 1;
	for (unsigned i = 0; i < starting->starts && well; i++) {
		snprintf(name, sizeof name, "b-%u-%u", member->index, i);
		if (member->index == 0) {
			well = report(resident, race->a, 160000 + i, race->fired);
		} else {
			resident_start(resident, name, id);
			well = *id != '\0' && report(resident, id, i * 1000, race->fired + member->index * 3);
		}
	}
	stile_close(resident);
	return well ? 0 : 2;
}

/* Rows: R80 */
static void
anothers_start_resets_nothing_of_mine(void **state)
{
	struct race *race = *state;
	struct starting starting = {race, share_is_full() ? 500 : 40};
	struct stile *resident = codebase_resident(&race->codebase);
	unsigned fired[3] = {0};

	assert_true(report(resident, race->a, 160000, fired));
	assert_int_equal(fired[0] + fired[1] + fired[2], 3);
	stile_close(resident);
	assert_true(crowd_run(REPORTERS, starts_or_reports, &starting));
	/* also through the hooks that start a session, with all they do */
	assert_int_equal(told_by_hooks(race, "SessionStart", "hooked-", true), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(race->fired[i], 0);
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM checkpoint WHERE session = $1", DB_TEXT(race->a)),
	                 3);
	assert_int_equal(codebase_number(&race->codebase, "SELECT value FROM metric WHERE name = 'context_tokens' AND session = $1",
	                                 DB_TEXT(race->a)),
	                 160000 + starting.starts - 1);
	/* what is A's is told to A */
	assert_int_equal(told_by_hooks(race, "UserPromptSubmit", "a", false), 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_race, close_race)

CONTRACT_TESTS(TEST(eight_racing_reporters_fire_three_checkpoints_each_once),
               TEST(of_racing_programs_one_is_answered_each_checkpoint), TEST(of_racing_hooks_one_tells_its_model),
               TEST(anothers_start_resets_nothing_of_mine))
