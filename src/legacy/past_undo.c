#include "legacy/past.h"

#include "core/audit.h"
#include "core/queue_claim.h"

struct undoing {
	struct past *past;
	struct past_undone *out;
	char actor[ACTOR_SIZE];
	int64_t items; /* gone by the last rule */
};

/* The last, by its id, which begins with its time. */
static enum status
rule_find(struct txn *txn, void *data, struct buf *why)
{
	struct undoing *undoing = data;
	char from[LABEL_MAX], to[LABEL_MAX];
	struct db_rows rows;
	enum status status;

	snprintf(from, sizeof from, "%s/", undoing->past->source);
	snprintf(to, sizeof to, "%s0", undoing->past->source); /* what comes after "/" */
	status = db_ask(txn->db, &rows, why,
	                "SELECT max(actor) FROM (SELECT max(bound_by) AS actor FROM binding WHERE project = $1 AND bound_by > $2"
	                " AND bound_by < $3 UNION ALL SELECT max(actor) FROM queue_item WHERE project = $1 AND actor > $2"
	                " AND actor < $3 AND state < 4 UNION ALL SELECT max(actor) FROM turn WHERE project = $1 AND actor > $2"
	                " AND actor < $3) AS found",
	                DB_TEXT(txn->project), DB_TEXT(from), DB_TEXT(to));
	if (status != OK)
		return status;
	if (db_is_null(&rows, 0, 0))
		status = why_not(why, NO_SUCH, "nothing that was imported from %s is to be taken back", undoing->past->source);
	else
		snprintf(undoing->actor, sizeof undoing->actor, "%s", db_text(&rows, 0, 0));
	db_rows_release(&rows);
	return status;
}

static enum status
rule_items(struct txn *txn, void *data, struct buf *why)
{
	struct undoing *undoing = data;

	return queue_withdraw(txn, undoing->actor, &undoing->items, why);
}

/* Adds what is there by the import to `out`, times `sign`. */
static enum status
count(struct txn *txn, const struct undoing *undoing, int sign, struct past_undone *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(
		txn->db, &rows, why,
		"SELECT (SELECT count(*) FROM turn WHERE project = $1 AND actor = $2),"
		" (SELECT count(*) FROM binding WHERE project = $1 AND bound_by = $2 AND slot = $3),"
		" (SELECT count(*) FROM binding b JOIN session s ON s.project = $1 AND s.session = b.session WHERE b.project = $1"
		" AND b.bound_by = $2 AND b.slot = 'conversation'), (SELECT count(*) FROM queue_item WHERE project = $1 AND actor = $2)",
		DB_TEXT(txn->project), DB_TEXT(undoing->actor), DB_TEXT(undoing->past->slot));

	if (status != OK)
		return status;
	out->turns += sign * db_int(&rows, 0, 0);
	out->bindings += sign * db_int(&rows, 0, 1);
	out->sessions += sign * db_int(&rows, 0, 2);
	out->kept = db_int(&rows, 0, 0) + db_int(&rows, 0, 1) + db_int(&rows, 0, 2) + db_int(&rows, 0, 3);
	db_rows_release(&rows);
	return OK;
}

/* Queued.  A value goes with its binding, unless the session has it by another too. */
static void
remove_bindings(struct txn *txn, const char *actor, const char *slot)
{
	db_run(txn->db,
	       "DELETE FROM binding_owner WHERE project = $1 AND slot = $2 AND scope = '' AND session IN (SELECT b.session"
	       " FROM binding b WHERE b.project = $1 AND b.slot = $2 AND b.bound_by = $3 AND b.value = binding_owner.value"
	       " AND b.session = binding_owner.session AND NOT EXISTS (SELECT 1 FROM binding n WHERE n.project = $1"
	       " AND n.session = b.session AND n.slot = $2 AND (n.generation > b.generation OR (n.value = b.value"
	       " AND n.bound_by <> $3))))",
	       DB_TEXT(txn->project), DB_TEXT(slot), DB_TEXT(actor));
	db_run(txn->db,
	       "DELETE FROM binding WHERE project = $1 AND slot = $2 AND bound_by = $3 AND NOT EXISTS (SELECT 1 FROM binding n"
	       " WHERE n.project = $1 AND n.session = binding.session AND n.slot = $2 AND n.generation > binding.generation)",
	       DB_TEXT(txn->project), DB_TEXT(slot), DB_TEXT(actor));
}

