/*
 * The embedded engine's own affairs: values, queued statements that fail, the statement cache, the clock across boots, the
 * schema.  What every engine must do is in contract/.
 */
#include "lib/scratch.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"
#include "db/dialect.h"
#include "db/sqlite_store.h"
#include "schema.h"

#define SCHEMA_NEWEST schema_files[sizeof schema_files / sizeof *schema_files - 1].number

struct scene {
	char *folder;
	struct db *db;
	struct buf why;
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	scene->folder = scratch_folder();
	scene->db = contract_store(0, scene->folder);
	buf_init(&scene->why, WHY_MAX);
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	contract_close(scene->db);
	buf_release(&scene->why);
	scratch_remove(scene->folder);
	free(scene);
	return 0;
}

static void
reopen(struct scene *scene)
{
	contract_close(scene->db);
	scene->db = contract_store(0, scene->folder);
}

static void
begin(struct scene *scene, bool write)
{
	assert_int_equal(db_begin(scene->db, write, 1000, &scene->why), OK);
}

static void
commit(struct scene *scene)
{
	assert_int_equal(db_commit(scene->db, &scene->why), OK);
}

static struct sqlite *
inside(struct scene *scene)
{
	return (struct sqlite *)scene->db;
}

static void
values_come_back_as_they_went_in(void **state)
{
	static const char *const texts[] = {"", "plain", "caf\xc3\xa9 \xf0\x9f\x8d\x8e", "' \" ; -- $1 ?1 %IDENTITY%", "\t\n\x01"};
	static const int64_t numbers[] = {0, 1, -1, INT64_MAX, INT64_MIN};
	static const double reals[] = {0.5, -1e300, 1e-300, 9007199254740993.0};
	struct scene *scene = *state;
	struct db_rows rows;

	begin(scene, true);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(db_ask(scene->db, &rows, &scene->why, "SELECT $1, $2, $3, $4", DB_TEXT(texts[i]), DB_INT(numbers[i]),
		                        DB_REAL(reals[i % 4]), DB_NULL),
		                 OK);
		assert_int_equal(rows.count, 1);
		assert_int_equal(rows.columns, 4);
		assert_string_equal(db_text(&rows, 0, 0), texts[i]);
		assert_true(db_int(&rows, 0, 1) == numbers[i]);
		assert_true(db_real(&rows, 0, 2) == reals[i % 4]);
		assert_true(db_is_null(&rows, 0, 3));
		assert_string_equal(db_text(&rows, 0, 3), "");
		assert_int_equal(db_int(&rows, 0, 3), 0);
		db_rows_release(&rows);
	}
	assert_int_equal(db_ask(scene->db, &rows, NULL, "SELECT $1 IS NULL", DB_TEXT(NULL)), OK);
	assert_int_equal(db_int(&rows, 0, 0), 1);
	db_rows_release(&rows);
	commit(scene);
}

static void
many_rows_and_long_texts_come_whole(void **state)
{
	struct scene *scene = *state;
	struct db_rows rows;
	size_t len = (size_t)1 << 20;
	char *text = malloc(len + 1);

	memset(text, 'x', len);
	text[len] = '\0';
	begin(scene, false);
	assert_int_equal(db_ask(scene->db, &rows, NULL, "SELECT $1", DB_TEXT(text)), OK);
	assert_string_equal(db_text(&rows, 0, 0), text);
	db_rows_release(&rows);
	assert_int_equal(db_ask(scene->db, &rows, NULL,
	                        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)"
	                        " SELECT i, 'row ' || i FROM n",
	                        DB_INT(10000)),
	                 OK);
	assert_int_equal(rows.count, 10000);
	for (size_t i = 0; i < rows.count; i++) {
		char expected[40];

		snprintf(expected, sizeof expected, "row %zu", i + 1);
		assert_int_equal(db_int(&rows, i, 0), i + 1);
		assert_string_equal(db_text(&rows, i, 1), expected);
	}
	db_rows_release(&rows);
	commit(scene);
	free(text);
}

