#include "legacy/tractatus_take.h"

#include "base/str.h"
#include "core/audit.h"
#include "legacy/tractatus_merge.h"

#define NOBODY "file" /* who took an entry out of a file can't be told */

struct taking {
	struct txn *txn;
	struct tractatus_take *take;
	struct instruction_book book;
	json_t *ours; /* the store's entries, those apart that a rollback retired */
	json_t *base;
	json_t *expected; /* id -> entry */
	struct merge merge;
};

static char *
compact(const json_t *value)
{
	struct buf text;

	buf_init(&text, HISTORY_MAX);
	if (value != NULL)
		json_write(&text, value);
	if (buf_status(&text) == OK && text.data != NULL)
		return text.len == 0 ? strdup("") : text.data;
	buf_release(&text);
	return NULL;
}

/* Whether a rollback retired it and nobody changed it since: an import brings it anew. */
static bool
is_undone(const struct tractatus_place *place, const struct instruction *one)
{
	char name[ID_MAX + 20];
	const json_t *undone;

	snprintf(name, sizeof name, "undone/%s", one->id);
	undone = json_object_get(place->seen, name);
	return undone != NULL && json_whole(undone, "number", 0) == one->version;
}

static enum status
read_ours(struct taking *taking, const struct instruction_list *list)
{
	json_t *all = history_entries(list);

	taking->take->before = all;
	taking->ours = json_array();
	taking->expected = json_object();
	for (size_t i = 0; i < list->count; i++) {
		json_t *entry = json_array_get(all, i);

		if (!is_undone(taking->take->place, &list->items[i]))
			json_array_append(taking->ours, entry);
		json_object_set(taking->expected, list->items[i].id, entry);
	}
	return json_object_size(taking->expected) == list->count ? OK : NO_MEMORY;
}

static enum status
check_epoch(const struct taking *taking, int64_t epoch, struct buf *why)
{
	const struct history *theirs = taking->take->theirs;

	if (theirs->place[0] == '\0' || strcmp(theirs->place, taking->take->place->id) != 0 || theirs->epoch <= epoch)
		return OK;
	return why_not(why, BAD_INPUT,
	               "says that it is of epoch %lld, and the store has come to %lld only: a store from before it was put back? "
	               "Take the member \"stile\" out of the file to have it imported as it is",
	               (long long)theirs->epoch, (long long)epoch);
}

static void
tell(struct taking *taking, const struct merge_step *step, const char *id)
{
	json_t *row = json_pack("{ss ss ss ss}", "action", merge_kind_name(step->kind), "id", id, "was", step->was_id, "text",
	                        json_text(step->theirs == NULL ? step->ours : step->theirs, "text", ""));

	if (step->kind == MERGE_CONFLICT && row != NULL) {
		json_object_set_new(row, "ours", json_deep_copy(step->ours));
		json_object_set_new(row, "theirs", step->theirs == NULL ? json_null() : json_deep_copy(step->theirs));
	}
	json_array_append_new(taking->take->steps, row);
}

static enum status
expect(struct taking *taking, const char *id, const json_t *entry)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)entry);

	if (json_object_set_new(copy, "id", json_string(id)) != 0 || json_object_set(taking->expected, id, copy) != 0) {
		json_decref(copy);
		return NO_MEMORY;
	}
	json_decref(copy);
	return OK;
}

static enum status
put_entry(struct taking *taking, const struct merge_step *step, char id[ID_MAX + 1], struct buf *why)
{
	const struct instruction *before = *step->id == '\0' ? NULL : instruction_find(&taking->book.read, step->id);
	const char *actor = taking->txn->actor;
	struct history_draft draft;
	enum status status = history_draft(step->theirs, &draft, why);

	taking->txn->actor = taking->take->actor;
	if (status == OK)
		status = instruction_put(&taking->book, before, step->id, "import", &draft.draft, id, why);
	taking->txn->actor = actor;
	history_draft_release(&draft);
	return status == OK ? expect(taking, id, step->theirs) : status;
}

