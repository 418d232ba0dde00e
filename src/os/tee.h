/*
 * What a command prints is passed on untouched, as it comes, and kept besides.  A process of its own does it: neither is the command
 * held up by us, nor we by who reads slowly.
 */
#ifndef OS_TEE_H
#define OS_TEE_H

#include "base/buf.h"

#include <stdint.h>
#include <sys/types.h>

struct tee {
	int to;    /* where it is passed on to */
	int into;  /* what the command is to write to; -1 = closed */
	int kept;  /* a file in memory */
	int pidfd; /* readable when all was passed on */
};

/* Passes on to the descriptor `to`, keeping the first `max` bytes.  IO_FAILED with `why`. */
enum status tee_begin(struct tee *tee, int to, size_t max, struct buf *why) MUST_CHECK;

/* In the command's process, before it becomes the command. */
void tee_child(const struct tee *tee);

/* After the command was made. */
void tee_started(struct tee *tee);

/*
 * After the command has ended: waits for the rest at most `limit_ms` (who it left running may go on printing) and adds what
 * was kept to `out`, as much as fits.
 */
void tee_end(struct tee *tee, int64_t limit_ms, struct buf *out);

#endif
