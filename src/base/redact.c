#include "base/redact_parts.h"

#include "base/str.h"

#include <regex.h>

struct redact_pattern {
	char name[LABEL_MAX + 1];
	regex_t compiled;
};

void
redactor_init(struct redactor *redactor)
{
	*redactor = (struct redactor){0};
}

void
redactor_release(struct redactor *redactor)
{
	for (size_t i = 0; i < redactor->count; i++)
		regfree(&redactor->own[i].compiled);
	free(redactor->own);
	redactor_init(redactor);
}

static enum status
compile(struct redact_pattern *out, const char *pattern, struct buf *why)
{
	char wrong[200];
	int failed = *pattern == '\0' ? REG_BADPAT : regcomp(&out->compiled, pattern, REG_EXTENDED | REG_NEWLINE);

	if (failed != 0) {
		regerror(failed, *pattern == '\0' ? NULL : &out->compiled, wrong, sizeof wrong);
		return why_not(why, failed == REG_ESPACE ? NO_MEMORY : BAD_CONFIG, "config: [redact] %s: %s", out->name, wrong);
	}
	if (regexec(&out->compiled, "", 0, NULL, 0) != 0)
		return OK;
	regfree(&out->compiled);
	return why_not(why, BAD_CONFIG, "config: [redact] %s: it would find nothing at all, everywhere", out->name);
}

enum status
redactor_add(struct redactor *redactor, const char *name, const char *pattern, struct buf *why)
{
	struct redact_pattern *own;
	enum status status = str_check_id("a name in [redact]", name, LABEL_MAX, why);

	if (status != OK)
		return BAD_CONFIG;
	if (redactor->count == REDACT_PATTERNS_MAX)
		return why_not(why, BAD_CONFIG, "config: [redact] has more than %d patterns", REDACT_PATTERNS_MAX);
	own = realloc(redactor->own, (redactor->count + 1) * sizeof *own);
	if (own == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	redactor->own = own;
	snprintf(own[redactor->count].name, sizeof own->name, "%s", name);
	status = compile(&own[redactor->count], pattern, why);
	redactor->count += status == OK;
	return status;
}

/* Inside of a character. */
static bool
is_inside(const struct buf *text, size_t at)
{
	return at < text->len && ((unsigned char)text->data[at] & 0xc0) == 0x80;
}

/* Finds the next from `at` on, grown to whole characters: a pattern counts in bytes.  False past the last. */
static bool
find(const struct redact_pattern *pattern, const struct buf *text, size_t at, struct stretch *out)
{
	regmatch_t match = {.rm_so = (regoff_t)at, .rm_eo = (regoff_t)text->len};

	if (at >= text->len || regexec(&pattern->compiled, text->data, 1, &match, REG_STARTEND) != 0)
		return false;
	*out = (struct stretch){pattern->name, (size_t)match.rm_so, (size_t)match.rm_eo};
	while (out->from > at && is_inside(text, out->from))
		out->from--;
	while (is_inside(text, out->to))
		out->to++;
	return true;
}

static void
apply(const struct redact_pattern *pattern, struct buf *text)
{
	struct stretch found;
	struct buf out;
	size_t kept = 0, at = 0;

	buf_init(&out, text->max);
	while (find(pattern, text, at, &found)) {
		at = found.to;
		if (found.to == found.from) {
			at++;
			continue;
		}
		buf_add(&out, text->data + kept, found.from - kept);
		redact_mark(found.rule, &out);
		kept = found.to;
	}
	if (kept == 0) {
		buf_release(&out);
		return;
	}
	buf_add(&out, text->data + kept, text->len - kept);
	buf_release(text);
	*text = out;
}

/* Into a buffer of its own. */
static void
redact_into(const struct redactor *redactor, const char *text, size_t len, struct buf *out)
{
	redact_by_rules(text, len, out);
	for (size_t i = 0; i < redactor->count && out->failed == OK; i++)
		apply(&redactor->own[i], out);
}

void
redact_text(const struct redactor *redactor, const char *text, size_t len, struct buf *out)
{
	struct buf redacted;

	buf_init(&redacted, out->max);
	redact_into(redactor, text, len, &redacted);
	buf_add(out, redacted.data, redacted.len);
	if (out->failed == OK)
		out->failed = redacted.failed;
	buf_release(&redacted);
}

static void
write_text(const struct redactor *redactor, const char *text, size_t len, struct buf *out)
{
	struct buf redacted;

	buf_init(&redacted, out->max);
	redact_into(redactor, text, len, &redacted);
	json_write_bytes(out, redacted.data, redacted.len);
	if (out->failed == OK)
		out->failed = redacted.failed;
	buf_release(&redacted);
}

static void
write_member(const struct redactor *redactor, const char *name, const json_t *value, struct buf *out)
{
	const char *rule = json_is_string(value) || json_is_number(value) ? redact_member(name) : NULL;

	write_text(redactor, name, strlen(name), out);
	buf_text(out, ":");
	if (rule == NULL) {
		redact_json(redactor, value, out);
		return;
	}
	buf_text(out, "\"");
	redact_mark(rule, out);
	buf_text(out, "\"");
}

void
redact_json(const struct redactor *redactor, const json_t *value, struct buf *out)
{
	const char *name, *between = "";
	const json_t *one;
	json_t *member;
	size_t i;

	if (json_is_string(value)) {
		write_text(redactor, json_string_value(value), json_string_length(value), out);
	} else if (json_is_array(value)) {
		buf_text(out, "[");
		json_array_foreach(value, i, one)
		{
			buf_text(out, between);
			redact_json(redactor, one, out);
			between = ",";
		}
		buf_text(out, "]");
	} else if (json_is_object(value)) {
		buf_text(out, "{");
		json_object_foreach((json_t *)(uintptr_t)value, name, member)
		{
			buf_text(out, between);
			write_member(redactor, name, member, out);
			between = ",";
		}
		buf_text(out, "}");
	} else {
		json_write(out, value);
	}
}
