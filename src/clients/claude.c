#include "clients/claude.h"
#include "clients/client.h"

#include <math.h>

/* OK when `key` is a usable id, or absent or of another type and not `required`. */
static enum status
check_id(const json_t *payload, const char *key, size_t max, bool required, struct buf *why)
{
	const json_t *value = json_object_get(payload, key);
	const char *id = json_string_value(value);

	if (id == NULL && required)
		return why_not(why, BAD_INPUT, "%s is %s", key, value == NULL ? "missing" : "not a text");
	if (id == NULL || (json_string_length(value) == 0 && !required))
		return OK;
	if (strlen(id) != json_string_length(value))
		return why_not(why, BAD_INPUT, "%s holds a control character (0x00)", key);
	return str_check_id(key, id, max, why);
}

/* Copies a text; one that is absent, too long or not free of control characters is as if it were not there. */
static void
take_text(const json_t *object, const char *key, char *out, size_t size)
{
	const char *text = json_text(object, key, "");

	if (*text != '\0' && str_check_text(key, text, size - 1, NULL) == OK)
		memcpy(out, text, strlen(text) + 1);
}

static void
say_start(const json_t *payload, struct event *out)
{
	static const struct {
		const char *source;
		enum arrival arrival;
	} arrivals[] = {{"resume", ARRIVAL_RESUME}, {"clear", ARRIVAL_CLEAR}, {"compact", ARRIVAL_COMPACT}, {"fork", ARRIVAL_FORK}};
	const char *source = json_text(payload, "source", "");

	out->arrival = ARRIVAL_STARTUP;
	for (size_t i = 0; i < sizeof arrivals / sizeof *arrivals; i++)
		if (str_equal(arrivals[i].source, source))
			out->arrival = arrivals[i].arrival;
	claude_tokens(payload, "context_tokens", &out->context);
}

static void
say_permission(const json_t *payload, struct event *out)
{
	char line[sizeof "permission for " + sizeof out->tool] = "permission";

	(void)payload;
	if (*out->tool != '\0')
		snprintf(line, sizeof line, "permission for %s", out->tool);
	str_one_line(out->detail, sizeof out->detail, line);
}

/* Before 2.1 a notification had no type, and even later it is often missing (anthropics/claude-code #11964). */
static bool
message_asks(const char *message)
{
	return strstr(message, "needs your ") != NULL || strstr(message, "needs permission") != NULL ||
	       strstr(message, "is waiting") != NULL;
}

static void
say_notification(const json_t *payload, struct event *out)
{
	const char *message = json_text(payload, "message", ""), *type = json_text(payload, "notification_type", "");
	bool asks = str_equal(type, "permission_prompt") || str_equal(type, "idle_prompt") || str_equal(type, "elicitation_dialog");

	if (!asks && !(*type == '\0' && message_asks(message)))
		return;
	out->kind = EVENT_ASKS;
	str_one_line(out->detail, sizeof out->detail, *message == '\0' ? type : message);
}

static void
say_elicitation(const json_t *payload, struct event *out)
{
	const char *message = json_text(payload, "message", "");

	str_one_line(out->detail, sizeof out->detail, *message == '\0' ? "an answer" : message);
}

/* Both are the document's; the event holds them beyond it. */
static void
say_done(const json_t *payload, struct event *out)
{
	out->input = json_incref(json_object_get(payload, "tool_input"));
	out->response = json_incref(json_object_get(payload, "tool_response"));
	take_text(payload, "agent_type", out->agent_type, sizeof out->agent_type);
}

static void
say_prompt(const json_t *payload, struct event *out)
{
	out->input = json_incref(json_object_get(payload, "prompt"));
	take_text(payload, "prompt_id", out->prompt_id, sizeof out->prompt_id);
}

static void
say_end(const json_t *payload, struct event *out)
{
	str_one_line(out->detail, sizeof out->detail, json_text(payload, "reason", ""));
}

/*
 * The events that mean more than a sign of life.  Claude Code has 33; which of them tell the model and the person what we
 * answer, and which can stop what is about to happen, is different for each.
 */
static const struct event_row {
	const char *name;
	enum event_kind kind;
	bool can_speak;
	bool can_deny;
	void (*say)(const json_t *payload, struct event *out);
} rows[] = {
	{"PreToolUse", EVENT_TOOL, false, true, NULL},
	{"PostToolUse", EVENT_TOOL_DONE, true, false, say_done},
	{"PostToolUseFailure", EVENT_TOOL_FAILED, false, false, NULL},
	{"UserPromptSubmit", EVENT_PROMPT, true, false, say_prompt},
	{"SessionStart", EVENT_START, true, false, say_start},
	{"SessionEnd", EVENT_END, false, false, say_end},
	{"Stop", EVENT_TURN_ENDS, false, false, NULL},
	{"StopFailure", EVENT_TURN_ENDS, false, false, NULL},
	{"PermissionRequest", EVENT_ASKS, false, false, say_permission},
	{"Notification", EVENT_OTHER, false, false, say_notification},
	{"PermissionDenied", EVENT_ANSWERED, false, false, NULL},
	{"Elicitation", EVENT_ASKS, false, false, say_elicitation},
	{"ElicitationResult", EVENT_ANSWERED, false, false, NULL},
	{"SubagentStart", EVENT_SUB_STARTS, false, false, NULL},
	{"SubagentStop", EVENT_SUB_ENDS, false, false, NULL},
	{"PostCompact", EVENT_COMPACTED, false, false, NULL},
};

