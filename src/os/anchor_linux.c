#include "os/anchor.h"

#include "os/clock.h"
#include "os/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
open_file(const char *folder, int flags, char *path, size_t size)
{
	int len = snprintf(path, size, "%s/anchors", folder);

	if (len < 0 || (size_t)len >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, flags | O_NOFOLLOW, 0600);
}

static struct flock
lock_of(int64_t byte)
{
	return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

static enum status
lock_some_byte(struct anchor *anchor, const char *path, struct buf *why)
{
	char boot[BOOT_MAX];
	struct stat file;
	struct flock lock;
	uint64_t random;

	if (random_bytes(&random, sizeof random) != OK || clock_boot_name(boot) != OK || fstat(anchor->fd, &file) != 0)
		return why_not(why, STORE_DOWN, "%s: the system tells neither randomness nor its boot", path);
	/* an offset has 63 bits */
	random >>= 2;
	lock = lock_of((int64_t)random);
	if (fcntl(anchor->fd, F_OFD_SETLK, &lock) != 0)
		return why_not(why, STORE_DOWN, "%s: can't be locked: %s", path, strerror(errno));
	snprintf(anchor->name, sizeof anchor->name, "%s:%llu:%llu:%llu", boot, (unsigned long long)file.st_dev,
	         (unsigned long long)file.st_ino, (unsigned long long)random);
	return OK;
}

enum status
anchor_take(struct anchor *anchor, const char *folder, struct buf *why)
{
	char path[4096];
	enum status status;

	anchor->name[0] = '\0';
	anchor->fd = open_file(folder, O_RDWR | O_CREAT, path, sizeof path);
	if (anchor->fd < 0)
		return why_not(why, STORE_DOWN,
		               "%s: %s; check its owner, mode and mount, or put its folder on the sandbox's write list", path,
		               strerror(errno));
	status = lock_some_byte(anchor, path, why);
	if (status != OK)
		anchor_leave(anchor);
	return status;
}

void
anchor_leave(struct anchor *anchor)
{
	if (anchor->fd >= 0)
		close(anchor->fd);
	anchor->fd = -1;
}

/* The next of the name's numbers; false when there is none. */
static bool
take_number(const char **text, unsigned long long *number)
{
	char *end;

	if (**text != ':')
		return false;
	*number = strtoull(*text + 1, &end, 10);
	*text = end;
	return true;
}

/* Devices get other numbers at each boot; in one, files of two of them may have the same inode. */
static enum liveness
probe(int fd, const char *numbers, bool this_boot)
{
	unsigned long long device, inode, byte;
	struct flock lock;
	struct stat file;

	if (!take_number(&numbers, &device) || !take_number(&numbers, &inode) || !take_number(&numbers, &byte) ||
	    (*numbers != '\0' && *numbers != ';'))
		return LIVENESS_UNKNOWN;
	if (fstat(fd, &file) != 0 || file.st_ino != inode || (this_boot && file.st_dev != device))
		return LIVENESS_UNKNOWN;
	lock = lock_of((int64_t)byte);
	if (byte > INT64_MAX - 1 || fcntl(fd, F_OFD_GETLK, &lock) != 0)
		return LIVENESS_UNKNOWN;
	return lock.l_type == F_UNLCK ? LIVENESS_DEAD : LIVENESS_ALIVE;
}

enum liveness
anchor_liveness(const char *folder, const char *name, bool one_machine)
{
	char path[4096], boot[BOOT_MAX];
	const char *rest = strchr(name, ':');
	enum liveness liveness;
	bool this_boot;
	int fd;

	if (rest == NULL || clock_boot_name(boot) != OK)
		return LIVENESS_UNKNOWN;
	this_boot = strlen(boot) == (size_t)(rest - name) && memcmp(boot, name, strlen(boot)) == 0;
	if (!one_machine && !this_boot)
		return LIVENESS_UNKNOWN;
	fd = open_file(folder, O_RDONLY | O_CLOEXEC, path, sizeof path);
	if (fd < 0)
		return LIVENESS_UNKNOWN;
	liveness = probe(fd, rest, this_boot);
	close(fd);
	return liveness;
}
