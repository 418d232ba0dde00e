/*
 * The three files of a place as they are read for an import, and what the two state files become: an ended session of its own.
 */
#ifndef LEGACY_TRACTATUS_SESSION_H
#define LEGACY_TRACTATUS_SESSION_H

#include "legacy/tractatus_place.h"
#include "legacy/tractatus_state.h"

struct tractatus_files {
	bool history_there;
	struct buf history;  /* the bytes */
	json_t *state;       /* NULL = isn't there, or is one of ours */
	json_t *checkpoints;
	struct buf state_bytes;
	struct buf checkpoints_bytes;
};

void tractatus_files_init(struct tractatus_files *files);
void tractatus_files_release(struct tractatus_files *files);

/*
 * Reads them, each as it was at one moment.  NO_SUCH when there is none of them, nor a folder of logs; BAD_INPUT (a state that
 * is not JSON, too long), BUSY (it changes all the time), IO_FAILED, NO_MEMORY, with `why` naming the file.
 */
enum status tractatus_files_read(const struct tractatus_place *place, struct tractatus_files *out, struct buf *why) MUST_CHECK;

/* Whether they hold a state, and not the one that was taken in last; place->seen is loaded. */
bool tractatus_session_is_new(const struct tractatus_place *place, const struct tractatus_files *files);

/* Makes the session `out` from them: queued.  IO_FAILED, BAD_CONFIG, NO_MEMORY. */
enum status tractatus_session_save(struct txn *txn, const struct tractatus_place *place, const struct tractatus_files *files,
                                   const struct state_read *numbers, const char *import, char out[ID_SIZE],
                                   struct buf *why) MUST_CHECK;

/*
 * Whether the store now says these numbers of `session` ("" = there is none), and has so many decisions of this transaction's
 * instant: CONFLICT.  One round trip, none when there is nothing to look at.
 */
enum status tractatus_session_verify(struct txn *txn, const struct state_read *numbers, const char *session, size_t decisions,
                                     struct buf *why) MUST_CHECK;

/* Removes a session that an import made, with its numbers: queued.  Its rows of the trail stay. */
void tractatus_session_remove(struct txn *txn, const char *session);

#endif
