#include "core/queue_parts.h"

#include "core/audit.h"

void
queue_save(struct txn *txn, const struct queue_item *item)
{
	const struct lease *claim = &item->claim;

	db_run(txn->db,
	       "UPDATE queue_item SET state = $1, apart = $2, ready_ms = $3, ended_ms = $4, attempts = $5, reason = $6,"
	       " generation = $7, holder = $8, session = $9, anchor = $10, anchored = $11, pid = $12, pid_start = $13,"
	       " pid_space = $14, pid_boot = $15, since_ms = $16, ttl_ms = $17, expires_ms = $18, challenged_ms = $19,"
	       " challenged_awake_ms = $20, challenged_boot = $21 WHERE project = $22 AND queue = $23 AND item = $24",
	       DB_INT(item->state), DB_TEXT(item->apart), DB_INT(item->ready_ms), DB_INT(item->ended_ms), DB_INT(item->attempts),
	       DB_TEXT(item->reason), DB_INT(claim->fence), DB_TEXT(claim->actor), DB_TEXT(claim->session), DB_TEXT(claim->anchor),
	       DB_INT(claim->anchored), DB_INT(claim->process.pid), DB_INT(claim->process.start), DB_INT(claim->process.space),
	       DB_TEXT(claim->process.boot), DB_INT(claim->since_ms), DB_INT(claim->ttl_ms), DB_INT(claim->expires_ms),
	       DB_INT(claim->challenged_ms), DB_INT(claim->challenged_awake_ms), DB_TEXT(claim->challenged_boot),
	       DB_TEXT(txn->project), DB_TEXT(item->queue), DB_INT(item->number));
}

#define IN_LINE(in) \
	"EXISTS (SELECT 1 FROM queue_item f WHERE f.project = $1 AND f.line = $3 AND f.line <> '' AND f.queue = $2 AND f.state = " in \
	")"

void
queue_next(struct txn *txn, const struct queue_item *item)
{
	if (item->line[0] == '\0')
		return;
	db_run(txn->db,
	       "UPDATE queue_item SET state = 1 WHERE project = $1 AND queue = $2 AND item = (SELECT n.item FROM queue_item n"
	       " WHERE n.project = $1 AND n.line = $3 AND n.line <> '' AND n.queue = $2 AND n.state = 0"
	       " ORDER BY n.item LIMIT 1) AND NOT " IN_LINE("1") " AND NOT " IN_LINE("2"),
	       DB_TEXT(txn->project), DB_TEXT(item->queue), DB_TEXT(item->line));
}

void
queue_count(struct txn *txn, const char *queue, const struct queue_change *change)
{
	/* each item is passed once */
	db_run(txn->db,
	       "UPDATE queue SET items = items + $1, bytes = bytes + $2, dead = dead + $3, done = done + $4, settled = COALESCE(("
	       "SELECT o.item - 1 FROM queue_item o WHERE o.project = $5 AND o.queue = $6 AND o.item > queue.settled AND o.state < "
	       "3"
	       " ORDER BY o.item LIMIT 1), last) WHERE project = $5 AND queue = $6",
	       DB_INT(change->items), DB_INT(change->bytes), DB_INT(change->dead), DB_INT(change->done), DB_TEXT(txn->project),
	       DB_TEXT(queue));
}

/* Nobody has it any more; the generation stays, and tells the claim from the next. */
static void
end_claim(struct queue_item *item)
{
	int64_t generation = item->claim.fence;

	item->claim = (struct lease){.fence = generation};
}

static int64_t
backoff(const struct queue_limits *limits, int64_t attempts)
{
	int64_t delay_ms = limits->backoff_ms;

	for (int64_t i = 1; i < attempts && delay_ms < limits->backoff_max_ms; i++)
		delay_ms *= 2;
	return delay_ms < limits->backoff_max_ms ? delay_ms : limits->backoff_max_ms;
}

static void
note_death(struct txn *txn, const struct queue_item *item)
{
	char id[QUEUE_ID_SIZE];

	queue_id(item, id);
	queue_count(txn, item->queue, &(struct queue_change){.items = -1, .bytes = -item->size, .dead = 1});
	audit_add(txn, str_starts(item->line, QUEUE_GROUP) ? "" : item->line, "queue.dead", id, "", item->reason);
}

