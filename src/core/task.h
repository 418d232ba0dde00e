/*
 * A task is work that one does, once.  It is claimed by the lease task/NAME, and ends in done.
 *
 *   - One starter: who claims it second is told who has it.
 *   - An owner that is dead or overdue is taken over, with a higher fence; then it is refused where it would finish.
 *   - Done is final.  The task's end and the lease's are one transaction, and nobody is given the lease again.
 *
 * What was done is kept for good, with its result.  Called inside a transaction; never blocks.
 */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include "core/lease.h"

#define TASK_PREFIX "task/"
#define TASK_NAME_MAX 200
#define TASK_RESULT_MAX ((size_t)64 << 10)
#define TASK_LIST_MAX 10000

/* Whether it can be a task's name: BAD_INPUT with `why`; and the resource that it is claimed by. */
enum status task_resource(const char *name, char out[RESOURCE_MAX + 1], struct buf *why) MUST_CHECK;

/*
 * It is done, with `result` (JSON text, "" = none), by the caller who holds it with that fence.  The statuses of lease_close:
 * HELD for one who holds it no more.  One answer is waited for.
 */
enum status task_done(struct txn *txn, const char *name, int64_t fence, const char *result, struct lease *out,
                      struct buf *why) MUST_CHECK;

/*
 * Of a task that is done, adds to `out`: task, done_by, done_session, done_ms, claimed_ms, fence and, where there is one, result;
 * NO_SUCH for one that isn't.
 */
enum status task_show(struct txn *txn, const char *name, json_t *out, struct buf *why) MUST_CHECK;

/* Those claimed or waited for and, with `all`, the last TASK_LIST_MAX that are done: objects added to `out`. */
enum status task_list(struct txn *txn, bool all, json_t *out, struct buf *why) MUST_CHECK;

/*
 * The task that a session is at: each has its own.  It can be at none but one that it holds: HELD by another, NO_SUCH when
 * nobody holds it.  Audited.  One answer.
 */
enum status task_set_active(struct txn *txn, const char *session, const char *name, struct buf *why) MUST_CHECK;
void task_clear_active(struct txn *txn, const char *session);

/* `name` is "" when there is none.  *held: it is still the caller's. */
enum status task_active(struct txn *txn, const char *session, char name[TASK_NAME_MAX + 1], int64_t *set_ms, bool *held,
                        struct buf *why) MUST_CHECK;

#endif
