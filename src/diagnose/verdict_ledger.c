#include "base/digest.h"
#include "diagnose/entries.h"
#include "diagnose/targets.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * ALAI's chain of verdicts: each line has the digest of the one before it, which is read and followed under a folder that is the lock.
 * Who has tried for it 100 times, 10 ms apart, writes without it; so when its holder is slow, several lines follow the same one.
 */
#define LEDGER "verdict-ledger.jsonl"
#define LOCK "verdict-ledger.lock"
#define TRIES 100
#define TRY_MS 10
#define READ_MAX ((size_t)1 << 20)

static enum status
expect_chain(struct race *race, struct buf *why)
{
	(void)why;
	snprintf(race->trial->expected, sizeof race->trial->expected, "%u chained, 0 apart", race->trial->writers);
	return OK;
}

static enum status
try_lock(const char *lock, struct buf *why)
{
	for (int i = 0; i < TRIES; i++) {
		if (mkdir(lock, 0700) == 0)
			return OK;
		if (errno != EEXIST)
			return why_not(why, IO_FAILED, "%s: %s", lock, strerror(errno));
		poll(NULL, 0, TRY_MS);
	}
	return OK;
}

/* `tail -n 1 | sha256sum`; "" for no line. */
static enum status
read_prev(struct race *race, char out[DIGEST_SIZE], struct buf *why)
{
	char plain[DIGEST_SIZE];
	struct buf text;
	enum status status;
	size_t from;

	buf_init(&text, READ_MAX);
	out[0] = '\0';
	status = trial_read_text(race, LEDGER, &text, why);
	for (from = text.len; from > 1 && text.data[from - 2] != '\n';)
		from--;
	if (status == OK && text.len > 0)
		digest_line(plain, out, text.data + from - 1, text.len - from);
	buf_release(&text);
	return status == NO_SUCH ? why_not(why, OK, "%s", "") : status;
}

static enum status
add_to_file(struct race *race, struct buf *why)
{
	char lock[PATH_SIZE], prev[DIGEST_SIZE], line[200];
	enum status status = paths_join(lock, sizeof lock, race->trial->folder, LOCK);

	if (status == OK)
		status = try_lock(lock, why);
	if (status == OK)
		status = read_prev(race, prev, why);
	if (status == OK)
		status = trial_meet(race, why);
	if (status != OK)
		return status;
	snprintf(line, sizeof line, "{\"verdict\":\"pass\",\"by\":%u,\"prev_hash\":\"%s\"}\n", race->self->number, prev);
	status = trial_append_file(race, LEDGER, line, strlen(line), SIZE_MAX, why);
	rmdir(lock);
	return status;
}

static void
tell(struct race *race, int64_t in, int64_t beside)
{
	race->finding->wanted = race->trial->writers;
	race->finding->kept = in;
	snprintf(race->finding->found, sizeof race->finding->found, "%lld chained, %lld apart", (long long)in,
	         (long long)beside);
}

/* Who follows not the line before it is beside the chain. */
static enum status
look_at_file(struct race *race, struct buf *why)
{
	char prev[DIGEST_SIZE] = "", plain[DIGEST_SIZE], wanted[DIGEST_SIZE + 20];
	int64_t in = 0, beside = 0;
	struct buf text;
	enum status status;

	buf_init(&text, READ_MAX);
	status = trial_read_text(race, LEDGER, &text, why);
	for (char *at = text.data, *end; status == OK && (end = strchr(at, '\n')) != NULL; at = end + 1) {
		*end = '\0';
		snprintf(wanted, sizeof wanted, "\"prev_hash\":\"%s\"}", prev);
		if (str_ends(at, wanted))
			in++;
		else
			beside++;
		digest_line(plain, prev, at, (size_t)(end - at));
	}
	buf_release(&text);
	tell(race, in, beside);
	return status;
}

static enum status
add_to_ledger(struct race *race, struct buf *why)
{
	char body[100];
	enum status status = trial_meet(race, why);

	snprintf(body, sizeof body, "{\"verdict\":\"pass\",\"by\":%u}", race->self->number);
	return status == OK ? entries_append(race, LEDGER, "", body, why) : status;
}

static enum status
look_at_ledger(struct race *race, struct buf *why)
{
	struct entries entries;
	enum status status = entries_look(race, LEDGER, &entries, why);

	tell(race, entries.there - entries.broken, entries.broken);
	return status;
}

const struct target target_verdict_ledger = {
	"verdict-ledger",
	{.prepare = expect_chain, .write = add_to_file, .look = look_at_file},
	{.prepare = expect_chain, .write = add_to_ledger, .look = look_at_ledger},
};
