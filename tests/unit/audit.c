/*
 * The trail: one row per change, with whose, by whom, when, what it was and what it is; asked by session, time and kind.
 *
 * Rows: R2 R84
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/audit.h"
#include "core/event.h"
#include "core/metric.h"

#define T BENCH_START_MS

static json_t *
listed(struct bench *bench, struct audit_query query)
{
	json_t *rows = json_array();

	if (query.limit == 0)
		query.limit = 1000;
	assert_int_equal(audit_list(&bench->txn, &query, rows, &bench->why), OK);
	return rows;
}

static void
assert_subjects(struct bench *bench, struct audit_query query, const char *expected)
{
	json_t *rows = listed(bench, query), *row;
	char text[200] = "";
	size_t i;

	json_array_foreach(rows, i, row)
	{
		size_t len = strlen(text);

		snprintf(text + len, sizeof text - len, "%s%s", i == 0 ? "" : " ", json_text(row, "subject", "?"));
	}
	assert_string_equal(text, expected);
	json_decref(rows);
}

/* Five rows, a second apart: 1 and 3 of A, 2 and 4 of B, 5 of nobody. */
static void
fill(struct bench *bench)
{
	static const struct {
		const char *session, *kind, *subject;
	} rows[] = {{"a", "session.start", "1"},
	            {"b", "session.start", "2"},
	            {"a", "session.state", "3"},
	            {"b", "binding.set", "4"},
	            {"", "event.dropped", "5"}};

	for (int i = 0; i < 5; i++) {
		bench_at(bench, T + 1000 * i);
		audit_add(&bench->txn, rows[i].session, rows[i].kind, rows[i].subject, "before", "after");
	}
}

static void
rows_are_asked_by_session_time_and_kind(void **state)
{
	struct bench *bench = *state;

	fill(bench);
	assert_subjects(bench, (struct audit_query){0}, "1 2 3 4 5");
	assert_subjects(bench, (struct audit_query){.session = "a"}, "1 3");
	assert_subjects(bench, (struct audit_query){.session = "nobody"}, "");
	assert_subjects(bench, (struct audit_query){.since_ms = T + 2000}, "3 4 5");
	assert_subjects(bench, (struct audit_query){.kind = "session.start"}, "1 2");
	assert_subjects(bench, (struct audit_query){.kind = "session."}, "1 2 3");
	assert_subjects(bench, (struct audit_query){.session = "b", .since_ms = T + 1001, .kind = "binding."}, "4");
	/* a kind is no pattern */
	assert_subjects(bench, (struct audit_query){.kind = "%"}, "");
	assert_subjects(bench, (struct audit_query){.kind = "session_"}, "");
	assert_subjects(bench, (struct audit_query){.session = "' OR 1 --"}, "");
}

static void
a_limit_leaves_the_newest_and_a_number_what_came_after_it(void **state)
{
	struct bench *bench = *state;
	json_t *rows;

	fill(bench);
	assert_subjects(bench, (struct audit_query){.limit = 2}, "4 5");
	rows = listed(bench, (struct audit_query){.limit = 1000});
	assert_subjects(bench, (struct audit_query){.after_seq = json_whole(json_array_get(rows, 2), "seq", 0)}, "4 5");
	json_decref(rows);
}

/* Rows: R8 */
static void
another_projects_rows_are_not_seen(void **state)
{
	struct bench *bench = *state;

	fill(bench);
	bench->txn.project = "elsewhere";
	assert_subjects(bench, (struct audit_query){0}, "");
	audit_add(&bench->txn, "a", "k", "mine", "", "");
	assert_subjects(bench, (struct audit_query){0}, "mine");
}

static void
a_row_says_who_whose_when_and_what(void **state)
{
	struct bench *bench = *state;
	json_t *rows, *row;

	bench_at(bench, T + 7);
	bench->txn.actor = "s1/worker";
	audit_add(&bench->txn, "s1", "binding.set", "memory", "old '\"\n", "caf\xc3\xa9");
	rows = listed(bench, (struct audit_query){0});
	row = json_array_get(rows, 0);
	assert_int_equal(json_whole(row, "at_ms", 0), T + 7);
	assert_string_equal(json_text(row, "session", ""), "s1");
	assert_string_equal(json_text(row, "actor", ""), "s1/worker");
	assert_string_equal(json_text(row, "kind", ""), "binding.set");
	assert_string_equal(json_text(row, "subject", ""), "memory");
	assert_string_equal(json_text(row, "before", ""), "old '\"\n");
	assert_string_equal(json_text(row, "after", ""), "caf\xc3\xa9");
	assert_int_equal(json_whole(row, "epoch", -1), 0);
	json_decref(rows);
}

