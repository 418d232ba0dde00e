#include "verbs/queue_work.h"

#include "core/queue.h"
#include "verbs/queue_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS_MAX 64
#define DEATHS_MAX 5 /* of workers in a row, none of which has ended an item: then it is no use */

struct crew {
	struct call *call;
	struct queue_tally *tally;
	int64_t size;
	pid_t workers[WORKERS_MAX];
	int stop[2]; /* its reading end becomes readable when the other is closed */
	bool stopping;
	int deaths;
	long ended;         /* items, when the last one died */
	int exit;           /* of a command that can't be run; -1 = it can */
	enum status failed; /* of the first worker that did */
	sigset_t before;
};

static void
interrupt(int number)
{
	(void)number;
}

/* Signals interrupt a wait, and nothing else: what comes of them is the crew's to say.  A command has them as they were. */
static void
mind_signals(const struct crew *crew)
{
	static const int numbers[] = {SIGURG, SIGTERM, SIGINT, SIGHUP};
	struct sigaction action = {.sa_handler = interrupt};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaction(numbers[i], &action, NULL);
	sigprocmask(SIG_SETMASK, &crew->before, NULL);
}

/* How a worker's process ends: its status, or, past those, the command's. */
#define ENDED_WITH 64

static void
be_worker(struct crew *crew)
{
	int exit = -1;
	enum status status;

	close(crew->stop[1]);
	mind_signals(crew);
	/* without the crew it finishes what it is at */
	prctl(PR_SET_PDEATHSIG, SIGURG);
	status = queue_worker_run(crew->call, crew->tally, crew->stop[0], &exit);
	fflush(NULL);
	_exit(exit >= 0 ? exit : status == OK ? 0 : ENDED_WITH - (int)status);
}

static enum status
hire(struct crew *crew, size_t i, struct buf *why)
{
	pid_t pid = fork();

	if (pid == 0)
		be_worker(crew);
	crew->workers[i] = pid > 0 ? pid : 0;
	return pid > 0 ? OK : why_not(why, IO_FAILED, "no process can be made: %s", strerror(errno));
}

static void
tell_all(const struct crew *crew, int number)
{
	for (int64_t i = 0; i < crew->size; i++)
		if (crew->workers[i] > 0)
			kill(crew->workers[i], number);
}

/* The first time they finish what they are at; then their commands are told. */
static void
stop(struct crew *crew)
{
	if (crew->stopping) {
		tell_all(crew, SIGTERM);
		return;
	}
	crew->stopping = true;
	close(crew->stop[1]);
	tell_all(crew, SIGURG);
}

static void
note_end(struct crew *crew, int how)
{
	int code = WEXITSTATUS(how);

	if (code == 126 || code == 127)
		crew->exit = code;
	else if (code != 0 && crew->failed == OK)
		crew->failed = (enum status)(ENDED_WITH - code);
	if (code != 0 && !crew->stopping)
		stop(crew);
}

/* One was killed.  Another takes its place, unless they die of what they do. */
static void
replace(struct crew *crew, size_t i)
{
	long ended = atomic_load(&crew->tally->done) + atomic_load(&crew->tally->failed);

	crew->deaths = ended == crew->ended ? crew->deaths + 1 : 1;
	crew->ended = ended;
	if (crew->deaths < DEATHS_MAX && !crew->stopping && hire(crew, i, crew->call->why) == OK)
		return;
	if (!crew->stopping)
		crew->failed = crew->deaths < DEATHS_MAX
		                   ? IO_FAILED
		                   : why_not(crew->call->why, IO_FAILED, "%d workers were killed one after another", crew->deaths);
	if (!crew->stopping)
		stop(crew);
}

/* Whether any is left. */
static bool
collect(struct crew *crew)
{
	bool any = false;
	pid_t pid;
	int how;

	while ((pid = waitpid(-1, &how, WNOHANG)) > 0)
		for (int64_t i = 0; i < crew->size; i++)
			if (crew->workers[i] == pid) {
				crew->workers[i] = 0;
				if (WIFSIGNALED(how))
					replace(crew, (size_t)i);
				else
					note_end(crew, how);
			}
	for (int64_t i = 0; i < crew->size; i++)
		any = any || crew->workers[i] > 0;
	return any;
}

