/* All the files of a codebase that `init` changes, and the lock under which it does. */
#ifndef VERBS_INSTALL_SET_H
#define VERBS_INSTALL_SET_H

#include "verbs/install_file.h"
#include "verbs/verb.h"

struct install_set {
	const struct context *context;
	struct install_file *files;
	size_t count;
	size_t cap;
};

/* Finds them, unread.  *out is to be released whatever is returned. */
enum status install_set_find(const struct context *context, struct install_set *out, struct buf *why) MUST_CHECK;
void install_set_release(struct install_set *set);

/* Plans all, or the first failure. */
enum status install_set_plan(struct install_set *set, struct buf *why) MUST_CHECK;
enum status install_set_plan_undo(struct install_set *set, struct buf *why) MUST_CHECK;

/* Does what was planned; the first failure, with `why` saying that others may have been changed. */
enum status install_set_carry_out(struct install_set *set, struct buf *why) MUST_CHECK;
enum status install_set_undo(struct install_set *set, struct buf *why) MUST_CHECK;

/* Adds what became of each to `result`: worktrees, exclude, changed, note. */
void install_set_tell(const struct install_set *set, json_t *result);

/*
 * The folder of what is remembered: `undo` in the store's; in one of it where several clones share a store.  A file in it by
 * its name.  BAD_INPUT when the path is too long.
 */
enum status install_records(const struct context *context, const char *name, char out[PATH_SIZE]) MUST_CHECK;

/* Takes the lock; *fd holds it until close.  NO_SUCH when the store's folder isn't there; else as file_lock. */
enum status install_lock(const struct context *context, int64_t wait_ms, int *fd, struct buf *why) MUST_CHECK;

/* The same for who can do without a store: then *fd is -1 and nothing keeps one from being made meanwhile. */
enum status install_lock_if_there(const struct context *context, int *fd, struct buf *why) MUST_CHECK;

/* install_guard with hooks and install_undo (install.h), for who holds the lock. */
enum status install_guard_locked(struct context *context, json_t *result, struct buf *why) MUST_CHECK;
enum status install_undo_locked(struct context *context, json_t *result, struct buf *why) MUST_CHECK;

#endif
