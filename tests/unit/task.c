/*
 * What becomes of a task: claimed, taken over, done for good; and which task each session is at.
 *
 * Rows: R99 R101 R104
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/task.h"

#define TTL_MS 1000

static enum status
claim_as(struct bench *bench, const char *session, bool wait, struct lease *out)
{
	struct lease_ask ask = {.resource = "task/build",
	                        .ttl_ms = TTL_MS,
	                        .wait = wait,
	                        .session = session,
	                        .chain = session,
	                        .anchor = "",
	                        .wake = ""};

	bench->txn.actor = session;
	return lease_acquire(&bench->txn, &ask, out, &bench->why);
}

static enum status
done_as(struct bench *bench, const char *session, int64_t fence, const char *result)
{
	struct lease lease;

	bench->txn.actor = session;
	return task_done(&bench->txn, "build", fence, result, &lease, &bench->why);
}

static void
the_second_is_told_who_has_it(void **state)
{
	struct bench *bench = *state;
	struct lease first, other;

	assert_int_equal(claim_as(bench, "a", false, &first), OK);
	assert_int_equal(claim_as(bench, "b", false, &other), HELD);
	assert_string_equal(other.actor, "a");
	assert_int_equal(other.expires_ms, BENCH_START_MS + TTL_MS);
}

static void
an_overdue_owner_is_taken_over_and_can_not_finish(void **state)
{
	struct bench *bench = *state;
	struct lease first, second;

	assert_int_equal(claim_as(bench, "a", false, &first), OK);
	bench_at(bench, BENCH_START_MS + TTL_MS - 1);
	assert_int_equal(claim_as(bench, "b", false, &second), HELD);
	bench_at(bench, BENCH_START_MS + TTL_MS);
	assert_int_equal(claim_as(bench, "b", false, &second), OK);
	assert_int_equal(second.fence, first.fence + 1);
	assert_int_equal(done_as(bench, "a", first.fence, ""), HELD);
	assert_int_equal(done_as(bench, "a", second.fence, ""), NOT_ALLOWED);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM task WHERE project = $1", DB_TEXT(".")), 0);
	assert_int_equal(done_as(bench, "b", second.fence, ""), OK);
}

/* Nobody took it over, but somebody could have: what it did since is not known to be its own. */
static void
an_overdue_owner_renews_before_it_finishes(void **state)
{
	struct bench *bench = *state;
	struct lease lease;

	assert_int_equal(claim_as(bench, "a", false, &lease), OK);
	bench_at(bench, BENCH_START_MS + TTL_MS);
	assert_int_equal(done_as(bench, "a", lease.fence, ""), HELD);
	assert_int_equal(lease_renew(&bench->txn, "task/build", lease.fence, 0, &lease, &bench->why), OK);
	assert_int_equal(lease.expires_ms, BENCH_START_MS + 2 * TTL_MS);
	assert_int_equal(done_as(bench, "a", lease.fence, ""), OK);
}

static void
a_job_of_several_steps_holds_it_all_along(void **state)
{
	struct bench *bench = *state;
	struct lease lease, other;

	assert_int_equal(claim_as(bench, "a", false, &lease), OK);
	for (int step = 1; step <= 20; step++) {
		bench_at(bench, BENCH_START_MS + step * (TTL_MS - 1));
		bench->txn.actor = "a";
		assert_int_equal(lease_renew(&bench->txn, "task/build", lease.fence, 0, &lease, &bench->why), OK);
		assert_int_equal(claim_as(bench, "b", false, &other), HELD);
	}
	assert_int_equal(done_as(bench, "a", lease.fence, ""), OK);
}

static void
done_is_final_and_tells_by_whom_when_and_what_came_of_it(void **state)
{
	struct bench *bench = *state;
	struct lease lease;
	json_t *told = json_object();

	assert_int_equal(claim_as(bench, "a", false, &lease), OK);
	bench_at(bench, BENCH_START_MS + 500);
	assert_int_equal(done_as(bench, "a", lease.fence, "{\"commit\":\"c1\"}"), OK);
	bench_at(bench, BENCH_START_MS + 1000 * TTL_MS);
	assert_int_equal(claim_as(bench, "b", false, &lease), CONFLICT);
	assert_int_equal(claim_as(bench, "b", true, &lease), CONFLICT);
	assert_int_equal(done_as(bench, "a", 1, ""), HELD);
	assert_int_equal(task_show(&bench->txn, "build", told, &bench->why), OK);
	assert_string_equal(json_text(told, "done_by", ""), "a");
	assert_int_equal(json_whole(told, "done_ms", 0), BENCH_START_MS + 500);
	assert_string_equal(json_text(json_object_get(told, "result"), "commit", ""), "c1");
	json_decref(told);
}

