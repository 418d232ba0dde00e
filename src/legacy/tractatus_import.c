#include "legacy/tractatus_import.h"

#include "base/str.h"
#include "core/audit.h"
#include "legacy/tractatus_backup.h"
#include "legacy/tractatus_session.h"
#include "os/clock.h"
#include "os/swap.h"

struct work {
	struct tractatus_import *import;
	struct tractatus_files files;
	struct history history;
	struct state_read numbers;
	struct tractatus_logs logs;
	struct tractatus_take take;
	bool history_is_new;
	bool session_is_new;
	char id[ID_SIZE];      /* of the import */
	char session[ID_SIZE]; /* that the state became */
	json_t *store;         /* its entries before, for the backup */
};

static enum status
name_file(enum status status, const char *name, struct buf *why)
{
	char reason[WHY_MAX];

	if (status == OK || why == NULL)
		return status;
	snprintf(reason, sizeof reason, "%s", why->data);
	return why_not(why, status, "%s: %.900s", name, reason);
}

static enum status
rule_look(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = tractatus_place_load(txn, &work->import->place, why);

	return status == OK ? tractatus_seen_load(txn, &work->import->place, why) : status;
}

static enum status
rule_store(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	struct instruction_list list;
	enum status status = instruction_list(txn, true, &list, why);

	if (status != OK)
		return status;
	work->store = history_entries(&list);
	instruction_list_release(&list);
	return OK;
}

static enum status
parse(struct work *work, struct buf *why)
{
	const struct tractatus_place *place = &work->import->place;
	struct tractatus_files *files = &work->files;
	struct buf copy;
	enum status status = OK;

	work->history_is_new = files->history.len > 0 && !tractatus_is_base(place, &files->history);
	if (files->history_there && (work->history_is_new || files->history.len == 0)) {
		/* the bytes are the base of later merges, and parsing may mend them */
		buf_init(&copy, HISTORY_MAX);
		buf_add(&copy, files->history.data, files->history.len);
		status = buf_status(&copy) == OK ? history_parse(copy.data, copy.len, &work->history, why)
		                                 : why_not(why, NO_MEMORY, "out of memory");
		buf_release(&copy);
		status = name_file(status, TRACTATUS_HISTORY, why);
	}
	if (status == OK)
		status = name_file(state_read(files->state, NULL, &work->numbers, why), TRACTATUS_STATE, why);
	if (status == OK)
		status = name_file(state_read(files->state, files->checkpoints, &work->numbers, why), TRACTATUS_CHECKPOINTS, why);
	work->session_is_new = status == OK && tractatus_session_is_new(place, files);
	return status == OK ? tractatus_logs_read(place, &work->logs, why) : status;
}

static enum status
take_history(struct txn *txn, struct work *work, struct buf *why)
{
	const struct tractatus_import *import = work->import;

	if (!work->history_is_new)
		return OK;
	work->take = (struct tractatus_take){.place = &import->place,
	                                     .theirs = &work->history,
	                                     .text = work->files.history.data,
	                                     .actor = "imported",
	                                     .import = work->id,
	                                     .dry = import->dry};
	return name_file(tractatus_take(txn, &work->take, why), TRACTATUS_HISTORY, why);
}

static size_t
changes(const struct work *work)
{
	return work->take.added + work->take.edited + work->take.retired + work->take.conflicts + work->session_is_new +
	       tractatus_logs_decisions(&work->logs);
}

/* The trail names what was imported, and from where. */
static void
sign(struct txn *txn, const struct work *work)
{
	char what[200];

	db_run(txn->db, "INSERT INTO tractatus_import (project, import, place, at_ms) VALUES ($1, $2, $3, $4)",
	       DB_TEXT(txn->project), DB_TEXT(work->id), DB_TEXT(work->import->place.id), DB_INT(txn_now(txn)));
	snprintf(what, sizeof what, "added %zu, edited %zu, retired %zu, conflicts %zu, sessions %d, decisions %zu",
	         work->take.added, work->take.edited, work->take.retired, work->take.conflicts, work->session_is_new,
	         tractatus_logs_decisions(&work->logs));
	audit_add(txn, "", "tractatus.import", work->id, "", what);
}

static enum status
rule_import(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	struct tractatus_place *place = &work->import->place;
	enum status status;

	txn->actor = work->import->actor;
	if (work->import->dry)
		return take_history(txn, work, why);
	status = tractatus_place_save(txn, place, why);
	if (status == OK)
		status = take_history(txn, work, why);
	if (status == OK && work->session_is_new)
		status = tractatus_session_save(txn, place, &work->files, &work->numbers, work->id, work->session, why);
	if (status == OK)
		status = tractatus_logs_save(txn, place, &work->logs) == OK ? OK : why_not(why, NO_MEMORY, "out of memory");
	if (status == OK && changes(work) > 0)
		sign(txn, work);
	if (status == OK)
		status = tractatus_session_verify(txn, &work->numbers, work->session, tractatus_logs_decisions(&work->logs), why);
	return status;
}

