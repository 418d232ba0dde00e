/*
 * Rings of waiters are named and refused; how long was waited and held; lists and roles.
 *
 * Rows: R45 R61 R62 R66 N12
 */
#include "core/lease_role.h"
#include "lib/leasing.h"
#include "lib/test.h"

#include "base/str.h"
#include "core/lease_resource.h"

static enum status
ask_as(struct leasing *leasing, const char *chain, const char *resource, bool shared, int64_t slots)
{
	struct lease_ask ask = leasing_ask(resource);

	ask.chain = chain;
	ask.shared = shared;
	ask.slots = slots;
	return leasing_acquire(leasing, chain, &ask);
}

static enum status
asks(struct leasing *leasing, const char *chain, const char *resource)
{
	return ask_as(leasing, chain, resource, false, 0);
}

static void
who_waits_for_what_it_holds_itself_is_told_so(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(asks(leasing, "A", "lock/1"), OK);
	assert_int_equal(asks(leasing, "A", "lock/1"), CONFLICT);
	assert_true(leasing_said(leasing, "waiting would close a ring: lock/1 is held by A, who is you"));
	assert_int_equal(leasing_waiters(leasing, "lock/1"), 0);
}

static void
of_two_that_wait_for_each_other_the_second_is_refused(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(asks(leasing, "A", "lock/1"), OK);
	assert_int_equal(asks(leasing, "B", "lock/2"), OK);
	assert_int_equal(asks(leasing, "A", "lock/2"), QUEUED);
	assert_int_equal(asks(leasing, "B", "lock/1"), CONFLICT);
	assert_true(leasing_said(leasing, "lock/1 is held by A, who waits for lock/2, held by B, who is you"));
	assert_int_equal(leasing_waiters(leasing, "lock/1"), 0);
	/* the first still waits, and has it when the second lets go */
	assert_int_equal(leasing_waiters(leasing, "lock/2"), 1);
	assert_int_equal(leasing_release(leasing, "B", "lock/2", 1), OK);
	assert_string_equal(leasing_holder(leasing, "lock/2", 2), "A");
}

static void
a_ring_of_three_or_more_is_named_member_by_member(void **state)
{
	struct leasing *leasing = *state;
	static const char *const chains[] = {"A", "B", "C", "D", "E", "F"};
	char resource[20];

	for (int count = 3; count <= 6; count++) {
		for (int i = 0; i < count; i++) {
			snprintf(resource, sizeof resource, "lock/%d.%d", count, i);
			assert_int_equal(asks(leasing, chains[i], resource), OK);
		}
		for (int i = 0; i < count; i++) {
			snprintf(resource, sizeof resource, "lock/%d.%d", count, (i + 1) % count);
			assert_int_equal(asks(leasing, chains[i], resource), i + 1 < count ? QUEUED : CONFLICT);
		}
		for (int i = 0; i < count; i++) {
			snprintf(resource, sizeof resource, "lock/%d.%d", count, i);
			assert_true(leasing_said(leasing, resource));
		}
		for (int i = 0; i < count; i++) {
			snprintf(resource, sizeof resource, "lock/%d.%d", count, i);
			for (int64_t fence = 1; fence <= 2; fence++) {
				const char *holder = leasing_holder(leasing, resource, fence);

				if (holder != NULL)
					assert_int_equal(leasing_release(leasing, holder, resource, fence), OK);
			}
		}
	}
}

static void
waiting_without_a_ring_is_let_be(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(asks(leasing, "A", "lock/1"), OK);
	assert_int_equal(asks(leasing, "B", "lock/2"), OK);
	assert_int_equal(asks(leasing, "B", "lock/1"), QUEUED);
	assert_int_equal(asks(leasing, "C", "lock/1"), QUEUED);
	assert_int_equal(asks(leasing, "C", "lock/2"), QUEUED);
	/* two whose chain nobody knows may be the same, or not */
	assert_int_equal(asks(leasing, "", "lock/3"), OK);
	assert_int_equal(asks(leasing, "", "lock/3"), QUEUED);
}

static void
through_any_of_those_who_share_it_a_ring_is_found(void **state)
{
	struct leasing *leasing = *state;

	for (const char *chain = "ABC"; *chain != '\0'; chain++) {
		char name[2] = {*chain, '\0'};

		assert_int_equal(ask_as(leasing, name, "lock/shared", true, 0), OK);
	}
	assert_int_equal(asks(leasing, "D", "lock/1"), OK);
	assert_int_equal(asks(leasing, "C", "lock/1"), QUEUED);
	assert_int_equal(asks(leasing, "D", "lock/shared"), CONFLICT);
	assert_true(leasing_said(leasing, "lock/shared is held by C, who waits for lock/1, held by D, who is you"));
}

