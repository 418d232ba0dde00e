#include "core/lease_role.h"

#include "core/audit.h"

#define PRIORITY_MAX 1000

enum status
lease_priority(struct txn *txn, const char *role, int64_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = str_check_id("the role", role, LABEL_MAX, why);

	if (status == OK)
		status = db_ask(txn->db, &rows, why, "SELECT priority FROM role WHERE project = $1 AND role = $2",
		                DB_TEXT(txn->project), DB_TEXT(role));
	if (status != OK)
		return status;
	*out = rows.count > 0 ? db_int(&rows, 0, 0) : 0;
	db_rows_release(&rows);
	return OK;
}

enum status
lease_set_priority(struct txn *txn, const char *role, int64_t priority, struct buf *why)
{
	char before[24], after[24];
	int64_t was;
	enum status status = lease_priority(txn, role, &was, why);

	if (status == OK && (priority < 0 || priority > PRIORITY_MAX))
		status = why_not(why, BAD_INPUT, "a priority is from 0 to %d", PRIORITY_MAX);
	if (status != OK)
		return status;
	db_run(txn->db,
	       "INSERT INTO role (project, role, priority) VALUES ($1, $2, $3)"
	       " ON CONFLICT (project, role) DO UPDATE SET priority = excluded.priority",
	       DB_TEXT(txn->project), DB_TEXT(role), DB_INT(priority));
	snprintf(before, sizeof before, "%lld", (long long)was);
	snprintf(after, sizeof after, "%lld", (long long)priority);
	audit_add(txn, "", "role.priority", role, before, after);
	return OK;
}

enum status
lease_roles(struct txn *txn, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT role, priority FROM role WHERE project = $1 ORDER BY priority DESC, role LIMIT 1000",
	                            DB_TEXT(txn->project));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++)
		json_array_append_new(out,
		                      json_pack("{ss sI}", "role", db_text(&rows, i, 0), "priority", (json_int_t)db_int(&rows, i, 1)));
	db_rows_release(&rows);
	return OK;
}