static void
tell_step(json_t *steps, const char *action, const char *id, const char *text)
{
	json_array_append_new(steps, json_pack("{ss ss ss ss}", "action", action, "id", id, "was", "", "text", text));
}

static size_t
tell_logs(const struct work *work, json_t *steps)
{
	size_t broken = 0;
	char text[100];

	for (size_t i = 0; i < work->logs.count; i++) {
		const struct tractatus_log *log = &work->logs.items[i];

		broken += log->broken;
		if (log->changed)
			snprintf(text, sizeof text, "left alone: what was imported of it before is not as it was");
		else
			snprintf(text, sizeof text, "%zu decisions, %zu lines that are none", json_array_size(log->decisions), log->broken);
		tell_step(steps, "decisions", log->name, text);
	}
	return broken;
}

static void
tell(const struct work *work, const char *backup)
{
	json_t *result = work->import->result, *steps = json_array();
	char text[ID_MAX + 60];
	size_t broken;

	json_array_extend(steps, work->take.steps);
	if (work->session_is_new) {
		snprintf(text, sizeof text, "an ended session of its own, with %zu numbers%s%s", work->numbers.metric_count,
		         work->numbers.session_id[0] == '\0' ? "" : ", once called ", work->numbers.session_id);
		tell_step(steps, "session", work->session, text);
	}
	broken = tell_logs(work, steps);
	json_object_set_new(result, "folder", json_string(work->import->place.folder));
	json_object_set_new(result, "dry_run", json_boolean(work->import->dry));
	json_object_set_new(result, "added", json_integer((json_int_t)work->take.added));
	json_object_set_new(result, "edited", json_integer((json_int_t)work->take.edited));
	json_object_set_new(result, "retired", json_integer((json_int_t)work->take.retired));
	json_object_set_new(result, "conflicts", json_integer((json_int_t)work->take.conflicts));
	json_object_set_new(result, "sessions", json_integer(work->session_is_new));
	json_object_set_new(result, "decisions", json_integer((json_int_t)tractatus_logs_decisions(&work->logs)));
	json_object_set_new(result, "broken", json_integer((json_int_t)broken));
	json_object_set_new(result, "changes", json_integer((json_int_t)changes(work)));
	if (backup[0] != '\0') {
		json_object_set_new(result, "import", json_string(work->id));
		json_object_set_new(result, "backup", json_string(backup));
	}
	json_object_set_new(result, "steps", steps);
}

static enum status
name_import(struct work *work, struct buf *why)
{
	uint8_t random[10];

	if (work->import->engine->random(random, sizeof random) != OK)
		return why_not(why, IO_FAILED, "the system has no randomness to give");
	id_make(work->id, clock_wall_ms(), random);
	return OK;
}

static enum status
do_import(struct work *work, struct buf *why)
{
	struct engine *engine = work->import->engine;
	char backup[PATH_SIZE] = "";
	enum status status = name_import(work, why);

	if (status == OK)
		status = engine_read(engine, rule_store, work, why);
	if (status == OK)
		status = tractatus_backup_make(work->import->store_folder, work->id, &work->files, work->store, backup, why);
	if (status == OK)
		status = engine_run(engine, rule_import, work, why);
	/* nothing was changed, so there is nothing to go back to; but what is not known to be undone may be needed */
	if (backup[0] != '\0' && ((status != OK && status != OUTCOME_UNKNOWN) || (status == OK && changes(work) == 0))) {
		tractatus_backup_remove(backup);
		backup[0] = '\0';
	}
	if (status == OK)
		tell(work, backup);
	return status;
}

static enum status
import_locked(struct work *work, struct buf *why)
{
	struct tractatus_import *import = work->import;
	enum status status = engine_read(import->engine, rule_look, work, why);

	if (status == OK)
		status = tractatus_files_read(&import->place, &work->files, why);
	if (status == OK)
		status = parse(work, why);
	if (status != OK)
		return status;
	if (!work->history_is_new && !work->session_is_new && work->logs.count == 0) {
		tell(work, "");
		return OK;
	}
	if (!import->dry)
		return do_import(work, why);
	status = engine_read(import->engine, rule_import, work, why);
	if (status == OK)
		tell(work, "");
	return status;
}

enum status
tractatus_import_run(struct tractatus_import *import, struct buf *why)
{
	struct work work = {.import = import};
	struct gate lock;
	enum status status = tractatus_lock(import->store_folder, import->engine->wait_ms, &lock, why);

	tractatus_files_init(&work.files);
	if (status == OK) {
		status = import_locked(&work, why);
		tractatus_unlock(&lock);
	}
	tractatus_take_release(&work.take);
	tractatus_logs_release(&work.logs);
	history_release(&work.history);
	tractatus_files_release(&work.files);
	tractatus_place_release(&import->place);
	json_decref(work.store);
	return status;
}
