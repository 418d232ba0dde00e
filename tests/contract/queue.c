/*
 * A queue's items: their order in a line, what holds them, keys that are known, and bounds that are told.
 *
 * Rows: R16 R17 R23 R109 R110 R111 R112 R113 R116
 */
#include "lib/queueing.h"
#include "lib/test.h"

#include "base/str.h"
#include "core/session.h"

/* Row: R111 */
static void
items_of_a_session_are_claimed_one_after_another_as_they_were_put(void **state)
{
	struct queueing *queueing = *state;

	assert_int_equal(queueing_put(queueing, "s1", "a"), 1);
	assert_int_equal(queueing_put(queueing, "s1", "b"), 2);
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	assert_string_equal(queueing->payload, "a");
	assert_int_equal(queueing_take(queueing, "uid:2"), 0);
	assert_int_equal(queueing_ack(queueing, "uid:1", 1, 1), OK);
	assert_int_equal(queueing_take(queueing, "uid:2"), 2);
	assert_string_equal(queueing->payload, "b");
	assert_int_equal(queueing_ack(queueing, "uid:2", 2, 1), OK);
	assert_int_equal(queueing_items(queueing), 0);
	assert_int_equal(queueing_settled(queueing), 2);
}

/* Row: R111 R112 */
static void
lines_do_not_wait_for_one_another_and_no_line_for_nobody(void **state)
{
	struct queueing *queueing = *state;

	queueing_put(queueing, "s1", "a");
	queueing_put(queueing, "s1", "b");
	queueing_put(queueing, "s2", "c");
	queueing_put(queueing, "", "d");
	queueing_put(queueing, "", "e");
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	assert_int_equal(queueing_take(queueing, "uid:1"), 3);
	assert_int_equal(queueing_take(queueing, "uid:1"), 4);
	assert_int_equal(queueing_take(queueing, "uid:1"), 5);
	assert_int_equal(queueing_take(queueing, "uid:1"), 0);
}

/* Row: R111 */
static void
a_group_is_a_line_of_any_name(void **state)
{
	struct queueing *queueing = *state;

	queueing_put(queueing, "group/MEMORY.md", "a");
	queueing_put(queueing, "group/MEMORY.md", "b");
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	assert_int_equal(queueing_take(queueing, "uid:1"), 0);
}

static void
a_higher_priority_is_first_among_lines_and_never_in_one(void **state)
{
	struct queueing *queueing = *state;
	struct queue_put ask = queueing_ask("s1", "second");

	queueing_put(queueing, "s1", "first");
	ask.priority = 9;
	assert_int_equal(queueing_put_as(queueing, &ask), OK);
	ask = queueing_ask("s2", "urgent");
	ask.priority = 5;
	assert_int_equal(queueing_put_as(queueing, &ask), OK);
	assert_int_equal(queueing_take(queueing, "uid:1"), 3);
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	assert_int_equal(queueing_take(queueing, "uid:1"), 0);
}

/* Row: R17 */
static void
what_is_held_is_free_with_the_binding_and_held_again_without(void **state)
{
	struct queueing *queueing = *state;
	struct queue_put ask = queueing_ask("s1", "a");

	ask.slot = "memory";
	for (int i = 0; i < 5; i++)
		assert_int_equal(queueing_put_as(queueing, &ask), OK);
	assert_int_equal(queueing_take(queueing, "uid:1"), 0);
	queueing_bind(queueing, "s2", "memory", "another's");
	assert_int_equal(queueing_take(queueing, "uid:1"), 0);
	queueing_bind(queueing, "s1", "memory", "m1");
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(queueing_take(queueing, "uid:1"), i);
		assert_int_equal(queueing_ack(queueing, "uid:1", i, 1), OK);
	}
	queueing_bind(queueing, "s1", "memory", NULL);
	assert_int_equal(queueing_take(queueing, "uid:1"), 0);
	queueing_bind(queueing, "s1", "memory", "m2");
	assert_int_equal(queueing_take(queueing, "uid:1"), 3);
}

/* What is not held but stands behind what is must wait as well. Row: R111 */
static void
who_is_behind_one_that_is_held_waits_too(void **state)
{
	struct queueing *queueing = *state;
	struct queue_put ask = queueing_ask("s1", "held");

	ask.slot = "memory";
	assert_int_equal(queueing_put_as(queueing, &ask), OK);
	queueing_put(queueing, "s1", "free");
	assert_int_equal(queueing_take(queueing, "uid:1"), 0);
	queueing_put(queueing, "s2", "other");
	assert_int_equal(queueing_take(queueing, "uid:1"), 3);
}

