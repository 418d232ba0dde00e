#include "verbs/install_set.h"

#include "os/file.h"

#include <sys/stat.h>

enum status
install_records(const struct context *context, const char *name, char out[PATH_SIZE])
{
	const struct place *place = &context->place;
	const char *clone = place->common[0] != '\0' ? place->common : place->root;
	uint64_t hash = 14695981039346656037u;
	int len;

	/* beside a server's store, too, the folder is this clone's own */
	if (str_equal(context->address.project, ".") || context->address.url[0] != '\0')
		len = snprintf(out, PATH_SIZE, "%s/undo/%s", context->address.folder, name);
	else {
		for (const char *c = clone; *c != '\0'; c++)
			hash = (hash ^ (unsigned char)*c) * 1099511628211u;
		len = snprintf(out, PATH_SIZE, "%s/undo/%016llx/%s", context->address.folder, (unsigned long long)hash, name);
	}
	return len > 0 && len < PATH_SIZE ? OK : BAD_INPUT;
}

enum status
install_lock(const struct context *context, int64_t wait_ms, int *fd, struct buf *why)
{
	char path[PATH_SIZE];

	if (paths_join(path, sizeof path, context->address.folder, "install.lock") != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", context->address.folder);
	if (file_no_links(context->address.folder, why) != OK)
		return STORE_DOWN;
	return file_lock(path, wait_ms, fd, why);
}

enum status
install_lock_if_there(const struct context *context, int *fd, struct buf *why)
{
	enum status status;
	struct stat there;

	*fd = -1;
	do
		status = install_lock(context, context->wait_ms, fd, why);
	while (status == NO_SUCH && stat(context->address.folder, &there) == 0);
	return status == NO_SUCH ? OK : status;
}

static enum status
add(struct install_set *set, enum install_kind kind, const char *folder, const char *name, const char *record)
{
	struct install_file *file;

	if (set->count == set->cap) {
		size_t cap = set->cap == 0 ? 4 : set->cap * 2;
		struct install_file *files = realloc(set->files, cap * sizeof *files);

		if (files == NULL)
			return NO_MEMORY;
		set->files = files;
		set->cap = cap;
	}
	file = &set->files[set->count];
	install_file_init(file, kind, set->context->program);
	if (paths_join(file->path, sizeof file->path, folder, name) != OK ||
	    install_records(set->context, record, file->record) != OK)
		return BAD_INPUT;
	set->count++;
	return OK;
}

static enum status
add_worktree(void *arg, const char *name, const char *root)
{
	struct install_set *set = arg;
	char record[WORKTREE_SIZE + 16] = "main";
	enum status status;

	if (*name != '\0')
		snprintf(record, sizeof record, "worktrees/%s", name);
	status = add(set, INSTALL_SETTINGS, root, INSTALL_SETTINGS_NAME, record);
	if (status == OK)
		snprintf(set->files[set->count - 1].worktree, WORKTREE_SIZE, "%s", name);
	return status;
}

enum status
install_set_find(const struct context *context, struct install_set *out, struct buf *why)
{
	const char *common = context->place.common;
	enum status status;

	*out = (struct install_set){.context = context};
	status = paths_worktrees(&context->place, add_worktree, out);
	if (status == OK && *common != '\0')
		status = add(out, INSTALL_EXCLUDE, common, "info/exclude", "exclude");
	if (status == BAD_INPUT)
		return why_not(why, status, "a worktree's path is too long");
	return status == OK ? OK : why_not(why, status, "%s/worktrees: can't be listed", common);
}

void
install_set_release(struct install_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		install_file_release(&set->files[i]);
	free(set->files);
	*set = (struct install_set){0};
}

typedef enum status file_step(struct install_file *file, struct buf *why);

static enum status
each(struct install_set *set, file_step *step, struct buf *why)
{
	enum status status = OK;

	for (size_t i = 0; i < set->count && status == OK; i++)
		status = step(&set->files[i], why);
	return status;
}

enum status
install_set_plan(struct install_set *set, struct buf *why)
{
	return each(set, install_file_plan, why);
}

enum status
install_set_plan_undo(struct install_set *set, struct buf *why)
{
	return each(set, install_file_plan_undo, why);
}

static enum status
change(struct install_set *set, file_step *step, struct buf *why)
{
	enum status status = each(set, step, why);
	char text[WHY_MAX];

	if (status == OK || why == NULL)
		return status;
	snprintf(text, sizeof text, "%s", why->data);
	return why_not(why, status, "%s; other files may have been changed already, `stile init` or `stile init --undo` goes on",
	               text);
}

enum status
install_set_carry_out(struct install_set *set, struct buf *why)
{
	return change(set, install_file_carry_out, why);
}

enum status
install_set_undo(struct install_set *set, struct buf *why)
{
	return change(set, install_file_undo, why);
}

static void
tell_one(const struct install_file *file, json_t *worktrees, json_t *result)
{
	const char *outcome = install_outcome_name(file->outcome);
	size_t len = strlen(file->path) - strlen("/" INSTALL_SETTINGS_NAME);

	if (file->kind == INSTALL_EXCLUDE)
		json_object_set_new(result, "exclude", json_string(outcome));
	else
		json_array_append_new(worktrees, json_pack("{s:o, s:s}", "root", json_lossy(file->path, len), "settings", outcome));
}

static bool
holds_ours(const struct install_file *file)
{
	return file->kind == INSTALL_SETTINGS && file->outcome <= INSTALL_UPDATED && file->stays;
}

/* What a person should know of it; adds to `note`. */
static void
note_one(const struct place *place, const struct install_file *file, struct buf *note)
{
	const char *before = note->len == 0 ? "" : "; ";

	if (file->outcome == INSTALL_CLEANED)
		buf_printf(note, "%s%s: only our entries were taken out, because %s", before, file->path,
		           file->unknown ? "this store has no record of what was there" : "it was changed since init");
	else if (holds_ours(file) && paths_is_tracked(place, file->worktree, INSTALL_SETTINGS_NAME))
		buf_printf(note, "%s%s: " INSTALL_TRACKED, before, file->path);
}

void
install_set_tell(const struct install_set *set, json_t *result)
{
	const char *store = context_store_name(set->context);
	json_t *worktrees = json_array();
	bool changed = false;
	struct buf note;

	buf_init(&note, (size_t)1 << 20);
	json_object_set_new(result, "store", json_lossy(store, strlen(store)));
	json_object_set_new(result, "worktrees", worktrees);
	for (size_t i = 0; i < set->count; i++) {
		const struct install_file *file = &set->files[i];

		tell_one(file, worktrees, result);
		changed = changed || file->changes;
		note_one(&set->context->place, file, &note);
	}
	json_object_set_new(result, "changed", json_boolean(changed));
	if (note.len > 0)
		json_object_set_new(result, "note", json_lossy(note.data, note.len));
	buf_release(&note);
}
