/*
 * Tractatus' session-state.json and token-checkpoints.json as documents.  Pure.
 *
 * The state comes in three shapes: {message_count, token_estimate, started}, {messages, token_budget, created_at,
 * framework_activity} and {messages, tokens_used}; all three are read, the first is written.  Its `session_id` is a date with
 * "-001" that all sessions of a day share, so it says nothing about which session it is.
 */
#ifndef LEGACY_TRACTATUS_STATE_H
#define LEGACY_TRACTATUS_STATE_H

#include "base/json.h"
#include "core/checkpoint.h"
#include "core/pressure.h"

#define STATE_MAX ((size_t)1 << 20) /* bytes of such a file */
#define STATE_METRICS 6

struct state_metric {
	const char *name; /* ours */
	double value;
};

/* What such files say of a session. */
struct state_read {
	char session_id[ID_MAX + 1];
	int64_t started_ms; /* 0 = not said */
	int64_t budget;     /* 0 = not said */
	struct state_metric metrics[STATE_METRICS];
	size_t metric_count;
	struct checkpoint_list checkpoints; /* the completed ones */
};

/* Either may be NULL.  BAD_INPUT with `why`: no object, or a number that can't be one. */
enum status state_read(const json_t *state, const json_t *checkpoints, struct state_read *out, struct buf *why) MUST_CHECK;

/* What a session's numbers are. */
struct state_numbers {
	const struct session *session;
	int64_t messages;
	int64_t tokens; /* of context */
	struct pressure pressure;
	struct checkpoint_list checkpoints; /* those fired in its present context */
	int64_t percents[CHECKPOINTS_MAX];  /* configured */
	size_t percent_count;
};

/*
 * The two documents, the caller's; NULL without memory.  `before` (may be NULL) is what stands there: the members that only
 * Tractatus' scripts know, as what its components did last and when it counts as stale, are kept.
 */
json_t *state_document(const struct state_numbers *numbers, const json_t *before);
json_t *state_checkpoints(const struct state_numbers *numbers, const json_t *before);

/* Whether a document is one that state_document made. */
bool state_is_ours(const json_t *document);

#endif
