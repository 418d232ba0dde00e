/*
 * Who is let in, and in which order: tickets, slots, shared and exclusive, priority and its bound, giving up.
 *
 * Rows: R46 R66 R96 N13
 */
#include "lib/leasing.h"
#include "lib/test.h"

static int64_t
ticket_of(struct leasing *leasing, const char *actor, struct lease_ask ask)
{
	assert_int_equal(leasing_acquire(leasing, actor, &ask), QUEUED);
	assert_int_equal(leasing->lease.fence, 0);
	return leasing->lease.ticket;
}

static int64_t
fence_of(struct leasing *leasing, const char *actor, struct lease_ask ask)
{
	assert_int_equal(leasing_acquire(leasing, actor, &ask), OK);
	assert_true(leasing->lease.fence > 0);
	return leasing->lease.fence;
}

static void
assert_granted(struct leasing *leasing, const char *resource, int64_t ticket, const char *actor)
{
	assert_int_equal(leasing_look(leasing, resource, ticket), OK);
	assert_string_equal(leasing->lease.actor, actor);
}

static void
a_free_resource_is_the_first_askers_with_all_it_asked_for(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");

	ask.max_ms = 60000;
	assert_int_equal(fence_of(leasing, "uid:1", ask), 1);
	assert_string_equal(leasing->lease.resource, "lock/a");
	assert_string_equal(leasing->lease.actor, "uid:1");
	assert_int_equal(leasing->lease.slot, 0);
	assert_int_equal(leasing->lease.since_ms, BENCH_START_MS);
	assert_int_equal(leasing->lease.expires_ms, BENCH_START_MS + LEASING_TTL_MS);
	assert_int_equal(leasing->lease.max_ms, 60000);
	/* another name is another thing */
	assert_int_equal(leasing_take(leasing, "uid:2", "lock/b"), 1);
}

static void
every_grant_has_a_fence_one_higher_whoever_had_it_and_however_it_ended(void **state)
{
	struct leasing *leasing = *state;
	size_t count;

	assert_int_equal(leasing_take(leasing, "uid:1", "lock/a"), 1);
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", 1), OK);
	assert_int_equal(leasing_take(leasing, "uid:1", "lock/a"), 2);
	assert_int_equal(lease_break(&leasing->bench.txn, "lock/a", 0, &count, NULL), OK);
	assert_int_equal(leasing_take(leasing, "uid:2", "lock/a"), 3);
	leasing_at(leasing, LEASING_TTL_MS);
	assert_int_equal(leasing_take(leasing, "uid:3", "lock/a"), 4);
}

static void
who_will_not_wait_is_told_who_holds_it_and_leaves_nothing(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");

	fence_of(leasing, "uid:1", ask);
	leasing_at(leasing, 2000);
	ask.wait = false;
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), HELD);
	assert_string_equal(leasing->lease.actor, "uid:1");
	assert_int_equal(leasing->lease.fence, 1);
	assert_true(leasing_said(leasing, "lock/a: held by uid:1 for 2"));
	assert_true(leasing_said(leasing, "--wait"));
	assert_int_equal(leasing_waiters(leasing, "lock/a"), 0);
	assert_int_equal(leasing_holders(leasing, "lock/a"), 1);
}

static void
of_several_holders_the_one_whose_deadline_is_nearest_is_named(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");

	ask.slots = 3;
	ask.ttl_ms = 9000;
	fence_of(leasing, "uid:1", ask);
	ask.ttl_ms = 4000;
	fence_of(leasing, "uid:2", ask);
	ask.ttl_ms = 7000;
	fence_of(leasing, "uid:3", ask);
	ask.wait = false;
	assert_int_equal(leasing_acquire(leasing, "uid:4", &ask), HELD);
	assert_string_equal(leasing->lease.actor, "uid:2");
	assert_true(leasing_said(leasing, "held by uid:2"));
}