/* What one command runs at once: each ends by itself, and the command when all have. */
static void
parts_of_a_chain_are_free_of_each_other_and_not_of_the_whole(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(asks(leasing, "O", "lock/outer"), OK);
	assert_int_equal(asks(leasing, "O/a", "lock/inner"), OK);
	assert_int_equal(asks(leasing, "O/b", "lock/inner"), QUEUED);
	assert_int_equal(asks(leasing, "O/c", "lock/outer"), CONFLICT);
	assert_true(leasing_said(leasing, "lock/outer is held by O, who is you"));
	assert_int_equal(asks(leasing, "O/a/d", "lock/inner"), CONFLICT);
	assert_true(leasing_said(leasing, "lock/inner is held by O/a, who is you"));
	/* a step of the command itself waits for what it runs beside */
	assert_int_equal(asks(leasing, "O", "lock/inner"), QUEUED);
	/* a name that begins alike is no part */
	assert_int_equal(asks(leasing, "Oa", "lock/outer"), QUEUED);
}

static void
through_parts_of_a_chain_a_ring_is_found(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(asks(leasing, "O", "lock/outer"), OK);
	assert_int_equal(asks(leasing, "O/a", "lock/1"), OK);
	assert_int_equal(asks(leasing, "O/b", "lock/2"), OK);
	assert_int_equal(asks(leasing, "O/a/c", "lock/2"), QUEUED);
	assert_int_equal(asks(leasing, "O/b/d", "lock/1"), CONFLICT);
	assert_true(leasing_said(leasing, "lock/1 is held by O/a, who waits for lock/2, held by O/b, who is you"));
	assert_int_equal(asks(leasing, "Z", "lock/3"), OK);
	assert_int_equal(asks(leasing, "O/b/d", "lock/3"), QUEUED);
	assert_int_equal(asks(leasing, "Z", "lock/outer"), CONFLICT);
	assert_true(leasing_said(leasing, "lock/outer is held by O, who waits for lock/3, held by Z, who is you"));
}

/* Who shares it already, and asks again behind a writer that waits for it. */
static void
a_reader_that_asks_again_behind_a_writer_is_told(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(ask_as(leasing, "A", "lock/1", true, 0), OK);
	assert_int_equal(asks(leasing, "B", "lock/1"), QUEUED);
	assert_int_equal(ask_as(leasing, "A", "lock/1", true, 0), CONFLICT);
}

static void
several_slots_make_no_ring_since_any_holder_may_free_one(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(ask_as(leasing, "A", "lock/slots", false, 2), OK);
	assert_int_equal(ask_as(leasing, "B", "lock/slots", false, 2), OK);
	assert_int_equal(asks(leasing, "C", "lock/1"), OK);
	assert_int_equal(asks(leasing, "A", "lock/1"), QUEUED);
	assert_int_equal(ask_as(leasing, "C", "lock/slots", false, 2), QUEUED);
}

static void
a_ring_that_was_broken_can_be_waited_in_again(void **state)
{
	struct leasing *leasing = *state;
	int64_t ticket;

	assert_int_equal(asks(leasing, "A", "lock/1"), OK);
	assert_int_equal(asks(leasing, "B", "lock/2"), OK);
	assert_int_equal(asks(leasing, "A", "lock/2"), QUEUED);
	ticket = leasing->lease.ticket;
	assert_int_equal(asks(leasing, "B", "lock/1"), CONFLICT);
	assert_int_equal(leasing_give_up(leasing, "lock/2", ticket), BUSY);
	assert_int_equal(asks(leasing, "B", "lock/1"), QUEUED);
}

/* Rows: R62 */
static void
percentiles_are_bounds_within_a_factor_of_one_and_a_half(void **state)
{
	for (int64_t ms = 1; ms < 300000000; ms += 1 + ms / 7) {
		char text[TIMES_SIZE] = "";
		int64_t told;

		times_add(text, ms);
		told = times_percentile(text, 50);
		assert_true(told >= ms);
		assert_true(told * 2 <= ms * 3);
		assert_int_equal(told, times_percentile(text, 99));
	}
}

