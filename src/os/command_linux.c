#include "os/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Files in memory instead of pipes: nobody has to read while somebody writes. */
struct streams {
	int in, out, err;
};

static void
close_all(struct streams *streams)
{
	close(streams->in);
	close(streams->out);
	close(streams->err);
}

static enum status
open_all(struct streams *streams, const char *input, struct buf *why)
{
	size_t len = strlen(input);

	streams->in = memfd_create("input", MFD_CLOEXEC);
	streams->out = memfd_create("output", MFD_CLOEXEC);
	streams->err = memfd_create("errors", MFD_CLOEXEC);
	if (streams->in >= 0 && streams->out >= 0 && streams->err >= 0 && write(streams->in, input, len) == (ssize_t)len &&
	    lseek(streams->in, 0, SEEK_SET) == 0)
		return OK;
	why_not(why, IO_FAILED, "no memory file: %s", strerror(errno));
	close_all(streams);
	return IO_FAILED;
}

static void
take_output(int fd, struct buf *out)
{
	off_t size = lseek(fd, 0, SEEK_END);
	size_t len = size < 0 ? 0 : (size_t)size > out->max ? out->max : (size_t)size;
	char *room = buf_room(out, len);
	ssize_t got = room == NULL ? -1 : pread(fd, room, len, 0);

	if (got > 0)
		buf_grew(out, (size_t)got);
}

static int
start(char *const argv[], const struct streams *streams, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int error;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, streams->in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, streams->out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, streams->err, STDERR_FILENO);
	error = posix_spawn(pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* Waits for the process; killed when it takes longer.  Whether it ended by itself. */
static bool
wait_for(pid_t pid, int64_t limit_ms, int *status)
{
	struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	bool in_time = ended.fd >= 0 && poll(&ended, 1, (int)limit_ms) == 1;

	if (!in_time)
		kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	if (ended.fd >= 0)
		close(ended.fd);
	return in_time;
}

enum status
command_run(char *const argv[], const char *input, int64_t limit_ms, struct command_result *result, struct buf *why)
{
	struct streams streams;
	enum status status = open_all(&streams, input, why);
	int error, ended = 0;
	pid_t pid;

	if (status != OK)
		return status;
	error = start(argv, &streams, &pid);
	if (error != 0) {
		result->exit = 127;
		buf_printf(&result->err, "%s: %s", argv[0], strerror(error));
	} else if (!wait_for(pid, limit_ms, &ended)) {
		status = why_not(why, BUSY, "%s did not end within %lld ms and was killed", argv[0], (long long)limit_ms);
	} else {
		result->exit = WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : WEXITSTATUS(ended);
		take_output(streams.out, &result->out);
		take_output(streams.err, &result->err);
	}
	close_all(&streams);
	return status;
}