static void
who_waits_for_a_task_that_is_done_waits_no_longer(void **state)
{
	struct bench *bench = *state;
	struct lease first, second;
	bool tend;

	assert_int_equal(claim_as(bench, "a", false, &first), OK);
	assert_int_equal(claim_as(bench, "b", true, &second), QUEUED);
	assert_int_equal(done_as(bench, "a", first.fence, ""), OK);
	assert_int_equal(lease_look(&bench->txn, "task/build", second.ticket, &first, &tend, &bench->why), NO_SUCH);
	assert_int_equal(lease_give_up(&bench->txn, "task/build", second.ticket, &first, &bench->why), CONFLICT);
}

static void
what_is_released_undone_the_next_in_line_has_with_a_higher_fence(void **state)
{
	struct bench *bench = *state;
	struct lease first, second, now;
	bool tend;

	assert_int_equal(claim_as(bench, "a", false, &first), OK);
	assert_int_equal(claim_as(bench, "b", true, &second), QUEUED);
	bench->txn.actor = "a";
	assert_int_equal(lease_release(&bench->txn, "task/build", first.fence, &bench->why), OK);
	assert_int_equal(lease_look(&bench->txn, "task/build", second.ticket, &now, &tend, &bench->why), OK);
	assert_int_equal(now.fence, first.fence + 1);
	assert_int_equal(done_as(bench, "a", first.fence, ""), HELD);
}

static void
is_at(struct bench *bench, const char *session, const char *task, bool held)
{
	char name[TASK_NAME_MAX + 1];
	int64_t set_ms;
	bool holds;

	assert_int_equal(task_active(&bench->txn, session, name, &set_ms, &holds, &bench->why), OK);
	assert_string_equal(name, task);
	assert_int_equal(holds, held);
}

static void
each_session_is_at_its_own_task_and_at_none_that_another_holds(void **state)
{
	struct bench *bench = *state;
	struct lease lease;
	struct lease_ask ask = {.resource = "task/deploy", .ttl_ms = TTL_MS, .session = "b", .chain = "", .anchor = "", .wake = ""};

	assert_int_equal(claim_as(bench, "a", false, &lease), OK);
	assert_int_equal(task_set_active(&bench->txn, "a", "build", &bench->why), OK);
	assert_int_equal(task_set_active(&bench->txn, "a", "deploy", &bench->why), NO_SUCH);
	bench->txn.actor = "b";
	assert_int_equal(task_set_active(&bench->txn, "b", "build", &bench->why), HELD);
	assert_int_equal(lease_acquire(&bench->txn, &ask, &lease, &bench->why), OK);
	assert_int_equal(task_set_active(&bench->txn, "b", "deploy", &bench->why), OK);
	is_at(bench, "a", "build", true);
	is_at(bench, "b", "deploy", true);
	assert_int_equal(lease_release(&bench->txn, "task/deploy", lease.fence, &bench->why), OK);
	is_at(bench, "b", "deploy", false);
	task_clear_active(&bench->txn, "b");
	is_at(bench, "b", "", false);
	assert_int_equal(done_as(bench, "a", 1, ""), OK);
	is_at(bench, "a", "", false);
}

static void
a_name_that_can_not_be_one_is_refused(void **state)
{
	static const char *const bad[] = {"", "a\nb", "..", "a/../b", "\xff"};
	struct bench *bench = *state;
	char resource[RESOURCE_MAX + 1], longest[TASK_NAME_MAX + 2];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(task_resource(bad[i], resource, &bench->why), BAD_INPUT);
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(task_resource(longest, resource, &bench->why), BAD_INPUT);
	longest[TASK_NAME_MAX] = '\0';
	assert_int_equal(task_resource(longest, resource, &bench->why), OK);
}

TESTS(BENCH_TEST(the_second_is_told_who_has_it), BENCH_TEST(an_overdue_owner_is_taken_over_and_can_not_finish),
      BENCH_TEST(an_overdue_owner_renews_before_it_finishes), BENCH_TEST(a_job_of_several_steps_holds_it_all_along),
      BENCH_TEST(done_is_final_and_tells_by_whom_when_and_what_came_of_it),
      BENCH_TEST(who_waits_for_a_task_that_is_done_waits_no_longer),
      BENCH_TEST(what_is_released_undone_the_next_in_line_has_with_a_higher_fence),
      BENCH_TEST(each_session_is_at_its_own_task_and_at_none_that_another_holds),
      BENCH_TEST(a_name_that_can_not_be_one_is_refused))
