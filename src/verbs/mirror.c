#include "verbs/mirror.h"

#include "legacy/tractatus_export.h"
#include "legacy/tractatus_take.h"
#include "os/file.h"
#include "os/swap.h"

#include <unistd.h>

#define ROUNDS 4 /* through all folders, while some of them bring edits that the others don't have yet */

struct folders {
	json_t *paths;
	json_t *conflicts;
	size_t live; /* sessions, as an export counts them */
};

static enum status
rule_folders(struct txn *txn, void *data, struct buf *why)
{
	return tractatus_continuous(txn, ((struct folders *)data)->paths, why);
}

/* Adds to what another folder's export told. */
static void
tell_more(json_t *result, const char *key, json_t *lines)
{
	json_t *told = json_object_get(result, key);

	if (told != NULL)
		json_array_extend(told, lines);
	else if (json_array_size(lines) > 0)
		json_object_set(result, key, lines);
}

static void
tell(const struct tractatus_export *export, enum status status, const struct buf *why, json_t *result)
{
	if (result == NULL)
		return;
	if (status != OK)
		json_object_set_new(result, "export_failed", json_lossy(why->data, why->len));
	tell_more(result, "export_notes", export->notes);
	tell_more(result, "export_taken", export->steps);
}

/* Adds to *taken how many changes the file there brought. */
static enum status
mirror_folder(struct context *context, const char *folder, const char *session, size_t *taken, json_t *result, struct buf *why)
{
	struct tractatus_export export = {.engine = &context->engine, .store_folder = context->address.folder};
	enum status status = tractatus_find(folder, true, &export.place, why);

	/* the worktree it was in is gone, and so is who would read it; `doctor` tells */
	if (status == NO_SUCH)
		return OK;
	if (status != OK)
		return status;
	status = tractatus_export_begin(&export, why);
	if (status == OK)
		status = tractatus_export_history(&export, why);
	if (status == OK && session != NULL)
		status = tractatus_export_session(&export, session, why);
	if (status == OK && session != NULL)
		status = tractatus_export_plain(&export, why);
	tell(&export, status, why, result);
	*taken += export.taken;
	tractatus_export_end(&export);
	return status;
}

/* How many changes the files brought, so that those that were written before are behind again. */
static size_t
mirror_all(struct context *context, const json_t *paths, const char *session, json_t *result)
{
	size_t taken = 0, i;
	json_t *folder;
	struct buf why;

	buf_init(&why, WHY_MAX);
	json_array_foreach(paths, i, folder)
	{
		/* one folder that is away must not keep the others behind */
		if (mirror_folder(context, json_string_value(folder), session, &taken, result, &why) != OK && result != NULL)
			json_object_set_new(result, "export_failed", json_lossy(why.data, why.len));
		buf_clear(&why);
	}
	buf_release(&why);
	return json_array_size(paths) > 1 ? taken : 0;
}

static void
mirror(struct context *context, const char *session, json_t *result)
{
	struct folders folders = {.paths = json_array()};
	size_t taken = 1;
	struct buf why;

	buf_init(&why, WHY_MAX);
	if (engine_read(&context->engine, rule_folders, &folders, &why) != OK && result != NULL)
		json_object_set_new(result, "export_failed", json_lossy(why.data, why.len));
	for (int i = 0; i < ROUNDS && taken > 0; i++)
		taken = mirror_all(context, folders.paths, session, result);
	json_decref(folders.paths);
	buf_release(&why);
}

void
mirror_instructions(struct context *context, json_t *result)
{
	mirror(context, NULL, result);
}

void
mirror_turn(struct context *context, const char *session)
{
	mirror(context, session, NULL);
}

static enum status
count_live(struct txn *txn, size_t *out, struct buf *why)
{
	int64_t phantom_ms = INT64_MAX;
	struct session_list live = {0};
	enum status status = config_duration(txn->config, "stile", "phantom", &phantom_ms, why);

	if (status == OK)
		status = session_list(txn, false, &live, why);
	for (size_t i = 0; status == OK && i < live.count; i++)
		*out += !session_is_phantom(&live.items[i], txn_now(txn), phantom_ms);
	session_list_release(&live);
	return status;
}

