/*
 * How a lease ends: released, renewed, overdue, challenged, its holder dead, its longest time over, broken, its session ended.
 * Dead, unknown and alive, each before and after the deadline; a suspended machine's clock.
 *
 * Rows: R42 R43 R44 R60 R104 N2
 */
#include "lib/leasing.h"
#include "lib/test.h"

#include "base/str.h"

#define AFTER LEASING_TTL_MS

static struct lease_ask
anchored(const char *anchor)
{
	struct lease_ask ask = leasing_ask("lock/a");

	ask.anchor = anchor;
	ask.anchored = true;
	return ask;
}

/* Held by uid:1 whose anchor is `is`; uid:2 asks without waiting at `ms`. */
static enum status
asked_at(struct leasing *leasing, enum liveness is, int64_t ms)
{
	struct lease_ask ask = anchored("one");

	leasing_anchor(leasing, "one", LIVENESS_ALIVE);
	assert_int_equal(leasing_acquire(leasing, "uid:1", &ask), OK);
	leasing_anchor(leasing, "one", is);
	leasing_at(leasing, ms);
	ask = leasing_ask("lock/a");
	ask.wait = false;
	return leasing_acquire(leasing, "uid:2", &ask);
}

static void
a_dead_holders_lease_is_free_at_once(void **state)
{
	assert_int_equal(asked_at(*state, LIVENESS_DEAD, 0), OK);
}

static void
a_dead_holders_lease_is_free_after_its_deadline_too(void **state)
{
	assert_int_equal(asked_at(*state, LIVENESS_DEAD, AFTER), OK);
}

static void
an_unknown_holder_has_it_to_the_last_instant_before_its_deadline(void **state)
{
	assert_int_equal(asked_at(*state, LIVENESS_UNKNOWN, AFTER - 1), HELD);
}

static void
an_unknown_holders_lease_is_free_from_its_deadline_on(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(asked_at(leasing, LIVENESS_UNKNOWN, AFTER), OK);
	assert_int_equal(leasing->lease.fence, 2);
	assert_int_equal(leasing_holders(leasing, "lock/a"), 1);
}

static void
a_living_holder_has_it_before_its_deadline(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(asked_at(leasing, LIVENESS_ALIVE, AFTER - 1), HELD);
	assert_int_equal(store_number(leasing->bench.db, "SELECT challenged_ms FROM lease WHERE fence = $1", DB_INT(1)), 0);
}

static void
a_living_holder_is_challenged_after_its_deadline_and_has_five_seconds(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");

	ask.wait = false;
	leasing->awake_ms = 70000;
	assert_int_equal(asked_at(leasing, LIVENESS_ALIVE, AFTER), HELD);
	assert_int_equal(store_number(leasing->bench.db, "SELECT challenged_ms FROM lease WHERE fence = $1", DB_INT(1)),
	                 BENCH_START_MS + AFTER);
	leasing->awake_ms += LEASE_CHALLENGE_MS - 1;
	leasing_at(leasing, AFTER + LEASE_CHALLENGE_MS - 1);
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), HELD);
	leasing->awake_ms++;
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), OK);
	assert_int_equal(leasing->lease.fence, 2);
}

/* Not massacre: while the machine slept nobody could renew. */
static void
a_suspended_machines_sleep_does_not_count_for_a_challenge(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");

	ask.wait = false;
	leasing->awake_ms = 70000;
	assert_int_equal(asked_at(leasing, LIVENESS_ALIVE, AFTER), HELD);
	leasing->awake_ms += 100;
	leasing_at(leasing, AFTER + 8 * 3600 * 1000);
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), HELD);
	assert_int_equal(leasing_renew(leasing, "uid:1", "lock/a", 1, 0), OK);
	assert_int_equal(leasing->lease.expires_ms, leasing->bench.txn.instant_ms + LEASING_TTL_MS);
}

