/*
 * The checker of histories: it takes what can have happened one after another, and nothing else.  Each history is made by hand.
 *
 * Rows: N14
 */
#include "lib/linear.h"
#include "lib/test.h"

#include <string.h>

#define NEVER LINEAR_NEVER

static bool
good(const struct linear_model *model, const struct linear_op *history, size_t count)
{
	struct linear_op ops[64];
	struct linear_verdict verdict;

	memcpy(ops, history, count * sizeof *ops);
	linear_check(model, ops, count, &verdict, NULL);
	assert_int_equal(verdict.operations, count);
	return verdict.good;
}

#define GOOD(model, ...) \
	assert_true(good((model), (const struct linear_op[]){__VA_ARGS__}, \
	                 sizeof((struct linear_op[]){__VA_ARGS__}) / sizeof(struct linear_op)))
#define BAD(model, ...) \
	assert_false(good((model), (const struct linear_op[]){__VA_ARGS__}, \
	                  sizeof((struct linear_op[]){__VA_ARGS__}) / sizeof(struct linear_op)))

#define ADD(p, from, to, n) \
	{ \
		.called = from, .returned = to, .process = p, .kind = COUNTER_ADD, .asked = n \
	}
#define READ(p, from, to, n) \
	{ \
		.called = from, .returned = to, .process = p, .kind = COUNTER_READ, .got = n \
	}

static void
what_happens_one_after_another_is_as_the_model_says(void **state)
{
	GOOD(&linear_counter, ADD(1, 0, 1, 5), READ(1, 2, 3, 5), ADD(2, 4, 5, 1), READ(2, 6, 7, 6));
	BAD(&linear_counter, ADD(1, 0, 1, 5), READ(1, 2, 3, 0));
	BAD(&linear_counter, ADD(1, 0, 1, 5), READ(1, 2, 3, 6));
	GOOD(&linear_counter, READ(1, 2, 3, 0));
}

static void
what_overlaps_may_be_in_either_order_but_in_one(void **state)
{
	GOOD(&linear_counter, ADD(1, 0, 10, 5), READ(2, 1, 9, 0));
	GOOD(&linear_counter, ADD(1, 0, 10, 5), READ(2, 1, 9, 5));
	/* seen, and then not seen any more */
	BAD(&linear_counter, ADD(1, 0, 10, 5), READ(2, 1, 2, 5), READ(2, 3, 4, 0));
	GOOD(&linear_counter, ADD(1, 0, 10, 5), READ(2, 1, 2, 0), READ(2, 3, 4, 5));
	/* two readers that see two additions in two orders */
	GOOD(&linear_counter, ADD(1, 0, 10, 1), ADD(2, 0, 10, 2), READ(3, 1, 3, 1), READ(3, 4, 6, 3));
	BAD(&linear_counter, ADD(1, 0, 10, 1), ADD(2, 0, 10, 2), READ(3, 1, 3, 1), READ(4, 4, 6, 2));
}

static void
a_lost_addition_is_found(void **state)
{
	BAD(&linear_counter, ADD(1, 0, 10, 1), ADD(2, 0, 10, 1), READ(3, 11, 12, 1));
	GOOD(&linear_counter, ADD(1, 0, 10, 1), ADD(2, 0, 10, 1), READ(3, 11, 12, 2));
}

static void
what_was_cut_off_may_have_happened_late_or_never(void **state)
{
	GOOD(&linear_counter, ADD(1, 0, NEVER, 7), READ(2, 1, 2, 0), READ(2, 3, 4, 0));
	GOOD(&linear_counter, ADD(1, 0, NEVER, 7), READ(2, 1, 2, 0), READ(2, 3, 4, 7));
	BAD(&linear_counter, ADD(1, 0, NEVER, 7), READ(2, 1, 2, 7), READ(2, 3, 4, 0));
	/* not before it was called, and not twice */
	BAD(&linear_counter, READ(2, 1, 2, 7), ADD(1, 3, NEVER, 7));
	BAD(&linear_counter, ADD(1, 0, NEVER, 7), READ(2, 3, 4, 14));
}

static void
resources_are_searched_each_alone(void **state)
{
	struct linear_op ops[] = {ADD(1, 0, 1, 5), READ(1, 2, 3, 5), ADD(2, 0, 1, 9), READ(2, 0, 3, 9), READ(2, 4, 5, 8)};
	struct linear_verdict verdict;

	ops[2].resource = ops[3].resource = ops[4].resource = 4;
	linear_check(&linear_counter, ops, 4, &verdict, NULL);
	assert_true(verdict.good);
	linear_check(&linear_counter, ops, 5, &verdict, NULL);
	assert_false(verdict.good);
	assert_int_equal(verdict.resource, 4);
}

