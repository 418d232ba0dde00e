#include "os/tree.h"

#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINK_SIZE 4097
#define STEP ((size_t)64 << 10)

/* One of the entries of a folder: called with its descriptor and the entry's name. */
typedef bool each_entry(int folder, const char *name, void *arg);

static bool
for_each(int parent, const char *name, each_entry *each, void *arg)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), error;
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry = NULL;
	bool done = folder != NULL;

	while (done && (errno = 0, entry = readdir(folder)) != NULL)
		if (!str_equal(entry->d_name, ".") && !str_equal(entry->d_name, ".."))
			done = each(fd, entry->d_name, arg);
	error = errno;
	done = done && error == 0;
	if (folder != NULL)
		closedir(folder);
	else if (fd >= 0)
		close(fd);
	errno = error;
	return done;
}

static bool remove_at(int folder, const char *name, int depth);

static bool
remove_one(int folder, const char *name, void *arg)
{
	return remove_at(folder, name, *(int *)arg);
}

static bool
remove_at(int folder, const char *name, int depth)
{
	int below = depth + 1;

	if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
		return true;
	if (errno != EISDIR && errno != EPERM)
		return false;
	if (depth >= TREE_DEPTH_MAX) {
		errno = ELOOP;
		return false;
	}
	return for_each(folder, name, remove_one, &below) && unlinkat(folder, name, AT_REMOVEDIR) == 0;
}

bool
tree_remove(int folder, const char *name)
{
	return remove_at(folder, name, 0);
}

static bool
copy_bytes(int from, int to)
{
	char *step = malloc(STEP);
	bool done = step != NULL;
	ssize_t got = 0;

	while (done && (got = read(from, step, STEP)) > 0)
		for (ssize_t at = 0; done && at < got;) {
			ssize_t wrote = write(to, step + at, (size_t)(got - at));

			done = wrote >= 0;
			at += wrote > 0 ? wrote : 0;
		}
	free(step);
	return done && got == 0;
}

/* Owner, mode and times of a copy that is open. */
static bool
dress(int fd, const struct stat *like)
{
	struct timespec times[2] = {like->st_atim, like->st_mtim};

	return (geteuid() != 0 || fchown(fd, like->st_uid, like->st_gid) == 0) && fchmod(fd, like->st_mode & 07777) == 0 &&
	       futimens(fd, times) == 0 && fsync(fd) == 0;
}

static bool
copy_file(int from, const char *name, int to, const char *as, const struct stat *like)
{
	int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int out = in < 0 ? -1 : openat(to, as, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool done = out >= 0 && copy_bytes(in, out) && dress(out, like);
	int error = errno;

	if (out >= 0)
		close(out);
	if (in >= 0)
		close(in);
	errno = error;
	return done;
}

static bool
copy_link(int from, const char *name, int to, const char *as)
{
	char text[LINK_SIZE];
	ssize_t len = readlinkat(from, name, text, sizeof text - 1);

	if (len < 0)
		return false;
	text[len] = '\0';
	return symlinkat(text, to, as) == 0;
}

struct copy {
	int to;
	int depth;
};

static bool copy_at(int from, const char *name, int to, const char *as, int depth);

static bool
copy_one(int from, const char *name, void *arg)
{
	const struct copy *copy = arg;

	return copy_at(from, name, copy->to, name, copy->depth);
}

static bool
copy_folder(int from, const char *name, int to, const char *as, const struct stat *like, int depth)
{
	struct copy copy = {.depth = depth + 1};
	bool done;
	int error;

	if (mkdirat(to, as, 0700) != 0)
		return false;
	copy.to = openat(to, as, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	done = copy.to >= 0 && for_each(from, name, copy_one, &copy) && dress(copy.to, like);
	error = errno;
	if (copy.to >= 0)
		close(copy.to);
	errno = error;
	return done;
}

static bool
copy_at(int from, const char *name, int to, const char *as, int depth)
{
	struct stat there;

	if (fstatat(from, name, &there, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	if (S_ISREG(there.st_mode))
		return copy_file(from, name, to, as, &there);
	if (S_ISLNK(there.st_mode))
		return copy_link(from, name, to, as);
	if (S_ISFIFO(there.st_mode))
		return mkfifoat(to, as, there.st_mode & 07777) == 0;
	if (S_ISDIR(there.st_mode) && depth < TREE_DEPTH_MAX)
		return copy_folder(from, name, to, as, &there, depth);
	errno = S_ISDIR(there.st_mode) ? ELOOP : EOPNOTSUPP;
	return false;
}

bool
tree_move(int from, const char *name, int to, const char *as)
{
	int error;

	if (renameat(from, name, to, as) == 0)
		return true;
	if (errno != EXDEV)
		return false;
	if (copy_at(from, name, to, as, 0))
		return tree_remove(from, name);
	error = errno;
	(void)tree_remove(to, as);
	errno = error;
	return false;
}
