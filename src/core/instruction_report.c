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
	json_t *object = json_pack("{ss sI sI ss ss ss sI}", "id", db_text(rows, row, 0), "version",
	                           (json_int_t)db_int(rows, row, 1), "at_ms", (json_int_t)db_int(rows, row, 2), "session",
	                           db_text(rows, row, 3), "actor", db_text(rows, row, 4), "action", db_text(rows, row, 5), "epoch",
	                           (json_int_t)db_int(rows, row, 6));

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
		" FROM instruction WHERE project = $1 AND ($2 = '' OR instruction = $2) AND ($3 = '' OR session = $3)"
		" AND ($4 = '' OR actor = $4) AND at_ms >= $5 UNION ALL"
		" SELECT m.instruction, m.version, m.at_ms, m.session, m.actor, m.kind, i.epoch, NULL, NULL, NULL, NULL, NULL"
		" FROM instruction_mark m JOIN instruction i ON i.project = m.project AND i.instruction = m.instruction"
		" AND i.version = m.version WHERE m.project = $1 AND m.kind = 'author' AND ($2 = '' OR m.instruction = $2)"
		" AND ($3 = '' OR m.session = $3) AND ($4 = '' OR m.actor = $4) AND m.at_ms >= $5"
		" ORDER BY at_ms DESC, epoch DESC, actor DESC LIMIT $6",
		DB_TEXT(txn->project), DB_TEXT(query->id == NULL ? "" : query->id),
		DB_TEXT(query->session == NULL ? "" : query->session), DB_TEXT(query->actor == NULL ? "" : query->actor),
		DB_INT(query->since_ms), DB_INT(query->limit));

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

/* Who else said its text; and how it fares, over all of its versions. */
static enum status
add_marks(struct txn *txn, const struct instruction *one, json_t *out, struct buf *why)
{
	int64_t checked = 0, violated = 0;
	json_t *also = json_array();
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "SELECT kind, actor, count, version FROM instruction_mark WHERE project = $1 AND instruction = $2"
	           " ORDER BY at_ms, actor",
	           DB_TEXT(txn->project), DB_TEXT(one->id));

	json_object_set_new(out, "also_by", also);
	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++) {
		const char *kind = db_text(&rows, i, 0);

		if (str_equal(kind, "author") && db_int(&rows, i, 3) == one->version)
			json_array_append_new(also, json_string(db_text(&rows, i, 1)));
		checked += str_equal(kind, "checked") || str_equal(kind, "violated") ? db_int(&rows, i, 2) : 0;
		violated += str_equal(kind, "violated") ? db_int(&rows, i, 2) : 0;
	}
	json_object_set_new(out, "effectiveness", checks_json(checked, violated));
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
	status = add_marks(txn, &list.items[0], out, why);
	instruction_list_release(&list);
	return status;
}

enum status
instruction_checked(struct txn *txn, const char *session, const char *id, bool violated, json_t *out, struct buf *why)
{
	const char *kind = violated ? "violated" : "checked";
	struct db_rows rows;
	enum status status;

	db_run(txn->db,
	       "INSERT INTO instruction_mark (project, instruction, version, kind, actor, session, at_ms, count)"
	       " SELECT i.project, i.instruction, i.version, $1, $2, $3, $4, 1 FROM instruction i WHERE i.project = $5"
	       " AND i.instruction = $6 AND i.current = 1 ON CONFLICT (project, instruction, version, kind, actor)"
	       " DO UPDATE SET count = instruction_mark.count + 1",
	       DB_TEXT(kind), DB_TEXT(txn->actor), DB_TEXT(session), DB_INT(txn_now(txn)), DB_TEXT(txn->project), DB_TEXT(id));
	status = db_ask(txn->db, &rows, why,
	                "SELECT sum(count), sum(CASE WHEN kind = 'violated' THEN count ELSE 0 END) FROM instruction_mark"
	                " WHERE project = $1 AND instruction = $2 AND kind IN ('checked', 'violated')",
	                DB_TEXT(txn->project), DB_TEXT(id));
	if (status != OK)
		return status;
	if (rows.count == 0 || db_is_null(&rows, 0, 0)) {
		status = why_not(why, NO_SUCH, "no instruction %s here; `stile instruction list --all` shows those there are", id);
	} else {
		json_object_set_new(out, "id", json_string(id));
		json_object_set_new(out, "effectiveness", checks_json(db_int(&rows, 0, 0), db_int(&rows, 0, 1)));
		audit_add(txn, session, "instruction.checked", id, "", violated ? "violated" : "kept");
	}
	db_rows_release(&rows);
	return status;
}
