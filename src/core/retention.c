#include "core/retention.h"

#include "core/audit.h"

enum status
retention_config(const struct config *config, struct retention_terms *out, struct buf *why)
{
	const struct {
		const char *key;
		int64_t *to;
	} terms[] = {{"keep_sessions", &out->sessions},
	             {"keep_audit", &out->audit},
	             {"keep_done", &out->done},
	             {"keep_dead", &out->dead}};
	enum status status = OK;

	for (size_t i = 0; i < sizeof terms / sizeof *terms && status == OK; i++) {
		status = config_duration(config, "stile", terms[i].key, terms[i].to, why);
		if (status == OK && *terms[i].to < RETENTION_LEAST_MS)
			status = why_not(why, BAD_CONFIG, "config: [stile] %s is at least 1h", terms[i].key);
	}
	return status;
}

/* Whether the instant in that column, of the oldest, is so long ago. */
static bool
is_old(const struct db_rows *rows, size_t column, int64_t before_ms)
{
	return !db_is_null(rows, 0, column) && db_int(rows, 0, column) < before_ms;
}

enum status
retention_due(struct txn *txn, bool *due, struct buf *why)
{
	struct retention_terms keep;
	struct db_rows rows;
	int64_t now_ms;
	enum status status = retention_config(txn->config, &keep, why);

	if (status == OK)
		/* by its number the oldest row is at hand; by its project all would have to be sorted */
		status = db_ask(
			txn->db, &rows, why,
			"SELECT (SELECT ended_ms FROM session WHERE project = $1 AND ended_ms IS NOT NULL ORDER BY ended_ms "
			"LIMIT 1),"
			" (SELECT at_ms FROM audit WHERE project || '' = $1 ORDER BY seq LIMIT 1),"
			" (SELECT expires_ms FROM token WHERE project = $1 ORDER BY expires_ms LIMIT 1),"
			" (SELECT ended_ms FROM queue_item WHERE project = $1 AND state = 4 ORDER BY ended_ms LIMIT 1),"
			" (SELECT ended_ms FROM queue_item WHERE project = $1 AND state = 3 ORDER BY ended_ms LIMIT 1)",
			DB_TEXT(txn->project));
	if (status != OK)
		return status;
	now_ms = txn_now(txn);
	*due = is_old(&rows, 0, now_ms - keep.sessions) || is_old(&rows, 1, now_ms - keep.audit) ||
	       is_old(&rows, 2, now_ms - keep.audit) || is_old(&rows, 3, now_ms - keep.done) ||
	       is_old(&rows, 4, now_ms - keep.dead);
	db_rows_release(&rows);
	return OK;
}

/* Queued.  Whose a value is goes with the bindings that say so: else its id would be nobody's and yet taken. */
static void
remove_what_is_of(struct txn *txn, const char *session, const char *client)
{
	db_run(txn->db,
	       "DELETE FROM binding_owner WHERE project = $1 AND session = $2 AND slot IN (SELECT b.slot FROM binding b"
	       " WHERE b.project = $1 AND b.session = $2) AND scope IN ('', $3) AND value IN (SELECT b.value FROM binding b"
	       " WHERE b.project = $1 AND b.session = $2)",
	       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(client));
	db_run(txn->db, "DELETE FROM binding WHERE project = $1 AND session = $2", DB_TEXT(txn->project), DB_TEXT(session));
	db_run(txn->db, "DELETE FROM metric WHERE project = $1 AND session = $2", DB_TEXT(txn->project), DB_TEXT(session));
	db_run(txn->db, "DELETE FROM metric_recent WHERE project = $1 AND session = $2", DB_TEXT(txn->project), DB_TEXT(session));
	db_run(txn->db, "DELETE FROM transcript WHERE project = $1 AND session = $2", DB_TEXT(txn->project), DB_TEXT(session));
	db_run(txn->db, "DELETE FROM spend WHERE project = $1 AND session = $2", DB_TEXT(txn->project), DB_TEXT(session));
	db_run(txn->db, "DELETE FROM active_task WHERE project = $1 AND session = $2", DB_TEXT(txn->project), DB_TEXT(session));
	db_run(txn->db, "DELETE FROM checkpoint WHERE project = $1 AND session = $2", DB_TEXT(txn->project), DB_TEXT(session));
	db_run(txn->db, "DELETE FROM turn WHERE project = $1 AND session = $2", DB_TEXT(txn->project), DB_TEXT(session));
	db_run(txn->db, "DELETE FROM turn_key WHERE project = $1 AND session = $2", DB_TEXT(txn->project), DB_TEXT(session));
	db_run(txn->db, "DELETE FROM lease WHERE project = $1 AND resource = 'turn/' || $2", DB_TEXT(txn->project),
	       DB_TEXT(session));
	db_run(txn->db, "DELETE FROM resource WHERE project = $1 AND resource = 'turn/' || $2", DB_TEXT(txn->project),
	       DB_TEXT(session));
	db_run(txn->db,
	       "DELETE FROM tractatus_seen WHERE project = $1 AND place IN (SELECT p.place FROM tractatus_place p"
	       " WHERE p.project = $1) AND name IN ('view/' || $2, 'history/' || $2)",
	       DB_TEXT(txn->project), DB_TEXT(session));
	db_run(txn->db, "DELETE FROM tractatus_imported WHERE project = $1 AND kind = 'session' AND item = $2",
	       DB_TEXT(txn->project), DB_TEXT(session));
	audit_add(txn, session, "session.removed", client, "", "");
}

