/*
 * A waiter is a process that waits for something in the store to become so, and is woken by whoever makes it so: for a slot to be
 * bound, for an item in a queue.  What it waits for is a topic.  It stands in line under its anchor, which also tells when it has
 * died; being woken takes it out of the line.
 *
 * It is a hint: whoever waits looks for himself, and again each WAKE_RECHECK_MS.  Called inside a write transaction.
 */
#ifndef CORE_WAITER_H
#define CORE_WAITER_H

#include "core/session.h"

#define TOPIC_MAX 420
#define WAITERS_LOOKED_AT "8" /* of those of one topic, when one is to be woken */

/* Judges whether holders live; core looks at no process itself.  A txn without one finds every holder unknown. */
struct witness {
	enum liveness (*anchor)(void *arg, const char *name);
	enum liveness (*process)(void *arg, const struct process *process);
	int64_t (*awake)(void *arg, char boot[BOOT_MAX]); /* ms on a clock that stops in suspend; and which boot's it is */
	void *arg;
};

/* In a statement with $1 = the project: the waiters of a topic, the first in line first.  Its columns are WAITER_COLUMNS. */
#define WAITER_COLUMNS "w.topic, w.anchor, w.wake"
#define WAITER_ORDER "w.topic, w.asked_ms, w.anchor"

/* Queued.  Who stands there already keeps his place. */
void waiter_add(struct txn *txn, const char *topic, const char *anchor, const char *wake);
void waiter_remove(struct txn *txn, const char *topic, const char *anchor);

/*
 * Wakes the first that lives, of each topic in `rows` whose name begins with `prefix`; or all of them.  The rows are in
 * WAITER_ORDER, and their waiters' columns begin at `column`; NULL there = none.  Queued.
 */
void waiter_wake(struct txn *txn, const struct db_rows *rows, size_t column, const char *prefix, bool all);

#endif
