/*
 * One holder at a time, whoever it is: another process, another thread, another descriptor of this one.  Waits end at their
 * limit with the holder's name, if it can be told.  What happens among many is in race/gate.c.
 */
#include "lib/scratch.h"
#include "lib/test.h"

#include "base/str.h"
#include "os/clock.h"
#include "os/gate.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT_MS 20000

struct scene {
	char *folder;
	char *path; /* of the gate's file */
	struct gate gate;
	struct gate other;
	struct buf why;
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	scene->folder = scratch_folder();
	scene->path = scratch_path(scene->folder, "gate");
	buf_init(&scene->why, WHY_MAX);
	*state = scene;
	return gate_open(&scene->gate, scene->folder, true, NULL) == OK &&
	               gate_open(&scene->other, scene->folder, false, NULL) == OK
	           ? 0
	           : -1;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	gate_close(&scene->gate);
	gate_close(&scene->other);
	buf_release(&scene->why);
	free(scene->path);
	scratch_remove(scene->folder);
	free(scene);
	return 0;
}

static void
a_gate_is_made_only_if_asked_for_and_is_its_owners_alone(void **state)
{
	struct scene *scene = *state;
	struct gate gate;
	struct stat file;
	char *folder = scratch_folder();

	assert_int_equal(gate_open(&gate, folder, false, &scene->why), STORE_DOWN);
	assert_true(str_starts(scene->why.data, folder));
	assert_int_equal(gate.fd, -1);
	gate_close(&gate);
	assert_int_equal(stat(scene->path, &file), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
	assert_int_equal(symlinkat(scene->path, AT_FDCWD, gate.path), 0);
	assert_int_equal(gate_open(&gate, folder, true, &scene->why), STORE_DOWN);
	assert_true(str_ends(scene->why.data, "; move it away and run `stile init`"));
	scratch_remove(folder);
	assert_int_equal(gate_open(&gate, "/no/such/folder", true, &scene->why), STORE_DOWN);
}

static void
who_has_it_keeps_everybody_else_out(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 10; i++) {
		assert_int_equal(gate_take(&scene->gate, 0, NULL), OK);
		assert_true(scene->gate.held);
		assert_int_equal(gate_take(&scene->other, 0, &scene->why), BUSY);
		assert_false(scene->other.held);
		gate_leave(&scene->gate);
		assert_false(scene->gate.held);
		assert_int_equal(gate_take(&scene->other, 0, NULL), OK);
		gate_leave(&scene->other);
	}
}

static void
a_wait_ends_at_its_limit_and_names_the_holder(void **state)
{
	struct scene *scene = *state;
	int64_t began = clock_boot_ms(), waited;
	char expected[100];

	assert_int_equal(gate_take(&scene->gate, 0, NULL), OK);
	assert_int_equal(gate_take(&scene->other, 60, &scene->why), BUSY);
	waited = clock_boot_ms() - began;
	assert_true(waited >= 60);
	assert_true(waited < LIMIT_MS);
	snprintf(expected, sizeof expected, "busy: process %d has held the write gate for more than 60 ms; try again", getpid());
	assert_string_equal(scene->why.data, expected);
	/* who gave up stands in nobody's way */
	gate_leave(&scene->gate);
	assert_int_equal(gate_take(&scene->gate, 0, &scene->why), OK);
}

/* One that was stopped there waits for nothing, and is not told of by the kernel. */
static void
who_stands_at_the_turnstile_while_the_gate_is_free_is_passed(void **state)
{
	struct scene *scene = *state;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};
	int64_t began = clock_boot_ms();

	assert_int_equal(fcntl(scene->other.fd, F_OFD_SETLK, &lock), 0);
	assert_int_equal(gate_take(&scene->gate, LIMIT_MS, &scene->why), OK);
	assert_in_range(clock_boot_ms() - began, 2 * GATE_PATIENCE_MS, LIMIT_MS / 2);
	gate_leave(&scene->gate);
	/* who has no time for that has a last look */
	assert_int_equal(gate_take(&scene->gate, 5, &scene->why), OK);
}

static void
closing_it_leaves_it(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(gate_take(&scene->gate, 0, NULL), OK);
	gate_close(&scene->gate);
	assert_int_equal(gate_take(&scene->other, 0, NULL), OK);
}

static void
a_gate_that_was_removed_or_replaced_lets_nobody_in(void **state)
{
	struct scene *scene = *state;
	struct gate fresh;

	assert_int_equal(unlink(scene->path), 0);
	assert_int_equal(gate_take(&scene->gate, 0, &scene->why), STORE_DOWN);
	assert_false(scene->gate.held);
	assert_int_equal(gate_open(&fresh, scene->folder, true, NULL), OK);
	assert_int_equal(gate_take(&scene->gate, 0, &scene->why), STORE_DOWN);
	assert_non_null(strstr(scene->why.data, "was removed or replaced"));
	assert_int_equal(gate_take(&fresh, 0, NULL), OK);
	gate_close(&fresh);
}

static int
is_blocked(int number)
{
	sigset_t now;

	pthread_sigmask(SIG_BLOCK, NULL, &now);
	return sigismember(&now, number);
}

