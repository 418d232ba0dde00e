/*
 * A queue's items: their order in a line, what holds them, claims that end, attempts that are counted, keys that are known, and
 * bounds that are told.
 *
 * Rows: R16 R17 R23 R106 R107 R108 R109 R110 R111 R112 R113 R116 N2
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

/* Row: R106 R107 */
static void
a_claim_whose_holder_died_is_anybodys_at_once(void **state)
{
	struct queueing *queueing = *state;
	struct queue_take ask = queueing_wish();

	queueing_put(queueing, "s1", "a");
	ask.anchor = "worker";
	ask.anchored = true;
	leasing_anchor(&queueing->leasing, "worker", LIVENESS_ALIVE);
	assert_int_equal(queueing_take_as(queueing, "s1", &ask), OK);
	assert_int_equal(queueing_take(queueing, "s2"), 0);
	leasing_anchor(&queueing->leasing, "worker", LIVENESS_DEAD);
	assert_int_equal(queueing_take(queueing, "s2"), 1);
	assert_int_equal(queueing->item.claim.fence, 2);
	assert_int_equal(queueing->item.attempts, 2);
	assert_string_equal(queueing->item.reason, "its holder is gone");
}

/* Row: R107 N2 */
static void
one_that_is_overdue_and_of_whom_nothing_is_known_loses_it(void **state)
{
	struct queueing *queueing = *state;

	queueing_put(queueing, "s1", "a");
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	leasing_at(&queueing->leasing, QUEUEING_TTL_MS - 1);
	assert_int_equal(queueing_take(queueing, "uid:2"), 0);
	assert_int_equal(queueing_renew(queueing, "uid:1", 1, 1), OK);
	leasing_at(&queueing->leasing, QUEUEING_TTL_MS);
	assert_int_equal(queueing_take(queueing, "uid:2"), 0);
	leasing_at(&queueing->leasing, 2 * QUEUEING_TTL_MS);
	assert_int_equal(queueing_take(queueing, "uid:2"), 1);
	/* each late effect of the first is refused */
	assert_int_equal(queueing_ack(queueing, "uid:1", 1, 1), HELD);
	assert_true(leasing_said(&queueing->leasing, "generation 1 is over"));
	assert_int_equal(queueing_nack(queueing, "uid:1", 1, 1, -1), HELD);
	assert_int_equal(queueing_renew(queueing, "uid:1", 1, 1), HELD);
	assert_int_equal(queueing_ack(queueing, "uid:2", 1, 2), OK);
}

/* A suspended machine: all are overdue, and all live. Row: R107 */
static void
one_that_is_overdue_and_lives_is_challenged_first(void **state)
{
	struct queueing *queueing = *state;
	struct queue_take ask = queueing_wish();

	queueing_put(queueing, "s1", "a");
	ask.anchor = "worker";
	ask.anchored = true;
	leasing_anchor(&queueing->leasing, "worker", LIVENESS_ALIVE);
	assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), OK);
	leasing_at(&queueing->leasing, QUEUEING_TTL_MS);
	assert_int_equal(queueing_take(queueing, "uid:2"), 0);
	queueing->leasing.awake_ms += LEASE_CHALLENGE_MS - 1;
	assert_int_equal(queueing_take(queueing, "uid:2"), 0);
	queueing->leasing.awake_ms += 1;
	assert_int_equal(queueing_take(queueing, "uid:2"), 1);
}

/* Row: R108 R112 */
static void
what_fails_each_time_waits_longer_and_then_is_dead_and_others_go_on(void **state)
{
	struct queueing *queueing = *state;
	int64_t at_ms = 0;

	queueing_put(queueing, "s1", "poison");
	queueing_put(queueing, "s1", "next");
	queueing_put(queueing, "s2", "other");
	for (int attempt = 1; attempt <= 5; attempt++) {
		assert_int_equal(queueing_take(queueing, "uid:1"), 1);
		assert_int_equal(queueing->item.attempts, attempt);
		assert_int_equal(queueing_nack(queueing, "uid:1", 1, attempt, -1), OK);
		if (attempt == 1) {
			/* the other session's is had meanwhile, and the next of its own is not */
			assert_int_equal(queueing_take(queueing, "uid:1"), 3);
			assert_int_equal(queueing_take(queueing, "uid:1"), 0);
			assert_int_equal(queueing_ack(queueing, "uid:1", 3, 1), OK);
		}
		at_ms += 1000 << (attempt - 1);
		leasing_at(&queueing->leasing, at_ms - 1);
		assert_true(attempt == 5 || queueing_take(queueing, "uid:1") == 0);
		leasing_at(&queueing->leasing, at_ms);
	}
	assert_int_equal(queueing->item.state, QUEUE_DEAD);
	assert_string_equal(queueing->item.reason, "it failed");
	assert_int_equal(queueing_take(queueing, "uid:1"), 2);
	assert_int_equal(queueing_ack(queueing, "uid:1", 1, 5), HELD);
}

