/*
 * A metric is a number of one session: a counter that adds up or a gauge that is set.  Each declares whether sums, means or
 * maxima over sessions mean anything; such an aggregate is labelled and never feeds a threshold.
 */
#ifndef CORE_METRIC_H
#define CORE_METRIC_H

#include "base/json.h"
#include "core/session.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };
enum metric_aggregate { AGGREGATE_NONE, AGGREGATE_SUM, AGGREGATE_MAX, AGGREGATE_MEAN };

struct metric_row {
	const char *name;
	enum metric_kind kind;
	enum metric_aggregate aggregate;
	bool recent; /* pressure counts only its last minutes */
	const char *meaning;
};

/* The declared metric of that name, NULL for one of the user's own (a counter once added to, never aggregated). */
const struct metric_row *metric_find(const char *name);
const struct metric_row *metric_nth(size_t n);
const char *metric_aggregate_name(enum metric_aggregate aggregate);

/* Queued.  The caller has checked the name and that the session exists. */
void metric_add(struct txn *txn, const char *session, const char *name, double amount);
void metric_set(struct txn *txn, const char *session, const char *name, double value);

/* A new context generation begins: what pressure counts begins at nothing.  Queued. */
void metric_open_generation(struct txn *txn, const char *session);

struct metric_value {
	char session[ID_SIZE];
	char name[LABEL_MAX + 1];
	double life; /* since the session began */
	double now;  /* since its context generation opened; recent ones: of the last minutes; gauges: as set */
};

struct metric_values {
	struct metric_value *items;
	size_t count;
};

/* All metrics of a session, or of every live session (`all`: of every), in one answer. */
enum status metric_load(struct txn *txn, const char *session, struct metric_values *out, struct buf *why) MUST_CHECK;
enum status metric_load_all(struct txn *txn, bool all, struct metric_values *out, struct buf *why) MUST_CHECK;

#define METRIC_NOTED 3

struct metric_note {
	int64_t at_ms;
	double value;
};

/* The last values noted of a session under a name, the newest first. */
struct metric_noted {
	struct metric_note items[METRIC_NOTED];
	size_t count;
};

/* As metric_load, and what was noted under `name`, still in one answer. */
enum status metric_load_noted(struct txn *txn, const char *session, const char *name, struct metric_values *out,
                              struct metric_noted *noted, struct buf *why) MUST_CHECK;

/* Notes `value`, also in *noted, which metric_load_noted gave in this transaction; what is older than that goes.  Queued. */
void metric_note(struct txn *txn, const char *session, const char *name, double value, struct metric_noted *noted);

/* Those of one session; they belong to `values`. */
struct metric_values metric_values_of(const struct metric_values *values, const char *session);
void metric_values_release(struct metric_values *values);
bool metric_has(const struct metric_values *values, const char *name);
double metric_now(const struct metric_values *values, const char *name); /* 0 when there is none */
double metric_life(const struct metric_values *values, const char *name);

/*
 * {"aggregated":{"messages":{"aggregate":"sum","value":60,"sessions":2}}}: over every session.  Metrics that
 * declare none are left out.
 */
enum status metric_aggregate(struct txn *txn, json_t *out, struct buf *why) MUST_CHECK;

#endif
