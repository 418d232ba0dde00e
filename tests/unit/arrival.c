/*
 * Which session a client's id means: the same id is the same session; after `clear` the one that its process has just ended
 * or hosts goes on; everything else is a new one.
 *
 * Rows: R1 R8 R13 N3
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/binding.h"

#define T BENCH_START_MS

static const struct process one = {.pid = 100, .start = 5, .space = 7, .boot = "b.1"};
static const struct process two = {.pid = 200, .start = 6, .space = 7, .boot = "b.1"};

/* The session's id; *arrived (may be NULL) holds what else was found, without the others. */
static struct session
arrive_as(struct bench *bench, const char *client, const char *client_session, enum arrival arrival,
          const struct process *process, struct arrived *out)
{
	struct session_start start = {.client = client,
	                              .client_session = client_session,
	                              .client_version = "",
	                              .parent = "",
	                              .cwd = "",
	                              .worktree = "",
	                              .branch = ""};
	struct arrived arrived;

	if (process != NULL)
		start.process = *process;
	assert_int_equal(binding_arrive(&bench->txn, &start, arrival, &arrived, &bench->why), OK);
	session_list_release(&arrived.others);
	if (out != NULL)
		*out = arrived;
	return arrived.session;
}

static struct session
arrive(struct bench *bench, const char *client_session, enum arrival arrival, const struct process *process)
{
	return arrive_as(bench, "claude", client_session, arrival, process, NULL);
}

static void
end(struct bench *bench, struct session *session, const char *reason)
{
	assert_true(session_move(&bench->txn, session, SESSION_ENDS, bench->txn.instant_ms, reason));
	session_save(&bench->txn, session);
}

static int64_t
sessions(struct bench *bench)
{
	return store_number(bench->db, "SELECT count(*) FROM session WHERE project = $1", DB_TEXT(BENCH_PROJECT));
}

/* Rows: R13 */
static void
the_same_id_is_the_same_session_however_often_it_is_announced(void **state)
{
	static const enum arrival all[] = {ARRIVAL_EVENT, ARRIVAL_STARTUP, ARRIVAL_RESUME,
	                                   ARRIVAL_CLEAR, ARRIVAL_COMPACT, ARRIVAL_FORK};
	struct bench *bench = *state;
	struct session first = arrive(bench, "c1", ARRIVAL_STARTUP, &one);
	struct binding_ask ask = {.session = first.id, .slot = "memory", .value = "late"};
	struct binding bound;
	struct arrived again;

	assert_int_equal(binding_set(&bench->txn, &ask, &bound, NULL), OK);
	for (int i = 0; i < 60; i++) {
		arrive_as(bench, "claude", "c1", all[i % 6], i % 2 == 0 ? &one : &two, &again);
		assert_string_equal(again.session.id, first.id);
		assert_false(again.created);
		assert_false(again.joined);
	}
	assert_int_equal(sessions(bench), 1);
	assert_int_equal(binding_get(&bench->txn, first.id, "memory", &bound, NULL), OK);
	assert_string_equal(bound.value, "late");
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM binding WHERE slot = $1", DB_TEXT(SLOT_CONVERSATION)), 1);
}

static void
another_client_means_another_session_by_the_same_id(void **state)
{
	struct bench *bench = *state;
	struct session first = arrive_as(bench, "claude", "c1", ARRIVAL_STARTUP, &one, NULL);
	struct session other = arrive_as(bench, "codex", "c1", ARRIVAL_STARTUP, &one, NULL);

	assert_string_not_equal(first.id, other.id);
	assert_int_equal(sessions(bench), 2);
}

/* Rows: R8 */
static void
another_project_means_another_session_by_the_same_id(void **state)
{
	struct bench *bench = *state;
	struct session first = arrive(bench, "c1", ARRIVAL_STARTUP, &one);

	bench->txn.project = "elsewhere";
	assert_string_not_equal(arrive(bench, "c1", ARRIVAL_STARTUP, &one).id, first.id);
	bench->txn.project = BENCH_PROJECT;
	assert_string_equal(arrive(bench, "c1", ARRIVAL_STARTUP, &one).id, first.id);
}

