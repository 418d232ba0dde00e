/*
 * What an agent's command printed is told apart by its content: where the id to resume by is, and the answer.
 *
 * Rows: R27 R39 R48
 */
#include "lib/test.h"

#include "clients/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT ((size_t)1 << 20)

static struct reply
read_bytes(const char *output, size_t len, size_t max)
{
	struct reply reply;
	char *copy = malloc(len + 1);

	assert_non_null(copy);
	memcpy(copy, output, len);
	copy[len] = '\0';
	reply_read(copy, len, max, &reply);
	free(copy);
	return reply;
}

static void
expect_bytes(const char *output, size_t len, const char *id, const char *text)
{
	struct reply reply = read_bytes(output, len, TEXT);

	assert_string_equal(reply.id, id);
	assert_string_equal(reply.text.data == NULL ? "" : reply.text.data, text);
	buf_release(&reply.text);
}

static void
expect(const char *output, const char *id, const char *text)
{
	expect_bytes(output, strlen(output), id, text);
}

static void
claudes_json_is_one_object(void **state)
{
	expect("{\"type\":\"result\",\"subtype\":\"success\",\"session_id\":\"a1\",\"result\":\"Two\\nlines\"}\n", "a1",
	       "Two\nlines");
	expect("{\n  \"type\": \"result\",\n  \"session_id\": \"a1\",\n  \"result\": \"ok\"\n}\n", "a1", "ok");
	expect("{\"type\":\"result\",\"session_id\":\"a1\",\"is_error\":true}", "a1", "");
	expect("  \r\n{\"type\":\"result\",\"session_id\":\"a1\",\"result\":\"ok\"}\r\n", "a1", "ok");
}

static void
claudes_json_may_be_an_array_of_all_its_messages(void **state)
{
	expect("[{\"type\":\"system\",\"session_id\":\"a1\"},{\"type\":\"assistant\",\"session_id\":\"a1\"},"
	       "{\"type\":\"result\",\"session_id\":\"a1\",\"result\":\"ok\"}]",
	       "a1", "ok");
}

static void
claudes_stream_is_a_line_for_each_message_and_the_last_id_counts(void **state)
{
	expect("{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"a1\"}\n"
	       "{\"type\":\"assistant\",\"session_id\":\"a1\",\"message\":{\"content\":[]}}\n"
	       "not a record\n\n{broken\n"
	       "{\"type\":\"result\",\"session_id\":\"a2\",\"result\":\"ok\"}\n",
	       "a2", "ok");
	/* cut off before its result: the id is there, an answer isn't */
	expect("{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"a1\"}\n{\"type\":\"assi", "a1", "");
}

static void
codex_names_its_thread_first_and_its_last_message_is_the_answer(void **state)
{
	expect("{\"type\":\"thread.started\",\"thread_id\":\"t1\"}\n{\"type\":\"turn.started\"}\n"
	       "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_0\",\"type\":\"reasoning\",\"text\":\"hm\"}}\n"
	       "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_1\",\"type\":\"agent_message\",\"text\":\"first\"}}\n"
	       "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_2\",\"type\":\"agent_message\",\"text\":\"last\"}}\n"
	       "{\"type\":\"turn.completed\",\"usage\":{}}\n",
	       "t1", "last");
	/* as older ones wrote it */
	expect("{\"type\":\"thread.started\",\"thread_id\":\"t1\"}\n"
	       "{\"type\":\"item.completed\",\"item\":{\"item_type\":\"agent_message\",\"text\":\"ok\"}}\n",
	       "t1", "ok");
}

static void
any_other_text_is_the_answer_as_it_stands(void **state)
{
	expect("", "", "");
	expect("Hello.\n", "", "Hello.\n");
	expect("{\"answer\": 42}\n", "", "{\"answer\": 42}\n");
	expect("[1, 2]\n", "", "[1, 2]\n");
	expect("{\"session_id\": 7, \"result\": \"x\"}", "", "{\"session_id\": 7, \"result\": \"x\"}");
	expect("null", "", "null");
	expect("It says\n{\"session_id\":\"x\",\"cwd\":\"/\"}\nthere.\n", "", "It says\n{\"session_id\":\"x\",\"cwd\":\"/\"}\nthere.\n");
	expect("{\"type\":\"login\",\"session_id\":\"x\"}\n", "", "{\"type\":\"login\",\"session_id\":\"x\"}\n");
	expect("{{{{[[[[\"", "", "{{{{[[[[\"");
}

static void
an_id_that_can_be_none_is_not_taken(void **state)
{
	char line[600], id[ID_MAX + 2];

	expect("{\"type\":\"result\",\"session_id\":\"\",\"result\":\"ok\"}", "", "ok");
	expect("{\"type\":\"result\",\"session_id\":\"a\\nb\",\"result\":\"ok\"}", "", "ok");
	expect("{\"type\":\"result\",\"session_id\":\"a\\u001b[0m\",\"result\":\"ok\"}", "", "ok");
	memset(id, 'x', sizeof id - 1);
	id[sizeof id - 1] = '\0';
	snprintf(line, sizeof line, "{\"type\":\"result\",\"session_id\":\"%s\",\"result\":\"ok\"}", id);
	expect(line, "", "ok");
	id[ID_MAX] = '\0';
	snprintf(line, sizeof line, "{\"type\":\"result\",\"session_id\":\"%s\",\"result\":\"ok\"}", id);
	expect(line, id, "ok");
}

