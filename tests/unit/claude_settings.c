/*
 * Our hooks go into Claude Code's settings and out again, and what isn't ours stays to the byte.
 *
 * Rows: N15
 */
#include "lib/test.h"

#include "base/json.h"
#include "base/str.h"
#include "clients/claude_settings.h"

#define PROGRAM "/opt/bin/stile"
#define OURS(program) "{\"type\":\"command\",\"command\":\"" program "\",\"args\":[\"hook\",\"claude\"],\"timeout\":10}"

static char *
with(enum status (*edit)(const char *, size_t, struct buf *, struct buf *), const char *text)
{
	struct buf out, why;
	char *copy;

	buf_init(&out, 1);
	buf_init(&why, WHY_MAX);
	if (edit(text, strlen(text), &out, &why) != OK)
		fail_msg("%s\n%s", why.data, text);
	copy = strdup(out.data);
	buf_release(&out);
	buf_release(&why);
	return copy;
}

static enum status
install(const char *text, size_t len, struct buf *out, struct buf *why)
{
	return claude_settings_install(text, len, PROGRAM, out, why);
}

static enum status
install_other(const char *text, size_t len, struct buf *out, struct buf *why)
{
	return claude_settings_install(text, len, "/usr/local/bin/stile", out, why);
}

static enum status
take_out(const char *text, size_t len, struct buf *out, struct buf *why)
{
	return claude_settings_remove(text, len, NULL, out, why);
}

/* In, in again, out: the second time nothing changes, and out gives back the bytes. */
static void
in_and_out(const char *text)
{
	struct buf before, back;
	char *once = with(install, text), *twice = with(install, once);

	assert_string_equal(once, twice);
	assert_string_not_equal(once, text);
	buf_init(&before, 1 << 20);
	buf_text(&before, text);
	buf_init(&back, 1);
	assert_int_equal(claude_settings_remove(once, strlen(once), &before, &back, NULL), OK);
	assert_string_equal(back.data, text);
	buf_release(&back);
	buf_release(&before);
	free(twice);
	free(once);
}

static json_t *
parsed(const char *text)
{
	json_t *root = json_loads(text, 0, NULL);

	assert_non_null(root);
	return root;
}

static void
a_new_file_holds_one_entry_for_each_event_in_the_form_that_needs_no_shell(void **state)
{
	char *text = with(install, "");
	json_t *root = parsed(text), *hooks = json_object_get(root, "hooks");

	assert_int_equal(json_object_size(root), 1);
	assert_int_equal(json_object_size(hooks), 18);
	assert_null(json_object_get(hooks, "WorktreeCreate"));
	for (size_t i = 0; claude_settings_event(i) != NULL; i++) {
		json_t *list = json_object_get(hooks, claude_settings_event(i)), *entry;

		assert_int_equal(json_array_size(list), 1);
		list = json_object_get(json_array_get(list, 0), "hooks");
		assert_int_equal(json_array_size(list), 1);
		entry = json_array_get(list, 0);
		assert_int_equal(json_object_size(entry), 4);
		assert_string_equal(json_text(entry, "type", ""), "command");
		assert_string_equal(json_text(entry, "command", ""), PROGRAM);
		/* a prompt may wait half a minute for the codebase */
		assert_in_range(json_whole(entry, "timeout", 0), 1, 45);
		assert_string_equal(json_string_value(json_array_get(json_object_get(entry, "args"), 0)), "hook");
		assert_string_equal(json_string_value(json_array_get(json_object_get(entry, "args"), 1)), "claude");
	}
	assert_true(str_starts(text, "{\n  \"hooks\": {\n    \"SessionStart\": [\n      {\n        \"hooks\": [\n          {\n"));
	assert_true(str_ends(text, "\n}\n"));
	json_decref(root);
	free(text);
}

