/*
 * A session's life: its states move along the table and nowhere else, only by events that are not older than the state; the
 * end is a hint, and a person is waited for until the next event.
 *
 * Rows: R1 R4 R5 R74 N9
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/session.h"

/* The table, written down a second time: from, event -> to, for each pair that moves. */
static const struct {
	enum session_state from;
	enum session_event event;
	enum session_state to;
} lawful[] = {
	{SESSION_OPENING, SESSION_WORKS, SESSION_ACTIVE},  {SESSION_OPENING, SESSION_WAITS, SESSION_WAITING},
	{SESSION_OPENING, SESSION_RESTS, SESSION_IDLE},    {SESSION_OPENING, SESSION_ENDS, SESSION_ENDED},
	{SESSION_OPENING, SESSION_VANISHES, SESSION_LOST}, {SESSION_ACTIVE, SESSION_WAITS, SESSION_WAITING},
	{SESSION_ACTIVE, SESSION_RESTS, SESSION_IDLE},     {SESSION_ACTIVE, SESSION_ENDS, SESSION_ENDED},
	{SESSION_ACTIVE, SESSION_VANISHES, SESSION_LOST},  {SESSION_IDLE, SESSION_WORKS, SESSION_ACTIVE},
	{SESSION_IDLE, SESSION_WAITS, SESSION_WAITING},    {SESSION_IDLE, SESSION_ENDS, SESSION_ENDED},
	{SESSION_IDLE, SESSION_VANISHES, SESSION_LOST},    {SESSION_WAITING, SESSION_STARTS, SESSION_ACTIVE},
	{SESSION_WAITING, SESSION_WORKS, SESSION_ACTIVE},  {SESSION_WAITING, SESSION_RESTS, SESSION_IDLE},
	{SESSION_WAITING, SESSION_WAITS, SESSION_WAITING}, {SESSION_WAITING, SESSION_ENDS, SESSION_ENDED},
	{SESSION_WAITING, SESSION_VANISHES, SESSION_LOST}, {SESSION_ENDED, SESSION_STARTS, SESSION_OPENING},
	{SESSION_ENDED, SESSION_WORKS, SESSION_ACTIVE},    {SESSION_ENDED, SESSION_WAITS, SESSION_WAITING},
	{SESSION_ENDED, SESSION_RESTS, SESSION_IDLE},      {SESSION_LOST, SESSION_STARTS, SESSION_OPENING},
	{SESSION_LOST, SESSION_WORKS, SESSION_ACTIVE},     {SESSION_LOST, SESSION_WAITS, SESSION_WAITING},
	{SESSION_LOST, SESSION_RESTS, SESSION_IDLE},       {SESSION_LOST, SESSION_ENDS, SESSION_ENDED},
};

#define T BENCH_START_MS

/* Where it goes, or -1. */
static int
leads_to(enum session_state from, enum session_event event)
{
	for (size_t i = 0; i < sizeof lawful / sizeof *lawful; i++)
		if (lawful[i].from == from && lawful[i].event == event)
			return (int)lawful[i].to;
	return -1;
}

static struct session
created(struct bench *bench, const char *client_session)
{
	struct session_start start = {.client = "claude",
	                              .client_session = client_session,
	                              .client_version = "2.1",
	                              .parent = "",
	                              .cwd = "/home/dev/orchard",
	                              .worktree = "",
	                              .branch = "main"};
	struct session session;

	assert_int_equal(session_create(&bench->txn, &start, &session, &bench->why), OK);
	return session;
}

static struct session
loaded(struct bench *bench, const char *id)
{
	struct session session;

	assert_int_equal(session_load(&bench->txn, id, &session, &bench->why), OK);
	return session;
}

static int64_t
audited(struct bench *bench, const char *session, const char *kind)
{
	return store_number(bench->db, "SELECT count(*) FROM audit WHERE session = $1 AND kind = $2", DB_TEXT(session),
	                    DB_TEXT(kind));
}

static void
every_move_of_the_table_is_made_and_no_other(void **state)
{
	struct bench *bench = *state;

	for (int from = 0; from <= SESSION_LOST; from++)
		for (int event = 0; event < SESSION_EVENTS; event++) {
			struct session session = created(bench, "c");
			int to = leads_to((enum session_state)from, (enum session_event)event);

			session.state = (enum session_state)from;
			assert_int_equal(session_move(&bench->txn, &session, (enum session_event)event, T, "why"), to >= 0);
			assert_int_equal(session.state, to >= 0 ? to : from);
			assert_int_equal(audited(bench, session.id, "session.state"), to >= 0 && to != from);
		}
}

