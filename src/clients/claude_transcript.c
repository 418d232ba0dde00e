#include "clients/claude.h"

#include <math.h>

bool
claude_tokens(const json_t *object, const char *key, int64_t *out)
{
	double value = json_real_of(object, key, -1);

	if (!(value >= 0 && value <= CLAUDE_TOKENS_MAX) || floor(value) != value)
		return false;
	*out = (int64_t)value;
	return true;
}

/* As claude_tokens, but what isn't said is 0. */
static bool
part(const json_t *usage, const char *key, int64_t *out)
{
	const json_t *value = json_object_get(usage, key);

	return value == NULL || json_is_null(value) || claude_tokens(usage, key, out);
}

/* Copies an id that can be used; else `out` keeps what it holds. */
static void
take_id(const json_t *object, const char *key, char *out, size_t size)
{
	const char *id = json_text(object, key, "");

	if (str_check_id(key, id, size - 1, NULL) == OK)
		memcpy(out, id, strlen(id) + 1);
}

static void
take_agent(const json_t *record, const char *agent, char *out, size_t size)
{
	if (*agent == '\0' && !json_truth(record, "isSidechain"))
		return;
	snprintf(out, size, "%s", *agent == '\0' ? "sidechain" : agent);
	take_id(record, "agentId", out, size);
}

enum found { FOUND_NOTHING, FOUND_USAGE, FOUND_BROKEN };

static enum found
read_record(const json_t *record, const char *agent, struct usage *out)
{
	const json_t *message = json_object_get(record, "message");
	const json_t *usage = json_object_get(message, "usage");

	if (!json_is_object(record))
		return FOUND_BROKEN;
	if (!str_equal(json_text(record, "type", ""), "assistant") || !json_is_object(usage))
		return FOUND_NOTHING;
	/* the client's own words about a failed call: no model spoke */
	if (json_truth(record, "isApiErrorMessage") || str_equal(json_text(message, "model", ""), "<synthetic>"))
		return FOUND_NOTHING;
	if (!part(usage, "input_tokens", &out->input) || !part(usage, "output_tokens", &out->output) ||
	    !part(usage, "cache_creation_input_tokens", &out->cache_write) ||
	    !part(usage, "cache_read_input_tokens", &out->cache_read))
		return FOUND_BROKEN;
	if (out->input + out->cache_write + out->cache_read == 0)
		return FOUND_NOTHING;
	take_id(record, "uuid", out->message, sizeof out->message);
	take_id(message, "id", out->message, sizeof out->message);
	take_id(record, "requestId", out->request, sizeof out->request);
	take_agent(record, agent, out->agent, sizeof out->agent);
	return *out->message == '\0' ? FOUND_BROKEN : FOUND_USAGE;
}

/* Most of a transcript is what tools said: such lines need no document, only to be whole. */
static bool
may_hold_usage(const char *line, size_t len)
{
	return memmem(line, len, "\"usage\"", 7) != NULL && memmem(line, len, "\"assistant\"", 11) != NULL;
}

static enum status
read_line(char *line, size_t len, int64_t offset, const char *agent, struct usage_list *usages, int64_t *broken)
{
	struct usage usage = {.offset = offset};
	enum found found;
	json_t *record;

	if (!may_hold_usage(line, len)) {
		if (!json_is_whole_object(line, len))
			++*broken;
		return OK;
	}
	if (json_parse(line, len, &record, NULL) != OK) {
		++*broken;
		return OK;
	}
	found = read_record(record, agent, &usage);
	json_decref(record);
	if (found == FOUND_BROKEN)
		++*broken;
	return found == FOUND_USAGE ? usage_list_put(usages, &usage) : OK;
}

enum status
claude_read_transcript(char *text, size_t len, int64_t offset, const char *agent, struct usage_list *usages, int64_t *broken)
{
	enum status status = OK;
	size_t at = 0;

	while (at < len && status == OK) {
		char *end = memchr(text + at, '\n', len - at);
		size_t line = end == NULL ? len - at : (size_t)(end - (text + at));

		if (line > 0)
			status = read_line(text + at, line, offset + (int64_t)at, agent == NULL ? "" : agent, usages, broken);
		at += line + 1;
	}
	return status;
}
