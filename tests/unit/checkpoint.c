/*
 * A checkpoint fires once per session, context generation and percent of the session's own budget, and is told once.  That it
 * holds among racing reporters and after a restart is in race/checkpoint.c.
 *
 * Rows: R73 R74 R80
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/checkpoint.h"
#include "core/metric.h"

#define T BENCH_START_MS

struct report {
	struct checkpoint_list fired;
	struct checkpoint_list told;
};

static struct session
started(struct bench *bench, const char *client_session, int64_t budget)
{
	struct session_start start = {.client = "claude",
	                              .client_session = client_session,
	                              .client_version = "",
	                              .parent = "",
	                              .budget = budget,
	                              .cwd = "",
	                              .worktree = "",
	                              .branch = ""};
	struct session session;

	assert_int_equal(session_create(&bench->txn, &start, &session, NULL), OK);
	return session;
}

static struct report
reported(struct bench *bench, const struct session *session, double tokens, bool tell)
{
	struct report report;

	metric_set(&bench->txn, session->id, "context_tokens", tokens);
	assert_int_equal(checkpoint_report(&bench->txn, session, tell, &report.fired, &report.told, &bench->why), OK);
	return report;
}

static void
assert_percents(const struct checkpoint_list *list, const char *expected)
{
	char text[CHECKPOINTS_MAX * 5] = "";
	size_t len = 0;

	for (size_t i = 0; i < list->count; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%lld", i == 0 ? "" : " ", (long long)list->items[i].percent);
	assert_string_equal(text, expected);
}

static void
each_fires_when_its_share_is_reached_and_not_again(void **state)
{
	static const struct {
		double tokens;
		const char *fired;
	} steps[] = {{0, ""},     {49999, ""},  {50000, "25"}, {50001, ""},    {99999, ""},  {100000, "50"},
	             {60000, ""}, {100001, ""}, {149999, ""},  {150000, "75"}, {199999, ""}, {1000000, ""}};
	struct bench *bench = *state;
	struct session session = started(bench, "c", 0);

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct report report;

		bench_at(bench, T + (int64_t)i);
		report = reported(bench, &session, steps[i].tokens, false);
		assert_percents(&report.fired, steps[i].fired);
		for (size_t j = 0; j < report.fired.count; j++) {
			assert_int_equal(report.fired.items[j].fired_ms, T + (int64_t)i);
			assert_int_equal(report.fired.items[j].tokens, steps[i].tokens);
			assert_int_equal(report.fired.items[j].budget, 200000);
			assert_int_equal(report.fired.items[j].told_ms, 0);
		}
	}
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM checkpoint WHERE session = $1", DB_TEXT(session.id)), 3);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("checkpoint.fired")), 3);
}

static void
a_jump_past_several_fires_each(void **state)
{
	struct bench *bench = *state;
	struct session session = started(bench, "c", 0);
	struct report report = reported(bench, &session, 160000, false);

	assert_percents(&report.fired, "25 50 75");
	report = reported(bench, &session, 160000, false);
	assert_percents(&report.fired, "");
}

/* Rows: R74 */
static void
the_budget_is_the_sessions_own(void **state)
{
	struct bench *bench = *state;
	struct session small = started(bench, "a", 1000), large = started(bench, "b", 1000000);
	struct report report = reported(bench, &small, 500, false);

	assert_percents(&report.fired, "25 50");
	report = reported(bench, &large, 160000, false);
	assert_percents(&report.fired, "");
	/* it grew: what fired has fired */
	small.budget = 4000;
	report = reported(bench, &small, 1000, false);
	assert_percents(&report.fired, "");
	report = reported(bench, &small, 3000, false);
	assert_percents(&report.fired, "75");
	assert_int_equal(report.fired.items[0].budget, 4000);
}

static void
the_percents_are_configured(void **state)
{
	struct bench *bench = *state;
	struct session session = started(bench, "c", 100);
	struct report report;

	bench_config(bench, "[stile]\ncheckpoints = 90, 10,\t33 10\n");
	report = reported(bench, &session, 33, false);
	assert_percents(&report.fired, "10 33");
	report = reported(bench, &session, 100, false);
	assert_percents(&report.fired, "90");
	bench_config(bench, "[stile]\ncheckpoints =\n");
	session.generation = 2;
	report = reported(bench, &session, 100, false);
	assert_percents(&report.fired, "");
}

static void
percents_that_are_none_are_refused(void **state)
{
	static const char *const bad[] =
		{"0", "101", "25 x", "-5", "12345678901", "25 50 %", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21"};
	struct bench *bench = *state;
	struct session session = started(bench, "c", 0);
	struct report report;
	char text[100];

	metric_set(&bench->txn, session.id, "context_tokens", 160000);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text, "[stile]\ncheckpoints = %s\n", bad[i]);
		bench_config(bench, text);
		assert_int_equal(checkpoint_report(&bench->txn, &session, true, &report.fired, &report.told, &bench->why), BAD_CONFIG);
		assert_memory_equal(bench->why.data, "config: [stile] checkpoints", 27);
		assert_int_equal(report.fired.count + report.told.count, 0);
	}
	bench_config(bench, "[stile]\ncheckpoints = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20\n");
	report = reported(bench, &session, 160000, true);
	assert_int_equal(report.fired.count, 20);
	assert_int_equal(report.told.count, 20);
}

