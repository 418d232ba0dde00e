/*
 * A rule runs in one transaction: on OK all of it is there, else nothing, unless a lawful no asked to be kept.
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/metric.h"
#include "core/session.h"
#include "db/sqlite.h"
#include "db/sqlite_store.h"

struct scene {
	struct engine engine;
	struct buf why;
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);
	struct sqlite_options options = {.file = ":memory:", .make = true};
	struct db *db;

	buf_init(&scene->why, WHY_MAX);
	if (sqlite_open(&options, &db, &scene->why) != OK)
		return -1;
	engine_init(&scene->engine, db, ".", "uid:7", store_random);
	*state = scene;
	return config_defaults(&scene->engine.config) == OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	engine_release(&scene->engine, false);
	buf_release(&scene->why);
	free(scene);
	return 0;
}

/* What one rule does, and what it saw. */
struct plan {
	enum status answer;
	bool keep;
	bool fail;
	int asks;
	int64_t now_ms;
	char id[ID_SIZE];
};

static enum status
rule(struct txn *txn, void *arg, struct buf *why)
{
	struct plan *plan = arg;
	struct metric_values values;

	plan->now_ms = txn_now(txn);
	assert_string_equal(txn->project, ".");
	assert_string_equal(txn->actor, "uid:7");
	assert_int_equal(txn_id(txn, plan->id, why), OK);
	metric_add(txn, "s", "messages", 1);
	if (plan->fail)
		db_run(txn->db, "INSERT INTO metric (project, session) VALUES ($1, NULL)", DB_TEXT("."));
	for (int i = 0; i < plan->asks; i++) {
		enum status status = metric_load(txn, "s", &values, why);

		if (status != OK)
			return status;
		metric_values_release(&values);
	}
	txn->keep = plan->keep;
	return plan->answer == OK ? OK : why_not(why, plan->answer, "the rule says no");
}

static enum status
run(struct scene *scene, struct plan *plan)
{
	buf_clear(&scene->why);
	return engine_run(&scene->engine, rule, plan, &scene->why);
}

static int64_t
messages(struct scene *scene)
{
	return store_number(scene->engine.db, "SELECT coalesce(sum(value), 0) FROM metric WHERE session = $1", DB_TEXT("s"));
}

static void
what_a_rule_did_is_there_if_it_said_yes(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(run(scene, &(struct plan){.answer = OK}), OK);
	assert_int_equal(messages(scene), 1);
}

static void
nothing_of_a_rule_that_says_no_remains(void **state)
{
	static const enum status noes[] = {HELD, CONFLICT, BUSY, NO_SUCH, BAD_INPUT, BAD_CONFIG, NOT_ALLOWED, NO_MEMORY, IO_FAILED};
	struct scene *scene = *state;

	for (size_t i = 0; i < sizeof noes / sizeof *noes; i++) {
		assert_int_equal(run(scene, &(struct plan){.answer = noes[i]}), noes[i]);
		assert_string_equal(scene->why.data, "the rule says no");
		assert_int_equal(messages(scene), 0);
	}
	/* and the store goes on */
	assert_int_equal(run(scene, &(struct plan){.answer = OK}), OK);
	assert_int_equal(messages(scene), 1);
}

static void
a_lawful_no_may_be_kept(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(run(scene, &(struct plan){.answer = CONFLICT, .keep = true}), CONFLICT);
	assert_string_equal(scene->why.data, "the rule says no");
	assert_int_equal(messages(scene), 1);
}

static void
a_queued_statement_that_fails_fails_the_rule_at_the_next_answer(void **state)
{
	struct scene *scene = *state;

	for (int asks = 0; asks <= 2; asks++) {
		assert_int_equal(run(scene, &(struct plan){.answer = OK, .fail = true, .asks = asks}), STORE_DOWN);
		assert_non_null(strstr(scene->why.data, "NOT NULL"));
		assert_int_equal(messages(scene), 0);
	}
	assert_int_equal(run(scene, &(struct plan){.answer = OK, .asks = 1}), OK);
	assert_int_equal(messages(scene), 1);
}

/* The reason belongs to the outcome: not to the no that was to be kept. */
static void
a_kept_no_that_cant_be_committed_is_the_stores_failure_and_says_so(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(run(scene, &(struct plan){.answer = CONFLICT, .keep = true, .fail = true}), STORE_DOWN);
	assert_non_null(strstr(scene->why.data, "NOT NULL"));
	assert_int_equal(messages(scene), 0);
}

