#include "diagnose/entries.h"
#include "diagnose/targets.h"

#include <signal.h>
#include <unistd.h>

/*
 * ALAI's evidence.  To the ledger each line is added with one write, which is safe as long as nobody dies in it: what a process leaves
 * that was killed, or a full disk, is a line without its end, and that swallows the next one.  In the index a line is
 * looked for before it is added, so that it is there once; of several who look at the same instant each finds none.
 */
#define LEDGER "evidence-ledger.jsonl"
#define INDEX "evidence-index.jsonl"
#define KEY "evidence/1760000000/tests-green"
#define INDEXED "{\"ts\":1760000000,\"evidence\":\"tests-green\"}\n"
#define READ_MAX ((size_t)1 << 20)

static void
make_line(unsigned writer, char out[200])
{
	snprintf(out, 200, "{\"evidence\":\"claim %u\",\"verdict\":\"tests are green\"}\n", writer);
}

static enum status
expect_lines(struct race *race, struct buf *why)
{
	(void)why;
	snprintf(race->trial->expected, sizeof race->trial->expected, "%u lines, 0 broken", race->trial->writers);
	return OK;
}

/* Half of it is in the file when the process is killed. */
static enum status
append_half(struct race *race, struct buf *why)
{
	char line[200];

	make_line(TRIAL_WRITERS_MAX, line);
	return trial_append_file(race, LEDGER, line, strlen(line) / 2, SIZE_MAX, why);
}

static enum status
append_evidence(struct race *race, struct buf *why)
{
	char line[200];
	enum status status = trial_meet(race, why);

	make_line(race->self->number, line);
	if (status == OK && race->trial->guarded)
		return entries_append(race, LEDGER, "", line, why);
	return status == OK ? trial_append_file(race, LEDGER, line, strlen(line), SIZE_MAX, why) : status;
}

static void
tell_lines(struct race *race, int64_t whole, int64_t broken)
{
	race->finding->wanted = race->trial->writers;
	race->finding->kept = whole;
	race->finding->unreadable = broken > 0;
	snprintf(race->finding->found, sizeof race->finding->found, "%lld lines, %lld broken", (long long)whole, (long long)broken);
}

static enum status
look_at_file(struct race *race, struct buf *why)
{
	int64_t whole = 0, broken = 0;
	struct buf text;
	enum status status;

	buf_init(&text, READ_MAX);
	status = trial_read_text(race, LEDGER, &text, why);
	for (const char *at = text.data, *end; status == OK && *at != '\0'; at = end + (*end == '\n')) {
		end = at + strcspn(at, "\n");
		if (json_is_whole_object(at, (size_t)(end - at)))
			whole++;
		else
			broken++;
	}
	buf_release(&text);
	tell_lines(race, whole, broken);
	return status;
}

static enum status
rule_append_and_die(struct race *race, struct buf *why)
{
	char line[200];
	enum status status;

	make_line(TRIAL_WRITERS_MAX, line);
	status = entries_append(race, LEDGER, "", line, why);
	if (status == OK)
		kill(getpid(), SIGKILL);
	return status;
}

static enum status
append_and_die(struct race *race, struct buf *why)
{
	return trial_rule(race, rule_append_and_die, why);
}

static enum status
look_at_entries(struct race *race, struct buf *why)
{
	struct entries entries;
	enum status status = entries_look(race, LEDGER, &entries, why);

	tell_lines(race, entries.there, entries.broken);
	return status;
}

static enum status
expect_one(struct race *race, struct buf *why)
{
	(void)why;
	snprintf(race->trial->expected, sizeof race->trial->expected, "1 in the index");
	return OK;
}

static enum status
read_index(struct race *race, struct buf *text, struct buf *why)
{
	enum status status = trial_read_text(race, INDEX, text, why);

	return status == NO_SUCH ? why_not(why, OK, "%s", "") : status;
}

/* All have the same to enter. */
static enum status
enter_if_missing(struct race *race, struct buf *why)
{
	struct buf text;
	bool missing;
	enum status status;

	buf_init(&text, READ_MAX);
	status = read_index(race, &text, why);
	missing = strstr(text.data, INDEXED) == NULL;
	buf_release(&text);
	if (status == OK)
		status = trial_meet(race, why);
	return status == OK && missing ? trial_append_file(race, INDEX, INDEXED, sizeof INDEXED - 1, SIZE_MAX, why) : status;
}

static enum status
look_at_index(struct race *race, struct buf *why)
{
	unsigned there = 0;
	struct buf text;
	enum status status;

	buf_init(&text, READ_MAX);
	status = read_index(race, &text, why);
	for (const char *at = text.data; (at = strstr(at, INDEXED)) != NULL; at++)
		there++;
	buf_release(&text);
	trial_one_may(race, there, "in the index");
	return status;
}

static enum status
enter_once(struct race *race, struct buf *why)
{
	enum status status = trial_meet(race, why);

	return status == OK ? entries_append(race, INDEX, KEY, INDEXED, why) : status;
}

static enum status
look_at_entered(struct race *race, struct buf *why)
{
	struct entries entries;
	enum status status = entries_look(race, INDEX, &entries, why);

	trial_one_may(race, (unsigned)entries.there, "in the index");
	race->finding->strange |= entries.broken > 0;
	return status;
}

const struct target target_evidence_ledger = {
	"evidence-ledger",
	{.prepare = expect_lines, .write = append_evidence, .look = look_at_file, .victim = append_half},
	{.prepare = expect_lines, .write = append_evidence, .look = look_at_entries, .victim = append_and_die},
};

const struct target target_evidence_index = {
	"evidence-index",
	{.prepare = expect_one, .write = enter_if_missing, .look = look_at_index},
	{.prepare = expect_one, .write = enter_once, .look = look_at_entered},
};
