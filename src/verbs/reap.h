/*
 * Looking for agents that are gone, and for what is too old.  No daemon does it: it rides along with hooks and commands, at
 * most every so often.
 */
#ifndef VERBS_REAP_H
#define VERBS_REAP_H

#include "core/retention.h"
#include "verbs/verb.h"

/*
 * Marks every live session whose process is proven gone as lost; *count tells how many.  One whose process can't be judged is
 * never touched, however old.  Processes are looked at before the store is taken, and what was found counts only if the
 * session is still as it was.  `lost` (may be NULL) gets their ids.
 */
enum status reap(struct context *context, size_t *count, json_t *lost, struct buf *why) MUST_CHECK;

/* Removes what is old, one go, if there is any; *removed tells how much. */
enum status reap_old(struct context *context, struct retention *removed, struct buf *why) MUST_CHECK;

/*
 * What rides along with hooks and commands: looking for the dead and the old, if that is due, and hooks for worktrees that were
 * made since.  Its failure is nobody's here: whoever comes next tries again, and `doctor` tells.
 */
void ride_along(struct context *context, bool reap_due);

/*
 * `session reap --transcripts`: removes Claude's transcripts of sessions that nobody here knows, with what their sub-agents wrote,
 * once they are old.  Nothing is removed unless all that says what must be kept was read; nothing outside of the folder, and
 * nothing through a link.
 */
enum status reap_transcripts(struct call *call) MUST_CHECK;

#endif
