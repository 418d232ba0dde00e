#include "verbs/lease_hold.h"

#include "os/attend.h"
#include "os/clock.h"
#include "os/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

#define GRACE_MS 5000 /* between TERM and KILL */
#define RETRY_MS 1000 /* after the store could not be reached */
#define RENEW_LIMIT_MS 2000
#define EXIT_LOST 123
#define EXIT_CANNOT 126

struct running {
	struct hold *hold;
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

/* Not renewed in time is as bad as refused: another may have it from then on. */
static int64_t
tick(void *arg, pid_t pid)
{
	struct running *running = arg;
	enum status status;
	int64_t left_ms;

	if (running->lost) {
		kill(pid, SIGKILL);
		return 0;
	}
	status = running->late ? hold_renew(running->hold, RENEW_LIMIT_MS, running->why)
	                       : hold_keep(running->hold, RENEW_LIMIT_MS, running->why);
	running->late = status != OK;
	if (status == OK)
		return hold_next_ms(running->hold);
	left_ms = running->hold->safe_boot_ms - clock_boot_ms();
	if (status > OK && status != BUSY)
		return lose(running, pid);
	if (left_ms <= RETRY_MS)
		return lose(running, pid);
	return left_ms / 2 < RETRY_MS ? left_ms / 2 : RETRY_MS;
}

/* What the command's process needs to know; made before, since it may make nothing itself. */
struct start {
	const struct hold *hold;
	const struct held_command *command;
	const struct attend *attend;
	pid_t parent;
	char fence[40], slot[40], chain[ACTOR_SIZE + sizeof "STILE_CHAIN="];
	const char *env[HELD_ENV_MAX + 4];
};

static void
start_init(struct start *start, const struct hold *hold, const struct held_command *command, const struct attend *attend)
{
	const struct lease *first = &hold->leases[0];
	size_t count = 0;

	*start = (struct start){.hold = hold, .command = command, .attend = attend, .parent = getpid()};
	snprintf(start->fence, sizeof start->fence, "STILE_FENCE=%lld", (long long)first->fence);
	snprintf(start->slot, sizeof start->slot, "STILE_SLOT=%lld", (long long)first->slot);
	snprintf(start->chain, sizeof start->chain, "STILE_CHAIN=%s", first->chain);
	start->env[count++] = start->fence;
	start->env[count++] = start->slot;
	start->env[count++] = start->chain;
	for (size_t i = 0; i < HELD_ENV_MAX && command->env[i] != NULL; i++)
		start->env[count++] = command->env[i];
}

static int
in_child(void *arg)
{
	const struct start *start = arg;
	const struct held_command *command = start->command;

	if (command->alone)
		fcntl(start->hold->anchor.fd, F_SETFD, FD_CLOEXEC);
	if (command->in_child != NULL && !command->in_child(command->arg))
		return EXIT_CANNOT;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	attend_child(start->attend);
	/* it died before that was set */
	return getppid() == start->parent ? 0 : EXIT_LOST;
}

/* The command's process, -1 with errno. */
static pid_t
start_command(struct start *start)
{
	char *const *words = start->command->words;
	struct launch ask = {.words = words, .env = launch_env(start->env), .in_child = in_child, .arg = start};
	int error = 0;
	pid_t pid = ask.env == NULL ? -1 : launch(&ask, &error);

	if (error != 0) {
		fprintf(stderr, "stile: %s: %s\n", words[0], strerror(error));
		fflush(stderr);
	}
	error = errno;
	free((void *)ask.env);
	errno = error;
	return pid;
}

enum status
hold_command(struct hold *hold, const struct held_command *command, int *exit, struct buf *why)
{
	struct buf renewing;
	struct running running = {.hold = hold, .why = &renewing};
	struct attend attend;
	struct start start;
	enum status status = OK;
	pid_t pid;
	int error;

	buf_init(&renewing, WHY_MAX);
	fflush(stdout);
	attend_begin(&attend);
	start_init(&start, hold, command, &attend);
	pid = start_command(&start);
	error = errno;
	if (command->started != NULL)
		command->started(command->arg);
	if (pid < 0)
		status = why_not(why, IO_FAILED, "no process can be made: %s", strerror(error));
	else
		*exit = attend_wait_ticking(pid, hold_next_ms(hold), tick, &running);
	attend_end(&attend);
	if (running.lost) {
		*exit = EXIT_LOST;
		status = why_not(why, HELD, "the lease was lost while the command ran: %.900s", renewing.data);
	}
	buf_release(&renewing);
	return status;
}

enum status
hold_run(struct hold *hold, const struct held_command *command, int *exit, struct buf *why)
{
	enum status status = hold_command(hold, command, exit, why), released;
	struct buf reason;

	buf_init(&reason, WHY_MAX);
	released = hold_release(hold, &reason);
	if (status == OK && released > OK && released != BUSY) {
		*exit = EXIT_LOST;
		status = why_not(why, HELD, "the lease was lost while the command ran: %.900s", reason.data);
	} else if (status == OK && released != OK) {
		/* the command is done and the lease ends by itself: its anchor is free */
		status = why_not(why, OK, "the lease could not be given back and ends by itself: %.900s", reason.data);
	}
	buf_release(&reason);
	return status;
}

struct ends {
	int in, out;
};

static bool
take_ends(void *arg)
{
	const struct ends *ends = arg;

	return dup2(ends->in, STDIN_FILENO) >= 0 && dup2(ends->out, STDOUT_FILENO) >= 0;
}

enum status
hold_filter(struct hold *hold, char *const *command, int in, int out, int *exit, struct buf *why)
{
	struct ends ends = {in, out};
	const struct held_command held = {.words = command, .in_child = take_ends, .arg = &ends};

	return hold_command(hold, &held, exit, why);
}
