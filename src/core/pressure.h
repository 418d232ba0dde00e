/*
 * How full and strained a session's context is: a score in 0..1 by a named profile.  Profiles are data (base/config), ours
 * and the user's alike: each metric's weight and the value at which it counts in full, and the levels with their advice.
 * Only the session's own metrics count, since its context generation opened.
 */
#ifndef CORE_PRESSURE_H
#define CORE_PRESSURE_H

#include "core/metric.h"

#define PRESSURE_RECOMMENDATIONS_MAX 16

struct pressure {
	char profile[LABEL_MAX + 1];
	double score;  /* 0..1 */
	double tokens; /* share of the budget, may pass 1 */
	char level[LABEL_MAX + 1];
	char advice[LABEL_MAX + 1];
	double verification; /* multiplier */
	char recommendations[PRESSURE_RECOMMENDATIONS_MAX][LABEL_MAX + 1];
	size_t recommended;
	const char *trend; /* of this check and the two before it: "escalating", "improving", "stable"; NULL where none was made */
};

/*
 * How complex the session's task is, from the gauges task_depth, dependencies, file_modifications, concurrent_operations and
 * subtasks_pending as Tractatus weighs them; where they come to 0, active_tasks or else 1.  With none of them set, the gauge
 * complexity.
 */
double pressure_complexity(const struct metric_values *values);

/* BAD_INPUT for a profile there is not, with those there are; BAD_CONFIG for one that can't be followed. */
enum status pressure_of(const struct config *config, const char *profile, const struct metric_values *values, int64_t budget,
                        struct pressure *out, struct buf *why) MUST_CHECK;

/*
 * One check: pressure as above of the session as it is now, counted in pressure_checks, and the trend of its last three
 * checks by this profile, which outlive the process.  Only the session's own.  One round trip; *values are the caller's on OK.
 * Statuses as pressure_of.
 */
enum status pressure_check(struct txn *txn, const struct session *session, const char *profile, struct metric_values *values,
                           struct pressure *out, struct buf *why) MUST_CHECK;

json_t *pressure_json(const struct pressure *pressure);

#endif
