/*
 * Any bytes as a hook's or a status line's payload, and as the texts that we answer with: what is taken from them keeps to the
 * limits, and an answer is one line of JSON or one line on stderr.
 */
#include "base/str.h"
#include "clients/client.h"
#include "fuzz/fuzz.h"

static void
check_text(const char *text, size_t size)
{
	must(memchr(text, '\0', size) != NULL);
	must(str_check_text("text", text, size - 1, NULL) == OK);
}

static void
check_event(const struct event *event)
{
	must(str_check_id("id", event->client_session, ID_MAX, NULL) == OK);
	must(str_check_id("name", event->name, LABEL_MAX, NULL) == OK);
	must(str_equal(event->client, "claude"));
	check_text(event->client_version, sizeof event->client_version);
	check_text(event->agent, sizeof event->agent);
	check_text(event->tool, sizeof event->tool);
	check_text(event->tool_use, sizeof event->tool_use);
	check_text(event->detail, sizeof event->detail);
	check_text(event->cwd, sizeof event->cwd);
	check_text(event->transcript, sizeof event->transcript);
	check_text(event->agent_transcript, sizeof event->agent_transcript);
	must(event->context >= -1 && event->budget >= 0);
	must(!(event->can_speak && (event->can_deny || *event->agent != '\0')));
}

static void
check_answer(const struct buf *out, bool says)
{
	json_t *document;

	must(buf_status(out) == OK && (out->len > 0) == says);
	if (!says)
		return;
	must(memchr(out->data, '\n', out->len) == out->data + out->len - 1);
	must(json_parse(out->data, out->len, &document, NULL) == OK && json_is_object(document));
	json_decref(document);
}

static void
check_render(const struct event *event, const char *text, size_t len, bool deny)
{
	struct hook_answer answer = {.deny = deny};
	struct buf out, err;
	int status;

	buf_init(&answer.to_model, len);
	buf_init(&answer.to_person, len);
	buf_init(&answer.reason, len);
	buf_init(&out, 12 * len + 4096);
	buf_init(&err, len + 64);
	buf_add(&answer.to_model, text, len / 2);
	buf_add(&answer.to_person, text + len / 2, len - len / 2);
	buf_add(&answer.reason, text, len);
	status = client_claude.render(event, &answer, &out, &err);
	must(status == (deny ? 2 : 0));
	check_answer(&out, !deny && len > 0);
	must(buf_status(&err) == OK && (err.len > 0) == deny);
	must(!deny || strchr(err.data, '\n') == err.data + err.len - 1);
	buf_release(&answer.to_model);
	buf_release(&answer.to_person);
	buf_release(&answer.reason);
	buf_release(&out);
	buf_release(&err);
}

static void
try(enum status (*parse)(const json_t *payload, struct event *out, struct buf *why), const json_t *payload)
{
	struct event event;
	struct buf why;
	enum status status;

	buf_init(&why, WHY_MAX);
	status = parse(payload, &event, &why);
	must(status == OK || status == BAD_INPUT);
	must((why.len > 0) == (status != OK) && strchr(why.data, '\n') == NULL);
	if (status == OK) {
		check_event(&event);
		check_render(&event, event.detail, strlen(event.detail), true);
		event_release(&event);
	}
	buf_release(&why);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct event event = {.name = "SessionStart"};
	char *copy = malloc(size + 1);
	const char *text;
	json_t *payload;

	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	check_render(&event, copy, strlen(copy), false);
	check_render(&event, copy, strlen(copy), true);
	if (json_parse(copy, size, &payload, NULL) == OK) {
		try(client_claude.parse, payload);
		try(client_claude.parse_status_line, payload);
		text = json_string_value(payload);
		if (text != NULL)
			check_render(&event, text, strlen(text), false);
		json_decref(payload);
	}
	free(copy);
	return 0;
}
