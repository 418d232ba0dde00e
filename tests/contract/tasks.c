/*
 * Tasks and tokens must hold on every engine, each through two connections to one store: what the first did binds the second.
 *
 * Rows: R91 R93 R94 R95 R99 R101 R104 N2 N11
 */
#include "lib/scratch.h"
#include "lib/store.h"
#include "lib/test.h"

#include "core/retention.h"
#include "core/task.h"
#include "core/token.h"

#define TTL_MS 60000
#define DAY_MS ((int64_t)24 * 3600 * 1000)

struct work {
	const char *actor;
	int64_t later_ms; /* that the clock shows more */
	int64_t fence;
	const char *scope;
	struct lease lease;
	struct token token;
	const char *word;
	char active[TASK_NAME_MAX + 1];
	bool held;
	json_t *document;
};

struct two {
	struct contract *contract;
	struct engine engines[2];
};

static void
begin(struct txn *txn, const struct work *work)
{
	txn->actor = work->actor;
	txn->instant_ms = txn_now(txn) + work->later_ms;
}

static enum status
claim(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;
	struct lease_ask ask =
		{.resource = "task/build", .ttl_ms = TTL_MS, .session = work->actor, .chain = "", .anchor = "", .wake = ""};

	begin(txn, work);
	return lease_acquire(txn, &ask, &work->lease, why);
}

static enum status
finish(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	begin(txn, work);
	return task_done(txn, "build", work->fence, "{\"x\":1}", &work->lease, why);
}

static enum status
renew(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	begin(txn, work);
	return lease_renew(txn, "task/build", work->fence, 0, &work->lease, why);
}

static enum status
show(struct txn *txn, void *arg, struct buf *why)
{
	return task_show(txn, "build", ((struct work *)arg)->document, why);
}

static enum status
list(struct txn *txn, void *arg, struct buf *why)
{
	return task_list(txn, true, ((struct work *)arg)->document, why);
}

static enum status
be_at(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	begin(txn, work);
	return task_set_active(txn, work->actor, "build", why);
}

static enum status
where(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;
	int64_t set_ms;

	return task_active(txn, work->actor, work->active, &set_ms, &work->held, why);
}

static enum status
issue(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;
	struct token_ask ask = {.name = "t", .scope = "s", .digest = "", .session = "", .ttl_ms = TTL_MS};

	begin(txn, work);
	return token_issue(txn, &ask, &work->token, why);
}

static enum status
consume(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;
	struct token_ask ask = {.name = "t", .scope = work->scope, .digest = "", .session = ""};

	begin(txn, work);
	return token_consume(txn, &ask, &work->token, &work->word, why);
}

static enum status
forget(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;
	struct retention removed;
	bool due;
	enum status status;

	begin(txn, work);
	status = retention_due(txn, &due, why);
	if (status == OK && !due)
		return NO_SUCH;
	return status == OK ? retention_apply(txn, &removed, why) : status;
}

static enum status
run(struct two *two, int which, rule_function *rule, struct work *work)
{
	return engine_run(&two->engines[which], rule, work, &two->contract->why);
}

static int
open_two(void **state)
{
	struct two *two = calloc(1, sizeof *two);
	void *contract;
	int status = contract_set_up(&contract);

	two->contract = contract;
	for (int i = 0; i < 2; i++) {
		engine_init(&two->engines[i], i == 0 ? two->contract->db : two->contract->other, ".", "uid:7", store_random);
		if (config_defaults(&two->engines[i].config) != OK)
			return -1;
	}
	*state = two;
	return status;
}

static int
close_two(void **state)
{
	struct two *two = *state;
	void *contract = two->contract;
	int status;

	for (int i = 0; i < 2; i++)
		config_release(&two->engines[i].config);
	status = contract_tear_down(&contract);
	free(two);
	return status;
}

/* Rows: R99 R104 N2 */
static void
what_one_claimed_the_other_takes_over_only_when_it_is_overdue(void **state)
{
	struct two *two = *state;
	struct work first = {.actor = "a"}, second = {.actor = "b"};

	assert_int_equal(run(two, 0, claim, &first), OK);
	assert_int_equal(run(two, 1, claim, &second), HELD);
	assert_string_equal(second.lease.actor, "a");
	first.fence = first.lease.fence;
	first.later_ms = TTL_MS / 2;
	assert_int_equal(run(two, 0, renew, &first), OK);
	second.later_ms = TTL_MS + 1;
	assert_int_equal(run(two, 1, claim, &second), HELD);
	second.later_ms = 2 * TTL_MS;
	assert_int_equal(run(two, 1, claim, &second), OK);
	assert_int_equal(second.lease.fence, first.fence + 1);
	assert_int_equal(run(two, 0, renew, &first), HELD);
	assert_int_equal(run(two, 0, finish, &first), HELD);
	second.fence = second.lease.fence;
	assert_int_equal(run(two, 1, finish, &second), OK);
}