static void
an_answer_without_rows_is_an_answer(void **state)
{
	struct scene *scene = *state;
	struct db_rows rows;

	begin(scene, false);
	assert_int_equal(db_ask(scene->db, &rows, NULL, "SELECT boot FROM clock WHERE boot = $1", DB_TEXT("none")), OK);
	assert_int_equal(rows.count, 0);
	db_rows_release(&rows);
	commit(scene);
}

/* Stored as the statement's own address: the hundredth run is as the first. */
static void
a_statement_is_prepared_once_and_takes_new_values_each_time(void **state)
{
	struct scene *scene = *state;
	size_t before = 0, after = 0;

	for (int round = 0; round < 3; round++) {
		begin(scene, true);
		for (int i = 0; i < 100; i++) {
			char boot[40];

			snprintf(boot, sizeof boot, "b%d-%d", round, i);
			db_run(scene->db, "INSERT INTO clock (boot, offset_ms) VALUES ($1, $2)", DB_TEXT(boot), DB_INT(i));
		}
		commit(scene);
		after = 0;
		for (size_t i = 0; i < STATEMENTS_MAX; i++)
			after += inside(scene)->statements[i].sql != NULL;
		if (round > 0)
			assert_int_equal(after, before);
		before = after;
	}
	assert_int_equal(store_number(scene->db, "SELECT count(*) FROM clock WHERE boot LIKE $1", DB_TEXT("b%-%")), 300);
}

static void
a_queued_statement_that_cant_be_prepared_is_told_at_the_next_answer(void **state)
{
	struct scene *scene = *state;
	struct db_rows rows;

	begin(scene, true);
	db_run(scene->db, "INSERT INTO nowhere (x) VALUES ($1)", DB_INT(1));
	db_run(scene->db, "INSERT INTO clock (boot, offset_ms) VALUES ($1, 5)", DB_TEXT("after"));
	assert_int_equal(db_ask(scene->db, &rows, &scene->why, "SELECT $1", DB_INT(1)), STORE_DOWN);
	assert_non_null(strstr(scene->why.data, "nowhere"));
	db_rollback(scene->db);
	begin(scene, true);
	db_run(scene->db, "INSERT INTO nowhere (x) VALUES ($1)", DB_INT(1));
	assert_int_equal(db_commit(scene->db, &scene->why), STORE_DOWN);
	assert_int_equal(store_number(scene->db, "SELECT count(*) FROM clock WHERE boot = $1", DB_TEXT("after")), 0);
	/* the next transaction knows nothing of it */
	begin(scene, true);
	commit(scene);
}

static void
the_first_of_several_failures_is_the_one_that_is_told(void **state)
{
	struct scene *scene = *state;

	begin(scene, true);
	db_run(scene->db, "INSERT INTO clock (boot, offset_ms) VALUES ($1, NULL)", DB_TEXT("x"));
	db_run(scene->db, "INSERT INTO nowhere (x) VALUES ($1)", DB_INT(1));
	assert_int_equal(db_commit(scene->db, &scene->why), STORE_DOWN);
	assert_non_null(strstr(scene->why.data, "offset_ms"));
}

static void
the_clock_goes_on_from_what_was_fixed_for_this_boot(void **state)
{
	struct scene *scene = *state;
	int64_t before;

	begin(scene, true);
	before = scene->db->now_ms;
	/* as if the wall clock had been an hour ahead when this boot's offset was fixed, and was set right since */
	db_run(scene->db, "UPDATE clock SET offset_ms = offset_ms + $1 WHERE boot = $2", DB_INT(3600000),
	       DB_TEXT(inside(scene)->boot));
	commit(scene);
	reopen(scene);
	begin(scene, false);
	assert_true(scene->db->now_ms >= before + 3600000);
	assert_true(scene->db->now_ms < before + 3600000 + 600000);
	commit(scene);
}

