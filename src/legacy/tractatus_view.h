/*
 * Tractatus' three files as one session has them, for a command that sees only those (os/view.h), and what it made of them.
 *
 * The numbers are the store's.  What the command adds to one is added to the session's own; that it set one back, as Tractatus'
 * start does, is no message taken back.  What fired is the store's alone to say.  What only Tractatus knows is kept for the
 * session's next view.  The instructions are everybody's: what was made of them is merged as an edit of the file is.
 *
 * Each takes the lock of tractatus_place.h and runs transactions of its own; no transaction is open around it.
 */
#ifndef LEGACY_TRACTATUS_VIEW_H
#define LEGACY_TRACTATUS_VIEW_H

#include "legacy/tractatus_place.h"

#define TRACTATUS_VIEW_FILES 3

struct tractatus_view_file {
	const char *name; /* TRACTATUS_STATE, ... */
	struct buf text;
};

struct tractatus_view {
	struct tractatus_view_file files[TRACTATUS_VIEW_FILES];
};

/* Which files of which session: `root` has the folder .claude, made if it isn't there. */
struct tractatus_viewer {
	struct engine *engine;
	const char *store_folder;
	const char *root;
	const char *session;
};

/*
 * Fills *out, which the caller releases whatever the status.  NO_SUCH (session), BAD_INPUT, BUSY, IO_FAILED, NO_MEMORY, and what
 * the store can be, with `why`.
 */
enum status tractatus_view_render(const struct tractatus_viewer *viewer, struct tractatus_view *out,
                                  struct buf *why) MUST_CHECK;
void tractatus_view_release(struct tractatus_view *view);

/*
 * Takes into the store what a command made of file `name`, which was `was` when it began; NULL = wasn't there, isn't there any
 * more.  `view` is whose command it was: what was taken of that one is not counted again when it is asked for again, whatever
 * `was` says.  BAD_INPUT with `why`: it can't be followed, ever.  Else as above, and CONFLICT.
 */
enum status tractatus_view_take(const struct tractatus_viewer *viewer, int64_t view, const char *name, const struct buf *was,
                                const struct buf *now, struct buf *why) MUST_CHECK;

/*
 * Exports the session's files for who can't have a view: `folder` is where they are.  As tractatus_export_history and _session.
 */
enum status tractatus_view_export(const struct tractatus_viewer *viewer, char folder[PATH_SIZE], struct buf *why) MUST_CHECK;

#endif
