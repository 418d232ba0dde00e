/*
 * What can be an instruction, and which bounds of telling them can be followed.
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/instruction_report.h"

static void
what_can_not_be_written_is_refused(void **state)
{
	static const struct instruction_draft bad[] = {
		{.text = "", .priority = 1},
		{.text = " \n\t", .priority = 1},
		{.text = "\xff", .priority = 1},
		{.text = "bell \a", .priority = 1},
		{.text = "next line \xc2\x85", .priority = 1},
		{.text = "x", .priority = -1},
		{.text = "x", .priority = INSTRUCTION_PRIORITY_MAX + 1},
		{.text = "x", .priority = 1, .persistence = "a\nb"},
		{.text = "x", .priority = 1, .parameters = "[]"},
		{.text = "x", .priority = 1, .fields = "{\"a\":1} 2"},
	};
	struct instruction_draft draft = INSTRUCTION_DRAFT;
	char *text = calloc(1, INSTRUCTION_TEXT_MAX + 2);

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(instruction_check(&bad[i], NULL), BAD_INPUT);
	memset(text, 'a', INSTRUCTION_TEXT_MAX);
	draft.text = text;
	assert_int_equal(instruction_check(&draft, NULL), OK);
	text[INSTRUCTION_TEXT_MAX] = 'a';
	assert_int_equal(instruction_check(&draft, NULL), BAD_INPUT);
	draft.text = "two\nlines\tand \xc3\xa9\r\n";
	assert_int_equal(instruction_check(&draft, NULL), OK);
	free(text);
}

static void
bounds_that_can_not_be_followed_are_refused(void **state)
{
	static const char *const bad[] = {"instructions_told = 101", "instructions_told = x", "instructions_bytes = 8001",
	                                  "instructions_bytes = -1"};
	struct bench *bench = *state;
	int64_t count, bytes;
	char text[80];

	assert_int_equal(instruction_config(&bench->config, &count, &bytes, &bench->why), OK);
	assert_int_equal(count, 20);
	assert_int_equal(bytes, 4000);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		bench_config(bench, "[stile]\ninstructions_told = 20\ninstructions_bytes = 4000\n");
		snprintf(text, sizeof text, "[stile]\n%s\n", bad[i]);
		bench_config(bench, text);
		assert_int_equal(instruction_config(&bench->config, &count, &bytes, &bench->why), BAD_CONFIG);
	}
}

TESTS(cmocka_unit_test(what_can_not_be_written_is_refused), BENCH_TEST(bounds_that_can_not_be_followed_are_refused))
