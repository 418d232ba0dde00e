/*
 * How full and strained a session's context is: a score in 0..1 by a named profile.  Profiles are data (base/config), ours
 * and the user's alike: each metric's weight and the value at which it counts in full, and the levels with their advice.
 * Only the session's own metrics count, since its context generation opened.
 */
#ifndef CORE_PRESSURE_H
#define CORE_PRESSURE_H

#include "core/metric.h"

struct pressure {
	char profile[LABEL_MAX + 1];
	double score;  /* 0..1 */
	double tokens; /* share of the budget, may pass 1 */
	char level[LABEL_MAX + 1];
	char advice[LABEL_MAX + 1];
	double verification; /* multiplier */
};

/* BAD_INPUT for a profile there is not, with those there are; BAD_CONFIG for one that can't be followed. */
enum status pressure_of(const struct config *config, const char *profile, const struct metric_values *values, int64_t budget,
                        struct pressure *out, struct buf *why) MUST_CHECK;

json_t *pressure_json(const struct pressure *pressure);

#endif
