#include "os/group_commit.h"

#include "os/clock.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * How many commits of others, at most, who was inside lets go first.  On two CPUs with 64 writers that don't stop, without it one
 * who never slept came by ten times as often as the others; with more the CPUs wait.
 */
#define TURNS 40

#define BYTE_SYNC 2   /* of the gate's file, after the gate's own two: who holds it syncs */
#define RECHECK_MS 20 /* one who is killed while he syncs wakes nobody */

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
	group->page = gate->page == NULL ? NULL : (struct group_page *)(void *)(gate->page + GATE_OWN_LEN);
}

void
group_yield(const struct group_commit *group)
{
	for (int i = 0; i < TURNS && group->page->begun != group->mine && group->page->begun - group->mine < TURNS; i++)
		sched_yield();
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
	page->begun = group->mine = last + 1;
	return last + 1;
}

void
group_written(struct group_commit *group, uint32_t number)
{
	group->page->written = number;
}

/* Each waits by its number, so that only those are woken who are done, and the one after them, who syncs next. */
static uint32_t
bit(uint32_t number)
{
	return (uint32_t)1 << number % 32;
}

static void
wake(struct group_page *page, uint32_t before)
{
	uint32_t count = page->synced - before + 1, bits = 0;

	for (uint32_t i = 1; i <= count && i <= 32; i++)
		bits |= bit(before + i);
	page->changes++;
	syscall(SYS_futex, &page->changes, FUTEX_WAKE_BITSET, INT32_MAX, NULL, NULL, bits);
}

static void
wait_for(struct group_page *page, uint32_t number, uint32_t changes)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += RECHECK_MS * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	syscall(SYS_futex, &page->changes, FUTEX_WAIT_BITSET, changes, &until, NULL, bit(number));
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
	uint32_t before = group->page->synced;

	raise_synced(group->page, group->page->written);
	wake(group->page, before);
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

/* The one who gets the lock syncs, unless somebody has done it since.  False when another has it. */
static bool
lead(struct group_commit *group, uint32_t number, group_sync *sync, void *arg, enum status *status, struct buf *why)
{
	uint32_t before;
	sigset_t signals;

	gate_block_stops(&signals);
	if (!set_lock(group->fd, F_WRLCK)) {
		pthread_sigmask(SIG_SETMASK, &signals, NULL);
		return false;
	}
	before = group->page->synced;
	*status = is_after(number, before) ? sync_all(group->page, sync, arg, why) : OK;
	set_lock(group->fd, F_UNLCK);
	wake(group->page, before);
	pthread_sigmask(SIG_SETMASK, &signals, NULL);
	/* those who slept meanwhile go first */
	sched_yield();
	return true;
}

enum status
group_wait(struct group_commit *group, uint32_t number, group_sync *sync, void *arg, struct buf *why)
{
	struct group_page *page = group->page;
	enum status status;
	int64_t until = 0;

	while (is_after(number, page->synced)) {
		uint32_t changes = page->changes;

		if (lead(group, number, sync, arg, &status, why))
			return status;
		if (until == 0)
			until = clock_boot_ms() + GROUP_WAIT_MS;
		else if (clock_boot_ms() >= until)
			return sync_all(page, sync, arg, why);
		wait_for(page, number, changes);
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