/* Rows: R62 */
static void
half_were_no_longer_than_the_median_and_all_but_one_in_a_hundred_than_the_99th(void **state)
{
	char text[TIMES_SIZE] = "";

	assert_int_equal(times_percentile(text, 50), -1);
	for (int i = 0; i < 98; i++)
		times_add(text, 10);
	times_add(text, 5000);
	times_add(text, 5000);
	assert_in_range(times_percentile(text, 50), 10, 15);
	assert_in_range(times_percentile(text, 98), 10, 15);
	assert_in_range(times_percentile(text, 99), 5000, 7500);
}

/* Rows: R62 */
static void
times_stay_short_and_the_last_ones_count_most(void **state)
{
	char text[TIMES_SIZE] = "";

	for (int round = 0; round < 20; round++)
		for (int class = 0; class < 32; class ++)
			for (int i = 0; i < 20; i++)
				times_add(text, (int64_t)1 << class);
	assert_true(strlen(text) < TIMES_SIZE - 1);
	for (int i = 0; i < 3000; i++)
		times_add(text, 7);
	assert_in_range(times_percentile(text, 50), 7, 10);
	times_add(text, 0);
	times_add(text, INT64_MAX);
	assert_true(times_percentile(text, 50) > 0);
	/* what somebody else wrote there is no number of ours */
	assert_int_equal(times_percentile("nonsense", 50), -1);
	assert_int_equal(times_percentile("99:5", 50), -1);
}

static json_t *
listed(struct leasing *leasing, const char *prefix, bool all)
{
	json_t *out = json_array();

	leasing->bench.txn.witness = &leasing->witness;
	assert_int_equal(lease_list(&leasing->bench.txn, prefix, all, out, &leasing->bench.why), OK);
	return out;
}

/* Rows: R45 */
static void
the_list_tells_each_holder_and_waiter_while_they_are_there(void **state)
{
	struct leasing *leasing = *state;
	const json_t *one;
	json_t *list;

	assert_int_equal(asks(leasing, "A", "lock/1"), OK);
	leasing_at(leasing, 7);
	assert_int_equal(asks(leasing, "B", "lock/1"), QUEUED);
	assert_int_equal(asks(leasing, "C", "lock/1"), QUEUED);
	assert_int_equal(asks(leasing, "A", "turn/1"), OK);
	assert_int_equal(leasing_release(leasing, "A", "lock/1", 1), OK);
	list = listed(leasing, "lock/", false);
	assert_int_equal(json_array_size(list), 1);
	one = json_array_get(list, 0);
	assert_string_equal(json_text(one, "resource", ""), "lock/1");
	assert_int_equal(json_array_size(json_object_get(one, "holders")), 1);
	assert_string_equal(json_text(json_array_get(json_object_get(one, "holders"), 0), "holder", ""), "B");
	assert_int_equal(json_array_size(json_object_get(one, "waiters")), 1);
	assert_string_equal(json_text(json_array_get(json_object_get(one, "waiters"), 0), "waiter", ""), "C");
	assert_int_equal(json_whole(json_array_get(json_object_get(one, "waiters"), 0), "since_ms", 0), BENCH_START_MS + 7);
	json_decref(list);
}

/* Rows: R45 */
static void
who_is_dead_or_overdue_is_in_no_list_though_nobody_has_looked_yet(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("turn/1");
	json_t *list;

	ask.anchored = true;
	ask.anchor = "first";
	assert_int_equal(leasing_acquire(leasing, "A", &ask), OK);
	ask.anchor = "second";
	assert_int_equal(leasing_acquire(leasing, "B", &ask), QUEUED);
	ask.anchor = "third";
	ask.wait_ms = 50;
	assert_int_equal(leasing_acquire(leasing, "C", &ask), QUEUED);
	leasing_anchor(leasing, "first", LIVENESS_DEAD);
	list = listed(leasing, "turn/", false);
	assert_int_equal(json_array_size(json_object_get(json_array_get(list, 0), "holders")), 0);
	assert_int_equal(json_array_size(json_object_get(json_array_get(list, 0), "waiters")), 2);
	json_decref(list);
	leasing_anchor(leasing, "second", LIVENESS_DEAD);
	leasing_at(leasing, 50);
	list = listed(leasing, "turn/", false);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	/* one that lives is asked first */
	leasing_anchor(leasing, "first", LIVENESS_ALIVE);
	leasing_at(leasing, LEASING_TTL_MS);
	list = listed(leasing, "turn/", false);
	assert_int_equal(json_array_size(json_object_get(json_array_get(list, 0), "holders")), 1);
	json_decref(list);
	leasing_anchor(leasing, "first", LIVENESS_UNKNOWN);
	list = listed(leasing, "turn/", true);
	assert_int_equal(json_array_size(json_object_get(json_array_get(list, 0), "holders")), 0);
	json_decref(list);
}

