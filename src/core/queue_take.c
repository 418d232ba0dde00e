#include "core/queue_parts.h"

/* After the item's own columns. */
#define AT_PAYLOAD QUEUE_COLUMN_COUNT
#define AT_WAY (QUEUE_COLUMN_COUNT + 1)
#define AT_FREE (QUEUE_COLUMN_COUNT + 2)

enum way { CLAIMED, FIRST, FOLLOWS };

/* $1 project, $2 queue, $3 line or '', $4 now, $5 how many.  Large payloads are read by themselves. */
#define OF_QUEUE "i.project = $1 AND i.queue = $2"
/* Of all: without it SQLite takes the table's own key, and so the whole queue, for as good as the index. */
#define BY_INDEX " AND i.priority <= 1000000"
#define CLAIMED_ROWS "SELECT " QUEUE_COLUMNS ", NULL, 0, 0 FROM queue_item i WHERE " OF_QUEUE " AND i.state = 2" BY_INDEX
#define IS_FIRST OF_QUEUE " AND i.state = 1 AND ($3 = '' OR i.line = $3) AND i.ready_ms <= $4 AND " QUEUE_BOUND("i")
#define FIRST_ROWS "FROM queue_item i WHERE " IS_FIRST " ORDER BY i.priority DESC, i.item LIMIT "
#define WITH_PAYLOAD(items, rest) \
	" UNION ALL SELECT f.*, p.payload, " rest " FROM (SELECT " QUEUE_COLUMNS " " items ") AS f LEFT JOIN queue_payload p" \
	" ON p.project = $1 AND p.queue = f.queue AND p.item = f.item AND f.size <= 65536"

/* What is claimed, and the first that can be. */
static enum status
ask_one(struct txn *txn, const struct queue_take *ask, struct db_rows *rows, struct buf *why)
{
	return db_ask(txn->db, rows, why, CLAIMED_ROWS WITH_PAYLOAD(FIRST_ROWS "1", "1, 1"), DB_TEXT(txn->project),
	              DB_TEXT(ask->queue), DB_TEXT(ask->line == NULL ? "" : ask->line), DB_INT(txn_now(txn)));
}

/* The same for several, and those who come after the first in its line. */
static enum status
ask_several(struct txn *txn, const struct queue_take *ask, struct db_rows *rows, struct buf *why)
{
	return db_ask(txn->db, rows, why,
	              CLAIMED_ROWS WITH_PAYLOAD(FIRST_ROWS "$5", "1, 1")
	                  WITH_PAYLOAD("FROM queue_item i WHERE i.project = $1 AND i.queue = $2 AND i.item IN (SELECT n.item"
	                               " FROM queue_item n WHERE n.project = $1 AND n.line = (SELECT i.line " FIRST_ROWS "1)"
	                               " AND n.line <> '' AND n.queue = $2 AND n.state = 0 ORDER BY n.item LIMIT $5)",
	                               "2, CASE WHEN f.ready_ms <= $4 AND " QUEUE_BOUND("f") " THEN 1 ELSE 0 END"),
	              DB_TEXT(txn->project), DB_TEXT(ask->queue), DB_TEXT(ask->line == NULL ? "" : ask->line), DB_INT(txn_now(txn)),
	              DB_INT(ask->max));
}

/* A row of such an answer. */
struct candidate {
	struct queue_item item;
	const char *payload; /* NULL = not read */
	enum way way;
	bool free;
};

struct candidates {
	struct db_rows rows;
	struct candidate *items;
	size_t count;
};

static void
candidates_release(struct candidates *candidates)
{
	free(candidates->items);
	db_rows_release(&candidates->rows);
}

/* In the order of claiming. */
static int
by_order(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->way != b->way)
		return (int)a->way - (int)b->way;
	if (a->way == FIRST && a->item.priority != b->item.priority)
		return a->item.priority > b->item.priority ? -1 : 1;
	return a->item.number < b->item.number ? -1 : a->item.number > b->item.number;
}

