/*
 * What is old goes: sessions that ended, or were lost, with all that is theirs, rows of the trail, tokens that can't be consumed,
 * and items of queues that are done or dead.  Nothing that stands is lost by it: no session that may go on or of which a queue
 * still has something, no instruction, no version of one.  An id of a session that went is nobody's again.
 *
 * Bounded: a go removes at most RETENTION_SESSIONS sessions and looks at RETENTION_ROWS rows of the trail and as many tokens and
 * items; what is left is the next one's.  The trail's newest row always stays: what is written later has a greater seq.
 */
#ifndef CORE_RETENTION_H
#define CORE_RETENTION_H

#include "core/queue.h"

#define RETENTION_SESSIONS 50
#define RETENTION_ROWS 1000
#define RETENTION_LEAST_MS (3600 * 1000)

/* For how long each is kept, in ms. */
struct retention_terms {
	int64_t sessions, audit, done, dead;
};

/* BAD_CONFIG with `why`, also for less than RETENTION_LEAST_MS. */
enum status retention_config(const struct config *config, struct retention_terms *out, struct buf *why) MUST_CHECK;

/* Whether there is something to remove; reads only.  One round trip. */
enum status retention_due(struct txn *txn, bool *due, struct buf *why) MUST_CHECK;

struct retention {
	size_t sessions; /* removed */
	size_t rows;
	size_t items;
};

/* One go.  Three round trips. */
enum status retention_apply(struct txn *txn, struct retention *out, struct buf *why) MUST_CHECK;

/* Every id that any session of the store, whatever its project, was ever given, as keys of `out`. */
enum status retention_known_ids(struct txn *txn, json_t *out, struct buf *why) MUST_CHECK;

#endif
