/*
 * The import of Tractatus' files from a place, all or nothing: the instructions by a three-way merge, what the state files say as
 * an ended session of its own, the decisions as rows of the trail.  Done twice it changes nothing the second time.
 *
 * Before the store is changed its instructions and the files are copied into a folder beside it (0700, files 0600).  The last
 * import can be taken back.
 */
#ifndef LEGACY_TRACTATUS_IMPORT_H
#define LEGACY_TRACTATUS_IMPORT_H

#include "legacy/tractatus_log.h"
#include "legacy/tractatus_place.h"
#include "legacy/tractatus_state.h"
#include "legacy/tractatus_take.h"

struct tractatus_import {
	struct engine *engine;
	const char *store_folder;
	struct tractatus_place place; /* found */
	char actor[ACTOR_SIZE];       /* who asks for it */
	bool dry;                     /* only tell what would be done */
	json_t *result;               /* an object: what was done */
};

/*
 * Fills import->result: "added", "edited", "retired", "conflicts", "sessions", "decisions", "broken", "changes" (their sum) and
 * "steps", one by one; "import" and "backup" when anything was changed.  Takes the lock; may block as tractatus_lock does.
 *
 * NO_SUCH    none of the files is there
 * BAD_INPUT  one of them can't be followed, with `why` naming it
 * BUSY       one of them changes while it is read
 * CONFLICT   the store didn't say afterwards what it must; as for all others nothing was changed
 */
enum status tractatus_import_run(struct tractatus_import *import, struct buf *why) MUST_CHECK;

/*
 * Takes the last import back: what it added is retired, what it edited says again what it said, its session is gone; the trail is
 * only added to.  What was changed since is left and told.  NO_SUCH: there is none to take back.
 */
enum status tractatus_import_undo(struct tractatus_import *import, struct buf *why) MUST_CHECK;

#endif