/* Whoever looks on another machine has no share in that clock. */
static void
a_challenge_of_another_boot_is_measured_on_the_stores_clock(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");

	ask.wait = false;
	leasing->awake_ms = 70000;
	assert_int_equal(asked_at(leasing, LIVENESS_ALIVE, AFTER), HELD);
	leasing->boot = "another-boot";
	leasing->awake_ms = 900000;
	leasing_at(leasing, AFTER + LEASE_CHALLENGE_MS - 1);
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), HELD);
	leasing_at(leasing, AFTER + LEASE_CHALLENGE_MS);
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), OK);
}

static void
who_renews_when_challenged_keeps_it_and_is_challenged_anew(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");

	ask.wait = false;
	assert_int_equal(asked_at(leasing, LIVENESS_ALIVE, AFTER), HELD);
	assert_int_equal(leasing_renew(leasing, "uid:1", "lock/a", 1, 1000), OK);
	leasing->awake_ms = 999999;
	leasing_at(leasing, AFTER + 1000);
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), HELD);
	leasing->awake_ms += LEASE_CHALLENGE_MS - 1;
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), HELD);
	leasing->awake_ms++;
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), OK);
}

static void
one_who_was_challenged_and_then_dies_is_not_waited_for(void **state)
{
	struct leasing *leasing = *state;
	int64_t ticket;

	assert_int_equal(asked_at(leasing, LIVENESS_ALIVE, AFTER), HELD);
	assert_int_equal(leasing_take(leasing, "uid:2", "lock/a"), 0);
	ticket = leasing->lease.ticket;
	leasing_anchor(leasing, "one", LIVENESS_DEAD);
	assert_int_equal(leasing_look(leasing, "lock/a", ticket), QUEUED);
	assert_true(leasing->tend);
	assert_int_equal(leasing_tend(leasing, "lock/a"), OK);
	assert_int_equal(leasing_look(leasing, "lock/a", ticket), OK);
}

static void
without_a_witness_every_holder_is_unknown(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = anchored("one");

	leasing_anchor(leasing, "one", LIVENESS_DEAD);
	assert_int_equal(leasing_acquire(leasing, "uid:1", &ask), OK);
	ask = leasing_ask("lock/a");
	ask.wait = false;
	leasing->bench.txn.witness = NULL;
	leasing->bench.txn.actor = "uid:2";
	assert_int_equal(lease_acquire(&leasing->bench.txn, &ask, &leasing->lease, &leasing->bench.why), HELD);
	leasing_at(leasing, AFTER);
	assert_int_equal(lease_acquire(&leasing->bench.txn, &ask, &leasing->lease, &leasing->bench.why), OK);
}

/* The anchor is the waiter's alone: from the grant on the process counts. */
static void
a_holder_without_an_anchor_of_its_own_is_proven_by_its_process(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = anchored("waiter");

	ask.anchored = false;
	ask.process = (struct process){.pid = 44, .start = 1, .space = 1, .boot = "this-boot"};
	leasing_anchor(leasing, "waiter", LIVENESS_DEAD);
	leasing_process(leasing, 44, LIVENESS_ALIVE);
	assert_int_equal(leasing_acquire(leasing, "uid:1", &ask), OK);
	ask = leasing_ask("lock/a");
	ask.wait = false;
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), HELD);
	leasing_process(leasing, 44, LIVENESS_DEAD);
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), OK);
}

static void
a_renewal_moves_the_deadline_by_its_own_or_another_time(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(leasing_take(leasing, "uid:1", "lock/a"), 1);
	for (int i = 1; i <= 5; i++) {
		leasing_at(leasing, i * (LEASING_TTL_MS - 1));
		assert_int_equal(leasing_renew(leasing, "uid:1", "lock/a", 1, 0), OK);
		assert_int_equal(leasing->lease.expires_ms, leasing->bench.txn.instant_ms + LEASING_TTL_MS);
	}
	assert_int_equal(leasing_renew(leasing, "uid:1", "lock/a", 1, 77), OK);
	assert_int_equal(leasing->lease.expires_ms, leasing->bench.txn.instant_ms + 77);
	/* and that is its own from then on */
	assert_int_equal(leasing_renew(leasing, "uid:1", "lock/a", 1, 0), OK);
	assert_int_equal(leasing->lease.expires_ms, leasing->bench.txn.instant_ms + 77);
	assert_int_equal(leasing->lease.fence, 1);
	assert_int_equal(leasing_renew(leasing, "uid:1", "lock/a", 1, -1), BAD_INPUT);
	assert_int_equal(leasing_renew(leasing, "uid:1", "lock/a", 1, LEASE_TTL_MAX_MS + 1), BAD_INPUT);
}