/* What is done and taken back leaves no row, and what is left is numbered upwards. */
static void
a_row_is_there_if_and_only_if_its_change_is(void **state)
{
	struct bench *bench = *state;

	fill(bench);
	bench_at(bench, T + 9000);
	audit_add(&bench->txn, "a", "k", "undone", "", "");
	metric_add(&bench->txn, "a", "messages", 1);
	bench_undo(bench);
	assert_subjects(bench, (struct audit_query){0}, "1 2 3 4 5");
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM metric WHERE session = $1", DB_TEXT("a")), 0);
	assert_int_equal(store_number(bench->db, "SELECT max(seq) - min(seq) FROM audit WHERE project = $1",
	                              DB_TEXT(BENCH_PROJECT)),
	                 4);
}

static void
act(struct bench *bench, const char *client_session, const char *agent, enum event_kind kind, int64_t at_ms)
{
	struct event *event = malloc(sizeof *event);
	struct event_answer answer = {0};

	bench_at(bench, at_ms);
	event_init(event);
	event->kind = kind;
	event->began_ms = at_ms;
	event->context = 60000;
	snprintf(event->client, sizeof event->client, "claude");
	snprintf(event->client_session, sizeof event->client_session, "%s", client_session);
	snprintf(event->agent, sizeof event->agent, "%s", agent);
	snprintf(event->detail, sizeof event->detail, "permission for Bash");
	assert_int_equal(event_apply(&bench->txn, event, &answer, &bench->why), OK);
	event_answer_release(&answer);
	event_release(event);
	free(event);
}

/* Two sessions act, interleaved: every row names the session whose it is and the actor who did it.  Rows: R2 */
static void
every_record_of_what_sessions_did_names_its_session(void **state)
{
	static const enum event_kind kinds[] = {EVENT_START,      EVENT_PROMPT,   EVENT_TOOL,      EVENT_ASKS, EVENT_TOOL_DONE,
	                                        EVENT_SUB_STARTS, EVENT_SUB_ENDS, EVENT_TURN_ENDS, EVENT_END};
	struct bench *bench = *state;
	json_t *rows;

	for (int i = 0; i < 18; i++)
		act(bench, i % 2 == 0 ? "ca" : "cb", kinds[i / 2] == EVENT_SUB_STARTS ? "worker" : "", kinds[i / 2], T + i);
	rows = listed(bench, (struct audit_query){0});
	assert_true(json_array_size(rows) >= 18);
	json_decref(rows);
	assert_int_equal(store_number(bench->db,
	                              "SELECT count(*) FROM audit WHERE project = $1 AND (session = '' OR actor = '' OR kind = ''"
	                              " OR session NOT IN (SELECT s.session FROM session s))",
	                              DB_TEXT(BENCH_PROJECT)),
	                 0);
	assert_int_equal(store_number(bench->db, "SELECT count(DISTINCT session) FROM audit WHERE project = $1",
	                              DB_TEXT(BENCH_PROJECT)),
	                 2);
	/* what a session did itself is by the session, and its sub-agent's is told apart */
	assert_int_equal(store_number(bench->db,
	                              "SELECT count(*) FROM audit WHERE project = $1 AND kind <> 'session.start' AND actor <> "
	                              "session AND"
	                              " actor <> session || '/worker'",
	                              DB_TEXT(BENCH_PROJECT)),
	                 0);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM audit WHERE actor LIKE $1", DB_TEXT("%/worker")), 2);
}

TESTS(BENCH_TEST(rows_are_asked_by_session_time_and_kind),
      BENCH_TEST(a_limit_leaves_the_newest_and_a_number_what_came_after_it), BENCH_TEST(another_projects_rows_are_not_seen),
      BENCH_TEST(a_row_says_who_whose_when_and_what), BENCH_TEST(a_row_is_there_if_and_only_if_its_change_is),
      BENCH_TEST(every_record_of_what_sessions_did_names_its_session))
