#include "verbs/kept_run.h"

#include "os/attend.h"
#include "os/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

#define GRACE_MS 5000 /* between TERM and KILL */
#define RETRY_MS 1000 /* after the store could not be reached */
#define EXIT_CANNOT 126

struct running {
	const struct kept *kept;
	bool lost, late;
	struct buf *why;
};

static int64_t
lose(struct running *running, pid_t pid)
{
	running->lost = true;
	kill(pid, SIGTERM);
	return GRACE_MS;
}

/* Not kept in time is as bad as refused: another may have it from then on. */
static int64_t
tick(void *arg, pid_t pid)
{
	struct running *running = arg;
	const struct kept *kept = running->kept;
	enum status status;
	int64_t left_ms;

	if (running->lost) {
		kill(pid, SIGKILL);
		return 0;
	}
	status = kept->keep(kept->arg, running->late, running->why);
	running->late = status != OK;
	if (status == OK)
		return kept->next_ms(kept->arg);
	left_ms = kept->left_ms(kept->arg);
	if (status > OK && status != BUSY)
		return lose(running, pid);
	if (left_ms <= RETRY_MS)
		return lose(running, pid);
	return left_ms / 2 < RETRY_MS ? left_ms / 2 : RETRY_MS;
}

/* What the command's process needs to know; made before, since it may make nothing itself. */
struct start {
	const struct kept *kept;
	const struct kept_command *command;
	const struct attend *attend;
	pid_t parent;
};

static int
in_child(void *arg)
{
	const struct start *start = arg;
	const struct kept_command *command = start->command;

	if (command->alone)
		fcntl(start->kept->anchor, F_SETFD, FD_CLOEXEC);
	if (command->in_child != NULL && !command->in_child(command->arg))
		return EXIT_CANNOT;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	attend_child(start->attend);
	/* it died before that was set */
	return getppid() == start->parent ? 0 : KEPT_LOST;
}

/* The command's process, -1 with errno. */
static pid_t
start_command(struct start *start, bool *unrunnable)
{
	char *const *words = start->command->words;
	struct launch ask = {.words = words, .env = launch_env(start->command->env), .in_child = in_child, .arg = start};
	int error = 0;
	pid_t pid = ask.env == NULL ? -1 : launch(&ask, &error);

	if (error != 0) {
		fprintf(stderr, "stile: %s: %s\n", words[0], strerror(error));
		fflush(stderr);
	}
	if (unrunnable != NULL)
		*unrunnable = error != 0;
	error = errno;
	free((void *)ask.env);
	errno = error;
	return pid;
}

enum status
kept_run(const struct kept *kept, const struct kept_command *command, int *exit, bool *unrunnable, struct buf *why)
{
	struct buf keeping;
	struct running running = {.kept = kept, .why = &keeping};
	struct attend attend;
	struct start start = {kept, command, &attend, getpid()};
	enum status status = OK;
	pid_t pid;
	int error;

	buf_init(&keeping, WHY_MAX);
	fflush(stdout);
	attend_begin(&attend);
	pid = start_command(&start, unrunnable);
	error = errno;
	if (command->started != NULL)
		command->started(command->arg);
	if (pid < 0)
		status = why_not(why, IO_FAILED, "no process can be made: %s", strerror(error));
	else
		*exit = attend_wait_ticking(pid, kept->next_ms(kept->arg), tick, &running);
	attend_end(&attend);
	if (running.lost) {
		*exit = KEPT_LOST;
		status = why_not(why, HELD, "the lease was lost while the command ran: %.900s", keeping.data);
	}
	buf_release(&keeping);
	return status;
}
