#include "core/turn.h"

#include "core/audit.h"
#include "core/metric.h"
#include "core/turn_parts.h"

void
turn_resource(const char *session, char out[RESOURCE_MAX + 1])
{
	snprintf(out, RESOURCE_MAX + 1, "turn/%s", session);
}

static enum status
read_resume(struct txn *txn, const char *session, const char *slot, char out[ID_MAX + 1], struct buf *why)
{
	struct binding binding;
	enum status status = binding_get(txn, session, slot, &binding, why);

	out[0] = '\0';
	if (status == OK)
		snprintf(out, ID_MAX + 1, "%s", binding.value);
	return status == NO_SUCH ? why_not(why, OK, "%s", "") : status;
}

static void
insert(struct txn *txn, const struct turn *turn, const char *question)
{
	db_run(txn->db, "UPDATE turn SET state = 'lost', ended_ms = $1 WHERE project = $2 AND session = $3 AND state = 'running'",
	       DB_INT(txn_now(txn)), DB_TEXT(txn->project), DB_TEXT(turn->session));
	db_run(txn->db,
	       "INSERT INTO turn (project, session, fence, turn, state, actor, slot, resumed, bound, cold_retries, question, "
	       "began_ms)"
	       " VALUES ($1, $2, $3, $4, 'running', $5, $6, $7, '', 0, $8, $9)",
	       DB_TEXT(txn->project), DB_TEXT(turn->session), DB_INT(turn->fence), DB_TEXT(turn->id), DB_TEXT(txn->actor),
	       DB_TEXT(turn->slot), DB_TEXT(turn->resume), DB_TEXT(question), DB_INT(txn_now(txn)));
	audit_add(txn, turn->session, "turn.begun", turn->id, "", turn->resume);
}

enum status
turn_open(struct txn *txn, const char *session, const char *slot, int64_t fence, const char *question, struct turn *out,
          struct buf *why)
{
	struct turn turn = {.fence = fence};
	char resource[RESOURCE_MAX + 1];
	struct lease lease;
	enum status status = str_check_id("the slot", slot, LABEL_MAX, why);

	turn_resource(session, resource);
	snprintf(turn.session, sizeof turn.session, "%s", session);
	snprintf(turn.slot, sizeof turn.slot, "%s", slot);
	if (status == OK)
		status = lease_check(txn, resource, fence, &lease, why);
	if (status == OK)
		status = read_resume(txn, session, slot, turn.resume, why);
	if (status == OK)
		status = txn_id(txn, turn.id, why);
	if (status != OK)
		return status;
	insert(txn, &turn, question);
	*out = turn;
	return OK;
}

enum status
turn_go_cold(struct txn *txn, struct turn *turn, struct buf *why)
{
	char resource[RESOURCE_MAX + 1];
	struct lease lease;
	enum status status;

	turn_resource(turn->session, resource);
	status = lease_check(txn, resource, turn->fence, &lease, why);
	if (status != OK)
		return status;
	binding_clear(txn, turn->session, turn->slot, turn->resume);
	/* the client that comes now is the first again */
	db_run(txn->db,
	       "UPDATE turn SET cold_retries = cold_retries + 1, bound = '' WHERE project = $1 AND session = $2 AND fence = $3",
	       DB_TEXT(txn->project), DB_TEXT(turn->session), DB_INT(turn->fence));
	metric_add(txn, turn->session, "resume_failures", 1);
	turn->resume[0] = '\0';
	return OK;
}

enum status
turn_close(struct txn *txn, const struct turn_end *end, struct buf *why)
{
	struct binding_ask ask = {.session = end->session, .slot = end->slot, .value = end->bind, .rebind = true};
	char resource[RESOURCE_MAX + 1];
	struct binding bound;
	enum status status = OK;

	turn_resource(end->session, resource);
	turn_give_back(txn, end->session, resource, end->fence);
	/* first, as it is the one that tells whether the turn is the caller's: nothing is kept of what comes before a refusal */
	status = lease_release(txn, resource, end->fence, why);
	if (status == OK && end->bind != NULL) {
		status = binding_set(txn, &ask, &bound, why);
		/* the attempt would be kept, and with it the lease's end */
		txn->keep = false;
	}
	if (status != OK)
		return status;
	db_run(txn->db,
	       "UPDATE turn SET state = $1, bound = $2, answer = $3, ended_ms = $4 WHERE project = $5 AND session = $6 AND fence = "
	       "$7",
	       DB_TEXT(end->failed ? "failed" : "done"), DB_TEXT(end->bind == NULL ? "" : end->bind), DB_TEXT(end->answer),
	       DB_INT(txn_now(txn)), DB_TEXT(txn->project), DB_TEXT(end->session), DB_INT(end->fence));
	audit_add(txn, end->session, "turn.ended", "", "", end->failed ? "failed" : "done");
	return OK;
}

static void
add_message(json_t *out, const struct db_rows *rows, size_t row, size_t column, const char *role)
{
	if (!db_is_null(rows, row, column))
		json_array_append_new(out, json_pack("{ss ss ss}", "role", role, "turn", db_text(rows, row, 0), "text",
		                                     db_text(rows, row, column)));
}

enum status
turn_log(struct txn *txn, const char *session, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT turn, question, answer FROM turn WHERE project = $1 AND session = $2 ORDER BY fence",
	                            DB_TEXT(txn->project), DB_TEXT(session));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++) {
		add_message(out, &rows, i, 1, "user");
		add_message(out, &rows, i, 2, "assistant");
	}
	db_rows_release(&rows);
	return OK;
}

enum status
turn_key_set(struct txn *txn, const char *name, const char *session, struct buf *why)
{
	struct db_rows rows;
	enum status status = str_check_id("the key", name, TURN_KEY_MAX, why);

	if (status == OK)
		status = db_ask(txn->db, &rows, why,
		                "INSERT INTO turn_key (project, name, session) VALUES ($1, $2, $3) ON CONFLICT (project, name)"
		                " DO UPDATE SET session = turn_key.session RETURNING session",
		                DB_TEXT(txn->project), DB_TEXT(name), DB_TEXT(session));
	if (status != OK)
		return status;
	if (rows.count != 1 || !str_equal(db_text(&rows, 0, 0), session))
		status = why_not(why, CONFLICT, "the key %s is session %s's", name, rows.count > 0 ? db_text(&rows, 0, 0) : "another");
	db_rows_release(&rows);
	return status;
}

enum status
turn_key_find(struct txn *txn, const char *name, char out[ID_SIZE], struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why, "SELECT session FROM turn_key WHERE project = $1 AND name = $2",
	                            DB_TEXT(txn->project), DB_TEXT(name));

	if (status != OK)
		return status;
	if (rows.count == 0)
		status = why_not(why, NO_SUCH, "no session has the key %s; give it one with --session and --key", name);
	else
		snprintf(out, ID_SIZE, "%s", db_text(&rows, 0, 0));
	db_rows_release(&rows);
	return status;
}
