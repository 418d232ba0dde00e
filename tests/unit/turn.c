/*
 * The rules of a turn, one after another in memory: what it resumes is read in it, what it binds is bound by who holds it, and
 * all of its end or nothing is kept.
 *
 * Rows: R27 R32 R34 R36 R39 R43 R47 R48 R130 N2
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/turn.h"

#include <stdio.h>
#include <string.h>

#define TTL_MS 60000

static void
make_session(struct bench *bench, const char *name, char out[ID_SIZE])
{
	struct session_start start = {.client = "hand",
	                              .client_session = name,
	                              .client_version = "",
	                              .parent = "",
	                              .cwd = "/",
	                              .worktree = "",
	                              .branch = ""};
	struct arrived arrived;

	assert_int_equal(binding_arrive(&bench->txn, &start, ARRIVAL_EVENT, &arrived, &bench->why), OK);
	memcpy(out, arrived.session.id, ID_SIZE);
	session_list_release(&arrived.others);
}

/* As a step of the session `one`. */
static enum status
take(struct bench *bench, const char *one, struct lease *out)
{
	char resource[RESOURCE_MAX + 1];
	struct lease_ask ask = {.resource = resource, .ttl_ms = TTL_MS, .session = one, .chain = "", .anchor = "", .wake = ""};

	turn_resource(one, resource);
	bench->txn.actor = one;
	return lease_acquire(&bench->txn, &ask, out, &bench->why);
}

static struct turn
begin(struct bench *bench, const char *one, const char *question)
{
	struct lease lease;
	struct turn turn;

	assert_int_equal(take(bench, one, &lease), OK);
	assert_int_equal(turn_open(&bench->txn, one, SLOT_RESUME, lease.fence, question, &turn, &bench->why), OK);
	return turn;
}

static enum status
close_turn(struct bench *bench, const struct turn *turn, const char *bind, const char *answer)
{
	struct turn_end end = {.session = turn->session,
	                       .fence = turn->fence,
	                       .slot = turn->slot,
	                       .bind = bind,
	                       .answer = answer,
	                       .failed = answer == NULL};

	return turn_close(&bench->txn, &end, &bench->why);
}

/* Ends the transaction as the engine would. */
static void
settle(struct bench *bench, enum status status)
{
	const char *actor = bench->txn.actor;

	if (status == OK || bench->txn.keep)
		bench_at(bench, bench->txn.instant_ms + 1);
	else
		bench_undo(bench);
	bench->txn.keep = false;
	bench->txn.actor = actor;
}

static void
expect_log(struct bench *bench, const char *one, const char *expected)
{
	json_t *messages = json_array(), *message;
	char text[1000] = "";
	size_t i, len = 0;

	assert_int_equal(turn_log(&bench->txn, one, messages, &bench->why), OK);
	json_array_foreach(messages, i, message)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%.1s:%s", i == 0 ? "" : " ", json_text(message, "role", ""),
	                            json_text(message, "text", ""));
	assert_string_equal(text, expected);
	json_decref(messages);
}

static void
its_name_is_the_sessions_from_the_first_moment(void **state)
{
	struct bench *bench = *state;
	char one[ID_SIZE], resource[RESOURCE_MAX + 1], wanted[RESOURCE_MAX + 1];
	struct turn turn;

	make_session(bench, "a", one);
	snprintf(wanted, sizeof wanted, "turn/%s", one);
	turn_resource(one, resource);
	assert_string_equal(resource, wanted);
	turn = begin(bench, one, "q");
	assert_string_equal(turn.resume, "");
	assert_int_equal(close_turn(bench, &turn, "id", "a"), OK);
	turn_resource(one, resource);
	assert_string_equal(resource, wanted);
}

/* R27, R36 */
static void
a_turn_resumes_what_the_one_before_it_bound(void **state)
{
	struct bench *bench = *state;
	char one[ID_SIZE];
	struct turn turn;

	make_session(bench, "a", one);
	turn = begin(bench, one, "q1");
	assert_int_equal(close_turn(bench, &turn, "id-1", "a1"), OK);
	turn = begin(bench, one, "q2");
	assert_string_equal(turn.resume, "id-1");
	assert_int_equal(turn.fence, 2);
	/* a client may give another at every turn */
	assert_int_equal(close_turn(bench, &turn, "id-2", "a2"), OK);
	turn = begin(bench, one, "q3");
	assert_string_equal(turn.resume, "id-2");
	/* and none is none lost */
	assert_int_equal(close_turn(bench, &turn, NULL, "a3"), OK);
	assert_string_equal(begin(bench, one, NULL).resume, "id-2");
	expect_log(bench, one, "u:q1 a:a1 u:q2 a:a2 u:q3 a:a3");
}

