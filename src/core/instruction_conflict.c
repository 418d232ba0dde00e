#include "core/audit.h"
#include "core/instruction_parts.h"
#include "core/instruction_report.h"

#include <strings.h>

int64_t
instruction_standing(const char *persistence)
{
	static const char *const words[] = {"HIGH", "MEDIUM", "LOW"};
	int64_t standing = 0;

	while (standing < INSTRUCTION_OTHER_WORD && strcasecmp(words[standing], persistence) != 0)
		standing++;
	return standing;
}

enum status
instruction_object(const char *text, json_t **out, struct buf *why)
{
	char *copy = strdup(text);
	enum status status;

	if (copy == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	status = json_parse(copy, strlen(copy), out, why);
	free(copy);
	return status;
}

/* The parameters of `one`, if what it says of them binds; else *out is NULL.  The caller's. */
static enum status
binding_parameters(const struct instruction *one, json_t **out, struct buf *why)
{
	*out = NULL;
	if (one == NULL || !one->active || instruction_standing(one->persistence) != 0 || str_equal(one->parameters, "{}"))
		return OK;
	return instruction_object(one->parameters, out, why);
}

/* The value as text, so that a number and the same digits as a text are one.  False for what sets nothing. */
static bool
value_of(const char *name, const json_t *value, struct buf *out)
{
	json_t *number;

	if (*name == '\0' || strlen(name) > ID_MAX)
		return false;
	if (json_is_string(value)) {
		buf_text(out, json_string_value(value));
	} else if (json_is_real(value)) {
		number = json_number(json_real_value(value));
		json_write(out, number);
		json_decref(number);
	} else if (json_is_integer(value) || json_is_boolean(value)) {
		json_write(out, value);
	} else {
		return false;
	}
	return true;
}

static void
forget(struct txn *txn, const char *id, const json_t *parameters)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)parameters, name, value)
		db_run(txn->db, "DELETE FROM instruction_setting WHERE project = $1 AND parameter = $2 AND instruction = $3",
	           DB_TEXT(txn->project), DB_TEXT(name), DB_TEXT(id));
}

static enum status
remember(struct txn *txn, const struct instruction *now, const json_t *parameters, struct buf *why)
{
	const char *name;
	enum status status = OK;
	struct buf text;
	json_t *value;

	buf_init(&text, INSTRUCTION_OBJECT_MAX);
	json_object_foreach((json_t *)(uintptr_t)parameters, name, value)
	{
		buf_clear(&text);
		if (value_of(name, value, &text) && (status = buf_status(&text)) == OK)
			db_run(txn->db,
			       "INSERT INTO instruction_setting (project, parameter, instruction, value, priority, made_epoch)"
			       " VALUES ($1, $2, $3, $4, $5, $6)",
			       DB_TEXT(txn->project), DB_TEXT(name), DB_TEXT(now->id), DB_TEXT(text.data), DB_INT(now->priority),
			       DB_INT(now->made_epoch));
		if (status != OK)
			break;
	}
	buf_release(&text);
	return status == OK ? OK : why_not(why, status, "the parameters could not be read");
}

/* For each parameter the one that holds is set against all that say otherwise: of one parameter, or of all. */
#define HOLDS \
	"(SELECT t.instruction FROM instruction_setting t WHERE t.project = w.project AND t.parameter = w.parameter" \
	" ORDER BY t.priority DESC, t.made_epoch LIMIT 1)"
#define STANDS \
	"EXISTS (SELECT 1 FROM instruction_setting w JOIN instruction_setting s ON s.project = w.project" \
	" AND s.parameter = w.parameter WHERE w.project = instruction_conflict.project" \
	" AND w.parameter = instruction_conflict.parameter AND w.instruction = instruction_conflict.chosen" \
	" AND s.instruction = instruction_conflict.other AND w.value = instruction_conflict.chosen_value" \
	" AND s.value = instruction_conflict.other_value AND w.instruction = " HOLDS \
	" AND instruction_conflict.decided_by = CASE WHEN w.priority > s.priority THEN 'priority' ELSE 'age' END)"
#define RESOLVE \
	"UPDATE instruction_conflict SET resolved_epoch = $1, resolved_ms = $2, resolved_by = $3 WHERE project = $4" \
	" AND resolved_epoch = 0 AND NOT " STANDS
#define FIND \
	"INSERT INTO instruction_conflict (project, resolved_epoch, parameter, chosen, other, chosen_value, other_value," \
	" decided_by, found_epoch, found_ms, found_by) SELECT w.project, 0, w.parameter, w.instruction, s.instruction, w.value, " \
	"s.value," \
	" CASE WHEN w.priority > s.priority THEN 'priority' ELSE 'age' END, $1, $2, $3 FROM instruction_setting w" \
	" JOIN instruction_setting s ON s.project = w.project AND s.parameter = w.parameter AND s.value <> w.value" \
	" WHERE w.project = $4 AND w.instruction = " HOLDS \
	" AND NOT EXISTS (SELECT 1 FROM instruction_conflict c WHERE c.project = w.project AND c.parameter = w.parameter" \
	" AND c.chosen = w.instruction AND c.other = s.instruction AND c.resolved_epoch = 0)"

static void
settle_one(struct txn *txn, int64_t epoch, const char *parameter)
{
	db_run(txn->db, RESOLVE " AND parameter = $5", DB_INT(epoch), DB_INT(txn_now(txn)), DB_TEXT(txn->actor),
	       DB_TEXT(txn->project), DB_TEXT(parameter));
	db_run(txn->db, FIND " AND w.parameter = $5", DB_INT(epoch), DB_INT(txn_now(txn)), DB_TEXT(txn->actor),
	       DB_TEXT(txn->project), DB_TEXT(parameter));
}