static void
a_longest_time_is_a_deadline_that_no_renewal_moves(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = anchored("one");

	ask.max_ms = 15000;
	leasing_anchor(leasing, "one", LIVENESS_ALIVE);
	assert_int_equal(leasing_acquire(leasing, "uid:1", &ask), OK);
	leasing_at(leasing, 9000);
	assert_int_equal(leasing_renew(leasing, "uid:1", "lock/a", 1, 0), OK);
	assert_int_equal(leasing->lease.expires_ms, BENCH_START_MS + 15000);
	leasing_at(leasing, 14999);
	assert_int_equal(leasing_renew(leasing, "uid:1", "lock/a", 1, 60000), OK);
	assert_int_equal(leasing->lease.expires_ms, BENCH_START_MS + 15000);
	leasing_at(leasing, 15000);
	assert_int_equal(leasing_renew(leasing, "uid:1", "lock/a", 1, 0), HELD);
	assert_true(leasing_said(leasing, "longest time is over"));
	ask = leasing_ask("lock/a");
	ask.wait = false;
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), HELD);
	leasing->awake_ms += LEASE_CHALLENGE_MS;
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), OK);
}

/* The zombie of the seeds: it slept past its deadline, another has it, and every one of its late acts is refused. */
static void
a_holder_that_overslept_is_refused_everywhere(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(leasing_take(leasing, "uid:1", "lock/a"), 1);
	leasing_at(leasing, AFTER);
	assert_int_equal(leasing_take(leasing, "uid:2", "lock/a"), 2);
	assert_int_equal(leasing_renew(leasing, "uid:1", "lock/a", 1, 0), HELD);
	assert_true(leasing_said(leasing, "not held with fence 1: held by uid:2"));
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", 1), HELD);
	assert_int_equal(leasing_check(leasing, "uid:1", "lock/a", 1), HELD);
	assert_int_equal(leasing_check(leasing, "uid:2", "lock/a", 2), OK);
	assert_string_equal(leasing_holder(leasing, "lock/a", 2), "uid:2");
	/* nor with the other's fence */
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", 2), NOT_ALLOWED);
	assert_int_equal(leasing_renew(leasing, "uid:1", "lock/a", 2, 0), NOT_ALLOWED);
	assert_int_equal(leasing_check(leasing, "uid:1", "lock/a", 2), NOT_ALLOWED);
	assert_true(leasing_said(leasing, "not by you"));
}

/* The same actor got it again: the fence of before is still over. */
static void
ones_own_lease_of_before_is_not_the_one_of_now(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(leasing_take(leasing, "uid:1", "lock/a"), 1);
	leasing_at(leasing, AFTER);
	assert_int_equal(leasing_take(leasing, "uid:1", "lock/a"), 2);
	assert_int_equal(leasing_check(leasing, "uid:1", "lock/a", 1), HELD);
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", 1), HELD);
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", 2), OK);
}

static void
at_an_effect_an_overdue_lease_is_none_unless_its_holder_is_known_to_live(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = anchored("one");

	leasing_anchor(leasing, "one", LIVENESS_ALIVE);
	assert_int_equal(leasing_acquire(leasing, "uid:1", &ask), OK);
	assert_int_equal(leasing_check(leasing, "uid:1", "lock/a", 1), OK);
	assert_int_equal(leasing->lease.fence, 1);
	leasing_at(leasing, AFTER);
	assert_int_equal(leasing_check(leasing, "uid:1", "lock/a", 1), OK);
	leasing_anchor(leasing, "one", LIVENESS_UNKNOWN);
	assert_int_equal(leasing_check(leasing, "uid:1", "lock/a", 1), HELD);
	assert_true(leasing_said(leasing, "renew it first"));
	/* nobody took it: it can be had back by a renewal */
	assert_int_equal(leasing_renew(leasing, "uid:1", "lock/a", 1, 0), OK);
	assert_int_equal(leasing_check(leasing, "uid:1", "lock/a", 1), OK);
}

