/* A view's own files: what changed is offered to who gave them out. */
#include "os/view_parts.h"

#include "base/str.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static enum status
read_was(const struct view_private *private, struct view_change *change, struct buf *why)
{
	char path[PATH_SIZE + VIEW_NAME_SIZE];
	enum status status;

	snprintf(path, sizeof path, "%s/%s", private->was, change->name);
	status = file_read(path, &change->was, why);
	change->was_there = status == OK;
	return status == NO_SUCH ? OK : status;
}

/* BAD_INPUT for what can be no such file: a link, a folder, one too long. */
static enum status
read_now(const struct view_private *private, struct view_change *change, struct buf *why)
{
	char path[PATH_SIZE + VIEW_NAME_SIZE];
	struct stat there;

	snprintf(path, sizeof path, "%s/%s", private->cover, change->name);
	if (lstat(path, &there) != 0)
		return errno == ENOENT ? OK : why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	change->there = true;
	if (!S_ISREG(there.st_mode))
		return why_not(why, BAD_INPUT, "%s/%s: is no plain file any more", private->folder, change->name);
	return file_read(path, &change->now, why);
}

static bool
is_changed(const struct view_change *change)
{
	return change->there != change->was_there || change->now.len != change->was.len ||
	       (change->there && change->now.len > 0 && memcmp(change->now.data, change->was.data, change->now.len) != 0);
}

/* What was taken is not taken again. */
static enum status
remember(const struct view_private *private, const struct view_change *change, bool there, struct buf *why)
{
	char path[PATH_SIZE + VIEW_NAME_SIZE];
	enum status status;

	snprintf(path, sizeof path, "%s/%s", private->was, change->name);
	if (there)
		return file_replace(path, change->now.data, change->now.len, 0600, why);
	status = file_remove(path, why);
	return status == NO_SUCH ? OK : status;
}

/* What can't be taken is somebody's work all the same. */
static enum status
keep_beside(const struct view *view, struct view_private *private, const struct view_change *change, struct buf *why)
{
	char as[VIEW_NAME_SIZE];
	struct buf reason;
	enum status status;

	buf_init(&reason, WHY_MAX);
	status = view_name_beside(change->name, as, &reason);
	if (status == OK && !tree_move(private->cover_fd, change->name, private->real_fd, as))
		status = IO_FAILED;
	if (status == OK)
		status = remember(private, change, false, &reason);
	buf_release(&reason);
	private->left = private->left || status != OK;
	if (status == OK)
		view->tell(view->arg, VIEW_KEPT, change->name, as);
	else
		view->tell(view->arg, VIEW_LEFT, change->name, private->cover);
	return why->len > 0 ? BAD_INPUT : why_not(why, BAD_INPUT, "%s: can't be taken back", change->name);
}

static enum status
take_one(const struct view *view, struct view_private *private, struct view_change *change, struct buf *why)
{
	enum status status = read_was(private, change, why);

	if (status == OK)
		status = read_now(private, change, why);
	if (status == OK && !is_changed(change))
		return OK;
	if (status == OK)
		status = view->take(view->arg, change, why);
	if (status == OK) {
		fault_point(FAULT_VIEW_ASKED);
		return remember(private, change, change->there, why);
	}
	if (status == BAD_INPUT && change->there)
		return keep_beside(view, private, change, why);
	private->left = true;
	view->tell(view->arg, VIEW_LEFT, change->name, private->cover);
	return status;
}

/* Its folder's name. */
static int64_t
view_number(const struct view_private *private)
{
	return (int64_t)strtoull(strrchr(private->path, '/') + 1, NULL, 16);
}

enum status
view_take_back(const struct view *view, struct view_private *private, struct buf *why)
{
	enum status first = OK;

	for (size_t i = 0; i < private->count; i++) {
		struct view_change change = {.label = private->label, .view = view_number(private), .name = private->names[i]};
		struct buf reason;
		enum status status;

		buf_init(&change.was, VIEW_FILE_MAX);
		buf_init(&change.now, VIEW_FILE_MAX);
		buf_init(&reason, WHY_MAX);
		status = take_one(view, private, &change, &reason);
		if (first == OK && status != OK)
			first = why_not(why, status, "%s", reason.data);
		buf_release(&reason);
		buf_release(&change.was);
		buf_release(&change.now);
	}
	return first;
}