static void
sixteen_waiters_are_let_in_in_the_order_of_their_tickets(void **state)
{
	struct leasing *leasing = *state;
	int64_t tickets[16], fence = fence_of(leasing, "uid:0", leasing_ask("lock/a"));
	char actor[20];

	for (int i = 0; i < 16; i++) {
		snprintf(actor, sizeof actor, "uid:%d", i + 1);
		leasing_at(leasing, i);
		tickets[i] = ticket_of(leasing, actor, leasing_ask("lock/a"));
		assert_true(i == 0 || tickets[i] > tickets[i - 1]);
	}
	snprintf(actor, sizeof actor, "uid:0");
	for (int i = 0; i < 16; i++) {
		assert_int_equal(leasing_look(leasing, "lock/a", tickets[i]), QUEUED);
		assert_int_equal(leasing_release(leasing, actor, "lock/a", fence), OK);
		snprintf(actor, sizeof actor, "uid:%d", i + 1);
		assert_granted(leasing, "lock/a", tickets[i], actor);
		assert_int_equal(leasing->lease.fence, fence + 1);
		fence = leasing->lease.fence;
		assert_int_equal(leasing_holders(leasing, "lock/a"), 1);
	}
}

/* Two of two slots: whoever finds one free has it, and each holder has one of its own. */
static void
slots_have_numbers_and_the_lowest_free_one_is_given(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");
	int64_t ticket;

	ask.slots = 3;
	for (int i = 0; i < 3; i++) {
		fence_of(leasing, "uid:1", ask);
		assert_int_equal(leasing->lease.slot, i);
	}
	ticket = ticket_of(leasing, "uid:2", ask);
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", 2), OK);
	assert_granted(leasing, "lock/a", ticket, "uid:2");
	assert_int_equal(leasing->lease.slot, 1);
	assert_int_equal(leasing_holders(leasing, "lock/a"), 3);
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", 3), OK);
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", 1), OK);
	ask.slots = 0;
	fence_of(leasing, "uid:3", ask);
	assert_int_equal(leasing->lease.slot, 0);
}

static void
the_number_of_slots_changes_only_while_nobody_has_one(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");
	int64_t fence;

	ask.slots = 2;
	fence = fence_of(leasing, "uid:1", ask);
	ask.slots = 3;
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), CONFLICT);
	assert_true(leasing_said(leasing, "held by uid:1"));
	assert_true(leasing_said(leasing, "number of slots"));
	assert_int_equal(leasing_waiters(leasing, "lock/a") + leasing_holders(leasing, "lock/a"), 1);
	/* who doesn't say a number takes it as it is */
	ask.slots = 0;
	assert_int_equal(leasing_release(leasing, "uid:2", "lock/a", fence_of(leasing, "uid:2", ask)), OK);
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", fence), OK);
	ask.slots = 3;
	for (int i = 0; i < 3; i++)
		fence_of(leasing, "uid:1", ask);
	ticket_of(leasing, "uid:1", ask);
}

static void
those_who_share_hold_it_together_and_an_exclusive_one_alone(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask shared = leasing_ask("lock/a"), alone = leasing_ask("lock/a");
	int64_t fences[3], ticket, late;

	shared.shared = true;
	for (int i = 0; i < 3; i++)
		fences[i] = fence_of(leasing, "uid:1", shared);
	ticket = ticket_of(leasing, "uid:2", alone);
	/* a later reader doesn't pass the writer that waits */
	late = ticket_of(leasing, "uid:3", shared);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(leasing_look(leasing, "lock/a", ticket), QUEUED);
		assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", fences[i]), OK);
	}
	assert_granted(leasing, "lock/a", ticket, "uid:2");
	assert_int_equal(leasing_look(leasing, "lock/a", late), QUEUED);
	assert_int_equal(leasing_holders(leasing, "lock/a"), 1);
	assert_int_equal(leasing_release(leasing, "uid:2", "lock/a", fences[2] + 1), OK);
	assert_granted(leasing, "lock/a", late, "uid:3");
}

static void
all_readers_in_front_of_a_writer_are_let_in_at_once(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask shared = leasing_ask("lock/a");
	int64_t fence = leasing_take(leasing, "uid:1", "lock/a"), writer;

	shared.shared = true;
	ticket_of(leasing, "uid:2", shared);
	ticket_of(leasing, "uid:3", shared);
	writer = ticket_of(leasing, "uid:4", leasing_ask("lock/a"));
	ticket_of(leasing, "uid:5", shared);
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", fence), OK);
	assert_int_equal(leasing_holders(leasing, "lock/a"), 2);
	assert_int_equal(leasing_waiters(leasing, "lock/a"), 2);
	assert_int_equal(leasing_look(leasing, "lock/a", writer), QUEUED);
}

