#include "os/file.h"

#include "os/clock.h"
#include "os/fault.h"
#include "os/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define READ_STEP ((size_t)64 << 10)
#define LOCK_LOOK_MS 10
#define REMOVED_AGAIN_MAX 16 /* folders that others make and remove at the same time */

/* One read(2), again when a signal came between. */
static ssize_t
read_some(int fd, void *out, size_t len)
{
	ssize_t got;

	do
		got = read(fd, out, len);
	while (got < 0 && errno == EINTR);
	return got;
}

/* Reads `fd` to its end, or until `out` is full; *full says which. */
static enum status
read_on(int fd, struct buf *out, bool *full)
{
	*full = false;
	while (out->len < out->max) {
		/* what room there is first: to grow copies, and touches, all of it only to find that nothing more comes */
		size_t left = out->cap > out->len + 1 ? out->cap - out->len - 1 : READ_STEP;
		size_t step = out->max - out->len < left ? out->max - out->len : left;
		char *room = buf_room(out, step);
		ssize_t got = room == NULL ? 0 : read_some(fd, room, step);

		if (room == NULL)
			return buf_status(out);
		if (got < 0)
			return IO_FAILED;
		if (got == 0)
			return OK;
		buf_grew(out, (size_t)got);
	}
	*full = true;
	return OK;
}

static enum status
read_whole(int fd, const char *path, struct buf *out, struct buf *why)
{
	struct stat there;
	enum status status;
	bool full;
	char more;

	if (fstat(fd, &there) != 0)
		return why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	if (!S_ISREG(there.st_mode))
		return why_not(why, IO_FAILED, "%s: is not a file", path);
	status = read_on(fd, out, &full);
	if (status == NO_MEMORY)
		return why_not(why, NO_MEMORY, "%s: out of memory", path);
	if (status != OK)
		return why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	if (full && read_some(fd, &more, 1) > 0)
		return why_not(why, BAD_INPUT, "%s: is longer than %zu bytes", path, out->max);
	return OK;
}

enum status
file_read(const char *path, struct buf *out, struct buf *why)
{
	/* without O_NONBLOCK a pipe of that name would hold us here */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	enum status status;

	if (fd < 0)
		return why_not(why, errno == ENOENT || errno == ENOTDIR ? NO_SUCH : IO_FAILED, "%s: %s", path, strerror(errno));
	status = read_whole(fd, path, out, why);
	close(fd);
	return status;
}

enum status
file_append(const char *path, const void *data, size_t len, struct buf *why)
{
	/* a pipe that nobody reads must not hold us */
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);
	ssize_t done;
	int error;

	if (fd < 0)
		return why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	do
		done = write(fd, data, len);
	while (done < 0 && errno == EINTR);
	error = errno;
	close(fd);
	if (done < 0)
		return why_not(why, IO_FAILED, "%s: %s", path, strerror(error));
	if ((size_t)done < len)
		return why_not(why, IO_FAILED, "%s: only %zd of %zu bytes were appended; the disk is full?", path, done, len);
	return OK;
}

enum status
file_drain(int fd, struct buf *out, uint64_t *dropped, struct buf *why)
{
	enum status status;
	char scrap[4096];
	ssize_t got;
	bool full;

	*dropped = 0;
	status = read_on(fd, out, &full);
	while (status == OK && full && (got = read_some(fd, scrap, sizeof scrap)) != 0) {
		if (got < 0)
			status = IO_FAILED;
		else
			*dropped += (uint64_t)got;
	}
	if (status == NO_MEMORY)
		return why_not(why, NO_MEMORY, "out of memory");
	return status == OK ? OK : why_not(why, IO_FAILED, "the input can't be read: %s", strerror(errno));
}

enum status
file_give(const char *path, struct buf *why)
{
	char folder[PATH_SIZE];
	struct stat owner;

	if (geteuid() != 0)
		return OK;
	if (paths_parent(folder, sizeof folder, path) != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", path);
	if (stat(folder, &owner) != 0 || lchown(path, owner.st_uid, owner.st_gid) != 0)
		return why_not(why, IO_FAILED, "%s: can't be given to the owner of its folder: %s", path, strerror(errno));
	return OK;
}

/* 0, or -1 with errno: ENOENT if somebody removed it meanwhile, EEXIST if it is there and is not a folder. */
static int
make_folder(const char *path, mode_t mode, bool *made)
{
	struct stat there;

	*made = mkdir(path, mode) == 0;
	if (!*made && errno != EEXIST)
		return -1;
	if (stat(path, &there) != 0)
		return -1;
	if (*made)
		return chmod(path, (there.st_mode & 0777) | (mode & 0700));
	errno = EEXIST;
	return S_ISDIR(there.st_mode) ? 0 : -1;
}

enum status
file_make_folder(const char *path, mode_t mode, bool *made, struct buf *why)
{
	bool ours = false;
	int failed = -1;

	if (made != NULL)
		*made = false;
	for (int i = 0; i < REMOVED_AGAIN_MAX && failed != 0 && (i == 0 || errno == ENOENT); i++) {
		failed = make_folder(path, mode, &ours);
		if (failed == 0 && ours && file_give(path, why) != OK) {
			if (access(path, F_OK) == 0)
				return IO_FAILED;
			failed = -1;
		}
	}
	if (failed != 0 && errno == EEXIST)
		return why_not(why, IO_FAILED, "%s: is there and is not a folder", path);
	if (failed != 0)
		return why_not(why, IO_FAILED, "%s: can't be made: %s", path, strerror(errno));
	if (made != NULL)
		*made = ours;
	return OK;
}

static int
remove_one(const char *path, const struct stat *stat, int kind, struct FTW *ftw)
{
	(void)stat;
	(void)kind;
	(void)ftw;
	return remove(path) != 0 && errno != ENOENT ? -1 : 0;
}

enum status
file_remove_folder(const char *path, struct buf *why)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		return why_not(why, IO_FAILED, "%s: can't be removed whole: %s", path, strerror(errno));
	return OK;
}