static void
the_share_that_overlaps_is_counted_by_resource(void **state)
{
	struct linear_op ops[] = {ADD(1, 0, 10, 1),  ADD(2, 5, 6, 1),      ADD(3, 7, 12, 1),
	                          ADD(1, 20, 21, 1), ADD(2, 22, NEVER, 1), ADD(3, 0, 30, 1)};
	struct linear_verdict verdict;

	ops[5].resource = 1;
	linear_check(&linear_counter, ops, 6, &verdict, NULL);
	assert_int_equal(verdict.overlapping, 3);
	assert_int_equal(verdict.unknown, 1);
	assert_true(verdict.good);
}

/* Without a memory of what was tried this takes longer than the universe has been there. */
static void
many_that_overlap_are_searched_in_a_moment(void **state)
{
	struct linear_op ops[61];
	struct linear_verdict verdict;

	for (int i = 0; i < 60; i++)
		ops[i] = (struct linear_op)ADD((uint32_t)i, 0, 100, 1);
	ops[60] = (struct linear_op)READ(99, 200, 201, 61);
	for (int i = 0; i < 60; i++)
		ops[i].called = i / 6 * 8, ops[i].returned = i / 6 * 8 + 9;
	linear_check(&linear_counter, ops, 61, &verdict, NULL);
	assert_false(verdict.good);
	assert_in_range(verdict.tried, 60, 100000);
}

#define TAKE(p, from, to, fence, at, until) \
	{ \
		.called = from, .returned = to, .process = p, .kind = LEASE_ACQUIRE, .got = fence, .at_ms = at, .until_ms = until \
	}
#define NOT_TAKEN(p, from, to) \
	{ \
		.called = from, .returned = to, .process = p, .kind = LEASE_ACQUIRE, .status = LINEAR_HELD \
	}
#define GIVE(p, from, to, fence) \
	{ \
		.called = from, .returned = to, .process = p, .kind = LEASE_RELEASE, .asked = fence \
	}
#define NOT_GIVEN(p, from, to, fence) \
	{ \
		.called = from, .returned = to, .process = p, .kind = LEASE_RELEASE, .status = LINEAR_HELD, .asked = fence \
	}
#define RENEW(p, from, to, fence, at, until) \
	{ \
		.called = from, .returned = to, .process = p, .kind = LEASE_RENEW, .asked = fence, .at_ms = at, .until_ms = until \
	}
#define NOT_RENEWED(p, from, to, fence) \
	{ \
		.called = from, .returned = to, .process = p, .kind = LEASE_RENEW, .status = LINEAR_HELD, .asked = fence \
	}
#define DIES(p, from) \
	{ \
		.called = from, .returned = NEVER, .process = p, .kind = LEASE_DIE \
	}

static void
a_lock_is_held_by_one_at_a_time(void **state)
{
	GOOD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), GIVE(1, 2, 3, 1), TAKE(2, 4, 5, 2, 20, 90));
	GOOD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), TAKE(2, 0, 5, 2, 20, 90), GIVE(1, 2, 3, 1));
	/* a double grant */
	BAD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), TAKE(2, 2, 3, 2, 20, 90), GIVE(1, 4, 5, 1));
	GOOD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), NOT_TAKEN(2, 2, 3), GIVE(1, 4, 5, 1));
	BAD(&linear_lock, NOT_TAKEN(2, 2, 3));
	BAD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), GIVE(1, 4, 5, 1), NOT_TAKEN(2, 6, 7));
}

static void
fences_only_grow_by_one_each(void **state)
{
	BAD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), GIVE(1, 2, 3, 1), TAKE(2, 4, 5, 1, 20, 90));
	BAD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), GIVE(1, 2, 3, 1), TAKE(2, 4, 5, 3, 20, 90));
	BAD(&linear_lock, TAKE(1, 0, 1, 2, 10, 90));
	/* nor does the store's clock go back */
	BAD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), GIVE(1, 2, 3, 1), TAKE(2, 4, 5, 2, 9, 90));
}

