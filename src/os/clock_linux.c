#include "os/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t
read_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
clock_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

int64_t
clock_boot_ms(void)
{
	return read_ms(CLOCK_BOOTTIME);
}

int64_t
clock_awake_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

static enum status
read_boot_name(char out[BOOT_MAX])
{
	struct stat space;
	char boot[37] = "";
	unsigned long inode;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return IO_FAILED;
	got = read(fd, boot, sizeof boot - 1);
	close(fd);
	if (got != (ssize_t)sizeof boot - 1)
		return IO_FAILED;
	/* kernels before 5.6 have no time namespaces: one for all */
	inode = stat("/proc/self/ns/time", &space) == 0 ? (unsigned long)space.st_ino : 0;
	snprintf(out, BOOT_MAX, "%s.%lu", boot, inode);
	return OK;
}

enum status
clock_boot_name(char out[BOOT_MAX])
{
	static _Thread_local char known[BOOT_MAX]; /* neither changes in the life of a process */

	if (known[0] == '\0' && read_boot_name(known) != OK)
		return IO_FAILED;
	memcpy(out, known, BOOT_MAX);
	return OK;
}
