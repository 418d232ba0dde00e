/* What every engine's clock must be: one for all, in milliseconds that people can read, and never going back. */
#include "lib/scratch.h"
#include "lib/store.h"
#include "lib/test.h"

#include "os/clock.h"

#define WAIT_MS 5000

static int64_t
instant(struct contract *contract, struct db *db, bool write)
{
	assert_int_equal(db_begin(db, write, WAIT_MS, &contract->why), OK);
	assert_int_equal(db_commit(db, &contract->why), OK);
	return db->now_ms;
}

static void
instants_never_go_back_whoever_asks(void **state)
{
	struct contract *contract = *state;
	int64_t last = instant(contract, contract->db, true), deadline = clock_boot_ms() + 150;

	for (int i = 0; i < 300 || clock_boot_ms() < deadline; i++) {
		int64_t now = instant(contract, i % 2 == 0 ? contract->db : contract->other, i % 5 == 0);

		assert_true(now >= last);
		last = now;
	}
}

static int
asks(void *arg)
{
	struct contract *contract = arg;
	struct db *db = contract_store(contract_now, contract->folder);
	int64_t before = contract->db->now_ms;
	bool well = db_begin(db, true, WAIT_MS, NULL) == OK && db->now_ms >= before && db->now_ms < before + 600000;

	db_rollback(db);
	db->ops->close(db, true);
	return well ? 0 : 1;
}

static void
another_process_has_the_same_clock(void **state)
{
	struct contract *contract = *state;

	for (int i = 0; i < 10; i++) {
		struct scratch_child child;

		instant(contract, contract->db, i % 2 == 0);
		scratch_spawn(&child, asks, contract);
		assert_int_equal(scratch_wait(&child, 20000), 0);
	}
}

static void
a_new_stores_clock_is_the_wall_clock(void **state)
{
	struct contract *contract = *state;
	int64_t wall = clock_wall_ms(), now = instant(contract, contract->db, true);

	assert_true(now >= wall - 2000 && now <= wall + 600000);
}

static void
a_transaction_has_one_instant(void **state)
{
	struct contract *contract = *state;
	int64_t began, deadline;

	assert_int_equal(db_begin(contract->db, true, WAIT_MS, NULL), OK);
	began = contract->db->now_ms;
	deadline = clock_boot_ms() + 3;
	while (clock_boot_ms() < deadline)
		store_number(contract->db, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("none"));
	assert_int_equal(contract->db->now_ms, began);
	assert_int_equal(db_commit(contract->db, NULL), OK);
	assert_true(instant(contract, contract->db, false) >= began + 3);
}

CONTRACT_TESTS(CONTRACT_TEST(instants_never_go_back_whoever_asks), CONTRACT_TEST(another_process_has_the_same_clock),
               CONTRACT_TEST(a_new_stores_clock_is_the_wall_clock), CONTRACT_TEST(a_transaction_has_one_instant))
