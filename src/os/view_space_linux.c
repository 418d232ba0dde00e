/* The child of a view: its namespaces, its mounts, and what it becomes. */
#include "os/view_parts.h"

#include "base/str.h"
#include "os/attend.h"
#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SPACE_MAX (BOOT_MAX + 32)

extern char **environ;

static _Noreturn void
fail(int report, enum view_stage stage)
{
	struct view_report said = {.stage = stage, .error = errno};
	ssize_t done = write(report, &said, sizeof said);

	_exit(done == (ssize_t)sizeof said ? 126 : 125);
}

static bool
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return done;
}

/* We are inside who we are outside: one id of each kind is all that an ordinary user may map. */
static bool
keep_ids(uid_t user, gid_t group)
{
	char map[64];
	bool done;

	snprintf(map, sizeof map, "%lu %lu 1\n", (unsigned long)user, (unsigned long)user);
	done = write_text("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "%lu %lu 1\n", (unsigned long)group, (unsigned long)group);
	/* without that a group that denies could be left */
	return done && write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/gid_map", map);
}

static bool
enter_space(void)
{
	uid_t user = geteuid();
	gid_t group = getegid();

	if (unshare(CLONE_NEWNS) == 0)
		return true;
	if (errno != EPERM)
		return false;
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && keep_ids(user, group);
}

static bool
bind(const char *from, const char *to)
{
	return mount(from, to, NULL, MS_BIND | MS_REC, NULL) == 0;
}

static bool
bind_folders(const struct view_private *private)
{
	char from[PATH_SIZE + VIEW_NAME_SIZE], to[PATH_SIZE + VIEW_NAME_SIZE];

	for (size_t i = 0; i < private->entry_count; i++) {
		if (private->entries[i].kind != VIEW_BOUND)
			continue;
		snprintf(from, sizeof from, "%s/%s", private->beneath, private->entries[i].name);
		snprintf(to, sizeof to, "%s/%s", private->cover, private->entries[i].name);
		/* one that was removed just now is removed here too */
		if (!bind(from, to) && (errno != ENOENT || rmdir(to) != 0))
			return false;
	}
	return true;
}

/* Opens the folder as this namespace has it: it must be the one that was looked at. */
static int
open_again(const struct view_private *private, int report)
{
	int fd = open(private->folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat then, now;

	if (fd < 0 || fstat(fd, &now) != 0 || fstat(private->real_fd, &then) != 0 || now.st_ino != then.st_ino ||
	    now.st_dev != then.st_dev)
		fail(report, VIEW_STAGE_REPLACED);
	return fd;
}

static void
mount_all(const struct view_private *private, int report)
{
	char real[40];
	int fd;

	/* mounts made outside still come in, ours never go out */
	if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
		fail(report, VIEW_STAGE_MOUNT);
	fd = open_again(private, report);
	snprintf(real, sizeof real, "/proc/self/fd/%d", fd);
	if (!bind(real, private->beneath) || !bind_folders(private) || !bind(private->cover, real))
		fail(report, VIEW_STAGE_MOUNT);
	close(fd);
}

/* execvp would hand a file without #! to a shell. */
static void
become(char *const argv[])
{
	const char *path = getenv("PATH");
	char file[PATH_SIZE];
	int error = ENOENT, tried;

	if (strchr(argv[0], '/') != NULL) {
		execve(argv[0], argv, environ);
		return;
	}
	for (path = path == NULL ? "/usr/local/bin:/usr/bin:/bin" : path; *argv[0] != '\0';) {
		size_t len = strcspn(path, ":");

		if (len + 1 + strlen(argv[0]) < sizeof file) {
			snprintf(file, sizeof file, "%.*s%s%s", (int)len, path, len == 0 ? "" : "/", argv[0]);
			execve(file, argv, environ);
			/* one that is there and can't be run is told of rather than none */
			tried = errno;
			if (tried != ENOENT && tried != ENOTDIR && access(file, F_OK) == 0)
				error = tried;
			if (error != ENOENT && error != EACCES)
				break;
		}
		if (path[len] == '\0')
			break;
		path += len + 1;
	}
	errno = error;
}

void
view_enter(const struct view_private *private, char *const argv[], const struct attend *attend, pid_t parent, int report)
{
	char cwd[PATH_SIZE];
	/* what is under the mount would still be our folder */
	bool moves = getcwd(cwd, sizeof cwd) != NULL;

	if (!enter_space())
		fail(report, VIEW_STAGE_SPACE);
	/* after that, since a new user namespace forgets it; a parent that died before is not told of */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		fail(report, VIEW_STAGE_FOLDER);
	if (!view_space_write(private))
		fail(report, VIEW_STAGE_FOLDER);
	mount_all(private, report);
	if (moves && chdir(cwd) != 0)
		fail(report, VIEW_STAGE_FOLDER);
	attend_child(attend);
	become(argv);
	fail(report, VIEW_STAGE_RUN);
}

/* "BOOT INODE" of the mount namespace of process `pid`. */
static bool
space_of(const char *pid, char out[SPACE_MAX])
{
	char path[300], boot[BOOT_MAX];
	struct stat space;

	snprintf(path, sizeof path, "/proc/%.255s/ns/mnt", pid);
	if (stat(path, &space) != 0 || clock_boot_name(boot) != OK)
		return false;
	snprintf(out, SPACE_MAX, "%s %llu", boot, (unsigned long long)space.st_ino);
	return true;
}

bool
view_space_write(const struct view_private *private)
{
	char path[PATH_SIZE + 8], space[SPACE_MAX];

	snprintf(path, sizeof path, "%s/space", private->path);
	/* whoever the store belongs to may have to end what root leaves */
	return space_of("self", space) && write_text(path, space) && file_give(path, NULL) == OK;
}

static bool
read_space(const char *folder, char out[SPACE_MAX])
{
	char path[PATH_SIZE + 8];
	ssize_t got;
	int fd;

	snprintf(path, sizeof path, "%s/space", folder);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, out, SPACE_MAX - 1);
	if (fd >= 0)
		close(fd);
	if (got <= 0)
		return false;
	out[got] = '\0';
	return true;
}

/* Whether the real folder is to be found beneath that private folder there: a namespace's number is soon another's. */
static bool
has_mounts(const char *pid, const char *folder)
{
	char path[300], beneath[PATH_SIZE + 16];
	const char *id = strrchr(folder, '/');
	size_t size = 0;
	char *line = NULL;
	bool found = false;
	FILE *mounts;

	snprintf(path, sizeof path, "/proc/%.255s/mountinfo", pid);
	snprintf(beneath, sizeof beneath, "%s/beneath ", id == NULL ? folder : id);
	mounts = fopen(path, "re");
	while (mounts != NULL && !found && getline(&line, &size, mounts) > 0)
		found = strstr(line, beneath) != NULL;
	if (mounts != NULL)
		fclose(mounts);
	free(line);
	return found;
}

bool
view_space_lives(const char *folder)
{
	char wanted[SPACE_MAX], found[SPACE_MAX];
	struct dirent *entry;
	bool lives = false;
	DIR *proc;

	/* nobody came so far as to be in one */
	if (!read_space(folder, wanted))
		return false;
	proc = opendir("/proc");
	while (proc != NULL && !lives && (entry = readdir(proc)) != NULL)
		lives = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && space_of(entry->d_name, found) &&
		        str_equal(found, wanted) && has_mounts(entry->d_name, folder);
	if (proc != NULL)
		closedir(proc);
	return lives;
}