static void
say(const json_t *payload, struct event *out)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct event_row *row = &rows[i];

		if (!str_equal(row->name, out->name))
			continue;
		out->kind = row->kind;
		out->can_speak = row->can_speak && *out->agent == '\0';
		out->can_deny = row->can_deny;
		if (row->say != NULL)
			row->say(payload, out);
	}
}

static void
take_common(const json_t *payload, struct event *out)
{
	event_init(out);
	memcpy(out->client, "claude", sizeof "claude");
	take_text(payload, "session_id", out->client_session, sizeof out->client_session);
	take_text(payload, "cwd", out->cwd, sizeof out->cwd);
	take_text(payload, "transcript_path", out->transcript, sizeof out->transcript);
}

static enum status
check_payload(const json_t *payload, struct buf *why)
{
	if (!json_is_object(payload))
		return why_not(why, BAD_INPUT, "the payload is not a JSON object");
	return check_id(payload, "session_id", ID_MAX, true, why);
}

static enum status
parse(const json_t *payload, struct event *out, struct buf *why)
{
	enum status status = check_payload(payload, why);

	if (status == OK)
		status = check_id(payload, "hook_event_name", LABEL_MAX, true, why);
	if (status == OK)
		status = check_id(payload, "agent_id", LABEL_MAX, false, why);
	if (status == OK)
		status = check_id(payload, "tool_use_id", ID_MAX, false, why);
	if (status != OK)
		return status;
	take_common(payload, out);
	take_text(payload, "hook_event_name", out->name, sizeof out->name);
	take_text(payload, "agent_id", out->agent, sizeof out->agent);
	take_text(payload, "agent_transcript_path", out->agent_transcript, sizeof out->agent_transcript);
	take_text(payload, "tool_name", out->tool, sizeof out->tool);
	take_text(payload, "tool_use_id", out->tool_use, sizeof out->tool_use);
	say(payload, out);
	return OK;
}

/* Input only, as the client's own percentage counts it. */
static int64_t
current_context(const json_t *usage)
{
	static const char *const parts[] = {"input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"};
	int64_t context = 0, tokens;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (claude_tokens(usage, parts[i], &tokens))
			context += tokens;
	return context;
}

/*
 * -1 when it can't be known.  current_usage is what the last call had, null where there was none; clients older than it have
 * only a total, which adds up the whole session (anthropics/claude-code #13783), so where both stand the total is nothing to
 * go by.  Right after a compaction all are null or 0 (#58268), which no context is.
 */
static int64_t
status_line_context(const json_t *window, int64_t size)
{
	const json_t *usage = json_object_get(window, "current_usage");
	double percent = json_real_of(window, "used_percentage", -1);
	int64_t context = 0;
	bool total = usage == NULL && claude_tokens(window, "total_input_tokens", &context);

	if (json_is_object(usage))
		context = current_context(usage);
	else if (!total && percent >= 0 && percent <= 1000)
		context = llround(percent / 100 * (double)size);
	return context > 0 ? context : -1;
}

static enum status
parse_status_line(const json_t *payload, struct event *out, struct buf *why)
{
	const json_t *window = json_object_get(payload, "context_window");
	enum status status = check_payload(payload, why);

	if (status != OK)
		return status;
	take_common(payload, out);
	out->kind = EVENT_METRICS;
	memcpy(out->name, "statusline", sizeof "statusline");
	if (*out->cwd == '\0')
		take_text(json_object_get(payload, "workspace"), "current_dir", out->cwd, sizeof out->cwd);
	take_text(payload, "version", out->client_version, sizeof out->client_version);
	claude_tokens(window, "context_window_size", &out->budget);
	out->context = status_line_context(window, out->budget);
	return OK;
}

static void
render_denial(const struct buf *reason, struct buf *err)
{
	const char *text = reason->len == 0 ? "denied by stile" : reason->data;

	for (; *text != '\0'; text++)
		buf_add(err, (unsigned char)*text < ' ' || *text == 0x7f ? " " : text, 1);
	buf_text(err, "\n");
}

static int
render(const struct event *event, const struct hook_answer *answer, struct buf *out, struct buf *err)
{
	json_t *document;

	if (answer->deny) {
		render_denial(&answer->reason, err);
		return 2;
	}
	if (answer->to_model.len == 0 && answer->to_person.len == 0)
		return 0;
	document = json_object();
	if (answer->to_model.len > 0) {
		json_t *specific = json_object();

		json_object_set_new(specific, "hookEventName", json_string(event->name));
		json_object_set_new(specific, "additionalContext", json_lossy(answer->to_model.data, answer->to_model.len));
		json_object_set_new(document, "hookSpecificOutput", specific);
	}
	if (answer->to_person.len > 0)
		json_object_set_new(document, "systemMessage", json_lossy(answer->to_person.data, answer->to_person.len));
	json_write(out, document);
	buf_text(out, "\n");
	json_decref(document);
	return 0;
}

const struct client client_claude = {
	.name = "claude",
	.parse = parse,
	.parse_status_line = parse_status_line,
	.render = render,
	.read_transcript = claude_read_transcript,
	.project_env = "CLAUDE_PROJECT_DIR",
};