enum status
queue_fail(struct txn *txn, struct queue_item *item, const struct queue_failure *failure, struct buf *why)
{
	struct queue_limits limits;
	enum status status = queue_limits(txn->config, item->queue, &limits, why);

	if (status != OK)
		return status;
	str_one_line(item->reason, sizeof item->reason, failure->reason);
	end_claim(item);
	item->attempts -= failure->untried;
	item->ready_ms = txn_now(txn) + (failure->delay_ms >= 0 ? failure->delay_ms : backoff(&limits, item->attempts));
	item->state = item->line[0] == '\0' ? QUEUE_FIRST : QUEUE_BEHIND;
	if (failure->hopeless || item->attempts >= limits.attempts) {
		item->state = QUEUE_DEAD;
		item->ended_ms = txn_now(txn);
	}
	queue_save(txn, item);
	queue_next(txn, item);
	if (item->state == QUEUE_DEAD)
		note_death(txn, item);
	return OK;
}

enum status
queue_judge(struct txn *txn, struct queue_item *item, bool *ended, struct buf *why)
{
	bool changed = false;
	const char *over = lease_over(txn, &item->claim, &changed);

	*ended = over != NULL;
	if (over != NULL)
		return queue_fail(txn, item, &(struct queue_failure){.reason = over}, why);
	if (changed)
		queue_save(txn, item);
	return OK;
}

/* The item, with the waiters that may be woken by what becomes of it. */
static enum status
load(struct txn *txn, const char *id, struct queue_item *out, struct db_rows *rows, struct buf *why)
{
	char queue[QUEUE_NAME_MAX + 1], topic[TOPIC_MAX];
	int64_t number;
	enum status status = queue_id_parse(id, queue, &number, why);

	if (status != OK)
		return status;
	snprintf(topic, sizeof topic, QUEUE_TOPIC "%s", queue);
	status = db_ask(txn->db, rows, why,
	                "SELECT " QUEUE_COLUMNS ", " WAITER_COLUMNS " FROM queue_item i LEFT JOIN waiter w ON w.project = $1"
	                " AND w.topic = $2 WHERE i.project = $1 AND i.queue = $3 AND i.item = $4 ORDER BY " WAITER_ORDER
	                " LIMIT " WAITERS_LOOKED_AT,
	                DB_TEXT(txn->project), DB_TEXT(topic), DB_TEXT(queue), DB_INT(number));
	if (status != OK)
		return status;
	if (rows->count > 0) {
		queue_from_row(rows, 0, out);
		return OK;
	}
	db_rows_release(rows);
	return why_not(why, NO_SUCH, "there is no item %s", id);
}

static enum status
not_claimed(const struct queue_item *item, int64_t generation, const char *id, int64_t now_ms, struct buf *why)
{
	char at[40];
	struct buf text;

	if (item->state == QUEUE_DONE || item->state == QUEUE_DEAD) {
		str_instant(at, sizeof at, item->ended_ms);
		return why_not(why, HELD, "%s: is %s since %s, after generation %lld", id, queue_state_name(item->state), at,
		               (long long)item->claim.fence);
	}
	if (item->state != QUEUE_CLAIMED)
		return why_not(why, HELD, "%s: is pending again, after generation %lld; what was done for it may be done again", id,
		               (long long)item->claim.fence);
	buf_init(&text, WHY_MAX / 2);
	lease_describe(&item->claim, now_ms, &text);
	(void)why_not(why, HELD, "%s: generation %lld is over; %lld is %s", id, (long long)generation, (long long)item->claim.fence,
	              text.data);
	buf_release(&text);
	return HELD;
}

static enum status
check_claim(const struct txn *txn, const struct queue_item *item, int64_t generation, const char *id, struct buf *why)
{
	if (item->state != QUEUE_CLAIMED || item->claim.fence != generation)
		return not_claimed(item, generation, id, txn_now(txn), why);
	if (!lease_is_callers(txn, &item->claim))
		return why_not(why, NOT_ALLOWED, "%s: is claimed by %s, and not by you", id, item->claim.actor);
	return OK;
}