static void
what_has_several_slots_is_not_shared(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");

	ask.slots = 2;
	fence_of(leasing, "uid:1", ask);
	ask.slots = 0;
	ask.shared = true;
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), CONFLICT);
	assert_true(leasing_said(leasing, "2 slots"));
	ask.slots = 2;
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), BAD_INPUT);
}

/* Rows: R66 */
static void
a_higher_priority_goes_first_but_passes_nobody_more_than_four_times(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask low = leasing_ask("lock/a"), high = low;
	int64_t ticket, fence = leasing_take(leasing, "uid:0", "lock/a");

	high.priority = 10;
	ticket = ticket_of(leasing, "uid:1", low);
	for (int i = 0; i < LEASE_PASSED_MAX + 2; i++)
		ticket_of(leasing, "uid:2", high);
	assert_int_equal(leasing_release(leasing, "uid:0", "lock/a", fence), OK);
	for (int i = 0; i < LEASE_PASSED_MAX; i++) {
		assert_int_equal(leasing_look(leasing, "lock/a", ticket), QUEUED);
		fence++;
		assert_string_equal(leasing_holder(leasing, "lock/a", fence), i < LEASE_PASSED_MAX ? "uid:2" : "uid:1");
		assert_int_equal(leasing_release(leasing, "uid:2", "lock/a", fence), OK);
	}
	assert_granted(leasing, "lock/a", ticket, "uid:1");
}

/* Rows: R66 */
static void
among_those_of_one_priority_the_earlier_goes_first(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");
	int64_t first, second, below, fence = leasing_take(leasing, "uid:0", "lock/a");

	ask.priority = -5;
	below = ticket_of(leasing, "uid:3", ask);
	ask.priority = 0;
	first = ticket_of(leasing, "uid:1", ask);
	second = ticket_of(leasing, "uid:2", ask);
	assert_int_equal(leasing_release(leasing, "uid:0", "lock/a", fence), OK);
	assert_granted(leasing, "lock/a", first, "uid:1");
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", leasing->lease.fence), OK);
	assert_granted(leasing, "lock/a", second, "uid:2");
	assert_int_equal(leasing_release(leasing, "uid:2", "lock/a", leasing->lease.fence), OK);
	assert_granted(leasing, "lock/a", below, "uid:3");
}

/* Rows: N13 */
static void
dead_waiters_and_those_whose_time_is_over_are_skipped(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask killed = leasing_ask("lock/a"), brief = killed;
	int64_t dead, over, next, fence = leasing_take(leasing, "uid:0", "lock/a");

	killed.anchor = "killed";
	brief.wait_ms = 50;
	leasing_anchor(leasing, "killed", LIVENESS_ALIVE);
	dead = ticket_of(leasing, "uid:1", killed);
	over = ticket_of(leasing, "uid:2", brief);
	next = ticket_of(leasing, "uid:3", leasing_ask("lock/a"));
	leasing_anchor(leasing, "killed", LIVENESS_DEAD);
	leasing_at(leasing, 50);
	assert_int_equal(leasing_release(leasing, "uid:0", "lock/a", fence), OK);
	assert_granted(leasing, "lock/a", next, "uid:3");
	assert_int_equal(leasing_look(leasing, "lock/a", dead), NO_SUCH);
	assert_int_equal(leasing_look(leasing, "lock/a", over), NO_SUCH);
	assert_true(leasing_said(leasing, "its time was over"));
}

static void
who_gives_up_is_told_who_holds_it_and_is_out_of_the_queue(void **state)
{
	struct leasing *leasing = *state;
	int64_t fence = leasing_take(leasing, "uid:1", "lock/a"), ticket, next;

	ticket = ticket_of(leasing, "uid:2", leasing_ask("lock/a"));
	next = ticket_of(leasing, "uid:3", leasing_ask("lock/a"));
	assert_int_equal(leasing_give_up(leasing, "lock/a", ticket), BUSY);
	assert_true(leasing_said(leasing, "held by uid:1"));
	assert_int_equal(leasing_look(leasing, "lock/a", ticket), NO_SUCH);
	assert_int_equal(leasing_give_up(leasing, "lock/a", ticket), BUSY);
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", fence), OK);
	assert_granted(leasing, "lock/a", next, "uid:3");
}

