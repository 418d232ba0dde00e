#include "os/group_commit.h"

#include "os/clock.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BYTE_SYNC 2    /* of the gate's file, after the gate's own two: who holds it syncs */
#define RECHECK_MS 20  /* one who is killed while he syncs wakes nobody */

struct group_page {
	_Atomic uint32_t begun;
	_Atomic uint32_t written;
	_Atomic uint32_t synced;
	_Atomic uint32_t changes; /* the word that is waited on: another may sync now, or more is synced */
	_Atomic uint32_t marked;
};

static bool
is_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

void
group_open(struct group_commit *group, const struct gate *gate)
{
	group->fd = gate->fd;
	group->page = (struct group_page *)(void *)(gate->page + GATE_OWN_LEN);
}

uint32_t
group_begin(struct group_commit *group)
{
	struct group_page *page = group->page;
	uint32_t last = page->begun;

	if (is_after(page->written, last))
		last = page->written;
	if (is_after(page->synced, last))
		last = page->synced;
	page->begun = last + 1;
	return last + 1;
}

void
group_written(struct group_commit *group, uint32_t number)
{
	group->page->written = number;
}

static void
wake(struct group_page *page)
{
	page->changes++;
	syscall(SYS_futex, &page->changes, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static void
raise_synced(struct group_page *page, uint32_t number)
{
	uint32_t found = page->synced;

	while (is_after(number, found) && !atomic_compare_exchange_weak(&page->synced, &found, number))
		;
}

void
group_synced(struct group_commit *group)
{
	raise_synced(group->page, group->page->written);
	wake(group->page);
}

static bool
set_lock(int fd, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = BYTE_SYNC, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static enum status
sync_all(struct group_page *page, group_sync *sync, void *arg, struct buf *why)
{
	uint32_t written = page->written;
	enum status status = sync(arg, why);

	if (status == OK)
		raise_synced(page, written);
	return status;
}

/* The one who holds the lock syncs, unless somebody has done it since. */
static enum status
lead(struct group_commit *group, uint32_t number, group_sync *sync, void *arg, struct buf *why)
{
	enum status status = OK;

	if (is_after(number, group->page->synced))
		status = sync_all(group->page, sync, arg, why);
	set_lock(group->fd, F_UNLCK);
	wake(group->page);
	return status;
}

enum status
group_wait(struct group_commit *group, uint32_t number, group_sync *sync, void *arg, struct buf *why)
{
	const struct timespec limit = {0, RECHECK_MS * 1000000};
	struct group_page *page = group->page;
	int64_t until = 0;

	while (is_after(number, page->synced)) {
		uint32_t changes = page->changes;

		if (set_lock(group->fd, F_WRLCK))
			return lead(group, number, sync, arg, why);
		if (until == 0)
			until = clock_boot_ms() + GROUP_WAIT_MS;
		else if (clock_boot_ms() >= until)
			return sync_all(page, sync, arg, why);
		syscall(SYS_futex, &page->changes, FUTEX_WAIT, changes, &limit, NULL, 0);
	}
	return OK;
}

enum status
group_settle(struct group_commit *group, group_sync *sync, void *arg, struct buf *why)
{
	/* also one that has begun: its rows are seen before it is known to be written */
	return group_wait(group, group->page->begun, sync, arg, why);
}

bool
group_is_marked(const struct group_commit *group)
{
	return group->page->marked != 0;
}

void
group_mark(struct group_commit *group, bool marked)
{
	group->page->marked = marked;
}
