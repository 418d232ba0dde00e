/*
 * Group commit: many processes write to one log, each alone inside the gate, and share the syncs of it outside.
 *
 * A commit takes a number inside the gate, before it is visible to anybody.  After the gate, before its answer, it waits until
 * that number is on disk: one of those who wait syncs the log for all whose writing was done when it began.  Whoever only
 * read waits as well, if there was a commit it may have seen that isn't on disk yet.
 *
 * The numbers stand in the gate's file, mapped by all; they are compared as a clock that wraps.  After a power cut they may be
 * older than the log or from different instants: the next number is above all of them, so none of them passes for synced.
 *
 * A sync that failed is not simply tried again: the kernel tells the failure once and may take the data for clean.  The one who
 * syncs has to make the log's content safe in another way or say that it can't; then the store is marked, and all are refused.
 */
#ifndef OS_GROUP_COMMIT_H
#define OS_GROUP_COMMIT_H

#include "os/gate.h"

#include <stdbool.h>
#include <stdint.h>

struct group_page;

struct group_commit {
	int fd;                  /* the gate's */
	struct group_page *page; /* NULL = not seen */
	uint32_t mine;           /* the last number that was taken here */
};

/* Of a gate that is open, and stays so while the group is used.  Of one that is only looked at, for group_is_marked alone. */
void group_open(struct group_commit *group, const struct gate *gate);

/* Before the gate: who was inside a moment ago lets those go first who weren't.  At once if nobody else was inside since. */
void group_yield(const struct group_commit *group);

/* Inside the gate, before a commit: its number.  And after it, when all of it is written. */
uint32_t group_begin(struct group_commit *group);
void group_written(struct group_commit *group, uint32_t number);

/* Inside the gate: all that is written was brought to disk by other means. */
void group_synced(struct group_commit *group);

/* Makes all on disk that was written before the call.  Anything but OK: it can't be done, and the store is marked. */
typedef enum status group_sync(void *arg, struct buf *why);

/*
 * Outside the gate: returns when commit `number` is on disk, by `sync` if nobody else does it.  The status of `sync`.  Blocks
 * for a sync or two; one that somebody began and doesn't end, since he was stopped, is waited for GROUP_WAIT_MS at most.  Who
 * syncs for others can't be stopped from the terminal.
 */
enum status group_wait(struct group_commit *group, uint32_t number, group_sync *sync, void *arg, struct buf *why) MUST_CHECK;

/* Outside the gate, after reading: returns when all that may have been seen is on disk. */
enum status group_settle(struct group_commit *group, group_sync *sync, void *arg, struct buf *why) MUST_CHECK;

#define GROUP_WAIT_MS 100 /* a sync of his own more is harmless */

/* Whether the store is marked: what was written could not be made safe. */
bool group_is_marked(const struct group_commit *group);
void group_mark(struct group_commit *group, bool marked);

#endif
