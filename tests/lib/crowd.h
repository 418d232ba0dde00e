/*
 * Many processes that do the same at the same time.  Each gets ready, meets the others, and only then does what it races for.
 */
#ifndef LIB_CROWD_H
#define LIB_CROWD_H

#include "lib/scratch.h"

#define CROWD_MEET_MS 100000 /* until all are ready */

struct member {
	unsigned index; /* 0 .. count - 1 */
	unsigned count;
	void *arg; /* the crowd's own */
	struct scratch_barrier *barrier;
};

/* In a member: waits until all are ready.  Whether they were in time. */
bool crowd_together(const struct member *member);

/*
 * Runs `run` in `count` processes and waits for all: how long that may take is the test's time limit.  True if each ended with
 * 0; else it says on stderr which did not.  No assertion in there: members tell by their status or through memory that is
 * shared.
 */
bool crowd_run(unsigned count, int (*run)(const struct member *member), void *arg);

#endif