static void
only_a_sessions_item_can_be_held(void **state)
{
	struct queueing *queueing = *state;
	struct queue_put ask = queueing_ask("group/x", "a");

	ask.slot = "memory";
	assert_int_equal(queueing_put_as(queueing, &ask), BAD_INPUT);
	ask.line = "";
	assert_int_equal(queueing_put_as(queueing, &ask), BAD_INPUT);
}

/* Row: R110 */
static void
the_same_key_with_the_same_payload_is_one_item_also_when_it_is_done(void **state)
{
	struct queueing *queueing = *state;
	struct queue_put ask = queueing_ask("s1", "a");

	ask.key = "toolu_1";
	assert_int_equal(queueing_put_as(queueing, &ask), OK);
	assert_false(queueing->again);
	assert_int_equal(queueing_put_as(queueing, &ask), OK);
	assert_true(queueing->again);
	assert_int_equal(queueing->item.number, 1);
	assert_int_equal(queueing_items(queueing), 1);
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	assert_int_equal(queueing_ack(queueing, "uid:1", 1, 1), OK);
	assert_int_equal(queueing_put_as(queueing, &ask), OK);
	assert_true(queueing->again);
	/* another session's is another */
	ask.line = "s2";
	assert_int_equal(queueing_put_as(queueing, &ask), OK);
	assert_false(queueing->again);
	ask.digest = "other";
	assert_int_equal(queueing_put_as(queueing, &ask), CONFLICT);
	assert_true(leasing_said(&queueing->leasing, "work/2"));
	assert_int_equal(queueing_items(queueing), 1);
}

/* Row: R109 */
static void
full_is_told_and_nothing_is_put(void **state)
{
	struct queueing *queueing = *state;

	bench_config(&queueing->leasing.bench, "[queue work]\nitems = 2\nbytes = 5\nage = 1m\n");
	assert_int_equal(queueing_put(queueing, "s1", "ab"), 1);
	assert_int_equal(queueing_put(queueing, "s1", "cdef"), 0);
	assert_true(leasing_said(&queueing->leasing, "full: 2 bytes"));
	assert_int_equal(queueing_put(queueing, "s1", "c"), 2);
	assert_int_equal(queueing_put(queueing, "s1", "d"), 0);
	assert_true(leasing_said(&queueing->leasing, "full: 2 items"));
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	assert_int_equal(queueing_ack(queueing, "uid:1", 1, 1), OK);
	leasing_at(&queueing->leasing, 60001);
	assert_int_equal(queueing_put(queueing, "s1", "d"), 0);
	assert_true(leasing_said(&queueing->leasing, "its oldest item waits for"));
	assert_int_equal(queueing_items(queueing), 1);
}

/* Row: R113 */
static void
items_of_an_ended_session_are_had_like_any(void **state)
{
	struct queueing *queueing = *state;
	struct txn *txn = &queueing->leasing.bench.txn;

	queueing_put(queueing, "s1", "a");
	db_run(txn->db, "UPDATE session SET state = 'ended', ended_ms = 1 WHERE session = $1", DB_TEXT("s1"));
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
}

/* Row: R109 */
static void
how_much_there_is_and_how_old_is_told(void **state)
{
	struct queueing *queueing = *state;
	struct queue_put held = queueing_ask("s2", "xyz");
	struct txn *txn = &queueing->leasing.bench.txn;
	json_t *list = json_array();
	const json_t *one;

	queueing_put(queueing, "s1", "a");
	leasing_at(&queueing->leasing, 500);
	held.slot = "memory";
	for (int i = 0; i < 3; i++)
		assert_int_equal(queueing_put_as(queueing, &held), OK);
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	assert_int_equal(queue_stats(txn, NULL, list, &queueing->leasing.bench.why), OK);
	assert_int_equal(json_array_size(list), 1);
	one = json_array_get(list, 0);
	assert_int_equal(json_whole(one, "items", -1), 4);
	assert_int_equal(json_whole(one, "bytes", -1), 10);
	assert_int_equal(json_whole(one, "claimed", -1), 1);
	assert_int_equal(json_whole(one, "held", -1), 3);
	assert_int_equal(json_whole(one, "oldest_ms", -1), BENCH_START_MS);
	assert_int_equal(queueing_ack(queueing, "uid:1", 1, 1), OK);
	json_array_clear(list);
	assert_int_equal(queue_stats(txn, "work", list, &queueing->leasing.bench.why), OK);
	one = json_array_get(list, 0);
	assert_int_equal(json_whole(one, "oldest_ms", -1), BENCH_START_MS + 500);
	assert_int_equal(json_whole(one, "done", -1), 1);
	assert_int_equal(queue_stats(txn, "none", list, &queueing->leasing.bench.why), NO_SUCH);
	json_decref(list);
}