static enum status
put_retired(struct taking *taking, const struct merge_step *step, struct buf *why)
{
	const struct instruction *before = instruction_find(&taking->book.read, step->id);
	const char *actor = taking->txn->actor;
	json_t *entry = json_copy((json_t *)(uintptr_t)step->ours);
	struct history_draft draft;
	enum status status;

	/* the entry as it was in the file, and so with who wrote it and when */
	json_object_set_new(entry, "active", json_false());
	status = history_draft(entry, &draft, why);
	taking->txn->actor = NOBODY;
	if (status == OK)
		status = instruction_put(&taking->book, before, step->id, "retire", &draft.draft, NULL, why);
	taking->txn->actor = actor;
	if (status == OK)
		status = expect(taking, step->id, entry);
	history_draft_release(&draft);
	json_decref(entry);
	return status;
}

/* Both are kept: ours holds, theirs stands beside it and on the trail. */
static enum status
record_conflict(struct taking *taking, const struct merge_step *step)
{
	const struct tractatus_place *place = taking->take->place;
	const struct instruction *now = instruction_find(&taking->book.read, step->id);
	char *ours = compact(step->ours), *theirs = compact(step->theirs);
	enum status status = ours == NULL || theirs == NULL ? NO_MEMORY : OK;

	if (status == OK) {
		db_run(taking->txn->db,
		       "INSERT INTO tractatus_conflict (project, place, seq, instruction, version, found_ms, ours, theirs)"
		       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		       DB_TEXT(taking->txn->project), DB_TEXT(place->id), DB_INT(tractatus_next_base(place)), DB_TEXT(step->id),
		       DB_INT(now->version), DB_INT(txn_now(taking->txn)), DB_TEXT(ours), DB_TEXT(theirs));
		audit_add(taking->txn, "", "tractatus.conflict", step->id, ours, theirs);
	}
	free(ours);
	free(theirs);
	return status;
}

static void
count(struct tractatus_take *take, enum merge_kind kind)
{
	size_t *const counters[] = {&take->added, &take->edited, &take->retired, &take->conflicts};

	++*counters[kind];
}

static void
remember(struct taking *taking, const struct merge_step *step, const char *id)
{
	const struct instruction *before = instruction_find(&taking->book.read, id);
	char *was = compact(step->ours);

	db_run(taking->txn->db,
	       "INSERT INTO tractatus_imported (project, import, kind, item, version, was) VALUES ($1, $2, 'instruction', $3, $4, "
	       "$5)",
	       DB_TEXT(taking->txn->project), DB_TEXT(taking->take->import), DB_TEXT(id),
	       DB_INT(before == NULL ? 1 : before->version + 1), DB_TEXT(was == NULL ? "" : was));
	free(was);
}

static enum status
do_step(struct taking *taking, const struct merge_step *step, struct buf *why)
{
	char id[ID_MAX + 1];
	enum status status = OK;

	snprintf(id, sizeof id, "%s", step->id);
	if (!taking->take->dry) {
		if (step->kind == MERGE_CONFLICT)
			status = record_conflict(taking, step);
		else if (step->kind == MERGE_RETIRE)
			status = put_retired(taking, step, why);
		else
			status = put_entry(taking, step, id, why);
		if (status == OK && step->kind != MERGE_CONFLICT && *taking->take->import != '\0')
			remember(taking, step, id);
	}
	count(taking->take, step->kind);
	tell(taking, step, id);
	return status;
}

/* Those that bring their id first, so that no new one is given that another of them has. */
static enum status
do_steps(struct taking *taking, struct buf *why)
{
	enum status status = OK;

	for (size_t i = 0; i < taking->merge.count && status == OK; i++)
		if (*taking->merge.steps[i].id != '\0')
			status = do_step(taking, &taking->merge.steps[i], why);
	for (size_t i = 0; i < taking->merge.count && status == OK; i++)
		if (*taking->merge.steps[i].id == '\0')
			status = do_step(taking, &taking->merge.steps[i], why);
	return status;
}