static void
settle_all(struct txn *txn, int64_t epoch)
{
	db_run(txn->db, RESOLVE, DB_INT(epoch), DB_INT(txn_now(txn)), DB_TEXT(txn->actor), DB_TEXT(txn->project));
	db_run(txn->db, FIND, DB_INT(epoch), DB_INT(txn_now(txn)), DB_TEXT(txn->actor), DB_TEXT(txn->project));
}

static void
settle_each(struct txn *txn, int64_t epoch, const json_t *parameters)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)parameters, name, value) settle_one(txn, epoch, name);
}

enum status
instruction_set(struct instruction_book *book, const struct instruction *before, const struct instruction *now, struct buf *why)
{
	json_t *was, *is = NULL;
	enum status status = binding_parameters(before, &was, why);

	if (status == OK)
		status = binding_parameters(now, &is, why);
	if (status == OK) {
		forget(book->txn, now->id, was);
		status = remember(book->txn, now, is, why);
	}
	/* among the many changes of an import one may undo what another brings about: there only the end counts */
	if (status == OK && !book->whole) {
		settle_each(book->txn, now->epoch, was);
		settle_each(book->txn, now->epoch, is);
	}
	json_decref(was);
	json_decref(is);
	return status;
}

#define CONFLICT_COLUMNS \
	"parameter, chosen, chosen_value, other, other_value, decided_by, found_epoch, found_ms, found_by, resolved_epoch," \
	" resolved_ms, resolved_by"

static json_t *
conflict_json(const struct db_rows *rows, size_t row)
{
	json_t *object = json_pack("{ss ss ss ss ss ss sI sI ss}", "parameter", db_text(rows, row, 0), "chosen",
	                           db_text(rows, row, 1), "chosen_value", db_text(rows, row, 2), "other", db_text(rows, row, 3),
	                           "other_value", db_text(rows, row, 4), "decided_by", db_text(rows, row, 5), "found_epoch",
	                           (json_int_t)db_int(rows, row, 6), "found_ms", (json_int_t)db_int(rows, row, 7), "found_by",
	                           db_text(rows, row, 8));

	if (object != NULL && db_int(rows, row, 9) != 0) {
		json_object_set_new(object, "resolved_epoch", json_integer(db_int(rows, row, 9)));
		json_object_set_new(object, "resolved_ms", json_integer(db_int(rows, row, 10)));
		json_object_set_new(object, "resolved_by", json_string(db_text(rows, row, 11)));
	}
	return object;
}

static void
audit_conflict(struct txn *txn, const char *session, const struct db_rows *rows, size_t row)
{
	bool resolved = db_int(rows, row, 9) != 0;
	char pair[ID_MAX * 2 + 10];

	snprintf(pair, sizeof pair, "%s over %s", db_text(rows, row, 1), db_text(rows, row, 3));
	audit_add(txn, session, resolved ? "instruction.resolved" : "instruction.conflict", db_text(rows, row, 0),
	          resolved ? pair : "", resolved ? "" : pair);
}

enum status
instruction_close(struct instruction_book *book, json_t *conflicts, struct buf *why)
{
	struct txn *txn = book->txn;
	struct db_rows rows;
	enum status status;

	if (book->puts == 0)
		return OK;
	if (book->whole)
		settle_all(txn, book->epoch);
	status = db_ask(txn->db, &rows, why,
	                "SELECT " CONFLICT_COLUMNS " FROM instruction_conflict WHERE project = $1 AND resolved_epoch = 0"
	                " AND found_epoch = $2 UNION ALL SELECT " CONFLICT_COLUMNS " FROM instruction_conflict"
	                " WHERE project = $1 AND resolved_epoch = $2",
	                DB_TEXT(txn->project), DB_INT(book->epoch));
	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++) {
		audit_conflict(txn, book->session, &rows, i);
		if (conflicts != NULL)
			json_array_append_new(conflicts, conflict_json(&rows, i));
	}
	if (rows.count > 0)
		db_run(txn->db,
		       "UPDATE project SET instruction_conflicts = (SELECT count(*) FROM instruction_conflict c WHERE c.project = $1"
		       " AND c.resolved_epoch = 0) WHERE project = $1",
		       DB_TEXT(txn->project));
	db_rows_release(&rows);
	return OK;
}

enum status
instruction_conflicts(struct txn *txn, bool all, int64_t limit, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status;

	if (all)
		status = db_ask(txn->db, &rows, why,
		                "SELECT " CONFLICT_COLUMNS " FROM instruction_conflict WHERE project = $1"
		                " ORDER BY found_epoch DESC, parameter, chosen, other LIMIT $2",
		                DB_TEXT(txn->project), DB_INT(limit));
	else
		status = db_ask(txn->db, &rows, why,
		                "SELECT " CONFLICT_COLUMNS " FROM instruction_conflict WHERE project = $1 AND resolved_epoch = 0"
		                " ORDER BY found_epoch DESC, parameter, chosen, other LIMIT $2",
		                DB_TEXT(txn->project), DB_INT(limit));
	for (size_t i = 0; status == OK && i < rows.count; i++)
		json_array_append_new(out, conflict_json(&rows, i));
	if (status == OK)
		db_rows_release(&rows);
	return status;
}