static void
after_a_boot_the_clock_goes_on_behind_the_last_instant_given(void **state)
{
	struct scene *scene = *state;
	int64_t last;

	for (int boot = 0; boot < 3; boot++) {
		begin(scene, true);
		last = scene->db->now_ms;
		/* a wall clock that was far ahead in the boot before */
		db_run(scene->db, "UPDATE store SET seen_ms = $1", DB_INT(last + 86400000));
		commit(scene);
		reopen(scene);
		snprintf(inside(scene)->boot, sizeof inside(scene)->boot, "another-boot-%d.1", boot);
		begin(scene, false);
		assert_true(scene->db->now_ms >= last + 86400000 + 1000);
		commit(scene);
		begin(scene, true);
		assert_true(scene->db->now_ms >= last + 86400000 + 1000);
		assert_true(scene->db->now_ms < last + 86400000 + 600000);
		commit(scene);
		assert_int_equal(store_number(scene->db, "SELECT count(*) FROM clock WHERE boot LIKE $1", DB_TEXT("another-boot-%")),
		                 boot + 1);
	}
}

static void
what_the_store_saw_is_kept_to_the_second(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 50; i++) {
		begin(scene, true);
		assert_true(store_number(scene->db, "SELECT seen_ms + $1 FROM store", DB_INT(1000)) > scene->db->now_ms);
		commit(scene);
	}
}

static void
settings_are_those_that_durability_counts_on(void **state)
{
	struct scene *scene = *state;
	struct buf facts;
	char schema[40];

	snprintf(schema, sizeof schema, "\nschema=%d\n", SCHEMA_NEWEST);
	buf_init(&facts, 1 << 16);
	scene->db->ops->facts(scene->db, &facts);
	assert_non_null(strstr(facts.data, "\njournal_mode=wal\n"));
	assert_non_null(strstr(facts.data, "\nsynchronous=2\n"));
	assert_non_null(strstr(facts.data, "\nquick_check=ok\n"));
	assert_non_null(strstr(facts.data, schema));
	buf_release(&facts);
}

static void
the_log_is_copied_back_when_it_has_grown(void **state)
{
	struct scene *scene = *state;
	int highest = 0, lowered = 0, last = 0;

	for (int i = 0; i < 200; i++) {
		begin(scene, true);
		db_run(scene->db, "UPDATE store SET clone = clone || $1", DB_TEXT("."));
		commit(scene);
		highest = inside(scene)->wal_frames > highest ? inside(scene)->wal_frames : highest;
		lowered += inside(scene)->wal_frames < last;
		last = inside(scene)->wal_frames;
	}
	assert_true(highest >= inside(scene)->wal_limit);
	assert_true(highest < inside(scene)->wal_limit + 16);
	assert_true(lowered >= 2);
	assert_true(store_is_whole(scene->db));
}

static void
a_new_store_is_made_only_if_asked_for(void **state)
{
	char *folder = scratch_folder(), *file = scratch_path(folder, "stile.db");
	struct sqlite_options options = {.folder = folder, .file = file};
	struct db *db = NULL;
	struct buf why;

	buf_init(&why, WHY_MAX);
	assert_int_equal(sqlite_open(&options, &db, &why), STORE_DOWN);
	assert_null(db);
	assert_non_null(strstr(why.data, "there is no store; run `stile init`"));
	options.make = true;
	assert_int_equal(sqlite_open(&options, &db, &why), OK);
	contract_close(db);
	options.make = false;
	assert_int_equal(sqlite_open(&options, &db, &why), OK);
	contract_close(db);
	buf_release(&why);
	free(file);
	scratch_remove(folder);
}

static int
makes_a_store(void *folder)
{
	sqlite3_reset_auto_extension();
	contract_close(contract_store(0, folder));
	return 0;
}

static char *made_now; /* the folder in which another process makes the store at that moment; NULL when it has */