static enum status
look(struct txn *txn, const struct queue_take *ask, struct candidates *out, struct buf *why)
{
	enum status status = ask->max == 1 ? ask_one(txn, ask, &out->rows, why) : ask_several(txn, ask, &out->rows, why);

	if (status != OK)
		return status;
	out->count = out->rows.count;
	out->items = calloc(out->count + 1, sizeof *out->items);
	if (out->items == NULL) {
		db_rows_release(&out->rows);
		return why_not(why, NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < out->count; i++) {
		struct candidate *one = &out->items[i];

		queue_from_row(&out->rows, i, &one->item);
		one->payload = db_is_null(&out->rows, i, AT_PAYLOAD) ? NULL : db_text(&out->rows, i, AT_PAYLOAD);
		one->way = (enum way)db_int(&out->rows, i, AT_WAY);
		one->free = db_int(&out->rows, i, AT_FREE) != 0;
	}
	qsort(out->items, out->count, sizeof *out->items, by_order);
	return OK;
}

/* *any: a claim was over, and its item, or the next of its line, may be had now. */
static enum status
judge_all(struct txn *txn, struct candidates *candidates, bool *any, struct buf *why)
{
	enum status status = OK;
	bool ended;

	*any = false;
	for (size_t i = 0; i < candidates->count && candidates->items[i].way == CLAIMED && status == OK; i++) {
		status = queue_judge(txn, &candidates->items[i].item, &ended, why);
		if (status == OK && ended)
			*any = true;
	}
	return status;
}

static void
claim(struct txn *txn, const struct queue_take *ask, struct queue_item *item)
{
	struct lease *claim = &item->claim;
	int64_t generation = claim->fence + 1;

	*claim = (struct lease){.fence = generation,
	                        .anchored = ask->anchored,
	                        .process = ask->process,
	                        .since_ms = txn_now(txn),
	                        .ttl_ms = ask->ttl_ms,
	                        .expires_ms = txn_now(txn) + ask->ttl_ms};
	snprintf(claim->actor, sizeof claim->actor, "%s", txn->actor);
	snprintf(claim->session, sizeof claim->session, "%s", ask->session);
	snprintf(claim->anchor, sizeof claim->anchor, "%s", ask->anchored ? ask->anchor : "");
	item->state = QUEUE_CLAIMED;
	item->attempts++;
	queue_save(txn, item);
}

/* Those that are claimed go to *out, with the rows that their payloads are of. */
static enum status
claim_some(struct txn *txn, const struct queue_take *ask, struct candidates *from, struct queue_taken *out, struct buf *why)
{
	int64_t bytes = 0;

	*out = (struct queue_taken){.items = calloc((size_t)ask->max, sizeof *out->items),
	                            .payloads = calloc((size_t)ask->max, sizeof *out->payloads)};
	if (out->items == NULL || out->payloads == NULL) {
		queue_taken_release(out);
		return why_not(why, NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < from->count && (int64_t)out->count < ask->max; i++) {
		struct candidate *one = &from->items[i];

		if (one->way == CLAIMED)
			continue;
		bytes += one->item.size;
		if (!one->free || (out->count > 0 && bytes > (int64_t)QUEUE_PAYLOAD_MAX))
			break;
		claim(txn, ask, &one->item);
		out->payloads[out->count] = one->payload;
		out->items[out->count++] = one->item;
	}
	out->rows = from->rows;
	from->rows = (struct db_rows){0};
	return OK;
}

static enum status
none(struct txn *txn, const struct queue_take *ask, struct buf *why)
{
	char topic[TOPIC_MAX];
	enum status status;

	if (ask->wait) {
		snprintf(topic, sizeof topic, QUEUE_TOPIC "%s", ask->queue);
		waiter_add(txn, topic, ask->anchor, ask->wake);
		txn->keep = true;
		return QUEUED;
	}
	status = queue_known(txn, ask->queue, why);
	return status == OK ? why_not(why, BUSY, "the queue %s has nothing to take now; wait for it with --wait", ask->queue)
	                    : status;
}

static enum status
check(const struct queue_take *ask, struct buf *why)
{
	enum status status = queue_check_name(ask->queue, why);

	if (status == OK && (ask->max < 1 || ask->max > QUEUE_TAKE_MAX))
		return why_not(why, BAD_INPUT, "1 to %d items are taken at a time", QUEUE_TAKE_MAX);
	if (status == OK && (ask->ttl_ms < 1 || ask->ttl_ms > LEASE_TTL_MAX_MS))
		return why_not(why, BAD_INPUT, "a claim is held for 1 ms to 7 d before it is renewed");
	return status;
}

void
queue_give_up(struct txn *txn, const char *queue, const char *anchor)
{
	char topic[TOPIC_MAX];

	snprintf(topic, sizeof topic, QUEUE_TOPIC "%s", queue);
	waiter_remove(txn, topic, anchor);
}

void
queue_taken_release(struct queue_taken *taken)
{
	free(taken->items);
	free(taken->payloads);
	db_rows_release(&taken->rows);
	*taken = (struct queue_taken){0};
}

enum status
queue_take(struct txn *txn, const struct queue_take *ask, struct queue_taken *out, struct buf *why)
{
	struct candidates found = {0};
	bool again = false;
	enum status status = check(ask, why);

	if (status == OK)
		status = look(txn, ask, &found, why);
	if (status == OK && (status = judge_all(txn, &found, &again, why)) == OK && again) {
		/* whoever lost a claim did so also if there is nothing for the caller */
		txn->keep = true;
		candidates_release(&found);
		found = (struct candidates){0};
		status = look(txn, ask, &found, why);
	}
	if (status == OK)
		status = claim_some(txn, ask, &found, out, why);
	candidates_release(&found);
	if (status != OK || out->count > 0) {
		if (status == OK && ask->wait)
			queue_give_up(txn, ask->queue, ask->anchor);
		return status;
	}
	queue_taken_release(out);
	return none(txn, ask, why);
}

enum status
queue_payload(struct txn *txn, const struct queue_item *item, struct db_rows *rows, struct buf *why)
{
	char id[QUEUE_ID_SIZE];
	enum status status = db_ask(txn->db, rows, why,
	                            "SELECT payload FROM queue_payload WHERE project = $1 AND queue = $2 AND item = $3",
	                            DB_TEXT(txn->project), DB_TEXT(item->queue), DB_INT(item->number));

	if (status != OK || rows->count > 0)
		return status;
	db_rows_release(rows);
	queue_id(item, id);
	return why_not(why, NO_SUCH, "the payload of %s is gone: it is done", id);
}

/* When a claim is overdue, or something's time comes, whichever is first. */
static enum status
find_next(struct txn *txn, const struct queue_take *ask, const struct candidates *found, int64_t *next_ms, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT min(i.ready_ms) FROM queue_item i WHERE " OF_QUEUE
	                            " AND i.state = 1 AND ($3 = '' OR i.line = $3) AND i.ready_ms > $4" BY_INDEX,
	                            DB_TEXT(txn->project), DB_TEXT(ask->queue), DB_TEXT(ask->line == NULL ? "" : ask->line),
	                            DB_INT(txn_now(txn)));

	if (status != OK)
		return status;
	*next_ms = db_int(&rows, 0, 0);
	db_rows_release(&rows);
	for (size_t i = 0; i < found->count; i++)
		if (*next_ms == 0 || found->items[i].item.claim.expires_ms < *next_ms)
			*next_ms = found->items[i].item.claim.expires_ms;
	return OK;
}

enum status
queue_look(struct txn *txn, const struct queue_take *ask, bool *any, int64_t *next_ms, struct buf *why)
{
	struct queue_take one = *ask;
	struct candidates found = {0};
	enum status status;

	*any = false;
	*next_ms = 0;
	one.max = 1;
	status = look(txn, &one, &found, why);
	for (size_t i = 0; i < found.count && status == OK; i++) {
		bool challenges = false;

		if (found.items[i].way != CLAIMED || lease_over(txn, &found.items[i].item.claim, &challenges) != NULL || challenges)
			*any = true;
	}
	if (status == OK && !*any)
		status = find_next(txn, ask, &found, next_ms, why);
	candidates_release(&found);
	return status;
}