/* The signals that it waits for. */
static void
led(sigset_t *out)
{
	sigemptyset(out);
	sigaddset(out, SIGCHLD);
	sigaddset(out, SIGTERM);
	sigaddset(out, SIGINT);
	sigaddset(out, SIGHUP);
}

static void
lead(struct crew *crew)
{
	sigset_t set;

	led(&set);
	while (collect(crew)) {
		int number = sigwaitinfo(&set, NULL);

		if (number > 0 && number != SIGCHLD)
			stop(crew);
	}
}

static enum status
gather(struct crew *crew)
{
	struct buf *why = crew->call->why;
	sigset_t set;

	crew->tally = mmap(NULL, sizeof *crew->tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (crew->tally == MAP_FAILED || pipe2(crew->stop, O_CLOEXEC) != 0)
		return why_not(why, IO_FAILED, "workers can't be made: %s", strerror(errno));
	led(&set);
	sigprocmask(SIG_BLOCK, &set, &crew->before);
	for (int64_t i = 0; i < crew->size && crew->failed == OK; i++)
		crew->failed = hire(crew, (size_t)i, why);
	if (crew->failed != OK)
		stop(crew);
	return OK;
}

static enum status
check(struct crew *crew)
{
	const json_t *args = crew->call->args;
	struct buf *why = crew->call->why;
	int64_t ttl_ms = json_whole(args, "lease", 1000);
	enum status status = queue_check_name(json_text(args, "queue", ""), why);

	crew->size = json_whole(args, "concurrency", 1);
	if (status == OK && (crew->size < 1 || crew->size > WORKERS_MAX))
		return why_not(why, BAD_INPUT, "--concurrency: 1 to %d", WORKERS_MAX);
	if (status == OK && (ttl_ms < 1000 || ttl_ms > LEASE_TTL_MAX_MS))
		return why_not(why, BAD_INPUT, "--lease: 1s to 7d");
	if (status == OK && json_text(args, "id_file", NULL) != NULL && json_text(args, "bind", NULL) == NULL)
		return why_not(why, USAGE, "--id-file goes with --bind, which says what the id is");
	return status == OK && json_text(args, "bind", NULL) != NULL
	           ? str_check_id("the slot's name", json_text(args, "bind", ""), LABEL_MAX, why)
	           : status;
}

/* What came of it, unless nothing was begun. */
static void
tell(struct crew *crew)
{
	long done = atomic_load(&crew->tally->done), failed = atomic_load(&crew->tally->failed);

	if (crew->failed != OK && done + failed == 0)
		return;
	json_object_set_new(crew->call->result, "done", json_integer(done));
	json_object_set_new(crew->call->result, "failed", json_integer(failed));
}

static enum status
rule_known(struct txn *txn, void *queue, struct buf *why)
{
	return queue_known(txn, queue, why);
}

/*
 * Whether there is a store, before any worker is made: none of its connections may live on into one.  A queue that isn't there may
 * yet be made, unless its name is wrong, which a person may see.
 */
static enum status
look_first(struct call *call)
{
	char *queue = (char *)(uintptr_t)json_text(call->args, "queue", "");
	enum status status = context_open(call->context, false, call->why);

	if (status != OK)
		return status;
	status = engine_read(&call->context->engine, rule_known, queue, call->why);
	context_release(call->context, false);
	if (status != NO_SUCH || json_truth(call->args, "drain"))
		return status;
	fprintf(stderr, "stile: %s; waiting for the first\n", call->why->data);
	return why_not(call->why, OK, "%s", "");
}

enum status
queue_work_run(struct call *call)
{
	struct crew crew = {.call = call, .exit = -1};
	enum status status = check(&crew);

	if (status == OK)
		status = look_first(call);
	if (status != OK)
		return status;
	status = gather(&crew);
	if (status != OK)
		return status;
	lead(&crew);
	sigprocmask(SIG_SETMASK, &crew.before, NULL);
	close(crew.stop[0]);
	tell(&crew);
	munmap(crew.tally, sizeof *crew.tally);
	if (crew.failed != OK)
		return crew.failed;
	call->exit = crew.exit >= 0 ? crew.exit : 0;
	return OK;
}
