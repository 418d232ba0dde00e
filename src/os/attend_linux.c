#include "os/attend.h"

#include "os/clock.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Those that say that we ourselves are broken are not held back. */
static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};

static void
attended(sigset_t *out)
{
	sigfillset(out);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		sigdelset(out, own[i]);
}

void
attend_begin(struct attend *attend)
{
	sigset_t set;

	attended(&set);
	sigprocmask(SIG_BLOCK, &set, &attend->before);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

void
attend_child(const struct attend *attend)
{
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &attend->before, NULL);
}

void
attend_end(const struct attend *attend)
{
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	sigprocmask(SIG_SETMASK, &attend->before, NULL);
}

/* Takes the ends of whatever became our child.  Whether `pid` ended, with its *status. */
static bool
reap(pid_t pid, int *status)
{
	bool ended = false;
	pid_t found;
	int how;

	while ((found = waitpid(-1, &how, WNOHANG | WUNTRACED)) > 0) {
		if (found != pid)
			continue;
		if (WIFSTOPPED(how)) {
			/* whoever waits for us must see the job stop; SIGCONT to us goes on to it */
			kill(getpid(), SIGSTOP);
		} else {
			*status = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
			ended = true;
		}
	}
	return ended;
}

int
attend_wait(pid_t pid)
{
	siginfo_t info;
	sigset_t set;
	int status = 0;

	attended(&set);
	while (!reap(pid, &status)) {
		if (sigwaitinfo(&set, &info) < 0 || info.si_signo == SIGCHLD)
			continue;
		/* not what the kernel sent the whole foreground of a terminal, of which the child is part */
		if (info.si_code <= 0)
			kill(pid, info.si_signo);
	}
	return status;
}

static bool
ends_us(int number)
{
	return number == SIGHUP || number == SIGINT || number == SIGQUIT || number == SIGTERM;
}

bool
attend_rest(int64_t limit_ms)
{
	int64_t deadline = clock_boot_ms() + limit_ms;
	siginfo_t info;
	sigset_t set;

	attended(&set);
	for (;;) {
		int64_t left = deadline - clock_boot_ms();
		struct timespec wait = {left / 1000, left % 1000 * 1000000};
		pid_t found;

		while ((found = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (found < 0 && errno == ECHILD)
			return true;
		if (left <= 0 || (sigtimedwait(&set, &info, &wait) > 0 && ends_us(info.si_signo)))
			return false;
	}
}
