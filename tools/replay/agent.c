#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_LIMIT ((size_t)16 << 20)
#define TROUBLE 127 /* told as a hook's status when the agent itself could not do its part */

static bool
write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t wrote = write(fd, data, len);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return false;
		data += wrote;
		len -= (size_t)wrote;
	}
	return true;
}

/* Makes the folders that `path` stands in. */
static void
make_folders(const char *path)
{
	char folder[PATH_SIZE];
	size_t len = strlen(path);

	if (len >= sizeof folder)
		return;
	for (size_t i = 1; i < len; i++)
		if (path[i] == '/') {
			memcpy(folder, path, i);
			folder[i] = '\0';
			mkdir(folder, 0700);
		}
}

/* What the model said since the last event: objects as lines of JSON, texts as they stand. */
static bool
append_records(const char *path, const json_t *records)
{
	const json_t *record;
	struct buf text;
	size_t i;
	bool done;
	int fd;

	if (json_array_size(records) == 0)
		return true;
	make_folders(path);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	buf_init(&text, TEXT_LIMIT);
	json_array_foreach(records, i, record)
	{
		if (json_is_string(record))
			buf_text(&text, json_string_value(record));
		else
			json_write(&text, record);
		buf_text(&text, "\n");
	}
	done = fd >= 0 && buf_status(&text) == OK && write_all(fd, text.data, text.len);
	if (fd >= 0)
		close(fd);
	buf_release(&text);
	return done;
}

static _Noreturn void
be_hook(const struct setting *setting, bool status_line, int input)
{
	int output = open("/dev/null", O_WRONLY);

	if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0)
		_exit(TROUBLE);
	if (status_line)
		execl(setting->program, "stile", "statusline", (char *)NULL);
	else
		execl(setting->program, "stile", "hook", "claude", (char *)NULL);
	_exit(TROUBLE);
}

/* One hook process, as the client starts it: the payload on its stdin.  Its status. */
static int
call_hook(const struct setting *setting, const json_t *line)
{
	bool status_line, written;
	const json_t *payload = line_payload(line, &status_line);
	int input[2], status;
	struct buf text;
	pid_t pid;

	if (pipe2(input, O_CLOEXEC) != 0 || (pid = fork()) < 0)
		return TROUBLE;
	if (pid == 0)
		be_hook(setting, status_line, input[0]);
	close(input[0]);
	buf_init(&text, TEXT_LIMIT);
	json_write(&text, payload);
	written = write_all(input[1], text.data, text.len);
	close(input[1]);
	buf_release(&text);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return TROUBLE;
	return written && WIFEXITED(status) ? WEXITSTATUS(status) : TROUBLE;
}

static int
play_line(const struct setting *setting, const json_t *line)
{
	const json_t *of_agent = json_object_get(line, "agent_transcript"), *payload;
	bool status_line;

	payload = line_payload(line, &status_line);
	if (!append_records(json_text(payload, "transcript_path", ""), json_object_get(line, "transcript")))
		return TROUBLE;
	if (of_agent != NULL && !append_records(json_text(of_agent, "path", ""), json_object_get(of_agent, "records")))
		return TROUBLE;
	return call_hook(setting, line);
}

static _Noreturn void
be_agent(const struct setting *setting, const struct stream *stream, int fd)
{
	char word[32];
	size_t next = 0;

	snprintf(word, sizeof word, "agent-%s", stream->name);
	prctl(PR_SET_NAME, word);
	signal(SIGPIPE, SIG_IGN);
	while (read(fd, word, 1) == 1 && next < stream->count) {
		word[0] = (char)play_line(setting, stream->lines[next++]);
		if (write(fd, word, 1) != 1)
			break;
	}
	_exit(0);
}

enum status
agent_start(const struct replay *replay, size_t stream, struct agent *out, struct buf *why)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return why_not(why, IO_FAILED, "no socket: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		be_agent(&replay->setting, &replay->streams[stream], ends[1]);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return why_not(why, NO_MEMORY, "no process: %s", strerror(errno));
	}
	*out = (struct agent){.pid = pid, .fd = ends[0]};
	return OK;
}

void
agent_stop(struct agent *agent)
{
	if (agent->pid <= 0)
		return;
	close(agent->fd);
	/* ours and not yet waited for: it may be in the middle of a hook that stalls */
	kill(agent->pid, SIGKILL);
	while (waitpid(agent->pid, NULL, 0) < 0 && errno == EINTR)
		;
	agent->pid = 0;
}
