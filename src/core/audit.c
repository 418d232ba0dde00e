#include "core/audit.h"

void
audit_add(struct txn *txn, const char *session, const char *kind, const char *subject, const char *before, const char *after)
{
	db_run(txn->db,
	       "INSERT INTO audit (project, at_ms, session, actor, kind, subject, before, after, epoch)"
	       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, COALESCE((SELECT p.epoch FROM project p WHERE p.project = $1), 0))",
	       DB_TEXT(txn->project), DB_INT(txn_now(txn)), DB_TEXT(session), DB_TEXT(txn->actor), DB_TEXT(kind), DB_TEXT(subject),
	       DB_TEXT(before), DB_TEXT(after));
}

static json_t *
row_json(const struct db_rows *rows, size_t row)
{
	return json_pack("{sI sI ss ss ss ss ss ss sI}", "seq", (json_int_t)db_int(rows, row, 0), "at_ms",
	                 (json_int_t)db_int(rows, row, 1), "session", db_text(rows, row, 2), "actor", db_text(rows, row, 3), "kind",
	                 db_text(rows, row, 4), "subject", db_text(rows, row, 5), "before", db_text(rows, row, 6), "after",
	                 db_text(rows, row, 7), "epoch", (json_int_t)db_int(rows, row, 8));
}

enum status
audit_list(struct txn *txn, const struct audit_query *query, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT seq, at_ms, session, actor, kind, subject, before, after, epoch FROM audit"
	                            " WHERE project = $1 AND ($2 = '' OR session = $2)"
	                            " AND ($3 = '' OR substr(kind, 1, length($3)) = $3) AND at_ms >= $4 AND seq > $5"
	                            " ORDER BY seq DESC LIMIT $6",
	                            DB_TEXT(txn->project), DB_TEXT(query->session == NULL ? "" : query->session),
	                            DB_TEXT(query->kind == NULL ? "" : query->kind), DB_INT(query->since_ms),
	                            DB_INT(query->after_seq), DB_INT(query->limit));

	if (status != OK)
		return status;
	for (size_t i = rows.count; i-- > 0;)
		if (json_array_append_new(out, row_json(&rows, i)) != 0)
			status = why_not(why, NO_MEMORY, "out of memory");
	db_rows_release(&rows);
	return status;
}
