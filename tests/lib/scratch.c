#include "lib/scratch.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void
give_up(const char *what)
{
	fprintf(stderr, "scratch: %s: %s\n", what, strerror(errno));
	abort();
}

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

char *
scratch_folder(void)
{
	const char *top = getenv("TMPDIR");
	char *folder = scratch_path(top == NULL || *top == '\0' ? "/tmp" : top, "stile-XXXXXX");

	if (mkdtemp(folder) == NULL)
		give_up(folder);
	return folder;
}

static int
remove_one(const char *path, const struct stat *stat, int kind, struct FTW *ftw)
{
	(void)stat;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void
scratch_remove(char *folder)
{
	if (nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		give_up(folder);
	free(folder);
}

char *
scratch_path(const char *folder, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		give_up(name);
	return path;
}

void *
scratch_shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		give_up("shared memory");
	return memory;
}

void
scratch_unshare(void *memory, size_t size)
{
	if (munmap(memory, size) != 0)
		give_up("shared memory");
}

/* In the child: 0.  The parent has filled *child. */
static pid_t
start(struct scratch_child *child)
{
	pid_t parent = getpid();

	fflush(NULL);
	child->pid = fork();
	if (child->pid < 0)
		give_up("fork");
	if (child->pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
			_exit(126);
		return 0;
	}
	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	if (child->pidfd < 0)
		give_up("pidfd_open");
	return child->pid;
}

void
scratch_spawn(struct scratch_child *child, int (*run)(void *arg), void *arg)
{
	if (start(child) == 0)
		_exit(run(arg));
}

void
scratch_spawn_program(struct scratch_child *child, char *const argv[])
{
	if (start(child) == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
}

int
scratch_wait(struct scratch_child *child, int limit_ms)
{
	struct pollfd ended = {.fd = child->pidfd, .events = POLLIN};
	int64_t deadline = now_ms() + limit_ms;
	int count, status;

	do {
		int64_t left = deadline - now_ms();

		count = poll(&ended, 1, left < 0 ? 0 : (int)left);
	} while (count < 0 && errno == EINTR);
	if (count == 0)
		kill(child->pid, SIGKILL);
	while (waitpid(child->pid, &status, 0) < 0)
		if (errno != EINTR)
			give_up("waitpid");
	close(child->pidfd);
	child->pidfd = -1;
	if (count == 0)
		return SCRATCH_LATE;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A stop makes no pidfd readable; it sends SIGCHLD, which is held back here so that it can't come between look and wait. */
bool
scratch_wait_stopped(struct scratch_child *child, int limit_ms)
{
	int64_t deadline = now_ms() + limit_ms;
	siginfo_t info = {0};
	sigset_t chld, before;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &chld, &before);
	for (;;) {
		int64_t left = deadline - now_ms();
		struct timespec wait = {left / 1000, left % 1000 * 1000000};

		if (waitid(P_PID, (id_t)child->pid, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT) != 0)
			give_up("waitid");
		if (info.si_pid == child->pid || left <= 0)
			break;
		sigtimedwait(&chld, NULL, &wait);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return info.si_pid == child->pid && info.si_code == CLD_STOPPED;
}

struct scratch_barrier {
	pthread_mutex_t lock;
	pthread_cond_t all_here;
	unsigned parties;
	unsigned here;
	unsigned round;
	bool broken;
};

struct scratch_barrier *
scratch_barrier_new(unsigned parties)
{
	struct scratch_barrier *barrier = scratch_shared(sizeof *barrier);
	pthread_mutexattr_t lock;
	pthread_condattr_t all_here;

	pthread_mutexattr_init(&lock);
	pthread_mutexattr_setpshared(&lock, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&lock, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&barrier->lock, &lock);
	pthread_mutexattr_destroy(&lock);
	pthread_condattr_init(&all_here);
	pthread_condattr_setpshared(&all_here, PTHREAD_PROCESS_SHARED);
	pthread_condattr_setclock(&all_here, CLOCK_MONOTONIC);
	pthread_cond_init(&barrier->all_here, &all_here);
	pthread_condattr_destroy(&all_here);
	barrier->parties = parties;
	return barrier;
}

void
scratch_barrier_free(struct scratch_barrier *barrier)
{
	/* not destroyed: a party that was killed while it waited would be waited for */
	scratch_unshare(barrier, sizeof *barrier);
}

/* A party that was killed inside leaves the barrier broken, not locked. */
static void
settle(struct scratch_barrier *barrier, int error)
{
	if (error == EOWNERDEAD) {
		pthread_mutex_consistent(&barrier->lock);
		barrier->broken = true;
	}
}

bool
scratch_barrier_meet(struct scratch_barrier *barrier, int limit_ms)
{
	struct timespec until;
	unsigned round;
	bool met;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += limit_ms / 1000;
	until.tv_nsec += limit_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	settle(barrier, pthread_mutex_lock(&barrier->lock));
	round = barrier->round;
	if (++barrier->here == barrier->parties && !barrier->broken) {
		barrier->here = 0;
		barrier->round++;
		pthread_cond_broadcast(&barrier->all_here);
	}
	while (barrier->round == round && !barrier->broken) {
		int error = pthread_cond_timedwait(&barrier->all_here, &barrier->lock, &until);

		settle(barrier, error);
		if (error == ETIMEDOUT && barrier->round == round) {
			barrier->broken = true;
			pthread_cond_broadcast(&barrier->all_here);
		}
	}
	met = barrier->round != round;
	pthread_mutex_unlock(&barrier->lock);
	return met;
}