static void
who_gives_up_and_was_granted_meanwhile_has_it(void **state)
{
	struct leasing *leasing = *state;
	int64_t fence = leasing_take(leasing, "uid:1", "lock/a"), ticket = ticket_of(leasing, "uid:2", leasing_ask("lock/a"));

	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", fence), OK);
	assert_int_equal(leasing_give_up(leasing, "lock/a", ticket), OK);
	assert_string_equal(leasing->lease.actor, "uid:2");
	assert_int_equal(leasing->lease.fence, fence + 1);
	assert_int_equal(leasing_check(leasing, "uid:2", "lock/a", fence + 1), OK);
}

/* A writer that leaves the queue kept back the readers behind it. */
static void
when_one_gives_up_those_behind_it_are_let_in(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask shared = leasing_ask("lock/a");
	int64_t writer, reader;

	shared.shared = true;
	fence_of(leasing, "uid:1", shared);
	writer = ticket_of(leasing, "uid:2", leasing_ask("lock/a"));
	reader = ticket_of(leasing, "uid:3", shared);
	assert_int_equal(leasing_give_up(leasing, "lock/a", writer), BUSY);
	assert_granted(leasing, "lock/a", reader, "uid:3");
}

static void
who_looks_is_told_whether_somebody_should_tend(void **state)
{
	struct leasing *leasing = *state;
	int64_t ticket;

	leasing_take(leasing, "uid:1", "lock/a");
	ticket = ticket_of(leasing, "uid:2", leasing_ask("lock/a"));
	assert_int_equal(leasing_look(leasing, "lock/a", ticket), QUEUED);
	assert_false(leasing->tend);
	leasing_at(leasing, LEASING_TTL_MS - 1);
	assert_int_equal(leasing_look(leasing, "lock/a", ticket), QUEUED);
	assert_false(leasing->tend);
	leasing_at(leasing, LEASING_TTL_MS);
	assert_int_equal(leasing_look(leasing, "lock/a", ticket), QUEUED);
	assert_true(leasing->tend);
	assert_int_equal(leasing_tend(leasing, "lock/a"), OK);
	assert_granted(leasing, "lock/a", ticket, "uid:2");
	assert_false(leasing->tend);
}

static void
a_look_changes_nothing(void **state)
{
	struct leasing *leasing = *state;
	int64_t ticket;

	leasing_take(leasing, "uid:1", "lock/a");
	ticket = ticket_of(leasing, "uid:2", leasing_ask("lock/a"));
	leasing_at(leasing, LEASING_TTL_MS + 1);
	leasing_look(leasing, "lock/a", ticket);
	assert_int_equal(leasing_holders(leasing, "lock/a"), 1);
	assert_string_equal(leasing_holder(leasing, "lock/a", 1), "uid:1");
	assert_int_equal(leasing_look(leasing, "lock/none", 1), NO_SUCH);
	assert_int_equal(leasing_tend(leasing, "lock/none"), OK);
	assert_int_equal(store_number(leasing->bench.db, "SELECT count(*) FROM resource WHERE resource <> $1", DB_TEXT("")), 1);
}

/* However many wait, each finds its own ticket. */
static void
a_waiter_behind_a_thousand_still_has_its_ticket(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");
	int64_t last = 0;

	leasing_take(leasing, "uid:1", "lock/a");
	for (int i = 0; i < 1000; i++)
		last = ticket_of(leasing, "uid:2", ask);
	assert_int_equal(leasing_look(leasing, "lock/a", last), QUEUED);
	assert_int_equal(leasing_give_up(leasing, "lock/a", last), BUSY);
	assert_int_equal(leasing_waiters(leasing, "lock/a"), 999);
}

