#include "legacy/prev_hash.h"

#include "base/jsontext.h"
#include "base/str.h"
#include "os/lines.h"

#include <ctype.h>

#define PREV_MAX 200

/* What one line says, and what the next may say of it. */
struct link {
	char prev[PREV_MAX + 1];
	char plain[DIGEST_SIZE], ended[DIGEST_SIZE]; /* of its bytes, without and with the newline */
	const char *wrong;                           /* of itself; NULL = nothing */
	const char *how;
};

struct reading {
	const struct prev_hash_ask *ask;
	struct lines lines;
	struct link link;
	struct prev_hash_found found;
	bool head_seen;
	struct buf *why;
};

static bool
is_digest(const char *text)
{
	size_t len = 0;

	while (isxdigit((unsigned char)text[len]))
		len++;
	return len == DIGEST_SIZE - 1 && text[len] == '\0' && strspn(text, "0") < len;
}

static bool
follows(const struct link *before, const char *prev)
{
	return before->plain[0] != '\0' && (str_equal(before->plain, prev) || str_equal(before->ended, prev));
}

static void
wrong(struct link *link, const char *what, const char *how)
{
	link->wrong = what;
	link->how = how;
}

/* The member's text; false when it isn't there or isn't a short text.  null is the empty one. */
static bool
read_field(const char *text, const struct json_piece *object, const char *field, struct json_piece *member,
           char out[PREV_MAX + 1])
{
	struct buf value;
	bool well;

	if (!jsontext_member(text, object, field, member))
		return false;
	out[0] = '\0';
	if (member->kind == JSON_PIECE_WORD && text[member->from] == 'n')
		return true;
	if (member->kind != JSON_PIECE_STRING)
		return false;
	buf_init(&value, PREV_MAX);
	jsontext_string(text, member, &value);
	well = buf_status(&value) == OK;
	if (well)
		snprintf(out, PREV_MAX + 1, "%s", value.data);
	buf_release(&value);
	return well;
}

/* Its own digest stands in it: that of the line before it was put in. */
static enum status
check_own(const char *text, size_t len, const struct json_piece *object, const char *field, struct link *link)
{
	char own[PREV_MAX + 1];
	struct json_piece member;
	struct buf before;
	enum status status;

	if (!read_field(text, object, field, &member, own) || !is_digest(own)) {
		wrong(link, "unlinked", "has no digest of its own");
		return OK;
	}
	buf_init(&before, len + 1);
	jsontext_remove(text, len, object, &member, &before);
	status = buf_status(&before);
	digest_line(link->plain, link->ended, before.data, before.len);
	buf_release(&before);
	if (!follows(link, own))
		wrong(link, "changed", "isn't what its own digest was made of");
	memcpy(link->plain, own, sizeof link->plain);
	memcpy(link->ended, link->plain, sizeof link->ended);
	return status;
}

static enum status
read_link(struct reading *reading, const char *text, size_t len)
{
	const struct prev_hash_ask *ask = reading->ask;
	struct link *link = &reading->link;
	struct json_piece object, member;

	*link = (struct link){.prev = ""};
	if (!reading->lines.whole)
		wrong(link, "torn", "has no end: it was written in part, or is being written");
	else if (jsontext_root(text, len, &object, NULL) != OK || object.kind != JSON_PIECE_OBJECT)
		wrong(link, "torn", "is no JSON object: it has pieces of several, or was cut");
	else if (!read_field(text, &object, ask->prev_field, &member, link->prev))
		wrong(link, "unlinked", "doesn't say which line it follows");
	if (link->wrong != NULL)
		return OK;
	if (ask->hash_field != NULL)
		return check_own(text, len, &object, ask->hash_field, link);
	digest_line(link->plain, link->ended, text, len);
	return OK;
}

static enum status
next_link(struct reading *reading)
{
	const char *text;
	size_t len;
	enum status status = lines_next(&reading->lines, &text, &len, reading->why);

	return status == OK ? read_link(reading, text, len) : status;
}

static enum status
bad_line(struct reading *reading, int64_t line, const char *what, const char *how)
{
	reading->found.bad = line;
	reading->found.wrong = what;
	return why_not(reading->why, CONFLICT, "%s: %s: line %lld %s", reading->ask->path, what, (long long)line, how);
}

static enum status
check_first(struct reading *reading, const struct link *first)
{
	const char *after = reading->ask->after;
	char how[400];

	if (after != NULL ? str_equal(first->prev, after) : !is_digest(first->prev))
		return OK;
	if (after != NULL)
		snprintf(how, sizeof how, "follows \"%s\", not %s", first->prev, after);
	else
		snprintf(how, sizeof how, "follows %s, which isn't there; if what was before it was moved away, say so: --hash",
		         first->prev);
	return bad_line(reading, 1, "cut off", how);
}

/* Line `at`, all before which are right, doesn't follow the one before it.  Which one it follows tells what has happened. */
static enum status
explain(struct reading *reading, int64_t at, const char *prev)
{
	enum status status = lines_again(&reading->lines, reading->why);
	bool own = reading->ask->hash_field != NULL;
	char how[200];
	int64_t m = 0;

	while (status == OK && (status = next_link(reading)) == OK) {
		m++;
		if (m == 1 && at > 1 && str_equal(reading->link.prev, prev)) {
			snprintf(how, sizeof how, "begins the chain, and so does line 1");
			return bad_line(reading, at, "forked", how);
		}
		if (m == at || !follows(&reading->link, prev))
			continue;
		if (m < at)
			snprintf(how, sizeof how, "follows line %lld, and so does line %lld", (long long)m, (long long)m + 1);
		else
			snprintf(how, sizeof how, "follows line %lld, which comes after it", (long long)m);
		return bad_line(reading, at, m < at ? "forked" : "reordered", how);
	}
	if (status != NO_SUCH)
		return status;
	if (own)
		return bad_line(reading, at, "missing", "follows one that isn't there");
	/* nothing in it tells whether it is as it was */
	reading->found.lines--;
	snprintf(how, sizeof how, "is not the one that line %lld follows", (long long)at);
	return bad_line(reading, at - 1, "changed or missing", how);
}

static enum status
check_link(struct reading *reading, const struct link *before)
{
	struct link link = reading->link;
	int64_t at = reading->lines.number;

	if (link.wrong != NULL)
		return bad_line(reading, at, link.wrong, link.how);
	if (at == 1)
		return check_first(reading, &link);
	return follows(before, link.prev) ? OK : explain(reading, at, link.prev);
}

static enum status
walk(struct reading *reading)
{
	const char *head = reading->ask->head;
	struct link before = {.prev = ""};
	enum status status;

	while ((status = next_link(reading)) == OK) {
		struct link link = reading->link;

		status = check_link(reading, &before);
		if (status != OK)
			return status;
		before = link;
		reading->found.lines++;
		memcpy(reading->found.head, link.plain, sizeof reading->found.head);
		reading->head_seen |= head != NULL && follows(&link, head);
	}
	if (status != NO_SUCH)
		return status;
	if (head == NULL || reading->head_seen)
		return OK;
	return bad_line(reading, reading->found.lines + 1, "cut off", "isn't there: no line has the digest that is asked for");
}

enum status
prev_hash_verify(const struct prev_hash_ask *ask, struct prev_hash_found *out, struct buf *why)
{
	struct reading reading = {.ask = ask, .why = why};
	enum status status = lines_open(&reading.lines, ask->path, PREV_HASH_LINE_MAX, why);

	if (status == OK)
		status = walk(&reading);
	lines_close(&reading.lines);
	if (status == OK || status == CONFLICT)
		*out = reading.found;
	return status;
}
