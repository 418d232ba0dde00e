#include "os/swap.h"

#include "os/clock.h"
#include "os/fault.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define READS 8

static void
look_of(const struct stat *about, struct swap_look *out)
{
	*out = (struct swap_look){.device = (uint64_t)about->st_dev,
	                          .inode = (uint64_t)about->st_ino,
	                          .size = (int64_t)about->st_size,
	                          .modified_ns = (int64_t)about->st_mtim.tv_sec * 1000000000 + about->st_mtim.tv_nsec};
}

enum status
swap_look(const char *path, struct swap_look *out, struct buf *why)
{
	struct stat about;

	*out = (struct swap_look){0};
	if (stat(path, &about) != 0)
		return errno == ENOENT || errno == ENOTDIR ? OK : why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	if (!S_ISREG(about.st_mode))
		return why_not(why, IO_FAILED, "%s: is not a file", path);
	look_of(&about, out);
	return OK;
}

bool
swap_same_look(const struct swap_look *a, const struct swap_look *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size && a->modified_ns == b->modified_ns;
}

/*
 * Whether another process has the file open for writing: a read lease is refused then.  Else we hold it until fd is closed, so that
 * none opens it for writing while we read: who tries waits for that long.  The signal that tells us of it is one that is ignored by
 * default.  A file system without leases: it can't be told, so no.
 */
static bool
is_being_written(int fd)
{
	return fcntl(fd, F_SETSIG, SIGURG) == 0 && fcntl(fd, F_SETLEASE, F_RDLCK) != 0 && errno == EAGAIN;
}

/* Waits until it is closed by who writes it.  Whether it was before the deadline. */
static bool
wait_closed(int fd, const char *path, int64_t deadline)
{
	char events[sizeof(struct inotify_event) + 256] __attribute__((aligned(__alignof__(struct inotify_event))));
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct pollfd ready = {.fd = watch, .events = POLLIN};
	bool watched = watch >= 0 && inotify_add_watch(watch, path, IN_CLOSE_WRITE | IN_MOVE_SELF | IN_DELETE_SELF) >= 0;
	int64_t left;

	while (watched && is_being_written(fd) && (left = deadline - clock_boot_ms()) > 0)
		if (poll(&ready, 1, (int)left) > 0)
			while (read(watch, events, sizeof events) > 0)
				;
	if (watch >= 0)
		close(watch);
	return !is_being_written(fd);
}

static enum status
read_once(const char *path, int64_t deadline, struct buf *out, struct swap_look *look, struct buf *why)
{
	/* without O_NONBLOCK a pipe of that name would hold us here */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct swap_look before, after = {0};
	enum status status = OK;
	struct stat about;

	if (fd < 0)
		return why_not(why, errno == ENOENT || errno == ENOTDIR ? NO_SUCH : IO_FAILED, "%s: %s", path, strerror(errno));
	if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
		status = why_not(why, IO_FAILED, "%s: is not a file", path);
	else if (is_being_written(fd) && !wait_closed(fd, path, deadline))
		status = BUSY;
	else if (fstat(fd, &about) != 0)
		status = why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	if (status == OK) {
		look_of(&about, &before);
		fault_point(FAULT_READING);
		status = file_read(path, out, why);
	}
	if (status == OK)
		status = swap_look(path, &after, why);
	if (status == OK && !swap_same_look(&before, &after))
		status = BUSY;
	close(fd);
	*look = after;
	return status;
}

enum status
swap_read(const char *path, int64_t wait_ms, struct buf *out, struct swap_look *look, struct buf *why)
{
	int64_t deadline = clock_boot_ms() + wait_ms;
	struct swap_look found = {0};
	enum status status = BUSY;

	for (int i = 0; i < READS && status == BUSY; i++) {
		buf_clear(out);
		status = read_once(path, deadline, out, &found, why);
	}
	if (status != OK)
		buf_clear(out);
	else if (look != NULL)
		*look = found;
	return status == BUSY ? why_not(why, BUSY, "%s: is being written by somebody else; try again when that is done", path)
	                      : status;
}

enum status
swap_no_link(const char *path, struct buf *why)
{
	struct stat about;

	if (lstat(path, &about) != 0 || !S_ISLNK(about.st_mode))
		return OK;
	return why_not(why, IO_FAILED, "%s: is a link, and nothing is written through one; put the file itself there", path);
}

static bool
mount_of(const char *path, struct statx *out)
{
	return statx(AT_FDCWD, path, 0, STATX_INO | STATX_MNT_ID, out) == 0;
}

bool
swap_can(const char *a, const char *b)
{
	struct statx one, other;

	if (!mount_of(a, &one) || !mount_of(b, &other) || one.stx_dev_major != other.stx_dev_major ||
	    one.stx_dev_minor != other.stx_dev_minor)
		return false;
	return (one.stx_mask & other.stx_mask & STATX_MNT_ID) == 0 || one.stx_mnt_id == other.stx_mnt_id;
}

