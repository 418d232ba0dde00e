#include "clients/reply.h"

#include "base/json.h"

#include <strings.h>

/* Enough for what a client says of a transcript that isn't there, wherever it stands in a page of other output. */
static const char *const gone[] = {"no conversation found", "session not found", "no rollout found", "thread not found"};

static void
take_id(struct reply *reply, const json_t *object, const char *key)
{
	const char *id = json_text(object, key, "");

	if (str_check_id(key, id, ID_MAX, NULL) == OK)
		snprintf(reply->id, sizeof reply->id, "%s", id);
}

/* As a text can be kept: what isn't UTF-8 becomes '?'; cut at a character. */
static void
take_text(struct reply *reply, const char *text, size_t len)
{
	buf_clear(&reply->text);
	for (size_t at = 0, step; at < len; at += step) {
		size_t char_len = text[at] == '\0' ? 0 : str_char(text + at, len - at);

		step = char_len == 0 ? 1 : char_len;
		if (reply->text.len + step >= reply->text.max)
			return;
		if (char_len == 0)
			buf_text(&reply->text, "?");
		else
			buf_add(&reply->text, text + at, char_len);
	}
}

static void
take_words(struct reply *reply, const json_t *object, const char *key)
{
	const char *words = json_text(object, key, NULL);

	if (words != NULL)
		take_text(reply, words, strlen(words));
}

/* Whether it is one of Codex's, as are all below. */
static bool
take_codex(struct reply *reply, const char *type, const json_t *record)
{
	const json_t *item = json_object_get(record, "item");

	if (str_equal(type, "thread.started")) {
		take_id(reply, record, "thread_id");
		return true;
	}
	if (!str_equal(type, "item.completed"))
		return false;
	if (str_equal(json_text(item, "type", json_text(item, "item_type", "")), "agent_message")) {
		take_words(reply, item, "text");
		reply->spoke = true;
	}
	return true;
}

/* Any object may have a session's id, so its type counts too: what an agent shows in its answer is no record. */
static bool
take_claude(struct reply *reply, const char *type, const json_t *record)
{
	bool is_result = str_equal(type, "result"), is_words = str_equal(type, "assistant");

	if (json_text(record, "session_id", NULL) == NULL ||
	    (!is_result && !is_words && !str_equal(type, "system") && !str_equal(type, "user") && !str_equal(type, "stream_event")))
		return false;
	take_id(reply, record, "session_id");
	if (is_result)
		take_words(reply, record, "result");
	reply->spoke = reply->spoke || is_words || (is_result && !json_truth(record, "is_error"));
	return true;
}

/* One record.  Whether it is one of those we know. */
static bool
take_record(struct reply *reply, const json_t *record)
{
	const char *type = json_text(record, "type", "");

	return take_codex(reply, type, record) || take_claude(reply, type, record);
}

static bool
take_document(struct reply *reply, char *text, size_t len)
{
	const json_t *one;
	json_t *document;
	bool known = false;
	size_t i;

	if (len == 0 || json_parse(text, len, &document, NULL) != OK)
		return false;
	if (json_is_array(document))
		json_array_foreach(document, i, one) known = take_record(reply, one) || known;
	else
		known = take_record(reply, document);
	json_decref(document);
	return known;
}

static bool
take_lines(struct reply *reply, char *output, size_t len)
{
	bool known = false;

	for (size_t at = 0; at < len;) {
		char *end = memchr(output + at, '\n', len - at);
		size_t line = end == NULL ? len - at : (size_t)(end - (output + at));

		if (output[at] == '{')
			known = take_document(reply, output + at, line) || known;
		at += line + 1;
	}
	return known;
}

void
reply_read(char *output, size_t len, size_t text_max, struct reply *reply)
{
	char *whole = malloc(len + 1);
	bool known;

	*reply = (struct reply){0};
	buf_init(&reply->text, text_max);
	if (whole == NULL)
		return;
	/* parsing may change what it reads */
	memcpy(whole, output, len);
	whole[len] = '\0';
	known = take_lines(reply, whole, len);
	memcpy(whole, output, len);
	if (!known)
		known = take_document(reply, whole, len);
	if (!known)
		take_text(reply, output, len);
	free(whole);
}

bool
reply_is_gone(const char *output, size_t len)
{
	for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
		for (size_t at = 0; at + strlen(gone[i]) <= len; at++)
			if (strncasecmp(output + at, gone[i], strlen(gone[i])) == 0)
				return true;
	return false;
}
