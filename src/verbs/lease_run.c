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
	int in, out; /* what the command reads and writes; -1 = as we do */
	bool lost, killed;
	struct buf *why;
};

static int64_t
renew_after(const struct hold *hold)
{
	int64_t left_ms = (hold->safe_boot_ms - clock_boot_ms()) / 3;

	return left_ms < 1 ? 1 : left_ms;
}

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
	status = hold_renew(running->hold, RENEW_LIMIT_MS, running->why);
	if (status == OK)
		return renew_after(running->hold);
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
become(const struct running *running, char *const *command, bool alone, const struct attend *attend, pid_t parent)
{
	const struct hold *hold = running->hold;
	int error;

	if ((running->in >= 0 && dup2(running->in, STDIN_FILENO) < 0) ||
	    (running->out >= 0 && dup2(running->out, STDOUT_FILENO) < 0))
		_exit(126);
	if (alone)
		fcntl(hold->anchor.fd, F_SETFD, FD_CLOEXEC);
	say("STILE_FENCE", hold->leases[0].fence);
	say("STILE_SLOT", hold->leases[0].slot);
	setenv("STILE_CHAIN", hold->leases[0].chain, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	attend_child(attend);
	/* it died before that was set */
	if (getppid() != parent)
		_exit(EXIT_LOST);
	execvp(command[0], command);
	error = errno;
	fprintf(stderr, "stile: %s: %s\n", command[0], strerror(error));
	fflush(stderr);
	_exit(error == ENOENT ? 127 : 126);
}

static enum status
end(struct running *running, int *exit, struct buf *why)
{
	struct buf released;
	enum status status;

	buf_init(&released, WHY_MAX);
	status = hold_release(running->hold, &released);
	if (running->lost || (status > OK && status != BUSY)) {
		*exit = EXIT_LOST;
		status = why_not(why, HELD, "the lease was lost while the command ran: %.900s",
		                 running->lost && running->why->len > 0 ? running->why->data : released.data);
	} else if (status != OK) {
		/* the command is done and the lease ends by itself: its anchor is free */
		why_not(why, status, "the lease could not be given back: %.900s", released.data);
		status = OK;
	}
	buf_release(&released);
	return status;
}

static enum status
start_and_wait(struct running *running, char *const *command, bool alone, int *exit, struct buf *why)
{
	pid_t parent = getpid(), pid;
	struct attend attend;
	int error;

	fflush(stdout);
	attend_begin(&attend);
	pid = fork();
	if (pid == 0)
		become(running, command, alone, &attend, parent);
	error = errno;
	if (pid > 0)
		*exit = attend_wait_ticking(pid, renew_after(running->hold), tick, running);
	attend_end(&attend);
	return pid > 0 ? OK : why_not(why, IO_FAILED, "no process can be made: %s", strerror(error));
}

enum status
hold_run(struct hold *hold, char *const *command, bool alone, int *exit, struct buf *why)
{
	struct buf renewing;
	struct running running = {.hold = hold, .in = -1, .out = -1, .why = &renewing};
	enum status status;

	buf_init(&renewing, WHY_MAX);
	status = start_and_wait(&running, command, alone, exit, why);
	if (status == OK)
		status = end(&running, exit, why);
	else if (hold_release(hold, NULL) != OK)
		*exit = -1;
	buf_release(&renewing);
	return status;
}

enum status
hold_filter(struct hold *hold, char *const *command, int in, int out, int *exit, struct buf *why)
{
	struct buf renewing;
	struct running running = {.hold = hold, .in = in, .out = out, .why = &renewing};
	enum status status;

	buf_init(&renewing, WHY_MAX);
	status = start_and_wait(&running, command, false, exit, why);
	if (status == OK && running.lost) {
		*exit = EXIT_LOST;
		status = why_not(why, HELD, "the lease was lost while the command ran: %.900s", renewing.data);
	}
	buf_release(&renewing);
	return status;
}
