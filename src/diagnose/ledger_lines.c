#include "diagnose/entries.h"
#include "diagnose/targets.h"

/*
 * ALAI's logs of overrides, of what was found ready, and of a day's messages: `printf` and `echo` with `>>`.  A shell writes up to 4096 bytes at
 * once, so short lines are safe as they are; the lines here are as long as such an override's reason, an audited command with
 * what it printed, or a message with what was pasted into it.
 */
#define SHELL_PIECE 4096
#define READ_MAX ((size_t)16 << 20)

struct log {
	const char *name;
	size_t len; /* of a line */
};

static const struct log overrides = {"blueprint-override-ledger.jsonl", 6000};
static const struct log audits = {"h-ready-audit.jsonl", 9000};
static const struct log messages = {"session-save.log", 20000};

static enum status
expect(struct race *race, struct buf *why)
{
	(void)why;
	snprintf(race->trial->expected, sizeof race->trial->expected, "%u lines, 0 broken", race->trial->writers);
	return OK;
}

/* One that is its writer's from its first byte to its last, without a newline; the caller frees it. */
static char *
make_line(const struct race *race, const struct log *log)
{
	char *line = malloc(log->len + 1);

	if (line == NULL)
		return NULL;
	memset(line, '0' + (int)race->self->number, log->len);
	line[log->len] = '\0';
	return line;
}

static enum status
append_line(struct race *race, const struct log *log, struct buf *why)
{
	char *line = make_line(race, log);
	enum status status;

	if (line == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	if (race->trial->guarded) {
		status = trial_meet(race, why);
		if (status == OK)
			status = entries_append(race, log->name, "", line, why);
	} else {
		line[log->len - 1] = '\n';
		status = trial_append_file(race, log->name, line, log->len, SHELL_PIECE, why);
	}
	free(line);
	return status;
}

static bool
is_whole(const char *line, size_t len, const struct log *log)
{
	for (size_t i = 0; i < len; i++)
		if (line[i] != line[0])
			return false;
	return len + 1 == log->len;
}

static void
tell(struct race *race, int64_t whole, int64_t broken)
{
	race->finding->wanted = race->trial->writers;
	race->finding->kept = whole;
	race->finding->unreadable = broken > 0;
	snprintf(race->finding->found, sizeof race->finding->found, "%lld lines, %lld broken", (long long)whole, (long long)broken);
}

static enum status
look_at_file(struct race *race, const struct log *log, struct buf *why)
{
	int64_t whole = 0, broken = 0;
	struct buf text;
	enum status status;

	buf_init(&text, READ_MAX);
	status = trial_read_text(race, log->name, &text, why);
	for (const char *at = text.data, *end; status == OK && *at != '\0'; at = end + (*end == '\n')) {
		end = at + strcspn(at, "\n");
		if (is_whole(at, (size_t)(end - at), log))
			whole++;
		else
			broken++;
	}
	buf_release(&text);
	tell(race, whole, broken);
	return status;
}

static enum status
look_at_lines(struct race *race, const struct log *log, struct buf *why)
{
	struct entries entries;
	enum status status;

	if (!race->trial->guarded)
		return look_at_file(race, log, why);
	status = entries_look(race, log->name, &entries, why);
	tell(race, entries.there, entries.broken);
	return status;
}

static enum status
append_override(struct race *race, struct buf *why)
{
	return append_line(race, &overrides, why);
}

static enum status
look_at_overrides(struct race *race, struct buf *why)
{
	return look_at_lines(race, &overrides, why);
}

static enum status
append_audit(struct race *race, struct buf *why)
{
	return append_line(race, &audits, why);
}

static enum status
look_at_audits(struct race *race, struct buf *why)
{
	return look_at_lines(race, &audits, why);
}

static enum status
append_message(struct race *race, struct buf *why)
{
	return append_line(race, &messages, why);
}

static enum status
look_at_messages(struct race *race, struct buf *why)
{
	return look_at_lines(race, &messages, why);
}

const struct target target_blueprint_ledger = {
	"blueprint-ledger",
	{.prepare = expect, .write = append_override, .look = look_at_overrides},
	{.prepare = expect, .write = append_override, .look = look_at_overrides},
};

const struct target target_audit_log = {
	"audit-log",
	{.prepare = expect, .write = append_audit, .look = look_at_audits},
	{.prepare = expect, .write = append_audit, .look = look_at_audits},
};

const struct target target_message_log = {
	"message-log",
	{.prepare = expect, .write = append_message, .look = look_at_messages},
	{.prepare = expect, .write = append_message, .look = look_at_messages},
};
