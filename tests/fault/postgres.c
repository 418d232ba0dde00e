/*
 * A connection that is lost proves nothing: before a commit nothing was done, and while committing the key of the operation tells
 * whether it was; only where nobody can be asked is it not known.  What comes afterwards finds its way by itself.
 *
 * Rows: R50 N11
 */
#include "lib/postgres.h"
#include "lib/scratch.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"
#include "db/postgres.h"

#include <unistd.h>

#define WAIT_MS 5000

struct scene {
	char url[POSTGRES_URL_SIZE];
	struct db *db;
	struct buf why;
};

static struct db *
connect_again(struct scene *scene)
{
	struct postgres_options options = {.url = scene->url, .name = "postgresql:///test", .project = ".", .make = true};
	struct db *db;

	assert_int_equal(postgres_open(&options, &db, &scene->why), OK);
	return db;
}

static int
set_up(void **state)
{
	static int count;
	struct scene *scene = calloc(1, sizeof *scene);
	char name[20];

	buf_init(&scene->why, WHY_MAX);
	snprintf(name, sizeof name, "fault%d", ++count);
	postgres_address(name, scene->url);
	scene->db = connect_again(scene);
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	contract_close(scene->db);
	buf_release(&scene->why);
	free(scene);
	return 0;
}

static void
begin(struct scene *scene)
{
	if (db_begin(scene->db, true, WAIT_MS, &scene->why) != OK)
		fail_msg("begin: %s", scene->why.data);
}

static void
put(struct scene *scene, const char *name)
{
	db_run(scene->db, "INSERT INTO metric (project, session, name, value, base) VALUES ('.', 's', $1, 1, 0)", DB_TEXT(name));
}

static bool
is_there(struct scene *scene, const char *name)
{
	int64_t count;

	assert_int_equal(db_begin(scene->db, false, WAIT_MS, &scene->why), OK);
	count = store_number(scene->db, "SELECT count(*) FROM metric WHERE name = $1", DB_TEXT(name));
	assert_int_equal(db_commit(scene->db, &scene->why), OK);
	return count == 1;
}

/* Ends the server's side of every connection to the scene's database, and waits until it is gone. */
static void
cut(const struct scene *scene)
{
	char other[POSTGRES_URL_SIZE];

	postgres_address("postgres", other);
	postgres_execute(other, "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname LIKE 'fault%'");
	(void)scene;
}

static void
a_connection_that_was_lost_in_between_is_replaced_without_a_word(void **state)
{
	struct scene *scene = *state;

	begin(scene);
	put(scene, "before");
	assert_int_equal(db_commit(scene->db, &scene->why), OK);
	cut(scene);
	begin(scene);
	put(scene, "after");
	assert_int_equal(db_commit(scene->db, &scene->why), OK);
	assert_true(is_there(scene, "before"));
	assert_true(is_there(scene, "after"));
}

static void
one_lost_before_the_commit_has_done_nothing(void **state)
{
	struct scene *scene = *state;
	struct db_rows rows;

	begin(scene);
	put(scene, "lost");
	cut(scene);
	assert_int_equal(db_ask(scene->db, &rows, &scene->why, "SELECT $1", DB_INT(1)), STORE_DOWN);
	/* a rule that goes on all the same gets no yes either, and it is known that nothing was done */
	put(scene, "more");
	assert_int_equal(db_commit(scene->db, &scene->why), STORE_DOWN);
	assert_false(is_there(scene, "lost"));
	assert_false(is_there(scene, "more"));
}

static void
one_lost_while_committing_is_looked_for_and_was_not_done(void **state)
{
	struct scene *scene = *state;

	begin(scene);
	put(scene, "perhaps");
	cut(scene);
	assert_int_equal(db_commit(scene->db, &scene->why), BUSY);
	assert_non_null(strstr(scene->why.data, "nothing was done"));
	assert_false(scene->db->open);
	assert_false(is_there(scene, "perhaps"));
	/* and the connection it looked with is as good as any */
	begin(scene);
	put(scene, "perhaps");
	assert_int_equal(db_commit(scene->db, &scene->why), OK);
	assert_true(is_there(scene, "perhaps"));
}

static enum status
ask(struct scene *scene)
{
	struct db_rows rows;
	enum status status = db_ask(scene->db, &rows, &scene->why, "SELECT $1", DB_INT(1));

	if (status == OK)
		db_rows_release(&rows);
	return status;
}