/* One whose worker dies of it would be tried for ever. Row: R108 */
static void
an_attempt_whose_holder_died_counts_too(void **state)
{
	struct queueing *queueing = *state;
	struct queue_take ask = queueing_wish();

	queueing_put(queueing, "s1", "deadly");
	queueing_put(queueing, "s1", "next");
	ask.anchor = "worker";
	ask.anchored = true;
	leasing_anchor(&queueing->leasing, "worker", LIVENESS_DEAD);
	for (int attempt = 1; attempt <= 5; attempt++) {
		assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), OK);
		assert_int_equal(queueing->item.number, 1);
	}
	assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), OK);
	assert_int_equal(queueing->item.number, 2);
	assert_int_equal(queueing_state(queueing, 1), QUEUE_DEAD);
}

static enum status
redrive(struct queueing *queueing, int64_t number, size_t *count)
{
	queueing->leasing.bench.txn.actor = "uid:1";
	return queue_redrive(&queueing->leasing.bench.txn, QUEUEING_QUEUE, number, count, &queueing->leasing.bench.why);
}

/* Row: R108 */
static void
dead_ones_are_put_back_into_their_old_places(void **state)
{
	struct queueing *queueing = *state;
	size_t count;

	bench_config(&queueing->leasing.bench, "[queue work]\nattempts = 1\n");
	queueing_put(queueing, "s1", "a");
	queueing_put(queueing, "s1", "b");
	queueing_put(queueing, "s1", "c");
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	assert_int_equal(queueing_nack(queueing, "uid:1", 1, 1, 0), OK);
	assert_int_equal(queueing_items(queueing), 2);
	assert_int_equal(redrive(queueing, 7, &count), NO_SUCH);
	assert_int_equal(redrive(queueing, 1, &count), OK);
	assert_int_equal(count, 1);
	assert_int_equal(queueing_items(queueing), 3);
	assert_int_equal(queueing_settled(queueing), 0);
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	assert_int_equal(queueing->item.attempts, 1);
	assert_int_equal(queueing->item.claim.fence, 2);
	assert_int_equal(queueing_ack(queueing, "uid:1", 1, 2), OK);
	assert_int_equal(queueing_take(queueing, "uid:1"), 2);
	assert_int_equal(redrive(queueing, 0, &count), OK);
	assert_int_equal(count, 0);
}

