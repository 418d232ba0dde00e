/*
 * Claude Code's payloads in our words.  Fixtures: tests/fixtures/claude, one payload for every event of
 * 2.1 and of 1.0 and for every kind of status line.
 *
 * Rows: N3 N4
 */
#include "clients/client.h"
#include "lib/fixture.h"
#include "lib/test.h"

static enum status
parse_text(const char *text, size_t len, struct event *out, struct buf *why)
{
	char *copy = malloc(len + 1);
	json_t *payload = NULL;
	enum status status;

	assert_non_null(copy);
	memcpy(copy, text, len);
	assert_int_equal(json_parse(copy, len, &payload, NULL), OK);
	status = json_object_get(payload, "context_window") == NULL ? client_claude.parse(payload, out, why)
	                                                            : client_claude.parse_status_line(payload, out, why);
	json_decref(payload);
	free(copy);
	/* what it owns; its words stay */
	if (status == OK)
		event_release(out);
	return status;
}

static struct event
parsed(const char *text)
{
	struct event event;

	assert_int_equal(parse_text(text, strlen(text), &event, NULL), OK);
	return event;
}

static struct event
fixture(const char *name)
{
	char path[200];
	size_t len;
	char *text;
	struct event event;

	snprintf(path, sizeof path, "claude/%s.json", name);
	text = fixture_read(path, &len);
	event = parsed(text);
	free(text);
	return event;
}

static const struct {
	const char *name;
	enum event_kind kind;
	bool can_speak;
	bool can_deny;
} kinds[] = {
	{"SessionStart", EVENT_START, true, false},
	{"SessionStart-resume", EVENT_START, true, false},
	{"SessionEnd", EVENT_END, false, false},
	{"UserPromptSubmit", EVENT_PROMPT, true, false},
	{"PreToolUse", EVENT_TOOL, false, true},
	{"PreToolUse-agent", EVENT_TOOL, false, true},
	{"PostToolUse", EVENT_TOOL_DONE, true, false},
	{"PostToolUse-agent", EVENT_TOOL_DONE, false, false},
	{"PostToolUseFailure", EVENT_TOOL_FAILED, false, false},
	{"PermissionRequest", EVENT_ASKS, false, false},
	{"Notification", EVENT_ASKS, false, false},
	{"Notification-idle", EVENT_ASKS, false, false},
	{"Notification-elicitation", EVENT_ASKS, false, false},
	{"Elicitation", EVENT_ASKS, false, false},
	{"ElicitationResult", EVENT_ANSWERED, false, false},
	{"PermissionDenied", EVENT_ANSWERED, false, false},
	{"Stop", EVENT_TURN_ENDS, false, false},
	{"StopFailure", EVENT_TURN_ENDS, false, false},
	{"SubagentStart", EVENT_SUB_STARTS, false, false},
	{"SubagentStop", EVENT_SUB_ENDS, false, false},
	{"PostCompact", EVENT_COMPACTED, false, false},
	{"1.0-SessionStart", EVENT_START, true, false},
	{"1.0-SessionEnd", EVENT_END, false, false},
	{"1.0-UserPromptSubmit", EVENT_PROMPT, true, false},
	{"1.0-PreToolUse", EVENT_TOOL, false, true},
	{"1.0-PostToolUse", EVENT_TOOL_DONE, true, false},
	{"1.0-Notification", EVENT_ASKS, false, false},
	{"1.0-Stop", EVENT_TURN_ENDS, false, false},
	{"1.0-SubagentStop", EVENT_SUB_ENDS, false, false},
};

static void
every_event_has_its_kind(void **state)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct event event = fixture(kinds[i].name);

		assert_int_equal(event.kind, kinds[i].kind);
		assert_int_equal(event.can_speak, kinds[i].can_speak);
		assert_int_equal(event.can_deny, kinds[i].can_deny);
		assert_string_equal(event.client, "claude");
		assert_string_equal(event.client_session, "f3c9b8e6-caab-4a51-ad3b-f95ab9b2ee16");
		assert_string_equal(event.cwd, "/home/dev/orchard");
	}
}