static void
an_overdue_lease_may_be_taken_from_its_deadline_on_and_is_lost_then(void **state)
{
	GOOD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), TAKE(2, 2, 3, 2, 90, 180), NOT_GIVEN(1, 4, 5, 1), NOT_RENEWED(1, 6, 7, 1));
	BAD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), TAKE(2, 2, 3, 2, 89, 180));
	BAD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), TAKE(2, 2, 3, 2, 90, 180), GIVE(1, 4, 5, 1));
	BAD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), TAKE(2, 2, 3, 2, 90, 180), RENEW(1, 4, 5, 1, 91, 170));
	/* who is late, but first, has it still */
	GOOD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), RENEW(1, 2, 3, 1, 95, 175), NOT_TAKEN(2, 4, 5), GIVE(1, 6, 7, 1));
	BAD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), RENEW(1, 2, 3, 1, 95, 175), TAKE(2, 4, 5, 2, 174, 200));
	/* refused though nobody has it: somebody looked and found it overdue, if so much time went by */
	BAD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), NOT_RENEWED(1, 2, 77000000, 1));
	GOOD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), NOT_RENEWED(1, 2, 80000000, 1));
}

static void
a_killed_holders_lease_may_end_from_then_on(void **state)
{
	GOOD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), DIES(1, 2), TAKE(2, 3, 4, 2, 20, 99));
	BAD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), TAKE(2, 3, 4, 2, 20, 99), DIES(1, 5));
	BAD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), DIES(3, 2), TAKE(2, 3, 4, 2, 20, 99));
	/* it was granted after all, and nobody was told */
	GOOD(&linear_lock, TAKE(1, 0, NEVER, 0, 0, 0), DIES(1, 2), TAKE(2, 3, 4, 2, 20, 99));
	GOOD(&linear_lock, TAKE(1, 0, NEVER, 0, 0, 0), DIES(1, 2), TAKE(2, 3, 4, 1, 20, 99));
	GOOD(&linear_lock, TAKE(1, 0, 1, 1, 10, 90), GIVE(1, 2, NEVER, 1), TAKE(2, 3, 4, 2, 20, 99));
}

static struct linear_op
in_slot(struct linear_op op, int64_t slot)
{
	op.slot = slot;
	return op;
}

static void
a_semaphore_has_two_slots_and_no_third(void **state)
{
	const struct linear_op one = in_slot((struct linear_op)TAKE(1, 0, 1, 1, 10, 90), 0);
	const struct linear_op two = in_slot((struct linear_op)TAKE(2, 2, 3, 2, 20, 90), 1);
	const struct linear_op same = in_slot((struct linear_op)TAKE(2, 2, 3, 2, 20, 90), 0);
	const struct linear_op three = in_slot((struct linear_op)TAKE(3, 4, 5, 3, 30, 90), 0);
	const struct linear_op late = in_slot((struct linear_op)TAKE(3, 4, 5, 3, 95, 190), 0);

	GOOD(&linear_semaphore, one, two, NOT_TAKEN(3, 4, 5), GIVE(1, 6, 7, 1));
	BAD(&linear_semaphore, one, same);
	BAD(&linear_semaphore, one, two, three);
	BAD(&linear_semaphore, one, NOT_TAKEN(3, 4, 5));
	/* both were overdue: one slot was taken, and the other's holder is told too */
	GOOD(&linear_semaphore, one, two, late, NOT_GIVEN(2, 6, 7, 2));
	GOOD(&linear_semaphore, one, two, late, GIVE(2, 6, 7, 2));
}

#define EDIT(p, from, to, version, text) \
	{ \
		.called = from, .returned = to, .process = p, .kind = TEXT_EDIT, .asked = version, .wrote = text, .got = (version) + 1 \
	}
#define NOT_EDITED(p, from, to, version) \
	{ \
		.called = from, .returned = to, .process = p, .kind = TEXT_EDIT, .status = LINEAR_CONFLICT, .asked = version \
	}
#define SEEN(p, from, to, version, text) \
	{ \
		.called = from, .returned = to, .process = p, .kind = TEXT_READ, .slot = version, .got = text \
	}

