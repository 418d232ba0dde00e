/*
 * The export of the store in Tractatus' files, so that scripts that know nothing of us go on reading them.
 *
 * instruction-history.json is written whole, synced and swapped in.  What is found there and isn't what we wrote is somebody's
 * edit: it is taken into the store first (tractatus_take.h) and shows in what is written then.  What the swap brought out is
 * looked at in the same way, at once and again before the next swap, since who had it open wrote into that.  An edit that can't
 * be followed is kept beside the file and told.
 *
 * All of it is under the lock of tractatus_place.h, and the store is read inside it: so no older epoch is ever written over a
 * newer one.
 */
#ifndef LEGACY_TRACTATUS_EXPORT_H
#define LEGACY_TRACTATUS_EXPORT_H

#include "legacy/tractatus_place.h"

struct tractatus_export {
	struct engine *engine;
	const char *store_folder;
	struct tractatus_place place; /* found */

	/* what was done */
	int64_t epoch;   /* of the store when the history was last looked at */
	size_t taken;    /* changes that were made to the store because the file had been edited */
	json_t *written; /* an array, the caller's: names of files, as seen from place.folder */
	json_t *notes;   /* an array, the caller's: lines for a person */
	json_t *steps;   /* an array, the caller's: what was taken, as tractatus_take tells it */

	char work[PATH_SIZE]; /* the folder that swaps are made in; set by tractatus_export_begin */
	struct gate lock;
};

/*
 * Takes the lock, makes the folders, reads the place.  tractatus_export_end gives it back, whatever the status.  BUSY, IO_FAILED
 * (also when a link was planted), and what the store can be.
 */
enum status tractatus_export_begin(struct tractatus_export *export, struct buf *why) MUST_CHECK;
void tractatus_export_end(struct tractatus_export *export);

/* Whether it is exported after each change from now on. */
enum status tractatus_export_continuous(struct tractatus_export *export, bool on, struct buf *why) MUST_CHECK;

/*
 * instruction-history.json.  BUSY: somebody writes it all the time.  BAD_INPUT: it says that it is newer than the store; nothing
 * was written.  CONFLICT, IO_FAILED, NO_MEMORY, and what the store can be.
 */
enum status tractatus_export_history(struct tractatus_export *export, struct buf *why) MUST_CHECK;

/*
 * The same text without looking at the file or writing it: adds it to `out`.
 * BAD_INPUT: it is more than `out` holds.  NO_MEMORY, and what the store can be.
 */
enum status tractatus_export_render(struct tractatus_export *export, struct buf *out, struct buf *why) MUST_CHECK;

/*
 * What session-state.json and token-checkpoints.json say of a session, the caller's; `before` as for state_document.  NO_SUCH,
 * NO_MEMORY, and what the store can be.
 */
enum status tractatus_export_documents(struct tractatus_export *export, const char *session, const json_t *before,
                                       json_t **state, json_t **checkpoints, struct buf *why) MUST_CHECK;

/* sessions/ID/state.json and checkpoints.json of one session.  NO_SUCH, IO_FAILED, and what the store can be. */
enum status tractatus_export_session(struct tractatus_export *export, const char *session, struct buf *why) MUST_CHECK;

/*
 * session-state.json and token-checkpoints.json, if exactly one session lives: they can only be one's.  Else nothing is written
 * and a note says so.
 */
enum status tractatus_export_plain(struct tractatus_export *export, struct buf *why) MUST_CHECK;

/* Swaps `text` in as folder/name unless it stands there.  For this noun's files. */
enum status tractatus_export_file(struct tractatus_export *export, const char *folder, const char *name, const char *shown,
                                  const struct buf *text, struct buf *why) MUST_CHECK;

#endif