static void
whatever_stands_there_comes_back_to_the_byte(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{}\n",
		"{ }",
		"{\n}\r\n",
		"\xef\xbb\xbf{}",
		"{\"permissions\":{\"allow\":[\"Bash(ls:*)\"]}}",
		"{\n  \"permissions\": {\n    \"allow\": []\n  }\n}\n",
		"{\r\n\t\"a\" : 1,\r\n\t\"hooks\" : {}\r\n}",
		"{\"hooks\":{}}",
		"{\"hooks\":{\"Stop\":[]}}",
		"{\"hooks\":{\"Stop\":[{\"hooks\":[]}]}}",
		"{\n    \"hooks\": {\n        \"Stop\": [\n            {\n                \"hooks\": [\n                    {\"type\": "
		"\"command\", \"command\": \"say done\"}\n                ]\n            }\n        ],\n        \"Mine\": []\n    "
		"},\n    \"z\": null\n}",
		("{\"hooks\":{\"PreToolUse\":[{\"matcher\":\"Bash\",\"hooks\":[{\"type\":\"command\",\"command\":\"/x/stile\",\"args\":"
	     "[]}]}]}}"),
		"{\"hooks\":{\"Stop\":[{\"hooks\":[{\"command\":\"/x/stile\",\"args\":[\"hook\",\"gemini\"]}]}]}}",
		"{\"hooks\":{\"MessageDisplay\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"stile hook claude\"}]}]}}",
		"{\"h\\u006foks\":{\"St\\u006fp\":[]},\"a\":\"\\ud83d\"}",
		"{\"hooks\":{\"Stop\":[]},\"hooks\":{\"Stop\":[ ]}}",
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		in_and_out(texts[i]);
}

static void
what_stood_there_still_stands_beside_ours(void **state)
{
	char *text = with(install, "{\"model\":\"m\",\"hooks\":{\"Stop\":[{\"hooks\":[{\"type\":\"prompt\",\"prompt\":\"p\"}]}]}}");
	json_t *root = parsed(text), *stop = json_object_get(json_object_get(root, "hooks"), "Stop");

	assert_string_equal(json_text(root, "model", ""), "m");
	assert_int_equal(json_array_size(stop), 2);
	assert_non_null(
		strstr(text, "{\"model\":\"m\",\"hooks\":{\"Stop\":[{\"hooks\":[{\"type\":\"prompt\",\"prompt\":\"p\"}]},"));
	json_decref(root);
	free(text);
}

static void
an_entry_of_a_program_that_moved_is_changed_in_its_place(void **state)
{
	char *old = with(install, "{\"a\":1}"), *new = with(install_other, old), *back = with(install, new);
	struct buf program;

	assert_null(strstr(new, PROGRAM));
	buf_init(&program, 1000);
	assert_int_equal(claude_settings_find(new, strlen(new), "Stop", &program, NULL), OK);
	assert_string_equal(program.data, "/usr/local/bin/stile");
	assert_string_equal(back, old);
	buf_release(&program);
	free(old);
	free(new);
	free(back);
}

static void
one_too_many_and_one_for_an_event_we_left_are_taken_out(void **state)
{
	char *text =
		with(install,
	         "{\"hooks\":{\"Stop\":[{\"hooks\":[" OURS("/old/stile") "," OURS("/old/stile-full") "]},{\"hooks\":[" OURS(
				 "/old/stile") "]}],\"FileChanged\":[{\"hooks\":[" OURS("/old/stile") "]}]}}");
	json_t *root = parsed(text), *hooks = json_object_get(root, "hooks"), *stop = json_object_get(hooks, "Stop");

	assert_int_equal(json_object_size(hooks), 18);
	assert_int_equal(json_array_size(stop), 1);
	assert_int_equal(json_array_size(json_object_get(json_array_get(stop, 0), "hooks")), 1);
	assert_null(strstr(text, "/old/"));
	json_decref(root);
	free(text);
}

