#include "verbs/install_file.h"

#include "base/str.h"
#include "clients/claude_settings.h"
#include "os/file.h"

#include <errno.h>
#include <unistd.h>

#define FILE_MAX CLAUDE_SETTINGS_MAX
#define TRIES 8

struct record {
	bool known;
	bool was_there;
	bool made_folder;
	struct buf was;
	struct buf wrote;
};

const char *
install_outcome_name(enum install_outcome outcome)
{
	static const char *const names[] = {"unchanged", "installed", "updated", "restored", "cleaned"};

	return names[outcome];
}

void
install_file_init(struct install_file *file, enum install_kind kind, const char *program)
{
	*file = (struct install_file){.kind = kind, .program = program, .outcome = INSTALL_UNCHANGED};
	buf_init(&file->now, FILE_MAX);
	buf_init(&file->next, FILE_MAX);
}

void
install_file_release(struct install_file *file)
{
	buf_release(&file->now);
	buf_release(&file->next);
}

/* A file of the record.  NO_SUCH when it isn't there. */
static enum status
read_remembered(const struct install_file *file, const char *name, struct buf *out, struct buf *why)
{
	char path[PATH_SIZE];

	buf_init(out, FILE_MAX);
	if (paths_join(path, sizeof path, file->record, name) != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", file->record);
	return file_read(path, out, why);
}

static void
record_release(struct record *record)
{
	buf_release(&record->was);
	buf_release(&record->wrote);
}

/* *record is to be released whatever is returned. */
static enum status
recall(const struct install_file *file, struct record *record, struct buf *why)
{
	struct buf folder;
	enum status was = read_remembered(file, "was", &record->was, why),
				wrote = read_remembered(file, "wrote", &record->wrote, why),
				made = read_remembered(file, "folder", &folder, why);

	buf_release(&folder);
	record->known = wrote == OK;
	record->was_there = was == OK;
	record->made_folder = made == OK;
	if (was != OK && was != NO_SUCH)
		return was;
	return wrote == OK || wrote == NO_SUCH ? OK : wrote;
}

enum status
install_file_folder(const char *path, struct buf *why)
{
	char parent[PATH_SIZE];
	enum status status = OK;

	if (access(path, F_OK) == 0)
		return OK;
	if (paths_parent(parent, sizeof parent, path) != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", path);
	if (strlen(parent) < strlen(path))
		status = install_file_folder(parent, why);
	return status == OK ? file_make_folder(path, 0700, NULL, why) : status;
}

static enum status
remember_as(const struct install_file *file, const char *name, const struct buf *bytes, struct buf *why)
{
	char path[PATH_SIZE];

	if (paths_join(path, sizeof path, file->record, name) != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", file->record);
	return file_replace(path, bytes->data, bytes->len, 0600, why);
}

static enum status
remember_nothing_was(const struct install_file *file, struct buf *why)
{
	char path[PATH_SIZE];
	enum status status;

	if (paths_join(path, sizeof path, file->record, "was") != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", file->record);
	status = file_remove(path, why);
	return status == NO_SUCH ? OK : status;
}

static bool
same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/*
 * What is to be remembered before the file is written.  If it held nothing of ours, all of it.  If it did and is as we wrote
 * it, only that we write something else now.  If it did and somebody changed it, nothing: the bytes from before are no longer
 * what undoing should give back.
 */
static enum status
remember(const struct install_file *file, bool makes_folder, struct buf *why)
{
	struct buf nothing;
	struct record record;
	bool ours = file->outcome == INSTALL_UPDATED;
	enum status status = recall(file, &record, why);

	if (status == OK)
		status = install_file_folder(file->record, why);
	buf_init(&nothing, 0);
	if (status == OK && makes_folder)
		status = remember_as(file, "folder", &nothing, why);
	if (status == OK && !ours)
		status = file->there ? remember_as(file, "was", &file->now, why) : remember_nothing_was(file, why);
	if (status == OK && (!ours || (record.known && same(&file->now, &record.wrote))))
		status = remember_as(file, "wrote", &file->next, why);
	record_release(&record);
	return status;
}

static enum status
forget(const struct install_file *file, struct buf *why)
{
	return file_remove_folder(file->record, why);
}

/* Where the line that ignores the settings begins; NULL when there is none. */
static const char *
find_line(const struct buf *text)
{
	static const char line[] = INSTALL_SETTINGS_NAME;

	for (const char *at = text->data; *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n')
		if (str_starts(at, line) && (at[sizeof line - 1] == '\n' || at[sizeof line - 1] == '\0'))
			return at;
	return NULL;
}

static enum status
exclude_install(struct install_file *file)
{
	if (find_line(&file->now) != NULL) {
		buf_add(&file->next, file->now.data, file->now.len);
		return buf_status(&file->next);
	}
	buf_add(&file->next, file->now.data, file->now.len);
	if (file->now.len > 0 && file->now.data[file->now.len - 1] != '\n')
		buf_text(&file->next, "\n");
	buf_text(&file->next, INSTALL_SETTINGS_NAME "\n");
	return buf_status(&file->next);
}

static enum status
exclude_remove(struct install_file *file, const struct record *record)
{
	const char *line = record->known ? find_line(&file->now) : NULL, *after;

	if (line == NULL) {
		buf_add(&file->next, file->now.data, file->now.len);
		return buf_status(&file->next);
	}
	after = line + sizeof INSTALL_SETTINGS_NAME - 1;
	after += *after == '\n';
	buf_add(&file->next, file->now.data, (size_t)(line - file->now.data));
	buf_add(&file->next, after, file->now.len - (size_t)(after - file->now.data));
	return buf_status(&file->next);
}

/* Reads the file.  A plan made before is forgotten. */
static enum status
look(struct install_file *file, struct buf *why)
{
	enum status status;

	buf_clear(&file->now);
	buf_clear(&file->next);
	status = file_read(file->path, &file->now, why);
	file->there = status == OK;
	return status == NO_SUCH ? OK : status;
}

/* Puts the file's name before what is wrong with its text. */
static enum status
name_it(const struct install_file *file, enum status status, struct buf *why)
{
	char text[WHY_MAX];

	if (why == NULL || status == OK)
		return status;
	snprintf(text, sizeof text, "%s", why->data);
	return why_not(why, status, "%s: %s; nothing was changed", file->path, *text == '\0' ? "can't be edited" : text);
}

/* Whether its settings hold something of ours. */
static bool
has_ours(const struct install_file *file)
{
	struct buf without;
	bool ours;

	ours = claude_settings_remove(file->now.data, file->now.len, NULL, &without, NULL) == OK && !same(&without, &file->now);
	buf_release(&without);
	return ours;
}

enum status
install_file_plan(struct install_file *file, struct buf *why)
{
	bool settings = file->kind == INSTALL_SETTINGS;
	enum status status = look(file, why);

	if (status != OK)
		return status;
	if (settings)
		buf_release(&file->next);
	status = settings ? claude_settings_install(file->now.data, file->now.len, file->program, &file->next, why)
	                  : exclude_install(file);
	if (status != OK)
		return name_it(file, status, why);
	file->stays = true;
	file->changes = !file->there || !same(&file->now, &file->next);
	file->outcome = !file->changes ? INSTALL_UNCHANGED : settings && has_ours(file) ? INSTALL_UPDATED : INSTALL_DONE;
	return file->changes ? file_may_replace(file->path, why) : OK;
}

static enum status
write_planned(const struct install_file *file, struct buf *why)
{
	struct file_seen seen = {file->there ? file->now.data : NULL, file->now.len};

	return file_replace_seen(file->path, &seen, file->next.data, file->next.len, 0644, why);
}

static enum status
carry_out_once(const struct install_file *file, struct buf *why)
{
	char folder[PATH_SIZE];
	enum status status;

	if (!file->changes)
		return OK;
	if (paths_parent(folder, sizeof folder, file->path) != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", file->path);
	file_sweep(file->path);
	status = remember(file, access(folder, F_OK) != 0, why);
	if (status == OK)
		status = file_make_folder(folder, 0755, NULL, why);
	return status == OK ? write_planned(file, why) : status;
}

enum status
install_file_carry_out(struct install_file *file, struct buf *why)
{
	enum status status = carry_out_once(file, why);

	for (int i = 1; i < TRIES && status == CONFLICT; i++) {
		status = install_file_plan(file, why);
		if (status == OK)
			status = carry_out_once(file, why);
	}
	return status;
}

static enum status
plan_restore(struct install_file *file, const struct record *record)
{
	buf_add(&file->next, record->was.data, record->was.len);
	file->stays = record->was_there;
	file->changes = !file->stays || !same(&file->now, &file->next);
	file->outcome = INSTALL_RESTORED;
	return buf_status(&file->next);
}

static enum status
plan_clean(struct install_file *file, const struct record *record, struct buf *why)
{
	const struct buf *before = record->known && record->was_there ? &record->was : NULL;
	enum status status;

	if (file->kind == INSTALL_SETTINGS)
		buf_release(&file->next);
	status = file->kind == INSTALL_EXCLUDE ? exclude_remove(file, record)
	                                       : claude_settings_remove(file->now.data, file->now.len, before, &file->next, why);
	if (status != OK)
		return name_it(file, status, why);
	file->changes = !same(&file->now, &file->next);
	file->unknown = !record->known;
	if (!file->changes)
		return OK;
	/* where there was no file, an empty object is nothing that anybody left */
	file->stays = !record->known || record->was_there ||
	              !(file->kind == INSTALL_SETTINGS ? claude_settings_empty(file->next.data, file->next.len)
	                                               : file->next.len == 0);
	file->outcome = !file->stays || (before != NULL && same(&file->next, before)) ? INSTALL_RESTORED : INSTALL_CLEANED;
	return OK;
}

enum status
install_file_plan_undo(struct install_file *file, struct buf *why)
{
	struct record record;
	enum status status = recall(file, &record, why);

	if (status == OK)
		status = look(file, why);
	file->changes = false;
	file->stays = file->there;
	file->outcome = INSTALL_UNCHANGED;
	if (status == OK && file->there)
		status = record.known && same(&file->now, &record.wrote) ? plan_restore(file, &record) : plan_clean(file, &record, why);
	record_release(&record);
	return status == OK && file->changes ? file_may_replace(file->path, why) : status;
}

static enum status
undo_once(const struct install_file *file, struct buf *why)
{
	if (!file->changes)
		return OK;
	return file->stays ? write_planned(file, why) : file_remove(file->path, why);
}

/* The folder goes if we made it and nobody put anything else into it. */
static enum status
remove_folder(const struct install_file *file, struct buf *why)
{
	char folder[PATH_SIZE];
	struct record record;
	enum status status = recall(file, &record, why);
	bool made = status == OK && record.made_folder;

	record_release(&record);
	file_sweep(file->path);
	if (!made || paths_parent(folder, sizeof folder, file->path) != OK)
		return status;
	if (rmdir(folder) != 0 && errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT && errno != ENOTDIR)
		return why_not(why, IO_FAILED, "%s: was made by init and can't be removed: %s", folder, strerror(errno));
	return OK;
}

enum status
install_file_undo(struct install_file *file, struct buf *why)
{
	enum status status = undo_once(file, why);

	for (int i = 1; i < TRIES && (status == CONFLICT || status == NO_SUCH); i++) {
		status = install_file_plan_undo(file, why);
		if (status == OK)
			status = undo_once(file, why);
	}
	if (status == OK)
		status = remove_folder(file, why);
	return status == OK ? forget(file, why) : status;
}
