/*
 * What every engine must do with rows: a transaction is there as a whole or not at all, is seen by others when it is committed
 * and not before, and stays.  Two connections to one store.
 *
 * Rows: R18 R122 N11
 */
#include "lib/scratch.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#include <signal.h>
#include <unistd.h>

#define WAIT_MS 5000

static void
begin(struct contract *contract, struct db *db, bool write)
{
	assert_int_equal(db_begin(db, write, WAIT_MS, &contract->why), OK);
}

static void
commit(struct contract *contract, struct db *db)
{
	assert_int_equal(db_commit(db, &contract->why), OK);
}

static void
put(struct db *db, const char *name, double value)
{
	db_run(db,
	       "INSERT INTO metric (project, session, name, value, base) VALUES ('p', 's', $1, $2, 0)"
	       " ON CONFLICT (project, session, name) DO UPDATE SET value = excluded.value",
	       DB_TEXT(name), DB_REAL(value));
}

/* -1 when there is none. */
static int64_t
get(struct db *db, const char *name)
{
	return store_number(db, "SELECT value FROM metric WHERE project = 'p' AND session = 's' AND name = $1", DB_TEXT(name));
}

static void
what_was_committed_is_seen_by_others_and_what_was_not_is_not(void **state)
{
	struct contract *contract = *state;

	begin(contract, contract->db, true);
	put(contract->db, "x", 1);
	assert_int_equal(get(contract->db, "x"), 1);
	begin(contract, contract->other, false);
	assert_int_equal(get(contract->other, "x"), -1);
	commit(contract, contract->other);
	commit(contract, contract->db);
	begin(contract, contract->other, false);
	assert_int_equal(get(contract->other, "x"), 1);
	commit(contract, contract->other);
}

static void
what_was_rolled_back_never_was(void **state)
{
	struct contract *contract = *state;

	begin(contract, contract->db, true);
	put(contract->db, "x", 1);
	put(contract->db, "y", 1);
	db_rollback(contract->db);
	db_rollback(contract->db);
	begin(contract, contract->db, true);
	assert_int_equal(get(contract->db, "x"), -1);
	put(contract->db, "y", 2);
	commit(contract, contract->db);
	begin(contract, contract->other, false);
	assert_int_equal(get(contract->other, "x"), -1);
	assert_int_equal(get(contract->other, "y"), 2);
	commit(contract, contract->other);
}

static void
a_read_sees_one_state_from_its_first_answer_to_its_last(void **state)
{
	struct contract *contract = *state;

	begin(contract, contract->db, true);
	put(contract->db, "x", 1);
	commit(contract, contract->db);
	begin(contract, contract->other, false);
	assert_int_equal(get(contract->other, "x"), 1);
	begin(contract, contract->db, true);
	put(contract->db, "x", 2);
	put(contract->db, "y", 2);
	commit(contract, contract->db);
	assert_int_equal(get(contract->other, "x"), 1);
	assert_int_equal(get(contract->other, "y"), -1);
	commit(contract, contract->other);
	begin(contract, contract->other, false);
	assert_int_equal(get(contract->other, "x"), 2);
	commit(contract, contract->other);
}

static void
a_second_writer_waits_its_limit_and_is_told_busy(void **state)
{
	struct contract *contract = *state;

	begin(contract, contract->db, true);
	put(contract->db, "x", 1);
	assert_int_equal(db_begin(contract->other, true, 20, &contract->why), BUSY);
	assert_true(contract->why.len > 0);
	assert_false(contract->other->open);
	/* who only reads is not in the way of anybody */
	begin(contract, contract->other, false);
	commit(contract, contract->other);
	commit(contract, contract->db);
	begin(contract, contract->other, true);
	assert_int_equal(get(contract->other, "x"), 1);
	commit(contract, contract->other);
}

