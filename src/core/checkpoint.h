/*
 * A checkpoint fires once per (session, context generation, percent of the session's own budget), when its context passes
 * that share; a jump past several fires each.  That it fired and that somebody was told are two facts, each once.
 */
#ifndef CORE_CHECKPOINT_H
#define CORE_CHECKPOINT_H

#include "base/json.h"
#include "core/session.h"

#define CHECKPOINTS_MAX 20

struct checkpoint {
	int64_t percent;
	int64_t tokens; /* of context when it fired */
	int64_t budget;
	int64_t generation;
	int64_t fired_ms;
	int64_t told_ms; /* 0 = nobody yet */
};

struct checkpoint_list {
	struct checkpoint items[CHECKPOINTS_MAX];
	size_t count;
};

/* The configured percents, ascending or not.  BAD_CONFIG with `why`. */
enum status checkpoint_percents(const struct config *config, int64_t out[CHECKPOINTS_MAX], size_t *count, struct buf *why) MUST_CHECK;

/* Whether the configured percents can be followed.  BAD_CONFIG with `why`. */
enum status checkpoint_check(const struct config *config, struct buf *why) MUST_CHECK;

/*
 * Looks at the metric context_tokens as it is now: fires what is due into *fired, and if `tell`, marks all that nobody was told
 * of as told and gives them in *told.  The caller holds the session's row.  One round trip.  BAD_CONFIG.
 */
enum status checkpoint_report(struct txn *txn, const struct session *session, bool tell,
                              struct checkpoint_list *fired, struct checkpoint_list *told, struct buf *why) MUST_CHECK;

/* All of a session, or of every session if NULL, as a JSON array the caller owns. */
enum status checkpoint_all(struct txn *txn, const char *session, json_t *out, struct buf *why) MUST_CHECK;

json_t *checkpoint_json(const char *session, const struct checkpoint *checkpoint);

#endif
