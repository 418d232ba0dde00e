/*
 * Claims items for a caller who may wait for them.  Blocks.
 */
#ifndef VERBS_QUEUE_WAIT_H
#define VERBS_QUEUE_WAIT_H

#include "core/queue_claim.h"
#include "verbs/caller.h"

struct queue_wait {
	struct context *context;
	struct queue_take ask;   /* queue, line, max, ttl_ms, process */
	bool stays;              /* the claims are held as long as the anchor is */
	bool (*stop)(void *arg); /* asked between two looks: whether to wait no longer; NULL = never */
	void *arg;
	bool found; /* the caller is */
	struct caller caller;
	struct anchor anchor; /* fd -1 = none */
	char wake[WAKE_SIZE];
	bool empty;               /* BUSY was the queue's answer, and not the store's */
	int64_t asked_boot_ms;    /* clock_boot_ms before the claims were made */
	struct queue_taken taken; /* released by the caller */
};

void queue_wait_init(struct queue_wait *wait, struct context *context);

/*
 * Waits at most wait_ms, -1 = without end, 0 = not at all.  The statuses of queue_take; BUSY when the wait ended, or `stop` said so,
 * with nothing.
 */
enum status queue_wait_take(struct queue_wait *wait, int64_t wait_ms, struct buf *why) MUST_CHECK;

/* Gives up the anchor. */
void queue_wait_end(struct queue_wait *wait);

#endif
