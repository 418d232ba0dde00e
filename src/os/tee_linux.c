#include "os/tee.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void
close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static bool
pass(int to, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t wrote = write(to, data, len);

		if (wrote < 0 && errno == EAGAIN) {
			struct pollfd room = {.fd = to, .events = POLLOUT};

			poll(&room, 1, -1);
		} else if (wrote < 0 && errno != EINTR) {
			return false;
		}
		data += wrote > 0 ? wrote : 0;
		len -= wrote > 0 ? (size_t)wrote : 0;
	}
	return true;
}

/* Keeps nothing of ours open: an anchor would be held by it. */
static void
stand_alone(int from, int to, int kept)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	/* out of the way of what they are about to become */
	from = fcntl(from, F_DUPFD, 10);
	to = fcntl(to, F_DUPFD, 10);
	kept = fcntl(kept, F_DUPFD, 10);
	if (dup2(from, 0) != 0 || dup2(to, 1) != 1 || dup2(kept, 2) != 2)
		_exit(1);
	closefrom(3);
}

/* Ends when nobody can write any more; and, as the command would, when nobody reads any more. */
static void
pump(size_t max)
{
	const int from = 0, to = 1, kept = 2;
	char data[65536];
	ssize_t got;

	while ((got = read(from, data, sizeof data)) != 0) {
		size_t len = got < 0 ? 0 : (size_t)got;

		if (got < 0 && errno != EINTR)
			break;
		/* kept first: what nobody reads any more was said all the same */
		if (max > 0 && !pass(kept, data, len < max ? len : max))
			max = 0;
		max -= len < max ? len : max;
		if (!pass(to, data, len))
			break;
	}
	_exit(0);
}

enum status
tee_begin(struct tee *tee, int to, size_t max, struct buf *why)
{
	int ends[2] = {-1, -1};
	pid_t pid = -1;

	*tee = (struct tee){.to = to, .into = -1, .kept = memfd_create("output", MFD_CLOEXEC), .pidfd = -1};
	if (tee->kept >= 0 && pipe2(ends, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0) {
		stand_alone(ends[0], to, tee->kept);
		pump(max);
	}
	tee->into = ends[1];
	if (pid > 0)
		tee->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	close_all(&ends[0], 1);
	if (tee->pidfd >= 0)
		return OK;
	why_not(why, IO_FAILED, "no process can be made: %s", strerror(errno));
	close_all((const int[]){tee->into, tee->kept}, 2);
	return IO_FAILED;
}

void
tee_child(const struct tee *tee)
{
	dup2(tee->into, tee->to);
}

void
tee_started(struct tee *tee)
{
	close(tee->into);
	tee->into = -1;
}

void
tee_end(struct tee *tee, int64_t limit_ms, struct buf *out)
{
	struct pollfd ended = {.fd = tee->pidfd, .events = POLLIN};
	off_t size;
	char *room;
	ssize_t got;
	size_t len;

	poll(&ended, 1, (int)limit_ms);
	size = lseek(tee->kept, 0, SEEK_END);
	len = size < 0 ? 0 : (size_t)size;
	if (len > out->max - out->len)
		len = out->max - out->len;
	room = buf_room(out, len);
	got = room == NULL ? -1 : pread(tee->kept, room, len, 0);
	if (got > 0)
		buf_grew(out, (size_t)got);
	close_all((const int[]){tee->pidfd, tee->kept}, 2);
}
