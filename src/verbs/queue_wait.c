#include "verbs/queue_wait.h"

#include "os/clock.h"

void
queue_wait_init(struct queue_wait *wait, struct context *context)
{
	*wait = (struct queue_wait){.context = context, .anchor = {.fd = -1}};
}

void
queue_wait_end(struct queue_wait *wait)
{
	if (wait->anchor.fd >= 0)
		anchor_leave(&wait->anchor);
	wait->anchor.fd = -1;
}

/* The caller is found in the first one's transaction. */
static enum status
rule_take(struct txn *txn, void *arg, struct buf *why)
{
	struct queue_wait *wait = arg;
	enum status status = wait->found ? OK : caller_find(txn, NULL, &wait->caller, why);

	if (status != OK)
		return status;
	wait->found = true;
	txn->actor = wait->caller.actor;
	wait->ask.session = wait->caller.session;
	if (!wait->stays && wait->ask.process.pid == 0 && !lease_process_is_gone(txn, &wait->caller.process))
		wait->ask.process = wait->caller.process;
	status = queue_take(txn, &wait->ask, &wait->taken, why);
	wait->empty = status == BUSY;
	return status;
}

struct looking {
	struct queue_wait *wait;
	bool any;
	int64_t next_ms;
};

static enum status
rule_look(struct txn *txn, void *arg, struct buf *why)
{
	struct looking *looking = arg;

	return queue_look(txn, &looking->wait->ask, &looking->any, &looking->next_ms, why);
}

static enum status
rule_leave(struct txn *txn, void *arg, struct buf *why)
{
	const struct queue_wait *wait = arg;

	(void)why;
	queue_give_up(txn, wait->ask.queue, wait->ask.anchor);
	return OK;
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Until there may be something, or the caller's time is over (false). */
static bool
doze(struct queue_wait *wait, int64_t until_ms)
{
	struct db *db = wait->context->engine.db;
	struct looking looking = {.wait = wait};

	for (;;) {
		int64_t left_ms = until_ms < 0 ? WAKE_RECHECK_MS : until_ms - clock_boot_ms();

		if (left_ms <= 0 || (wait->stop != NULL && wait->stop(wait->arg)))
			return false;
		/* a store that is away for a moment is no answer: whoever waits looks again */
		if (engine_read(&wait->context->engine, rule_look, &looking, NULL) == OK) {
			if (looking.any)
				return true;
			if (looking.next_ms > 0)
				left_ms = least(left_ms, looking.next_ms - db->now_ms);
		}
		if (left_ms > 0)
			db->ops->wait(db, least(left_ms, WAKE_RECHECK_MS));
	}
}

static enum status
stand_in_line(struct queue_wait *wait, struct buf *why)
{
	struct db *db = wait->context->engine.db;
	enum status status = OK;

	if (wait->anchor.fd < 0)
		status = context_anchor(wait->context, wait->stays, &wait->anchor, why);
	if (status == OK)
		status = db->ops->listen(db, wait->wake, why);
	wait->ask.anchor = wait->anchor.name;
	wait->ask.anchored = wait->stays;
	wait->ask.wake = wait->wake;
	return status;
}

enum status
queue_wait_take(struct queue_wait *wait, int64_t wait_ms, struct buf *why)
{
	struct engine *engine = &wait->context->engine;
	int64_t until_ms = wait_ms < 0 ? -1 : clock_boot_ms() + wait_ms;
	enum status status = OK;

	wait->ask.wait = wait_ms != 0;
	wait->ask.anchor = wait->ask.wake = "";
	if (wait->ask.wait || wait->stays)
		status = stand_in_line(wait, why);
	while (status == OK) {
		wait->asked_boot_ms = clock_boot_ms();
		wait->empty = false;
		status = engine_run(engine, rule_take, wait, why);
		if (status != QUEUED)
			break;
		wait->empty = !doze(wait, until_ms);
		status = wait->empty ? BUSY : OK;
	}
	if (wait->empty && wait->ask.wait) {
		/* its place is skipped by whoever comes to it, too */
		if (engine_run(engine, rule_leave, wait, NULL) != OK)
			wait->ask.wait = false;
		status = why_not(why, BUSY, "the queue %s has had nothing to claim; try again", wait->ask.queue);
	}
	if (!wait->stays)
		queue_wait_end(wait);
	return status;
}
