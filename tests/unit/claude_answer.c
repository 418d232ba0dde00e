/*
 * Our answers in Claude Code's words: JSON on one line of stdout, or one line on stderr and status 2.
 *
 * Rows: N3
 */
#include "clients/client.h"
#include "lib/test.h"

struct said {
	struct buf out;
	struct buf err;
	int status;
};

static struct said
render(const char *event_name, const char *to_model, const char *to_person, const char *denial)
{
	struct event event = {.can_speak = true};
	struct hook_answer answer = {.deny = denial != NULL};
	struct said said;

	snprintf(event.name, sizeof event.name, "%s", event_name);
	buf_init(&answer.to_model, 10000);
	buf_init(&answer.to_person, 10000);
	buf_init(&answer.reason, WHY_MAX);
	buf_init(&said.out, 100000);
	buf_init(&said.err, WHY_MAX);
	buf_text(&answer.to_model, to_model);
	buf_text(&answer.to_person, to_person);
	buf_text(&answer.reason, denial == NULL ? "" : denial);
	said.status = client_claude.render(&event, &answer, &said.out, &said.err);
	buf_release(&answer.to_model);
	buf_release(&answer.to_person);
	buf_release(&answer.reason);
	return said;
}

static void
assert_said(struct said said, int status, const char *out, const char *err)
{
	assert_int_equal(said.status, status);
	assert_string_equal(said.out.data, out);
	assert_string_equal(said.err.data, err);
	buf_release(&said.out);
	buf_release(&said.err);
}

static void
nothing_to_say_is_nothing_written(void **state)
{
	assert_said(render("SessionStart", "", "", NULL), 0, "", "");
}

static void
a_denial_is_one_line_on_stderr_and_status_2(void **state)
{
	assert_said(render("PreToolUse", "", "", "rows.csv is reserved"), 2, "", "rows.csv is reserved\n");
	assert_said(render("PreToolUse", "a", "b", "rows\n.csv\x1b"), 2, "", "rows .csv \n");
	assert_said(render("PreToolUse", "", "", ""), 2, "", "denied by stile\n");
}

static void
an_answer_is_json_on_one_line(void **state)
{
	assert_said(render("SessionStart", "Two are here.\n\"a\" \xc3\xa9", "", NULL), 0,
	            "{\"hookSpecificOutput\":{\"hookEventName\":\"SessionStart\",\"additionalContext\":\"Two are here.\\n\\\"a\\\" "
	            "\xc3\xa9\"}}\n",
	            "");
	assert_said(render("PostToolUse", "", "25 %", NULL), 0, "{\"systemMessage\":\"25 %\"}\n", "");
	assert_said(render("UserPromptSubmit", "m", "p", NULL), 0,
	            "{\"hookSpecificOutput\":{\"hookEventName\":\"UserPromptSubmit\",\"additionalContext\":\"m\"},"
	            "\"systemMessage\":\"p\"}\n",
	            "");
}

static void
a_name_that_is_not_utf8_does_not_silence_the_rest(void **state)
{
	assert_said(render("PostToolUse", "", "caf\xe9 \xc3\xa9 \xf0\x9f", NULL), 0, "{\"systemMessage\":\"caf? \xc3\xa9 ??\"}\n",
	            "");
}

TESTS(cmocka_unit_test(nothing_to_say_is_nothing_written), cmocka_unit_test(a_denial_is_one_line_on_stderr_and_status_2),
      cmocka_unit_test(an_answer_is_json_on_one_line), cmocka_unit_test(a_name_that_is_not_utf8_does_not_silence_the_rest))
