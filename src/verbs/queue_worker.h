/*
 * One worker of `queue work`: takes an item, runs the command, ends the claim; until it is told to stop.  Blocks; for a process of
 * its own.
 */
#ifndef VERBS_QUEUE_WORKER_H
#define VERBS_QUEUE_WORKER_H

#include "verbs/verb.h"

#include <stdatomic.h>

/* What all workers have done, in memory that they share. */
struct queue_tally {
	atomic_long done, failed;
};

/*
 * `stop` becomes readable when it is to stop, and SIGURG interrupts its waits.  How it ended: OK when it was stopped, or with
 * --drain had nothing left to take; *exit is 126 or 127 when the command can't be run (then OK as well), else as it was.
 */
enum status queue_worker_run(struct call *call, struct queue_tally *tally, int stop, int *exit) MUST_CHECK;

#endif
