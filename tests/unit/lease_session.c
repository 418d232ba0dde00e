/*
 * What a session holds as such: renewed rather than asked for again, and ended with it.
 *
 * Rows: R4 R6 R7
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/lease.h"

#include <stdio.h>
#include <string.h>

#define TTL_MS 600000

static enum status
ask(struct bench *bench, const char *session, const char *resource, bool wait, struct lease *out)
{
	struct lease_ask wanted = {.resource = resource,
	                           .again = true,
	                           .wait = wait,
	                           .ttl_ms = TTL_MS,
	                           .session = session,
	                           .chain = session,
	                           .anchor = "",
	                           .wake = ""};

	bench->txn.actor = session;
	return lease_acquire(&bench->txn, &wanted, out, &bench->why);
}

static void
forward(struct bench *bench, int64_t ms)
{
	bench_at(bench, bench->txn.instant_ms + ms);
}

/* R6 */
static void
who_has_it_has_it_again_with_the_same_fence_and_a_later_deadline(void **state)
{
	struct bench *bench = *state;
	struct lease first, again, other;

	assert_int_equal(ask(bench, "a", "codebase", false, &first), OK);
	forward(bench, 1000);
	assert_int_equal(ask(bench, "b", "codebase", false, &other), HELD);
	assert_string_equal(other.session, "a");
	assert_int_equal(other.expires_ms, first.expires_ms);
	assert_int_equal(ask(bench, "a", "codebase", false, &again), OK);
	assert_int_equal(again.fence, first.fence);
	assert_int_equal(again.since_ms, first.since_ms);
	assert_int_equal(again.expires_ms, first.expires_ms + 1000);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM lease WHERE resource = $1", DB_TEXT("codebase")), 1);
}

/* R7: ten minutes after the last event, to the millisecond; an event before that keeps it. */
static void
nothing_heard_until_the_deadline_frees_it(void **state)
{
	struct bench *bench = *state;
	struct lease lease;

	assert_int_equal(ask(bench, "a", "codebase", false, &lease), OK);
	forward(bench, TTL_MS - 1);
	assert_int_equal(lease_renew_session(&bench->txn, "codebase", "a", &bench->why), OK);
	forward(bench, TTL_MS - 1);
	assert_int_equal(ask(bench, "b", "codebase", false, &lease), HELD);
	forward(bench, 1);
	assert_int_equal(ask(bench, "b", "codebase", false, &lease), OK);
	assert_int_equal(lease.fence, 2);
	assert_int_equal(lease_renew_session(&bench->txn, "codebase", "a", &bench->why), NO_SUCH);
	assert_int_equal(ask(bench, "a", "codebase", false, &lease), HELD);
}

static void
who_waits_for_it_has_nothing_to_renew(void **state)
{
	struct bench *bench = *state;
	struct lease lease;

	assert_int_equal(ask(bench, "a", "codebase", false, &lease), OK);
	assert_int_equal(ask(bench, "b", "codebase", true, &lease), QUEUED);
	assert_int_equal(lease_renew_session(&bench->txn, "codebase", "b", &bench->why), NO_SUCH);
	assert_int_equal(lease_renew_session(&bench->txn, "other", "a", &bench->why), NO_SUCH);
	assert_int_equal(lease_renew_session(&bench->txn, "codebase", "", &bench->why), NO_SUCH);
}

/* Two people are no session, and neither has what the other holds. */
static void
a_persons_is_not_anothers_again(void **state)
{
	struct bench *bench = *state;
	struct lease lease;

	assert_int_equal(ask(bench, "", "lock/a", false, &lease), OK);
	assert_int_equal(ask(bench, "", "lock/a", false, &lease), HELD);
}

/* R4: all of theirs, also where they wait, and the next in line has it; what others hold stays. */
static void
several_sessions_end_and_all_of_theirs_with_them(void **state)
{
	struct bench *bench = *state;
	struct lease lease;
	int64_t ticket;

	assert_int_equal(ask(bench, "a", "lock/1", false, &lease), OK);
	assert_int_equal(ask(bench, "b", "lock/2", false, &lease), OK);
	assert_int_equal(ask(bench, "ab", "lock/3", false, &lease), OK);
	assert_int_equal(ask(bench, "a", "lock/3", true, &lease), QUEUED);
	assert_int_equal(ask(bench, "c", "lock/1", true, &lease), QUEUED);
	ticket = lease.ticket;
	assert_int_equal(lease_end_sessions(&bench->txn, "a b ", &bench->why), OK);
	bench->txn.actor = "c";
	assert_int_equal(lease_release(&bench->txn, "lock/1", 2, &bench->why), OK);
	assert_true(ticket > 0);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM lease WHERE fence > $1", DB_INT(0)), 1);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM lease WHERE session = $1", DB_TEXT("ab")), 1);
	assert_int_equal(lease_end_sessions(&bench->txn, "nobody xab abx ", &bench->why), OK);
	assert_int_equal(lease_end_session(&bench->txn, "b", &bench->why), OK);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM lease WHERE session <> $1", DB_TEXT("")), 1);
}

/* What an anchor proves is a command at work; one that only waits under an anchor is not. */
static void
what_an_anchor_proves_stays(void **state)
{
	struct bench *bench = *state;
	struct lease_ask wanted = {.resource = "lock/1",
	                           .wait = true,
	                           .ttl_ms = TTL_MS,
	                           .session = "a",
	                           .chain = "",
	                           .anchor = "boot/1/1",
	                           .anchored = true,
	                           .wake = ""};
	struct lease lease;

	bench->txn.actor = "a";
	assert_int_equal(lease_acquire(&bench->txn, &wanted, &lease, &bench->why), OK);
	assert_int_equal(lease_acquire(&bench->txn, &wanted, &lease, &bench->why), QUEUED);
	assert_int_equal(lease_end_session(&bench->txn, "a", &bench->why), OK);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM lease WHERE fence > $1", DB_INT(0)), 1);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM lease WHERE fence = $1", DB_INT(0)), 0);
}

TESTS(BENCH_TEST(who_has_it_has_it_again_with_the_same_fence_and_a_later_deadline),
      BENCH_TEST(nothing_heard_until_the_deadline_frees_it), BENCH_TEST(who_waits_for_it_has_nothing_to_renew),
      BENCH_TEST(a_persons_is_not_anothers_again), BENCH_TEST(several_sessions_end_and_all_of_theirs_with_them),
      BENCH_TEST(what_an_anchor_proves_stays))