static void
all_other_events_are_signs_of_life(void **state)
{
	static const char *const others[] = {
		"Setup",           "UserPromptExpansion", "PostToolBatch",     "PreCompact",         "PreModelSwitch",
		"PostModelSwitch", "TeammateIdle",        "TaskCreated",       "TaskCompleted",      "ConfigChange",
		"WorktreeCreate",  "WorktreeRemove",      "CwdChanged",        "InstructionsLoaded", "DirectoryAdded",
		"MessageDisplay",  "FileChanged",         "Notification-auth", "SomethingNew",       "1.0-PreCompact",
	};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		struct event event = fixture(others[i]);

		assert_int_equal(event.kind, EVENT_OTHER);
		assert_false(event.can_speak);
		assert_false(event.can_deny);
		assert_int_equal(event.context, -1);
		assert_string_equal(event.detail, "");
	}
}

static void
a_start_says_how_the_session_arrived(void **state)
{
	assert_int_equal(fixture("SessionStart").arrival, ARRIVAL_STARTUP);
	assert_int_equal(fixture("SessionStart-resume").arrival, ARRIVAL_RESUME);
	assert_int_equal(fixture("SessionStart-clear").arrival, ARRIVAL_CLEAR);
	assert_int_equal(fixture("SessionStart-compact").arrival, ARRIVAL_COMPACT);
	assert_int_equal(fixture("SessionStart-fork").arrival, ARRIVAL_FORK);
	assert_int_equal(parsed("{\"session_id\":\"s\",\"hook_event_name\":\"SessionStart\"}").arrival, ARRIVAL_STARTUP);
	assert_int_equal(parsed("{\"session_id\":\"s\",\"hook_event_name\":\"SessionStart\",\"source\":\"moon\"}").arrival,
	                 ARRIVAL_STARTUP);
	assert_int_equal(fixture("Stop").arrival, ARRIVAL_EVENT);
	assert_int_equal(fixture("SessionStart").context, -1);
	assert_int_equal(fixture("SessionStart-resume").context, 51200);
}

static void
two_fields_are_enough(void **state)
{
	struct event event = parsed("{\"session_id\":\"s-1\",\"hook_event_name\":\"PreToolUse\"}");

	assert_int_equal(event.kind, EVENT_TOOL);
	assert_string_equal(event.name, "PreToolUse");
	assert_string_equal(event.client_session, "s-1");
	assert_string_equal(event.client_version, "");
	assert_string_equal(event.agent, "");
	assert_string_equal(event.tool, "");
	assert_string_equal(event.tool_use, "");
	assert_string_equal(event.cwd, "");
	assert_string_equal(event.transcript, "");
	assert_string_equal(event.agent_transcript, "");
	assert_int_equal(event.context, -1);
	assert_int_equal(event.budget, 0);
}

static void
what_a_payload_says_is_taken(void **state)
{
	struct event tool = fixture("PreToolUse-agent"), stop = fixture("SubagentStop");

	assert_string_equal(tool.name, "PreToolUse");
	assert_string_equal(tool.agent, "a5c1e9d2b7f04386");
	assert_string_equal(tool.tool, "Bash");
	assert_string_equal(tool.tool_use, "toolu_014c6f4f7d466df07b210346");
	assert_string_equal(tool.transcript,
	                    "/home/dev/.claude/projects/-home-dev-orchard/f3c9b8e6-caab-4a51-ad3b-f95ab9b2ee16.jsonl");
	assert_string_equal(stop.agent_transcript, "/home/dev/.claude/projects/-home-dev-orchard/"
	                                           "f3c9b8e6-caab-4a51-ad3b-f95ab9b2ee16/subagents/agent-a5c1e9d2b7f04386.jsonl");
	assert_string_equal(fixture("SessionEnd").detail, "prompt_input_exit");
}

static void
what_it_waits_for_is_told(void **state)
{
	assert_string_equal(fixture("PermissionRequest").detail, "permission for Bash");
	assert_string_equal(fixture("Notification").detail, "Claude needs your permission to use Bash");
	assert_string_equal(fixture("1.0-Notification").detail, "Claude is waiting for your input");
	assert_string_equal(fixture("Elicitation").detail, "Which valley do you mean?");
}

#define NOTIFICATION "{\"session_id\":\"s\",\"hook_event_name\":\"Notification\","