static void
a_statement_that_fails_takes_its_whole_transaction_with_it(void **state)
{
	struct contract *contract = *state;
	struct db_rows rows;

	begin(contract, contract->db, true);
	put(contract->db, "x", 1);
	db_run(contract->db, "INSERT INTO metric (project, session, name, value, base) VALUES ('p', 's', $1, 1, 0)", DB_TEXT("x"));
	put(contract->db, "y", 1);
	assert_int_equal(db_ask(contract->db, &rows, &contract->why, "SELECT $1", DB_INT(1)), STORE_DOWN);
	assert_true(contract->why.len > 0);
	db_rollback(contract->db);
	begin(contract, contract->db, true);
	put(contract->db, "z", 1);
	db_run(contract->db, "INSERT INTO metric (project, session, name, value, base) VALUES ('p', 's', $1, 1, 0)", DB_TEXT("z"));
	assert_int_equal(db_commit(contract->db, &contract->why), STORE_DOWN);
	begin(contract, contract->other, false);
	assert_int_equal(get(contract->other, "x"), -1);
	assert_int_equal(get(contract->other, "y"), -1);
	assert_int_equal(get(contract->other, "z"), -1);
	commit(contract, contract->other);
	begin(contract, contract->other, true);
	put(contract->other, "x", 3);
	commit(contract, contract->other);
}

static void
a_round_trip_is_an_answer_that_was_waited_for(void **state)
{
	struct contract *contract = *state;

	begin(contract, contract->db, true);
	assert_int_equal(contract->db->trips, 0);
	put(contract->db, "x", 1);
	put(contract->db, "y", 1);
	assert_int_equal(contract->db->trips, 0);
	{
		struct db_rows rows;

		assert_int_equal(db_ask(contract->db, &rows, NULL, "SELECT $1", DB_INT(1)), OK);
		db_rows_release(&rows);
	}
	assert_int_equal(contract->db->trips, 1);
	commit(contract, contract->db);
	assert_int_equal(contract->db->trips, 2);
}

static int
commits_and_dies(void *arg)
{
	const char *folder = arg;
	struct db *db = contract_store(contract_now, folder);

	if (db_begin(db, true, WAIT_MS, NULL) != OK)
		return 1;
	put(db, "kept", 1);
	if (db_commit(db, NULL) != OK || db_begin(db, true, WAIT_MS, NULL) != OK)
		return 1;
	put(db, "lost", 1);
	raise(SIGKILL);
	return 1;
}

/* Rows: R18 */
static void
what_was_committed_outlives_its_process_and_what_was_not_goes_with_it(void **state)
{
	struct contract *contract = *state;
	struct scratch_child child;

	scratch_spawn(&child, commits_and_dies, contract->folder);
	assert_int_equal(scratch_wait(&child, 20000), 128 + SIGKILL);
	/* and whoever comes next need not wait */
	assert_int_equal(db_begin(contract->db, true, 0, &contract->why), OK);
	assert_int_equal(get(contract->db, "kept"), 1);
	assert_int_equal(get(contract->db, "lost"), -1);
	commit(contract, contract->db);
}

static int
ends_without_closing(void *arg)
{
	struct db *db = contract_store(contract_now, arg);

	if (db_begin(db, true, WAIT_MS, NULL) != OK)
		return 1;
	put(db, "kept", 1);
	if (db_commit(db, NULL) != OK)
		return 1;
	db->ops->close(db, true);
	return 0;
}

static void
a_process_that_ends_need_not_close(void **state)
{
	struct contract *contract = *state;

	for (int i = 0; i < 30; i++) {
		struct scratch_child child;

		scratch_spawn(&child, ends_without_closing, contract->folder);
		assert_int_equal(scratch_wait(&child, 20000), 0);
	}
	begin(contract, contract->db, true);
	assert_int_equal(get(contract->db, "kept"), 1);
	commit(contract, contract->db);
}

