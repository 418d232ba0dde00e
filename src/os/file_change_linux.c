#include "os/file_change.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

static enum status
check_place(const struct file_target *target, struct buf *why)
{
	struct statfs found;
	const char *foreign;

	if (statfs(target->folder, &found) != 0)
		return why_not(why, IO_FAILED, "%s: %s", target->folder, strerror(errno));
	foreign = file_system_foreign((int64_t)found.f_type);
	if (foreign != NULL)
		return why_not(why, IO_FAILED, "%s: is on %s, where nobody can tell what others do to it meanwhile", target->path,
		               foreign);
	return OK;
}

static enum status
begin(struct file_change *change, enum file_change_kind kind, const char *path, const void *data, size_t len, struct buf *why)
{
	enum status status;

	*change = (struct file_change){.kind = kind, .data = data, .len = len, .fd = -1};
	status = target_resolve(path, &change->target, why);
	if (status == OK && (change->target.folder[0] == '\0' || stat(change->target.folder, &change->target.parent) != 0))
		status = why_not(why, IO_FAILED, "%s: %s", change->target.folder, strerror(errno));
	if (status == OK)
		status = check_place(&change->target, why);
	if (status == OK && change->target.there)
		status = target_check_file(&change->target, why);
	return status;
}

static enum status
write_beside(struct file_change *change, mode_t mode, struct buf *why)
{
	enum status status = target_name_temporary(&change->target, why);

	if (status == OK)
		status = target_write_temporary(&change->target, change->data, change->len, mode, why);
	if (status == OK)
		change->prepared = true;
	else if (change->target.temporary[0] != '\0')
		unlink(change->target.temporary);
	return status;
}

enum status
file_change_replace(struct file_change *change, const char *path, const void *data, size_t len, mode_t mode, struct buf *why)
{
	enum status status = begin(change, FILE_REPLACES, path, data, len, why);

	return status == OK ? write_beside(change, mode, why) : status;
}

enum status
file_change_create(struct file_change *change, const char *path, const void *data, size_t len, mode_t mode, struct buf *why)
{
	enum status status = begin(change, FILE_CREATES, path, data, len, why);

	/* what is there stays as it is */
	return status == OK && !change->target.there ? write_beside(change, mode, why) : status;
}

enum status
file_change_append(struct file_change *change, const char *path, const void *data, size_t len, mode_t mode, struct buf *why)
{
	enum status status = begin(change, FILE_APPENDS, path, data, len, why);

	if (status != OK)
		return status;
	/* one that is refused in the end must not have made it */
	if (!change->target.there)
		return write_beside(change, mode, why);
	/* also to be read: how it ends decides how it goes on */
	change->fd = open(change->target.path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (change->fd < 0 || fstat(change->fd, &change->target.file) != 0)
		return why_not(why, IO_FAILED, "%s: %s", change->target.path, strerror(errno));
	if (!S_ISREG(change->target.file.st_mode))
		return why_not(why, IO_FAILED, "%s: is not a file", change->target.path);
	change->prepared = true;
	return OK;
}

/* A file system without the flag has links. */
static bool
put_once(const struct file_target *target)
{
	if (renameat2(AT_FDCWD, target->temporary, AT_FDCWD, target->path, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	if (link(target->temporary, target->path) != 0)
		return false;
	unlink(target->temporary);
	return true;
}

static enum status
create(struct file_change *change, struct buf *why)
{
	if (!change->target.there && put_once(&change->target))
		return OK;
	if (!change->target.there && errno != EEXIST)
		return why_not(why, IO_FAILED, "%s: can't be made: %s", change->target.path, strerror(errno));
	change->there = true;
	return OK;
}

/* Whether the path still leads to what is open: what was replaced would take the line and be seen by nobody. */
static bool
is_still(const struct file_change *change, const struct stat *open)
{
	struct stat now;

	return stat(change->target.path, &now) == 0 && now.st_ino == open->st_ino && now.st_dev == open->st_dev;
}

static enum status
append(struct file_change *change, struct buf *why)
{
	char newline = '\n', last = '\n';
	struct iovec parts[2] = {{&newline, 0}, {(void *)(uintptr_t)change->data, change->len}};
	struct stat now;
	ssize_t done;

	if (fstat(change->fd, &now) != 0 || (now.st_size > 0 && pread(change->fd, &last, 1, now.st_size - 1) != 1))
		return why_not(why, IO_FAILED, "%s: %s", change->target.path, strerror(errno));
	change->there = !is_still(change, &now);
	if (change->there)
		return OK;
	change->torn = last != '\n';
	parts[0].iov_len = change->torn;
	do
		done = writev(change->fd, parts, 2);
	while (done < 0 && errno == EINTR);
	if (done < 0)
		return why_not(why, IO_FAILED, "%s: %s", change->target.path, strerror(errno));
	if ((size_t)done < change->len + parts[0].iov_len)
		return why_not(why, IO_FAILED,
		               "%s: only %zd of %zu bytes were appended (the disk is full?); the next append closes that line",
		               change->target.path, done, change->len + parts[0].iov_len);
	return OK;
}

enum status
file_change_make(struct file_change *change, struct buf *why)
{
	enum status status = OK;

	switch (change->kind) {
	case FILE_REPLACES:
		if (rename(change->target.temporary, change->target.path) != 0)
			status = why_not(why, IO_FAILED, "%s: can't be replaced: %s", change->target.path, strerror(errno));
		break;
	case FILE_CREATES:
		status = create(change, why);
		break;
	case FILE_APPENDS:
		status = change->target.there ? append(change, why) : create(change, why);
		if (change->there)
			status = why_not(why, CONFLICT, "%s: somebody made or replaced it at the same moment; try again",
			                 change->target.path);
		break;
	}
	change->made = status == OK;
	return status;
}

enum status
file_change_settle(struct file_change *change, struct buf *why)
{
	const struct file_target *target = &change->target;

	if (change->there) {
		if (target_compare(target->path, change->data, change->len, NULL) != OK)
			return why_not(why, CONFLICT, "%s: is there already, with another content", target->path);
		return OK;
	}
	if (change->fd >= 0 && fdatasync(change->fd) != 0)
		return why_not(why, IO_FAILED, "%s: was appended to, but that may not be on disk: %s", target->path, strerror(errno));
	if ((change->fd < 0 || !target->there) && !target_sync_folder(target->folder))
		return why_not(why, IO_FAILED, "%s: was written, but may not be on disk: %s", target->path, strerror(errno));
	return OK;
}

void
file_change_release(struct file_change *change)
{
	if (change->prepared && change->fd < 0 && (!change->made || change->there))
		unlink(change->target.temporary);
	if (change->fd >= 0)
		close(change->fd);
	change->fd = -1;
	change->prepared = false;
}
