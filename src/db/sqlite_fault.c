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
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Test builds stand between SQLite and the kernel.  Inside a section every write and sync is a fault point of its name; and
 * STILE_FAULT_IO=CALL:N:ERRNO[:M] lets the N-th (to the M-th) call of pwrite, fsync or ftruncate fail with that number.
 */
static const char *section;

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

	if (error == 0)
		return pwrite(fd, data, len, offset);
	errno = error;
	return -1;
}

/* SQLite calls this one past its table of system calls: ours is found before the C library's. */
__attribute__((visibility("default"))) int
fdatasync(int fd)
{
	int error = io_fails("fsync");

	if (error == 0)
		return (int)syscall(SYS_fdatasync, fd);
	errno = error;
	return -1;
}

static int
faulty_ftruncate(int fd, off_t len)
{
	int error = io_fails("ftruncate");

	if (error == 0)
		return ftruncate(fd, len);
	errno = error;
	return -1;
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