static void
every_context_generation_has_its_own(void **state)
{
	struct bench *bench = *state;
	struct session session = started(bench, "c", 0);
	struct report report = reported(bench, &session, 110000, true);

	assert_percents(&report.fired, "25 50");
	session_open_generation(&bench->txn, &session, "clear");
	report = reported(bench, &session, 0, true);
	assert_percents(&report.fired, "");
	report = reported(bench, &session, 60000, true);
	assert_percents(&report.fired, "25");
	assert_percents(&report.told, "25");
	assert_int_equal(report.fired.items[0].generation, 2);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM checkpoint WHERE generation = $1", DB_INT(1)), 2);
}

/* That it fired and that somebody was told are two facts. */
static void
each_is_told_once_by_the_next_that_can_speak(void **state)
{
	struct bench *bench = *state;
	struct session session = started(bench, "c", 0);
	struct report report = reported(bench, &session, 60000, false);

	assert_percents(&report.told, "");
	report = reported(bench, &session, 60000, false);
	assert_percents(&report.told, "");
	bench_at(bench, T + 9);
	report = reported(bench, &session, 110000, true);
	assert_percents(&report.fired, "50");
	assert_percents(&report.told, "25 50");
	assert_int_equal(report.told.items[0].fired_ms, T);
	assert_int_equal(report.told.items[0].told_ms, T + 9);
	report = reported(bench, &session, 110000, true);
	assert_percents(&report.told, "");
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM checkpoint WHERE told_ms = $1", DB_INT(T + 9)), 2);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("checkpoint.told")), 1);
}

/* Upstream's session-init set the one file back, whoever started.  Rows: R80 */
static void
anothers_start_and_numbers_leave_mine_as_they_are(void **state)
{
	struct bench *bench = *state;
	struct session mine = started(bench, "a", 0), other;
	struct report report = reported(bench, &mine, 160000, true);

	assert_percents(&report.fired, "25 50 75");
	other = started(bench, "b", 0);
	report = reported(bench, &other, 0, true);
	assert_percents(&report.fired, "");
	session_open_generation(&bench->txn, &other, "clear");
	metric_open_generation(&bench->txn, other.id);
	report = reported(bench, &mine, 160000, true);
	assert_percents(&report.fired, "");
	assert_percents(&report.told, "");
	report = reported(bench, &other, 55000, true);
	assert_percents(&report.fired, "25");
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM checkpoint WHERE session = $1", DB_TEXT(mine.id)), 3);
}

static void
a_session_without_a_context_yet_has_none(void **state)
{
	struct bench *bench = *state;
	struct session session = started(bench, "c", 0);
	struct report report;

	assert_int_equal(checkpoint_report(&bench->txn, &session, true, &report.fired, &report.told, NULL), OK);
	assert_int_equal(report.fired.count + report.told.count, 0);
}

static void
a_made_up_number_of_tokens_overflows_nothing(void **state)
{
	struct bench *bench = *state;
	struct session session = started(bench, "c", INT64_MAX);
	struct report report = reported(bench, &session, 9e15, true);

	assert_percents(&report.fired, "");
	session.budget = 1;
	report = reported(bench, &session, 9e15, true);
	assert_percents(&report.fired, "25 50 75");
	assert_true(report.fired.items[0].tokens == 9000000000000000);
}

static void
the_list_gives_all_of_one_session_or_of_all(void **state)
{
	struct bench *bench = *state;
	struct session a = started(bench, "a", 0), b = started(bench, "b", 0);
	json_t *all = json_array(), *one = json_array();

	reported(bench, &a, 160000, true);
	reported(bench, &b, 60000, false);
	assert_int_equal(checkpoint_all(&bench->txn, NULL, all, NULL), OK);
	assert_int_equal(json_array_size(all), 4);
	assert_int_equal(checkpoint_all(&bench->txn, b.id, one, NULL), OK);
	assert_int_equal(json_array_size(one), 1);
	assert_string_equal(json_text(json_array_get(one, 0), "session", ""), b.id);
	assert_int_equal(json_whole(json_array_get(one, 0), "percent", 0), 25);
	assert_int_equal(json_whole(json_array_get(one, 0), "fired_ms", 0), T);
	assert_true(json_is_null(json_object_get(json_array_get(one, 0), "told_ms")));
	json_decref(all);
	json_decref(one);
}

TESTS(BENCH_TEST(each_fires_when_its_share_is_reached_and_not_again), BENCH_TEST(a_jump_past_several_fires_each),
      BENCH_TEST(the_budget_is_the_sessions_own), BENCH_TEST(the_percents_are_configured),
      BENCH_TEST(percents_that_are_none_are_refused), BENCH_TEST(every_context_generation_has_its_own),
      BENCH_TEST(each_is_told_once_by_the_next_that_can_speak), BENCH_TEST(anothers_start_and_numbers_leave_mine_as_they_are),
      BENCH_TEST(a_session_without_a_context_yet_has_none), BENCH_TEST(a_made_up_number_of_tokens_overflows_nothing),
      BENCH_TEST(the_list_gives_all_of_one_session_or_of_all))
