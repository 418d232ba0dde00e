/*
 * Which process it is, so that a later reader can tell whether that one still runs: pid, start time, boot and pid namespace.
 * A pid alone is used again; a signal proves nothing (a zombie takes one, another user's process refuses one).
 */
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include "base/buf.h"
#include "os/clock.h"

#include <stdbool.h>
#include <stdint.h>

struct process {
	int64_t pid;   /* in its own namespace; 0 = not known */
	int64_t start; /* clock ticks since the boot */
	int64_t space; /* inode of its pid namespace */
	char boot[BOOT_MAX];
};

enum liveness { LIVENESS_UNKNOWN, LIVENESS_DEAD, LIVENESS_ALIVE };

/*
 * Process `pid` as this process sees it.  NO_SUCH when it isn't there or is a zombie; IO_FAILED when that can't be told.
 * `ppid` and `name` (16 bytes, the kernel's `comm`) may be NULL.
 */
enum status process_read(int64_t pid, struct process *out, int64_t *ppid, char name[16]) MUST_CHECK;

bool process_same(const struct process *a, const struct process *b);

/*
 * DEAD: its boot is over, or no such pid here, or the pid is a zombie or started at another time.  ALIVE: it runs.
 * UNKNOWN: it is of another pid namespace, hidden or not known at all, and only a deadline can tell.
 */
enum liveness process_liveness(const struct process *process);

/* Whether it is of the boot that runs here: else only one who knows that there is no other machine can tell its boot over. */
bool process_is_of_this_boot(const struct process *process);
const char *liveness_name(enum liveness liveness);

/*
 * The agent that called us: the nearest ancestor which is neither a shell nor a wrapper (env, timeout, nice, sudo, ...), so
 * the one that outlives this hook.  NO_SUCH when we were called by the first process or nobody.
 */
enum status process_agent(struct process *out) MUST_CHECK;

/* Every process called `name` (the kernel's `comm`) of this user whose working folder is `folder` or below: at most `max`. */
size_t process_named(const char *name, const char *folder, struct process *out, size_t max);

/* From now on our ancestors are `parent`, a process's that we act for, and its own; 0: ours again. */
void process_stand_for(int64_t parent);

/* Our ancestors, nearest first, at most `max`; the number found. */
size_t process_ancestors(struct process *out, size_t max);

#endif