/* R32 */
static void
one_session_has_one_turn_whatever_its_id(void **state)
{
	struct bench *bench = *state;
	char one[ID_SIZE], other[ID_SIZE];
	struct lease lease;
	struct turn turn;

	make_session(bench, "a", one);
	make_session(bench, "b", other);
	turn = begin(bench, one, "q");
	assert_int_equal(take(bench, one, &lease), HELD);
	assert_int_equal(lease.fence, turn.fence);
	assert_int_equal(take(bench, other, &lease), OK);
}

/* R43, N2 */
static void
an_end_that_comes_too_late_binds_nothing_and_keeps_no_answer(void **state)
{
	struct bench *bench = *state;
	struct turn late, turn;
	char one[ID_SIZE];
	enum status status;

	make_session(bench, "a", one);
	late = begin(bench, one, "q1");
	bench_at(bench, bench->txn.instant_ms + TTL_MS);
	turn = begin(bench, one, "q2");
	assert_true(turn.fence > late.fence);
	settle(bench, OK);
	status = close_turn(bench, &late, "late", "late answer");
	assert_int_equal(status, HELD);
	settle(bench, status);
	status = turn_go_cold(&bench->txn, &late, &bench->why);
	assert_int_equal(status, HELD);
	settle(bench, status);
	assert_int_equal(close_turn(bench, &turn, "right", "a2"), OK);
	assert_string_equal(begin(bench, one, NULL).resume, "right");
	expect_log(bench, one, "u:q1 u:q2 a:a2");
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM binding WHERE value = $1", DB_TEXT("late")), 0);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM turn WHERE state = $1", DB_TEXT("lost")), 1);
}

/* R43 */
static void
anothers_turn_is_not_ended(void **state)
{
	struct bench *bench = *state;
	char one[ID_SIZE], other[ID_SIZE];
	struct turn turn;

	make_session(bench, "a", one);
	make_session(bench, "b", other);
	turn = begin(bench, one, "q");
	bench->txn.actor = other;
	assert_int_equal(close_turn(bench, &turn, "theirs", "x"), NOT_ALLOWED);
	bench->txn.actor = one;
	assert_int_equal(close_turn(bench, &turn, "ours", "a"), OK);
}

/* R39: the refused attempt leaves the turn as it was. */
static void
an_id_that_is_another_sessions_is_not_bound_and_the_turn_goes_on(void **state)
{
	struct bench *bench = *state;
	char one[ID_SIZE], other[ID_SIZE];
	struct turn first, turn;
	enum status status;

	make_session(bench, "a", one);
	make_session(bench, "b", other);
	first = begin(bench, other, NULL);
	assert_int_equal(close_turn(bench, &first, "theirs", "x"), OK);
	turn = begin(bench, one, "q");
	settle(bench, OK);
	status = close_turn(bench, &turn, "theirs", "a");
	assert_int_equal(status, CONFLICT);
	assert_false(bench->txn.keep);
	settle(bench, status);
	assert_int_equal(close_turn(bench, &turn, "ours", "a"), OK);
	expect_log(bench, one, "u:q a:a");
	assert_string_equal(begin(bench, one, NULL).resume, "ours");
}

/* R47 */
static void
a_question_is_kept_whatever_becomes_of_its_turn(void **state)
{
	struct bench *bench = *state;
	char one[ID_SIZE];
	struct turn turn;

	make_session(bench, "a", one);
	turn = begin(bench, one, "fails");
	assert_int_equal(close_turn(bench, &turn, NULL, NULL), OK);
	begin(bench, one, "is lost");
	bench_at(bench, bench->txn.instant_ms + TTL_MS);
	turn = begin(bench, one, "");
	assert_int_equal(close_turn(bench, &turn, NULL, ""), OK);
	expect_log(bench, one, "u:fails u:is lost u: a:");
}

/* R48 */
static void
what_is_gone_is_cleared_and_counted_and_the_turn_is_cold(void **state)
{
	struct bench *bench = *state;
	char one[ID_SIZE];
	struct turn turn;

	make_session(bench, "a", one);
	turn = begin(bench, one, "q1");
	assert_int_equal(close_turn(bench, &turn, "gone", "a1"), OK);
	turn = begin(bench, one, "q2");
	assert_int_equal(turn_go_cold(&bench->txn, &turn, &bench->why), OK);
	assert_string_equal(turn.resume, "");
	assert_int_equal(store_number(bench->db, "SELECT cold_retries FROM turn WHERE fence = $1", DB_INT(turn.fence)), 1);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM metric WHERE name = $1", DB_TEXT("resume_failures")), 1);
	/* a turn that fails then leaves the next one cold */
	assert_int_equal(close_turn(bench, &turn, NULL, NULL), OK);
	turn = begin(bench, one, "q3");
	assert_string_equal(turn.resume, "");
	assert_int_equal(close_turn(bench, &turn, "new", "a3"), OK);
	assert_string_equal(begin(bench, one, NULL).resume, "new");
}