static void
what_one_does_not_hold_can_not_be_given_back(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", 1), HELD);
	assert_true(leasing_said(leasing, "nobody holds it"));
	assert_int_equal(leasing_take(leasing, "uid:1", "lock/a"), 1);
	assert_int_equal(leasing_release(leasing, "uid:2", "lock/a", 1), NOT_ALLOWED);
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", 0), HELD);
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", -1), HELD);
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", 1), OK);
	assert_int_equal(leasing_release(leasing, "uid:1", "lock/a", 1), HELD);
}

/* A ticket has fence 0: nobody releases, renews or checks by that. */
static void
a_ticket_is_no_lease(void **state)
{
	struct leasing *leasing = *state;

	assert_int_equal(leasing_take(leasing, "uid:1", "lock/a"), 1);
	assert_int_equal(leasing_take(leasing, "uid:2", "lock/a"), 0);
	assert_int_equal(leasing_release(leasing, "uid:2", "lock/a", 0), HELD);
	assert_int_equal(leasing_renew(leasing, "uid:2", "lock/a", 0, 0), HELD);
	assert_int_equal(leasing_check(leasing, "uid:2", "lock/a", 0), HELD);
	assert_int_equal(leasing_waiters(leasing, "lock/a"), 1);
}

static void
a_sessions_lease_is_its_sub_agents_too_and_no_other_sessions(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");

	ask.session = "s-1";
	assert_int_equal(leasing_acquire(leasing, "s-1", &ask), OK);
	assert_int_equal(leasing_check(leasing, "s-1/helper", "lock/a", 1), OK);
	assert_int_equal(leasing_check(leasing, "s-10", "lock/a", 1), NOT_ALLOWED);
	assert_int_equal(leasing_check(leasing, "s-", "lock/a", 1), NOT_ALLOWED);
	assert_int_equal(leasing_check(leasing, "uid:7", "lock/a", 1), NOT_ALLOWED);
	assert_int_equal(leasing_release(leasing, "s-1/helper", "lock/a", 1), OK);
}

static void
breaking_ends_one_lease_or_all_and_lets_the_next_in(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/a");
	size_t count = 77;
	int64_t ticket;

	ask.slots = 2;
	assert_int_equal(leasing_acquire(leasing, "uid:1", &ask), OK);
	assert_int_equal(leasing_acquire(leasing, "uid:2", &ask), OK);
	assert_int_equal(leasing_acquire(leasing, "uid:3", &ask), QUEUED);
	ticket = leasing->lease.ticket;
	assert_int_equal(lease_break(&leasing->bench.txn, "lock/a", 9, &count, &leasing->bench.why), NO_SUCH);
	assert_int_equal(lease_break(&leasing->bench.txn, "lock/a", 2, &count, &leasing->bench.why), OK);
	assert_int_equal(count, 1);
	assert_int_equal(leasing_look(leasing, "lock/a", ticket), OK);
	assert_int_equal(leasing->lease.slot, 1);
	assert_int_equal(leasing_check(leasing, "uid:2", "lock/a", 2), HELD);
	assert_int_equal(lease_break(&leasing->bench.txn, "lock/a", 0, &count, &leasing->bench.why), OK);
	assert_int_equal(count, 2);
	assert_int_equal(lease_break(&leasing->bench.txn, "lock/a", 0, &count, &leasing->bench.why), NO_SUCH);
	assert_int_equal(lease_break(&leasing->bench.txn, "lock/none", 0, &count, &leasing->bench.why), NO_SUCH);
	assert_int_equal(store_number(leasing->bench.db, "SELECT count(*) FROM audit WHERE after = $1", DB_TEXT("broken")), 3);
}

