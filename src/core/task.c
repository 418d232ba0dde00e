#include "core/task.h"

#include "core/audit.h"

enum status
task_resource(const char *name, char out[RESOURCE_MAX + 1], struct buf *why)
{
	enum status status = str_check_id("the task's name", name, TASK_NAME_MAX, why);

	/* names become parts of paths and of what people type */
	if (status == OK && strstr(name, "..") != NULL)
		status = why_not(why, BAD_INPUT, "the task's name: \"..\" can't be in it");
	if (status == OK)
		snprintf(out, RESOURCE_MAX + 1, TASK_PREFIX "%s", name);
	return status;
}

enum status
task_done(struct txn *txn, const char *name, int64_t fence, const char *result, struct lease *out, struct buf *why)
{
	char resource[RESOURCE_MAX + 1], told[60];
	enum status status = task_resource(name, resource, why);

	if (status == OK)
		status = lease_close(txn, resource, fence, out, why);
	if (status != OK)
		return status;
	db_run(txn->db,
	       "INSERT INTO task (project, task, actor, session, fence, claimed_ms, done_ms, result)"
	       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
	       DB_TEXT(txn->project), DB_TEXT(name), DB_TEXT(txn->actor), DB_TEXT(out->session), DB_INT(fence),
	       DB_INT(out->since_ms), DB_INT(txn_now(txn)), DB_TEXT(result));
	db_run(txn->db, "DELETE FROM active_task WHERE project = $1 AND task = $2", DB_TEXT(txn->project), DB_TEXT(name));
	snprintf(told, sizeof told, "fence %lld", (long long)fence);
	audit_add(txn, out->session, "task.done", name, told, "");
	return OK;
}

static enum status
fill(const struct db_rows *rows, size_t row, json_t *out, struct buf *why)
{
	const char *result = db_text(rows, row, 6);
	json_t *value = NULL;

	json_object_set_new(out, "task", json_string(db_text(rows, row, 0)));
	json_object_set_new(out, "state", json_string("done"));
	json_object_set_new(out, "done_by", json_string(db_text(rows, row, 1)));
	json_object_set_new(out, "done_session", json_string(db_text(rows, row, 2)));
	json_object_set_new(out, "fence", json_integer(db_int(rows, row, 3)));
	json_object_set_new(out, "claimed_ms", json_integer(db_int(rows, row, 4)));
	json_object_set_new(out, "done_ms", json_integer(db_int(rows, row, 5)));
	if (*result == '\0')
		return OK;
	value = json_loads(result, JSON_DECODE_ANY, NULL);
	if (value == NULL)
		return why_not(why, json_starved() ? NO_MEMORY : STORE_DOWN, "%s: its result can't be read", db_text(rows, row, 0));
	json_object_set_new(out, "result", value);
	return OK;
}

enum status
task_show(struct txn *txn, const char *name, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT task, actor, session, fence, claimed_ms, done_ms, result FROM task"
	                            " WHERE project = $1 AND task = $2",
	                            DB_TEXT(txn->project), DB_TEXT(name));

	if (status != OK)
		return status;
	status = rows.count == 0 ? why_not(why, NO_SUCH, "the task %s is not done", name) : fill(&rows, 0, out, why);
	db_rows_release(&rows);
	return status;
}

/* Of each resource task/NAME that is in use. */
static void
add_claimed(const json_t *resource, json_t *out)
{
	const json_t *holder = json_array_get(json_object_get(resource, "holders"), 0);
	json_t *task = json_object();

	json_object_set_new(task, "task", json_string(json_text(resource, "resource", "") + sizeof TASK_PREFIX - 1));
	json_object_set_new(task, "state", json_string(holder == NULL ? "free" : "claimed"));
	if (holder != NULL) {
		json_object_update(task, (json_t *)(uintptr_t)holder);
		json_object_del(task, "resource");
		json_object_del(task, "slot");
		json_object_del(task, "shared");
	}
	json_object_set(task, "waiters", json_object_get(resource, "waiters"));
	json_array_append_new(out, task);
}

static enum status
add_done(struct txn *txn, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT task, actor, session, fence, claimed_ms, done_ms, result FROM task"
	                            " WHERE project = $1 ORDER BY done_ms DESC, task LIMIT $2",
	                            DB_TEXT(txn->project), DB_INT(TASK_LIST_MAX));

	if (status != OK)
		return status;
	for (size_t i = rows.count; i-- > 0 && status == OK;) {
		json_t *task = json_object();

		status = fill(&rows, i, task, why);
		json_array_append_new(out, task);
	}
	db_rows_release(&rows);
	return status;
}

enum status
task_list(struct txn *txn, bool all, json_t *out, struct buf *why)
{
	json_t *resources = json_array();
	const json_t *resource;
	size_t i;
	enum status status = lease_list(txn, TASK_PREFIX, false, resources, why);

	if (status == OK)
		json_array_foreach(resources, i, resource) add_claimed(resource, out);
	json_decref(resources);
	return status == OK && all ? add_done(txn, out, why) : status;
}

enum status
task_set_active(struct txn *txn, const char *session, const char *name, struct buf *why)
{
	char resource[RESOURCE_MAX + 1];
	struct lease lease;
	enum status status = task_resource(name, resource, why);

	if (status == OK)
		status = lease_holder(txn, resource, &lease, why);
	if (status != OK)
		return status;
	db_run(txn->db,
	       "INSERT INTO active_task (project, session, task, set_ms) VALUES ($1, $2, $3, $4)"
	       " ON CONFLICT (project, session) DO UPDATE SET task = excluded.task, set_ms = excluded.set_ms",
	       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(name), DB_INT(txn_now(txn)));
	audit_add(txn, session, "task.active", name, "", name);
	return OK;
}

void
task_clear_active(struct txn *txn, const char *session)
{
	db_run(txn->db, "DELETE FROM active_task WHERE project = $1 AND session = $2", DB_TEXT(txn->project), DB_TEXT(session));
	audit_add(txn, session, "task.active", "", "", "");
}

enum status
task_active(struct txn *txn, const char *session, char name[TASK_NAME_MAX + 1], int64_t *set_ms, bool *held, struct buf *why)
{
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "SELECT a.task, a.set_ms, (SELECT count(*) FROM lease l WHERE l.project = $1 AND l.resource = 'task/' || a.task"
	           " AND l.fence > 0 AND l.session = a.session) FROM active_task a WHERE a.project = $1 AND a.session = $2",
	           DB_TEXT(txn->project), DB_TEXT(session));

	if (status != OK)
		return status;
	*name = '\0';
	*set_ms = 0;
	*held = false;
	if (rows.count > 0) {
		snprintf(name, TASK_NAME_MAX + 1, "%s", db_text(&rows, 0, 0));
		*set_ms = db_int(&rows, 0, 1);
		*held = db_int(&rows, 0, 2) > 0;
	}
	db_rows_release(&rows);
	return OK;
}