static enum status
verify(struct taking *taking, struct buf *why)
{
	struct instruction_list list = {0};
	enum status status = instruction_list(taking->txn, true, &list, why);

	if (status != OK)
		return status;
	if (list.count != json_object_size(taking->expected))
		status = why_not(why, CONFLICT, "the store has %zu instructions afterwards, and %zu are right; nothing was changed",
		                 list.count, json_object_size(taking->expected));
	for (size_t i = 0; i < list.count && status == OK; i++) {
		json_t *entry = history_entry(&list.items[i]);

		if (!json_equal(entry, json_object_get(taking->expected, list.items[i].id)))
			status = why_not(why, CONFLICT, "%s is not afterwards what it was to be; nothing was changed", list.items[i].id);
		json_decref(entry);
	}
	instruction_list_release(&list);
	return status;
}

static enum status
carry_out(struct taking *taking, bool whole, struct buf *why)
{
	struct tractatus_take *take = taking->take;
	enum status status = merge_three(taking->base, taking->ours, take->theirs->entries, whole, &taking->merge);

	if (status == OK)
		status = do_steps(taking, why);
	if (status != OK || take->dry)
		return status;
	if (taking->book.puts > 0) {
		status = instruction_close(&taking->book, NULL, why);
		if (status == OK)
			status = verify(taking, why);
	}
	if (take->base == NULL)
		tractatus_base_add(taking->txn, take->place, take->theirs->epoch, false, take->import, take->text);
	return status;
}

enum status
tractatus_take(struct txn *txn, struct tractatus_take *take, struct buf *why)
{
	struct taking taking = {.txn = txn, .take = take};
	bool whole;
	enum status status = instruction_open(&taking.book, txn, "", NULL, why);

	if (status != OK)
		return status;
	take->steps = json_array();
	status = check_epoch(&taking, taking.book.epoch, why);
	if (status == OK)
		status = read_ours(&taking, &taking.book.read);
	if (status == OK && take->base != NULL) {
		taking.base = json_incref(take->base);
		whole = true;
	} else if (status == OK) {
		status = tractatus_base_of(take->place, take->theirs, &taking.base, &whole, why);
	}
	if (status == OK)
		status = carry_out(&taking, whole, why);
	merge_release(&taking.merge);
	json_decref(taking.base);
	json_decref(taking.ours);
	json_decref(taking.expected);
	instruction_list_release(&taking.book.read);
	return status == NO_MEMORY ? why_not(why, NO_MEMORY, "out of memory") : status;
}

void
tractatus_take_release(struct tractatus_take *take)
{
	json_decref(take->steps);
	json_decref(take->before);
	take->steps = take->before = NULL;
}

static json_t *
parse_entry(const char *text)
{
	char *copy = strdup(text);
	json_t *entry = NULL;

	if (copy == NULL || *copy == '\0' || json_parse(copy, strlen(copy), &entry, NULL) != OK)
		entry = json_null();
	free(copy);
	return entry;
}

enum status
tractatus_conflicts(struct txn *txn, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT c.instruction, c.found_ms, c.ours, c.theirs, p.folder FROM tractatus_conflict c"
	                            " JOIN instruction i ON i.project = c.project AND i.instruction = c.instruction"
	                            " AND i.version = c.version AND i.current = 1"
	                            " JOIN tractatus_place p ON p.project = c.project AND p.place = c.place"
	                            " WHERE c.project = $1 ORDER BY c.found_ms, c.instruction LIMIT 10000",
	                            DB_TEXT(txn->project));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++) {
		json_t *ours = parse_entry(db_text(&rows, i, 2)), *theirs = parse_entry(db_text(&rows, i, 3));

		json_array_append_new(out, json_pack("{ss ss ss so so sI ss}", "id", db_text(&rows, i, 0), "text",
		                                     json_text(ours, "text", ""), "file_text", json_text(theirs, "text", ""), "ours",
		                                     ours, "theirs", theirs, "found_ms", (json_int_t)db_int(&rows, i, 1), "folder",
		                                     db_text(&rows, i, 4)));
	}
	db_rows_release(&rows);
	return OK;
}