static void
a_read_that_lost_its_connection_has_no_outcome_to_wonder_about(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(db_begin(scene->db, false, WAIT_MS, &scene->why), OK);
	cut(scene);
	assert_int_equal(ask(scene), STORE_DOWN);
	db_rollback(scene->db);
	/* and whose answers had come is over */
	assert_int_equal(db_begin(scene->db, false, WAIT_MS, &scene->why), OK);
	assert_int_equal(ask(scene), OK);
	cut(scene);
	assert_int_equal(db_commit(scene->db, &scene->why), OK);
	assert_false(is_there(scene, "nothing"));
}

static void
begin_ahead(struct scene *scene, bool write)
{
	assert_int_equal(db_begin_ahead(scene->db, write, POSTGRES_WAIT_MIN_MS, &scene->why), OK);
	assert_false(scene->db->timed);
}

static void
a_read_of_one_statement_is_one_trip_and_a_change_without_a_question_too(void **state)
{
	struct scene *scene = *state;
	int64_t last;

	assert_false(is_there(scene, "one"));
	last = scene->db->now_ms;
	begin_ahead(scene, false);
	assert_int_equal(ask(scene), OK);
	assert_true(scene->db->timed && scene->db->now_ms >= last);
	assert_int_equal(db_commit(scene->db, &scene->why), OK);
	assert_int_equal(scene->db->trips, 1);
	begin_ahead(scene, true);
	put(scene, "one");
	assert_int_equal(db_commit(scene->db, &scene->why), OK);
	assert_int_equal(scene->db->trips, 1);
	begin_ahead(scene, true);
	assert_true(db_now(scene->db) >= last);
	assert_int_equal(ask(scene), OK);
	assert_int_equal(db_commit(scene->db, &scene->why), OK);
	assert_int_equal(scene->db->trips, 3);
	assert_true(is_there(scene, "one"));
}

/* However it goes on: with a question, with the clock and a question, with the commit. */
static void
one_begun_ahead_that_has_to_wait_for_another_writer_is_busy_and_does_nothing(void **state)
{
	struct scene *scene = *state;
	struct db *other = connect_again(scene);

	assert_false(is_there(scene, "early"));
	assert_int_equal(db_begin(other, true, WAIT_MS, &scene->why), OK);
	for (int way = 0; way < 3; way++) {
		begin_ahead(scene, true);
		if (way == 1)
			(void)db_now(scene->db);
		put(scene, "early");
		if (way < 2)
			assert_int_equal(ask(scene), BUSY);
		if (way < 2)
			db_rollback(scene->db);
		else
			assert_int_equal(db_commit(scene->db, &scene->why), BUSY);
	}
	begin_ahead(scene, true);
	(void)db_now(scene->db);
	assert_int_equal(db_commit(scene->db, &scene->why), BUSY);
	db_rollback(other);
	other->ops->close(other, false);
	assert_false(is_there(scene, "early"));
}

static void
one_begun_ahead_and_lost_is_a_store_that_is_away(void **state)
{
	struct scene *scene = *state;

	assert_false(is_there(scene, "lost"));
	begin_ahead(scene, true);
	put(scene, "lost");
	cut(scene);
	assert_int_equal(ask(scene), STORE_DOWN);
	db_rollback(scene->db);
	assert_false(is_there(scene, "lost"));
	begin_ahead(scene, true);
	cut(scene);
	(void)db_now(scene->db);
	put(scene, "lost");
	assert_int_equal(ask(scene), STORE_DOWN);
	db_rollback(scene->db);
	assert_false(is_there(scene, "lost"));
}

/* Project `.`'s, as old as that. */
#define KEYS_OF(minutes, keys) \
	"INSERT INTO operation SELECT '.', floor(extract(epoch FROM now()) * 1000)::bigint - " minutes \
	" * 60000, k::text FROM " keys

static void
keys_are_kept_for_an_hour_and_then_taken_away_by_whoever_writes(void **state)
{
	struct scene *scene = *state;
	int64_t old = 1;

	postgres_execute(scene->url, KEYS_OF("61", "generate_series(1, 300) k"));
	postgres_execute(scene->url, KEYS_OF("59", "generate_series(1000, 1001) k"));
	postgres_execute(scene->url, "INSERT INTO operation VALUES ('another', 1, '1')");
	/* chance decides who does it: that none of so many did is as good as impossible */
	for (int i = 0; i < 3000 && old > 0; i++) {
		begin(scene);
		assert_int_equal(db_commit(scene->db, &scene->why), OK);
		assert_int_equal(db_begin(scene->db, false, WAIT_MS, &scene->why), OK);
		old = store_number(scene->db, "SELECT count(*) FROM operation WHERE project = $1 AND key IN ($2, $3)", DB_TEXT("."),
		                   DB_TEXT("1"), DB_TEXT("300"));
		db_rollback(scene->db);
	}
	assert_int_equal(old, 0);
	assert_int_equal(db_begin(scene->db, false, WAIT_MS, &scene->why), OK);
	assert_int_equal(store_number(scene->db, "SELECT count(*) FROM operation WHERE key IN ($1, $2)", DB_TEXT("1000"),
	                              DB_TEXT("1001")),
	                 2);
	db_rollback(scene->db);
	/* another project's, which we can't see */
	postgres_execute(scene->url, "DO $$ BEGIN IF NOT EXISTS (SELECT FROM operation WHERE project = 'another') THEN RAISE 'gone';"
	                             " END IF; END $$");
}

