/*
 * Pressure by named profile: the study's numbers exactly, Tractatus' formula with its levels and advice, and a user's own.
 *
 * Rows: R70-R72
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/pressure.h"

#include <math.h>

struct scene {
	struct config config;
	struct buf why;
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	config_init(&scene->config);
	buf_init(&scene->why, WHY_MAX);
	*state = scene;
	return config_defaults(&scene->config) == OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	config_release(&scene->config);
	buf_release(&scene->why);
	free(scene);
	return 0;
}

struct numbers {
	double tokens, messages, complexity, errors, instructions;
	double depth, dependencies, files, operations, subtasks, tasks;
	bool factors; /* the last row, but for `tasks`, was set, if only to 0 */
};

static enum status
ask(struct scene *scene, const char *profile, const struct numbers *numbers, int64_t budget, struct pressure *out)
{
	struct metric_value items[] = {
		{.name = "context_tokens", .now = numbers->tokens},
		{.name = "messages", .life = 1e6, .now = numbers->messages},
		{.name = "complexity", .life = 1e6, .now = numbers->complexity},
		{.name = "errors", .life = 1e6, .now = numbers->errors},
		{.name = "instructions", .life = 1e6, .now = numbers->instructions},
		{.name = "active_tasks", .life = 1e6, .now = numbers->tasks},
		{.name = "task_depth", .life = 1e6, .now = numbers->depth},
		{.name = "dependencies", .life = 1e6, .now = numbers->dependencies},
		{.name = "file_modifications", .life = 1e6, .now = numbers->files},
		{.name = "concurrent_operations", .life = 1e6, .now = numbers->operations},
		{.name = "subtasks_pending", .life = 1e6, .now = numbers->subtasks},
	};
	struct metric_values values = {items, numbers->factors ? sizeof items / sizeof *items : 6};

	return pressure_of(&scene->config, profile, &values, budget, out, &scene->why);
}

static struct pressure
pressure(struct scene *scene, const char *profile, struct numbers numbers)
{
	struct pressure out;

	assert_int_equal(ask(scene, profile, &numbers, 200000, &out), OK);
	assert_string_equal(out.profile, profile);
	return out;
}

static bool
near(double a, double b, double by)
{
	return fabs(a - b) < by;
}

/* Rows: R70 R71 */
static void
token_ratio_gives_the_studys_numbers_exactly(void **state)
{
	static const struct {
		double tokens;
		const char *percent, *level, *advice;
	} cases[] = {
		{29414, "14.7", "NORMAL", "PROCEED"},
		{85000, "42.5", "ELEVATED", "MONITOR"},
		{114414, "57.2", "HIGH", "RECOMMEND_HANDOFF"},
		{117000, "58.5", "HIGH", "RECOMMEND_HANDOFF"},
	};
	char percent[20];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pressure found = pressure(*state, "token-ratio",
		                                 (struct numbers){.tokens = cases[i].tokens, .messages = 99, .errors = 9});

		assert_true(found.score == cases[i].tokens / 200000);
		assert_true(found.tokens == found.score);
		snprintf(percent, sizeof percent, "%.1f", found.score * 100);
		assert_string_equal(percent, cases[i].percent);
		assert_string_equal(found.level, cases[i].level);
		assert_string_equal(found.advice, cases[i].advice);
	}
}

/* A is advised nothing and B at most to watch, whatever both together would come to.  Rows: R71 */
static void
nobody_is_advised_to_hand_over_because_of_anothers_load(void **state)
{
	assert_string_equal(pressure(*state, "token-ratio", (struct numbers){.tokens = 29414}).advice, "PROCEED");
	assert_string_equal(pressure(*state, "token-ratio", (struct numbers){.tokens = 85000}).advice, "MONITOR");
	assert_string_equal(pressure(*state, "tractatus-v1", (struct numbers){.tokens = 29414, .messages = 8}).advice, "PROCEED");
	assert_string_equal(pressure(*state, "tractatus-v1", (struct numbers){.tokens = 85000, .messages = 42}).advice, "PROCEED");
	assert_string_equal(pressure(*state, "tractatus-v1", (struct numbers){.tokens = 114414, .messages = 50}).level, "ELEVATED");
}

