#include "os/attend.h"

#include "os/clock.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
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

static void
arm(timer_t timer, int64_t ms)
{
	const struct itimerspec in = {.it_value = {ms / 1000, ms % 1000 * 1000000}};

	timer_settime(timer, 0, &in, NULL);
}

/* A signal that is not the child's end: sent on, unless the kernel has sent it to the whole foreground, of which the child is part. */
static void
send_on(pid_t pid, const siginfo_t *info)
{
	if (info->si_code <= 0)
		kill(pid, info->si_signo);
}

int
attend_wait_ticking(pid_t pid, int64_t first_ms, attend_tick *tick, void *arg)
{
	struct sigevent told = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	timer_t timer;
	bool ticking = tick != NULL && timer_create(CLOCK_BOOTTIME, &told, &timer) == 0;
	siginfo_t info;
	sigset_t set;
	int status = 0;

	attended(&set);
	if (ticking)
		arm(timer, first_ms);
	while (!reap(pid, &status)) {
		if (sigwaitinfo(&set, &info) < 0 || info.si_signo == SIGCHLD)
			continue;
		if (ticking && info.si_code == SI_TIMER)
			arm(timer, tick(arg, pid));
		else
			send_on(pid, &info);
	}
	if (ticking)
		timer_delete(timer);
	return status;
}

int
attend_wait(pid_t pid)
{
	return attend_wait_ticking(pid, 0, NULL, NULL);
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
