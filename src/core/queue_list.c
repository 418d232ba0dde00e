#include "core/queue_parts.h"

#include "core/audit.h"

json_t *
queue_json(const struct queue_item *item, int64_t now_ms)
{
	char id[QUEUE_ID_SIZE];
	bool group = str_starts(item->line, QUEUE_GROUP);
	json_t *object;

	queue_id(item, id);
	object = json_pack("{ss ss ss sI sI sI sI}", "id", id, "queue", item->queue, "state", queue_state_name(item->state),
	                   "priority", (json_int_t)item->priority, "size", (json_int_t)item->size, "put_ms",
	                   (json_int_t)item->put_ms, "attempts", (json_int_t)item->attempts);
	if (item->line[0] != '\0')
		json_object_set_new(object, group ? "group" : "session",
		                    json_string(item->line + (group ? sizeof QUEUE_GROUP - 1 : 0)));
	if (item->key[0] != '\0')
		json_object_set_new(object, "key", json_string(item->key));
	if (item->slot[0] != '\0')
		json_object_set_new(object, "until_bound", json_string(item->slot));
	json_object_set_new(object, "actor", json_string(item->actor));
	if (item->reason[0] != '\0')
		json_object_set_new(object, "reason", json_string(item->reason));
	if (item->state < QUEUE_CLAIMED && item->ready_ms > now_ms)
		json_object_set_new(object, "ready_ms", json_integer(item->ready_ms));
	if (item->ended_ms > 0)
		json_object_set_new(object, "ended_ms", json_integer(item->ended_ms));
	if (item->claim.fence > 0)
		json_object_set_new(object, "generation", json_integer(item->claim.fence));
	if (item->state == QUEUE_CLAIMED || item->state == QUEUE_DONE) {
		json_object_set_new(object, "holder", json_string(item->claim.actor));
		json_object_set_new(object, "since_ms", json_integer(item->claim.since_ms));
	}
	if (item->state == QUEUE_CLAIMED)
		json_object_set_new(object, "expires_ms", json_integer(item->claim.expires_ms));
	return object;
}

enum status
queue_known(struct txn *txn, const char *queue, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why, "SELECT items FROM queue WHERE project = $1 AND queue = $2",
	                            DB_TEXT(txn->project), DB_TEXT(queue));

	if (status != OK)
		return status;
	if (rows.count == 0)
		status = why_not(why, NO_SUCH, "there is no queue %s: nothing was ever put into it", queue);
	db_rows_release(&rows);
	return status;
}

enum status
queue_list(struct txn *txn, const char *queue, enum queue_state state, int64_t after, int64_t limit, json_t *out,
           struct buf *why)
{
	struct db_rows rows;
	int64_t least = state == QUEUE_FIRST ? QUEUE_BEHIND : state;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT " QUEUE_COLUMNS
	                            " FROM queue_item i WHERE i.project = $1 AND i.queue = $2 AND i.item > $3"
	                            " AND i.state >= $4 AND i.state <= $5 ORDER BY i.item LIMIT $6",
	                            DB_TEXT(txn->project), DB_TEXT(queue), DB_INT(after), DB_INT(least), DB_INT(state),
	                            DB_INT(limit));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++) {
		struct queue_item item;

		queue_from_row(&rows, i, &item);
		json_array_append_new(out, queue_json(&item, txn_now(txn)));
	}
	db_rows_release(&rows);
	return OK;
}

static enum status
fill_stats(struct txn *txn, const struct db_rows *rows, size_t row, json_t *out, struct buf *why)
{
	struct queue_limits limits;
	const char *queue = db_text(rows, row, 0);
	enum status status = queue_limits(txn->config, queue, &limits, why);
	json_t *object;

	if (status != OK)
		return status;
	object = json_pack("{ss sI sI sI sI sI sI sI sI sI sI}", "queue", queue, "items", (json_int_t)db_int(rows, row, 1), "bytes",
	                   (json_int_t)db_int(rows, row, 2), "claimed", (json_int_t)db_int(rows, row, 5), "held",
	                   (json_int_t)db_int(rows, row, 6), "dead", (json_int_t)db_int(rows, row, 3), "done",
	                   (json_int_t)db_int(rows, row, 4), "dropped", (json_int_t)db_int(rows, row, 8), "items_max",
	                   (json_int_t)limits.items, "bytes_max", (json_int_t)limits.bytes, "attempts_max",
	                   (json_int_t)limits.attempts);
	if (limits.age_ms > 0)
		json_object_set_new(object, "age_max_ms", json_integer(limits.age_ms));
	if (!db_is_null(rows, row, 7))
		json_object_set_new(object, "oldest_ms", json_integer(db_int(rows, row, 7)));
	json_array_append_new(out, object);
	return OK;
}

/* Held counts all behind one that is: they wait for the same. */
enum status
queue_stats(struct txn *txn, const char *queue, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(
		txn->db, &rows, why,
		"SELECT q.queue, q.items, q.bytes, q.dead, q.done,"
		" (SELECT count(*) FROM queue_item i WHERE i.project = $1 AND i.queue = q.queue AND i.state = 2),"
		" (SELECT CAST(COALESCE(sum(1 + (SELECT count(*) FROM queue_item n WHERE n.project = $1 AND n.line = i.line AND n.line "
		"<> ''"
		"  AND n.queue = q.queue AND n.state = 0)), 0) AS BIGINT) FROM queue_item i WHERE i.project = $1"
		"  AND i.queue = q.queue AND i.state = 1 AND NOT " QUEUE_BOUND(
			"i") "),"
				 " (SELECT o.put_ms FROM queue_item o WHERE o.project = $1 AND o.queue = q.queue AND o.item > q.settled AND "
				 "o.state < 3"
				 "  ORDER BY o.item LIMIT 1),"
				 " (SELECT CAST(COALESCE(sum(m.value), 0) AS BIGINT) FROM metric m WHERE m.project = $1"
				 "  AND m.name = q.queue || '_dropped') FROM queue q WHERE q.project = $1 AND ($2 = '' OR q.queue = $2) ORDER "
				 "BY q.queue",
		DB_TEXT(txn->project), DB_TEXT(queue == NULL ? "" : queue));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count && status == OK; i++)
		status = fill_stats(txn, &rows, i, out, why);
	if (rows.count == 0 && queue != NULL)
		status = why_not(why, NO_SUCH, "there is no queue %s: nothing was ever put into it", queue);
	db_rows_release(&rows);
	return status;
}

enum status
queue_apart(struct txn *txn, bool all, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT apart FROM queue_item WHERE apart <> '' AND ($1 = 1 OR project = $2)", DB_INT(all),
	                            DB_TEXT(txn->project));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++)
		json_object_set_new(out, db_text(&rows, i, 0), json_true());
	db_rows_release(&rows);
	return OK;
}
