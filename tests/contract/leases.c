/*
 * Leases and wake-ups on every engine, through two connections to one store: what the one was granted binds the other, whoever
 * frees wakes who waits, in whatever process, and only once it is committed.  What it costs is counted.
 *
 * Rows: R42 R46 N2 N12 N13
 */
#include "lib/leasing.h"
#include "lib/scratch.h"
#include "lib/test.h"

#include "base/str.h"
#include "db/postgres_store.h"
#include "os/clock.h"

#define FOR_EVER_MS 60000
#define TRIPS 3

struct work {
	struct lease_ask ask;
	const char *actor;
	int64_t number; /* fence or ticket */
	struct lease lease;
	bool tend;
};

struct two {
	struct contract *contract;
	struct engine engines[2];
};

static void
begin_engine(struct engine *engine, struct db *db)
{
	engine_init(engine, db, BENCH_PROJECT, "uid:7", store_random);
	if (config_defaults(&engine->config) != OK)
		abort();
}

static int
open_two(void **state)
{
	struct two *two = calloc(1, sizeof *two);
	void *contract;

	if (two == NULL || contract_set_up(&contract) != 0)
		return -1;
	two->contract = contract;
	begin_engine(&two->engines[0], two->contract->db);
	begin_engine(&two->engines[1], two->contract->other);
	*state = two;
	return 0;
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

static enum status
acquire(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	txn->actor = work->actor;
	return lease_acquire(txn, &work->ask, &work->lease, why);
}

static enum status
release(struct txn *txn, void *arg, struct buf *why)
{
	const struct work *work = arg;

	txn->actor = work->actor;
	return lease_release(txn, work->ask.resource, work->number, why);
}

static enum status
renew(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	txn->actor = work->actor;
	return lease_renew(txn, work->ask.resource, work->number, 0, &work->lease, why);
}

static enum status
check(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	txn->actor = work->actor;
	return lease_check(txn, work->ask.resource, work->number, &work->lease, why);
}

static enum status
look(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	return lease_look(txn, work->ask.resource, work->number, &work->lease, &work->tend, why);
}

static enum status
give_up(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	return lease_give_up(txn, work->ask.resource, work->number, &work->lease, why);
}

static enum status
tend(struct txn *txn, void *arg, struct buf *why)
{
	return lease_tend(txn, ((struct work *)arg)->ask.resource, why);
}

static struct work
work_of(const char *actor, int64_t number)
{
	struct work work = {.ask = leasing_ask("lock/a"), .actor = actor, .number = number};

	work.ask.ttl_ms = FOR_EVER_MS;
	return work;
}

static enum status
run(struct two *two, int which, rule_function *rule, struct work *work)
{
	enum status status = engine_run(&two->engines[which], rule, work, &two->contract->why);

	assert_true(two->engines[which].trips <= TRIPS);
	return status;
}

static void
what_one_holds_the_other_finds_held_and_the_fence_goes_on(void **state)
{
	struct two *two = *state;

	for (int i = 0; i < 6; i++) {
		struct work mine = work_of("uid:1", i + 1), other = work_of("uid:2", i + 1);

		assert_int_equal(run(two, i % 2, acquire, &mine), OK);
		assert_int_equal(mine.lease.fence, i + 1);
		other.ask.wait = false;
		assert_int_equal(run(two, 1 - i % 2, acquire, &other), HELD);
		assert_string_equal(other.lease.actor, "uid:1");
		assert_int_equal(run(two, 1 - i % 2, release, &other), NOT_ALLOWED);
		assert_int_equal(run(two, 1 - i % 2, renew, &mine), OK);
		assert_int_equal(run(two, 1 - i % 2, release, &mine), OK);
		assert_int_equal(run(two, i % 2, release, &mine), HELD);
		assert_int_equal(engine_read(&two->engines[i % 2], check, &mine, NULL), HELD);
	}
}

static void
waiters_of_both_are_let_in_in_order(void **state)
{
	struct two *two = *state;
	struct work first = work_of("uid:0", 1), waiters[8];
	char actors[8][20];

	assert_int_equal(run(two, 0, acquire, &first), OK);
	for (int i = 0; i < 8; i++) {
		snprintf(actors[i], sizeof actors[i], "uid:%d", i + 10);
		waiters[i] = work_of(actors[i], 0);
		assert_int_equal(run(two, i % 2, acquire, &waiters[i]), QUEUED);
		waiters[i].number = waiters[i].lease.ticket;
	}
	assert_int_equal(run(two, 1, release, &first), OK);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(engine_read(&two->engines[i % 2], look, &waiters[i], NULL), OK);
		assert_int_equal(waiters[i].lease.fence, i + 2);
		waiters[i].number = waiters[i].lease.fence;
		assert_int_equal(run(two, (i + 1) % 2, release, &waiters[i]), OK);
	}
}

