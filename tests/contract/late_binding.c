/*
 * An id that comes late, in all the ways in which it can come, and what waits for it (claude-mem #586): captured, after a
 * placeholder, never, by hand, again and again.
 *
 * Rows: R14 R17 R23 R24 R25 R26 R29
 */
#include "lib/queueing.h"
#include "lib/test.h"

#include "core/binding.h"

#define WAITING 5

static enum status
bind(struct queueing *queueing, const char *session, const char *value, bool placeholder)
{
	struct binding_ask ask = {.session = session, .slot = "memory", .value = value, .placeholder = placeholder};
	struct binding bound;

	queueing->leasing.bench.txn.actor = "uid:1";
	return binding_set(&queueing->leasing.bench.txn, &ask, &bound, &queueing->leasing.bench.why);
}

static void
put_held(struct queueing *queueing, const char *session)
{
	struct queue_put ask = queueing_ask(session, "observation");

	ask.slot = "memory";
	for (int i = 0; i < WAITING; i++)
		assert_int_equal(queueing_put_as(queueing, &ask), OK);
}

/* All that waits, one after another; how many. */
static int
drain(struct queueing *queueing)
{
	int count = 0;
	int64_t number;

	while ((number = queueing_take(queueing, "worker")) > 0) {
		assert_int_equal(queueing_ack(queueing, "worker", number, queueing->item.claim.fence), OK);
		count++;
	}
	return count;
}

/* Row: R17 */
static void
five_that_came_before_the_id_are_all_had_after_it(void **state)
{
	struct queueing *queueing = *state;

	put_held(queueing, "s1");
	assert_int_equal(drain(queueing), 0);
	assert_int_equal(bind(queueing, "s1", "sdk-gen-abc123", false), OK);
	assert_int_equal(drain(queueing), WAITING);
}

/* In every column of every table that could hold it. */
static int64_t
traces(struct queueing *queueing, const char *text)
{
	return store_number(queueing->leasing.bench.db,
	                    "SELECT (SELECT count(*) FROM binding WHERE value LIKE '%' || $1 || '%')"
	                    " + (SELECT count(*) FROM binding_owner WHERE value LIKE '%' || $1 || '%')"
	                    " + (SELECT count(*) FROM audit WHERE before || after || subject || actor LIKE '%' || $1 || '%')"
	                    " + (SELECT count(*) FROM queue_item WHERE line || key || actor || holder || reason LIKE '%' || $1 || '%')"
	                    " + (SELECT count(*) FROM queue_payload WHERE payload LIKE '%' || $1 || '%')",
	                    DB_TEXT(text));
}

/* Row: R23 */
static void
of_a_placeholder_nothing_is_left_when_the_id_comes_and_what_hung_on_it_is_all_there(void **state)
{
	struct queueing *queueing = *state;

	assert_int_equal(bind(queueing, "s1", "pending-c1", true), OK);
	put_held(queueing, "s1");
	/* what the placeholder lets through is the session's, not the placeholder's */
	assert_int_equal(queueing_take(queueing, "worker"), 1);
	assert_int_equal(queueing_ack(queueing, "worker", 1, 1), OK);
	assert_int_not_equal(traces(queueing, "pending-c1"), 0);
	assert_int_equal(bind(queueing, "s1", "sdk-1", false), OK);
	assert_int_equal(traces(queueing, "pending-c1"), 0);
	assert_int_equal(drain(queueing), WAITING - 1);
	assert_int_equal(store_number(queueing->leasing.bench.db, "SELECT count(*) FROM queue_item WHERE line = $1 AND state = 4",
	                              DB_TEXT("s1")),
	                 WAITING);
	/* and it is free for anybody */
	assert_int_equal(bind(queueing, "s2", "pending-c1", true), OK);
}

static void
a_placeholder_takes_no_ids_place_and_another_takes_its_own(void **state)
{
	struct queueing *queueing = *state;

	assert_int_equal(bind(queueing, "s1", "pending-1", true), OK);
	assert_int_equal(bind(queueing, "s1", "pending-2", true), OK);
	assert_int_equal(traces(queueing, "pending-1"), 0);
	assert_int_equal(bind(queueing, "s1", "pending-2", false), OK);
	assert_int_equal(store_number(queueing->leasing.bench.db, "SELECT placeholder FROM binding WHERE value = $1",
	                              DB_TEXT("pending-2")),
	                 0);
	assert_int_equal(bind(queueing, "s1", "pending-3", true), CONFLICT);
	assert_int_equal(bind(queueing, "s1", "sdk-1", false), CONFLICT);
}

/* Row: R24 */
static void
the_clients_own_id_is_no_way_out_of_a_slot_that_is_distinct(void **state)
{
	struct queueing *queueing = *state;
	struct binding_ask ask = {.session = "s1", .slot = "memory", .value = "c1", .distinct = true};
	struct binding bound;

	db_run(queueing->leasing.bench.db,
	       "INSERT INTO binding_owner (project, slot, scope, value, session) VALUES ($1, 'conversation', 'claude', 'c1', 's1')",
	       DB_TEXT(BENCH_PROJECT));
	put_held(queueing, "s1");
	queueing->leasing.bench.txn.actor = "uid:1";
	assert_int_equal(binding_set(&queueing->leasing.bench.txn, &ask, &bound, &queueing->leasing.bench.why), CONFLICT);
	/* as a placeholder neither */
	ask.placeholder = true;
	assert_int_equal(binding_set(&queueing->leasing.bench.txn, &ask, &bound, &queueing->leasing.bench.why), CONFLICT);
	assert_int_equal(drain(queueing), 0);
}

/* Row: R29 */
static void
bound_a_hundred_times_again_all_children_stay(void **state)
{
	struct queueing *queueing = *state;
	struct binding_ask ask = {.session = "s1", .slot = "memory", .rebind = true};
	struct binding bound;
	char value[20];

	put_held(queueing, "s1");
	for (int i = 0; i < 100; i++) {
		snprintf(value, sizeof value, "sdk-%d", i);
		ask.value = value;
		queueing->leasing.bench.txn.actor = "uid:1";
		assert_int_equal(binding_set(&queueing->leasing.bench.txn, &ask, &bound, &queueing->leasing.bench.why), OK);
		assert_int_equal(bound.generation, i + 1);
		assert_int_equal(queueing_items(queueing), WAITING);
	}
	assert_int_equal(drain(queueing), WAITING);
}

CONTRACT_TESTS(QUEUEING_TEST(five_that_came_before_the_id_are_all_had_after_it),
      QUEUEING_TEST(of_a_placeholder_nothing_is_left_when_the_id_comes_and_what_hung_on_it_is_all_there),
      QUEUEING_TEST(a_placeholder_takes_no_ids_place_and_another_takes_its_own),
      QUEUEING_TEST(the_clients_own_id_is_no_way_out_of_a_slot_that_is_distinct),
      QUEUEING_TEST(bound_a_hundred_times_again_all_children_stay))