/* linux/magic.h has only some of them. */
static const struct foreign {
	int64_t magic;
	const char *name;
} foreigners[] = {
	{0x6969, "NFS"},
	{0x517b, "SMB"},
	{0xfe534d42, "SMB"},
	{0xff534d42, "SMB (CIFS)"},
	{0x564c, "NetWare"},
	{0x01021997, "9p"},
	{0x65735546, "FUSE or virtiofs"},
	{0x5346414f, "AFS"},
	{0x6b414653, "AFS"},
	{0x73757245, "Coda"},
	{0x00c36400, "Ceph"},
	{0x01161970, "GFS2"},
	{0x7461636f, "OCFS2"},
	{0x0bd00bd0, "Lustre"},
	{0x47504653, "GPFS"},
	{0x19830326, "BeeGFS"},
	{0x20030528, "OrangeFS"},
	{0xaad7aaea, "PanFS"},
	{0x786f4256, "VirtualBox shared folders"},
	{0xbacbacbc, "VMware shared folders"},
	{0x7c7c6673, "Parallels shared folders"},
	{0x53464846, "WSL 1"},
};

const char *
file_system_foreign(int64_t magic)
{
	for (size_t i = 0; i < sizeof foreigners / sizeof *foreigners; i++)
		if (foreigners[i].magic == (magic & 0xffffffff))
			return foreigners[i].name;
	return NULL;
}

enum status
file_locks_are_local(const char *path, struct buf *why)
{
	struct statfs found;
	const char *name;

	if (statfs(path, &found) != 0)
		return why_not(why, STORE_DOWN, "%s: %s", path, strerror(errno));
	name = file_system_foreign(fault_file_system((int64_t)found.f_type));
	if (name == NULL)
		return OK;
	return why_not(why, STORE_DOWN,
	               "%s: is on %s, whose locks are not this kernel's; set STILE_STORE to a folder on a local disk, or for a "
	               "team "
	               "to a postgresql:// address",
	               path, name);
}

/* Whether `path` still leads to the file that is open. */
static bool
is_same(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

/* OK, BUSY or IO_FAILED.  Looked at from time to time: it is held briefly and rarely, so nobody queues for it. */
static enum status
wait_for_lock(int fd, int64_t deadline)
{
	const struct timespec pause = {.tv_nsec = LOCK_LOOK_MS * 1000000L};
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

	while (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return IO_FAILED;
		if (clock_boot_ms() >= deadline)
			return BUSY;
		nanosleep(&pause, NULL);
	}
	return OK;
}

enum status
file_lock(const char *path, int64_t wait_ms, int *fd, struct buf *why)
{
	int64_t deadline = clock_boot_ms() + wait_ms;

	for (;;) {
		int made = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		enum status status;

		if (made < 0)
			return why_not(why, errno == ENOENT ? NO_SUCH : IO_FAILED, "%s: %s", path, strerror(errno));
		status = wait_for_lock(made, deadline);
		if (status == OK && is_same(made, path)) {
			*fd = made;
			/* of another owner's file it fails, and need not be done: who opened it had the right to */
			fchmod(made, 0600);
			return file_give(path, why);
		}
		close(made);
		if (status == BUSY)
			return why_not(why, BUSY, "busy: somebody has held %s for more than %lld ms; try again", path, (long long)wait_ms);
		if (status != OK)
			return why_not(why, IO_FAILED, "%s: can't be locked: %s", path, strerror(errno));
		/* it was removed while we waited for it: what is there now is another lock */
	}
}

/* The first link below a folder; nftw hands on nothing of its caller's. */
static _Thread_local char planted[4096];

static int
see_link(const char *path, const struct stat *about, int kind, struct FTW *where)
{
	(void)about;
	(void)where;
	if (kind != FTW_SL)
		return 0;
	snprintf(planted, sizeof planted, "%s", path);
	return 1;
}

enum status
file_no_links(const char *folder, struct buf *why)
{
	int found = nftw(folder, see_link, 8, FTW_PHYS);

	if (found == 0 || (found < 0 && errno == ENOENT))
		return OK;
	if (found < 0)
		return why_not(why, STORE_DOWN, "%s: %s", folder, strerror(errno));
	return why_not(why, STORE_DOWN, "%s: is a link, and a store holds none; name the folder itself with STILE_STORE", planted);
}
