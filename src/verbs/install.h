/*
 * Puts a codebase under guard and takes the guard away: the store, the client's hooks in the settings of every worktree, the
 * line in git's info/exclude that hides them.
 *
 * All files are looked at before the first is changed, under a lock in the store's folder.  What they held is remembered in the
 * store's folder `undo`; its file `seen` is there while hooks are to be installed, and has the time of git's folder of worktrees
 * as it was when they were last looked through.
 */
#ifndef VERBS_INSTALL_H
#define VERBS_INSTALL_H

#include "verbs/install_file.h"
#include "verbs/verb.h"

/*
 * Makes the store if it isn't there and, with `hooks`, installs them.  Again is nothing.  BAD_INPUT, IO_FAILED, STORE_DOWN,
 * BUSY (another is at it) with `why`: nothing was changed, unless `why` says so.  `result` tells what became of each file.
 */
enum status install_guard(struct context *context, bool hooks, json_t *result, struct buf *why) MUST_CHECK;

/* Gives every file back; the store is kept, and need not be there.  The outcomes of install_guard. */
enum status install_undo(struct context *context, json_t *result, struct buf *why) MUST_CHECK;

/*
 * The same, and removes the store.  HELD with `why` and the holder in `result` while a session lives, or may for all we know;
 * NOT_ALLOWED for a store that STILE_STORE names, which other codebases may use.
 */
enum status install_purge(struct context *context, json_t *result, struct buf *why) MUST_CHECK;

/*
 * Installs hooks into worktrees that were made since they were last looked through, if hooks are installed at all.  Two calls
 * of stat(2) when there is nothing to do.  OK also when another process is at it.  Else the first failure, with `why`; the other
 * worktrees got theirs.
 */
enum status install_new_worktrees(struct context *context, struct buf *why) MUST_CHECK;

enum hooks_state {
	HOOKS_INSTALLED,
	HOOKS_MISSING,
	HOOKS_STALE,      /* an event lacks its hook, or it calls another program than this, or one that can't be run */
	HOOKS_DISABLED,   /* the client's own switch for all hooks is off */
	HOOKS_UNREADABLE, /* `note` says why */
};

struct hooks_look {
	const char *worktree; /* git's name for it; "" for the main one */
	const char *root;
	enum hooks_state state;
	bool tracked;            /* git tracks the settings: a commit would hold the hooks */
	char program[PATH_SIZE]; /* that the client calls before a tool, with the arguments "hook" "claude"; "" = none */
	char note[WHY_MAX];      /* what is wrong; "" = nothing */
};

const char *hooks_state_name(enum hooks_state state);

/* Calls `each` with how it stands in every worktree; stops at the first that isn't OK. */
typedef enum status hooks_each(void *arg, const struct hooks_look *look);
enum status install_state(const struct context *context, hooks_each *each, void *arg) MUST_CHECK;

#endif