static void
the_table_holds_each_pair_once_with_its_reason(void **state)
{
	const struct session_move_row *row;
	size_t count = 0;

	for (; (row = session_move_nth(count)) != NULL; count++) {
		assert_int_equal(leads_to(row->from, row->event), row->to);
		assert_true(row->comment[0] != '\0');
		for (size_t other = 0; other < count; other++)
			assert_false(session_move_nth(other)->from == row->from && session_move_nth(other)->event == row->event);
	}
	assert_int_equal(count, sizeof lawful / sizeof *lawful);
}

static void
names_of_states_lead_back_to_them(void **state)
{
	enum session_state found;

	for (int i = 0; i <= SESSION_LOST; i++) {
		assert_int_equal(session_state_parse(session_state_name((enum session_state)i), &found), OK);
		assert_int_equal(found, i);
		assert_int_equal(session_is_live((enum session_state)i), i != SESSION_ENDED && i != SESSION_LOST);
	}
	assert_int_equal(session_state_parse("asleep", &found), BAD_INPUT);
}

static void
an_event_older_than_the_state_moves_nothing(void **state)
{
	struct bench *bench = *state;
	struct session session = created(bench, "c");

	assert_true(session_move(&bench->txn, &session, SESSION_RESTS, T + 100, ""));
	assert_false(session_move(&bench->txn, &session, SESSION_WORKS, T + 99, ""));
	assert_int_equal(session.state, SESSION_IDLE);
	assert_int_equal(session.state_ms, T + 100);
	/* what began in the same millisecond may still move it: it can't be told which was first */
	assert_true(session_move(&bench->txn, &session, SESSION_WORKS, T + 100, ""));
	assert_int_equal(session.state, SESSION_ACTIVE);
}

/* Its start may be told after its first work: a hook that began later need not come later. */
static void
one_that_has_worked_is_no_longer_opening_in_whatever_order_it_is_heard(void **state)
{
	struct bench *bench = *state;
	struct session session = created(bench, "c");

	assert_true(session_move(&bench->txn, &session, SESSION_WORKS, T - 5, ""));
	assert_int_equal(session.state, SESSION_ACTIVE);
	assert_int_equal(session.state_ms, T);
	session = created(bench, "d");
	assert_false(session_move(&bench->txn, &session, SESSION_WAITS, T - 5, "a person"));
	assert_false(session_move(&bench->txn, &session, SESSION_ENDS, T - 5, "logout"));
	assert_int_equal(session.state, SESSION_OPENING);
}

/* The tool call that answers a question may be seen before the notice that it was asked. */
static void
a_late_notification_leaves_no_waiting_behind(void **state)
{
	struct bench *bench = *state;
	struct session session = created(bench, "c");

	assert_true(session_move(&bench->txn, &session, SESSION_WORKS, T + 10, ""));
	assert_false(session_move(&bench->txn, &session, SESSION_WORKS, T + 30, ""));
	assert_false(session_move(&bench->txn, &session, SESSION_WAITS, T + 20, "permission for Bash"));
	assert_int_equal(session.state, SESSION_ACTIVE);
	assert_string_equal(session.waiting_for, "");
}

static void
waiting_says_for_what_and_since_when_and_ends_with_the_next_event(void **state)
{
	static const struct {
		enum session_event event;
		enum session_state to;
	} next[] = {{SESSION_STARTS, SESSION_ACTIVE},
	            {SESSION_WORKS, SESSION_ACTIVE},
	            {SESSION_RESTS, SESSION_IDLE},
	            {SESSION_ENDS, SESSION_ENDED}};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof next / sizeof *next; i++) {
		struct session session = created(bench, "c");

		assert_true(session_move(&bench->txn, &session, SESSION_WAITS, T + 5, "permission for Bash"));
		session_save(&bench->txn, &session);
		session = loaded(bench, session.id);
		assert_int_equal(session.state, SESSION_WAITING);
		assert_string_equal(session.waiting_for, "permission for Bash");
		assert_int_equal(session.state_ms, T + 5);
		assert_true(session_move(&bench->txn, &session, next[i].event, T + 6, "reason"));
		assert_int_equal(session.state, next[i].to);
		assert_string_equal(session.waiting_for, "");
	}
}

static void
another_question_is_waited_for_since_it_was_asked(void **state)
{
	struct bench *bench = *state;
	struct session session = created(bench, "c");

	session_move(&bench->txn, &session, SESSION_WAITS, T + 5, "permission for Bash");
	assert_true(session_move(&bench->txn, &session, SESSION_WAITS, T + 9, "an answer"));
	assert_string_equal(session.waiting_for, "an answer");
	assert_int_equal(session.state_ms, T + 9);
}

