#include "serve/ask.h"

#include "os/file.h"
#include "os/resident.h"
#include "serve/request.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY_MAX ((size_t)32 << 10)

/* Copies all that stdin gives into `file`, whose size is then how much that was, whatever of it was kept.  False: nothing was read. */
static bool
copy_stdin(int file, size_t max)
{
	static char bytes[64 << 10];
	size_t len = 0;
	ssize_t got;

	while ((got = read(STDIN_FILENO, bytes, sizeof bytes)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		if (len < max && !file_write_all(file, bytes, (size_t)got))
			break;
		len += (size_t)got;
	}
	if (got < 0 && len == 0)
		return false;
	return ftruncate(file, (off_t)len) == 0 && lseek(file, 0, SEEK_SET) == 0;
}

/*
 * What stdin gives, in memory: read before anybody is asked, so that one who never writes keeps no worker, and what was read is
 * there for whoever does the work.  -1: stdin was not touched.
 */
static int
keep_stdin(size_t max)
{
	int file = memfd_create("stdin", MFD_CLOEXEC);

	if (file > STDERR_FILENO && copy_stdin(file, max))
		return file;
	if (file >= 0)
		close(file);
	return -1;
}

/* Whether something came, or the other end is gone, within `limit_ms`. */
static bool
wait_for(int connection, int limit_ms)
{
	struct pollfd there = {.fd = connection, .events = POLLIN};
	int count;

	do
		count = poll(&there, 1, limit_ms);
	while (count < 0 && errno == EINTR);
	return count > 0;
}

static bool
answer_of(int connection, int *exit_status)
{
	unsigned char answer;

	if (recv(connection, &answer, 1, MSG_DONTWAIT) != 1)
		return false;
	*exit_status = answer;
	return true;
}

static enum asked
await(int connection, int ticket, int *exit_status)
{
	if (wait_for(connection, SERVE_BEGIN_MS) && answer_of(connection, exit_status))
		return ASKED_DONE;
	if (request_take(ticket))
		return ASKED_NOBODY;
	return wait_for(connection, SERVE_ANSWER_MS) && answer_of(connection, exit_status) ? ASKED_DONE : ASKED_LOST;
}

static bool
relay(int file, int to)
{
	char bytes[8192];
	ssize_t got;

	if (lseek(file, 0, SEEK_SET) != 0)
		return false;
	while ((got = read(file, bytes, sizeof bytes)) > 0)
		if (!file_write_all(to, bytes, (size_t)got))
			return false;
	return got == 0;
}

static bool
open_all(int event, int fds[REQUEST_FDS])
{
	bool all = true;

	fds[REQUEST_STDIN] = event;
	/* never our own: one in a message that nobody receives would be open for as long, and who reads it would wait for its end */
	fds[REQUEST_STDOUT] = memfd_create("stdout", MFD_CLOEXEC);
	fds[REQUEST_STDERR] = memfd_create("stderr", MFD_CLOEXEC);
	fds[REQUEST_FOLDER] = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fds[REQUEST_TICKET] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	for (size_t i = 0; i < REQUEST_FDS; i++)
		all = all && fds[i] > STDERR_FILENO;
	return all;
}

static enum asked
ask(int connection, const char *program, int event, int count, char *const *words, int64_t began_boot_ms, int *exit_status)
{
	int fds[REQUEST_FDS], status = 1;
	enum asked asked = ASKED_NOBODY;
	struct buf key;

	buf_init(&key, KEY_MAX);
	if (open_all(event, fds) && request_key(program, &key) == OK &&
	    request_send(connection, &key, count, words, began_boot_ms, fds))
		asked = await(connection, fds[REQUEST_TICKET], &status);
	if (asked == ASKED_DONE) {
		bool said = relay(fds[REQUEST_STDOUT], STDOUT_FILENO);

		said = relay(fds[REQUEST_STDERR], STDERR_FILENO) && said;
		*exit_status = said || status == 2 ? status : 1;
	}
	buf_release(&key);
	for (size_t i = REQUEST_STDOUT; i < REQUEST_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return asked;
}

enum asked
serve_ask(const char *folder, const char *program, int count, char *const *words, int64_t began_boot_ms, size_t max,
          int *exit_status)
{
	enum asked asked = ASKED_NOBODY;
	int event, connection;

	if (!resident_is_likely(folder))
		return ASKED_NOBODY;
	event = keep_stdin(max);
	if (event < 0)
		return ASKED_NOBODY;
	connection = resident_reach(folder);
	if (connection > STDERR_FILENO)
		asked = ask(connection, program, event, count, words, began_boot_ms, exit_status);
	if (connection >= 0)
		close(connection);
	if (asked != ASKED_DONE) {
		lseek(event, 0, SEEK_SET);
		dup2(event, STDIN_FILENO);
	}
	close(event);
	return asked;
}