/* Waiting, with the search for rings, costs no more; nor does looking, tending and giving up. */
static void
nothing_waits_for_more_than_three_answers(void **state)
{
	struct two *two = *state;
	struct work one = work_of("uid:1", 1), other = work_of("uid:2", 1), ring = work_of("uid:1", 1);

	one.ask.chain = ring.ask.chain = "one";
	other.ask.chain = "other";
	assert_int_equal(run(two, 0, acquire, &one), OK);
	other.ask.resource = "lock/b";
	assert_int_equal(run(two, 1, acquire, &other), OK);
	other.ask.resource = "lock/a";
	assert_int_equal(run(two, 1, acquire, &other), QUEUED);
	other.number = other.lease.ticket;
	ring.ask.resource = "lock/b";
	assert_int_equal(run(two, 0, acquire, &ring), CONFLICT);
	assert_int_equal(engine_read(&two->engines[1], look, &other, NULL), QUEUED);
	assert_true(two->engines[1].trips <= TRIPS);
	assert_int_equal(run(two, 1, tend, &other), OK);
	assert_int_equal(run(two, 1, give_up, &other), BUSY);
	assert_int_equal(run(two, 0, renew, &one), OK);
	assert_int_equal(run(two, 0, release, &one), OK);
	assert_int_equal(store_number(two->contract->other, "SELECT count(*) FROM lease WHERE fence = $1", DB_INT(0)), 0);
}

struct waiter {
	const char *folder;
	struct scratch_barrier *barrier;
};

/* Asks, waits to be woken, and finds itself granted: 0.  3: it was woken by nobody. */
static int
waits(void *arg)
{
	const struct waiter *waiter = arg;
	struct db *db = contract_store(contract_now, waiter->folder);
	struct work work = work_of("uid:2", 0);
	struct engine engine;
	char address[WAKE_SIZE];
	int64_t began_ms;

	begin_engine(&engine, db);
	if (db->ops->listen(db, address, NULL) != OK || *address == '\0')
		return 1;
	work.ask.wake = address;
	if (engine_run(&engine, acquire, &work, NULL) != QUEUED || !scratch_barrier_meet(waiter->barrier, FOR_EVER_MS))
		return 2;
	work.number = work.lease.ticket;
	began_ms = clock_boot_ms();
	db->ops->wait(db, FOR_EVER_MS);
	if (clock_boot_ms() - began_ms >= FOR_EVER_MS)
		return 3;
	if (engine_read(&engine, look, &work, NULL) != OK || work.lease.fence != 2)
		return 4;
	engine_release(&engine, false);
	return 0;
}