/* Rows: R1 */
static void
two_starts_in_one_millisecond_have_two_ids(void **state)
{
	struct bench *bench = *state;

	assert_string_not_equal(arrive(bench, "c1", ARRIVAL_STARTUP, &one).id, arrive(bench, "c2", ARRIVAL_STARTUP, &one).id);
}

static void
clear_goes_on_with_the_session_that_its_process_has_just_ended(void **state)
{
	struct bench *bench = *state;
	struct session first = arrive(bench, "c1", ARRIVAL_STARTUP, &one);
	struct arrived next;

	arrive(bench, "c9", ARRIVAL_STARTUP, &two);
	end(bench, &first, "clear");
	bench_at(bench, T + 100);
	arrive_as(bench, "claude", "c2", ARRIVAL_CLEAR, &one, &next);
	assert_string_equal(next.session.id, first.id);
	assert_string_equal(next.session.client_session, "c2");
	assert_true(next.joined);
	assert_false(next.created);
	assert_int_equal(store_number(bench->db, "SELECT max(generation) FROM binding WHERE session = $1", DB_TEXT(first.id)), 2);
	/* both ids lead to it from now on */
	assert_string_equal(arrive(bench, "c1", ARRIVAL_EVENT, &one).id, first.id);
	assert_string_equal(arrive(bench, "c2", ARRIVAL_EVENT, &one).id, first.id);
}

static void
clear_goes_on_with_the_one_session_that_its_process_hosts(void **state)
{
	struct bench *bench = *state;
	struct session first = arrive(bench, "c1", ARRIVAL_STARTUP, &one);

	arrive(bench, "c9", ARRIVAL_STARTUP, &two);
	assert_string_equal(arrive(bench, "c2", ARRIVAL_CLEAR, &one).id, first.id);
}

/* It joins one at most, and none where it can't be told which. */
static void
clear_joins_exactly_one_or_makes_a_new_one(void **state)
{
	struct bench *bench = *state;
	struct session first = arrive(bench, "c1", ARRIVAL_STARTUP, &one), second = arrive(bench, "c2", ARRIVAL_STARTUP, &one),
				   third;

	/* two live in that process */
	third = arrive(bench, "c3", ARRIVAL_CLEAR, &one);
	assert_string_not_equal(third.id, first.id);
	assert_string_not_equal(third.id, second.id);
	/* one of three has just ended by clear: that one */
	end(bench, &second, "clear");
	assert_string_equal(arrive(bench, "c4", ARRIVAL_CLEAR, &one).id, second.id);
	assert_int_equal(sessions(bench), 3);
}

static void
clear_does_not_choose_among_two_that_ended(void **state)
{
	struct bench *bench = *state;
	struct session first = arrive(bench, "c1", ARRIVAL_STARTUP, &one), second = arrive(bench, "c2", ARRIVAL_STARTUP, &one),
				   third;

	end(bench, &first, "clear");
	end(bench, &second, "clear");
	third = arrive(bench, "c3", ARRIVAL_CLEAR, &one);
	assert_string_not_equal(third.id, first.id);
	assert_string_not_equal(third.id, second.id);
}

static void
clear_joins_nothing_that_ended_otherwise_or_long_ago_or_elsewhere(void **state)
{
	struct bench *bench = *state;
	struct session first = arrive(bench, "c1", ARRIVAL_STARTUP, &one);
	struct process again = one;

	end(bench, &first, "logout");
	assert_string_not_equal(arrive(bench, "c2", ARRIVAL_CLEAR, &one).id, first.id);
	bench_undo(bench);
	first = arrive(bench, "c1", ARRIVAL_STARTUP, &one);
	end(bench, &first, "clear");
	assert_string_not_equal(arrive(bench, "c3", ARRIVAL_CLEAR, &two).id, first.id);
	assert_string_not_equal(arrive(bench, "c4", ARRIVAL_CLEAR, NULL).id, first.id);
	assert_string_not_equal(arrive_as(bench, "codex", "c5", ARRIVAL_CLEAR, &one, NULL).id, first.id);
	again.start++;
	assert_string_not_equal(arrive(bench, "c6", ARRIVAL_CLEAR, &again).id, first.id);
	bench_at(bench, T + 60001);
	assert_string_not_equal(arrive(bench, "c7", ARRIVAL_CLEAR, &one).id, first.id);
}

