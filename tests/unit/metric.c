/*
 * Each session's own numbers: what it said, called, failed at, found complex.  What is put together over sessions is labelled
 * so, and has no way into a threshold.
 *
 * Rows: R69 R75-R78
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/checkpoint.h"
#include "core/metric.h"
#include "core/pressure.h"

#define T BENCH_START_MS

static struct metric_values
load(struct bench *bench, const char *session)
{
	struct metric_values values;

	assert_int_equal(metric_load(&bench->txn, session, &values, &bench->why), OK);
	return values;
}

static void
assert_metric(struct bench *bench, const char *session, const char *name, double life, double now)
{
	struct metric_values values = load(bench, session);

	assert_true(metric_life(&values, name) == life);
	assert_true(metric_now(&values, name) == now);
	metric_values_release(&values);
}

static void
add(struct bench *bench, const char *session, const char *name, int times)
{
	for (int i = 0; i < times; i++)
		metric_add(&bench->txn, session, name, 1);
}

/* The study's two sessions: 42 messages and 85,000 tokens, 18 and 32,000; its one file said 60 and 117,000.  Rows: R69 */
static void
two_sessions_keep_their_own_messages_and_tokens(void **state)
{
	struct bench *bench = *state;

	for (int i = 0; i < 42; i++) {
		metric_add(&bench->txn, "a", "messages", 1);
		if (i < 18)
			metric_add(&bench->txn, "b", "messages", 1);
	}
	metric_set(&bench->txn, "a", "context_tokens", 85000);
	metric_set(&bench->txn, "b", "context_tokens", 32000);
	assert_metric(bench, "a", "messages", 42, 42);
	assert_metric(bench, "b", "messages", 18, 18);
	assert_metric(bench, "a", "context_tokens", 85000, 85000);
	assert_metric(bench, "b", "context_tokens", 32000, 32000);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM metric WHERE value = $1 OR value = $2", DB_INT(60),
	                              DB_INT(117000)),
	                 0);
}

/* One session fails at 3 of 10 calls, another at all of 10.  Rows: R75 */
static void
errors_are_of_the_session_that_made_them(void **state)
{
	struct bench *bench = *state;

	add(bench, "a", "tool_calls", 10);
	add(bench, "a", "errors", 3);
	add(bench, "b", "tool_calls", 10);
	add(bench, "b", "errors", 10);
	assert_metric(bench, "a", "errors", 3, 3);
	assert_metric(bench, "b", "errors", 10, 10);
	assert_metric(bench, "c", "errors", 0, 0);
}

static void
errors_count_towards_pressure_for_ten_minutes_and_for_life_for_good(void **state)
{
	struct bench *bench = *state;

	add(bench, "a", "errors", 2);
	bench_at(bench, T + 300000);
	add(bench, "a", "errors", 1);
	assert_metric(bench, "a", "errors", 3, 3);
	bench_at(bench, T + 600000);
	assert_metric(bench, "a", "errors", 3, 3);
	bench_at(bench, T + 600001);
	assert_metric(bench, "a", "errors", 3, 1);
	bench_at(bench, T + 900001);
	assert_metric(bench, "a", "errors", 3, 0);
	add(bench, "a", "errors", 1);
	assert_metric(bench, "a", "errors", 4, 1);
	/* what no longer counts is not kept */
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM metric_recent WHERE session = $1", DB_TEXT("a")), 1);
}

static void
how_long_errors_count_is_configured(void **state)
{
	struct bench *bench = *state;

	bench_config(bench, "[stile]\nerror_window = 1s\n");
	add(bench, "a", "errors", 1);
	bench_at(bench, T + 1001);
	assert_metric(bench, "a", "errors", 1, 0);
}

/* Rows: R76 */
static void
complexity_is_of_the_session_that_reports_it_and_as_last_set(void **state)
{
	struct bench *bench = *state;

	metric_set(&bench->txn, "a", "complexity", 3.5);
	metric_set(&bench->txn, "b", "complexity", 1);
	metric_set(&bench->txn, "a", "complexity", 2.25);
	assert_metric(bench, "a", "complexity", 2.25, 2.25);
	assert_metric(bench, "b", "complexity", 1, 1);
}

/* Rows: R77 */
static void
framework_activity_is_counted_per_session(void **state)
{
	static const char *const names[] = {"pressure_checks", "instructions_added", "validations_run", "boundary_enforcements"};
	struct bench *bench = *state;

	for (int i = 0; i < 4; i++) {
		assert_int_equal(metric_find(names[i])->kind, METRIC_COUNTER);
		add(bench, "a", names[i], i + 1);
		add(bench, "b", names[i], 10 * (i + 1));
	}
	for (int i = 0; i < 4; i++) {
		assert_metric(bench, "a", names[i], i + 1, i + 1);
		assert_metric(bench, "b", names[i], 10 * (i + 1), 10 * (i + 1));
	}
}