static void
a_server_that_crashed_and_came_back_has_all_that_was_acknowledged(void **state)
{
	struct scene *scene = *state;

	begin(scene);
	put(scene, "kept");
	assert_int_equal(db_commit(scene->db, &scene->why), OK);
	/* who has waited long enough looks for a moment all the same, and nobody is there */
	assert_int_equal(db_begin(scene->db, true, 0, &scene->why), OK);
	put(scene, "open");
	postgres_crash();
	assert_int_equal(db_commit(scene->db, &scene->why), OUTCOME_UNKNOWN);
	assert_non_null(strstr(scene->why.data, "not known"));
	assert_int_equal(db_begin(scene->db, true, WAIT_MS, &scene->why), STORE_DOWN);
	postgres_again();
	assert_true(is_there(scene, "kept"));
	assert_false(is_there(scene, "open"));
}

/* Asks again and again, as there is no event for it, and ends when there was a commit to give up. */
static int
gives_up_the_wait_for_the_standby(void *arg)
{
	struct scene *scene = arg;
	struct db *db = connect_again(scene);
	int64_t cancelled = 0;

	while (cancelled < 1) {
		if (db_begin(db, false, WAIT_MS, NULL) != OK)
			return 1;
		cancelled = store_number(db,
		                         "SELECT count(CASE WHEN wait_event = $1 AND datname = current_database() THEN"
		                         " CASE WHEN pg_cancel_backend(pid) THEN 1 END END) FROM pg_stat_activity",
		                         DB_TEXT("SyncRep"));
		db_rollback(db);
	}
	db->ops->close(db, true);
	return 0;
}

static void
a_commit_whose_standby_was_not_waited_for_is_no_yes(void **state)
{
	struct scene *scene = *state;
	struct scratch_child child;
	enum status status;

	begin(scene);
	put(scene, "alone");
	postgres_execute(scene->url, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
	postgres_execute(scene->url, "SELECT pg_reload_conf()");
	scratch_spawn(&child, gives_up_the_wait_for_the_standby, scene);
	status = db_commit(scene->db, &scene->why);
	assert_int_equal(scratch_wait(&child, 30000), 0);
	postgres_execute(scene->url, "ALTER SYSTEM RESET synchronous_standby_names");
	postgres_execute(scene->url, "SELECT pg_reload_conf()");
	assert_int_equal(status, OUTCOME_UNKNOWN);
	assert_true(is_there(scene, "alone"));
}

/* SQLSTATE 57014; nothing was done, so trying again is right. */
static void
what_the_server_took_back_is_busy(void **state)
{
	struct scene *scene = *state;
	struct db_rows rows;

	begin(scene);
	put(scene, "x");
	assert_int_equal(db_ask(scene->db, &rows, &scene->why,
	                        "SELECT CASE WHEN pg_cancel_backend(pg_backend_pid()) THEN pg_sleep($1) END", DB_REAL(30)),
	                 BUSY);
	db_rollback(scene->db);
	assert_false(is_there(scene, "x"));
}

#define POSTGRES_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(POSTGRES_TEST(a_connection_that_was_lost_in_between_is_replaced_without_a_word),
      POSTGRES_TEST(one_lost_before_the_commit_has_done_nothing),
      POSTGRES_TEST(one_lost_while_committing_is_looked_for_and_was_not_done),
      POSTGRES_TEST(a_read_that_lost_its_connection_has_no_outcome_to_wonder_about),
      POSTGRES_TEST(keys_are_kept_for_an_hour_and_then_taken_away_by_whoever_writes),
      POSTGRES_TEST(a_read_of_one_statement_is_one_trip_and_a_change_without_a_question_too),
      POSTGRES_TEST(one_begun_ahead_that_has_to_wait_for_another_writer_is_busy_and_does_nothing),
      POSTGRES_TEST(one_begun_ahead_and_lost_is_a_store_that_is_away),
      POSTGRES_TEST(a_server_that_crashed_and_came_back_has_all_that_was_acknowledged),
      POSTGRES_TEST(a_commit_whose_standby_was_not_waited_for_is_no_yes), POSTGRES_TEST(what_the_server_took_back_is_busy))
