#include "verbs/lease_hold.h"

#include "os/attend.h"
#include "os/clock.h"

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

static void
say(const char *name, int64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)number);
	setenv(name, text, 1);
}

static void
become(const struct hold *hold, const struct held_command *command, const struct attend *attend, pid_t parent)
{
	int error;

	if (command->alone)
		fcntl(hold->anchor.fd, F_SETFD, FD_CLOEXEC);
	say("STILE_FENCE", hold->leases[0].fence);
	say("STILE_SLOT", hold->leases[0].slot);
	setenv("STILE_CHAIN", hold->leases[0].chain, 1);
	if (command->in_child != NULL)
		command->in_child(command->arg);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	attend_child(attend);
	/* it died before that was set */
	if (getppid() != parent)
		_exit(EXIT_LOST);
	execvp(command->words[0], command->words);
	error = errno;
	fprintf(stderr, "stile: %s: %s\n", command->words[0], strerror(error));
	fflush(stderr);
	_exit(error == ENOENT ? 127 : 126);
}

enum status
hold_command(struct hold *hold, const struct held_command *command, int *exit, struct buf *why)
{
	struct buf renewing;
	struct running running = {.hold = hold, .why = &renewing};
	pid_t parent = getpid(), pid;
	struct attend attend;
	enum status status = OK;
	int error;

	buf_init(&renewing, WHY_MAX);
	fflush(stdout);
	attend_begin(&attend);
	pid = fork();
	if (pid == 0)
		become(hold, command, &attend, parent);
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

static void
take_ends(void *arg)
{
	const struct ends *ends = arg;

	if (dup2(ends->in, STDIN_FILENO) < 0 || dup2(ends->out, STDOUT_FILENO) < 0)
		_exit(126);
}

enum status
hold_filter(struct hold *hold, char *const *command, int in, int out, int *exit, struct buf *why)
{
	struct ends ends = {in, out};
	const struct held_command held = {.words = command, .in_child = take_ends, .arg = &ends};

	return hold_command(hold, &held, exit, why);
}