static void
from_a_text_that_the_client_wrote_anew_only_ours_go(void **state)
{
	char *ours = with(install, "{\"model\":\"m\"}"), *left, anew[20000];
	json_t *root = parsed(ours), *list = json_object_get(json_object_get(root, "hooks"), "PreToolUse");

	/* keys in another order, another manner, one more hook in our own group */
	json_array_append_new(json_object_get(json_array_get(list, 0), "hooks"), json_pack("{s:s}", "command", "theirs"));
	json_object_set_new(root, "added", json_true());
	anew[json_dumpb(root, anew, sizeof anew - 1, JSON_INDENT(4) | JSON_SORT_KEYS)] = '\0';
	left = with(take_out, anew);
	assert_string_equal(left,
	                    "{\n    \"added\": true,\n    \"hooks\": {\n        \"PreToolUse\": [\n            {\n                "
	                    "\"hooks\": [\n                    {\n                        \"command\": \"theirs\"\n"
	                    "                    }\n                ]\n            }\n        ]\n    },\n    \"model\": \"m\"\n}");
	json_decref(root);
	free(left);
	free(ours);
}

static void
settings_that_cannot_be_settings_are_refused(void **state)
{
	static const char *const texts[] = {"[]",          "null", "{\"hooks\":[]}",  "{\"hooks\":{\"Stop\":{}}}",
	                                    "{\"hooks\":", "x",    "{\"hooks\":null}"};
	static const char *const programs[] = {"stile", "/bin/other", "/bin/stilex", "/b\xffn/stile"};
	struct buf out, why;

	buf_init(&why, WHY_MAX);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_int_equal(claude_settings_install(texts[i], strlen(texts[i]), PROGRAM, &out, &why), BAD_INPUT);
		assert_true(why.len > 0);
		buf_release(&out);
		assert_int_equal(claude_settings_remove(texts[i], strlen(texts[i]), NULL, &out, &why), BAD_INPUT);
		buf_release(&out);
	}
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		assert_int_equal(claude_settings_install("{}", 2, programs[i], &out, &why), BAD_INPUT);
		buf_release(&out);
	}
	buf_release(&why);
}

static void
a_path_with_quotes_and_spaces_is_found_again(void **state)
{
	static const char path[] = "/o p/\"q\"\\/\xc3\xa9/stile";
	struct buf out, program;

	buf_init(&program, 1000);
	assert_int_equal(claude_settings_install("", 0, path, &out, NULL), OK);
	assert_int_equal(claude_settings_find(out.data, out.len, "SessionEnd", &program, NULL), OK);
	assert_string_equal(program.data, path);
	buf_release(&program);
	buf_release(&out);
}

static void
what_is_missing_or_switched_off_is_seen(void **state)
{
	struct buf program;

	buf_init(&program, 1000);
	assert_int_equal(claude_settings_find("", 0, "Stop", &program, NULL), NO_SUCH);
	assert_int_equal(claude_settings_find("{}", 2, "Stop", &program, NULL), NO_SUCH);
	assert_int_equal(claude_settings_find("{", 1, "Stop", &program, NULL), BAD_INPUT);
	assert_true(claude_settings_disabled("{\"disableAllHooks\": true}", 25));
	assert_false(claude_settings_disabled("{\"disableAllHooks\": false}", 26));
	assert_false(claude_settings_disabled("{", 1));
	assert_true(claude_settings_empty(" {\n}\n", 5));
	assert_false(claude_settings_empty("{\"a\":1}", 7));
	assert_false(claude_settings_empty("", 0));
	buf_release(&program);
}

TESTS(cmocka_unit_test(a_new_file_holds_one_entry_for_each_event_in_the_form_that_needs_no_shell),
      cmocka_unit_test(whatever_stands_there_comes_back_to_the_byte),
      cmocka_unit_test(what_stood_there_still_stands_beside_ours),
      cmocka_unit_test(an_entry_of_a_program_that_moved_is_changed_in_its_place),
      cmocka_unit_test(one_too_many_and_one_for_an_event_we_left_are_taken_out),
      cmocka_unit_test(from_a_text_that_the_client_wrote_anew_only_ours_go),
      cmocka_unit_test(settings_that_cannot_be_settings_are_refused),
      cmocka_unit_test(a_path_with_quotes_and_spaces_is_found_again), cmocka_unit_test(what_is_missing_or_switched_off_is_seen))
