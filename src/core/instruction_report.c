#include "core/instruction_report.h"

#include "core/audit.h"
#include "core/instruction_parts.h"

/* An object of ours, from the text that it is kept as; empty when it can't be read. */
static json_t *
object_of(const char *text)
{
	json_t *object = NULL;
	char *copy;

	if (str_equal(text, "{}"))
		return json_object();
	copy = strdup(text);
	if (copy == NULL || json_parse(copy, strlen(copy), &object, NULL) != OK || !json_is_object(object)) {
		json_decref(object);
		object = json_object();
	}
	free(copy);
	return object;
}

/* What it says besides: not the members that only keep their place. */
static void
add_fields(json_t *out, const char *text)
{
	json_t *fields = object_of(text), *value;
	const char *name;

	json_object_foreach(fields, name, value) if (json_object_get(out, name) == NULL) json_object_set(out, name, value);
	json_decref(fields);
}

json_t *
instruction_json(const struct instruction *one, bool whole)
{
	json_t *object = json_object();

	json_object_set_new_nocheck(object, "id", json_string_nocheck(one->id));
	json_object_set_new_nocheck(object, "version", json_integer(one->version));
	if (whole || !one->active)
		json_object_set_new_nocheck(object, "active", json_boolean(one->active));
	json_object_set_new_nocheck(object, "persistence", json_string_nocheck(one->persistence));
	json_object_set_new_nocheck(object, "priority", json_integer(one->priority));
	json_object_set_new_nocheck(object, "author", json_string_nocheck(one->actor));
	json_object_set_new_nocheck(object, "at_ms", json_integer(one->at_ms));
	json_object_set_new_nocheck(object, "text", json_string_nocheck(one->text));
	if (whole || strcmp(one->parameters, "{}") != 0)
		json_object_set_new_nocheck(object, "parameters", object_of(one->parameters));
	if (whole) {
		json_object_set_new_nocheck(object, "epoch", json_integer(one->epoch));
		add_fields(object, one->fields);
	}
	return object;
}

static json_t *
version_json(const struct db_rows *rows, size_t row)
{
	json_t *object = json_pack("{ss sI sI ss ss ss sI}", "id", db_text(rows, row, 0), "version", (json_int_t)db_int(rows, row, 1),
	                           "at_ms", (json_int_t)db_int(rows, row, 2), "session", db_text(rows, row, 3), "actor",
	                           db_text(rows, row, 4), "action", db_text(rows, row, 5), "epoch", (json_int_t)db_int(rows, row, 6));

	if (object == NULL || db_is_null(rows, row, 7))
		return object;
	json_object_set_new(object, "active", json_boolean(db_int(rows, row, 7) != 0));
	json_object_set_new(object, "persistence", json_string(db_text(rows, row, 8)));
	json_object_set_new(object, "priority", json_integer(db_int(rows, row, 9)));
	json_object_set_new(object, "parameters", object_of(db_text(rows, row, 10)));
	json_object_set_new(object, "text", json_string(db_text(rows, row, 11)));
	return object;
}

enum status
instruction_history(struct txn *txn, const struct instruction_query *query, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(
	    txn->db, &rows, why,
	    "SELECT instruction, version, at_ms, session, actor, action, epoch, active, persistence, priority, parameters, text"
	    " FROM instruction_version WHERE project = $1 AND ($2 = '' OR instruction = $2) AND ($3 = '' OR session = $3)"
	    " AND ($4 = '' OR actor = $4) AND at_ms >= $5 UNION ALL"
	    " SELECT a.instruction, a.version, a.at_ms, a.session, a.actor, 'author', v.epoch, NULL, NULL, NULL, NULL, NULL"
	    " FROM instruction_author a JOIN instruction_version v ON v.project = a.project AND v.instruction = a.instruction"
	    " AND v.version = a.version WHERE a.project = $1 AND ($2 = '' OR a.instruction = $2) AND ($3 = '' OR a.session = $3)"
	    " AND ($4 = '' OR a.actor = $4) AND a.at_ms >= $5 ORDER BY at_ms DESC, epoch DESC, actor DESC LIMIT $6",
	    DB_TEXT(txn->project), DB_TEXT(query->id == NULL ? "" : query->id), DB_TEXT(query->session == NULL ? "" : query->session),
	    DB_TEXT(query->actor == NULL ? "" : query->actor), DB_INT(query->since_ms), DB_INT(query->limit));

	if (status != OK)
		return status;
	for (size_t i = rows.count; i-- > 0;)
		json_array_append_new(out, version_json(&rows, i));
	db_rows_release(&rows);
	return OK;
}

static json_t *
checks_json(int64_t checked, int64_t violated)
{
	return json_pack("{ss sI sI}", "aggregate", "sum", "checked", (json_int_t)checked, "violated", (json_int_t)violated);
}

/* Row 0 is of the instruction itself: how it fares; then one for each who said its text too. */
static enum status
add_authors(struct txn *txn, const struct instruction *one, json_t *out, struct buf *why)
{
	json_t *also = json_array();
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT a.actor, c.checked, c.violated FROM (SELECT 1 AS one) AS one"
	                            " LEFT JOIN instruction_check c ON c.project = $1 AND c.instruction = $2"
	                            " LEFT JOIN instruction_author a ON a.project = $1 AND a.instruction = $2 AND a.version = $3"
	                            " ORDER BY a.at_ms, a.actor",
	                            DB_TEXT(txn->project), DB_TEXT(one->id), DB_INT(one->version));

	json_object_set_new(out, "also_by", also);
	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++)
		if (!db_is_null(&rows, i, 0))
			json_array_append_new(also, json_string(db_text(&rows, i, 0)));
	json_object_set_new(out, "effectiveness", checks_json(db_int(&rows, 0, 1), db_int(&rows, 0, 2)));
	db_rows_release(&rows);
	return OK;
}

enum status
instruction_show(struct txn *txn, const char *id, json_t *out, struct buf *why)
{
	struct instruction_list list;
	enum status status = instruction_load(txn, id, &list, why);

	if (status != OK)
		return status;
	json_object_update_new(out, instruction_json(&list.items[0], true));
	status = add_authors(txn, &list.items[0], out, why);
	instruction_list_release(&list);
	return status;
}

enum status
instruction_checked(struct txn *txn, const char *session, const char *id, bool violated, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status =
	    db_ask(txn->db, &rows, why,
	           "INSERT INTO instruction_check (project, instruction, checked, violated) SELECT i.project, i.instruction, 1, $1"
	           " FROM instruction i WHERE i.project = $2 AND i.instruction = $3 ON CONFLICT (project, instruction) DO UPDATE"
	           " SET checked = instruction_check.checked + 1, violated = instruction_check.violated + excluded.violated"
	           " RETURNING checked, violated",
	           DB_INT(violated), DB_TEXT(txn->project), DB_TEXT(id));

	if (status != OK)
		return status;
	if (rows.count == 0) {
		status = why_not(why, NO_SUCH, "no instruction %s here; `stile instruction list --all` shows those there are", id);
	} else {
		json_object_set_new(out, "id", json_string(id));
		json_object_set_new(out, "effectiveness", checks_json(db_int(&rows, 0, 0), db_int(&rows, 0, 1)));
		audit_add(txn, session, "instruction.checked", id, "", violated ? "violated" : "kept");
	}
	db_rows_release(&rows);
	return status;
}
