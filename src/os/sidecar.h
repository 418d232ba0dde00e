/*
 * A file beside what it protects, whose locks programs take that know nothing of us: flock(2) and lockf(3), which don't see each
 * other.  Held here are both, until sidecar_leave, or until we and every child that has inherited them are gone.
 */
#ifndef OS_SIDECAR_H
#define OS_SIDECAR_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct sidecar {
	int flock_fd, lockf_fd; /* -1 = not held */
};

/* What is to be done while we wait, after `first_ms` and then after as many ms as it returned; below 0 ends the wait. */
struct sidecar_tick {
	int64_t (*tick)(void *arg);
	void *arg;
	int64_t first_ms;
};

/*
 * Takes both locks of `path`, made if it isn't there, until clock_boot_ms is `until_ms`; not at all waiting if that is past.
 * `alone`: children don't inherit them.  Blocks in the kernel: nothing is looked at from time to time.
 *
 * BUSY       somebody held one until then; `why` tells which lock, and the process where that is known
 * HELD       *tick ended the wait
 * IO_FAILED  the file can't be opened, or is no plain file
 */
enum status sidecar_take(struct sidecar *sidecar, const char *path, int64_t until_ms, bool alone,
                         const struct sidecar_tick *tick, struct buf *why) MUST_CHECK;
void sidecar_leave(struct sidecar *sidecar);

#endif
