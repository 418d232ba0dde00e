/*
 * Settings: a later text overrides an earlier one key by key, and what is wrong is told with the file, the line or the key.
 */
#include "lib/test.h"

#include "base/config.h"
#include "base/str.h"

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

static void
every_setting_has_a_built_in_value(void **state)
{
	static const char *const keys[] = {"fail",
	                                   "budget",
	                                   "checkpoints",
	                                   "profile",
	                                   "reap",
	                                   "phantom",
	                                   "error_window",
	                                   "instructions_told",
	                                   "instructions_bytes",
	                                   "keep_sessions",
	                                   "keep_audit"};
	struct scene *scene = *state;
	int64_t number;

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		assert_non_null(config_get(&scene->config, "stile", keys[i]));
	assert_int_equal(config_whole(&scene->config, "stile", "budget", &number, NULL), OK);
	assert_int_equal(number, 200000);
	assert_int_equal(config_duration(&scene->config, "stile", "reap", &number, NULL), OK);
	assert_int_equal(number, 30000);
	assert_true(config_has(&scene->config, "profile token-ratio"));
	assert_true(config_has(&scene->config, "profile tractatus-v1"));
	assert_false(config_has(&scene->config, "profile"));
	assert_null(config_get(&scene->config, "stile", "no such"));
	assert_null(config_get(&scene->config, "no such", "budget"));
}

static void
a_later_text_overrides_an_earlier_one_key_by_key(void **state)
{
	struct scene *scene = *state;
	size_t before = scene->config.count;

	assert_int_equal(config_add(&scene->config, "first", "[stile]\nbudget = 1000\nfail = closed\n", NULL), OK);
	assert_int_equal(config_add(&scene->config, "second", "[stile]\nbudget = 2000 ; a note\n[own]\nbudget = 3\n", NULL), OK);
	assert_string_equal(config_get(&scene->config, "stile", "budget"), "2000");
	assert_string_equal(config_get(&scene->config, "stile", "fail"), "closed");
	assert_string_equal(config_get(&scene->config, "own", "budget"), "3");
	assert_string_equal(config_get(&scene->config, "stile", "checkpoints"), "25 50 75");
	assert_int_equal(scene->config.count, before + 1);
}

static void
what_is_no_setting_is_told_with_file_and_line(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(config_add(&scene->config, "the file", "[stile]\nbudget = 1\nnonsense\n", &scene->why), BAD_CONFIG);
	assert_string_equal(scene->why.data, "the file, line 3: not a [section] or key = value");
	assert_int_equal(config_add(&scene->config, "the file", "[stile\n", &scene->why), BAD_CONFIG);
	assert_string_equal(scene->why.data, "the file, line 1: not a [section] or key = value");
	assert_int_equal(config_add(&scene->config, "empty", "", NULL), OK);
}

static void
a_value_of_another_type_is_told_with_its_key(void **state)
{
	struct scene *scene = *state;
	int64_t number = 77;

	assert_int_equal(config_add(&scene->config, "x", "[stile]\nbudget = many\nreap = 30\nphantom = -1s\n", NULL), OK);
	assert_int_equal(config_whole(&scene->config, "stile", "budget", &number, &scene->why), BAD_CONFIG);
	assert_string_equal(scene->why.data, "config: [stile] budget = many is not a whole number");
	assert_int_equal(config_duration(&scene->config, "stile", "reap", &number, &scene->why), BAD_CONFIG);
	assert_string_equal(scene->why.data, "config: [stile] reap = 30 is not a duration such as 30s");
	assert_int_equal(config_duration(&scene->config, "stile", "phantom", &number, NULL), BAD_CONFIG);
	assert_int_equal(config_whole(&scene->config, "stile", "no such", &number, &scene->why), BAD_CONFIG);
	assert_string_equal(scene->why.data, "config: [stile] no such = (missing) is not a whole number");
	assert_int_equal(number, 77);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void
a_comment_may_be_long_and_a_line_that_would_be_cut_is_refused(void **state)
{
	char text[1200], why_text[WHY_MAX] = "";
	struct config config;
	struct buf why;

	config_init(&config);
	buf_init(&why, WHY_MAX);
	snprintf(text, sizeof text, "; %0300d\n[stile]\nbudget = 5\n", 0);
	assert_int_equal(config_add(&config, "a", text, &why), OK);
	assert_string_equal(config_get(&config, "stile", "budget"), "5");
	snprintf(text, sizeof text, "; %0300d\n[stile]\nbudget = %0300d\n", 0, 5);
	assert_int_equal(config_add(&config, "a", text, &why), BAD_CONFIG);
	snprintf(why_text, sizeof why_text, "%s", why.data);
	assert_string_equal(why_text, "a, line 3: longer than 198 bytes");
	buf_release(&why);
	config_release(&config);
}

TESTS(cmocka_unit_test(a_comment_may_be_long_and_a_line_that_would_be_cut_is_refused), TEST(every_setting_has_a_built_in_value),
      TEST(a_later_text_overrides_an_earlier_one_key_by_key), TEST(what_is_no_setting_is_told_with_file_and_line),
      TEST(a_value_of_another_type_is_told_with_its_key))