static void
of_two_edits_of_one_version_one_is_refused(void **state)
{
	GOOD(&linear_instruction, EDIT(1, 0, 1, 0, 7), EDIT(1, 2, 9, 1, 8), NOT_EDITED(2, 3, 8, 1), SEEN(3, 10, 11, 2, 8));
	BAD(&linear_instruction, EDIT(1, 0, 1, 0, 7), EDIT(1, 2, 9, 1, 8), EDIT(2, 3, 8, 1, 9));
	BAD(&linear_instruction, EDIT(1, 0, 1, 0, 7), NOT_EDITED(2, 3, 8, 1));
	/* read before it was written */
	BAD(&linear_instruction, EDIT(1, 0, 1, 0, 7), SEEN(3, 2, 3, 2, 8), EDIT(1, 4, 5, 1, 8));
	BAD(&linear_instruction, EDIT(1, 0, 1, 0, 7), EDIT(1, 2, 3, 1, 8), SEEN(3, 4, 5, 1, 7));
	BAD(&linear_instruction, EDIT(1, 0, 1, 0, 7), EDIT(1, 2, 3, 1, 8), SEEN(3, 4, 5, 2, 7));
}

#define TOKEN(what, p, from, to, how, generation, at, until) \
	{ \
		.called = from, .returned = to, .process = p, .kind = TOKEN_##what, .status = LINEAR_##how, .got = generation, \
		.at_ms = at, .until_ms = until \
	}
#define ISSUE(p, from, to, generation, at, until) TOKEN(ISSUE, p, from, to, OK, generation, at, until)
#define NOT_ISSUED(p, from, to, generation) TOKEN(ISSUE, p, from, to, CONFLICT, generation, 0, 0)
#define CONSUME(p, from, to, generation, at) TOKEN(CONSUME, p, from, to, OK, generation, at, 0)
#define CONSUMED(p, from, to, generation, at) TOKEN(CONSUME, p, from, to, HELD, generation, at, 0)
#define EXPIRED(p, from, to, generation) TOKEN(CONSUME, p, from, to, CONFLICT, generation, 0, 0)
#define NEVER_ISSUED(p, from, to) TOKEN(CONSUME, p, from, to, NO_SUCH, 0, 0, 0)

static void
a_token_is_spent_once(void **state)
{
	GOOD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), CONSUME(2, 2, 9, 1, 20), CONSUMED(3, 3, 8, 1, 20));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), CONSUME(2, 2, 9, 1, 20), CONSUME(3, 3, 8, 1, 21));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), CONSUME(2, 2, 9, 1, 20), CONSUMED(3, 3, 8, 1, 21));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), CONSUMED(3, 3, 8, 1, 20));
	GOOD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), CONSUMED(3, 3, 8, 1, 20), CONSUME(2, 2, NEVER, 0, 0));
	BAD(&linear_token, CONSUME(2, 2, 9, 1, 20));
	GOOD(&linear_token, NEVER_ISSUED(2, 2, 9), ISSUE(1, 3, 4, 1, 10, 90), NOT_ISSUED(1, 5, 6, 1));
	BAD(&linear_token, ISSUE(1, 3, 4, 1, 10, 90), ISSUE(1, 5, 6, 2, 20, 90));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), NEVER_ISSUED(2, 2, 9));
}

static void
a_token_that_is_consumed_is_issued_anew_and_the_old_one_is_no_more(void **state)
{
	GOOD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), CONSUME(2, 2, 3, 1, 20), ISSUE(1, 4, 5, 2, 30, 90), CONSUME(2, 6, 7, 2, 40));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), CONSUME(2, 2, 3, 1, 20), ISSUE(1, 4, 5, 1, 30, 90));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), CONSUME(2, 2, 3, 1, 20), ISSUE(1, 4, 5, 2, 30, 90), CONSUME(2, 6, 7, 1, 40));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), CONSUME(2, 2, 3, 1, 20), ISSUE(1, 4, 5, 2, 30, 90), CONSUMED(2, 6, 7, 1, 20));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), CONSUME(2, 2, 3, 1, 20), NOT_ISSUED(1, 4, 5, 1));
	/* nobody was told of the second */
	GOOD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), CONSUME(2, 2, 3, 1, 20), ISSUE(1, 4, NEVER, 0, 0, 0),
	     CONSUME(2, 6, 7, 2, 40));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), ISSUE(1, 2, NEVER, 0, 0, 0), CONSUME(2, 4, 5, 2, 40));
}

