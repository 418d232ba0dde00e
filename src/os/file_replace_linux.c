#include "os/file_parts.h"

#include "base/str.h"
#include "os/paths.h"
#include "os/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY ".stile-"
#define TEMPORARY_DIGITS 16

/* Where it leads.  A file that is there only when one looks again was made by somebody a moment ago. */
static bool
resolve(const char *path, char out[PATH_SIZE])
{
	struct stat file;

	if (realpath(path, out) != NULL)
		return true;
	return errno == ENOENT && lstat(path, &file) == 0 && !S_ISLNK(file.st_mode) && realpath(path, out) != NULL;
}

enum status
target_resolve(const char *path, struct file_target *target, struct buf *why)
{
	struct stat link;

	if (!resolve(path, target->path)) {
		if (errno != ENOENT && errno != ENOTDIR)
			return why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
		if (lstat(path, &link) == 0 && S_ISLNK(link.st_mode))
			return why_not(why, IO_FAILED, "%s: is a link that leads nowhere", path);
		if (str_copy(target->path, sizeof target->path, path) != OK)
			return why_not(why, IO_FAILED, "the path is too long: %s", path);
	}
	if (paths_parent(target->folder, sizeof target->folder, target->path) != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", path);
	target->there = stat(target->path, &target->file) == 0;
	return OK;
}

enum status
target_name_temporary(struct file_target *target, struct buf *why)
{
	uint64_t random;
	int len;

	if (stat(target->folder, &target->parent) != 0)
		return why_not(why, IO_FAILED, "%s: %s", target->folder, strerror(errno));
	if (random_bytes(&random, sizeof random) != OK)
		return why_not(why, IO_FAILED, "the system has no randomness to give");
	len = snprintf(target->temporary, sizeof target->temporary, "%s/" TEMPORARY "%0*llx", target->folder, TEMPORARY_DIGITS,
	               (unsigned long long)random);
	if (len < 0 || (size_t)len >= sizeof target->temporary)
		return why_not(why, IO_FAILED, "the path is too long: %s", target->path);
	return OK;
}

bool
file_write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t done = write(fd, data, len);

		if (done < 0 && errno != EINTR)
			return false;
		if (done > 0) {
			data += done;
			len -= (size_t)done;
		}
	}
	return true;
}

/* The owner and mode that the new file must have. */
static bool
dress(int fd, const struct file_target *target, mode_t mode)
{
	const struct stat *like = target->there ? &target->file : &target->parent;
	struct stat now;

	if (geteuid() == 0 && fchown(fd, like->st_uid, like->st_gid) != 0)
		return false;
	/* a group that we aren't in can't be kept */
	if (geteuid() != 0 && target->there && fchown(fd, (uid_t)-1, like->st_gid) != 0 && errno != EPERM)
		return false;
	if (target->there)
		return fchmod(fd, like->st_mode & 07777) == 0;
	return fstat(fd, &now) == 0 && fchmod(fd, (now.st_mode & 07777) | (mode & 0700)) == 0;
}

enum status
target_write_temporary(const struct file_target *target, const void *data, size_t len, mode_t mode, struct buf *why)
{
	int fd = open(target->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	int error = 0;

	if (fd < 0)
		return why_not(why, IO_FAILED, "%s: can't be written: %s", target->folder, strerror(errno));
	if (!file_write_all(fd, data, len) || !dress(fd, target, mode) || fsync(fd) != 0)
		error = errno;
	if (close(fd) != 0 && error == 0)
		error = errno;
	return error == 0 ? OK : why_not(why, IO_FAILED, "%s: can't be written: %s", target->path, strerror(error));
}

bool
target_sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	/* some file systems have no such thing as syncing a folder */
	done = fsync(fd) == 0 || errno == EINVAL;
	close(fd);
	return done;
}

enum status
target_compare(const char *path, const void *data, size_t len, struct buf *why)
{
	struct buf now;
	enum status status;

	buf_init(&now, len);
	status = file_read(path, &now, why);
	if (data == NULL)
		status = status == NO_SUCH ? OK : CONFLICT;
	else if (status == NO_SUCH || status == BAD_INPUT || (status == OK && (now.len != len || memcmp(now.data, data, len) != 0)))
		status = CONFLICT;
	buf_release(&now);
	if (status == CONFLICT)
		return why_not(why, CONFLICT, "%s: somebody else wrote it at the same moment; try again", path);
	return status;
}