static void
closing_takes_an_open_transaction_back(void **state)
{
	struct contract *contract = *state;

	begin(contract, contract->other, true);
	put(contract->other, "x", 1);
	contract_close(contract->other);
	contract->other = contract_store(contract_now, contract->folder);
	begin(contract, contract->db, true);
	assert_int_equal(get(contract->db, "x"), -1);
	commit(contract, contract->db);
}

static void
rows_that_number_themselves_go_upwards_across_connections(void **state)
{
	struct contract *contract = *state;
	int64_t last = 0;

	for (int i = 0; i < 20; i++) {
		struct db *db = i % 2 == 0 ? contract->db : contract->other;
		int64_t seq;

		begin(contract, db, true);
		db_run(db,
		       "INSERT INTO audit (project, at_ms, session, actor, kind, subject, before, after, epoch)"
		       " VALUES ('p', 1, 's', 'a', $1, '', '', '', 0)",
		       DB_TEXT("k"));
		seq = store_number(db, "SELECT max(seq) FROM audit WHERE kind = $1", DB_TEXT("k"));
		assert_true(seq > last);
		last = seq;
		if (i % 3 == 2)
			db_rollback(db);
		else
			commit(contract, db);
		if (i % 3 == 2)
			last--;
	}
}

static void
values_are_bound_and_never_read_as_sql(void **state)
{
	static const char *const texts[] =
		{"'); DROP TABLE metric; --", "$1", "%IDENTITY%", "caf\xc3\xa9 \xf0\x9f\x8d\x8e", "\\", "\"", ""};
	struct contract *contract = *state;

	begin(contract, contract->db, true);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		put(contract->db, texts[i], (double)i);
	commit(contract, contract->db);
	begin(contract, contract->other, false);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_int_equal(get(contract->other, texts[i]), i);
	commit(contract, contract->other);
}

static void
numbers_come_back_to_the_last_bit(void **state)
{
	static const int64_t wholes[] = {0, -1, INT64_MAX, INT64_MIN, 1LL << 53, (1LL << 53) + 1};
	static const double reals[] = {0.1, -2.5e-300, 1e300, 123456789.123456789, 9007199254740993.0, 0.5};
	struct contract *contract = *state;
	struct db_rows rows;

	begin(contract, contract->db, true);
	for (int i = 0; i < 6; i++) {
		db_run(contract->db, "UPDATE store SET seen_ms = $1", DB_INT(wholes[i]));
		put(contract->db, "real", reals[i]);
		assert_int_equal(db_ask(contract->db, &rows, NULL,
		                        "SELECT seen_ms, (SELECT value FROM metric WHERE project = 'p' AND name = $1) FROM store",
		                        DB_TEXT("real")),
		                 OK);
		assert_true(db_int(&rows, 0, 0) == wholes[i]);
		assert_true(db_real(&rows, 0, 1) == reals[i]);
		db_rows_release(&rows);
	}
	db_rollback(contract->db);
}

CONTRACT_TESTS(CONTRACT_TEST(what_was_committed_is_seen_by_others_and_what_was_not_is_not),
               CONTRACT_TEST(what_was_rolled_back_never_was),
               CONTRACT_TEST(a_read_sees_one_state_from_its_first_answer_to_its_last),
               CONTRACT_TEST(a_second_writer_waits_its_limit_and_is_told_busy),
               CONTRACT_TEST(a_statement_that_fails_takes_its_whole_transaction_with_it),
               CONTRACT_TEST(a_round_trip_is_an_answer_that_was_waited_for),
               CONTRACT_TEST(what_was_committed_outlives_its_process_and_what_was_not_goes_with_it),
               CONTRACT_TEST(a_process_that_ends_need_not_close), CONTRACT_TEST(closing_takes_an_open_transaction_back),
               CONTRACT_TEST(rows_that_number_themselves_go_upwards_across_connections),
               CONTRACT_TEST(values_are_bound_and_never_read_as_sql), CONTRACT_TEST(numbers_come_back_to_the_last_bit))
