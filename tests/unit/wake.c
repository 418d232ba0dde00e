/*
 * No wake-up is lost: one that comes between the look and the sleep ends the sleep at once.  Who is killed while it sleeps leaves
 * nothing; two at one word both wake.
 *
 * Rows: N13
 */
#include "lib/scratch.h"
#include "lib/test.h"

#include "os/clock.h"
#include "os/wake.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#define FOR_EVER_MS 60000
#define ROUNDS 2000
#define WORD 5

struct scene {
	char *folder;
	struct gate gate;
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	scene->folder = scratch_folder();
	*state = scene;
	return gate_open(&scene->gate, scene->folder, true, NULL) == OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	gate_close(&scene->gate);
	scratch_remove(scene->folder);
	free(scene);
	return 0;
}

static void
raised_between_the_look_and_the_sleep_it_ends_the_sleep_at_once(void **state)
{
	struct scene *scene = *state;
	int64_t began_ms = clock_boot_ms();
	uint32_t count;

	for (int i = 0; i < 100; i++) {
		count = wake_count(&scene->gate, WORD);
		wake_raise(&scene->gate, WORD);
		assert_int_equal(wake_count(&scene->gate, WORD), count + 1);
		wake_sleep(&scene->gate, WORD, count, FOR_EVER_MS);
	}
	assert_true(clock_boot_ms() - began_ms < FOR_EVER_MS);
}

static void
unwoken_it_sleeps_for_its_limit_and_another_words_raise_is_not_its(void **state)
{
	struct scene *scene = *state;
	uint32_t count = wake_count(&scene->gate, WORD);
	int64_t began_ms = clock_boot_ms();

	wake_raise(&scene->gate, WORD + 1);
	wake_sleep(&scene->gate, WORD, count, 60);
	assert_in_range(clock_boot_ms() - began_ms, 55, FOR_EVER_MS / 2);
	assert_int_equal(wake_count(&scene->gate, WORD), count);
}

static void
the_first_and_the_last_word_are_words(void **state)
{
	struct scene *scene = *state;

	for (unsigned word = 0; word < WAKE_WORDS; word++)
		wake_raise(&scene->gate, word);
	for (unsigned word = 0; word < WAKE_WORDS; word++)
		assert_int_equal(wake_count(&scene->gate, word), 1);
	/* the rest of the page is the gate's */
	assert_int_equal(gate_take(&scene->gate, 0, NULL), OK);
	gate_leave(&scene->gate);
}

/* Two that hand a ball to each other, each asleep until it has it: one lost wake-up and they stand still for a minute. */
struct court {
	struct scene *scene;
	atomic_uint ball;
	atomic_ullong longest_ms;
};

static int
plays(struct court *court, unsigned side)
{
	struct gate gate;

	if (gate_open(&gate, court->scene->folder, false, NULL) != OK)
		return 1;
	for (unsigned i = 0; i < ROUNDS; i++) {
		int64_t began_ms = clock_boot_ms();

		for (;;) {
			uint32_t count = wake_count(&gate, side);

			if (atomic_load(&court->ball) % 2 == side)
				break;
			wake_sleep(&gate, side, count, FOR_EVER_MS);
		}
		if (clock_boot_ms() - began_ms >= FOR_EVER_MS)
			return 2;
		atomic_fetch_add(&court->ball, 1);
		wake_raise(&gate, 1 - side);
	}
	gate_close(&gate);
	return 0;
}

static int
plays_left(void *arg)
{
	return plays(arg, 0);
}

static int
plays_right(void *arg)
{
	return plays(arg, 1);
}

static void
of_thousands_of_wake_ups_across_processes_none_is_lost(void **state)
{
	struct court *court = scratch_shared(sizeof *court);
	struct scratch_child left, right;

	court->scene = *state;
	scratch_spawn(&left, plays_left, court);
	scratch_spawn(&right, plays_right, court);
	assert_int_equal(scratch_wait(&left, FOR_EVER_MS), 0);
	assert_int_equal(scratch_wait(&right, FOR_EVER_MS), 0);
	assert_int_equal(atomic_load(&court->ball), 2 * ROUNDS);
	scratch_unshare(court, sizeof *court);
}

struct sleeper {
	struct scene *scene;
	struct scratch_barrier *ready;
};

static int
sleeps(void *arg)
{
	const struct sleeper *sleeper = arg;
	uint32_t count = wake_count(&sleeper->scene->gate, WORD);
	int64_t began_ms = clock_boot_ms();

	if (!scratch_barrier_meet(sleeper->ready, FOR_EVER_MS))
		return 1;
	wake_sleep(&sleeper->scene->gate, WORD, count, FOR_EVER_MS);
	return clock_boot_ms() - began_ms < FOR_EVER_MS ? 0 : 2;
}

static void
all_who_sleep_at_one_word_wake(void **state)
{
	struct sleeper sleeper = {*state, scratch_barrier_new(4)};
	struct scratch_child children[3];

	for (int i = 0; i < 3; i++)
		scratch_spawn(&children[i], sleeps, &sleeper);
	assert_true(scratch_barrier_meet(sleeper.ready, FOR_EVER_MS));
	/* asleep or just before it: both must do */
	wake_raise(&sleeper.scene->gate, WORD);
	for (int i = 0; i < 3; i++)
		assert_int_equal(scratch_wait(&children[i], FOR_EVER_MS), 0);
	scratch_barrier_free(sleeper.ready);
}

static void
one_that_is_killed_in_its_sleep_keeps_no_wake_up_from_the_others(void **state)
{
	struct sleeper sleeper = {*state, scratch_barrier_new(3)};
	struct scratch_child killed, other;

	scratch_spawn(&killed, sleeps, &sleeper);
	scratch_spawn(&other, sleeps, &sleeper);
	assert_true(scratch_barrier_meet(sleeper.ready, FOR_EVER_MS));
	assert_int_equal(kill(killed.pid, SIGKILL), 0);
	assert_int_equal(scratch_wait(&killed, FOR_EVER_MS), 128 + SIGKILL);
	wake_raise(&sleeper.scene->gate, WORD);
	assert_int_equal(scratch_wait(&other, FOR_EVER_MS), 0);
	assert_int_equal(wake_count(&sleeper.scene->gate, WORD), 1);
	scratch_barrier_free(sleeper.ready);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(TEST(raised_between_the_look_and_the_sleep_it_ends_the_sleep_at_once),
      TEST(unwoken_it_sleeps_for_its_limit_and_another_words_raise_is_not_its), TEST(the_first_and_the_last_word_are_words),
      TEST(of_thousands_of_wake_ups_across_processes_none_is_lost), TEST(all_who_sleep_at_one_word_wake),
      TEST(one_that_is_killed_in_its_sleep_keeps_no_wake_up_from_the_others))