/* Whoever is behind it in its line may be first now, or it may be had again itself. */
static void
wake_next(struct txn *txn, const struct queue_item *item, const struct db_rows *rows)
{
	if (item->line[0] != '\0' || (item->state == QUEUE_FIRST && item->ready_ms <= txn_now(txn)))
		waiter_wake(txn, rows, QUEUE_COLUMN_COUNT, QUEUE_TOPIC, false);
}

/* Who claimed it stays known. */
static void
finish(struct txn *txn, struct queue_item *item)
{
	item->state = QUEUE_DONE;
	item->ended_ms = txn_now(txn);
	item->claim.anchor[0] = '\0';
	queue_save(txn, item);
	if (item->apart[0] == '\0')
		db_run(txn->db, "DELETE FROM queue_payload WHERE project = $1 AND queue = $2 AND item = $3", DB_TEXT(txn->project),
		       DB_TEXT(item->queue), DB_INT(item->number));
	queue_next(txn, item);
	queue_count(txn, item->queue, &(struct queue_change){.items = -1, .bytes = -item->size, .done = 1});
}

enum status
queue_ack(struct txn *txn, const char *id, int64_t generation, struct queue_item *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = load(txn, id, out, &rows, why);

	if (status != OK)
		return status;
	/* an answer that was lost is asked for again */
	if (out->state != QUEUE_DONE || out->claim.fence != generation || !lease_is_callers(txn, &out->claim)) {
		status = check_claim(txn, out, generation, id, why);
		if (status == OK) {
			finish(txn, out);
			wake_next(txn, out, &rows);
		}
	}
	db_rows_release(&rows);
	return status;
}

enum status
queue_nack(struct txn *txn, const char *id, int64_t generation, const struct queue_failure *failure, struct queue_item *out,
           struct buf *why)
{
	struct db_rows rows;
	enum status status = load(txn, id, out, &rows, why);

	if (status != OK)
		return status;
	status = check_claim(txn, out, generation, id, why);
	if (status == OK)
		status = queue_fail(txn, out, failure, why);
	if (status == OK)
		wake_next(txn, out, &rows);
	db_rows_release(&rows);
	return status;
}

enum status
queue_renew(struct txn *txn, const char *id, int64_t generation, int64_t ttl_ms, struct queue_item *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = load(txn, id, out, &rows, why);

	if (status != OK)
		return status;
	db_rows_release(&rows);
	status = check_claim(txn, out, generation, id, why);
	if (status == OK && (ttl_ms < 0 || ttl_ms > LEASE_TTL_MAX_MS))
		status = why_not(why, BAD_INPUT, "a claim is held for 1 ms to 7 d before it is renewed");
	if (status != OK)
		return status;
	if (ttl_ms > 0)
		out->claim.ttl_ms = ttl_ms;
	out->claim.expires_ms = txn_now(txn) + out->claim.ttl_ms;
	out->claim.challenged_ms = out->claim.challenged_awake_ms = 0;
	out->claim.challenged_boot[0] = '\0';
	queue_save(txn, out);
	return OK;
}

enum status
queue_check(struct txn *txn, const char *id, int64_t generation, struct queue_item *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = load(txn, id, out, &rows, why);

	if (status != OK)
		return status;
	db_rows_release(&rows);
	return check_claim(txn, out, generation, id, why);
}

/* How many are dead, and who waits: refuses what would not find room. */
static enum status
look_at_dead(struct txn *txn, const char *queue, struct db_rows *rows, struct buf *why)
{
	char topic[TOPIC_MAX];
	struct queue_limits limits;
	enum status status = queue_limits(txn->config, queue, &limits, why);

	snprintf(topic, sizeof topic, QUEUE_TOPIC "%s", queue);
	if (status == OK)
		status = db_ask(txn->db, rows, why,
		                "SELECT q.items, " WAITER_COLUMNS " FROM queue q LEFT JOIN waiter w ON w.project = $1 AND w.topic = $2"
		                " WHERE q.project = $1 AND q.queue = $3 ORDER BY " WAITER_ORDER,
		                DB_TEXT(txn->project), DB_TEXT(topic), DB_TEXT(queue));
	if (status != OK)
		return status;
	if (rows->count == 0)
		status = why_not(why, NO_SUCH, "there is no queue %s: nothing was ever put into it", queue);
	else if (limits.items > 0 && db_int(rows, 0, 0) + QUEUE_REDRIVE_MAX > limits.items)
		status = why_not(why, BUSY, "the queue %s is full, or nearly so: %lld items of %lld; have them done first", queue,
		                 (long long)db_int(rows, 0, 0), (long long)limits.items);
	if (status != OK)
		db_rows_release(rows);
	return status;
}