static void
a_token_is_consumed_before_its_deadline_and_for_its_scope_only(void **state)
{
	struct linear_op other = TOKEN(CONSUME, 2, 2, 3, NOT_ALLOWED, 1, 0, 0), took = CONSUME(2, 4, 5, 1, 20);

	GOOD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), CONSUME(2, 2, 3, 1, 89));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), CONSUME(2, 2, 3, 1, 90));
	GOOD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), EXPIRED(2, 2, 80000000, 1), ISSUE(1, 80000001, 80000002, 2, 90, 180));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), EXPIRED(2, 2, 77000000, 1));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), EXPIRED(2, 2, 80000000, 1), CONSUME(3, 80000001, 80000002, 1, 89));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), ISSUE(1, 2, 3, 2, 89, 180));
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), other);
	other.asked = 1;
	GOOD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), other, took);
	took.asked = 1;
	BAD(&linear_token, ISSUE(1, 0, 1, 1, 10, 90), other, took);
}

#define DONE(p, from, to, fence, how) \
	{ \
		.called = from, .returned = to, .process = p, .kind = TASK_DONE, .asked = fence, .status = how \
	}
#define CLAIM_HELD(p, from, to) \
	{ \
		.called = from, .returned = to, .process = p, .kind = TASK_CLAIM, .status = LINEAR_HELD \
	}
#define IS_DONE(what, p, from, to, fence, by) \
	{ \
		.called = from, .returned = to, .process = p, .kind = what, .status = LINEAR_CONFLICT, .asked = fence, .got = by \
	}

static void
a_task_is_claimed_by_one_and_done_is_final(void **state)
{
	GOOD(&linear_task, TAKE(1, 0, 1, 1, 10, 90), CLAIM_HELD(2, 2, 3), DONE(1, 4, 5, 1, LINEAR_OK),
	     IS_DONE(TASK_CLAIM, 2, 6, 7, 0, 1), IS_DONE(TASK_DONE, 1, 8, 9, 1, 1), IS_DONE(TASK_RENEW, 1, 10, 11, 1, 1));
	BAD(&linear_task, TAKE(1, 0, 1, 1, 10, 90), DONE(1, 4, 5, 1, LINEAR_OK), TAKE(2, 6, 7, 2, 20, 90));
	BAD(&linear_task, TAKE(1, 0, 1, 1, 10, 90), IS_DONE(TASK_CLAIM, 2, 2, 3, 0, 1));
	BAD(&linear_task, TAKE(1, 0, 1, 1, 10, 90), DONE(1, 4, 5, 1, LINEAR_OK), IS_DONE(TASK_CLAIM, 2, 6, 7, 0, 2));
	BAD(&linear_task, TAKE(1, 0, 1, 1, 10, 90), DONE(1, 4, 5, 1, LINEAR_OK), CLAIM_HELD(2, 6, 7));
	GOOD(&linear_task, TAKE(1, 0, 1, 1, 10, 90), GIVE(1, 2, 3, 1), TAKE(2, 4, 5, 2, 20, 90), DONE(2, 6, 7, 2, LINEAR_OK));
	BAD(&linear_task, TAKE(1, 0, 1, 1, 10, 90), DONE(1, 2, 3, 1, LINEAR_OK), DONE(1, 4, 5, 1, LINEAR_OK));
	/* whoever was killed may have done it, or not */
	GOOD(&linear_task, TAKE(1, 0, 1, 1, 10, 90), DONE(1, 2, NEVER, 1, LINEAR_OK), IS_DONE(TASK_CLAIM, 2, 3, 4, 0, 1));
	GOOD(&linear_task, TAKE(1, 0, 1, 1, 10, 90), DONE(1, 2, NEVER, 1, LINEAR_OK), DIES(1, 3), TAKE(2, 4, 5, 2, 20, 90));
}

static void
a_finisher_who_is_late_is_refused(void **state)
{
	GOOD(&linear_task, TAKE(1, 0, 1, 1, 10, 90), TAKE(2, 2, 3, 2, 90, 170), DONE(1, 4, 5, 1, LINEAR_HELD),
	     DONE(2, 6, 7, 2, LINEAR_OK));
	BAD(&linear_task, TAKE(1, 0, 1, 1, 10, 90), TAKE(2, 2, 3, 2, 90, 170), DONE(1, 4, 5, 1, LINEAR_OK));
	/* nobody has it yet: it may renew */
	GOOD(&linear_task, TAKE(1, 0, 1, 1, 10, 90), DONE(1, 2, 80000000, 1, LINEAR_HELD),
	     RENEW(1, 80000001, 80000002, 1, 95, 175));
	BAD(&linear_task, TAKE(1, 0, 1, 1, 10, 90), DONE(1, 2, 77000000, 1, LINEAR_HELD));
}

