/* What `turn run` and the single steps share. */
#ifndef VERBS_TURN_H
#define VERBS_TURN_H

#include "core/turn.h"
#include "verbs/lease_hold.h"

#define TURN_RETRY_MS 5000 /* what a caller is told to wait when a turn is busy */

struct turn_work {
	struct call *call;
	struct hold hold;
	struct turn turn;
	struct turn_end end;
	const char *question; /* NULL = there is none */
	char resource[RESOURCE_MAX + 1];
	char session[ID_SIZE]; /* whose turn it is */
	struct caller caller;
};

void turn_work_init(struct turn_work *work, struct call *call);

/* Opens the store and finds the session, by --session, --key or the caller. */
enum status turn_find(struct turn_work *work) MUST_CHECK;

/* Waits for the turn and opens it.  `stays`: held by this process and its command; else by --pid, or the session's agent. */
enum status turn_take(struct turn_work *work, int64_t ttl_ms, bool stays) MUST_CHECK;

/* work->end, in one transaction. */
enum status turn_finish(struct turn_work *work, struct buf *why) MUST_CHECK;

const char *turn_slot(const struct call *call);

/* `turn run`. */
enum status turn_run(struct call *call) MUST_CHECK;

#endif
