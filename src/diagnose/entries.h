/* What the guarded writers of a target append to a ledger of the trial's store, and the look at it. */
#ifndef DIAGNOSE_ENTRIES_H
#define DIAGNOSE_ENTRIES_H

#include "diagnose/trial.h"

struct entries {
	int64_t there;
	int64_t broken; /* places at which the chain isn't what was appended */
};

/* In the step's transaction.  Statuses as ledger_append; the same body under the same key once more is OK. */
enum status entries_append(struct race *race, const char *ledger, const char *key, const char *body,
                           struct buf *why) MUST_CHECK;

/* Verifies all of it; of a ledger that isn't there, nothing. */
enum status entries_look(struct race *race, const char *ledger, struct entries *out, struct buf *why) MUST_CHECK;

#endif
