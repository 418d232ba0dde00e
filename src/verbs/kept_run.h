/*
 * Runs a command under something that must be kept for it: a lease, a claim.  The command holds the anchor too, is sent KILL when
 * we die, and is ended (TERM, then KILL) when what it runs under is lost.  Blocks.
 */
#ifndef VERBS_KEPT_RUN_H
#define VERBS_KEPT_RUN_H

#include "base/status.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define KEPT_ENV_MAX 8
#define KEPT_LIMIT_MS 2000 /* for the store, at each look */
#define KEPT_LOST 123

struct kept {
	/*
	 * Called after each next_ms: keeps it, if it is time to; with `late` in any case.  A positive status but BUSY is a loss; any
	 * other failure is tried again while left_ms is not used up.
	 */
	enum status (*keep)(void *arg, bool late, struct buf *why);
	int64_t (*next_ms)(const void *arg);
	int64_t (*left_ms)(const void *arg); /* for so long it is surely ours */
	void *arg;
	int anchor; /* its descriptor */
};

struct kept_command {
	char *const *words;
	bool alone;                    /* it doesn't hold the anchor, nor does what it leaves running */
	const char *env[KEPT_ENV_MAX]; /* as in launch_env */
	/* In its process, before it is the command, with our memory: whether it can be.  NULL = nothing. */
	bool (*in_child)(void *arg);
	void (*started)(void *arg); /* when it was made, or couldn't be; NULL = nothing */
	void *arg;
};

/*
 * *exit: its status as a shell gives it; 126, 127 when it can't be run, which is told on stderr, and *unrunnable is set (may be
 * NULL).  HELD: lost, *exit is KEPT_LOST.  IO_FAILED: it was not run.
 */
enum status kept_run(const struct kept *kept, const struct kept_command *command, int *exit, bool *unrunnable,
                     struct buf *why) MUST_CHECK;

#endif
