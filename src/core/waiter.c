#include "core/waiter.h"

void
waiter_add(struct txn *txn, const char *topic, const char *anchor, const char *wake)
{
	db_run(txn->db,
	       "INSERT INTO waiter (project, topic, anchor, wake, asked_ms) VALUES ($1, $2, $3, $4, $5)"
	       " ON CONFLICT (project, topic, anchor) DO NOTHING",
	       DB_TEXT(txn->project), DB_TEXT(topic), DB_TEXT(anchor), DB_TEXT(wake), DB_INT(txn_now(txn)));
}

void
waiter_remove(struct txn *txn, const char *topic, const char *anchor)
{
	db_run(txn->db, "DELETE FROM waiter WHERE project = $1 AND topic = $2 AND anchor = $3", DB_TEXT(txn->project),
	       DB_TEXT(topic), DB_TEXT(anchor));
}

static bool
is_dead(const struct txn *txn, const char *anchor)
{
	return txn->witness != NULL && txn->witness->anchor(txn->witness->arg, anchor) == LIVENESS_DEAD;
}

void
waiter_wake(struct txn *txn, const struct db_rows *rows, size_t column, const char *prefix, bool all)
{
	const char *woken = "";

	for (size_t i = 0; i < rows->count; i++) {
		const char *topic = db_text(rows, i, column), *anchor = db_text(rows, i, column + 1);

		if (db_is_null(rows, i, column) || !str_starts(topic, prefix) || (!all && str_equal(topic, woken)))
			continue;
		waiter_remove(txn, topic, anchor);
		if (is_dead(txn, anchor))
			continue;
		txn->db->ops->wake(txn->db, db_text(rows, i, column + 2));
		woken = topic;
	}
}