static enum status
rule_findings(struct txn *txn, void *data, struct buf *why)
{
	struct folders *folders = data;
	enum status status = count_live(txn, &folders->live, why);

	return status == OK ? tractatus_conflicts(txn, folders->conflicts, why) : status;
}

struct look {
	struct tractatus_place place;
	int64_t epoch;
};

static enum status
rule_look(struct txn *txn, void *data, struct buf *why)
{
	struct look *look = data;
	struct instruction_list list;
	enum status status = tractatus_place_load(txn, &look->place, why);

	if (status == OK)
		status = instruction_list(txn, true, &list, why);
	if (status != OK)
		return status;
	for (size_t i = 0; i < list.count; i++)
		look->epoch = list.items[i].epoch > look->epoch ? list.items[i].epoch : look->epoch;
	instruction_list_release(&list);
	return OK;
}

/* Bytes are compared: the file is ours if it is what we wrote last, whatever its date. */
static void
find_folder(struct context *context, const char *folder, mirror_told *told, void *arg)
{
	char path[PATH_SIZE], line[PATH_SIZE + 200];
	struct look look = {0};
	struct buf bytes, why;
	enum status status;
	bool well;

	buf_init(&bytes, HISTORY_MAX);
	buf_init(&why, WHY_MAX);
	snprintf(line, sizeof line, "%s: ", folder);
	status = tractatus_find(folder, false, &look.place, &why);
	if (status == OK)
		status = engine_read(&context->engine, rule_look, &look, &why);
	if (status == OK && (status = paths_join(path, sizeof path, look.place.folder, TRACTATUS_HISTORY)) == OK)
		status = swap_read(path, 0, &bytes, NULL, &why);
	well = status == OK && look.place.base_count > 0 && look.place.bases[0].epoch >= look.epoch &&
	       look.place.bases[0].len == bytes.len && memcmp(look.place.bases[0].text, bytes.data, bytes.len) == 0;
	if (status != OK)
		snprintf(line, sizeof line, "%s: %.1000s", folder, why.data);
	else if (!tractatus_is_base(&look.place, &bytes))
		snprintf(line, sizeof line, "%s: was edited; `stile export tractatus %s` takes that in, and so does the next change",
		         path, folder);
	else
		snprintf(line, sizeof line,
		         well ? "%s: says what the store says"
		              : "%s: is behind the store; `stile export tractatus` brings it up to date",
		         path);
	told(arg, well ? 0 : 1, line);
	tractatus_place_release(&look.place);
	buf_release(&bytes);
	buf_release(&why);
}

static void
tell_numbers(const struct folders *folders, mirror_told *told, void *arg)
{
	char line[300];

	if (json_array_size(folders->paths) > 0 && folders->live > 1) {
		snprintf(line, sizeof line,
		         TRACTATUS_STATE " is not exported while %zu sessions live: it can only be one's; each has its own "
		                         "sessions/ID/state.json",
		         folders->live);
		told(arg, 1, line);
	}
	if (json_array_size(folders->conflicts) > 0) {
		snprintf(line, sizeof line, "%zu edits of exported files met another edit; `stile import conflicts` shows both",
		         json_array_size(folders->conflicts));
		told(arg, 1, line);
	}
}

enum status
mirror_findings(struct context *context, mirror_told *told, void *arg, struct buf *why)
{
	struct folders folders = {.paths = json_array(), .conflicts = json_array()};
	enum status status = engine_read(&context->engine, rule_folders, &folders, why);
	json_t *folder;
	size_t i;

	if (status == OK)
		status = engine_read(&context->engine, rule_findings, &folders, why);
	json_array_foreach(folders.paths, i, folder) if (status == OK) find_folder(context, json_string_value(folder), told, arg);
	if (status == OK)
		tell_numbers(&folders, told, arg);
	json_decref(folders.paths);
	json_decref(folders.conflicts);
	return status;
}
