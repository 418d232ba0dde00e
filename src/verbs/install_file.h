/*
 * One file that `init` changes and `init --undo` gives back: Claude Code's settings of a worktree, or git's info/exclude.
 *
 * In two steps, so that all can be looked at before any is changed: a plan reads and decides, a carry-out writes.  The client
 * takes no lock of ours; if it wrote in between, the plan is made again.
 *
 * What was before is remembered in a folder of the store, the record: `was`, the bytes before (not there: there was no file);
 * `wrote`, the bytes that we wrote, which makes the record; `folder` if the folder that the file stands in was made too.
 * It is written before the file is, so that whatever is interrupted can be undone.
 */
#ifndef VERBS_INSTALL_FILE_H
#define VERBS_INSTALL_FILE_H

#include "os/paths.h"

enum install_kind { INSTALL_SETTINGS, INSTALL_EXCLUDE };

enum install_outcome {
	INSTALL_UNCHANGED,
	INSTALL_DONE,
	INSTALL_UPDATED,  /* ours were there, but not as they are now */
	INSTALL_RESTORED, /* undone: the bytes from before are back, or there is no file again */
	INSTALL_CLEANED,  /* undone: somebody had changed the file, so ours were taken out and the rest was left */
};

#define INSTALL_SETTINGS_FOLDER ".claude"
#define INSTALL_SETTINGS_NAME ".claude/settings.local.json"
#define INSTALL_TRACKED \
	"git tracks it, so a commit would hold our hooks; take it out of git's index (git rm --cached), or `stile init --undo` " \
	"before"

struct install_file {
	enum install_kind kind;
	char path[PATH_SIZE];
	char record[PATH_SIZE];
	char worktree[WORKTREE_SIZE]; /* git's name for it, of settings; "" for the main one */
	const char *program;          /* absolute path; the caller's */

	/* the plan */
	bool there; /* there is a file, holding `now` */
	bool stays; /* there will be one, holding `next` */
	bool changes;
	bool unknown; /* undone without knowing what was there before */
	struct buf now;
	struct buf next;
	enum install_outcome outcome;
};

const char *install_outcome_name(enum install_outcome outcome);

void install_file_init(struct install_file *file, enum install_kind kind, const char *program);
void install_file_release(struct install_file *file);

/*
 * Decides what installing makes of it.  Nothing is changed.  BAD_INPUT when it can't be parsed; IO_FAILED when it would have
 * to be changed and can't be; NO_MEMORY; with `why` naming the file.
 */
enum status install_file_plan(struct install_file *file, struct buf *why) MUST_CHECK;

/* Does what was planned.  IO_FAILED, CONFLICT (somebody writes it all the time), and what the plan can be. */
enum status install_file_carry_out(struct install_file *file, struct buf *why) MUST_CHECK;

/* The same for the way back; what is remembered is forgotten then. */
enum status install_file_plan_undo(struct install_file *file, struct buf *why) MUST_CHECK;
enum status install_file_undo(struct install_file *file, struct buf *why) MUST_CHECK;

/* Makes a folder of what is remembered, 0700, and those that it stands in.  IO_FAILED with `why`. */
enum status install_file_folder(const char *path, struct buf *why) MUST_CHECK;

#endif