/* One in that state; so that the index of lines serves. */
#define HAS_ITEM(in) \
	"EXISTS (SELECT 1 FROM queue_item i WHERE i.project = $1 AND i.line = s.session AND i.line <> '' AND i.state = " in ")"

static enum status
remove_sessions(struct txn *txn, int64_t before_ms, size_t *count, struct buf *why)
{
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "DELETE FROM session WHERE project = $1 AND session IN (SELECT s.session FROM session s"
	           " WHERE s.project = $1 AND s.ended_ms IS NOT NULL AND s.ended_ms < $2"
	           " AND s.state IN ('ended', 'lost') AND NOT " HAS_ITEM("0") " AND NOT " HAS_ITEM("1") " AND NOT " HAS_ITEM("2")
	           " AND NOT " HAS_ITEM("3") " ORDER BY s.ended_ms LIMIT $3)"
	           " RETURNING session, client",
	           DB_TEXT(txn->project), DB_INT(before_ms), DB_INT(RETENTION_SESSIONS));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++)
		remove_what_is_of(txn, db_text(&rows, i, 0), db_text(&rows, i, 1));
	*count = rows.count;
	db_rows_release(&rows);
	return OK;
}

static enum status
remove_rows(struct txn *txn, int64_t before_ms, size_t *count, struct buf *why)
{
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "DELETE FROM audit WHERE seq IN (SELECT a.seq FROM audit a WHERE a.project || '' = $1"
	           " ORDER BY a.seq LIMIT $2) AND at_ms < $3 AND seq < (SELECT max(m.seq) FROM audit m) RETURNING seq",
	           DB_TEXT(txn->project), DB_INT(RETENTION_ROWS), DB_INT(before_ms));

	if (status != OK)
		return status;
	*count = rows.count;
	db_rows_release(&rows);
	return OK;
}

/* Queued.  As long as the trail tells of one, so does it itself. */
static void
remove_tokens(struct txn *txn, int64_t before_ms)
{
	db_run(txn->db,
	       "DELETE FROM token WHERE project = $1 AND token IN (SELECT t.token FROM token t WHERE t.project = $1"
	       " AND t.expires_ms < $2 ORDER BY t.expires_ms LIMIT $3)",
	       DB_TEXT(txn->project), DB_INT(before_ms), DB_INT(RETENTION_ROWS));
}

/* Those that are done, and dead ones, of which it is told. */
static enum status
remove_items(struct txn *txn, const struct retention_terms *keep, size_t *count, struct buf *why)
{
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "SELECT queue, item, line, state FROM (SELECT * FROM (SELECT queue, item, line, state FROM queue_item"
	           " WHERE project = $1 AND state = 4 AND ended_ms < $2 ORDER BY ended_ms LIMIT $3) AS done UNION ALL"
	           " SELECT * FROM (SELECT queue, item, line, state FROM queue_item WHERE project = $1 AND state = 3"
	           " AND ended_ms < $4 ORDER BY ended_ms LIMIT $3) AS dead) AS old",
	           DB_TEXT(txn->project), DB_INT(txn_now(txn) - keep->done), DB_INT(RETENTION_ROWS),
	           DB_INT(txn_now(txn) - keep->dead));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++)
		queue_forget(txn, db_text(&rows, i, 0), db_int(&rows, i, 1), db_text(&rows, i, 2),
		             (enum queue_state)db_int(&rows, i, 3));
	*count = rows.count;
	db_rows_release(&rows);
	return OK;
}

enum status
retention_apply(struct txn *txn, struct retention *out, struct buf *why)
{
	struct retention_terms keep;
	enum status status = retention_config(txn->config, &keep, why);

	*out = (struct retention){0};
	if (status == OK)
		status = remove_sessions(txn, txn_now(txn) - keep.sessions, &out->sessions, why);
	if (status == OK)
		status = remove_rows(txn, txn_now(txn) - keep.audit, &out->rows, why);
	if (status == OK)
		status = remove_items(txn, &keep, &out->items, why);
	if (status == OK)
		remove_tokens(txn, txn_now(txn) - keep.audit);
	return status;
}

/* A transcript's path ends with the id that it is of, which may have reached us no other way. */
static void
add_known(json_t *out, const char *value)
{
	static const char ending[] = ".jsonl";
	const char *slash = strrchr(value, '/');
	char id[ID_MAX + 1];
	size_t len;

	json_object_set_new_nocheck(out, value, json_true());
	if (slash == NULL || !str_ends(slash, ending))
		return;
	len = strlen(slash + 1) - strlen(ending);
	if (len > ID_MAX)
		return;
	snprintf(id, sizeof id, "%.*s", (int)len, slash + 1);
	json_object_set_new_nocheck(out, id, json_true());
}

enum status
retention_known_ids(struct txn *txn, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "SELECT value FROM binding WHERE value <> $1 UNION SELECT client_session FROM session"
	           " UNION SELECT resumed FROM turn UNION SELECT bound FROM turn UNION SELECT path FROM transcript",
	           DB_TEXT(""));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++)
		if (*db_text(&rows, i, 0) != '\0')
			add_known(out, db_text(&rows, i, 0));
	db_rows_release(&rows);
	return OK;
}
