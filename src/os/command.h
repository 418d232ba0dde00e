/*
 * One program, run to its end without a shell, its input given and its output kept.
 */
#ifndef OS_COMMAND_H
#define OS_COMMAND_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct command_result {
	int exit; /* its status, or 128 + the signal that ended it; 127 when it could not be started */
	struct buf out;
	struct buf err;
};

/*
 * Runs argv[0] (a path, not looked up) with our environment, in the folder we are in.  Killed after `limit_ms`: BUSY.  IO_FAILED
 * when no process could be made.  What it prints past each buffer's maximum is cut.  *result's buffers are the caller's.
 */
enum status command_run(char *const argv[], const char *input, int64_t limit_ms, struct command_result *result,
                        struct buf *why) MUST_CHECK;

#endif