static void
slots_are_apart_and_one_that_can_be_none_is_refused(void **state)
{
	struct bench *bench = *state;
	struct lease lease;
	char one[ID_SIZE];
	struct turn turn;

	make_session(bench, "a", one);
	assert_int_equal(take(bench, one, &lease), OK);
	assert_int_equal(turn_open(&bench->txn, one, "memory", lease.fence, NULL, &turn, &bench->why), OK);
	assert_int_equal(close_turn(bench, &turn, "m1", "a"), OK);
	assert_string_equal(begin(bench, one, NULL).resume, "");
	assert_int_equal(turn_open(&bench->txn, one, "", 2, NULL, &turn, &bench->why), BAD_INPUT);
	assert_int_equal(turn_open(&bench->txn, one, "a\nb", 2, NULL, &turn, &bench->why), BAD_INPUT);
	assert_int_equal(turn_open(&bench->txn, one, SLOT_RESUME, 7, NULL, &turn, &bench->why), HELD);
}

/* R34 */
static void
another_systems_name_is_one_sessions_for_good(void **state)
{
	struct bench *bench = *state;
	char one[ID_SIZE], other[ID_SIZE], found[ID_SIZE];

	make_session(bench, "a", one);
	make_session(bench, "b", other);
	assert_int_equal(turn_key_find(&bench->txn, "session_lock:cold:7", found, &bench->why), NO_SUCH);
	assert_int_equal(turn_key_set(&bench->txn, "session_lock:cold:7", one, &bench->why), OK);
	assert_int_equal(turn_key_set(&bench->txn, "session_lock:cold:7", one, &bench->why), OK);
	assert_int_equal(turn_key_set(&bench->txn, "session_lock:agent:uuid", one, &bench->why), OK);
	assert_int_equal(turn_key_set(&bench->txn, "session_lock:cold:7", other, &bench->why), CONFLICT);
	assert_non_null(strstr(bench->why.data, one));
	assert_int_equal(turn_key_find(&bench->txn, "session_lock:agent:uuid", found, &bench->why), OK);
	assert_string_equal(found, one);
	assert_int_equal(turn_key_set(&bench->txn, "", one, &bench->why), BAD_INPUT);
	assert_int_equal(turn_key_set(&bench->txn, "a\tb", one, &bench->why), BAD_INPUT);
}

static size_t
take_past(struct bench *bench, const char *one, const char *id, const char *question, const char *answer)
{
	const struct turn_past past = {
		.session = one, .id = id, .question = question, .answer = answer, .ran_as = "uuid", .began_ms = 1, .ended_ms = 2};
	size_t would, added;

	assert_int_equal(turn_take_past(&bench->txn, &past, true, &would, &bench->why), OK);
	assert_int_equal(turn_take_past(&bench->txn, &past, false, &added, &bench->why), OK);
	assert_int_equal(would, added);
	return added;
}

/* R130 */
static void
what_was_said_elsewhere_comes_first_in_its_order_and_once(void **state)
{
	struct bench *bench = *state;
	char one[ID_SIZE];
	struct turn turn;

	make_session(bench, "a", one);
	turn = begin(bench, one, "here");
	settle(bench, close_turn(bench, &turn, NULL, "done"));
	assert_int_equal(take_past(bench, one, "m1", "first", "yes"), 2);
	assert_int_equal(take_past(bench, one, "m3", "open", NULL), 1);
	assert_int_equal(take_past(bench, one, "m4", NULL, "alone"), 1);
	expect_log(bench, one, "u:first a:yes u:open a:alone u:here a:done");
	assert_int_equal(take_past(bench, one, "m1", "first", "yes"), 0);
	assert_int_equal(take_past(bench, one, "m3", "open", "at last"), 1);
	expect_log(bench, one, "u:first a:yes u:open a:at last a:alone u:here a:done");
	turn = begin(bench, one, "again");
	assert_true(turn.fence > 0);
}

TESTS(BENCH_TEST(its_name_is_the_sessions_from_the_first_moment), BENCH_TEST(a_turn_resumes_what_the_one_before_it_bound),
      BENCH_TEST(one_session_has_one_turn_whatever_its_id),
      BENCH_TEST(an_end_that_comes_too_late_binds_nothing_and_keeps_no_answer), BENCH_TEST(anothers_turn_is_not_ended),
      BENCH_TEST(an_id_that_is_another_sessions_is_not_bound_and_the_turn_goes_on),
      BENCH_TEST(a_question_is_kept_whatever_becomes_of_its_turn),
      BENCH_TEST(what_is_gone_is_cleared_and_counted_and_the_turn_is_cold),
      BENCH_TEST(slots_are_apart_and_one_that_can_be_none_is_refused),
      BENCH_TEST(another_systems_name_is_one_sessions_for_good),
      BENCH_TEST(what_was_said_elsewhere_comes_first_in_its_order_and_once))
