/*
 * Claims of a queue's items: taken, renewed, and ended by what came of them.  The rules are told in queue.h.
 *
 * Called inside a write transaction unless it says otherwise; never blocks.
 */
#ifndef CORE_QUEUE_CLAIM_H
#define CORE_QUEUE_CLAIM_H

#include "core/queue.h"

#define QUEUE_TAKE_MAX 100
#define QUEUE_TTL_MS 60000
#define QUEUE_REDRIVE_MAX 500
#define QUEUE_WITHDRAW_MAX 500
#define QUEUE_TOPIC "queue/" /* what takers wait for (waiter.h) */

struct queue_take {
	const char *queue;
	const char *line; /* NULL = any */
	int64_t max;    /* 1 .. QUEUE_TAKE_MAX, of QUEUE_PAYLOAD_MAX bytes in all: of several lines, or one after another of one */
	int64_t ttl_ms; /* until the claim is overdue, unless it is renewed */
	const char *session; /* "" = the actor is a person */
	const char *anchor;  /* proves the claimer if `anchored`, else only the waiter; "" = none */
	bool anchored;
	struct process process; /* else this one does; pid 0 = nothing does */
	bool wait;              /* where there is nothing it stands in line at `wake` */
	const char *wake;
};

/* Items that were claimed.  Their payloads belong to it: NULL for a large one, which is read by itself (queue_payload). */
struct queue_taken {
	struct queue_item *items;
	const char **payloads;
	size_t count;
	struct db_rows rows;
};
void queue_taken_release(struct queue_taken *taken);

/*
 * OK       *out has at least one; the caller releases it
 * QUEUED   there is nothing to be had now, and the caller stands in line; BUSY without `ask->wait`
 * NO_SUCH  nothing was ever put into such a queue
 * Two answers; one more each time when a claim was over.
 */
enum status queue_take(struct txn *txn, const struct queue_take *ask, struct queue_taken *out, struct buf *why) MUST_CHECK;

/* The payload of an item that isn't kept apart; the caller releases *rows, whose text it is.  NO_SUCH.  For a read transaction. */
enum status queue_payload(struct txn *txn, const struct queue_item *item, struct db_rows *rows, struct buf *why) MUST_CHECK;

/* Whether a take would find something, or a claim that is over; else *next_ms: when that may be, 0 = not known.  For a read transaction. */
enum status queue_look(struct txn *txn, const struct queue_take *ask, bool *any, int64_t *next_ms, struct buf *why) MUST_CHECK;

/* How an attempt came to nothing. */
struct queue_failure {
	const char *reason;
	int64_t delay_ms; /* before the next; -1 = by the queue's back-off */
	bool untried;     /* it was not tried: the claim counts as no attempt */
	bool hopeless;    /* it is dead at once */
};

/*
 * The caller's own claim, of that generation, ends: the item is done; or it was not, and is pending again, or dead.
 *
 * OK also for an item that this very claim has done before.
 * HELD         it isn't claimed with that generation any more; `why` says how it stands
 * NOT_ALLOWED  it is another's
 * NO_SUCH      there is no such item
 * Of one that is kept apart, and done, out->apart names what is to be removed now.  One answer.
 */
enum status queue_ack(struct txn *txn, const char *id, int64_t generation, struct queue_item *out, struct buf *why) MUST_CHECK;
enum status queue_nack(struct txn *txn, const char *id, int64_t generation, const struct queue_failure *failure,
                       struct queue_item *out, struct buf *why) MUST_CHECK;

/* Its deadline moves on, by `ttl_ms` if that isn't 0. */
enum status queue_renew(struct txn *txn, const char *id, int64_t generation, int64_t ttl_ms, struct queue_item *out,
                        struct buf *why) MUST_CHECK;

/* As queue_ack would answer, and nothing is done.  For a read transaction. */
enum status queue_check(struct txn *txn, const char *id, int64_t generation, struct queue_item *out,
                        struct buf *why) MUST_CHECK;

/* A waiter leaves the line. */
void queue_give_up(struct txn *txn, const char *queue, const char *anchor);

/*
 * Dead ones are pending again, in their old places and as if never tried: the item of that number, or if 0 the first
 * QUEUE_REDRIVE_MAX.  NO_SUCH; BUSY: there may be no room.  Two answers.
 */
enum status queue_redrive(struct txn *txn, const char *queue, int64_t number, size_t *count, struct buf *why) MUST_CHECK;

/*
 * Items that `actor` put and that nobody ever claimed are gone, as if they had not been put: *count of them, QUEUE_WITHDRAW_MAX at
 * most.  One answer.
 */
enum status queue_withdraw(struct txn *txn, const char *actor, int64_t *count, struct buf *why) MUST_CHECK;

#endif