static void
a_notification_waits_only_if_it_asks(void **state)
{
	assert_int_equal(parsed(NOTIFICATION "\"message\":\"Claude Code needs your approval for the plan\"}").kind, EVENT_ASKS);
	assert_int_equal(parsed(NOTIFICATION "\"message\":\"Tool needs permission\"}").kind, EVENT_ASKS);
	assert_int_equal(parsed(NOTIFICATION "\"message\":\"All trees are counted\"}").kind, EVENT_OTHER);
	assert_int_equal(parsed(NOTIFICATION "\"message\":7}").kind, EVENT_OTHER);
	assert_int_equal(parsed(NOTIFICATION "\"notification_type\":\"new\",\"message\":\"x is waiting\"}").kind, EVENT_OTHER);
	assert_int_equal(parsed(NOTIFICATION "\"notification_type\":null,\"message\":\"x is waiting\"}").kind, EVENT_ASKS);
	assert_string_equal(parsed(NOTIFICATION "\"notification_type\":\"idle_prompt\"}").detail, "idle_prompt");
}

static void
a_long_message_is_cut_between_characters(void **state)
{
	char text[1000] = NOTIFICATION "\"notification_type\":\"idle_prompt\",\"message\":\"";
	struct event event;

	for (int i = 0; i < 150; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s", i == 99 ? "1" : "\xc3\xa9");
	snprintf(text + strlen(text), sizeof text - strlen(text), "\"}");
	event = parsed(text);
	assert_int_equal(strlen(event.detail), ID_MAX - 1);
	assert_string_equal(event.detail + ID_MAX - 2, "1");
	assert_int_equal(str_check_id("detail", event.detail, ID_MAX, NULL), OK);
}

static void
a_message_is_one_harmless_line(void **state)
{
	struct event event = parsed(NOTIFICATION
	                            "\"notification_type\":\"idle_prompt\",\"message\":\"a\\nb\\u001b[2J\\u007f\\u009bc\\t\"}");

	assert_string_equal(event.detail, "a b [2J   c ");
}

static void
a_field_of_another_type_is_as_if_it_were_not_there(void **state)
{
	struct event event = parsed(
		"{\"session_id\":\"s\",\"hook_event_name\":\"PostToolUse\",\"agent_id\":7,\"tool_name\":[],\"cwd\":{},"
		"\"transcript_path\":null,\"tool_use_id\":true,\"agent_transcript_path\":1.5}");

	assert_int_equal(event.kind, EVENT_TOOL_DONE);
	assert_true(event.can_speak);
	assert_string_equal(event.agent, "");
	assert_string_equal(event.tool, "");
	assert_string_equal(event.tool_use, "");
	assert_string_equal(event.cwd, "");
	assert_string_equal(event.transcript, "");
	assert_string_equal(event.agent_transcript, "");
	assert_int_equal(parsed("{\"session_id\":\"s\",\"hook_event_name\":\"SessionStart\",\"context_tokens\":\"9\"}").context,
	                 -1);
	assert_int_equal(parsed("{\"session_id\":\"s\",\"hook_event_name\":\"SessionStart\",\"context_tokens\":-9}").context, -1);
}

/* {"session_id":"s","hook_event_name":"PreToolUse","<key>":"xxx..."} with `count` letters. */
static enum status
parse_long(const char *key, size_t count, struct event *out, struct buf *why)
{
	static char text[2 * TEXT_MAX];
	int at = snprintf(text, sizeof text, "{\"session_id\":\"s\",\"hook_event_name\":\"PreToolUse\",\"%s\":\"", key);

	memset(text + at, 'x', count);
	memcpy(text + (size_t)at + count, "\"}", 3);
	return parse_text(text, strlen(text), out, why);
}

static void
a_text_that_is_too_long_is_as_if_it_were_not_there(void **state)
{
	struct event event;

	assert_int_equal(parse_long("cwd", TEXT_MAX, &event, NULL), OK);
	assert_int_equal(strlen(event.cwd), TEXT_MAX);
	assert_int_equal(parse_long("cwd", TEXT_MAX + 1, &event, NULL), OK);
	assert_string_equal(event.cwd, "");
	assert_int_equal(parse_long("transcript_path", TEXT_MAX + 1, &event, NULL), OK);
	assert_string_equal(event.transcript, "");
	assert_int_equal(parse_long("tool_name", ID_MAX, &event, NULL), OK);
	assert_int_equal(strlen(event.tool), ID_MAX);
	assert_int_equal(parse_long("tool_name", ID_MAX + 1, &event, NULL), OK);
	assert_string_equal(event.tool, "");
}

static void
an_id_that_is_too_long_is_refused(void **state)
{
	struct event event;
	struct buf why;

	buf_init(&why, WHY_MAX);
	assert_int_equal(parse_long("session_id", ID_MAX, &event, &why), OK);
	assert_int_equal(parse_long("session_id", ID_MAX + 1, &event, &why), BAD_INPUT);
	assert_string_equal(why.data, "session_id is 201 bytes long; the limit is 200");
	assert_int_equal(parse_long("tool_use_id", ID_MAX, &event, &why), OK);
	assert_int_equal(parse_long("tool_use_id", ID_MAX + 1, &event, &why), BAD_INPUT);
	assert_int_equal(parse_long("agent_id", LABEL_MAX, &event, &why), OK);
	assert_int_equal(parse_long("agent_id", LABEL_MAX + 1, &event, &why), BAD_INPUT);
	assert_string_equal(why.data, "agent_id is 101 bytes long; the limit is 100");
	assert_int_equal(parse_long("hook_event_name", LABEL_MAX + 1, &event, &why), BAD_INPUT);
	buf_release(&why);
}

static void
what_cannot_be_used_is_refused_in_one_line(void **state)
{
	static const struct {
		const char *payload;
		const char *why;
	} refused[] = {
		{"[]", "the payload is not a JSON object"},
		{"null", "the payload is not a JSON object"},
		{"\"text\"", "the payload is not a JSON object"},
		{"{}", "session_id is missing"},
		{"{\"session_id\":7,\"hook_event_name\":\"Stop\"}", "session_id is not a text"},
		{"{\"session_id\":null,\"hook_event_name\":\"Stop\"}", "session_id is not a text"},
		{"{\"session_id\":\"\",\"hook_event_name\":\"Stop\"}", "session_id is empty"},
		{"{\"session_id\":\"a\\nb\",\"hook_event_name\":\"Stop\"}", "session_id holds a control character (0x0a)"},
		{"{\"session_id\":\"a\\u0000b\",\"hook_event_name\":\"Stop\"}", "session_id holds a control character (0x00)"},
		{"{\"session_id\":\"\\u0000\",\"hook_event_name\":\"Stop\"}", "session_id holds a control character (0x00)"},
		{"{\"session_id\":\"a\\u009b\",\"hook_event_name\":\"Stop\"}", "session_id holds a control character (0x9b)"},
		{"{\"session_id\":\"s\"}", "hook_event_name is missing"},
		{"{\"session_id\":\"s\",\"hook_event_name\":[\"Stop\"]}", "hook_event_name is not a text"},
		{"{\"session_id\":\"s\",\"hook_event_name\":\"\"}", "hook_event_name is empty"},
		{"{\"session_id\":\"s\",\"hook_event_name\":\"Stop\",\"agent_id\":\"\\u0000\"}",
	     "agent_id holds a control character (0x00)"},
		{"{\"session_id\":\"s\",\"hook_event_name\":\"Stop\",\"tool_use_id\":\"\\t\"}",
	     "tool_use_id holds a control character (0x09)"},
		{"{\"context_window\":{}}", "session_id is missing"},
	};

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct event event, before;
		struct buf why;

		memset(&event, 7, sizeof event);
		memcpy(&before, &event, sizeof event);
		buf_init(&why, WHY_MAX);
		assert_int_equal(parse_text(refused[i].payload, strlen(refused[i].payload), &event, &why), BAD_INPUT);
		assert_string_equal(why.data, refused[i].why);
		assert_memory_equal(&event, &before, sizeof event);
		buf_release(&why);
	}
}

