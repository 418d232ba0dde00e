/* What the files of the queue share. */
#ifndef CORE_QUEUE_PARTS_H
#define CORE_QUEUE_PARTS_H

#include "core/queue_claim.h"
#include "core/waiter.h"

/* Of a row `i`, in this order, from column 0 on. */
#define QUEUE_COLUMNS \
	"i.queue, i.item, i.line, i.state, i.priority, i.slot, i.key, i.digest, i.size, i.apart, i.actor, i.put_ms, i.ready_ms," \
	" i.ended_ms, i.attempts, i.reason, i.generation, i.holder, i.session, i.anchor, i.anchored, i.pid, i.pid_start," \
	" i.pid_space, i.pid_boot, i.since_ms, i.ttl_ms, i.expires_ms, i.challenged_ms, i.challenged_awake_ms," \
	" i.challenged_boot"
#define QUEUE_COLUMN_COUNT 31

/* Of a row, with $1 = the project: whether it is held no more.  A cleared binding's last generation is empty. */
#define QUEUE_BOUND(row) \
	"(" row ".slot = '' OR COALESCE((SELECT b.value FROM binding b WHERE b.project = $1 AND b.session = " row ".line" \
	" AND b.slot = " row ".slot ORDER BY b.generation DESC LIMIT 1), '') <> '')"

void queue_from_row(const struct db_rows *rows, size_t row, struct queue_item *out);

/* Queued: what of an item changes (all but what it was put with); of a line that nobody is first of or at, the next becomes first. */
void queue_save(struct txn *txn, const struct queue_item *item);
void queue_next(struct txn *txn, const struct queue_item *item);

/* Queued: the queue's counts move by these. */
struct queue_change {
	int64_t items, bytes, dead, done;
};
void queue_count(struct txn *txn, const char *queue, const struct queue_change *change);

/* An attempt came to nothing: it is pending again, or dead.  Queued, its line and counts too. */
enum status queue_fail(struct txn *txn, struct queue_item *item, const struct queue_failure *failure,
                       struct buf *why) MUST_CHECK;

/* The claim, if it is over, ends as a failed attempt (*ended); if it was challenged that is saved.  Queued. */
enum status queue_judge(struct txn *txn, struct queue_item *item, bool *ended, struct buf *why) MUST_CHECK;

#endif