/* Row: R116 */
static void
each_state_is_listed_with_its_reason(void **state)
{
	struct queueing *queueing = *state;
	struct txn *txn = &queueing->leasing.bench.txn;
	json_t *list = json_array();

	bench_config(&queueing->leasing.bench, "[queue]\nattempts = 1\n");
	queueing_put(queueing, "s1", "a");
	queueing_put(queueing, "s1", "b");
	queueing_take(queueing, "uid:1");
	queueing_nack(queueing, "uid:1", 1, 1, 0);
	assert_int_equal(queue_list(txn, "work", QUEUE_DEAD, 0, 10, list, &queueing->leasing.bench.why), OK);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(json_text(json_array_get(list, 0), "reason", ""), "it failed");
	assert_string_equal(json_text(json_array_get(list, 0), "session", ""), "s1");
	json_array_clear(list);
	assert_int_equal(queue_list(txn, "work", QUEUE_FIRST, 0, 10, list, &queueing->leasing.bench.why), OK);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(json_text(json_array_get(list, 0), "id", ""), "work/2");
	json_decref(list);
}

static void
names_and_numbers_that_can_not_be_are_refused(void **state)
{
	struct queueing *queueing = *state;
	struct queue_put ask = queueing_ask("s1", "a");
	struct queue_take wish = queueing_wish();
	char queue[QUEUE_NAME_MAX + 1];
	int64_t number;

	ask.queue = "a/b";
	assert_int_equal(queueing_put_as(queueing, &ask), BAD_INPUT);
	ask.queue = "";
	assert_int_equal(queueing_put_as(queueing, &ask), BAD_INPUT);
	ask = queueing_ask("s1", "a");
	ask.size = QUEUE_PAYLOAD_MAX + 1;
	assert_int_equal(queueing_put_as(queueing, &ask), BAD_INPUT);
	ask.size = 1;
	ask.delay_ms = -1;
	assert_int_equal(queueing_put_as(queueing, &ask), BAD_INPUT);
	wish.max = 0;
	assert_int_equal(queueing_take_as(queueing, "uid:1", &wish), BAD_INPUT);
	wish.max = QUEUE_TAKE_MAX + 1;
	assert_int_equal(queueing_take_as(queueing, "uid:1", &wish), BAD_INPUT);
	wish = queueing_wish();
	wish.ttl_ms = 0;
	assert_int_equal(queueing_take_as(queueing, "uid:1", &wish), BAD_INPUT);
	assert_int_equal(queue_id_parse("work/1", queue, &number, NULL), OK);
	assert_int_equal(queue_id_parse("work", queue, &number, NULL), BAD_INPUT);
	assert_int_equal(queue_id_parse("work/0", queue, &number, NULL), BAD_INPUT);
	assert_int_equal(queue_id_parse("/1", queue, &number, NULL), BAD_INPUT);
	assert_int_equal(queue_id_parse("a/b/1", queue, &number, NULL), BAD_INPUT);
}

CONTRACT_TESTS(QUEUEING_TEST(items_of_a_session_are_claimed_one_after_another_as_they_were_put),
      QUEUEING_TEST(lines_do_not_wait_for_one_another_and_no_line_for_nobody), QUEUEING_TEST(a_group_is_a_line_of_any_name),
      QUEUEING_TEST(a_higher_priority_is_first_among_lines_and_never_in_one),
      QUEUEING_TEST(what_is_held_is_free_with_the_binding_and_held_again_without),
      QUEUEING_TEST(who_is_behind_one_that_is_held_waits_too), QUEUEING_TEST(only_a_sessions_item_can_be_held),
      QUEUEING_TEST(the_same_key_with_the_same_payload_is_one_item_also_when_it_is_done),
      QUEUEING_TEST(full_is_told_and_nothing_is_put), QUEUEING_TEST(items_of_an_ended_session_are_had_like_any),
      QUEUEING_TEST(how_much_there_is_and_how_old_is_told), QUEUEING_TEST(each_state_is_listed_with_its_reason),
      QUEUEING_TEST(names_and_numbers_that_can_not_be_are_refused))