static void
what_pressure_counts_begins_anew_with_a_context_generation(void **state)
{
	struct bench *bench = *state;

	add(bench, "a", "messages", 5);
	add(bench, "b", "messages", 5);
	metric_set(&bench->txn, "a", "complexity", 4);
	metric_open_generation(&bench->txn, "a");
	assert_metric(bench, "a", "messages", 5, 0);
	assert_metric(bench, "b", "messages", 5, 5);
	/* a gauge is as it was set */
	assert_metric(bench, "a", "complexity", 4, 4);
	add(bench, "a", "messages", 2);
	assert_metric(bench, "a", "messages", 7, 2);
}

static void
a_number_of_the_users_own_counts_if_added_and_stands_if_set(void **state)
{
	struct bench *bench = *state;

	assert_null(metric_find("risk"));
	metric_add(&bench->txn, "a", "reviews", 2);
	metric_set(&bench->txn, "a", "risk", 5);
	metric_open_generation(&bench->txn, "a");
	metric_add(&bench->txn, "a", "reviews", 1);
	metric_set(&bench->txn, "a", "risk", 7);
	assert_metric(bench, "a", "reviews", 3, 1);
	assert_metric(bench, "a", "risk", 7, 7);
}

static void
numbers_are_kept_as_they_are(void **state)
{
	static const double numbers[] = {0.1, -2.5, 9e15, -9e15, 1e-300, 123456789012345};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		metric_set(&bench->txn, "a", "complexity", numbers[i]);
		assert_metric(bench, "a", "complexity", numbers[i], numbers[i]);
	}
}

/* Rows: R78 */
static void
each_metric_declares_whether_it_may_be_aggregated(void **state)
{
	const struct metric_row *row;

	for (size_t i = 0; (row = metric_nth(i)) != NULL; i++) {
		assert_ptr_equal(metric_find(row->name), row);
		assert_true(row->meaning[0] != '\0');
		assert_string_equal(metric_aggregate_name(row->aggregate), row->aggregate == AGGREGATE_NONE  ? "none"
		                                                           : row->aggregate == AGGREGATE_SUM ? "sum"
		                                                           : row->aggregate == AGGREGATE_MAX ? "max"
		                                                                                             : "mean");
	}
	/* what thresholds look at has no meaning over sessions */
	assert_int_equal(metric_find("context_tokens")->aggregate, AGGREGATE_NONE);
}

static void
assert_aggregate(const json_t *all, const char *name, const char *how, double value, int64_t sessions)
{
	const json_t *one = json_object_get(json_object_get(all, "aggregated"), name);

	assert_string_equal(json_text(one, "aggregate", "(none)"), how);
	assert_true(json_real_of(one, "value", -1) == value);
	assert_int_equal(json_whole(one, "sessions", -1), sessions);
}

/* Rows: R78 */
static void
an_aggregate_is_labelled_and_equals_what_the_sessions_have(void **state)
{
	struct bench *bench = *state;
	json_t *all = json_object();

	add(bench, "a", "messages", 42);
	add(bench, "b", "messages", 18);
	metric_set(&bench->txn, "a", "complexity", 4);
	metric_set(&bench->txn, "b", "complexity", 1);
	metric_set(&bench->txn, "a", "context_tokens", 85000);
	metric_set(&bench->txn, "b", "context_tokens", 32000);
	metric_add(&bench->txn, "a", "own", 1);
	assert_int_equal(metric_aggregate(&bench->txn, all, NULL), OK);
	assert_int_equal(json_object_size(all), 1);
	assert_aggregate(all, "messages", "sum", 60, 2);
	assert_aggregate(all, "complexity", "mean", 2.5, 2);
	assert_null(json_object_get(json_object_get(all, "aggregated"), "context_tokens"));
	assert_null(json_object_get(json_object_get(all, "aggregated"), "own"));
	json_decref(all);
}

/*
 * Pressure is given one session's values and nothing else, and a checkpoint reads one session's gauge: however large the
 * others are, and after the aggregate was asked for, a session's level and checkpoints stay as they were.
 *
 * Rows: R70 R71 R78
 */
