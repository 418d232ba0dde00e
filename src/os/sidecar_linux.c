#include "os/sidecar.h"

#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_MS 10 /* a signal that came just before the call blocked comes again */

struct wait {
	const char *path;
	int64_t until_ms, tick_ms; /* clock_boot_ms */
	const struct sidecar_tick *tick;
	timer_t timer;
	struct buf *why;
};

static void
interrupt(int number)
{
	(void)number;
}

/* From now on a blocking call returns when the next thing is to be done. */
static void
arm(const struct wait *wait)
{
	int64_t at_ms = wait->tick_ms < wait->until_ms ? wait->tick_ms : wait->until_ms;
	const struct itimerspec when = {.it_value = {at_ms / 1000, at_ms % 1000 * 1000000}, .it_interval = {0, AGAIN_MS * 1000000}};

	timer_settime(wait->timer, TIMER_ABSTIME, &when, NULL);
}

/* What else is done must not be interrupted. */
static void
disarm(const struct wait *wait)
{
	const struct itimerspec never = {0};

	timer_settime(wait->timer, 0, &never, NULL);
}

static bool
try_lock(int fd, bool is_flock, bool blocks)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (is_flock)
		return flock(fd, LOCK_EX | (blocks ? 0 : LOCK_NB)) == 0;
	return fcntl(fd, blocks ? F_OFD_SETLKW : F_OFD_SETLK, &lock) == 0;
}

/* Who is said to hold a flock of that file, 0 for nobody known. */
static long
flock_holder(int fd)
{
	FILE *locks = fopen("/proc/locks", "re");
	char line[200], wanted[80];
	struct stat file;
	long pid = 0;

	if (locks == NULL)
		return 0;
	if (fstat(fd, &file) == 0) {
		snprintf(wanted, sizeof wanted, " %02x:%02x:%lu ", major(file.st_dev), minor(file.st_dev), (unsigned long)file.st_ino);
		while (pid == 0 && fgets(line, sizeof line, locks) != NULL)
			if (strstr(line, "FLOCK") != NULL && strstr(line, wanted) != NULL && strstr(line, "->") == NULL)
				sscanf(line, "%*s %*s %*s %*s %ld", &pid);
	}
	fclose(locks);
	return pid;
}

static enum status
refuse(const struct wait *wait, int fd, bool is_flock)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	long pid = 0;
	char who[60] = "a process";

	if (is_flock)
		pid = flock_holder(fd);
	else if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		pid = lock.l_pid;
	if (pid > 0)
		snprintf(who, sizeof who, "process %ld", pid);
	return why_not(wait->why, BUSY, "%s: %s that doesn't go through stile holds its %s; try again when it is done", wait->path,
	               who, is_flock ? "flock" : "lockf");
}

static enum status
wait_for(struct wait *wait, int fd, bool is_flock)
{
	bool taken = false;

	while (!taken && !try_lock(fd, is_flock, false)) {
		int64_t now_ms = clock_boot_ms();

		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EACCES && errno != EINTR)
			return why_not(wait->why, IO_FAILED, "%s: can't be locked: %s", wait->path, strerror(errno));
		if (now_ms >= wait->until_ms)
			return refuse(wait, fd, is_flock);
		if (now_ms >= wait->tick_ms) {
			int64_t next_ms = wait->tick->tick(wait->tick->arg);

			if (next_ms < 0)
				return why_not(wait->why, HELD, "the lease was lost while %s was waited for", wait->path);
			wait->tick_ms = clock_boot_ms() + next_ms;
			continue;
		}
		arm(wait);
		taken = try_lock(fd, is_flock, true);
		disarm(wait);
	}
	return OK;
}

static enum status
open_file(const char *path, bool alone, int *fd, struct buf *why)
{
	struct stat file;

	*fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK | (alone ? O_CLOEXEC : 0), 0666);
	if (*fd < 0 || fstat(*fd, &file) != 0)
		return why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	if (!S_ISREG(file.st_mode))
		return why_not(why, IO_FAILED, "%s: is not a file", path);
	return OK;
}

/* Whether the path still leads to what we locked: some remove the file when they are done. */
static bool
is_still(const char *path, int fd)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

static enum status
take_both(struct sidecar *sidecar, struct wait *wait, bool alone)
{
	enum status status;

	for (;;) {
		status = open_file(wait->path, alone, &sidecar->flock_fd, wait->why);
		if (status == OK)
			status = open_file(wait->path, alone, &sidecar->lockf_fd, wait->why);
		if (status == OK)
			status = wait_for(wait, sidecar->flock_fd, true);
		if (status == OK)
			status = wait_for(wait, sidecar->lockf_fd, false);
		if (status == OK && is_still(wait->path, sidecar->flock_fd) && is_still(wait->path, sidecar->lockf_fd))
			return OK;
		sidecar_leave(sidecar);
		if (status != OK)
			return status;
	}
}

enum status
sidecar_take(struct sidecar *sidecar, const char *path, int64_t until_ms, bool alone, const struct sidecar_tick *tick,
             struct buf *why)
{
	struct wait wait = {.path = path, .until_ms = until_ms, .tick = tick, .why = why};
	struct sigevent told = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMAX};
	struct sigaction ours = {.sa_handler = interrupt}, before;
	sigset_t interrupts, masked;
	bool new_file = access(path, F_OK) != 0;
	enum status status;

	*sidecar = (struct sidecar){-1, -1};
	wait.tick_ms = clock_boot_ms() + tick->first_ms;
	sigaction(SIGRTMAX, &ours, &before);
	/* whoever called us may have blocked it, and then nothing would end a wait */
	sigemptyset(&interrupts);
	sigaddset(&interrupts, SIGRTMAX);
	sigprocmask(SIG_UNBLOCK, &interrupts, &masked);
	if (timer_create(CLOCK_BOOTTIME, &told, &wait.timer) != 0)
		return why_not(why, IO_FAILED, "no timer can be made: %s", strerror(errno));
	status = take_both(sidecar, &wait, alone);
	timer_delete(wait.timer);
	sigprocmask(SIG_SETMASK, &masked, NULL);
	sigaction(SIGRTMAX, &before, NULL);
	if (status == OK && new_file && (status = file_give(path, why)) != OK)
		sidecar_leave(sidecar);
	return status;
}

/* Children may have them, too: what is held ends with this all the same. */
void
sidecar_leave(struct sidecar *sidecar)
{
	struct flock none = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	if (sidecar->flock_fd >= 0) {
		flock(sidecar->flock_fd, LOCK_UN);
		close(sidecar->flock_fd);
	}
	if (sidecar->lockf_fd >= 0) {
		fcntl(sidecar->lockf_fd, F_OFD_SETLK, &none);
		close(sidecar->lockf_fd);
	}
	*sidecar = (struct sidecar){-1, -1};
}