/* Rows: R72 */
static void
tractatus_weighs_five_numbers(void **state)
{
	static const struct {
		struct numbers numbers;
		double score;
		const char *level;
	} cases[] = {
		{{0}, 0, "NORMAL"},
		{{.tokens = 120000, .messages = 50}, .335, "ELEVATED"},
		{{.tokens = 150000, .messages = 85, .complexity = 4}, .595, "HIGH"},
		{{.tokens = 200000}, .35, "ELEVATED"},
		{{.messages = 100}, .25, "NORMAL"},
		{{.complexity = 5}, .15, "NORMAL"},
		{{.errors = 3}, .15, "NORMAL"},
		{{.instructions = 10}, .10, "NORMAL"},
		{{.tokens = 200000, .messages = 100, .complexity = 5, .errors = 3, .instructions = 10}, 1, "DANGEROUS"},
		/* each counts in full at most */
		{{.tokens = 400000, .messages = 1000, .complexity = 50, .errors = 30, .instructions = 100}, 1, "DANGEROUS"},
		{{.errors = 3000}, .15, "NORMAL"},
		/* and never below nothing */
		{{.tokens = 100000, .complexity = -5}, .175, "NORMAL"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pressure found = pressure(*state, "tractatus-v1", cases[i].numbers);

		assert_true(near(found.score, cases[i].score, 1e-9));
		assert_string_equal(found.level, cases[i].level);
	}
}

/* What upstream's code gave for the study's sessions, each with a task of depth 1.  Rows: R72 */
static void
tractatus_scores_the_studys_sessions_as_upstream_did(void **state)
{
	static const struct {
		struct numbers numbers;
		double score;
	} cases[] = {
		{{.tokens = 29414, .messages = 8, .depth = 1, .factors = true}, .081},
		{{.tokens = 85000, .messages = 42, .depth = 1, .factors = true}, .263},
		{{.tokens = 114414, .messages = 50, .depth = 1, .factors = true}, .334},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_true(near(pressure(*state, "tractatus-v1", cases[i].numbers).score, cases[i].score, .0006));
}

/* Upstream's steps, each just before and at its threshold.  Rows: R72 R76 */
static void
complexity_is_made_from_its_factors(void **state)
{
	static const struct {
		struct numbers numbers;
		double complexity;
	} cases[] = {
		{{.depth = 1}, .3},
		{{.depth = 1.5}, .45},
		{{.depth = 2}, 1},
		{{.depth = 3}, 2.4},
		{{.dependencies = 7}, 1.4},
		{{.dependencies = 8}, 2.4},
		{{.files = 9}, .9},
		{{.files = 10}, 1.5},
		{{.operations = 4}, .8},
		{{.operations = 5}, 2},
		{{.subtasks = 9}, .9},
		{{.subtasks = 10}, 2},
		{{.depth = 3, .subtasks = 12, .dependencies = 8}, 7.2},
		{{.depth = 1, .files = 1}, .4},
		/* what somebody judged gives way to what was counted */
		{{.complexity = 5, .depth = 1}, .3},
		/* nothing counted: the tasks there are, or one */
		{{.complexity = 5}, 1},
		{{.tasks = 4}, 4},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct numbers numbers = cases[i].numbers;
		double share = fmin(cases[i].complexity / 5, 1);

		numbers.factors = true;
		assert_true(near(pressure(*state, "tractatus-v1", numbers).score, .15 * share, 1e-9));
	}
	/* with no factor set at all it is the gauge, and nothing when that is nothing */
	assert_true(near(pressure(*state, "tractatus-v1", (struct numbers){.complexity = 2.5, .tasks = 4}).score, .075, 1e-9));
	assert_true(near(pressure(*state, "tractatus-v1", (struct numbers){0}).score, 0, 1e-9));
}

static bool
recommends(const struct pressure *found, const char *word)
{
	for (size_t i = 0; i < found->recommended; i++)
		if (str_equal(found->recommendations[i], word))
			return true;
	return false;
}

/* Upstream's own vectors with what each must recommend.  Rows: R72 */
static void
tractatus_recommends_what_upstream_did(void **state)
{
	static const struct {
		struct numbers numbers;
		const char *level, *word;
	} cases[] = {
		{{.tokens = 40000, .messages = 10}, "NORMAL", "CONTINUE_NORMAL"},
		{{.tokens = 110000, .messages = 50}, "ELEVATED", "INCREASE_VERIFICATION"},
		{{.tokens = 150000, .messages = 85, .depth = 4}, "HIGH", "SUGGEST_CONTEXT_REFRESH"},
		{{.tokens = 170000, .messages = 95, .errors = 4, .depth = 6}, "CRITICAL", "MANDATORY_VERIFICATION"},
		{{.tokens = 190000, .messages = 120, .errors = 15}, "CRITICAL", "IMMEDIATE_HALT"},
		{{.tokens = 190000, .messages = 120, .errors = 5, .depth = 8}, "DANGEROUS", "IMMEDIATE_HALT"},
		{{.tokens = 170000, .messages = 90, .errors = 3, .depth = 5}, "CRITICAL", "ONE_TASK_AT_A_TIME"},
		{{.messages = 80}, "NORMAL", "SUMMARIZE_AND_START_FRESH"},
		{{.errors = 2}, "NORMAL", "SLOW_DOWN"},
		{{.instructions = 7}, "NORMAL", "CONSOLIDATE_INSTRUCTIONS"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct numbers numbers = cases[i].numbers;
		struct pressure found;

		numbers.factors = numbers.depth > 0;
		found = pressure(*state, "tractatus-v1", numbers);
		assert_string_equal(found.level, cases[i].level);
		assert_true(recommends(&found, cases[i].word));
		for (size_t j = 1; j < found.recommended; j++)
			assert_string_not_equal(found.recommendations[j - 1], found.recommendations[j]);
	}
	assert_int_equal(pressure(*state, "tractatus-v1", (struct numbers){.messages = 79}).recommended, 1);
	assert_int_equal(pressure(*state, "token-ratio", (struct numbers){.tokens = 190000}).recommended, 0);
}

/* Rows: R72 */
static void
a_level_holds_from_its_threshold_on(void **state)
{
	static const struct {
		double from;
		const char *level, *advice;
		double verification;
	} levels[] = {
		{0, "NORMAL", "PROCEED", 1},
		{.30, "ELEVATED", "INCREASE_VERIFICATION", 1.3},
		{.50, "HIGH", "MANDATORY_VERIFICATION", 1.6},
		{.70, "CRITICAL", "RECOMMEND_REFRESH", 2},
		{.85, "DANGEROUS", "REQUIRE_HUMAN_INTERVENTION", 3},
	};
	struct scene *scene = *state;

	/* the same levels over one number, so that each threshold can be met exactly */
	assert_int_equal(config_add(&scene->config, "test",
	                            "[profile tractatus-v1]\ncontext_tokens = 0 budget\nmessages = 1 10000\ncomplexity = 0 5\n"
	                            "errors = 0 3\ninstructions = 0 10\n",
	                            NULL),
	                 OK);
	for (int score = 0; score <= 10000; score++) {
		struct pressure found = pressure(scene, "tractatus-v1", (struct numbers){.messages = score});
		size_t level = 4;

		while (score < (int)lround(levels[level].from * 10000))
			level--;
		assert_string_equal(found.level, levels[level].level);
		assert_string_equal(found.advice, levels[level].advice);
		assert_true(found.verification == levels[level].verification);
	}
}

/* Rows: R72 */
static void
at_95_percent_of_the_budget_tractatus_halts_at_once(void **state)
{
	struct pressure found = pressure(*state, "tractatus-v1", (struct numbers){.tokens = 190000});

	assert_string_equal(found.level, "ELEVATED");
	assert_string_equal(found.advice, "IMMEDIATE_HALT");
	assert_string_equal(pressure(*state, "tractatus-v1", (struct numbers){.tokens = 189999}).advice, "INCREASE_VERIFICATION");
	assert_string_equal(pressure(*state, "tractatus-v1", (struct numbers){.tokens = 900000}).advice, "IMMEDIATE_HALT");
}

static void
the_budget_is_the_sessions_own(void **state)
{
	struct pressure found;

	assert_int_equal(ask(*state, "token-ratio", &(struct numbers){.tokens = 85000}, 1000000, &found), OK);
	assert_string_equal(found.level, "NORMAL");
	assert_int_equal(ask(*state, "token-ratio", &(struct numbers){.tokens = 85000}, 100000, &found), OK);
	assert_string_equal(found.level, "DANGEROUS");
	assert_true(found.score == .85);
	assert_int_equal(ask(*state, "token-ratio", &(struct numbers){.tokens = 150000}, 100000, &found), OK);
	assert_true(found.score == 1);
	assert_true(found.tokens == 1.5);
}

/* Rows: R72 */
static void
a_users_own_profile_is_data(void **state)
{
	struct scene *scene = *state;
	struct pressure found;

	assert_int_equal(config_add(&scene->config, "test",
	                            "[profile mine]\ncontext_tokens = 0.5 1000\nmessages = 0.5 10\n"
	                            "level.BUSY = .6 SLOW_DOWN 1.5\nlevel.CALM = 0 GO 1\nhalt.messages = 1 STOP\n",
	                            NULL),
	                 OK);
	found = pressure(scene, "mine", (struct numbers){.tokens = 100, .messages = 5});
	assert_true(near(found.score, .3, 1e-12));
	assert_string_equal(found.level, "CALM");
	assert_string_equal(found.advice, "GO");
	found = pressure(scene, "mine", (struct numbers){.tokens = 700, .messages = 5});
	assert_string_equal(found.level, "BUSY");
	assert_string_equal(found.advice, "SLOW_DOWN");
	found = pressure(scene, "mine", (struct numbers){.tokens = 0, .messages = 10});
	assert_string_equal(found.level, "CALM");
	assert_string_equal(found.advice, "STOP");
}

static void
a_profile_that_is_not_there_is_refused_with_those_there_are(void **state)
{
	struct scene *scene = *state;
	struct pressure found = {.profile = "untouched"};
	char name[LABEL_MAX + 2];

	assert_int_equal(ask(scene, "nobody's", &(struct numbers){0}, 1, &found), BAD_INPUT);
	assert_string_equal(scene->why.data, "no profile nobody's; there are: token-ratio tractatus-v1");
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_int_equal(ask(scene, name, &(struct numbers){0}, 1, &found), BAD_INPUT);
	assert_string_equal(found.profile, "untouched");
}

/* Rows: R72 */
static void
a_profile_that_cant_be_followed_is_refused(void **state)
{
	static const char *const bad[] = {
		"context_tokens = much budget",
		"context_tokens = 0.5",
		"context_tokens = 0.5 budget extra",
		"context_tokens = -0.5 budget",
		"context_tokens = 1.5 budget",
		"context_tokens = 0.5 0",
		"context_tokens = 0.5 -10",
		"context_tokens = 0.5 nan",
		"messages = 0.7 100\nerrors = 0.7 3",
		"level.B = high ADVICE 1",
		"level.B = 0.5 ADVICE",
		"level.B = 0.5",
		"level.B = 0.5 ADVICE much",
		"halt.messages = 0.5 STOP",
		"context_tokens = 1 budget\nhalt.context_tokens = often STOP",
		"context_tokens = 1 budget\nhalt.context_tokens = 0.5",
		"recommend.A = 0.5 REST",
		"recommend.messages = 0.5 REST",
		"context_tokens = 1 budget\nrecommend.context_tokens = REST",
	};
	struct pressure found = {.profile = "untouched"};
	char text[400];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct scene *scene;

		assert_int_equal(set_up((void **)&scene), 0);
		snprintf(text, sizeof text, "[profile bad]\nlevel.A = 0 GO 1\n%s\n", bad[i]);
		assert_int_equal(config_add(&scene->config, "test", text, NULL), OK);
		assert_int_equal(ask(scene, "bad", &(struct numbers){.tokens = 1}, 200000, &found), BAD_CONFIG);
		assert_memory_equal(scene->why.data, "config: [profile bad]", 21);
		tear_down((void **)&scene);
	}
	assert_string_equal(found.profile, "untouched");
}

static void
a_profile_without_a_level_from_nothing_on_is_refused(void **state)
{
	struct scene *scene = *state;
	struct pressure found;

	assert_int_equal(config_add(&scene->config, "test", "[profile bad]\nmessages = 1 10\nlevel.A = 0.5 GO 1\n", NULL), OK);
	assert_int_equal(ask(scene, "bad", &(struct numbers){0}, 200000, &found), BAD_CONFIG);
	assert_string_equal(scene->why.data, "config: [profile bad] has no level that holds from 0");
	assert_int_equal(config_add(&scene->config, "test", "[profile empty]\nx.y = 1\n", NULL), OK);
	assert_int_equal(ask(scene, "empty", &(struct numbers){0}, 200000, &found), BAD_CONFIG);
}

static void
the_document_has_what_people_ask_for(void **state)
{
	struct pressure found = pressure(*state, "token-ratio", (struct numbers){.tokens = 85000});
	json_t *document = pressure_json(&found);

	assert_string_equal(json_text(document, "profile", ""), "token-ratio");
	assert_string_equal(json_text(document, "level", ""), "ELEVATED");
	assert_string_equal(json_text(document, "advice", ""), "MONITOR");
	assert_true(json_real_of(document, "score", 0) == .425);
	assert_true(json_real_of(document, "verification", 0) == 1.3);
	json_decref(document);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(TEST(token_ratio_gives_the_studys_numbers_exactly), TEST(nobody_is_advised_to_hand_over_because_of_anothers_load),
      TEST(tractatus_weighs_five_numbers), TEST(tractatus_scores_the_studys_sessions_as_upstream_did),
      TEST(complexity_is_made_from_its_factors), TEST(tractatus_recommends_what_upstream_did),
      TEST(a_level_holds_from_its_threshold_on), TEST(at_95_percent_of_the_budget_tractatus_halts_at_once),
      TEST(the_budget_is_the_sessions_own), TEST(a_users_own_profile_is_data),
      TEST(a_profile_that_is_not_there_is_refused_with_those_there_are), TEST(a_profile_that_cant_be_followed_is_refused),
      TEST(a_profile_without_a_level_from_nothing_on_is_refused), TEST(the_document_has_what_people_ask_for))
