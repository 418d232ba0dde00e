#include "os/process.h"

#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANCESTORS_MAX 64
#define FIELDS_BETWEEN 17 /* of /proc/PID/stat, after the parent and before the start */

/* Programs that only stand between an agent and its hook. */
static const char *const wrappers[] = {"sh",     "bash",   "dash", "zsh",     "ksh",     "fish",    "ash",   "busybox",
                                       "env",    "nice",   "sudo", "su",      "timeout", "setsid",  "nohup", "xargs",
                                       "ionice", "stdbuf", "time", "runuser", "script",  "chronic", "stile", "stile-full"};

static bool
is_wrapper(const char *name)
{
	for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
		if (str_equal(wrappers[i], name))
			return true;
	return false;
}

/* This boot and pid namespace, read once: they don't change in the life of a process. */
static enum status
here(struct process *out)
{
	static _Thread_local struct process known;
	struct stat space;

	if (known.space == 0) {
		if (clock_boot_name(known.boot) != OK || stat("/proc/self/ns/pid", &space) != 0)
			return IO_FAILED;
		known.space = (int64_t)space.st_ino;
	}
	*out = known;
	return OK;
}

/* Takes apart "pid (name) S ppid ... start ...": the name may hold anything, so it ends at the last ')'. */
static enum status
parse_stat(char *line, struct process *out, int64_t *ppid, char name[16])
{
	char *open = strchr(line, '('), *close = strrchr(line, ')'), *at, state;
	unsigned long long start;
	long long parent;

	if (open == NULL || close == NULL || close < open || close[1] != ' ' || close[2] == '\0' || close[3] != ' ')
		return IO_FAILED;
	state = close[2];
	parent = strtoll(close + 3, &at, 10);
	/* by hand: sscanf is fifty times as dear, and every hook does this */
	for (int i = 0; i < FIELDS_BETWEEN && *at == ' '; i++)
		at += 1 + strcspn(at + 1, " ");
	if (*at != ' ' || at[1] < '0' || at[1] > '9')
		return IO_FAILED;
	start = strtoull(at, NULL, 10);
	if (state == 'Z' || state == 'X')
		return NO_SUCH;
	out->start = (int64_t)start;
	if (ppid != NULL)
		*ppid = parent;
	if (name != NULL) {
		*close = '\0';
		snprintf(name, 16, "%.15s", open + 1);
	}
	return OK;
}

/* What can't be seen need not be gone: /proc may hide other users' processes, or no descriptor be left to look with. */
static enum status
unseen(int64_t pid, int error)
{
	if (error == ESRCH || (error == ENOENT && kill((pid_t)pid, 0) != 0 && errno == ESRCH))
		return NO_SUCH;
	return IO_FAILED;
}

enum status
process_read(int64_t pid, struct process *out, int64_t *ppid, char name[16])
{
	struct process found;
	char path[40], line[1024];
	ssize_t got;
	int fd, error;

	if (here(&found) != OK)
		return IO_FAILED;
	if (pid <= 0 || pid > INT32_MAX)
		return NO_SUCH;
	found.pid = pid;
	snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return unseen(pid, errno);
	got = read(fd, line, sizeof line - 1);
	error = errno;
	close(fd);
	if (got <= 0)
		return unseen(pid, got < 0 ? error : EIO);
	line[got] = '\0';
	enum status status = parse_stat(line, &found, ppid, name);
	if (status == OK)
		*out = found;
	return status;
}

bool
process_same(const struct process *a, const struct process *b)
{
	return a->pid == b->pid && a->start == b->start && a->space == b->space && str_equal(a->boot, b->boot);
}

/* The part of a boot's name before the time namespace: the boot itself. */
static bool
same_boot(const char *a, const char *b)
{
	size_t len = strcspn(a, ".");

	return len == strcspn(b, ".") && memcmp(a, b, len) == 0;
}

bool
process_is_of_this_boot(const struct process *process)
{
	struct process now;

	return here(&now) == OK && same_boot(now.boot, process->boot);
}

enum liveness
process_liveness(const struct process *process)
{
	struct process now;
	enum status status;

	if (process->pid <= 0 || here(&now) != OK)
		return LIVENESS_UNKNOWN;
	if (!same_boot(now.boot, process->boot))
		return LIVENESS_DEAD;
	if (now.space != process->space)
		return LIVENESS_UNKNOWN;
	status = process_read(process->pid, &now, NULL, NULL);
	if (status == NO_SUCH)
		return LIVENESS_DEAD;
	if (status != OK)
		return LIVENESS_UNKNOWN;
	if (now.start == process->start)
		return LIVENESS_ALIVE;
	/* start times are counted on the time namespace's own clock */
	return str_equal(now.boot, process->boot) ? LIVENESS_DEAD : LIVENESS_UNKNOWN;
}

const char *
liveness_name(enum liveness liveness)
{
	return liveness == LIVENESS_ALIVE ? "alive" : liveness == LIVENESS_DEAD ? "dead" : "unknown";
}

static int64_t stood_for;

void
process_stand_for(int64_t parent)
{
	stood_for = parent;
}

static int64_t
first_ancestor(void)
{
	return stood_for > 0 ? stood_for : getppid();
}

enum status
process_agent(struct process *out)
{
	int64_t pid = first_ancestor(), ppid;
	char name[16];

	for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++, pid = ppid) {
		struct process found;

		if (process_read(pid, &found, &ppid, name) != OK)
			return NO_SUCH;
		if (!is_wrapper(name)) {
			*out = found;
			return OK;
		}
	}
	return NO_SUCH;
}

size_t
process_ancestors(struct process *out, size_t max)
{
	int64_t pid = first_ancestor(), ppid;
	size_t count = 0;

	while (count < max && pid > 0 && process_read(pid, &out[count], &ppid, NULL) == OK) {
		pid = ppid;
		count++;
	}
	return count;
}

/* Whether the process works in `folder` or below, as far as we may see it. */
static bool
works_in(int64_t pid, const char *folder)
{
	char path[40], cwd[4096];
	size_t len = strlen(folder);
	ssize_t got;

	snprintf(path, sizeof path, "/proc/%lld/cwd", (long long)pid);
	got = readlink(path, cwd, sizeof cwd - 1);
	if (got <= 0)
		return false;
	cwd[got] = '\0';
	return str_starts(cwd, folder) && (cwd[len] == '\0' || cwd[len] == '/');
}

size_t
process_named(const char *name, const char *folder, struct process *out, size_t max)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char found[16];
	size_t count = 0;
	int64_t pid;

	while (proc != NULL && count < max && (entry = readdir(proc)) != NULL)
		if (str_integer(entry->d_name, 1, INT64_MAX, &pid) == OK && process_read(pid, &out[count], NULL, found) == OK &&
		    str_equal(found, name) && works_in(pid, folder))
			count++;
	if (proc != NULL)
		closedir(proc);
	return count;
}