/* One may be claimed meanwhile: nothing of the line passes it. Row: R111 */
static void
one_that_is_put_back_waits_for_who_is_claimed(void **state)
{
	struct queueing *queueing = *state;
	size_t count;

	bench_config(&queueing->leasing.bench, "[queue]\nattempts = 1\n");
	queueing_put(queueing, "s1", "a");
	queueing_put(queueing, "s1", "b");
	queueing_put(queueing, "s1", "c");
	queueing_take(queueing, "uid:1");
	queueing_nack(queueing, "uid:1", 1, 1, 0);
	assert_int_equal(queueing_take(queueing, "uid:1"), 2);
	assert_int_equal(redrive(queueing, 0, &count), OK);
	assert_int_equal(queueing_take(queueing, "uid:1"), 0);
	assert_int_equal(queueing_ack(queueing, "uid:1", 2, 1), OK);
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
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

/* Row: R116 */
static void
only_what_is_claimed_can_be_ended_and_only_by_who_has_it(void **state)
{
	struct queueing *queueing = *state;

	queueing_put(queueing, "s1", "a");
	assert_int_equal(queueing_ack(queueing, "uid:1", 1, 0), HELD);
	assert_true(leasing_said(&queueing->leasing, "is pending"));
	assert_int_equal(queueing_ack(queueing, "uid:1", 2, 1), NO_SUCH);
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	assert_int_equal(queueing_ack(queueing, "uid:1", 1, 2), HELD);
	assert_int_equal(queueing_ack(queueing, "uid:2", 1, 1), NOT_ALLOWED);
	assert_int_equal(queueing_nack(queueing, "uid:2", 1, 1, 0), NOT_ALLOWED);
	assert_int_equal(queueing_renew(queueing, "uid:2", 1, 1), NOT_ALLOWED);
	assert_int_equal(queueing_state(queueing, 1), QUEUE_CLAIMED);
	assert_int_equal(queueing_ack(queueing, "uid:1", 1, 1), OK);
	assert_int_equal(queueing_nack(queueing, "uid:1", 1, 1, 0), HELD);
	assert_true(leasing_said(&queueing->leasing, "is done"));
	/* its answer may have been lost */
	assert_int_equal(queueing_ack(queueing, "uid:1", 1, 1), OK);
	assert_int_equal(queueing_ack(queueing, "uid:2", 1, 1), HELD);
	assert_int_equal(store_number(queueing->leasing.bench.db, "SELECT done FROM queue WHERE queue = $1", DB_TEXT("work")), 1);
	assert_int_equal(store_number(queueing->leasing.bench.db, "SELECT count(*) FROM queue_payload WHERE queue = $1", DB_TEXT("work")), 0);
}

/* Row: R111 */
static void
several_are_of_several_lines_and_then_on_along_the_first(void **state)
{
	struct queueing *queueing = *state;
	struct queue_take ask = queueing_wish();
	struct queue_put held = queueing_ask("s1", "e");

	queueing_put(queueing, "s1", "a");
	queueing_put(queueing, "s1", "b");
	queueing_put(queueing, "s2", "c");
	queueing_put(queueing, "s1", "d");
	held.slot = "memory";
	assert_int_equal(queueing_put_as(queueing, &held), OK);
	queueing_put(queueing, "s1", "f");
	ask.max = 10;
	assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), OK);
	/* what is behind one that is held is not passed to */
	assert_string_equal(queueing->payload, "a c b d");
	assert_int_equal(queueing_take(queueing, "uid:1"), 0);
	/* the middle one is done and the first is not: it comes before all the rest again */
	assert_int_equal(queueing_ack(queueing, "uid:1", 2, 1), OK);
	assert_int_equal(queueing_nack(queueing, "uid:1", 1, 1, 0), OK);
	assert_int_equal(queueing_take(queueing, "uid:1"), 0);
	assert_int_equal(queueing_ack(queueing, "uid:1", 4, 1), OK);
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
}

static void
of_one_line_only_when_that_is_wanted(void **state)
{
	struct queueing *queueing = *state;
	struct queue_take ask = queueing_wish();

	queueing_put(queueing, "s1", "a");
	queueing_put(queueing, "s2", "b");
	ask.line = "s2";
	assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), OK);
	assert_int_equal(queueing->item.number, 2);
	assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), BUSY);
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

static void
what_nobody_ever_put_into_is_no_queue(void **state)
{
	struct queueing *queueing = *state;
	struct queue_take ask = queueing_wish();

	assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), NO_SUCH);
	queueing_put(queueing, "", "a");
	assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), OK);
	assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), BUSY);
}

static struct queue_take
waiting(const char *anchor, const char *wake)
{
	struct queue_take ask = queueing_wish();

	ask.wait = true;
	ask.anchor = anchor;
	ask.wake = wake;
	return ask;
}

/* Rows: R21 N13 */
static void
the_first_in_line_that_lives_is_woken(void **state)
{
	struct queueing *queueing = *state;
	const char *const anchors[] = {"dead", "first", "second"};

	for (int i = 0; i < 3; i++) {
		struct queue_take ask = waiting(anchors[i], anchors[i]);

		leasing_at(&queueing->leasing, i);
		assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), QUEUED);
	}
	leasing_anchor(&queueing->leasing, "dead", LIVENESS_DEAD);
	queueing_put(queueing, "s1", "a");
	assert_string_equal(queueing->woken, "first ");
	/* behind the first of its line: nobody can have it */
	queueing_put(queueing, "s1", "b");
	assert_string_equal(queueing->woken, "");
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	assert_int_equal(queueing_ack(queueing, "uid:1", 1, 1), OK);
	assert_string_equal(queueing->woken, "second ");
}

/* Rows: R21 */
static void
a_binding_wakes_who_waits_for_what_it_frees(void **state)
{
	struct queueing *queueing = *state;
	struct queue_take ask = waiting("worker", "worker");
	struct queue_put held = queueing_ask("s1", "a");

	held.slot = "memory";
	assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), QUEUED);
	assert_int_equal(queueing_put_as(queueing, &held), OK);
	assert_string_equal(queueing->woken, "");
	queueing_bind(queueing, "s1", "other", "o");
	assert_string_equal(queueing->woken, "");
	queueing_bind(queueing, "s2", "memory", "m2");
	assert_string_equal(queueing->woken, "");
	queueing_bind(queueing, "s1", "memory", "m1");
	assert_string_equal(queueing->woken, "worker ");
}

