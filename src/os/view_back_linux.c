/* What a command left in the private folder, brought to where it belongs. */
#include "os/view_parts.h"

#include "base/str.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/random.h"
#include "os/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define DEPTH_MAX 64 /* of folders that are merged */

struct back {
	const struct view *view;
	struct view_private *private;
	bool stays;
	enum status status; /* the first failure */
	struct buf *why;
};

/* Something in a folder of the view, and where it is to be: the same name there. */
struct thing {
	int from;
	int to;
	const char *name;
	const char *path;        /* below the folder, for people */
	const struct statx *was; /* what that name was when the command began; NULL = nothing, or not known */
	int depth;
};

enum status
view_name_beside(const char *name, char out[VIEW_NAME_SIZE], struct buf *why)
{
	uint32_t random;

	if (random_bytes(&random, sizeof random) != OK)
		return why_not(why, IO_FAILED, "the system has no randomness to give");
	snprintf(out, VIEW_NAME_SIZE, "%.230s.view-%08x", name, random);
	return OK;
}

static void
failed(struct back *back, const char *path)
{
	char left[PATH_SIZE + VIEW_NAME_SIZE];
	int error = errno;

	snprintf(left, sizeof left, "%s/%s", back->private->cover, path);
	back->private->left = true;
	back->view->tell(back->view->arg, VIEW_LEFT, path, left);
	if (back->status == OK)
		back->status = why_not(back->why, IO_FAILED, "%s/%s: can't be brought there: %s; it is at %s", back->private->folder,
		                       path, strerror(error), left);
}

static void
tell(const struct back *back, enum view_event event, const struct thing *thing, const char *as)
{
	back->view->tell(back->view->arg, event, thing->path, as);
}

static bool
is_folder(int folder, const char *name)
{
	struct stat there;

	return fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(there.st_mode);
}

static bool
is_that_file(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor &&
	       a->stx_btime.tv_sec == b->stx_btime.tv_sec && a->stx_btime.tv_nsec == b->stx_btime.tv_nsec;
}

/* Whether `name` of the folder is still what it was: not replaced, not written. */
static bool
is_same(int folder, const char *name, const struct statx *was)
{
	struct statx now;

	return view_look(folder, name, &now) && is_that_file(&now, was) && now.stx_size == was->stx_size &&
	       now.stx_mtime.tv_sec == was->stx_mtime.tv_sec && now.stx_mtime.tv_nsec == was->stx_mtime.tv_nsec;
}

static bool
swap(int folder, const char *a, const char *b, unsigned how)
{
	return renameat2(folder, a, folder, b, how) == 0;
}

/* It stands in the real folder as `as`: gives it its name, if that is free or still what it was. */
static enum view_event
give_name(const struct thing *thing, const char *as)
{
	if (swap(thing->to, as, thing->name, RENAME_NOREPLACE))
		return VIEW_MOVED;
	if (thing->was == NULL || !swap(thing->to, as, thing->name, RENAME_EXCHANGE))
		return VIEW_KEPT;
	/* only now that it has no name can nobody change it any more */
	if (is_same(thing->to, as, thing->was) && tree_remove(thing->to, as))
		return VIEW_REPLACED;
	swap(thing->to, as, thing->name, RENAME_EXCHANGE);
	return VIEW_KEPT;
}

/* Not between file systems. */
static bool
move_to_free_name(const struct thing *thing)
{
	return renameat2(thing->from, thing->name, thing->to, thing->name, RENAME_NOREPLACE) == 0;
}

static void bring(struct back *back, const struct thing *thing);

