/*
 * A ledger's mirror: a file that programs read which know nothing of us, `[ledger NAME] mirror = PATH` in the configuration.  Each of its
 * lines is an entry as `ledger list --json` tells it, in the order of seq, and it is at any moment a beginning of what the store has.
 *
 * It is written after the commit, under a lock of its own (os/gate.h) inside which the store is read: whoever comes first writes what
 * all before it have appended, a killed one's too, and nobody writes a line twice.  A line that was cut by a kill or a full disk is completed.
 * Where the file doesn't end as the store's entry of that seq does, nothing is written.  It is not synced: it can be made anew.
 */
#ifndef VERBS_LEDGER_MIRROR_H
#define VERBS_LEDGER_MIRROR_H

#include "verbs/verb.h"

/*
 * Something may have been appended to `ledger`; the store is open.  The entry stands whatever becomes of this: a failure is a line
 * "mirror_failed" in `result`.
 */
void ledger_mirror(struct context *context, const char *ledger, json_t *result);

struct ledger_mirrored {
	const char *path; /* the configuration's */
	int64_t seq;      /* of its last line, 0 = it has none */
	int64_t written;  /* lines */
};

/*
 * Compares every line with the store, then writes what is missing; or, `anew`, puts a new file in its place.
 *
 * NO_SUCH    there is no such ledger, or none is configured for it
 * CONFLICT   a line is not the entry it should be, `why` naming it; nothing was written
 * BAD_CONFIG, BUSY, IO_FAILED, and what a read of the store gives
 */
enum status ledger_mirror_check(struct context *context, const char *ledger, bool anew, struct ledger_mirrored *out,
                                struct buf *why) MUST_CHECK;

/* For `doctor`: calls `told` with each configured mirror's state (0 well, 1 worth a note) and a line. */
void ledger_mirror_findings(struct context *context, void (*told)(void *arg, int state, const char *line), void *arg);

#endif
