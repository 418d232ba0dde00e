#include "os/resident.h"

#include "os/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME "resident"
#define LOCK_NAME "resident.lock"
#define WAITING_MAX 16

/* A folder that only we can write into; -1 with errno. */
static int
open_folder(const char *folder)
{
	int fd = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat about;

	if (fd >= 0 && fstat(fd, &about) == 0 && about.st_uid == geteuid() && (about.st_mode & 022) == 0)
		return fd;
	if (fd >= 0) {
		close(fd);
		errno = EPERM;
	}
	return -1;
}

/* By way of the open folder: its path may be longer than an address can be, and can't be exchanged meanwhile. */
static struct sockaddr_un
address_of(int folder)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" SOCKET_NAME, folder);
	return address;
}

static bool
read_lock(int lock, struct resident *out)
{
	char text[64], *end;
	ssize_t len = pread(lock, text, sizeof text - 1, 0);

	if (len <= 0)
		return false;
	text[len] = '\0';
	out->pid = strtoll(text, &end, 10);
	out->since_ms = strtoll(end, NULL, 10);
	return true;
}

bool
resident_find(const char *folder, struct resident *out)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	int at = open_folder(folder), fd = at < 0 ? -1 : openat(at, LOCK_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool found = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && read_lock(fd, out);

	if (fd >= 0)
		close(fd);
	if (at >= 0)
		close(at);
	return found;
}

bool
resident_is_likely(const char *folder)
{
	char path[4096 + sizeof "/" SOCKET_NAME];
	struct stat about;

	snprintf(path, sizeof path, "%s/" SOCKET_NAME, folder);
	return lstat(path, &about) == 0 && S_ISSOCK(about.st_mode) && about.st_uid == geteuid();
}

bool
resident_is_ours(int connection)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid() && peer.gid == getegid();
}

int
resident_reach(const char *folder)
{
	int at = open_folder(folder), fd = at < 0 ? -1 : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = address_of(at);

	if (fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || !resident_is_ours(fd))) {
		close(fd);
		fd = -1;
	}
	if (at >= 0)
		close(at);
	return fd;
}

/* OK, BUSY or IO_FAILED. */
static enum status
take_lock(const char *folder, struct resident_seat *seat, struct buf *why)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	struct resident other = {0};
	char text[64];
	int len;

	seat->lock = openat(seat->folder, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (seat->lock < 0)
		return why_not(why, IO_FAILED, "%s/" LOCK_NAME ": %s", folder, strerror(errno));
	if (fcntl(seat->lock, F_OFD_SETLK, &lock) != 0) {
		read_lock(seat->lock, &other);
		return why_not(why, BUSY, "%s: process %lld is this store's resident already", folder, (long long)other.pid);
	}
	len = snprintf(text, sizeof text, "%lld %lld\n", (long long)getpid(), (long long)clock_wall_ms());
	if (ftruncate(seat->lock, 0) != 0 || pwrite(seat->lock, text, (size_t)len, 0) != len)
		return why_not(why, IO_FAILED, "%s/" LOCK_NAME ": %s", folder, strerror(errno));
	return OK;
}

static enum status
begin_listening(const char *folder, struct resident_seat *seat, struct buf *why)
{
	struct sockaddr_un address = address_of(seat->folder);
	mode_t before = umask(0177);
	bool done;

	/* left by one that was killed: the lock is ours */
	unlinkat(seat->folder, SOCKET_NAME, 0);
	seat->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	done = seat->listener >= 0 && bind(seat->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
	       listen(seat->listener, WAITING_MAX) == 0;
	umask(before);
	return done ? OK : why_not(why, IO_FAILED, "%s/" SOCKET_NAME ": %s", folder, strerror(errno));
}

enum status
resident_sit(const char *folder, struct resident_seat *out, struct buf *why)
{
	struct resident_seat seat = {.folder = open_folder(folder), .lock = -1, .listener = -1};
	enum status status;

	if (seat.folder < 0)
		return why_not(why,
		               errno == EPERM    ? NOT_ALLOWED
		               : errno == ENOENT ? NO_SUCH
		                                 : IO_FAILED,
		               "%s: %s", folder,
		               errno == EPERM    ? "isn't a folder that only you can write into (chmod 700)"
		               : errno == ENOENT ? "isn't there; run `stile init`"
		                                 : strerror(errno));
	status = take_lock(folder, &seat, why);
	if (status == OK)
		status = begin_listening(folder, &seat, why);
	if (status == OK) {
		*out = seat;
		return OK;
	}
	close(seat.folder);
	if (seat.lock >= 0)
		close(seat.lock);
	if (seat.listener >= 0)
		close(seat.listener);
	return status;
}

void
resident_rise(struct resident_seat *seat)
{
	unlinkat(seat->folder, SOCKET_NAME, 0);
	shutdown(seat->listener, SHUT_RDWR);
	close(seat->listener);
	close(seat->lock);
	close(seat->folder);
}