static void
with_all_also_what_nobody_holds_is_listed_with_its_times(void **state)
{
	struct leasing *leasing = *state;
	json_t *list;

	assert_int_equal(asks(leasing, "A", "lock/1"), OK);
	leasing_at(leasing, 100);
	assert_int_equal(leasing_release(leasing, "A", "lock/1", 1), OK);
	list = listed(leasing, "lock/", false);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	list = listed(leasing, "lock/", true);
	assert_int_equal(json_array_size(list), 1);
	assert_in_range(json_whole(json_object_get(json_array_get(list, 0), "holds"), "p50_ms", -1), 100, 150);
	assert_in_range(json_whole(json_object_get(json_array_get(list, 0), "waits"), "p99_ms", -1), 0, 1);
	json_decref(list);
	list = listed(leasing, "loc", true);
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	list = listed(leasing, "lock/1/", true);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
}

/* Rows: R66 */
static void
a_role_has_the_priority_it_was_given_and_none_else(void **state)
{
	struct leasing *leasing = *state;
	struct txn *txn = &leasing->bench.txn;
	json_t *roles = json_array();
	int64_t priority;

	assert_int_equal(lease_priority(txn, "release", &priority, NULL), OK);
	assert_int_equal(priority, 0);
	assert_int_equal(lease_set_priority(txn, "release", 1000, NULL), OK);
	assert_int_equal(lease_set_priority(txn, "release", 3, NULL), OK);
	assert_int_equal(lease_priority(txn, "release", &priority, NULL), OK);
	assert_int_equal(priority, 3);
	assert_int_equal(lease_set_priority(txn, "release", 1001, &leasing->bench.why), BAD_INPUT);
	assert_int_equal(lease_set_priority(txn, "release", -1, &leasing->bench.why), BAD_INPUT);
	assert_int_equal(lease_set_priority(txn, "", 1, &leasing->bench.why), BAD_INPUT);
	assert_int_equal(lease_set_priority(txn, "night", 5, NULL), OK);
	assert_int_equal(lease_roles(txn, roles, NULL), OK);
	assert_int_equal(json_array_size(roles), 2);
	assert_string_equal(json_text(json_array_get(roles, 0), "role", ""), "night");
	json_decref(roles);
	assert_int_equal(store_number(leasing->bench.db, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("role.priority")),
	                 3);
}

TESTS(LEASING_TEST(who_waits_for_what_it_holds_itself_is_told_so),
      LEASING_TEST(of_two_that_wait_for_each_other_the_second_is_refused),
      LEASING_TEST(a_ring_of_three_or_more_is_named_member_by_member), LEASING_TEST(waiting_without_a_ring_is_let_be),
      LEASING_TEST(through_any_of_those_who_share_it_a_ring_is_found),
      LEASING_TEST(parts_of_a_chain_are_free_of_each_other_and_not_of_the_whole),
      LEASING_TEST(through_parts_of_a_chain_a_ring_is_found), LEASING_TEST(a_reader_that_asks_again_behind_a_writer_is_told),
      LEASING_TEST(several_slots_make_no_ring_since_any_holder_may_free_one),
      LEASING_TEST(a_ring_that_was_broken_can_be_waited_in_again),
      cmocka_unit_test(percentiles_are_bounds_within_a_factor_of_one_and_a_half),
      cmocka_unit_test(half_were_no_longer_than_the_median_and_all_but_one_in_a_hundred_than_the_99th),
      cmocka_unit_test(times_stay_short_and_the_last_ones_count_most),
      LEASING_TEST(the_list_tells_each_holder_and_waiter_while_they_are_there),
      LEASING_TEST(who_is_dead_or_overdue_is_in_no_list_though_nobody_has_looked_yet),
      LEASING_TEST(with_all_also_what_nobody_holds_is_listed_with_its_times),
      LEASING_TEST(a_role_has_the_priority_it_was_given_and_none_else))
