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

static void
lead(struct crew *crew)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
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
	enum status status = OK;
	sigset_t set;

	crew->tally = mmap(NULL, sizeof *crew->tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (crew->tally == MAP_FAILED || pipe2(crew->stop, O_CLOEXEC) != 0)
		return why_not(why, IO_FAILED, "workers can't be made: %s", strerror(errno));
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &crew->before);
	for (int64_t i = 0; i < crew->size && status == OK; i++)
		status = hire(crew, (size_t)i, why);
	if (status != OK)
		stop(crew);
	return status;
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

enum status
queue_work_run(struct call *call)
{
	struct crew crew = {.call = call, .exit = -1};
	enum status status = check(&crew);

	if (status == OK) {
		status = gather(&crew);
		lead(&crew);
		sigprocmask(SIG_SETMASK, &crew.before, NULL);
		close(crew.stop[0]);
		json_object_set_new(call->result, "done", json_integer(atomic_load(&crew.tally->done)));
		json_object_set_new(call->result, "failed", json_integer(atomic_load(&crew.tally->failed)));
		munmap(crew.tally, sizeof *crew.tally);
	}
	if (status == OK && crew.failed != OK)
		status = crew.failed;
	if (status == OK)
		call->exit = crew.exit >= 0 ? crew.exit : 0;
	return status;
}