/* Both have a folder of that name: what is in ours goes into theirs, each by its name. */
static void
merge(struct back *back, const struct thing *thing)
{
	int from = openat(thing->from, thing->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int to = openat(thing->to, thing->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *folder = from < 0 || to < 0 ? NULL : fdopendir(from);
	char path[PATH_SIZE];
	struct dirent *entry;

	if (folder == NULL)
		failed(back, thing->path);
	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		struct thing one = {.from = from, .to = to, .name = entry->d_name, .path = path, .depth = thing->depth + 1};

		if (str_equal(entry->d_name, ".") || str_equal(entry->d_name, ".."))
			continue;
		errno = ENAMETOOLONG;
		if (paths_join(path, sizeof path, thing->path, entry->d_name) == OK)
			bring(back, &one);
		else
			failed(back, thing->path);
	}
	if (folder != NULL)
		closedir(folder);
	else if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	/* what could not be brought keeps it there */
	unlinkat(thing->from, thing->name, AT_REMOVEDIR);
}

static void
bring(struct back *back, const struct thing *thing)
{
	char as[VIEW_NAME_SIZE];
	enum view_event event;

	if (is_folder(thing->from, thing->name) && is_folder(thing->to, thing->name) && thing->depth < DEPTH_MAX) {
		merge(back, thing);
		return;
	}
	/* at once, so that nobody sees it under another name, and under that it is never left */
	if (move_to_free_name(thing)) {
		fault_point(FAULT_VIEW_BROUGHT);
		tell(back, VIEW_MOVED, thing, thing->name);
		return;
	}
	errno = EIO;
	if (view_name_beside(thing->name, as, back->why) != OK || !tree_move(thing->from, thing->name, thing->to, as)) {
		failed(back, thing->path);
		return;
	}
	fault_point(FAULT_VIEW_BROUGHT);
	event = give_name(thing, as);
	/* somebody made a folder of that name between the two looks */
	if (event == VIEW_KEPT && is_folder(thing->to, as) && is_folder(thing->to, thing->name) &&
	    tree_move(thing->to, as, thing->from, thing->name))
		merge(back, thing);
	else
		tell(back, event, thing, event == VIEW_KEPT ? as : thing->name);
}

static const struct view_entry *
entry_of(const struct view_private *private, const char *name)
{
	for (size_t i = 0; i < private->entry_count; i++)
		if (str_equal(private->entries[i].name, name))
			return &private->entries[i];
	return NULL;
}

static bool
read_link(int folder, const char *name, char out[PATH_SIZE + VIEW_NAME_SIZE])
{
	ssize_t len = readlinkat(folder, name, out, PATH_SIZE + VIEW_NAME_SIZE - 1);

	out[len < 0 ? 0 : len] = '\0';
	return len >= 0;
}

/* What is behind the path of the real folder in a link into it; NULL when it leads elsewhere. */
static const char *
leads_to(const struct view_private *private, const char *link)
{
	size_t len = strlen(private->beneath);

	return str_starts(link, private->beneath) && link[len] == '/' ? link + len + 1 : NULL;
}

static bool
is_our_link(const struct view_private *private, const char *name)
{
	char link[PATH_SIZE + VIEW_NAME_SIZE];
	const char *real = read_link(private->cover_fd, name, link) ? leads_to(private, link) : NULL;

	return real != NULL && str_equal(real, name);
}

/* Takes an entry of the real folder into the cover, in place of the link `name` that led to it. */
static bool
pull(const struct view_private *private, const char *real, const char *name)
{
	char as[VIEW_NAME_SIZE];

	if (renameat(private->real_fd, real, private->cover_fd, name) == 0)
		return true;
	return errno == EXDEV && view_name_beside(name, as, NULL) == OK &&
	       tree_move(private->real_fd, real, private->cover_fd, as) &&
	       renameat(private->cover_fd, as, private->cover_fd, name) == 0;
}

/* The link leads to the same thing, by the path that it has outside. */
static bool
lead_outside(const struct view_private *private, const char *rest, const char *name)
{
	char link[PATH_SIZE * 2 + VIEW_NAME_SIZE], as[VIEW_NAME_SIZE];

	snprintf(link, sizeof link, "%s/%s", private->folder, rest);
	return view_name_beside(name, as, NULL) == OK && symlinkat(link, private->cover_fd, as) == 0 &&
	       renameat(private->cover_fd, as, private->cover_fd, name) == 0;
}

static void
settle_one(struct back *back, const char *name)
{
	const struct view_private *private = back->private;
	char link[PATH_SIZE + VIEW_NAME_SIZE];
	const char *rest = read_link(private->cover_fd, name, link) ? leads_to(private, link) : NULL;

	if (rest == NULL || str_equal(rest, name))
		return;
	/* one of our links that was renamed: so is what it leads to; any other was made by the command */
	if (strchr(rest, '/') == NULL && !is_our_link(private, rest) && pull(private, rest, name))
		return;
	if (!lead_outside(private, rest, name))
		failed(back, name);
}

/* Whether what stands there under that name is what we put there. */
static bool
is_untouched(const struct view_private *private, const char *name)
{
	const struct view_entry *entry = entry_of(private, name);
	char now[PATH_SIZE + VIEW_NAME_SIZE], real[PATH_SIZE + VIEW_NAME_SIZE];

	if (is_our_link(private, name))
		return true;
	/* a folder is covered by the real one, so nobody could do anything to it */
	if (is_folder(private->cover_fd, name))
		return entry != NULL && entry->kind == VIEW_BOUND;
	return (entry != NULL || !private->known) && read_link(private->cover_fd, name, now) &&
	       read_link(private->real_fd, name, real) && str_equal(now, real);
}

/* From then on the name leads to the real one, as for a view that begins now. */
static void
lead_there(const struct view_private *private, const char *name)
{
	char link[PATH_SIZE + VIEW_NAME_SIZE];

	snprintf(link, sizeof link, "%s/%s", private->beneath, name);
	/* something else may have come there since: then that is brought next time */
	(void)!symlinkat(link, private->cover_fd, name);
}

static void
bring_one(struct back *back, const char *name)
{
	const struct view_private *private = back->private;
	const struct view_entry *entry = entry_of(private, name);
	struct thing thing = {.from = private->cover_fd, .to = private->real_fd, .name = name, .path = name};

	if (view_is_own(private, name) || is_untouched(private, name))
		return;
	if (entry != NULL)
		thing.was = &entry->real;
	bring(back, &thing);
	if (back->stays)
		lead_there(private, name);
}

static void
for_each(struct back *back, void (*each)(struct back *back, const char *name))
{
	const struct view_private *private = back->private;
	int fd = openat(private->cover_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *cover = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (cover == NULL)
		failed(back, "");
	while (cover != NULL && (entry = readdir(cover)) != NULL)
		if (!str_equal(entry->d_name, ".") && !str_equal(entry->d_name, ".."))
			each(back, entry->d_name);
	if (cover != NULL)
		closedir(cover);
	else if (fd >= 0)
		close(fd);
}

/* A link that the command removed: what it led to is put aside, for a program that moves such a link away believes that it moved all. */
static void
remove_real(struct back *back, const struct view_entry *entry)
{
	const struct view_private *private = back->private;
	struct thing thing = {.to = private->real_fd, .name = entry->name, .path = entry->name};
	char as[VIEW_NAME_SIZE] = "";
	struct statx now;
	bool done;

	if (!view_look(private->real_fd, entry->name, &now))
		return;
	if (!is_that_file(&now, &entry->real)) {
		tell(back, VIEW_STAYS, &thing, entry->name);
		return;
	}
	if (entry->kind == VIEW_COPIED)
		done = unlinkat(private->real_fd, entry->name, 0) == 0;
	else
		done = view_name_beside(entry->name, as, back->why) == OK && swap(private->real_fd, entry->name, as, RENAME_NOREPLACE);
	if (done)
		tell(back, VIEW_REMOVED, &thing, as);
	else if (back->status == OK)
		back->status = why_not(back->why, IO_FAILED, "%s/%s: can't be removed: %s", private->folder, entry->name,
		                       strerror(errno));
}

static void
remove_all(struct back *back)
{
	const struct view_private *private = back->private;
	struct stat there;

	for (size_t i = 0; i < private->entry_count; i++) {
		const struct view_entry *entry = &private->entries[i];

		if (entry->kind != VIEW_BOUND && fstatat(private->cover_fd, entry->name, &there, AT_SYMLINK_NOFOLLOW) != 0 &&
		    errno == ENOENT)
			remove_real(back, entry);
	}
}

enum status
view_settle_links(const struct view *view, struct view_private *private, struct buf *why)
{
	struct back back = {.view = view, .private = private, .why = why};

	for_each(&back, settle_one);
	return back.status;
}

enum status
view_bring_back(const struct view *view, struct view_private *private, bool stays, struct buf *why)
{
	struct back back = {.view = view, .private = private, .stays = stays, .why = why};

	remove_all(&back);
	for_each(&back, bring_one);
	return back.status;
}