static void
a_prompts_text_is_not_kept(void **state)
{
	struct event event = fixture("UserPromptSubmit");

	assert_null(memmem(&event, sizeof event, "apple", 5));
}

static void
a_status_line_gives_context_and_budget(void **state)
{
	static const struct {
		const char *name;
		int64_t context;
		int64_t budget;
	} lines[] = {
		{"statusline", 85000, 200000},
		{"statusline-unused", -1, 200000},
		{"statusline-cumulative", 85000, 200000},
		{"statusline-percentage", 310000, 1000000},
		{"statusline-total", 85000, 200000},
	};

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct event event = fixture(lines[i].name);

		assert_int_equal(event.kind, EVENT_METRICS);
		assert_int_equal(event.context, lines[i].context);
		assert_int_equal(event.budget, lines[i].budget);
		assert_string_equal(event.client, "claude");
		assert_string_equal(event.client_version, "2.1.132");
		assert_string_equal(event.cwd, "/home/dev/orchard");
		assert_false(event.can_speak || event.can_deny);
	}
}

static void
a_status_line_needs_nothing_but_the_session(void **state)
{
	struct event event = parsed(
		"{\"session_id\":\"s\",\"context_window\":7,\"workspace\":{\"current_dir\":\"/w\"},\"version\":[]}");

	assert_int_equal(event.kind, EVENT_METRICS);
	assert_int_equal(event.context, -1);
	assert_int_equal(event.budget, 0);
	assert_string_equal(event.cwd, "/w");
	assert_string_equal(event.client_version, "");
	event = parsed("{\"session_id\":\"s\",\"context_window\":{\"total_input_tokens\":330050,\"current_usage\":null}}");
	assert_int_equal(event.context, -1);
	event = parsed("{\"session_id\":\"s\",\"context_window\":{\"used_percentage\":1e308,\"context_window_size\":-1}}");
	assert_int_equal(event.context, -1);
	assert_int_equal(event.budget, 0);
}

