/*
 * A view: one command that sees a folder of a project with a few files of its own in it, where everybody else sees the folder as
 * it is.  A private folder is mounted over that folder in a mount namespace that only the command and what it starts are in.
 *
 * In the private folder stand the view's own files; every folder of the real one, as itself (a bind mount); every other entry
 * as a link to the real one.  So what is written through them is written there.  What the command makes new or replaces in the
 * folder is in the private folder until the command has ended, and is then brought to the real one, never over anything that
 * appeared or changed there meanwhile: such a thing is kept beside, under a name that is told.
 *
 * The private folder is removed at the end.  A view whose process was killed leaves it, 0700, and so does one whose command left
 * something running that still sees it; view_clear ends those as the view itself would have, once nobody is in them.
 */
#ifndef OS_VIEW_H
#define OS_VIEW_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define VIEW_FILES_MAX 8
#define VIEW_FILE_MAX ((size_t)16 << 20) /* bytes of one own file */
#define VIEW_ENTRIES_MAX 4096            /* of the folder */
#define VIEW_LINGER_MS 2000              /* that what a command left running is waited for */

/* One of the view's own files, as it is to stand there. */
struct view_file {
	const char *name;
	bool there; /* else it isn't there at first */
	const char *data;
	size_t len;
};

/* One of them that changed. */
struct view_change {
	const char *label; /* of the view */
	int64_t view;      /* which one: no other has that number, and asked again after a crash it is the same */
	const char *name;
	bool was_there;
	struct buf was;
	bool there; /* else it was removed */
	struct buf now;
};

enum view_event {
	VIEW_MOVED,    /* new: it is in the real folder now */
	VIEW_REPLACED, /* in the real folder it is what the command made of it */
	VIEW_REMOVED,  /* in the real folder too; a file is there as `as`, for it may have been moved away rather than removed */
	VIEW_STAYS,    /* removed by the command, but something else of that name is in the real folder: left alone */
	VIEW_KEPT,     /* the name is somebody else's, or an own file was not taken: in the real folder it is called `as` */
	VIEW_LEFT,     /* could not be brought: it is still at the path `as`, and the next view_clear tries again */
	VIEW_REMAINS,  /* something that the command left running is still in the view, whose private folder is `as` */
	VIEW_EVENTS
};

struct view {
	const char *folder; /* absolute path; made if it isn't there */
	const char *place;  /* a folder of our own, 0700, for private folders; made if its parent is there */
	const char *label;  /* whose it is, one line: comes back with each change, also through view_clear */
	const struct view_file *files;
	size_t count;
	/*
	 * Takes over a change, whose bytes may be changed for that.  BAD_INPUT: what it says can't be taken, ever; it is kept beside.  Any other failure leaves it where
	 * it is, and view_clear asks again.
	 */
	enum status (*take)(void *arg, struct view_change *change, struct buf *why);
	void (*tell)(void *arg, enum view_event event, const char *name, const char *as);
	void *arg; /* of both */
};

/*
 * Runs argv[0] (looked up in PATH if it has no slash) with argv, our streams, environment, user and folder, no shell between; a
 * signal sent to us reaches it, and our death kills it.  Blocks until it has ended, and VIEW_LINGER_MS longer at most for what
 * it left running, which is not killed and goes on in the view.
 *
 * *exit is -1 until the command was started; then its status, 128 + the signal that ended it, 127 when it can't be found, 126 when
 * it can't be run.  OK: that, and all was brought back; `why` is empty, or tells why it can't be found or run.
 *
 * With *exit -1, each with `why`: NOT_ALLOWED, the system lets nobody like us mount; BAD_INPUT, the folder is a link or no folder
 * or has too many entries; CONFLICT, it was replaced just now; IO_FAILED, BUSY (the place's lock), NO_MEMORY.  Otherwise the
 * first thing that could not be brought back, with `why`.
 */
enum status view_run(const struct view *view, char *const argv[], int *exit, struct buf *why) MUST_CHECK;

/*
 * Ends what views left in view->place whose process is gone and which nobody is in any more: asks view->take for each change of
 * theirs, brings what is new to the folder that each was of, removes them.  Of `view` only place, take, tell and arg are
 * looked at.  OK when there is none; the first failure else, the others are ended all the same.
 */
enum status view_clear(const struct view *view, struct buf *why) MUST_CHECK;

#endif
