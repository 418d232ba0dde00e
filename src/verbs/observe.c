#include "verbs/observe.h"

#include "verbs/payload.h"

#include <fnmatch.h>

/* Whether one of a list of names and patterns, with blanks or commas between, is the tool's. */
static bool
is_listed(const char *list, const char *tool)
{
	char one[ID_MAX + 1];
	size_t len;

	for (; *(list += strspn(list, " \t,")) != '\0'; list += len) {
		len = strcspn(list, " \t,");
		snprintf(one, sizeof one, "%.*s", (int)(len < sizeof one ? len : sizeof one - 1), list);
		if (fnmatch(one, tool, 0) == 0)
			return true;
	}
	return false;
}

/* The queue that the event belongs to, NULL when it isn't wanted. */
static const char *
queue_of(const struct config *config, const struct event *event)
{
	const char *tools;

	if (event->kind == EVENT_PROMPT)
		return event->input != NULL && str_equal(config_get(config, "observe", "prompts"), "yes") ? PROMPTS : NULL;
	if (event->kind != EVENT_TOOL_DONE || event->tool[0] == '\0')
		return NULL;
	tools = config_get(config, "observe", "tools");
	if (*tools == '\0' || !is_listed(tools, event->tool))
		return NULL;
	return is_listed(config_get(config, "observe", "skip"), event->tool) ? NULL : OBSERVATIONS;
}

enum status
observation_redactor(const struct config *config, struct redactor *out, struct buf *why)
{
	enum status status = OK;

	redactor_init(out);
	for (size_t i = 0; i < config->count && status == OK; i++)
		if (str_equal(config->items[i].section, "redact"))
			status = redactor_add(out, config->items[i].key, config->items[i].value, why);
	if (status != OK)
		redactor_release(out);
	return status;
}

static void
add_name(struct buf *out, const char *name)
{
	buf_text(out, out->len == 0 ? "{" : ",");
	json_write_text(out, name);
	buf_text(out, ":");
}

static void
add_text(const struct redactor *redactor, const char *name, const char *text, struct buf *out)
{
	struct buf redacted;

	if (*text == '\0')
		return;
	buf_init(&redacted, out->max);
	redact_text(redactor, text, strlen(text), &redacted);
	add_name(out, name);
	json_write_bytes(out, redacted.data, redacted.len);
	if (out->failed == OK)
		out->failed = redacted.failed;
	buf_release(&redacted);
}

static void
add_value(const struct redactor *redactor, const char *name, const json_t *value, struct buf *out)
{
	if (value == NULL)
		return;
	add_name(out, name);
	redact_json(redactor, value, out);
}

static enum status
write_payload(const struct redactor *redactor, const struct event *event, struct buf *out, struct buf *why)
{
	bool prompt = event->kind == EVENT_PROMPT;

	add_text(redactor, "tool", event->tool, out);
	add_text(redactor, "tool_use", event->tool_use, out);
	add_value(redactor, prompt ? "prompt" : "input", event->input, out);
	add_value(redactor, "response", event->response, out);
	add_text(redactor, "cwd", event->cwd, out);
	add_text(redactor, "agent", event->agent, out);
	add_text(redactor, "agent_type", event->agent_type, out);
	buf_text(out, "}");
	if (buf_status(out) == BAD_INPUT)
		return why_not(why, BAD_INPUT, "it is longer than %zu MiB", out->max >> 20);
	return buf_status(out) == OK ? OK : why_not(why, NO_MEMORY, "out of memory");
}

/* The same event again is the same item: by the tool's call, or the prompt's id and words. */
static void
make_key(const struct event *event, struct observation *out)
{
	digest_make(out->digest, out->payload.data, out->payload.len);
	if (event->kind != EVENT_PROMPT)
		snprintf(out->key, sizeof out->key, "%s", event->tool_use);
	else if (event->prompt_id[0] != '\0')
		snprintf(out->key, sizeof out->key, "%.100s/%.64s", event->prompt_id, out->digest);
}

static enum status
prepare(struct context *context, const struct event *event, struct observation *out)
{
	const struct config *config = &context->engine.config;
	struct redactor redactor;
	enum status status = observation_redactor(config, &redactor, &out->why);

	if (status != OK)
		return status;
	status = write_payload(&redactor, event, &out->payload, &out->why);
	redactor_release(&redactor);
	if (status != OK)
		return status;
	make_key(event, out);
	status = payload_keep(context, out->payload.data, out->payload.len, out->apart, &out->why);
	out->put = (struct queue_put){.queue = event->keep.queue,
	                              .key = out->key,
	                              .slot = event->kind == EVENT_PROMPT ? "" : config_get(config, "observe", "until_bound"),
	                              .payload = out->apart[0] == '\0' ? out->payload.data : NULL,
	                              .size = out->payload.len,
	                              .digest = out->digest,
	                              .apart = out->apart};
	return status;
}

void
observation_make(struct context *context, struct event *event, struct observation *out)
{
	event->keep = (struct event_keep){.queue = queue_of(&context->engine.config, event)};
	out->key[0] = out->digest[0] = out->apart[0] = '\0';
	buf_init(&out->payload, QUEUE_PAYLOAD_MAX);
	buf_init(&out->why, WHY_MAX);
	if (event->keep.queue == NULL)
		return;
	if (prepare(context, event, out) == OK)
		event->keep.put = &out->put;
	event->keep.reason = out->why.len > 0 ? out->why.data : status_row(NO_MEMORY)->sentence;
}

void
observation_end(struct context *context, struct observation *observation, enum status status, bool kept)
{
	/* what may have been committed stays; if it wasn't nobody names it, and it goes with the next sweep */
	if (status != OUTCOME_UNKNOWN && !kept)
		payload_drop(context, observation->apart);
	buf_release(&observation->payload);
	buf_release(&observation->why);
}
