#include "verbs/install.h"

#include "os/clock.h"
#include "os/file.h"
#include "verbs/install_set.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a change so young a second one could bear the same time. */
#define YOUNG_MS 2000
#define TRIES 8

/* When the list of worktrees last changed; 0 = there never was a linked one. */
static struct timespec
worktrees_time(const struct context *context)
{
	char path[PATH_SIZE];
	struct stat there;

	if (paths_join(path, sizeof path, context->place.common, "worktrees") != OK || stat(path, &there) != 0)
		return (struct timespec){0};
	return there.st_mtim;
}

/* Whether hooks are to be installed, and whether in the worktrees as they are now they were. */
static bool
is_seen(const struct context *context, bool *up_to_date)
{
	struct timespec now;
	char path[PATH_SIZE];
	struct stat seen;

	if (install_records(context, "seen", path) != OK || stat(path, &seen) != 0)
		return false;
	now = worktrees_time(context);
	*up_to_date = now.tv_sec == seen.st_mtim.tv_sec && now.tv_nsec == seen.st_mtim.tv_nsec;
	return true;
}

/* `time` was read before the worktrees were looked through. */
static enum status
mark_seen(const struct context *context, struct timespec time, struct buf *why)
{
	int64_t age_ms = clock_wall_ms() - ((int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000);
	struct timespec times[2] = {time, time};
	char path[PATH_SIZE], folder[PATH_SIZE];
	enum status status;

	if (age_ms > -YOUNG_MS && age_ms < YOUNG_MS)
		times[1].tv_sec--; /* not seen for good: it will be looked at again */
	if (install_records(context, "seen", path) != OK || paths_parent(folder, sizeof folder, path) != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", context->address.folder);
	status = install_file_folder(folder, why);
	if (status == OK && access(path, F_OK) != 0)
		status = file_replace(path, "claude\n", 7, 0600, why);
	if (status == OK && utimensat(AT_FDCWD, path, times, 0) != 0)
		return why_not(why, IO_FAILED, "%s: its time can't be set", path);
	return status;
}

enum status
install_guard_locked(struct context *context, json_t *result, struct buf *why)
{
	struct timespec time = worktrees_time(context);
	struct install_set set;
	enum status status = install_set_find(context, &set, why);

	if (status == OK)
		status = install_set_plan(&set, why);
	if (status == OK)
		status = context_open(context, true, why);
	if (status == OK)
		status = install_set_carry_out(&set, why);
	if (status == OK)
		status = mark_seen(context, time, why);
	if (status == OK)
		install_set_tell(&set, result);
	install_set_release(&set);
	return status;
}

/* Takes away the folder that we made, when nothing came to be in it. */
static void
unmake(const struct context *context)
{
	char path[PATH_SIZE];

	if (paths_join(path, sizeof path, context->address.folder, "install.lock") == OK && unlink(path) == 0)
		rmdir(context->address.folder);
}

/* A bare repository has no files that an agent could work on; its worktrees have. */
static bool
is_bare(const struct place *place)
{
	char path[PATH_SIZE];

	return place->common[0] == '\0' && paths_join(path, sizeof path, place->root, "HEAD") == OK && access(path, F_OK) == 0 &&
	       paths_join(path, sizeof path, place->root, "objects") == OK && access(path, F_OK) == 0 &&
	       paths_join(path, sizeof path, place->root, "refs") == OK && access(path, F_OK) == 0;
}

enum status
install_guard(struct context *context, bool hooks, json_t *result, struct buf *why)
{
	enum status status;
	bool made = false;
	int fd, tries = 0;

	if (is_bare(&context->place))
		return why_not(why, BAD_INPUT, "%s: is a bare repository; run this in a worktree of it", context->place.root);
	do {
		if (file_make_folder(context->address.folder, 0700, &made, why) != OK)
			return STORE_DOWN;
		status = install_lock(context, context->wait_ms, &fd, why);
		/* somebody who purged took the folder away in between */
	} while (status == NO_SUCH && ++tries < TRIES);
	if (status != OK)
		return status == NO_SUCH ? STORE_DOWN : status;
	if (hooks)
		status = install_guard_locked(context, result, why);
	else if ((status = context_open(context, true, why)) == OK)
		json_object_set_new(result, "store", json_lossy(context_store_name(context), strlen(context_store_name(context))));
	if (status != OK && made && !context->engine_open)
		unmake(context);
	close(fd);
	return status;
}

/* What is remembered of worktrees that aren't here now is kept for when they are back; without any the folder goes. */
static void
tell_kept(const char *records, json_t *result)
{
	const char *before = json_text(result, "note", "");
	DIR *folder = opendir(records);
	struct dirent *entry;
	struct buf note;

	if (folder == NULL)
		return;
	buf_init(&note, (size_t)1 << 20);
	while ((entry = readdir(folder)) != NULL)
		if (entry->d_name[0] != '.')
			buf_printf(&note, "%s%s", note.len == 0 ? "not here, so undo again when they are back: " : ", ", entry->d_name);
	closedir(folder);
	if (note.len > 0)
		json_object_set_new(result, "note", json_sprintf("%s%s%s", before, *before == '\0' ? "" : "; ", note.data));
	else
		rmdir(records);
	buf_release(&note);
}

enum status
install_undo_locked(struct context *context, json_t *result, struct buf *why)
{
	struct install_set set;
	char records[PATH_SIZE], seen[PATH_SIZE];
	enum status status = install_set_find(context, &set, why);

	if (status == OK)
		status = install_set_plan_undo(&set, why);
	if (status == OK)
		status = install_set_undo(&set, why);
	if (status == OK && install_records(context, "seen", seen) == OK && file_remove(seen, why) == IO_FAILED)
		status = IO_FAILED;
	if (status == OK)
		install_set_tell(&set, result);
	if (status == OK && install_records(context, "worktrees", records) == OK)
		tell_kept(records, result);
	/* empty now, unless something is kept */
	if (status == OK && install_records(context, "", records) == OK)
		rmdir(records);
	install_set_release(&set);
	return status;
}

enum status
install_undo(struct context *context, json_t *result, struct buf *why)
{
	int fd;
	enum status status = install_lock_if_there(context, &fd, why);

	if (status != OK)
		return status;
	status = install_undo_locked(context, result, why);
	if (fd >= 0)
		close(fd);
	return status;
}

/* Into those that have none of ours; what is there may be somebody's wish. */
static enum status
install_new(struct install_set *set, struct buf *why)
{
	enum status first = OK;

	for (size_t i = 0; i < set->count; i++) {
		struct install_file *file = &set->files[i];
		enum status status = install_file_plan(file, first == OK ? why : NULL);

		if (status == OK && file->outcome == INSTALL_DONE)
			status = install_file_carry_out(file, first == OK ? why : NULL);
		if (first == OK)
			first = status;
	}
	return first;
}

enum status
install_new_worktrees(struct context *context, struct buf *why)
{
	struct install_set set;
	struct timespec time;
	bool up_to_date;
	enum status status, marked;
	int fd;

	if (context->place.common[0] == '\0' || !is_seen(context, &up_to_date) || up_to_date)
		return OK;
	status = install_lock(context, 0, &fd, why);
	if (status != OK)
		return status == BUSY || status == NO_SUCH ? OK : status;
	time = worktrees_time(context);
	/* it may have been undone, or done, since we looked */
	if (!is_seen(context, &up_to_date) || up_to_date) {
		close(fd);
		return OK;
	}
	status = install_set_find(context, &set, why);
	if (status == OK)
		status = install_new(&set, why);
	install_set_release(&set);
	marked = mark_seen(context, time, status == OK ? why : NULL);
	close(fd);
	return status == OK ? marked : status;
}
