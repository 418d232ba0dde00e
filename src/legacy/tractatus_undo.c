#include "legacy/tractatus_import.h"
#include "legacy/tractatus_session.h"

#include "base/str.h"
#include "core/audit.h"

struct undoing {
	struct tractatus_import *import;
	struct instruction_book book;
	struct db_rows items; /* import, kind, item, version, was */
	json_t *steps;
	size_t undone;
	size_t kept;
};

/* What the last import that stands made; its id alone if it made nothing that can be taken back. */
static enum status
read_items(struct txn *txn, struct undoing *undoing, struct buf *why)
{
	return db_ask(
		txn->db, &undoing->items, why,
		"SELECT m.import, d.kind, d.item, d.version, d.was FROM tractatus_import m LEFT JOIN tractatus_imported d"
		" ON d.project = m.project AND d.import = m.import WHERE m.project = $1 AND m.import ="
		" (SELECT i.import FROM tractatus_import i JOIN tractatus_place p ON p.project = i.project AND p.place = i.place"
		" WHERE i.project = $1 AND p.folder = $2 AND i.undone_ms IS NULL ORDER BY i.at_ms DESC, i.import DESC LIMIT 1)"
		" ORDER BY d.kind, d.item",
		DB_TEXT(txn->project), DB_TEXT(undoing->import->place.folder));
}

static void
tell(struct undoing *undoing, const char *action, const char *id, const char *text)
{
	json_array_append_new(undoing->steps, json_pack("{ss ss ss ss}", "action", action, "id", id, "was", "", "text", text));
}

/* It was made by the import: it retires, and an import that brings it again makes it active. */
static enum status
retire(struct txn *txn, struct undoing *undoing, const struct instruction *now, struct buf *why)
{
	struct instruction_draft draft = INSTRUCTION_DRAFT;
	char name[ID_MAX + 20];

	snprintf(name, sizeof name, "undone/%s", now->id);
	tractatus_seen_save(txn, &undoing->import->place, name, now->version + 1, "");
	draft.active = 0;
	return instruction_put(&undoing->book, now, now->id, "retire", &draft, NULL, why);
}

static enum status
put_back(struct undoing *undoing, const struct instruction *now, const char *was, struct buf *why)
{
	char *copy = strdup(was);
	json_t *entry = NULL;
	struct history_draft draft = {0};
	enum status status = copy == NULL ? NO_MEMORY : json_parse(copy, strlen(copy), &entry, why);

	if (status == OK)
		status = history_draft(entry, &draft, why);
	if (status == OK)
		status = instruction_put(&undoing->book, now, now->id, "edit", &draft.draft, NULL, why);
	history_draft_release(&draft);
	json_decref(entry);
	free(copy);
	return status == NO_MEMORY ? why_not(why, NO_MEMORY, "out of memory") : status;
}

static enum status
undo_instruction(struct txn *txn, struct undoing *undoing, size_t row, struct buf *why)
{
	const char *id = db_text(&undoing->items, row, 2), *was = db_text(&undoing->items, row, 4);
	const struct instruction *now = instruction_find(&undoing->book.read, id);

	if (now == NULL || now->version != db_int(&undoing->items, row, 3)) {
		undoing->kept++;
		tell(undoing, "keep", id, "changed since: left as it is");
		return OK;
	}
	undoing->undone++;
	tell(undoing, *was == '\0' ? "retire" : "edit", id, now->text);
	return *was == '\0' ? retire(txn, undoing, now, why) : put_back(undoing, now, was, why);
}

static enum status
undo_item(struct txn *txn, struct undoing *undoing, size_t row, struct buf *why)
{
	const char *kind = db_text(&undoing->items, row, 1), *item = db_text(&undoing->items, row, 2);

	if (str_equal(kind, "instruction"))
		return undo_instruction(txn, undoing, row, why);
	if (str_equal(kind, "session")) {
		tractatus_session_remove(txn, item);
		undoing->undone++;
		tell(undoing, "remove", item, "the session that the import made");
	} else if (str_equal(kind, "seen")) {
		tractatus_seen_save(txn, &undoing->import->place, item, db_int(&undoing->items, row, 3),
		                    db_text(&undoing->items, row, 4));
	}
	return OK;
}

static void
forget(struct txn *txn, const struct undoing *undoing, const char *import)
{
	db_run(txn->db, "DELETE FROM tractatus_base WHERE project = $1 AND place = $2 AND import = $3", DB_TEXT(txn->project),
	       DB_TEXT(undoing->import->place.id), DB_TEXT(import));
	db_run(txn->db, "UPDATE tractatus_import SET undone_ms = $1 WHERE project = $2 AND import = $3", DB_INT(txn_now(txn)),
	       DB_TEXT(txn->project), DB_TEXT(import));
	audit_add(txn, "", "tractatus.rollback", import, "", "");
}

static enum status
undo_all(struct txn *txn, struct undoing *undoing, struct buf *why)
{
	const char *actor = txn->actor;
	enum status status = OK;

	txn->actor = "imported";
	for (size_t i = 0; i < undoing->items.count && status == OK; i++)
		if (!db_is_null(&undoing->items, i, 1))
			status = undo_item(txn, undoing, i, why);
	txn->actor = actor;
	if (status == OK)
		forget(txn, undoing, db_text(&undoing->items, 0, 0));
	return status == OK ? instruction_close(&undoing->book, NULL, why) : status;
}

static enum status
rule_undo(struct txn *txn, void *data, struct buf *why)
{
	struct undoing *undoing = data;
	enum status status = read_items(txn, undoing, why);

	txn->actor = undoing->import->actor;
	if (status != OK)
		return status;
	if (undoing->items.count == 0) {
		db_rows_release(&undoing->items);
		return why_not(why, NO_SUCH, "%s: no import from there is to be taken back", undoing->import->place.folder);
	}
	undoing->steps = json_array();
	status = instruction_open(&undoing->book, txn, "", NULL, why);
	if (status == OK) {
		status = undo_all(txn, undoing, why);
		instruction_list_release(&undoing->book.read);
	}
	if (status == OK)
		json_object_set_new(undoing->import->result, "import", json_string(db_text(&undoing->items, 0, 0)));
	db_rows_release(&undoing->items);
	return status;
}

static enum status
rule_place(struct txn *txn, void *data, struct buf *why)
{
	return tractatus_place_load(txn, data, why);
}

enum status
tractatus_import_undo(struct tractatus_import *import, struct buf *why)
{
	struct undoing undoing = {.import = import};
	json_t *result = import->result;
	struct gate lock;
	enum status status = tractatus_lock(import->store_folder, import->engine->wait_ms, &lock, why);

	if (status != OK)
		return status;
	status = engine_read(import->engine, rule_place, &import->place, why);
	if (status == OK)
		status = engine_run(import->engine, rule_undo, &undoing, why);
	tractatus_unlock(&lock);
	if (status == OK) {
		json_object_set_new(result, "folder", json_string(import->place.folder));
		json_object_set_new(result, "undone", json_integer((json_int_t)undoing.undone));
		json_object_set_new(result, "kept", json_integer((json_int_t)undoing.kept));
		json_object_set(result, "steps", undoing.steps);
	}
	json_decref(undoing.steps);
	tractatus_place_release(&import->place);
	return status;
}
