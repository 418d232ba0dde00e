/* A file of lines, read one after another, so that of a long one no more is in memory than a line and a piece. */
#ifndef OS_LINES_H
#define OS_LINES_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct lines {
	const char *path; /* the caller's */
	int fd;
	struct buf piece; /* what was read; what was given of it ends at `at` */
	size_t at, looked;
	size_t line_max;
	int64_t number; /* of the line given last, from 1 */
	bool whole;     /* it has its newline; else the file ends in it */
};

/* NO_SUCH, IO_FAILED (also for what isn't a plain file, which is not waited for) with `why`.  Closed by the caller in any case. */
enum status lines_open(struct lines *lines, const char *path, size_t line_max, struct buf *why) MUST_CHECK;

/*
 * The next line without its newline; it is there until the next call.  NO_SUCH at the end.  BAD_INPUT (longer than line_max, naming
 * the line), IO_FAILED, NO_MEMORY with `why`.
 */
enum status lines_next(struct lines *lines, const char **text, size_t *len, struct buf *why) MUST_CHECK;

/* From the first line again.  IO_FAILED. */
enum status lines_again(struct lines *lines, struct buf *why) MUST_CHECK;

void lines_close(struct lines *lines);

#endif