static void
an_event_after_the_end_reopens(void **state)
{
	struct bench *bench = *state;
	struct session session = created(bench, "c");

	bench_at(bench, T + 1000);
	assert_true(session_move(&bench->txn, &session, SESSION_ENDS, T + 900, "logout"));
	assert_int_equal(session.ended_ms, T + 1000);
	assert_string_equal(session.end_reason, "logout");
	session_save(&bench->txn, &session);
	session = loaded(bench, session.id);
	assert_int_equal(session.ended_ms, T + 1000);
	/* began before the end, came after it: counts, and changes nothing */
	assert_false(session_move(&bench->txn, &session, SESSION_WORKS, T + 899, ""));
	assert_int_equal(session.state, SESSION_ENDED);
	assert_true(session_move(&bench->txn, &session, SESSION_WORKS, T + 1001, ""));
	assert_int_equal(session.state, SESSION_ACTIVE);
	assert_int_equal(session.ended_ms, 0);
	assert_string_equal(session.end_reason, "");
}

static void
a_move_is_audited_with_what_it_was_and_what_it_is(void **state)
{
	struct bench *bench = *state;
	struct session session = created(bench, "c");
	char *line;

	session_move(&bench->txn, &session, SESSION_ENDS, T, "logout");
	line = store_text(bench->db, "SELECT actor || '|' || subject || '|' || before || '|' || after FROM audit WHERE kind = $1",
	                  DB_TEXT("session.state"));
	assert_string_equal(line, "uid:7|logout|opening|ended");
	free(line);
}

static void
what_is_saved_is_what_is_loaded(void **state)
{
	struct bench *bench = *state;
	struct session session = created(bench, "c1"), back;

	assert_int_equal(session.state, SESSION_OPENING);
	assert_int_equal(session.started_ms, T);
	assert_int_equal(session.generation, 1);
	session.state = SESSION_WAITING;
	session.events = 42;
	session.generation = 3;
	session.generation_ms = T + 7;
	session.event_ms = T + 8;
	session.budget = 1000000;
	session.budget_given = true;
	session.process = (struct process){.pid = 12, .start = 34, .space = 56, .boot = "b.1"};
	snprintf(session.waiting_for, sizeof session.waiting_for, "caf\xc3\xa9 ' \" ; --");
	snprintf(session.cwd, sizeof session.cwd, "/elsewhere");
	snprintf(session.worktree, sizeof session.worktree, "side");
	snprintf(session.branch, sizeof session.branch, "topic");
	session_save(&bench->txn, &session);
	back = loaded(bench, session.id);
	assert_memory_equal(&back.process, &session.process, sizeof back.process);
	assert_string_equal(back.waiting_for, session.waiting_for);
	assert_string_equal(back.cwd, "/elsewhere");
	assert_string_equal(back.worktree, "side");
	assert_string_equal(back.branch, "topic");
	assert_int_equal(back.state, SESSION_WAITING);
	assert_int_equal(back.events, 42);
	assert_int_equal(back.generation, 3);
	assert_int_equal(back.generation_ms, T + 7);
	assert_int_equal(back.event_ms, T + 8);
	assert_int_equal(back.budget, 1000000);
	assert_true(back.budget_given);
	assert_int_equal(back.ended_ms, 0);
}

/* Rows: R74 */
static void
each_session_has_a_budget_of_its_own(void **state)
{
	struct bench *bench = *state;
	struct session_start start = {.client = "c",
	                              .client_session = "x",
	                              .client_version = "",
	                              .parent = "",
	                              .budget = 1000,
	                              .cwd = "",
	                              .worktree = "",
	                              .branch = ""};
	struct session given, configured, by_default = created(bench, "a");

	assert_int_equal(session_create(&bench->txn, &start, &given, NULL), OK);
	bench_config(bench, "[stile]\nbudget = 50000\n");
	configured = created(bench, "b");
	assert_int_equal(by_default.budget, 200000);
	assert_false(by_default.budget_given);
	assert_int_equal(given.budget, 1000);
	assert_true(given.budget_given);
	assert_int_equal(configured.budget, 50000);
	assert_int_equal(loaded(bench, by_default.id).budget, 200000);
}

/* Rows: R8 */
static void
a_session_that_is_not_there_or_of_another_project_is_told_so(void **state)
{
	struct bench *bench = *state;
	struct session session, other = created(bench, "c");
	struct session_list list;

	assert_int_equal(session_load(&bench->txn, "nobody", &session, &bench->why), NO_SUCH);
	assert_string_equal(bench->why.data, "no session nobody here; `stile session list` shows those there are");
	bench->txn.project = "elsewhere";
	assert_int_equal(session_load(&bench->txn, other.id, &session, NULL), NO_SUCH);
	assert_int_equal(session_list(&bench->txn, true, &list, NULL), OK);
	assert_int_equal(list.count, 0);
	session_list_release(&list);
}