#define PUT(p, from, to, n) \
	{ \
		.called = from, .returned = to, .process = p, .kind = QUEUE_PUT, .got = n \
	}
#define CLAIM(p, from, to, n, g, at) \
	{ \
		.called = from, .returned = to, .process = p, .kind = QUEUE_TAKE, .got = n, .slot = g, .at_ms = at, .until_ms = (at) + 10 \
	}
#define END(p, from, to, how, said, n, g) \
	{ \
		.called = from, .returned = to, .process = p, .kind = how, .status = said, .asked = n, .wrote = g \
	}
#define NOTHING(p, from, to) \
	{ \
		.called = from, .returned = to, .process = p, .kind = QUEUE_TAKE, .status = LINEAR_HELD \
	}

static void
an_item_is_had_by_one_until_that_ends_it_or_is_overdue(void **state)
{
	const struct linear_op full = {.called = 9, .returned = 10, .kind = QUEUE_PUT, .status = LINEAR_HELD};

	GOOD(&linear_line, PUT(1, 0, 1, 1), CLAIM(2, 2, 3, 1, 1, 100), NOTHING(3, 4, 5), END(2, 6, 7, QUEUE_ACK, LINEAR_OK, 1, 1));
	/* had by two */
	BAD(&linear_line, PUT(1, 0, 1, 1), CLAIM(2, 2, 3, 1, 1, 100), CLAIM(3, 4, 5, 1, 2, 105));
	GOOD(&linear_line, PUT(1, 0, 1, 1), CLAIM(2, 2, 3, 1, 1, 100), CLAIM(3, 4, 5, 1, 2, 110));
	BAD(&linear_line, PUT(1, 0, 1, 1), CLAIM(2, 2, 3, 1, 1, 100), CLAIM(3, 4, 5, 1, 1, 110));
	/* ended by who has it no more */
	BAD(&linear_line, PUT(1, 0, 1, 1), CLAIM(2, 2, 3, 1, 1, 100), CLAIM(3, 4, 5, 1, 2, 110),
	    END(2, 6, 7, QUEUE_ACK, LINEAR_OK, 1, 1));
	GOOD(&linear_line, PUT(1, 0, 1, 1), CLAIM(2, 2, 3, 1, 1, 100), CLAIM(3, 4, 5, 1, 2, 110),
	     END(2, 6, 7, QUEUE_ACK, LINEAR_HELD, 1, 1));
	/* done, and had again; or lost */
	BAD(&linear_line, PUT(1, 0, 1, 1), CLAIM(2, 2, 3, 1, 1, 100), END(2, 4, 5, QUEUE_ACK, LINEAR_OK, 1, 1),
	    CLAIM(3, 6, 7, 1, 2, 110));
	BAD(&linear_line, PUT(1, 0, 1, 1), NOTHING(3, 2, 3));
	GOOD(&linear_line, PUT(1, 0, 1, 1), CLAIM(2, 2, 3, 1, 1, 100), END(2, 4, 5, QUEUE_NACK, LINEAR_OK, 1, 1),
	     CLAIM(3, 6, 7, 1, 2, 101));
	/* full is told when it is */
	BAD(&linear_line, PUT(1, 0, 1, 1), full);
	GOOD(&linear_line, PUT(1, 0, 1, 1), PUT(1, 1, 2, 2), PUT(1, 3, 4, 3), PUT(1, 5, 6, 4), full);
}

static void
of_a_line_the_first_alone_is_had_and_of_a_heap_the_lowest_that_is_free(void **state)
{
	GOOD(&linear_heap, PUT(1, 0, 1, 1), PUT(1, 2, 3, 2), CLAIM(2, 4, 5, 1, 1, 100), CLAIM(3, 6, 7, 2, 1, 100));
	BAD(&linear_line, PUT(1, 0, 1, 1), PUT(1, 2, 3, 2), CLAIM(2, 4, 5, 1, 1, 100), CLAIM(3, 6, 7, 2, 1, 100));
	BAD(&linear_line, PUT(1, 0, 1, 1), PUT(1, 2, 3, 2), CLAIM(2, 4, 5, 2, 1, 100));
	BAD(&linear_heap, PUT(1, 0, 1, 1), PUT(1, 2, 3, 2), CLAIM(2, 4, 5, 2, 1, 100));
	GOOD(&linear_line, PUT(1, 0, 1, 1), PUT(1, 2, 3, 2), CLAIM(2, 4, 5, 1, 1, 100), END(2, 6, 7, QUEUE_ACK, LINEAR_OK, 1, 1),
	     CLAIM(3, 8, 9, 2, 1, 100));
	/* whoever looks frees all that are overdue, and has one of them */
	GOOD(&linear_heap, PUT(1, 0, 1, 1), PUT(1, 2, 3, 2), CLAIM(2, 4, 5, 1, 1, 100), CLAIM(3, 6, 7, 2, 1, 100),
	     CLAIM(4, 8, 9, 1, 2, 110), END(3, 10, 11, QUEUE_ACK, LINEAR_HELD, 2, 1));
}

