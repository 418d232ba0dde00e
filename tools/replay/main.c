/*
 * replay [--seed N] [--at-once N] STILE FIXTURES REPOSITORY TRANSCRIPTS
 *
 * Ends with 0 if every session's numbers are those of FIXTURES/expected.json, 1 if not, 2 if it could not be tried.
 * REPOSITORY has been initialised and knows no session yet; TRANSCRIPTS is an empty folder beside it.
 */
#include "os/random.h"
#include "replay/replay.h"

#include <errno.h>
#include <unistd.h>

#define AT_ONCE 4

static enum status
read_options(struct setting *setting, int *count, char ***words)
{
	int64_t number;

	while (*count >= 2 && str_starts((*words)[0], "--")) {
		if (str_integer((*words)[1], 1, INT64_MAX, &number) != OK)
			return USAGE;
		if (str_equal((*words)[0], "--seed"))
			setting->seed = (uint64_t)number;
		else if (str_equal((*words)[0], "--at-once") && number <= STREAMS_MAX)
			setting->at_once = (unsigned)number;
		else
			return USAGE;
		*count -= 2;
		*words += 2;
	}
	return *count == 4 ? OK : USAGE;
}

/* Absolute paths, as a client uses them; what it would not hand down is taken out of the environment. */
static enum status
take_place(struct setting *setting, char **words, char fixtures[PATH_SIZE], struct buf *why)
{
	char *const out[] = {setting->program, fixtures, setting->repository, setting->transcripts};

	for (size_t i = 0; i < sizeof out / sizeof *out; i++)
		if (realpath(words[i], out[i]) == NULL)
			return why_not(why, NO_SUCH, "%s: %s", words[i], strerror(errno));
	if (chdir(setting->repository) != 0)
		return why_not(why, NO_SUCH, "%s: %s", setting->repository, strerror(errno));
	setenv("CLAUDE_PROJECT_DIR", setting->repository, 1);
	unsetenv("STILE_SESSION");
	unsetenv("CLAUDE_ENV_FILE");
	if (setting->seed == 0 && random_bytes(&setting->seed, sizeof setting->seed) != OK)
		setting->seed = 1;
	setting->seed &= 0xffffffff;
	return OK;
}

static void
print_order(const struct replay *replay, const struct order *order)
{
	size_t changes = 0;

	for (size_t i = 1; i < order->count; i++)
		changes += order->items[i].stream != order->items[i - 1].stream;
	printf("%zu sessions on one repository: %zu events through the hook, up to %u at once (seed %llu).\n"
	       "Interleaved: %.1f %% of the events came right after one of another session.\n\n",
	       replay->count, order->count, replay->setting.at_once, (unsigned long long)replay->setting.seed,
	       order->count < 2 ? 0 : 100.0 * (double)changes / (double)(order->count - 1));
}

static enum status
report(const struct replay *replay, const struct order *order, size_t *wrong, struct buf *why)
{
	size_t sessions_wrong = 0;
	enum status status;

	print_order(replay, order);
	status = report_sessions(replay, &sessions_wrong, why);
	if (status != OK)
		return status;
	printf("%s\n\nOne file shared by all of them, told the same in the same order, would have said to each:\n",
	       sessions_wrong == 0 ? "Each is what was worked out by hand from its recording alone."
	                           : "NOT what was worked out by hand from each recording alone (see the lines above).");
	*wrong = sessions_wrong + order->failed;
	return report_shared(replay, order, why);
}

static enum status
run(struct replay *replay, size_t *wrong, struct buf *why)
{
	struct agent agents[STREAMS_MAX] = {{0}};
	struct order order = {0};
	enum status status = OK;

	for (size_t i = 0; i < replay->count && status == OK; i++)
		status = agent_start(replay, i, &agents[i], why);
	if (status == OK)
		status = play(replay, agents, &order, why);
	/* the agents are still there: a session whose agent is gone would rightly be called lost */
	if (status == OK)
		status = report(replay, &order, wrong, why);
	for (size_t i = 0; i < replay->count; i++)
		agent_stop(&agents[i]);
	free(order.items);
	return status;
}

int
main(int argc, char **argv)
{
	static struct replay replay = {.setting = {.at_once = AT_ONCE}};
	static char fixtures[PATH_SIZE];
	int count = argc - 1;
	char **words = argv + 1;
	size_t wrong = 0;
	enum status status;
	struct buf why;

	if (read_options(&replay.setting, &count, &words) != OK) {
		fprintf(stderr, "usage: replay [--seed N] [--at-once N] STILE FIXTURES REPOSITORY TRANSCRIPTS\n");
		return 2;
	}
	buf_init(&why, WHY_MAX);
	status = take_place(&replay.setting, words, fixtures, &why);
	if (status == OK)
		status = streams_read(&replay, fixtures, &why);
	if (status == OK)
		status = run(&replay, &wrong, &why);
	if (status != OK)
		fprintf(stderr, "replay: %s\n", why.data);
	streams_release(&replay);
	buf_release(&why);
	fflush(stdout);
	return status != OK ? 2 : wrong > 0 ? 1 : 0;
}