/* The release comes before, while or after the other falls asleep: in each case it wakes. */
static void
whoever_frees_wakes_a_waiter_in_another_process(void **state)
{
	struct two *two = *state;
	struct work mine = work_of("uid:1", 1);
	struct waiter waiter = {two->contract->folder, scratch_barrier_new(2)};
	struct scratch_child child;

	assert_int_equal(run(two, 0, acquire, &mine), OK);
	scratch_spawn(&child, waits, &waiter);
	assert_true(scratch_barrier_meet(waiter.barrier, FOR_EVER_MS));
	assert_int_equal(run(two, 0, release, &mine), OK);
	assert_int_equal(scratch_wait(&child, FOR_EVER_MS), 0);
	scratch_barrier_free(waiter.barrier);
}

struct wake {
	char address[WAKE_SIZE];
	enum status ends;
};

static enum status
wake_up(struct txn *txn, void *arg, struct buf *why)
{
	const struct wake *wake = arg;

	txn->db->ops->wake(txn->db, wake->address);
	return wake->ends;
}

static int64_t
slept_ms(struct db *db, int64_t limit_ms)
{
	int64_t began_ms = clock_boot_ms();

	db->ops->wait(db, limit_ms);
	return clock_boot_ms() - began_ms;
}

static void
a_wake_up_that_is_rolled_back_wakes_nobody(void **state)
{
	struct two *two = *state;
	struct wake wake = {.ends = CONFLICT};

	assert_int_equal(two->contract->db->ops->listen(two->contract->db, wake.address, NULL), OK);
	assert_int_equal(engine_run(&two->engines[1], wake_up, &wake, NULL), CONFLICT);
	assert_true(slept_ms(two->contract->db, 150) >= 145);
	/* nor does it come with the next that is committed */
	wake.ends = OK;
	memcpy(wake.address, "", 1);
	assert_int_equal(engine_run(&two->engines[1], wake_up, &wake, NULL), OK);
	assert_true(slept_ms(two->contract->db, 150) >= 145);
}

static void
a_wake_up_before_the_sleep_counts_once(void **state)
{
	struct two *two = *state;
	struct wake wake = {.ends = OK};

	assert_int_equal(two->contract->db->ops->listen(two->contract->db, wake.address, NULL), OK);
	assert_int_equal(engine_run(&two->engines[1], wake_up, &wake, NULL), OK);
	assert_true(slept_ms(two->contract->db, FOR_EVER_MS) < FOR_EVER_MS);
	assert_true(slept_ms(two->contract->db, 150) >= 145);
}

static void
an_address_that_is_none_harms_nobody(void **state)
{
	static const char *const none[] = {"", "nonsense", "-1", "99999999999999999999"};
	struct two *two = *state;

	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		struct wake wake = {.ends = OK};

		snprintf(wake.address, sizeof wake.address, "%s", none[i]);
		assert_int_equal(engine_run(&two->engines[1], wake_up, &wake, NULL), OK);
	}
}

/* Behind a pooler that gives each transaction another connection nobody can be told: who waits looks again. */
static void
where_none_can_be_woken_a_wait_is_its_limit(void **state)
{
	struct two *two = *state;
	char address[WAKE_SIZE] = "x";

	if (!str_equal(two->contract->db->ops->name, "postgresql"))
		return;
	assert_int_equal(store_number(two->contract->db, "SELECT count(*) FROM lease WHERE fence = $1", DB_INT(0)), 0);
	((struct postgres *)two->contract->db)->pooled = true;
	assert_int_equal(two->contract->db->ops->listen(two->contract->db, address, NULL), OK);
	assert_string_equal(address, "");
	assert_true(slept_ms(two->contract->db, 150) >= 145);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_two, close_two)

CONTRACT_TESTS(TEST(what_one_holds_the_other_finds_held_and_the_fence_goes_on), TEST(waiters_of_both_are_let_in_in_order),
               TEST(nothing_waits_for_more_than_three_answers), TEST(whoever_frees_wakes_a_waiter_in_another_process),
               TEST(a_wake_up_that_is_rolled_back_wakes_nobody), TEST(a_wake_up_before_the_sleep_counts_once),
               TEST(an_address_that_is_none_harms_nobody), TEST(where_none_can_be_woken_a_wait_is_its_limit))