/* As what it replaces, or as its folder wants it. */
static bool
dress(int folder, const char *fresh, const struct stat *old)
{
	struct stat parent;

	if (geteuid() == 0 && (fstat(folder, &parent) != 0 || lchown(fresh, old == NULL ? parent.st_uid : old->st_uid,
	                                                             old == NULL ? parent.st_gid : old->st_gid) != 0))
		return false;
	/* a group that we aren't in can't be kept */
	if (geteuid() != 0 && old != NULL && lchown(fresh, (uid_t)-1, old->st_gid) != 0 && errno != EPERM)
		return false;
	return old == NULL || chmod(fresh, old->st_mode & 07777) == 0;
}

/* Where two files can't change places: the old one gets a second name first, and is never without one. */
static bool
link_and_rename(const char *fresh, int folder, const char *name, const char *replaced)
{
	return (unlink(replaced) == 0 || errno == ENOENT) && linkat(folder, name, AT_FDCWD, replaced, 0) == 0 &&
	       renameat(AT_FDCWD, fresh, folder, name) == 0;
}

/* What stood there is `replaced` from that very instant on: under any other name it would be forgotten if we died then. */
static bool
exchange(const char *fresh, int folder, const char *name, const char *replaced)
{
	if (rename(fresh, replaced) != 0)
		return false;
	if (renameat2(AT_FDCWD, replaced, folder, name, RENAME_EXCHANGE) == 0) {
		fault_point(FAULT_SWAPPED);
		return true;
	}
	return errno == EINVAL && rename(replaced, fresh) == 0 && link_and_rename(fresh, folder, name, replaced);
}

static bool
put_new(const char *fresh, int folder, const char *name)
{
	if (renameat2(AT_FDCWD, fresh, folder, name, RENAME_NOREPLACE) == 0)
		return true;
	return errno == EINVAL && linkat(AT_FDCWD, fresh, folder, name, 0) == 0 && unlink(fresh) == 0;
}

static enum status
swap_at(const char *fresh, int folder, const char *path, const char *name, const char *replaced, struct buf *why)
{
	struct stat old;
	bool there = fstatat(folder, name, &old, AT_SYMLINK_NOFOLLOW) == 0, done;

	if (!there && errno != ENOENT)
		return why_not(why, IO_FAILED, "%s/%s: %s", path, name, strerror(errno));
	if (there && S_ISLNK(old.st_mode))
		return why_not(why, IO_FAILED, "%s/%s: is a link, and nothing is written through one; put the file itself there", path,
		               name);
	if (there && !S_ISREG(old.st_mode))
		return why_not(why, IO_FAILED, "%s/%s: is not a file", path, name);
	if (!dress(folder, fresh, there ? &old : NULL))
		return why_not(why, IO_FAILED, "%s/%s: can't be written: %s", path, name, strerror(errno));
	done = there ? exchange(fresh, folder, name, replaced) : put_new(fresh, folder, name);
	if (!done)
		return why_not(why, IO_FAILED, "%s/%s: can't be replaced: %s", path, name, strerror(errno));
	/* some file systems have no such thing as syncing a folder */
	if (fsync(folder) != 0 && errno != EINVAL)
		return why_not(why, IO_FAILED, "%s/%s: was replaced, but may not be on disk: %s", path, name, strerror(errno));
	return OK;
}

static int
open_folder(const char *path, struct buf *why)
{
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (folder < 0 && (errno == ELOOP || errno == ENOTDIR))
		(void)why_not(why, IO_FAILED, "%s: is a link or no folder, and nothing is written through a link", path);
	else if (folder < 0)
		(void)why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	return folder;
}

enum status
swap_in(const char *fresh, const char *path, const char *name, const char *replaced, struct buf *why)
{
	int folder = open_folder(path, why);
	enum status status;

	if (folder < 0)
		return IO_FAILED;
	status = swap_at(fresh, folder, path, name, replaced, why);
	close(folder);
	return status;
}

enum status
swap_folder(const char *path, const char *name, mode_t mode, struct buf *why)
{
	int folder = open_folder(path, why), made;
	struct stat parent, about;
	enum status status = OK;

	if (folder < 0)
		return IO_FAILED;
	made = mkdirat(folder, name, mode);
	if (made != 0 && errno != EEXIST)
		status = why_not(why, IO_FAILED, "%s/%s: can't be made: %s", path, name, strerror(errno));
	else if (made == 0 && geteuid() == 0 &&
	         (fstat(folder, &parent) != 0 || fchownat(folder, name, parent.st_uid, parent.st_gid, AT_SYMLINK_NOFOLLOW) != 0))
		status = why_not(why, IO_FAILED, "%s/%s: can't be given to its folder's owner: %s", path, name, strerror(errno));
	else if (fstatat(folder, name, &about, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(about.st_mode))
		status = why_not(why, IO_FAILED, "%s/%s: is a link or no folder, and nothing is written through a link", path, name);
	close(folder);
	return status;
}
