#include "core/queue_parts.h"

static void
take_out(struct txn *txn, const struct queue_item *item)
{
	bool dead = item->state == QUEUE_DEAD;
	const struct queue_change change = {.items = -!dead, .bytes = dead ? 0 : -item->size, .dead = -dead};

	db_run(txn->db, "DELETE FROM queue_payload WHERE project = $1 AND queue = $2 AND item = $3", DB_TEXT(txn->project),
	       DB_TEXT(item->queue), DB_INT(item->number));
	queue_next(txn, item);
	queue_count(txn, item->queue, &change);
}

enum status
queue_withdraw(struct txn *txn, const char *actor, int64_t *count, struct buf *why)
{
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "DELETE FROM queue_item WHERE project = $1 AND (queue, item) IN (SELECT i.queue, i.item FROM queue_item i"
	           " WHERE i.project = $1 AND i.actor = $2 AND i.generation = 0 AND i.state < 4 LIMIT $3)"
	           " RETURNING queue, item, line, state, size",
	           DB_TEXT(txn->project), DB_TEXT(actor), DB_INT(QUEUE_WITHDRAW_MAX));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++) {
		struct queue_item item = {.number = db_int(&rows, i, 1),
		                          .state = (enum queue_state)db_int(&rows, i, 3),
		                          .size = db_int(&rows, i, 4)};

		snprintf(item.queue, sizeof item.queue, "%s", db_text(&rows, i, 0));
		snprintf(item.line, sizeof item.line, "%s", db_text(&rows, i, 2));
		take_out(txn, &item);
	}
	*count = (int64_t)rows.count;
	db_rows_release(&rows);
	return OK;
}