static void
an_aggregate_has_no_way_into_a_threshold(void **state)
{
	struct bench *bench = *state;
	struct session session = {.id = "a", .generation = 1, .budget = 200000};
	struct checkpoint_list fired, told;
	struct metric_values values;
	struct pressure pressure;
	json_t *all = json_object();

	metric_set(&bench->txn, "a", "context_tokens", 29414);
	add(bench, "a", "messages", 8);
	for (char other[2] = "b"; *other < 'j'; ++*other) {
		metric_set(&bench->txn, other, "context_tokens", 199000);
		add(bench, other, "messages", 99);
		add(bench, other, "errors", 9);
	}
	assert_int_equal(metric_aggregate(&bench->txn, all, NULL), OK);
	values = load(bench, "a");
	assert_int_equal(values.count, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pressure_of(&bench->config, i == 0 ? "token-ratio" : "tractatus-v1", &values, 200000, &pressure, NULL),
		                 OK);
		assert_string_equal(pressure.level, "NORMAL");
		assert_string_equal(pressure.advice, "PROCEED");
	}
	assert_int_equal(checkpoint_report(&bench->txn, &session, true, &fired, &told, NULL), OK);
	assert_int_equal(fired.count + told.count, 0);
	metric_values_release(&values);
	json_decref(all);
}

static const char *
check(struct bench *bench, const char *session, const char *profile, double tokens)
{
	struct session one = {.budget = 200000};
	struct metric_values values;
	struct pressure pressure;

	snprintf(one.id, sizeof one.id, "%s", session);
	metric_set(&bench->txn, session, "context_tokens", tokens);
	assert_int_equal(pressure_check(&bench->txn, &one, profile, &values, &pressure, NULL), OK);
	metric_values_release(&values);
	return pressure.trend;
}

/*
 * Tractatus keeps the history in one object for all: two sessions that take turns never see a trend, or see each other's.
 * Here eight take turns; those that rise are told so, those that fall, and those that stand.  Of history three are kept.
 *
 * Rows: R72 R77
 */
static void
the_trend_is_that_of_the_sessions_own_last_three_checks(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
	struct bench *bench = *state;

	for (int round = 0; round < 6; round++)
		for (size_t i = 0; i < 8; i++) {
			double step = i % 3 == 0 ? 1000 : i % 3 == 1 ? -1000 : 0;
			const char *trend = check(bench, names[i], "token-ratio", 50000 + step * round);

			assert_string_equal(trend, round < 2 || i % 3 == 2 ? "stable" : i % 3 == 0 ? "escalating" : "improving");
			assert_string_equal(check(bench, names[i], "tractatus-v1", 10), "stable");
		}
	/* the last one breaks it */
	assert_string_equal(check(bench, "a", "token-ratio", 1), "stable");
	assert_string_equal(check(bench, "a", "token-ratio", 0), "improving");
	/* each (session, profile) keeps three, all of one millisecond here */
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM metric_recent WHERE project = $1", DB_TEXT(BENCH_PROJECT)),
	                 8 * 2 * 3);
	assert_metric(bench, "a", "pressure_checks", 14, 14);
}

/* Rows: R8 */
static void
another_projects_numbers_are_not_seen(void **state)
{
	struct bench *bench = *state;
	json_t *all = json_object();

	add(bench, "a", "messages", 3);
	bench->txn.project = "elsewhere";
	assert_metric(bench, "a", "messages", 0, 0);
	assert_int_equal(metric_aggregate(&bench->txn, all, NULL), OK);
	assert_int_equal(json_object_size(json_object_get(all, "aggregated")), 0);
	json_decref(all);
}

TESTS(BENCH_TEST(two_sessions_keep_their_own_messages_and_tokens), BENCH_TEST(errors_are_of_the_session_that_made_them),
      BENCH_TEST(errors_count_towards_pressure_for_ten_minutes_and_for_life_for_good),
      BENCH_TEST(how_long_errors_count_is_configured), BENCH_TEST(complexity_is_of_the_session_that_reports_it_and_as_last_set),
      BENCH_TEST(framework_activity_is_counted_per_session),
      BENCH_TEST(what_pressure_counts_begins_anew_with_a_context_generation),
      BENCH_TEST(a_number_of_the_users_own_counts_if_added_and_stands_if_set), BENCH_TEST(numbers_are_kept_as_they_are),
      BENCH_TEST(each_metric_declares_whether_it_may_be_aggregated),
      BENCH_TEST(an_aggregate_is_labelled_and_equals_what_the_sessions_have),
      BENCH_TEST(an_aggregate_has_no_way_into_a_threshold), BENCH_TEST(the_trend_is_that_of_the_sessions_own_last_three_checks),
      BENCH_TEST(another_projects_numbers_are_not_seen))