static enum status
replace(const struct file_target *target, const struct file_seen *seen, const void *data, size_t len, mode_t mode,
        struct buf *why)
{
	enum status status = target_write_temporary(target, data, len, mode, why);

	if (status == OK && seen != NULL)
		status = target_compare(target->path, seen->data, seen->len, why);
	if (status == OK && rename(target->temporary, target->path) != 0)
		status = why_not(why, IO_FAILED, "%s: can't be replaced: %s", target->path, strerror(errno));
	if (status != OK) {
		unlink(target->temporary);
		return status;
	}
	if (!target_sync_folder(target->folder))
		return why_not(why, IO_FAILED, "%s: was replaced, but may not be on disk: %s", target->path, strerror(errno));
	return target_compare(target->path, data, len, why);
}

enum status
file_replace_seen(const char *path, const struct file_seen *seen, const void *data, size_t len, mode_t mode, struct buf *why)
{
	struct file_target target;
	enum status status = target_resolve(path, &target, why);

	if (status == OK)
		status = target_name_temporary(&target, why);
	return status == OK ? replace(&target, seen, data, len, mode, why) : status;
}

enum status
file_replace(const char *path, const void *data, size_t len, mode_t mode, struct buf *why)
{
	return file_replace_seen(path, NULL, data, len, mode, why);
}

static int
is_temporary(const struct dirent *entry)
{
	size_t len = sizeof TEMPORARY - 1;

	return str_starts(entry->d_name, TEMPORARY) && strspn(entry->d_name + len, "0123456789abcdef") == TEMPORARY_DIGITS &&
	       entry->d_name[len + TEMPORARY_DIGITS] == '\0';
}

void
file_sweep(const char *path)
{
	char left[PATH_SIZE + sizeof(struct dirent)];
	struct file_target target;
	struct dirent **names;
	int count = target_resolve(path, &target, NULL) == OK ? scandir(target.folder, &names, is_temporary, alphasort) : -1;

	for (int i = 0; i < count; i++) {
		snprintf(left, sizeof left, "%s/%s", target.folder, names[i]->d_name);
		unlink(left);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
}

enum status
target_check_file(const struct file_target *target, struct buf *why)
{
	uid_t me = geteuid();

	if (!S_ISREG(target->file.st_mode))
		return why_not(why, IO_FAILED, "%s: is not a file", target->path);
	if (target->file.st_uid != me && !(me == 0 && target->file.st_uid == target->parent.st_uid))
		return why_not(why, IO_FAILED, "%s: belongs to another user (uid %u); run this as that one", target->path,
		               (unsigned)target->file.st_uid);
	/* a rename asks only the folder, and root is never asked: but who marked it read-only meant it */
	if ((target->file.st_mode & 0222) == 0)
		return why_not(why, IO_FAILED, "%s: is read-only; allow it with: chmod u+w", target->path);
	return OK;
}

enum status
file_may_replace(const char *path, struct buf *why)
{
	struct file_target target;
	enum status status = target_resolve(path, &target, why);

	if (status != OK)
		return status;
	while (stat(target.folder, &target.parent) != 0) {
		char *slash = strrchr(target.folder, '/');
		struct stat link;

		if (lstat(target.folder, &link) == 0)
			return why_not(why, IO_FAILED, "%s: is a link that leads nowhere", target.folder);
		if (errno != ENOENT || slash == NULL || slash == target.folder)
			return why_not(why, IO_FAILED, "%s: %s", target.folder, strerror(errno));
		*slash = '\0';
	}
	if (!S_ISDIR(target.parent.st_mode))
		return why_not(why, IO_FAILED, "%s: is not a folder", target.folder);
	if (faccessat(AT_FDCWD, target.folder, W_OK | X_OK, AT_EACCESS) != 0)
		return why_not(why, IO_FAILED, "%s: can't be written: %s", target.folder, strerror(errno));
	return target.there ? target_check_file(&target, why) : OK;
}

enum status
file_remove(const char *path, struct buf *why)
{
	char folder[PATH_SIZE];

	if (paths_parent(folder, sizeof folder, path) != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", path);
	if (unlink(path) != 0)
		return why_not(why, errno == ENOENT ? NO_SUCH : IO_FAILED, "%s: can't be removed: %s", path, strerror(errno));
	if (!target_sync_folder(folder))
		return why_not(why, IO_FAILED, "%s: was removed, but may come back: %s", path, strerror(errno));
	return OK;
}