/* Queued.  Sessions that nobody has come back to and that nothing hangs on. */
static void
remove_sessions(struct txn *txn, const char *actor)
{
	db_run(txn->db,
	       "DELETE FROM session WHERE project = $1 AND state = 'ended' AND end_reason = 'imported' AND events = 0 AND session IN"
	       " (SELECT b.session FROM binding b WHERE b.project = $1 AND b.slot = 'conversation' AND b.bound_by = $2)"
	       " AND NOT EXISTS (SELECT 1 FROM binding o WHERE o.project = $1 AND o.session = session.session"
	       " AND (o.slot <> 'conversation' OR o.bound_by <> $2)) AND NOT EXISTS (SELECT 1 FROM turn t WHERE t.project = $1"
	       " AND t.session = session.session) AND NOT EXISTS (SELECT 1 FROM queue_item i WHERE i.project = $1"
	       " AND i.line = session.session AND i.line <> '' AND i.state < 4)",
	       DB_TEXT(txn->project), DB_TEXT(actor));
	db_run(txn->db,
	       "DELETE FROM binding_owner WHERE project = $1 AND slot = 'conversation' AND session IN (SELECT b.session FROM binding b"
	       " WHERE b.project = $1 AND b.slot = 'conversation' AND b.bound_by = $2) AND NOT EXISTS (SELECT 1 FROM session s"
	       " WHERE s.project = $1 AND s.session = binding_owner.session)",
	       DB_TEXT(txn->project), DB_TEXT(actor));
	db_run(txn->db,
	       "DELETE FROM binding WHERE project = $1 AND slot = 'conversation' AND bound_by = $2 AND NOT EXISTS (SELECT 1"
	       " FROM session s WHERE s.project = $1 AND s.session = binding.session)",
	       DB_TEXT(txn->project), DB_TEXT(actor));
}

static enum status
rule_rest(struct txn *txn, void *data, struct buf *why)
{
	struct undoing *undoing = data;
	const char *id = strchr(undoing->actor, '/') + 1;
	char kind[LABEL_MAX];
	enum status status = count(txn, undoing, 1, undoing->out, why);

	if (status != OK)
		return status;
	db_run(txn->db, "DELETE FROM turn WHERE project = $1 AND actor = $2", DB_TEXT(txn->project), DB_TEXT(undoing->actor));
	remove_bindings(txn, undoing->actor, undoing->past->slot);
	remove_sessions(txn, undoing->actor);
	snprintf(kind, sizeof kind, "%s.rollback", undoing->past->source);
	txn->actor = undoing->past->by;
	audit_add(txn, "", kind, id, "", "");
	return count(txn, undoing, -1, undoing->out, why);
}

enum status
past_undo(struct past *past, struct past_undone *out, struct buf *why)
{
	struct undoing undoing = {.past = past, .out = out};
	enum status status;

	*out = (struct past_undone){0};
	memcpy(undoing.actor, past->actor, sizeof undoing.actor);
	status = past->actor[0] == '\0' ? engine_read(past->engine, rule_find, &undoing, why) : OK;
	if (status != OK)
		return status;
	do {
		status = engine_run(past->engine, rule_items, &undoing, why);
		out->items += undoing.items;
	} while (status == OK && undoing.items > 0);
	if (status == OK)
		status = engine_run(past->engine, rule_rest, &undoing, why);
	if (status == OK)
		snprintf(out->import, sizeof out->import, "%s", strchr(undoing.actor, '/') + 1);
	return status;
}
