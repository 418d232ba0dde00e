/*
 * What the parts of a view (view.h) share: the private folder.
 *
 *	PLACE/lock         held while one is made, or looked for
 *	PLACE/ID/owner     locked by the process whose it is; label, real folder and names, one a line
 *	PLACE/ID/was/NAME  the own files as they were given out, or last taken back
 *	PLACE/ID/space     which mount namespace it is seen in, and of which boot
 *	PLACE/ID/cover/    what is mounted over the real folder
 *	PLACE/ID/beneath/  where the real folder is to be found in that namespace
 */
#ifndef OS_VIEW_PARTS_H
#define OS_VIEW_PARTS_H

#include "os/paths.h"
#include "os/view.h"

#include <dirent.h>
#include <sys/stat.h>

#define VIEW_NAME_SIZE 256 /* of an entry of a folder */

enum view_kind {
	VIEW_OWN,    /* one of the view's own files */
	VIEW_LINKED, /* a link to the real one */
	VIEW_COPIED, /* is a link itself */
	VIEW_BOUND,  /* a folder */
};

/* An entry of the real folder, as it was when the command began. */
struct view_entry {
	char name[VIEW_NAME_SIZE];
	enum view_kind kind;
	struct statx real; /* its birth too: the number of a file that is gone is soon another's */
};

struct view_private {
	char path[PATH_SIZE];
	char cover[PATH_SIZE];
	char beneath[PATH_SIZE];
	char was[PATH_SIZE];
	char folder[PATH_SIZE]; /* the real one */
	char label[PATH_SIZE];
	char names[VIEW_FILES_MAX][VIEW_NAME_SIZE];
	size_t count;
	int lock; /* -1 = not held */
	int real_fd;
	int cover_fd;
	bool known; /* `entries` are what was there; else it isn't known any more */
	bool left;  /* something is nowhere but in here */
	struct view_entry *entries;
	size_t entry_count;
};

bool view_is_own(const struct view_private *private, const char *name);

/* Makes it, all in it that the command is to see.  What view_run says of it; *private is to be released whatever comes. */
enum status view_private_make(const struct view *view, struct view_private *private, struct buf *why) MUST_CHECK;

/*
 * Takes PLACE/`id` over from who left it.  NO_SUCH: it is somebody's, or somebody is in it.  BAD_INPUT: it was never finished, so
 * that nobody was in it.  Needs PLACE/lock.
 */
enum status view_private_adopt(const char *place, const char *id, struct view_private *private, struct buf *why) MUST_CHECK;

/* Takes PLACE/lock: *fd until close.  NO_SUCH when there is no place. */
enum status view_place_lock(const char *place, int *fd, struct buf *why) MUST_CHECK;

/* Closes what is open of it; the folder stays. */
void view_private_release(struct view_private *private);

/* In the child: goes into a namespace of its own, mounts, and becomes the command.  Never returns; what failed goes to `report`. */
enum view_stage { VIEW_STAGE_SPACE, VIEW_STAGE_MOUNT, VIEW_STAGE_REPLACED, VIEW_STAGE_FOLDER, VIEW_STAGE_RUN };
struct view_report {
	enum view_stage stage;
	int error;
};
struct attend;
_Noreturn void view_enter(const struct view_private *private, char *const argv[], const struct attend *attend, pid_t parent,
                          int report);

/* Writes down which namespace we are in, and whether a process that is seen lives in the one that was written down. */
bool view_space_write(const struct view_private *private);
bool view_space_lives(const char *path);

/*
 * Links into the real folder that the command moved or made become what they stand for, since nowhere else do they lead there.
 * The first failure, with `why`.
 */
enum status view_settle_links(const struct view *view, struct view_private *private, struct buf *why) MUST_CHECK;

/*
 * Brings back what is in the cover.  With `stays` something is still in the view: what was brought is led to by a link from
 * then on.  The first failure, with `why`; what could be brought was.
 */
enum status view_bring_back(const struct view *view, struct view_private *private, bool stays, struct buf *why) MUST_CHECK;

/* Asks for each own file that changed.  The same. */
enum status view_take_back(const struct view *view, struct view_private *private, struct buf *why) MUST_CHECK;

/* What stands under that name now, links not followed.  False with errno. */
bool view_look(int folder, const char *name, struct statx *out);

/* A name beside `name` that nobody has. */
enum status view_name_beside(const char *name, char out[VIEW_NAME_SIZE], struct buf *why) MUST_CHECK;

#endif