static void
answers_that_were_waited_for_are_counted(void **state)
{
	struct scene *scene = *state;

	for (int asks = 0; asks < 4; asks++) {
		assert_int_equal(run(scene, &(struct plan){.answer = OK, .asks = asks}), OK);
		assert_int_equal(scene->engine.trips, asks + 1);
	}
}

static enum status
reads(struct txn *txn, void *arg, struct buf *why)
{
	struct metric_values values;
	enum status status = metric_load(txn, "s", &values, why);

	if (status == OK) {
		*(double *)arg = metric_life(&values, "messages");
		metric_values_release(&values);
	}
	return status;
}

static void
a_read_sees_what_was_committed(void **state)
{
	struct scene *scene = *state;
	double found = -1;

	assert_int_equal(run(scene, &(struct plan){.answer = OK}), OK);
	assert_int_equal(engine_read(&scene->engine, reads, &found, NULL), OK);
	assert_true(found == 1);
}

static void
a_rule_has_one_instant_and_time_never_goes_back(void **state)
{
	struct scene *scene = *state;
	int64_t last = 0;

	for (int i = 0; i < 200; i++) {
		struct plan plan = {.answer = OK};

		assert_int_equal(run(scene, &plan), OK);
		assert_true(plan.now_ms >= last);
		last = plan.now_ms;
	}
}

static void
an_id_bears_the_instant_of_its_transaction(void **state)
{
	struct scene *scene = *state;
	struct plan plan = {.answer = OK};
	char expected[ID_SIZE];

	assert_int_equal(run(scene, &plan), OK);
	id_make(expected, plan.now_ms, (const uint8_t[10]){0});
	assert_memory_equal(plan.id, expected, 13);
}

/* The plan's answer is the rule's; the effect's is told here. */
static enum status effect_answer;
static int effects;

static enum status
effect(void *arg, struct buf *why)
{
	effects++;
	return effect_answer == OK ? OK : why_not(why, effect_answer, "the effect failed");
}

static enum status
run_with(struct scene *scene, struct plan *plan, enum status answer)
{
	buf_clear(&scene->why);
	effect_answer = answer;
	effects = 0;
	return engine_run_with(&scene->engine, rule, effect, plan, &scene->why);
}

/* Rows: N2 */
static void
an_effect_is_made_once_and_only_if_its_rule_said_yes(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(run_with(scene, &(struct plan){.answer = HELD}, OK), HELD);
	assert_int_equal(effects, 0);
	assert_int_equal(run_with(scene, &(struct plan){.answer = HELD, .keep = true}, OK), HELD);
	assert_int_equal(effects, 0);
	assert_int_equal(run_with(scene, &(struct plan){.answer = OK}, OK), OK);
	assert_int_equal(effects, 1);
}

static void
a_rule_whose_effect_fails_leaves_nothing(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(run_with(scene, &(struct plan){.answer = OK, .keep = true}, IO_FAILED), IO_FAILED);
	assert_string_equal(scene->why.data, "the effect failed");
	assert_int_equal(messages(scene), 0);
}

/* Rows: R50 N2 */
static void
an_effect_whose_commit_fails_is_told_as_done_and_not_known_to_be_right(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(run_with(scene, &(struct plan){.answer = OK, .fail = true}, OK), OUTCOME_UNKNOWN);
	assert_int_equal(effects, 1);
	assert_non_null(strstr(scene->why.data, "it was done"));
	assert_non_null(strstr(scene->why.data, "NOT NULL"));
	assert_int_equal(messages(scene), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(TEST(what_a_rule_did_is_there_if_it_said_yes), TEST(nothing_of_a_rule_that_says_no_remains),
      TEST(a_lawful_no_may_be_kept), TEST(a_queued_statement_that_fails_fails_the_rule_at_the_next_answer),
      TEST(a_kept_no_that_cant_be_committed_is_the_stores_failure_and_says_so), TEST(answers_that_were_waited_for_are_counted),
      TEST(a_read_sees_what_was_committed), TEST(a_rule_has_one_instant_and_time_never_goes_back),
      TEST(an_id_bears_the_instant_of_its_transaction), TEST(an_effect_is_made_once_and_only_if_its_rule_said_yes),
      TEST(a_rule_whose_effect_fails_leaves_nothing),
      TEST(an_effect_whose_commit_fails_is_told_as_done_and_not_known_to_be_right))