/* Called when a statement is prepared that reads the list of tables: the one that asks whose database it is. */
static int
make_it_now(void *unused, int action, const char *table, const char *column, const char *database, const char *inner)
{
	struct scratch_child child;

	(void)unused;
	(void)column;
	(void)database;
	(void)inner;
	if (made_now != NULL && action == SQLITE_READ && str_equal(table, "sqlite_master")) {
		scratch_spawn(&child, makes_a_store, made_now);
		made_now = NULL;
		if (scratch_wait(&child, 20000) != 0)
			abort();
	}
	return SQLITE_OK;
}

static int
watch(sqlite3 *handle, char **error, const void *routines)
{
	(void)error;
	(void)routines;
	return sqlite3_set_authorizer(handle, make_it_now, NULL);
}

/*
 * A looks for our table and finds none; B makes the store; A looks whose database it is and finds that it is ours, yet has no
 * number of it: that is no damage.
 */
static void
a_store_that_another_makes_at_this_moment_is_found(void **state)
{
	char *folder = scratch_folder(), *file = scratch_path(folder, "stile.db");
	struct sqlite_options options = {.folder = folder, .file = file, .make = true};
	struct scene *scene = *state;
	struct db *db;

	made_now = folder;
	assert_int_equal(sqlite3_auto_extension((void (*)(void))watch), SQLITE_OK);
	assert_int_equal(sqlite_open(&options, &db, &scene->why), OK);
	sqlite3_reset_auto_extension();
	assert_null(made_now);
	assert_int_equal(store_number(db, "SELECT count(*) FROM store WHERE schema >= $1", DB_INT(1)), 1);
	contract_close(db);
	free(file);
	scratch_remove(folder);
}

static void
a_schema_that_grew_under_a_resident_is_refused_by_it(void **state)
{
	struct scene *scene = *state;
	char expected[100];

	snprintf(expected, sizeof expected, "the store has schema 999, this program knows up to %d; update stile", SCHEMA_NEWEST);
	begin(scene, true);
	db_run(scene->db, "UPDATE store SET schema = $1", DB_INT(999));
	commit(scene);
	assert_int_equal(db_begin(scene->db, true, 1000, &scene->why), STORE_DOWN);
	assert_non_null(strstr(scene->why.data, expected));
	assert_int_equal(db_begin(scene->db, false, 0, &scene->why), STORE_DOWN);
	assert_false(inside(scene)->gate.held);
}

static void
tokens_of_the_dialect_are_replaced_and_nothing_else(void **state)
{
	struct buf out;

	buf_init(&out, 1000);
	dialect_expand(&out, "a %IDENTITY% b) %CLUSTERED%; 100 % %x% LIKE '%' %IDENT", DIALECT_SQLITE);
	assert_string_equal(out.data, "a INTEGER PRIMARY KEY b) WITHOUT ROWID; 100 % %x% LIKE '%' %IDENT");
	buf_release(&out);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(TEST(values_come_back_as_they_went_in), TEST(many_rows_and_long_texts_come_whole),
      TEST(an_answer_without_rows_is_an_answer), TEST(a_statement_is_prepared_once_and_takes_new_values_each_time),
      TEST(a_queued_statement_that_cant_be_prepared_is_told_at_the_next_answer),
      TEST(the_first_of_several_failures_is_the_one_that_is_told), TEST(the_clock_goes_on_from_what_was_fixed_for_this_boot),
      TEST(after_a_boot_the_clock_goes_on_behind_the_last_instant_given), TEST(what_the_store_saw_is_kept_to_the_second),
      TEST(settings_are_those_that_durability_counts_on), TEST(the_log_is_copied_back_when_it_has_grown),
      TEST(a_new_store_is_made_only_if_asked_for), TEST(a_store_that_another_makes_at_this_moment_is_found),
      TEST(a_schema_that_grew_under_a_resident_is_refused_by_it), TEST(tokens_of_the_dialect_are_replaced_and_nothing_else))
