#include "legacy/tractatus_export.h"

#include "base/str.h"
#include "legacy/tractatus_state.h"
#include "legacy/tractatus_take.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define ROUNDS 16 /* of looking and writing, until store and file agree */
#define REFUSED_MAX 1000

/* One look at the store and at what is there. */
struct round {
	struct tractatus_export *export;
	char path[PATH_SIZE]; /* of the file */
	char fresh[PATH_SIZE];
	char replaced[PATH_SIZE]; /* what the last swap brought out */
	struct buf now;           /* the file's bytes */
	bool there;
	struct buf text; /* what it is to be */
	int64_t label;   /* the epoch that `text` names */
	bool wrote;      /* in this export, at least once */
};

static enum status
rule_save(struct txn *txn, void *data, struct buf *why)
{
	struct tractatus_export *export = data;

	return tractatus_place_save(txn, &export->place, why);
}

static enum status
rule_look(struct txn *txn, void *data, struct buf *why)
{
	return tractatus_place_load(txn, &((struct tractatus_export *)data)->place, why);
}

/* Beside the store where a file can be renamed from there into the place, else in a folder of the place. */
static enum status
find_work(struct tractatus_export *export, struct buf *why)
{
	char parent[PATH_SIZE];
	const char *name = export->place.id;

	if (paths_join(parent, sizeof parent, export->store_folder, "tractatus") != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", export->store_folder);
	if (!swap_can(parent, export->place.folder)) {
		memcpy(parent, export->place.folder, sizeof parent);
		name = ".stile";
	}
	if (paths_join(export->work, sizeof export->work, parent, name) != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", parent);
	return swap_folder(parent, name, 0700, why);
}

/* What one that was killed had begun to write, each as long as the history. */
static void
sweep_work(const struct tractatus_export *export)
{
	char fresh[PATH_SIZE];

	if (paths_join(fresh, sizeof fresh, export->work, "fresh") == OK)
		file_sweep(fresh);
}

enum status
tractatus_export_begin(struct tractatus_export *export, struct buf *why)
{
	enum status status;

	export->written = json_array();
	export->notes = json_array();
	export->steps = json_array();
	status = tractatus_lock(export->store_folder, export->engine->wait_ms, &export->lock, why);
	if (status == OK)
		status = swap_folder(export->place.root, ".claude", 0777, why);
	if (status == OK)
		status = engine_read(export->engine, rule_look, export, why);
	if (status == OK && export->place.id[0] == '\0')
		status = engine_run(export->engine, rule_save, export, why);
	if (status == OK)
		status = find_work(export, why);
	if (status == OK)
		sweep_work(export);
	return status;
}

void
tractatus_export_end(struct tractatus_export *export)
{
	tractatus_unlock(&export->lock);
	tractatus_place_release(&export->place);
	json_decref(export->written);
	json_decref(export->notes);
	json_decref(export->steps);
	export->written = export->notes = export->steps = NULL;
}

enum status
tractatus_export_continuous(struct tractatus_export *export, bool on, struct buf *why)
{
	if (export->place.continuous == on)
		return OK;
	export->place.continuous = on;
	return engine_run(export->engine, rule_save, export, why);
}

/* A member of `export->notes`. */
static void PRINTF_LIKE(2, 3) note(struct tractatus_export *export, const char *format, ...)
{
	char line[WHY_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	json_array_append_new(export->notes, json_lossy(line, strlen(line)));
}

/* The form that the file has: an object with these members, or NULL for a bare array. */
static enum status
form_of(const struct tractatus_place *place, json_t **top, struct buf *why)
{
	struct history last = {0};
	char *copy;
	enum status status;

	if (place->base_count == 0) {
		*top = json_pack("{ss}", "version", "1.0.0");
		return *top == NULL ? why_not(why, NO_MEMORY, "out of memory") : OK;
	}
	copy = strdup(place->bases[0].text);
	status = copy == NULL ? why_not(why, NO_MEMORY, "out of memory") : history_parse(copy, place->bases[0].len, &last, why);
	*top = json_incref(last.top);
	history_release(&last);
	free(copy);
	return status;
}

static enum status
render(struct round *round, const struct instruction_list *list, struct buf *why)
{
	struct tractatus_export *export = round->export;
	struct history history = {.entries = history_entries(list)};
	enum status status = form_of(&export->place, &history.top, why);

	export->epoch = 0;
	for (size_t i = 0; i < list->count; i++)
		export->epoch = list->items[i].epoch > export->epoch ? list->items[i].epoch : export->epoch;
	if (history.top != NULL) {
		memcpy(history.place, export->place.id, sizeof history.place);
		history.epoch = export->epoch;
	}
	round->label = history.epoch;
	buf_clear(&round->text);
	if (status == OK) {
		history_render(&history, &round->text);
		status = buf_status(&round->text);
	}
	history_release(&history);
	if (status == BAD_INPUT)
		return why_not(why, BAD_INPUT, "the instructions are more than %zu bytes as a file", round->text.max);
	return status == NO_MEMORY ? why_not(why, NO_MEMORY, "out of memory") : status;
}

static enum status
rule_render(struct txn *txn, void *data, struct buf *why)
{
	struct round *round = data;
	struct instruction_list list = {0};
	enum status status = tractatus_place_load(txn, &round->export->place, why);

	if (status == OK)
		status = instruction_list(txn, true, &list, why);
	if (status != OK)
		return status;
	status = render(round, &list, why);
	instruction_list_release(&list);
	return status;
}

static enum status
rule_seen(struct txn *txn, void *data, struct buf *why)
{
	return tractatus_seen_load(txn, &((struct round *)data)->export->place, why);
}

static enum status
rule_take(struct txn *txn, void *data, struct buf *why)
{
	return tractatus_take(txn, data, why);
}

enum status
tractatus_export_render(struct tractatus_export *export, struct buf *out, struct buf *why)
{
	struct round round = {.export = export};
	enum status status;

	buf_init(&round.text, out->max);
	status = engine_read(export->engine, rule_render, &round, why);
	buf_add(out, round.text.data, round.text.len);
	buf_release(&round.text);
	return status;
}

/* Takes an edit in.  *bad says that it can't be followed (BAD_INPUT with `why`) because it isn't a history. */
static enum status
take(struct round *round, const struct buf *bytes, bool *bad, struct buf *why)
{
	struct tractatus_export *export = round->export;
	struct tractatus_take taking = {.place = &export->place, .text = bytes->data, .actor = "file", .import = ""};
	struct history theirs = {0};
	char *copy = malloc(bytes->len + 1);
	enum status status;

	if (copy == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	memcpy(copy, bytes->data, bytes->len);
	copy[bytes->len] = '\0';
	status = history_parse(copy, bytes->len, &theirs, why);
	*bad = status == BAD_INPUT;
	free(copy);
	if (status == OK)
		status = engine_read(export->engine, rule_seen, round, why);
	taking.theirs = &theirs;
	if (status == OK)
		status = engine_run(export->engine, rule_take, &taking, why);
	if (status == OK) {
		export->taken += taking.added + taking.edited + taking.retired + taking.conflicts;
		json_array_extend(export->steps, taking.steps);
	}
	tractatus_take_release(&taking);
	history_release(&theirs);
	return status;
}

/* Keeps what can't be followed beside the file at `path`, under a name that nobody has. */
static enum status
keep_aside(struct tractatus_export *export, const char *path, const char *replaced, const char *reason, struct buf *why)
{
	char kept[PATH_SIZE + 30];

	for (int i = 1; i <= REFUSED_MAX; i++) {
		snprintf(kept, sizeof kept, "%s.refused-%d", path, i);
		if (renameat2(AT_FDCWD, replaced, AT_FDCWD, kept, RENAME_NOREPLACE) == 0 ||
		    (errno == EINVAL && link(replaced, kept) == 0 && unlink(replaced) == 0)) {
			note(export, "an edit of %s was refused (%s); it is kept as %s", path, reason, kept);
			return OK;
		}
		if (errno != EEXIST)
			break;
	}
	return why_not(why, IO_FAILED, "%s: can't be kept aside as %s: %s", replaced, kept, strerror(errno));
}

/* What the last swap brought out.  BUSY while it is being written: then it must not be written over. */
static enum status
look_at_replaced(struct round *round, bool *taken, struct buf *why)
{
	struct buf bytes, reason;
	bool bad = false;
	enum status status;

	buf_init(&bytes, HISTORY_MAX);
	buf_init(&reason, WHY_MAX);
	status = swap_read(round->replaced, TRACTATUS_WAIT_MS, &bytes, NULL, why);
	if (status == OK && !tractatus_is_base(&round->export->place, &bytes)) {
		status = take(round, &bytes, &bad, &reason);
		*taken = status == OK;
		if (status == BAD_INPUT)
			status = keep_aside(round->export, round->path, round->replaced, reason.data, why);
		else if (status != OK)
			status = why_not(why, status, "%s", reason.data);
	} else if (status == BAD_INPUT) {
		(void)why_not(&reason, BAD_INPUT, "it is longer than %zu bytes", HISTORY_MAX);
		status = keep_aside(round->export, round->path, round->replaced, reason.data, why);
	}
	buf_release(&bytes);
	buf_release(&reason);
	/* an export ago it was swapped out, and nobody writes it any more */
	if (status == OK && !round->wrote)
		status = file_remove(round->replaced, why);
	return status == NO_SUCH ? OK : status;
}

/* What stands there.  An edit that is no history is left to the swap, which brings it out. */
static enum status
look_at_file(struct round *round, bool *taken, struct buf *why)
{
	struct buf reason;
	bool bad = false;
	enum status status;

	status = swap_read(round->path, TRACTATUS_WAIT_MS, &round->now, NULL, why);
	round->there = status == OK;
	if (status == NO_SUCH || status == BAD_INPUT)
		return OK;
	if (status != OK || tractatus_is_base(&round->export->place, &round->now))
		return status;
	buf_init(&reason, WHY_MAX);
	status = take(round, &round->now, &bad, &reason);
	*taken = status == OK;
	if (status != OK && !bad)
		status = why_not(why, status, "%s: %.900s", round->path, reason.data);
	else
		status = OK;
	buf_release(&reason);
	return status;
}

static enum status
rule_register(struct txn *txn, void *data, struct buf *why)
{
	struct round *round = data;

	(void)why;
	tractatus_base_add(txn, &round->export->place, round->label, true, "", round->text.data);
	return OK;
}

/* Not through a link that somebody put there, and not into a file that is open elsewhere. */
static enum status
put_fresh(const char *path, const struct buf *text, struct buf *why)
{
	enum status status = file_remove(path, why);

	return status == OK || status == NO_SUCH ? file_replace(path, text->data, text->len, 0666, why) : status;
}

static enum status
swap(struct round *round, struct buf *why)
{
	struct tractatus_export *export = round->export;
	enum status status;

	/* remembered first: whoever finds these bytes there must know them for ours, whatever becomes of us */
	if (!tractatus_is_base(&export->place, &round->text)) {
		status = engine_run(export->engine, rule_register, round, why);
		if (status != OK)
			return status;
	}
	fault_point(FAULT_REMEMBERED);
	status = put_fresh(round->fresh, &round->text, why);
	if (status == OK)
		status = swap_in(round->fresh, export->place.folder, TRACTATUS_HISTORY, round->replaced, why);
	if (status == OK)
		round->wrote = true;
	return status;
}

/* *agree: the file says what the store says, and nothing is left over. */
static enum status
go_round(struct round *round, bool *agree, struct buf *why)
{
	bool taken = false;
	enum status status = engine_read(round->export->engine, rule_render, round, why);

	if (status == OK)
		status = look_at_replaced(round, &taken, why);
	/* who still writes into what we swapped out is looked at again before the next swap */
	if (status == BUSY && round->wrote) {
		*agree = true;
		return OK;
	}
	if (status == OK && !taken)
		status = look_at_file(round, &taken, why);
	if (status != OK || taken)
		return status;
	*agree = round->there && round->now.len == round->text.len &&
	         memcmp(round->now.data, round->text.data, round->now.len) == 0;
	return *agree ? OK : swap(round, why);
}

enum status
tractatus_export_history(struct tractatus_export *export, struct buf *why)
{
	struct round round = {.export = export};
	bool agree = false;
	enum status status;

	if (paths_join(round.path, sizeof round.path, export->place.folder, TRACTATUS_HISTORY) != OK ||
	    paths_join(round.fresh, sizeof round.fresh, export->work, "fresh") != OK ||
	    paths_join(round.replaced, sizeof round.replaced, export->work, "replaced") != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", export->place.folder);
	buf_init(&round.now, HISTORY_MAX);
	buf_init(&round.text, HISTORY_MAX);
	status = swap_no_link(round.path, why);
	for (int i = 0; i < ROUNDS && status == OK && !agree; i++)
		status = go_round(&round, &agree, why);
	if (status == OK && !agree)
		status = why_not(why, BUSY, "%s: somebody writes it all the time; it will be exported after the next change",
		                 round.path);
	if (round.wrote)
		json_array_append_new(export->written, json_string(TRACTATUS_HISTORY));
	buf_release(&round.now);
	buf_release(&round.text);
	return status;
}

/* What was no object was nobody's state, and so nothing of it is in what is there now. */
static enum status
look_at_old(struct tractatus_export *export, const char *path, const char *old, struct buf *why)
{
	struct buf bytes, reason;
	json_t *document = NULL;
	enum status status;

	buf_init(&bytes, STATE_MAX);
	buf_init(&reason, WHY_MAX);
	status = file_read(old, &bytes, &reason);
	if (status == OK)
		status = json_parse(bytes.data, bytes.len, &document, &reason);
	if (status == OK && !json_is_object(document))
		status = why_not(&reason, BAD_INPUT, "is no object");
	if (status == BAD_INPUT)
		status = keep_aside(export, path, old, reason.data, why);
	else if (status != NO_SUCH)
		status = file_remove(old, why);
	json_decref(document);
	buf_release(&bytes);
	buf_release(&reason);
	return status == NO_SUCH ? OK : status;
}

enum status
tractatus_export_file(struct tractatus_export *export, const char *folder, const char *name, const char *shown,
                      const struct buf *text, struct buf *why)
{
	char path[PATH_SIZE], fresh[PATH_SIZE], old[PATH_SIZE];
	struct buf now;
	enum status status;
	bool same;

	if (paths_join(path, sizeof path, folder, name) != OK || paths_join(fresh, sizeof fresh, export->work, "fresh") != OK ||
	    paths_join(old, sizeof old, export->work, "old") != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", folder);
	buf_init(&now, text->len + 1);
	same = file_read(path, &now, NULL) == OK && now.len == text->len && memcmp(now.data, text->data, now.len) == 0;
	buf_release(&now);
	if (same)
		return OK;
	status = put_fresh(fresh, text, why);
	if (status == OK)
		status = swap_in(fresh, folder, name, old, why);
	if (status != OK)
		return status;
	json_array_append_new(export->written, json_string(shown));
	return look_at_old(export, path, old, why);
}