static void
a_killed_workers_item_is_anothers_and_may_be_done_all_the_same(void **state)
{
	const struct linear_op death = {.called = 1, .returned = NEVER, .process = 2, .kind = QUEUE_DIE};

	GOOD(&linear_line, PUT(1, 0, 1, 1), death, CLAIM(2, 2, 3, 1, 1, 100), CLAIM(3, 4, 5, 1, 2, 101));
	BAD(&linear_line, PUT(1, 0, 1, 1), CLAIM(2, 2, 3, 1, 1, 100), CLAIM(3, 4, 5, 1, 2, 101));
	GOOD(&linear_line, PUT(1, 0, 1, 1), death, CLAIM(2, 2, 3, 1, 1, 100), END(2, 4, NEVER, QUEUE_ACK, LINEAR_OK, 1, 1),
	     NOTHING(3, 6, 7));
	/* put by one who was killed, or not */
	GOOD(&linear_line, PUT(1, 0, NEVER, 0), CLAIM(2, 2, 3, 1, 1, 100));
	GOOD(&linear_line, PUT(1, 0, NEVER, 0), PUT(2, 2, 3, 1));
}

/* What is bad is told, with what happened around it. */
static void
what_is_bad_is_told(void **state)
{
	struct linear_op ops[] = {ADD(1, 0, 1, 5), READ(1, 2, 3, 5), READ(2, 4, 5, 4)};
	struct linear_verdict verdict;
	char text[2000] = "";
	FILE *out = fmemopen(text, sizeof text - 1, "w");

	assert_non_null(out);
	linear_check(&linear_counter, ops, 3, &verdict, out);
	fclose(out);
	assert_false(verdict.good);
	assert_non_null(strstr(text, "counter, resource 0: 2 of 3 operations"));
	assert_non_null(strstr(text, " > p2 4..5 read"));
}

TESTS(cmocka_unit_test(what_happens_one_after_another_is_as_the_model_says),
      cmocka_unit_test(what_overlaps_may_be_in_either_order_but_in_one), cmocka_unit_test(a_lost_addition_is_found),
      cmocka_unit_test(what_was_cut_off_may_have_happened_late_or_never), cmocka_unit_test(resources_are_searched_each_alone),
      cmocka_unit_test(the_share_that_overlaps_is_counted_by_resource),
      cmocka_unit_test(many_that_overlap_are_searched_in_a_moment), cmocka_unit_test(a_lock_is_held_by_one_at_a_time),
      cmocka_unit_test(fences_only_grow_by_one_each),
      cmocka_unit_test(an_overdue_lease_may_be_taken_from_its_deadline_on_and_is_lost_then),
      cmocka_unit_test(a_killed_holders_lease_may_end_from_then_on), cmocka_unit_test(a_semaphore_has_two_slots_and_no_third),
      cmocka_unit_test(of_two_edits_of_one_version_one_is_refused), cmocka_unit_test(a_token_is_spent_once),
      cmocka_unit_test(a_token_that_is_consumed_is_issued_anew_and_the_old_one_is_no_more),
      cmocka_unit_test(a_token_is_consumed_before_its_deadline_and_for_its_scope_only),
      cmocka_unit_test(a_task_is_claimed_by_one_and_done_is_final), cmocka_unit_test(a_finisher_who_is_late_is_refused),
      cmocka_unit_test(an_item_is_had_by_one_until_that_ends_it_or_is_overdue),
      cmocka_unit_test(of_a_line_the_first_alone_is_had_and_of_a_heap_the_lowest_that_is_free),
      cmocka_unit_test(a_killed_workers_item_is_anothers_and_may_be_done_all_the_same),
      cmocka_unit_test(what_is_bad_is_told))