static void
nobody_can_stop_the_holder_from_the_terminal(void **state)
{
	static const int stops[] = {SIGTSTP, SIGTTIN, SIGTTOU};
	struct scene *scene = *state;
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &one, NULL);
	assert_int_equal(gate_take(&scene->gate, 0, NULL), OK);
	for (int i = 0; i < 3; i++)
		assert_true(is_blocked(stops[i]));
	assert_int_equal(gate_take(&scene->other, 1, NULL), BUSY);
	gate_leave(&scene->gate);
	/* as it was before, what the caller had blocked included */
	assert_false(is_blocked(SIGTSTP));
	assert_false(is_blocked(SIGTTIN));
	assert_true(is_blocked(SIGTTOU));
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

static void
ours(int number)
{
	(void)number;
}

static void
a_wait_leaves_the_callers_signals_as_they_were(void **state)
{
	struct scene *scene = *state;
	struct sigaction mine = {.sa_handler = ours}, found;
	int number = SIGRTMIN + 5;
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, number);
	assert_int_equal(sigaction(number, &mine, NULL), 0);
	pthread_sigmask(SIG_BLOCK, &one, NULL);
	assert_int_equal(gate_take(&scene->gate, 0, NULL), OK);
	for (int i = 0; i < 20; i++)
		assert_int_equal(gate_take(&scene->other, i % 3, NULL), BUSY);
	assert_int_equal(sigaction(number, NULL, &found), 0);
	assert_ptr_equal(found.sa_handler, ours);
	assert_true(is_blocked(number));
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	mine.sa_handler = SIG_DFL;
	sigaction(number, &mine, NULL);
}

struct waiting {
	const struct scene *scene;
	int64_t wait_ms;
	enum status status;
};

static void *
waits(void *arg)
{
	struct waiting *waiting = arg;
	struct gate gate;

	waiting->status = gate_open(&gate, waiting->scene->folder, false, NULL);
	if (waiting->status == OK)
		waiting->status = gate_take(&gate, waiting->wait_ms, NULL);
	gate_close(&gate);
	return NULL;
}

static bool
turnstile_is_taken(const struct scene *scene)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};

	return fcntl(scene->other.fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

struct passing {
	const struct scene *scene;
	struct gate gate;
	enum status status;
};

static void *
gets_in_and_out(void *arg)
{
	struct passing *passing = arg;

	passing->status = gate_take(&passing->gate, LIMIT_MS, NULL);
	if (passing->status == OK)
		gate_leave(&passing->gate);
	return NULL;
}

/* Its descriptor stays open, as a resident's does: nothing of its wait may stay with it. */
static void
who_waited_got_in_and_left_is_in_nobodys_way(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 20; i++) {
		struct passing passing = {.scene = scene};
		pthread_t thread;

		assert_int_equal(gate_open(&passing.gate, scene->folder, false, NULL), OK);
		assert_int_equal(gate_take(&scene->gate, LIMIT_MS, NULL), OK);
		assert_int_equal(pthread_create(&thread, NULL, gets_in_and_out, &passing), 0);
		/* it waits at the gate when nobody can pass the turnstile any more */
		while (!turnstile_is_taken(scene))
			sched_yield();
		gate_leave(&scene->gate);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(passing.status, OK);
		assert_int_equal(gate_take(&scene->gate, 0, &scene->why), OK);
		gate_leave(&scene->gate);
		gate_close(&passing.gate);
	}
}

/*
 * What ends a wait is a signal, and how a signal is taken is one thing for all threads.  When the first waiter put back what it
 * had found, the alarm of the second ended the process.
 */
static void
threads_of_one_process_wait_each_to_its_own_limit(void **state)
{
	struct scene *scene = *state;
	struct waiting waiting[8];
	pthread_t threads[8];

	assert_int_equal(gate_take(&scene->gate, 0, NULL), OK);
	for (int i = 0; i < 8; i++) {
		waiting[i] = (struct waiting){scene, 30 + 40 * i, OK};
		assert_int_equal(pthread_create(&threads[i], NULL, waits, &waiting[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(waiting[i].status, BUSY);
	}
}

/* Between its lock and its signature the file still names the holder before it. */
static void
a_process_that_is_gone_is_not_named_as_the_holder(void **state)
{
	struct scene *scene = *state;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
	char state_letter;
	int fd = open(scene->path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "2147483646\n", 11, 16), 11);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	assert_int_equal(gate_holder(&scene->gate, &state_letter), 2147483646);
	assert_int_equal(state_letter, 0);
	assert_int_equal(gate_take(&scene->gate, 1, &scene->why), BUSY);
	assert_string_equal(scene->why.data, "busy: somebody has held the write gate for more than 1 ms; try again");
	/* nor what isn't a number at all */
	assert_int_equal(pwrite(fd, "nonsense  \n", 11, 16), 11);
	assert_int_equal(gate_take(&scene->gate, 1, &scene->why), BUSY);
	assert_string_equal(scene->why.data, "busy: somebody has held the write gate for more than 1 ms; try again");
	close(fd);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(TEST(a_gate_is_made_only_if_asked_for_and_is_its_owners_alone), TEST(who_has_it_keeps_everybody_else_out),
      TEST(a_wait_ends_at_its_limit_and_names_the_holder), TEST(who_stands_at_the_turnstile_while_the_gate_is_free_is_passed),
      TEST(closing_it_leaves_it), TEST(a_gate_that_was_removed_or_replaced_lets_nobody_in),
      TEST(nobody_can_stop_the_holder_from_the_terminal), TEST(a_wait_leaves_the_callers_signals_as_they_were),
      TEST(who_waited_got_in_and_left_is_in_nobodys_way), TEST(threads_of_one_process_wait_each_to_its_own_limit),
      TEST(a_process_that_is_gone_is_not_named_as_the_holder))
