#include "db/sqlite_store.h"

#ifndef STILE_FAULTS

void
sqlite_faults(struct sqlite *store)
{
	(void)store;
}

void
sqlite_fault_section(const char *name)
{
	(void)name;
}

#else

#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Test builds stand between SQLite and the kernel.  Inside a section every write and sync is a fault point of its name;
 * STILE_FAULT_IO=CALL:N:ERRNO[:M] lets the N-th (to the M-th) call of pwrite, fsync or ftruncate fail with that number; and
 * STILE_FAULT_RECORD=FILE appends to it what every call did to which file, in an order that all processes share: what is
 * written is recorded after it was done, and a sync before and after, so that a sync covers at least what precedes its beginning.
 */
static const char *section;

enum recorded { RECORD_WRITE = 1, RECORD_CUT, RECORD_SYNC_BEGINS, RECORD_SYNC_ENDED };

struct record {
	uint32_t what;
	uint32_t pid;
	uint64_t inode;
	uint64_t offset;
	uint64_t len; /* of the data that follow */
};

static void
record(enum recorded what, int fd, off_t offset, const void *data, size_t len)
{
	const char *path = getenv("STILE_FAULT_RECORD");
	struct record head = {.what = what, .pid = (uint32_t)getpid(), .offset = (uint64_t)offset, .len = len};
	struct iovec parts[] = {{&head, sizeof head}, {(void *)(uintptr_t)data, len}};
	struct stat file;
	int log = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (log < 0)
		return;
	if (fstat(fd, &file) != 0)
		abort();
	head.inode = file.st_ino;
	/* in one call, which the kernel appends whole */
	if (writev(log, parts, 2) != (ssize_t)(sizeof head + len))
		abort();
	close(log);
}

void
sqlite_fault_section(const char *name)
{
	section = name;
}

static int
io_fails(const char *call)
{
	static int seen[3];
	const char *wanted = getenv("STILE_FAULT_IO");
	size_t len = strlen(call);
	long first, number, last;
	char *end;
	int *count = &seen[*call == 'p' ? 0 : call[1] == 's' ? 1 : 2];

	if (section != NULL)
		fault_point(section);
	if (wanted == NULL || strncmp(wanted, call, len) != 0 || wanted[len] != ':')
		return 0;
	first = strtol(wanted + len + 1, &end, 10);
	number = *end == ':' ? strtol(end + 1, &end, 10) : EIO;
	last = *end == ':' ? strtol(end + 1, NULL, 10) : first;
	++*count;
	return *count >= first && *count <= last ? (int)number : 0;
}

static ssize_t
faulty_pwrite(int fd, const void *data, size_t len, off_t offset)
{
	int error = io_fails("pwrite");

	ssize_t done = -1;

	if (error == 0)
		done = pwrite(fd, data, len, offset);
	else
		errno = error;
	if (done > 0)
		record(RECORD_WRITE, fd, offset, data, (size_t)done);
	return done;
}

/* SQLite calls this one past its table of system calls: ours is found before the C library's. */
__attribute__((visibility("default"))) int
fdatasync(int fd)
{
	int error = io_fails("fsync"), result = -1;

	record(RECORD_SYNC_BEGINS, fd, 0, NULL, 0);
	if (error == 0)
		result = (int)syscall(SYS_fdatasync, fd);
	else
		errno = error;
	if (result == 0)
		record(RECORD_SYNC_ENDED, fd, 0, NULL, 0);
	return result;
}

static int
faulty_ftruncate(int fd, off_t len)
{
	int error = io_fails("ftruncate");

	int result = -1;

	if (error == 0)
		result = ftruncate(fd, len);
	else
		errno = error;
	if (result == 0)
		record(RECORD_CUT, fd, len, NULL, 0);
	return result;
}

void
sqlite_faults(struct sqlite *store)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	(void)store;
	vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)faulty_pwrite);
	vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)faulty_pwrite);
	vfs->xSetSystemCall(vfs, "ftruncate", (sqlite3_syscall_ptr)faulty_ftruncate);
}

#endif