static void
who_had_something_stands_in_line_no_more(void **state)
{
	struct queueing *queueing = *state;
	struct queue_take ask = waiting("worker", "worker");

	assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), QUEUED);
	assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), QUEUED);
	assert_int_equal(store_number(queueing->leasing.bench.db, "SELECT count(*) FROM waiter WHERE topic = $1", DB_TEXT("queue/work")), 1);
	queueing_put(queueing, "", "a");
	queueing_put(queueing, "", "b");
	assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), OK);
	assert_int_equal(store_number(queueing->leasing.bench.db, "SELECT count(*) FROM waiter WHERE topic = $1", DB_TEXT("queue/work")), 0);
}

static void
a_look_tells_when_the_next_may_be_had(void **state)
{
	struct queueing *queueing = *state;
	struct queue_take ask = queueing_wish();
	struct queue_put later = queueing_ask("s2", "b");
	struct txn *txn = &queueing->leasing.bench.txn;
	int64_t next_ms;
	bool any;

	assert_int_equal(queue_look(txn, &ask, &any, &next_ms, &queueing->leasing.bench.why), OK);
	assert_false(any);
	assert_int_equal(next_ms, 0);
	queueing_put(queueing, "s1", "a");
	assert_int_equal(queue_look(txn, &ask, &any, &next_ms, &queueing->leasing.bench.why), OK);
	assert_true(any);
	queueing_take(queueing, "uid:1");
	later.delay_ms = QUEUEING_TTL_MS / 2;
	assert_int_equal(queueing_put_as(queueing, &later), OK);
	assert_int_equal(queue_look(txn, &ask, &any, &next_ms, &queueing->leasing.bench.why), OK);
	assert_false(any);
	assert_int_equal(next_ms, BENCH_START_MS + QUEUEING_TTL_MS / 2);
	assert_int_equal(queueing_take(queueing, "uid:2"), 0);
	leasing_at(&queueing->leasing, QUEUEING_TTL_MS / 2);
	assert_int_equal(queueing_take(queueing, "uid:2"), 2);
	assert_int_equal(queue_look(txn, &ask, &any, &next_ms, &queueing->leasing.bench.why), OK);
	assert_int_equal(next_ms, BENCH_START_MS + QUEUEING_TTL_MS);
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

TESTS(QUEUEING_TEST(items_of_a_session_are_claimed_one_after_another_as_they_were_put),
      QUEUEING_TEST(lines_do_not_wait_for_one_another_and_no_line_for_nobody), QUEUEING_TEST(a_group_is_a_line_of_any_name),
      QUEUEING_TEST(a_higher_priority_is_first_among_lines_and_never_in_one),
      QUEUEING_TEST(what_is_held_is_free_with_the_binding_and_held_again_without),
      QUEUEING_TEST(who_is_behind_one_that_is_held_waits_too), QUEUEING_TEST(only_a_sessions_item_can_be_held),
      QUEUEING_TEST(a_claim_whose_holder_died_is_anybodys_at_once),
      QUEUEING_TEST(one_that_is_overdue_and_of_whom_nothing_is_known_loses_it),
      QUEUEING_TEST(one_that_is_overdue_and_lives_is_challenged_first),
      QUEUEING_TEST(what_fails_each_time_waits_longer_and_then_is_dead_and_others_go_on),
      QUEUEING_TEST(an_attempt_whose_holder_died_counts_too), QUEUEING_TEST(dead_ones_are_put_back_into_their_old_places),
      QUEUEING_TEST(one_that_is_put_back_waits_for_who_is_claimed),
      QUEUEING_TEST(the_same_key_with_the_same_payload_is_one_item_also_when_it_is_done),
      QUEUEING_TEST(full_is_told_and_nothing_is_put), QUEUEING_TEST(only_what_is_claimed_can_be_ended_and_only_by_who_has_it),
      QUEUEING_TEST(several_are_of_several_lines_and_then_on_along_the_first),
      QUEUEING_TEST(of_one_line_only_when_that_is_wanted), QUEUEING_TEST(items_of_an_ended_session_are_had_like_any),
      QUEUEING_TEST(what_nobody_ever_put_into_is_no_queue), QUEUEING_TEST(the_first_in_line_that_lives_is_woken),
      QUEUEING_TEST(a_binding_wakes_who_waits_for_what_it_frees), QUEUEING_TEST(who_had_something_stands_in_line_no_more),
      QUEUEING_TEST(a_look_tells_when_the_next_may_be_had), QUEUEING_TEST(how_much_there_is_and_how_old_is_told),
      QUEUEING_TEST(each_state_is_listed_with_its_reason), QUEUEING_TEST(names_and_numbers_that_can_not_be_are_refused))
