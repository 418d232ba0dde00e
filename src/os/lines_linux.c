#include "os/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP ((size_t)64 << 10)

enum status
lines_open(struct lines *lines, const char *path, size_t line_max, struct buf *why)
{
	struct stat file;

	*lines = (struct lines){.path = path, .line_max = line_max};
	buf_init(&lines->piece, line_max + 2 * STEP);
	/* without O_NONBLOCK a pipe of that name would hold us here */
	lines->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (lines->fd < 0)
		return why_not(why, errno == ENOENT || errno == ENOTDIR ? NO_SUCH : IO_FAILED, "%s: %s", path, strerror(errno));
	if (fstat(lines->fd, &file) != 0)
		return why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	return S_ISREG(file.st_mode) ? OK : why_not(why, IO_FAILED, "%s: is not a file", path);
}

void
lines_close(struct lines *lines)
{
	if (lines->fd >= 0)
		close(lines->fd);
	lines->fd = -1;
	buf_release(&lines->piece);
}

enum status
lines_again(struct lines *lines, struct buf *why)
{
	lines->piece.len = lines->at = lines->looked = 0;
	lines->number = 0;
	return lseek(lines->fd, 0, SEEK_SET) == 0 ? OK : why_not(why, IO_FAILED, "%s: %s", lines->path, strerror(errno));
}

/* Adds what the file has next.  *end when that is nothing. */
static enum status
read_more(struct lines *lines, bool *end, struct buf *why)
{
	struct buf *piece = &lines->piece;
	char *room;
	ssize_t got;

	if (lines->at > 0)
		memmove(piece->data, piece->data + lines->at, piece->len - lines->at);
	piece->len -= lines->at;
	lines->at = 0;
	room = buf_room(piece, STEP);
	if (room == NULL)
		return why_not(why, NO_MEMORY, "%s: out of memory", lines->path);
	do
		got = read(lines->fd, room, STEP);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return why_not(why, IO_FAILED, "%s: %s", lines->path, strerror(errno));
	*end = got == 0;
	buf_grew(piece, (size_t)got);
	return OK;
}

static enum status
give(struct lines *lines, size_t len, bool whole, const char **text, size_t *out, struct buf *why)
{
	lines->number++;
	if (len > lines->line_max)
		return why_not(why, BAD_INPUT, "%s: line %lld is longer than %zu bytes", lines->path, (long long)lines->number,
		               lines->line_max);
	*text = lines->piece.data + lines->at;
	*out = len;
	lines->whole = whole;
	lines->at += len + whole;
	lines->looked = 0;
	return OK;
}

enum status
lines_next(struct lines *lines, const char **text, size_t *len, struct buf *why)
{
	struct buf *piece = &lines->piece;
	bool end = false;

	for (;;) {
		const char *from = piece->data + lines->at;
		size_t left = piece->len - lines->at;
		const char *newline = left > lines->looked ? memchr(from + lines->looked, '\n', left - lines->looked) : NULL;
		enum status status;

		if (newline != NULL)
			return give(lines, (size_t)(newline - from), true, text, len, why);
		if (end || left > lines->line_max)
			return left == 0 ? NO_SUCH : give(lines, left, false, text, len, why);
		lines->looked = left;
		status = read_more(lines, &end, why);
		if (status != OK)
			return status;
	}
}