static void
the_client_is_found_by_its_name(void **state)
{
	assert_ptr_equal(client_find("claude"), &client_claude);
	assert_null(client_find("clau"));
	assert_null(client_find(""));
	assert_ptr_equal(client_nth(0), &client_claude);
	assert_null(client_nth(1000));
	assert_string_equal(client_claude.project_env, "CLAUDE_PROJECT_DIR");
}

static size_t
parse_recorded(const char *name)
{
	size_t len, at;
	char *text = fixture_read_shared(name, &len);
	json_t *payloads, *payload;
	struct event event;

	if (text == NULL)
		skip();
	assert_int_equal(json_parse(text, len, &payloads, NULL), OK);
	json_array_foreach(payloads, at, payload)
	{
		assert_int_equal(client_claude.parse(payload, &event, NULL), OK);
		assert_string_equal(event.client_session, json_text(payload, "session_id", ""));
		assert_string_equal(event.tool, json_text(payload, "tool_name", ""));
		assert_string_equal(event.agent, json_text(payload, "agent_id", ""));
		assert_int_not_equal(event.kind, EVENT_OTHER);
		event_release(&event);
	}
	at = json_array_size(payloads);
	json_decref(payloads);
	free(text);
	return at;
}

static void
recorded_payloads_are_understood(void **state)
{
	assert_int_equal(parse_recorded("claude-hooks/fabric/session_start.json"), 1);
	assert_int_equal(parse_recorded("claude-hooks/greenbutton/permission_request.first25.json"), 25);
	assert_int_equal(parse_recorded("claude-hooks/greenbutton/pre_tool_use.first25.json"), 25);
	assert_int_equal(parse_recorded("claude-hooks/greenbutton/session_end.json"), 4);
	assert_int_equal(parse_recorded("claude-hooks/greenbutton/session_start.json"), 5);
	assert_int_equal(parse_recorded("claude-hooks/greenbutton/stop.json"), 3);
	assert_int_equal(parse_recorded("claude-hooks/greenbutton/subagent_start.json"), 7);
	assert_int_equal(parse_recorded("claude-hooks/greenbutton/subagent_stop.json"), 6);
	assert_int_equal(parse_recorded("claude-hooks/quantstats/pre_tool_use.json"), 20);
	assert_int_equal(parse_recorded("claude-hooks/quantstats/post_tool_use.json"), 14);
}

TESTS(cmocka_unit_test(every_event_has_its_kind), cmocka_unit_test(all_other_events_are_signs_of_life),
      cmocka_unit_test(a_start_says_how_the_session_arrived), cmocka_unit_test(two_fields_are_enough),
      cmocka_unit_test(what_a_payload_says_is_taken), cmocka_unit_test(what_it_waits_for_is_told),
      cmocka_unit_test(a_notification_waits_only_if_it_asks), cmocka_unit_test(a_long_message_is_cut_between_characters),
      cmocka_unit_test(a_message_is_one_harmless_line), cmocka_unit_test(a_field_of_another_type_is_as_if_it_were_not_there),
      cmocka_unit_test(a_text_that_is_too_long_is_as_if_it_were_not_there), cmocka_unit_test(an_id_that_is_too_long_is_refused),
      cmocka_unit_test(what_cannot_be_used_is_refused_in_one_line), cmocka_unit_test(a_prompts_text_is_not_kept),
      cmocka_unit_test(a_status_line_gives_context_and_budget), cmocka_unit_test(a_status_line_needs_nothing_but_the_session),
      cmocka_unit_test(the_client_is_found_by_its_name), cmocka_unit_test(recorded_payloads_are_understood))