/* Rows: R99 */
static void
what_one_has_done_the_other_is_told_and_never_given(void **state)
{
	struct two *two = *state;
	struct work first = {.actor = "a"}, second = {.actor = "b", .later_ms = 100 * DAY_MS};

	assert_int_equal(run(two, 0, claim, &first), OK);
	first.fence = first.lease.fence;
	assert_int_equal(run(two, 0, finish, &first), OK);
	assert_int_equal(run(two, 1, claim, &second), CONFLICT);
	second.document = json_object();
	assert_int_equal(engine_read(&two->engines[1], show, &second, NULL), OK);
	assert_string_equal(json_text(second.document, "done_by", ""), "a");
	assert_int_equal(json_whole(json_object_get(second.document, "result"), "x", 0), 1);
	json_decref(second.document);
	second.document = json_array();
	assert_int_equal(engine_read(&two->engines[1], list, &second, NULL), OK);
	assert_int_equal(json_array_size(second.document), 1);
	json_decref(second.document);
}

/* Rows: R101 */
static void
only_who_holds_it_can_be_at_it(void **state)
{
	struct two *two = *state;
	struct work first = {.actor = "a"}, second = {.actor = "b"};

	assert_int_equal(run(two, 0, be_at, &first), NO_SUCH);
	assert_int_equal(run(two, 0, claim, &first), OK);
	assert_int_equal(run(two, 0, be_at, &first), OK);
	assert_int_equal(run(two, 1, be_at, &second), HELD);
	assert_int_equal(engine_read(&two->engines[1], where, &first, NULL), OK);
	assert_string_equal(first.active, "build");
	assert_true(first.held);
	assert_int_equal(engine_read(&two->engines[0], where, &second, NULL), OK);
	assert_string_equal(second.active, "");
}

/* Rows: R93 R94 R95 */
static void
what_one_consumed_the_other_can_not(void **state)
{
	struct two *two = *state;
	struct work first = {.actor = "a", .scope = "s"}, second = {.actor = "b", .scope = "other"};

	assert_int_equal(run(two, 1, consume, &second), NO_SUCH);
	assert_int_equal(run(two, 0, issue, &first), OK);
	assert_int_equal(run(two, 1, issue, &second), CONFLICT);
	assert_int_equal(run(two, 1, consume, &second), NOT_ALLOWED);
	assert_int_equal(run(two, 0, consume, &first), OK);
	second.scope = "s";
	assert_int_equal(run(two, 1, consume, &second), HELD);
	assert_string_equal(second.token.consumer, "a");
	assert_int_equal(run(two, 1, issue, &second), OK);
	assert_int_equal(second.token.generation, 2);
	first.later_ms = TTL_MS + 1000;
	assert_int_equal(run(two, 0, consume, &first), CONFLICT);
	assert_string_equal(first.word, "expired");
	/* each no was kept, and committed */
	assert_int_equal(store_number(two->contract->other, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("token.refused")),
	                 3);
}

/* Rows: R91 */
static void
a_token_is_forgotten_in_time(void **state)
{
	struct two *two = *state;
	struct work first = {.actor = "a", .scope = "s"}, later = {.actor = "a", .later_ms = 89 * DAY_MS};

	assert_int_equal(run(two, 0, issue, &first), OK);
	assert_int_equal(run(two, 1, forget, &later), NO_SUCH);
	later.later_ms = 91 * DAY_MS;
	assert_int_equal(run(two, 1, forget, &later), OK);
	assert_int_equal(run(two, 0, consume, &first), NO_SUCH);
}

#undef CONTRACT_TEST
#define CONTRACT_TEST(test) cmocka_unit_test_setup_teardown(test, open_two, close_two)

CONTRACT_TESTS(CONTRACT_TEST(what_one_claimed_the_other_takes_over_only_when_it_is_overdue),
               CONTRACT_TEST(what_one_has_done_the_other_is_told_and_never_given),
               CONTRACT_TEST(only_who_holds_it_can_be_at_it), CONTRACT_TEST(what_one_consumed_the_other_can_not),
               CONTRACT_TEST(a_token_is_forgotten_in_time))
