/*
 * A server's clock that is set back, or another server's that is behind after it took over: what a writer of a project is told never
 * goes back, whoever he is and whoever asked before.
 *
 * The anomaly refuted: A reads at 12:00, which nobody keeps, as reading writes nothing.  The server's clock is set back to 10:00.  A
 * writes; as A itself is never told an earlier instant, its rows say 12:00.  B writes after it, and its rows say 10:00.
 *
 * Rows: N11
 */
#include "lib/postgres.h"
#include "lib/store.h"
#include "lib/test.h"

#include "db/postgres.h"

#define WAIT_MS 5000
#define HOURS INT64_C(7200000)

struct scene {
	char url[POSTGRES_URL_SIZE];
	struct db *first, *second;
	struct buf why;
};

static struct db *
connect_to(struct scene *scene)
{
	struct postgres_options options = {.url = scene->url, .name = "postgresql:///test", .project = ".", .make = true};
	struct db *db;

	assert_int_equal(postgres_open(&options, &db, &scene->why), OK);
	return db;
}

static int64_t
instant(struct scene *scene, struct db *db, bool write)
{
	assert_int_equal(db_begin(db, write, WAIT_MS, &scene->why), OK);
	assert_int_equal(db_commit(db, &scene->why), OK);
	return db->now_ms;
}

static int
set_up(void **state)
{
	static int count;
	struct scene *scene = calloc(1, sizeof *scene);
	char name[20];

	buf_init(&scene->why, WHY_MAX);
	snprintf(name, sizeof name, "clock%d", ++count);
	postgres_address(name, scene->url);
	scene->first = connect_to(scene);
	scene->second = connect_to(scene);
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	contract_close(scene->first);
	contract_close(scene->second);
	buf_release(&scene->why);
	free(scene);
	return 0;
}

static void
after_a_write_nobody_is_told_an_earlier_instant(void **state)
{
	struct scene *scene = *state;
	int64_t before = instant(scene, scene->first, true);
	struct db *newcomer;

	/* as if that had been at a time when the clock was ahead */
	postgres_execute(scene->url, "UPDATE project SET seen_ms = seen_ms + 7200000");
	assert_true(instant(scene, scene->first, true) >= before + HOURS);
	assert_true(instant(scene, scene->second, false) >= before + HOURS);
	assert_true(instant(scene, scene->second, true) >= before + HOURS);
	newcomer = connect_to(scene);
	assert_true(instant(scene, newcomer, true) >= before + HOURS);
	contract_close(newcomer);
}

static void
an_instant_that_was_only_read_is_kept_by_what_is_written_under_it(void **state)
{
	struct scene *scene = *state;
	int64_t read, written;

	instant(scene, scene->first, true);
	/* the clock is ahead while the first one reads, and set back when it writes */
	postgres_execute(scene->url, "UPDATE project SET seen_ms = seen_ms + 7200000");
	read = instant(scene, scene->first, false);
	postgres_execute(scene->url, "UPDATE project SET seen_ms = seen_ms - 7200000");
	written = instant(scene, scene->first, true);
	assert_true(written >= read);
	assert_true(instant(scene, scene->second, true) >= written);
}

/* The first write of all makes the project's row. */
static void
so_is_one_that_makes_the_projects_row(void **state)
{
	struct scene *scene = *state;
	int64_t written;

	instant(scene, scene->first, true);
	postgres_execute(scene->url, "UPDATE project SET seen_ms = seen_ms + 7200000");
	instant(scene, scene->first, false);
	postgres_execute(scene->url, "DELETE FROM project");
	written = instant(scene, scene->first, true);
	assert_true(instant(scene, scene->second, true) >= written);
}

/* Else what waits for a time to pass would wait until the clock has come back there. */
static void
time_goes_on_while_the_clock_is_behind(void **state)
{
	struct scene *scene = *state;
	int64_t written, later;

	instant(scene, scene->first, true);
	postgres_execute(scene->url, "UPDATE project SET seen_ms = seen_ms + 7200000");
	later = written = instant(scene, scene->first, true);
	for (int i = 0; i < 10000 && later <= written + 5; i++)
		later = instant(scene, scene->second, i % 2 == 0);
	assert_true(later > written + 5);
	assert_true(later < written + HOURS);
}

#define CLOCK_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(CLOCK_TEST(after_a_write_nobody_is_told_an_earlier_instant),
      CLOCK_TEST(an_instant_that_was_only_read_is_kept_by_what_is_written_under_it),
      CLOCK_TEST(so_is_one_that_makes_the_projects_row), CLOCK_TEST(time_goes_on_while_the_clock_is_behind))