/* Of its line the one that was put first is first again, unless somebody is at one of it. */
static void
back_in_line(struct txn *txn, const struct queue_item *item)
{
	char id[QUEUE_ID_SIZE];

	if (item->line[0] != '\0')
		db_run(txn->db,
		       "UPDATE queue_item SET state = 0 WHERE project = $1 AND line = $2 AND line <> '' AND queue = $3 AND state = 1",
		       DB_TEXT(txn->project), DB_TEXT(item->line), DB_TEXT(item->queue));
	queue_next(txn, item);
	db_run(txn->db,
	       "UPDATE queue SET items = items + 1, bytes = bytes + $1, dead = dead - 1, settled = CASE WHEN settled >= $2"
	       " THEN $2 - 1 ELSE settled END WHERE project = $3 AND queue = $4",
	       DB_INT(item->size), DB_INT(item->number), DB_TEXT(txn->project), DB_TEXT(item->queue));
	queue_id(item, id);
	audit_add(txn, str_starts(item->line, QUEUE_GROUP) ? "" : item->line, "queue.redriven", id, "", "");
}

enum status
queue_redrive(struct txn *txn, const char *queue, int64_t number, size_t *count, struct buf *why)
{
	struct db_rows waiters, rows;
	enum status status = look_at_dead(txn, queue, &waiters, why);

	if (status != OK)
		return status;
	status = db_ask(txn->db, &rows, why,
	                "UPDATE queue_item SET state = CASE WHEN line = '' THEN 1 ELSE 0 END, attempts = 0, ended_ms = 0,"
	                " ready_ms = $1 WHERE project = $2 AND queue = $3 AND item IN (SELECT d.item FROM queue_item d"
	                " WHERE d.project = $2 AND d.state = 3 AND d.queue = $3 AND ($4 = 0 OR d.item = $4)"
	                " ORDER BY d.ended_ms LIMIT $5) RETURNING item, line, size",
	                DB_INT(txn_now(txn)), DB_TEXT(txn->project), DB_TEXT(queue), DB_INT(number), DB_INT(QUEUE_REDRIVE_MAX));
	for (size_t i = 0; status == OK && i < rows.count; i++) {
		struct queue_item item = {.number = db_int(&rows, i, 0), .size = db_int(&rows, i, 2)};

		snprintf(item.queue, sizeof item.queue, "%s", queue);
		snprintf(item.line, sizeof item.line, "%s", db_text(&rows, i, 1));
		back_in_line(txn, &item);
	}
	if (status == OK) {
		*count = rows.count;
		waiter_wake(txn, &waiters, 1, QUEUE_TOPIC, true);
		db_rows_release(&rows);
	}
	db_rows_release(&waiters);
	if (status == OK && *count == 0 && number > 0)
		return why_not(why, NO_SUCH, "%s/%lld: is not among the dead", queue, (long long)number);
	return status;
}

void
queue_forget(struct txn *txn, const char *queue, int64_t number, const char *line, enum queue_state state)
{
	char id[QUEUE_ID_SIZE];

	db_run(txn->db, "DELETE FROM queue_payload WHERE project = $1 AND queue = $2 AND item = $3", DB_TEXT(txn->project),
	       DB_TEXT(queue), DB_INT(number));
	db_run(txn->db, "DELETE FROM queue_item WHERE project = $1 AND queue = $2 AND item = $3", DB_TEXT(txn->project),
	       DB_TEXT(queue), DB_INT(number));
	if (state != QUEUE_DEAD)
		return;
	queue_count(txn, queue, &(struct queue_change){.dead = -1});
	snprintf(id, sizeof id, "%s/%lld", queue, (long long)number);
	audit_add(txn, str_starts(line, QUEUE_GROUP) ? "" : line, "queue.removed", id, "", "");
}