/* However many share it: who comes last gives back its own, and a writer waits for the very last. */
static void
a_thousand_may_share_it(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");
	int64_t writer;

	ask.shared = true;
	ask.anchored = true;
	ask.anchor = "dead";
	for (int i = 0; i < 999; i++)
		fence_of(leasing, "uid:1", ask);
	ask.anchor = "";
	fence_of(leasing, "uid:2", ask);
	writer = ticket_of(leasing, "uid:3", leasing_ask("lock/a"));
	leasing_anchor(leasing, "dead", LIVENESS_DEAD);
	assert_int_equal(leasing_tend(leasing, "lock/a"), OK);
	assert_int_equal(leasing_holders(leasing, "lock/a"), 1);
	assert_int_equal(leasing_look(leasing, "lock/a", writer), QUEUED);
	assert_int_equal(leasing_release(leasing, "uid:2", "lock/a", 1000), OK);
	assert_granted(leasing, "lock/a", writer, "uid:3");
}

static void
what_can_not_be_asked_for_is_refused_and_nothing_is_made(void **state)
{
	struct leasing *leasing = *state;
	const struct lease_ask good = leasing_ask("lock/a");
	struct lease_ask bad[11];
	char huge[RESOURCE_MAX + 2];

	memset(huge, 'x', sizeof huge - 1);
	huge[sizeof huge - 1] = '\0';
	for (size_t i = 0; i < 11; i++)
		bad[i] = good;
	bad[0].resource = "";
	bad[1].resource = huge;
	bad[2].resource = "lock/a\nb";
	bad[3].slots = -1;
	bad[4].slots = LEASE_SLOTS_MAX + 1;
	bad[5].ttl_ms = 0;
	bad[6].ttl_ms = LEASE_TTL_MAX_MS + 1;
	bad[7].max_ms = -1;
	bad[8].wait_ms = -1;
	bad[9].wait_ms = INT64_MAX;
	bad[10].ttl_ms = INT64_MIN;
	for (size_t i = 0; i < 11; i++) {
		assert_int_equal(leasing_acquire(leasing, "uid:1", &bad[i]), BAD_INPUT);
		assert_true(leasing->bench.why.len > 0);
		assert_null(strchr(leasing->bench.why.data, '\n'));
	}
	assert_int_equal(store_number(leasing->bench.db, "SELECT count(*) FROM resource WHERE resource <> $1", DB_TEXT("")), 0);
}

TESTS(LEASING_TEST(a_free_resource_is_the_first_askers_with_all_it_asked_for),
      LEASING_TEST(every_grant_has_a_fence_one_higher_whoever_had_it_and_however_it_ended),
      LEASING_TEST(who_will_not_wait_is_told_who_holds_it_and_leaves_nothing),
      LEASING_TEST(of_several_holders_the_one_whose_deadline_is_nearest_is_named),
      LEASING_TEST(sixteen_waiters_are_let_in_in_the_order_of_their_tickets),
      LEASING_TEST(slots_have_numbers_and_the_lowest_free_one_is_given),
      LEASING_TEST(the_number_of_slots_changes_only_while_nobody_has_one),
      LEASING_TEST(those_who_share_hold_it_together_and_an_exclusive_one_alone),
      LEASING_TEST(all_readers_in_front_of_a_writer_are_let_in_at_once), LEASING_TEST(what_has_several_slots_is_not_shared),
      LEASING_TEST(a_higher_priority_goes_first_but_passes_nobody_more_than_four_times),
      LEASING_TEST(among_those_of_one_priority_the_earlier_goes_first),
      LEASING_TEST(dead_waiters_and_those_whose_time_is_over_are_skipped),
      LEASING_TEST(who_gives_up_is_told_who_holds_it_and_is_out_of_the_queue),
      LEASING_TEST(who_gives_up_and_was_granted_meanwhile_has_it), LEASING_TEST(when_one_gives_up_those_behind_it_are_let_in),
      LEASING_TEST(who_looks_is_told_whether_somebody_should_tend), LEASING_TEST(a_look_changes_nothing),
      LEASING_TEST(a_waiter_behind_a_thousand_still_has_its_ticket), LEASING_TEST(a_thousand_may_share_it),
      LEASING_TEST(what_can_not_be_asked_for_is_refused_and_nothing_is_made))