/* Rows: R5 */
static void
the_list_is_of_the_live_ones_and_of_all_if_asked(void **state)
{
	struct bench *bench = *state;
	struct session session;
	struct session_list list;

	for (int i = 0; i <= SESSION_LOST; i++) {
		bench_at(bench, T + i);
		session = created(bench, session_state_name((enum session_state)i));
		session.state = (enum session_state)i;
		session_save(&bench->txn, &session);
	}
	assert_int_equal(session_list(&bench->txn, false, &list, NULL), OK);
	assert_int_equal(list.count, 4);
	for (size_t i = 0; i < list.count; i++)
		assert_int_equal(list.items[i].state, i);
	session_list_release(&list);
	assert_int_equal(session_list(&bench->txn, true, &list, NULL), OK);
	assert_int_equal(list.count, 6);
	session_list_release(&list);
}

static void
a_start_that_nothing_followed_becomes_a_phantom(void **state)
{
	struct bench *bench = *state;
	struct session session = created(bench, "c");

	assert_false(session_is_phantom(&session, T + 59999, 60000));
	assert_true(session_is_phantom(&session, T + 60000, 60000));
	session.events = 1;
	assert_false(session_is_phantom(&session, T + 60000, 60000));
}

static void
the_document_names_its_process_and_for_what_it_waits_only_if_there_is_one(void **state)
{
	struct bench *bench = *state;
	struct session session = created(bench, "c");
	json_t *document = session_json(&session, LIVENESS_UNKNOWN);

	assert_string_equal(json_text(document, "session", ""), session.id);
	assert_string_equal(json_text(document, "liveness", ""), "unknown");
	assert_null(json_object_get(document, "pid"));
	assert_null(json_object_get(document, "waiting_for"));
	assert_null(json_object_get(document, "ended_ms"));
	json_decref(document);
	session.process.pid = 12;
	session_move(&bench->txn, &session, SESSION_WAITS, T, "a person");
	document = session_json(&session, LIVENESS_ALIVE);
	assert_int_equal(json_whole(document, "pid", 0), 12);
	assert_string_equal(json_text(document, "waiting_for", ""), "a person");
	json_decref(document);
}

static void
a_generation_opens_with_the_next_number_and_is_audited(void **state)
{
	struct bench *bench = *state;
	struct session session = created(bench, "c");
	char *line;

	bench_at(bench, T + 5);
	session_open_generation(&bench->txn, &session, "compact");
	assert_int_equal(session.generation, 2);
	assert_int_equal(session.generation_ms, T + 5);
	line = store_text(bench->db, "SELECT subject || before || after FROM audit WHERE kind = $1", DB_TEXT("session.generation"));
	assert_string_equal(line, "compact12");
	free(line);
}

static enum status
no_random(void *out, size_t len)
{
	(void)out;
	(void)len;
	return IO_FAILED;
}

static void
without_randomness_there_is_no_session(void **state)
{
	struct bench *bench = *state;
	struct session_start start =
		{.client = "c", .client_session = "x", .client_version = "", .parent = "", .cwd = "", .worktree = "", .branch = ""};
	struct session session;

	bench->txn.random = no_random;
	assert_int_equal(session_create(&bench->txn, &start, &session, &bench->why), IO_FAILED);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM session WHERE project = $1", DB_TEXT(BENCH_PROJECT)), 0);
}

TESTS(BENCH_TEST(every_move_of_the_table_is_made_and_no_other), BENCH_TEST(the_table_holds_each_pair_once_with_its_reason),
      BENCH_TEST(names_of_states_lead_back_to_them), BENCH_TEST(an_event_older_than_the_state_moves_nothing),
      BENCH_TEST(one_that_has_worked_is_no_longer_opening_in_whatever_order_it_is_heard),
      BENCH_TEST(a_late_notification_leaves_no_waiting_behind),
      BENCH_TEST(waiting_says_for_what_and_since_when_and_ends_with_the_next_event),
      BENCH_TEST(another_question_is_waited_for_since_it_was_asked), BENCH_TEST(an_event_after_the_end_reopens),
      BENCH_TEST(a_move_is_audited_with_what_it_was_and_what_it_is), BENCH_TEST(what_is_saved_is_what_is_loaded),
      BENCH_TEST(each_session_has_a_budget_of_its_own),
      BENCH_TEST(a_session_that_is_not_there_or_of_another_project_is_told_so),
      BENCH_TEST(the_list_is_of_the_live_ones_and_of_all_if_asked), BENCH_TEST(a_start_that_nothing_followed_becomes_a_phantom),
      BENCH_TEST(the_document_names_its_process_and_for_what_it_waits_only_if_there_is_one),
      BENCH_TEST(a_generation_opens_with_the_next_number_and_is_audited), BENCH_TEST(without_randomness_there_is_no_session))