static void
with_its_session_ends_what_it_holds_and_waits_for_but_not_a_command_at_work(void **state)
{
	struct leasing *leasing = *state;
	struct lease_ask ask = leasing_ask("lock/held"), command = anchored("command");
	int64_t next;

	ask.session = command.session = "s-1";
	assert_int_equal(leasing_acquire(leasing, "s-1", &ask), OK);
	leasing_anchor(leasing, "command", LIVENESS_ALIVE);
	command.resource = "lock/run";
	assert_int_equal(leasing_acquire(leasing, "s-1", &command), OK);
	assert_int_equal(leasing_take(leasing, "uid:2", "lock/other"), 1);
	ask.resource = "lock/other";
	assert_int_equal(leasing_acquire(leasing, "s-1", &ask), QUEUED);
	assert_int_equal(leasing_take(leasing, "uid:3", "lock/held"), 0);
	next = leasing->lease.ticket;
	assert_int_equal(lease_end_session(&leasing->bench.txn, "s-1", &leasing->bench.why), OK);
	assert_int_equal(leasing_look(leasing, "lock/held", next), OK);
	assert_int_equal(leasing_holders(leasing, "lock/run"), 1);
	assert_int_equal(leasing_waiters(leasing, "lock/other"), 0);
	assert_string_equal(leasing_holder(leasing, "lock/other", 1), "uid:2");
	/* a person's are no session's */
	assert_int_equal(lease_end_session(&leasing->bench.txn, "", &leasing->bench.why), OK);
	assert_int_equal(leasing_holders(leasing, "lock/held"), 1);
}

static void
the_trail_says_who_got_it_with_which_fence_and_why_it_ended(void **state)
{
	struct leasing *leasing = *state;
	char *after;

	assert_int_equal(asked_at(leasing, LIVENESS_DEAD, 5), OK);
	assert_int_equal(store_number(leasing->bench.db, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("lease.granted")),
	                 2);
	after = store_text(leasing->bench.db, "SELECT after FROM audit WHERE kind = 'lease.ended' AND before = $1",
	                   DB_TEXT("fence 1"));
	assert_string_equal(after, "its holder is gone");
	free(after);
}

TESTS(LEASING_TEST(a_dead_holders_lease_is_free_at_once), LEASING_TEST(a_dead_holders_lease_is_free_after_its_deadline_too),
      LEASING_TEST(an_unknown_holder_has_it_to_the_last_instant_before_its_deadline),
      LEASING_TEST(an_unknown_holders_lease_is_free_from_its_deadline_on),
      LEASING_TEST(a_living_holder_has_it_before_its_deadline),
      LEASING_TEST(a_living_holder_is_challenged_after_its_deadline_and_has_five_seconds),
      LEASING_TEST(a_suspended_machines_sleep_does_not_count_for_a_challenge),
      LEASING_TEST(a_challenge_of_another_boot_is_measured_on_the_stores_clock),
      LEASING_TEST(who_renews_when_challenged_keeps_it_and_is_challenged_anew),
      LEASING_TEST(one_who_was_challenged_and_then_dies_is_not_waited_for),
      LEASING_TEST(without_a_witness_every_holder_is_unknown),
      LEASING_TEST(a_holder_without_an_anchor_of_its_own_is_proven_by_its_process),
      LEASING_TEST(a_renewal_moves_the_deadline_by_its_own_or_another_time),
      LEASING_TEST(a_longest_time_is_a_deadline_that_no_renewal_moves),
      LEASING_TEST(a_holder_that_overslept_is_refused_everywhere), LEASING_TEST(ones_own_lease_of_before_is_not_the_one_of_now),
      LEASING_TEST(at_an_effect_an_overdue_lease_is_none_unless_its_holder_is_known_to_live),
      LEASING_TEST(what_one_does_not_hold_can_not_be_given_back), LEASING_TEST(a_ticket_is_no_lease),
      LEASING_TEST(a_sessions_lease_is_its_sub_agents_too_and_no_other_sessions),
      LEASING_TEST(breaking_ends_one_lease_or_all_and_lets_the_next_in),
      LEASING_TEST(with_its_session_ends_what_it_holds_and_waits_for_but_not_a_command_at_work),
      LEASING_TEST(the_trail_says_who_got_it_with_which_fence_and_why_it_ended))