/* A person may switch to another conversation within one process. */
static void
resume_never_joins_by_process(void **state)
{
	static const enum arrival others[] = {ARRIVAL_RESUME, ARRIVAL_STARTUP, ARRIVAL_FORK, ARRIVAL_COMPACT, ARRIVAL_EVENT};
	struct bench *bench = *state;
	struct session first = arrive(bench, "c1", ARRIVAL_STARTUP, &one);
	struct arrived next;
	char id[8];

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		snprintf(id, sizeof id, "n%zu", i);
		arrive_as(bench, "claude", id, others[i], &one, &next);
		assert_true(next.created);
		assert_string_not_equal(next.session.id, first.id);
	}
}

/* A status line is drawn when the client likes; a session made from it would keep the id from the one it belongs to. */
static void
a_glance_finds_a_session_and_makes_none(void **state)
{
	struct bench *bench = *state;
	struct session_start start = {.client = "claude",
	                              .client_session = "c1",
	                              .client_version = "",
	                              .parent = "",
	                              .cwd = "",
	                              .worktree = "",
	                              .branch = ""};
	struct arrived arrived;
	struct session first;

	assert_int_equal(binding_arrive(&bench->txn, &start, ARRIVAL_GLANCE, &arrived, &bench->why), NO_SUCH);
	assert_int_equal(sessions(bench), 0);
	first = arrive(bench, "c1", ARRIVAL_STARTUP, &one);
	assert_string_equal(arrive(bench, "c1", ARRIVAL_GLANCE, &one).id, first.id);
	assert_int_equal(sessions(bench), 1);
}

static void
a_start_finds_the_live_others_and_only_them(void **state)
{
	struct bench *bench = *state;
	struct session first = arrive(bench, "c1", ARRIVAL_STARTUP, &one), ended = arrive(bench, "c2", ARRIVAL_STARTUP, &two);
	struct session_start start = {.client = "claude",
	                              .client_session = "c3",
	                              .client_version = "",
	                              .parent = "",
	                              .cwd = "",
	                              .worktree = "",
	                              .branch = ""};
	struct arrived arrived;

	end(bench, &ended, "logout");
	assert_int_equal(binding_arrive(&bench->txn, &start, ARRIVAL_STARTUP, &arrived, NULL), OK);
	assert_int_equal(arrived.others.count, 1);
	assert_string_equal(arrived.others.items[0].id, first.id);
	session_list_release(&arrived.others);
	/* an event asks for nobody else */
	assert_int_equal(binding_arrive(&bench->txn, &start, ARRIVAL_EVENT, &arrived, NULL), OK);
	assert_int_equal(arrived.others.count, 0);
	session_list_release(&arrived.others);
}

TESTS(BENCH_TEST(the_same_id_is_the_same_session_however_often_it_is_announced),
      BENCH_TEST(another_client_means_another_session_by_the_same_id),
      BENCH_TEST(another_project_means_another_session_by_the_same_id), BENCH_TEST(two_starts_in_one_millisecond_have_two_ids),
      BENCH_TEST(clear_goes_on_with_the_session_that_its_process_has_just_ended),
      BENCH_TEST(clear_goes_on_with_the_one_session_that_its_process_hosts),
      BENCH_TEST(clear_joins_exactly_one_or_makes_a_new_one), BENCH_TEST(clear_does_not_choose_among_two_that_ended),
      BENCH_TEST(clear_joins_nothing_that_ended_otherwise_or_long_ago_or_elsewhere), BENCH_TEST(resume_never_joins_by_process),
      BENCH_TEST(a_glance_finds_a_session_and_makes_none), BENCH_TEST(a_start_finds_the_live_others_and_only_them))
