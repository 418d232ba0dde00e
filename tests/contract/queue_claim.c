/*
 * Claims of a queue's items: who has one, how it ends, attempts that are counted, and who is woken.
 *
 * Rows: R21 R106 R107 R108 R111 R112 R116 R127 N2 N13
 */
#include "lib/queueing.h"
#include "lib/test.h"

/* Rows: R106 R107 */
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

/* Rows: R107 N2 */
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

/* Rows: R108 R112 */
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

/* Row: R108 */
static void
who_could_not_try_gives_it_back_uncounted_and_who_knows_better_buries_it_at_once(void **state)
{
	struct queueing *queueing = *state;
	struct queue_failure untried = {.reason = "no such command", .untried = true};
	struct queue_failure hopeless = {.reason = "it is no JSON", .hopeless = true};

	queueing_put(queueing, "s1", "a");
	for (int generation = 1; generation <= 10; generation++) {
		assert_int_equal(queueing_take(queueing, "uid:1"), 1);
		assert_int_equal(queueing->item.attempts, 1);
		assert_int_equal(queueing_nack_as(queueing, "uid:1", 1, generation, &untried), OK);
	}
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	assert_int_equal(queueing_nack_as(queueing, "uid:1", 1, 11, &hopeless), OK);
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

/* Nothing of the line passes who is claimed meanwhile. Row: R111 */
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

/* Rows: R116 N2 */
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
	assert_int_equal(store_number(queueing->leasing.bench.db, "SELECT count(*) FROM queue_payload WHERE queue = $1",
	                              DB_TEXT("work")),
	                 0);
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

/* Row: R21 */
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
	assert_int_equal(store_number(queueing->leasing.bench.db, "SELECT count(*) FROM waiter WHERE topic = $1",
	                              DB_TEXT("queue/work")),
	                 1);
	queueing_put(queueing, "", "a");
	queueing_put(queueing, "", "b");
	assert_int_equal(queueing_take_as(queueing, "uid:1", &ask), OK);
	assert_int_equal(store_number(queueing->leasing.bench.db, "SELECT count(*) FROM waiter WHERE topic = $1",
	                              DB_TEXT("queue/work")),
	                 0);
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

/* R127 */
static void
what_nobody_claimed_is_taken_out_again_and_its_line_goes_on(void **state)
{
	struct queueing *queueing = *state;
	struct txn *txn = &queueing->leasing.bench.txn;
	int64_t count;

	queueing_put(queueing, "s1", "claimed");
	queueing_put(queueing, "s1", "behind it");
	queueing_put(queueing, "s2", "first");
	queueing_put(queueing, "s2", "another's");
	db_run(txn->db, "UPDATE queue_item SET actor = 'import/1' WHERE project = $1 AND item < 4", DB_TEXT(txn->project));
	assert_int_equal(queueing_take(queueing, "uid:1"), 1);
	assert_int_equal(queue_withdraw(txn, "import/1", &count, &queueing->leasing.bench.why), OK);
	assert_int_equal(count, 2);
	assert_int_equal(queueing_items(queueing), 2);
	assert_int_equal(queueing_take(queueing, "uid:1"), 4);
	assert_int_equal(queueing_ack(queueing, "uid:1", 1, 1), OK);
	assert_int_equal(queue_withdraw(txn, "import/1", &count, &queueing->leasing.bench.why), OK);
	assert_int_equal(count, 0);
}

CONTRACT_TESTS(QUEUEING_TEST(a_claim_whose_holder_died_is_anybodys_at_once),
      QUEUEING_TEST(one_that_is_overdue_and_of_whom_nothing_is_known_loses_it),
      QUEUEING_TEST(one_that_is_overdue_and_lives_is_challenged_first),
      QUEUEING_TEST(what_fails_each_time_waits_longer_and_then_is_dead_and_others_go_on),
      QUEUEING_TEST(an_attempt_whose_holder_died_counts_too),
      QUEUEING_TEST(who_could_not_try_gives_it_back_uncounted_and_who_knows_better_buries_it_at_once),
      QUEUEING_TEST(dead_ones_are_put_back_into_their_old_places), QUEUEING_TEST(one_that_is_put_back_waits_for_who_is_claimed),
      QUEUEING_TEST(only_what_is_claimed_can_be_ended_and_only_by_who_has_it),
      QUEUEING_TEST(several_are_of_several_lines_and_then_on_along_the_first),
      QUEUEING_TEST(of_one_line_only_when_that_is_wanted), QUEUEING_TEST(what_nobody_ever_put_into_is_no_queue),
      QUEUEING_TEST(the_first_in_line_that_lives_is_woken), QUEUEING_TEST(a_binding_wakes_who_waits_for_what_it_frees),
      QUEUEING_TEST(who_had_something_stands_in_line_no_more), QUEUEING_TEST(a_look_tells_when_the_next_may_be_had),
      QUEUEING_TEST(what_nobody_claimed_is_taken_out_again_and_its_line_goes_on))