static void
bytes_that_are_no_text_become_question_marks(void **state)
{
	expect_bytes("a\0b", 3, "", "a?b");
	expect("\xff\xfe x \xc3\xa9 \xc3", "", "?? x \xc3\xa9 ?");
	expect("\xed\xa0\x80", "", "???");
	/* in one line of a stream: that line is lost, no other */
	expect("{\"type\":\"result\",\"session_id\":\"a\xff\",\"result\":\"x\"}\n{\"type\":\"result\",\"session_id\":\"b\","
	       "\"result\":\"ok\"}\n",
	       "b", "ok");
	expect_bytes("{\"type\":\"result\",\"session_id\":\"b\",\"result\":\"ok\"}\n\0", 50, "b", "ok");
}

/* The answer's bound is a character's end, never the middle of one. */
static void
an_answer_is_cut_at_its_bound_and_output_of_any_size_is_read(void **state)
{
	size_t len = (size_t)8 << 20;
	char *huge = malloc(len);
	struct reply reply;

	assert_non_null(huge);
	for (size_t i = 0; i + 1 < len; i += 2)
		memcpy(huge + i, "\xc3\xa9", 2);
	reply = read_bytes(huge, len, 1000);
	assert_in_range(reply.text.len, 996, 1000);
	assert_int_equal(reply.text.len % 2, 0);
	assert_int_equal(buf_status(&reply.text), OK);
	buf_release(&reply.text);
	/* one line as long as all of it, and the result after it */
	memset(huge, 'x', len);
	memcpy(huge, "{\"a\":\"", 6);
	memcpy(huge + len - 60, "\n{\"type\":\"result\",\"session_id\":\"b\",\"result\":\"ok\"}\n", 50);
	reply = read_bytes(huge, len - 10, TEXT);
	assert_string_equal(reply.id, "b");
	assert_string_equal(reply.text.data, "ok");
	buf_release(&reply.text);
	memset(huge, '[', len);
	reply = read_bytes(huge, len, 100);
	assert_string_equal(reply.id, "");
	buf_release(&reply.text);
	free(huge);
}

static bool
speaks(const char *output)
{
	struct reply reply = read_bytes(output, strlen(output), TEXT);

	buf_release(&reply.text);
	return reply.spoke;
}

/* R48 */
static void
whether_the_model_said_something_is_told_apart_from_an_error(void **state)
{
	assert_true(speaks("{\"type\":\"assistant\",\"session_id\":\"a\",\"message\":{}}\n{\"type\":\"res"));
	assert_true(speaks("{\"type\":\"result\",\"session_id\":\"a\",\"is_error\":false,\"result\":\"x\"}"));
	assert_true(speaks("{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"x\"}}\n"));
	assert_false(speaks("{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"a\"}\n"));
	assert_false(speaks("{\"type\":\"result\",\"session_id\":\"a\",\"is_error\":true,\"errors\":[\"No conversation found\"]}"));
	assert_false(speaks("{\"type\":\"thread.started\",\"thread_id\":\"t\"}\n{\"type\":\"turn.failed\"}\n"));
	assert_false(speaks("No conversation found with session ID: 1\n"));
}

/* R48 */
static void
what_clients_say_of_a_conversation_that_is_not_there_is_known(void **state)
{
	static const char *const yes[] = {"No conversation found with session ID: 1", "Error: session not found",
	                                  "x\ny\nNO CONVERSATION FOUND", "no rollout found for thread id 1"};
	static const char *const no[] = {"", "overloaded", "no conversation foun", "session  not found"};

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		assert_true(reply_is_gone(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		assert_false(reply_is_gone(no[i], strlen(no[i])));
	assert_true(reply_is_gone("\0\0session not found", 19));
	assert_false(reply_is_gone("session not found", 16));
}

TESTS(cmocka_unit_test(claudes_json_is_one_object), cmocka_unit_test(claudes_json_may_be_an_array_of_all_its_messages),
      cmocka_unit_test(claudes_stream_is_a_line_for_each_message_and_the_last_id_counts),
      cmocka_unit_test(codex_names_its_thread_first_and_its_last_message_is_the_answer),
      cmocka_unit_test(any_other_text_is_the_answer_as_it_stands), cmocka_unit_test(an_id_that_can_be_none_is_not_taken),
      cmocka_unit_test(bytes_that_are_no_text_become_question_marks),
      cmocka_unit_test(an_answer_is_cut_at_its_bound_and_output_of_any_size_is_read),
      cmocka_unit_test(whether_the_model_said_something_is_told_apart_from_an_error),
      cmocka_unit_test(what_clients_say_of_a_conversation_that_is_not_there_is_known))
