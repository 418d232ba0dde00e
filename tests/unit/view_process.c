/*
 * A view and its processes: signals reach the command, the death of the one is the death of the other, and what is left running
 * or left lying is not lost.
 *
 * As whoever runs the tests and, if that is root, as an ordinary user too.
 *
 * Rows: R3
 */
#include "lib/test.h"
#include "lib/viewing.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_MS 30000

static int
set_up(void **state)
{
	struct viewing *viewing = viewing_new("mine");

	/* what a view's death orphans becomes ours, so that its end can be waited for */
	*state = viewing;
	return prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && mkfifo("ready", 0600) == 0 && mkfifo("go", 0600) == 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	viewing_free(*state);
	return 0;
}

/* Blocks until somebody writes into that pipe. */
static void
wait_for(const char *pipe)
{
	char byte;
	int fd = open(pipe, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, &byte, 1), 1);
	close(fd);
}

static void
say(const char *pipe)
{
	int fd = open(pipe, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "\n", 1), 1);
	close(fd);
}

/* Until every child of ours has ended: the last one's status, 128 + its signal. */
static int
wait_for_all(void)
{
	int status = 0, ended = -1;

	while (waitpid(-1, &status, 0) > 0)
		ended = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	assert_int_equal(errno, ECHILD);
	return ended;
}

struct started {
	struct viewing *viewing;
	const char *script;
};

static int
view_it(void *arg)
{
	struct started *started = arg;

	viewing_script(started->viewing, started->script);
	return started->viewing->status == OK ? started->viewing->exit : 120;
}

/* A view in a process of its own, which has come to write into "ready". */
static void
start(struct scratch_child *child, struct viewing *viewing, const char *script)
{
	struct started started = {viewing, script};

	scratch_spawn(child, view_it, &started);
	wait_for("ready");
}

static void
a_signal_to_the_view_reaches_its_command(void **state)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT};
	struct scratch_child child;

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		start(&child, *state,
		      "exec python3 -c \"import signal as s; got = {s.SIGTERM, s.SIGINT, s.SIGHUP, s.SIGUSR1, s.SIGQUIT};"
		      " s.pthread_sigmask(s.SIG_BLOCK, got); open('ready', 'w').write('x'); raise SystemExit(60 + s.sigwait(got))\"");
		assert_int_equal(kill(child.pid, numbers[i]), 0);
		assert_int_equal(scratch_wait(&child, LIMIT_MS), 60 + numbers[i]);
	}
}

static void
it_stops_and_goes_on_with_its_command(void **state)
{
	struct scratch_child child;

	start(&child, *state, "echo >ready; kill -STOP $$; exit 3");
	assert_true(scratch_wait_stopped(&child, LIMIT_MS));
	assert_int_equal(kill(child.pid, SIGCONT), 0);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 3);
}

static void
what_a_killed_view_leaves_is_ended_by_the_next(void **state)
{
	struct viewing *viewing = *state;
	struct scratch_child child;
	struct stat left;

	start(&child, viewing, "printf changed >seen/one; printf new >seen/new; mkdir seen/folder; echo >ready; read x <go");
	viewing_clear(viewing);
	assert_int_equal(viewing->status, OK);
	assert_string_equal(viewing->told.data, "");
	assert_int_equal(kill(child.pid, SIGKILL), 0);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 128 + SIGKILL);
	/* its command too */
	assert_int_equal(wait_for_all(), 128 + SIGKILL);
	assert_int_equal(viewing_left(viewing), 1);
	assert_int_equal(stat(viewing->place, &left), 0);
	assert_int_equal(left.st_mode & 07777, 0700);
	viewing_clear(viewing);
	assert_int_equal(viewing->status, OK);
	assert_string_equal(viewing->taken.data, "label one mine>changed\n");
	assert_string_equal(viewing_text(viewing, "new"), "new");
	assert_string_equal(viewing_text(viewing, "known"), "known");
	assert_int_equal(viewing_count(viewing, ""), 5);
	assert_int_equal(viewing_left(viewing), 0);
}

static void
one_killed_when_it_had_taken_its_files_takes_none_twice(void **state)
{
	struct viewing *viewing = *state;
	struct scratch_child child;
	struct started started = {viewing, "printf changed >seen/one; printf new >seen/new"};

	setenv("STILE_FAULT", "view-taken", 1);
	scratch_spawn(&child, view_it, &started);
	unsetenv("STILE_FAULT");
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 128 + SIGKILL);
	viewing_clear(viewing);
	assert_int_equal(viewing->status, OK);
	assert_string_equal(viewing->taken.data, "");
	assert_string_equal(viewing->told.data, "moved new \n");
	assert_int_equal(viewing_left(viewing), 0);
}

static void
one_killed_before_anybody_was_in_it_leaves_nothing_to_take(void **state)
{
	struct viewing *viewing = *state;

	assert_int_equal(mkdir("place", 0700), 0);
	assert_int_equal(mkdir("place/0123456789abcdef", 0700), 0);
	assert_int_equal(mkdir("place/0123456789abcdef/cover", 0700), 0);
	viewing_clear(viewing);
	assert_int_equal(viewing->status, OK);
	assert_int_equal(viewing_left(viewing), 0);
}

static void
what_ends_soon_after_its_command_is_waited_for(void **state)
{
	struct viewing *viewing = *state;

	viewing_script(viewing, "(read x <go; printf changed >seen/one; printf new >seen/new) & (echo >go) & exit 5");
	assert_int_equal(viewing->status, OK);
	assert_int_equal(viewing->exit, 5);
	assert_string_equal(viewing->taken.data, "label one mine>changed\n");
	assert_string_equal(viewing_text(viewing, "new"), "new");
	assert_int_equal(viewing_left(viewing), 0);
}

static void
what_goes_on_running_holds_nobody_up_and_loses_nothing(void **state)
{
	struct viewing *viewing = *state;

	viewing_script(viewing,
	               "(read x <go; test \"$(cat seen/new)\" = new && printf more >>seen/new; printf late >seen/late;"
	               " printf last >seen/one) >/dev/null 2>&1 </dev/null & printf first >seen/one; printf new >seen/new; exit 6");
	assert_int_equal(viewing->status, OK);
	assert_int_equal(viewing->exit, 6);
	assert_string_equal(viewing->taken.data, "label one mine>first\n");
	assert_string_equal(viewing->told.data, "moved new \nremains  \n");
	assert_string_equal(viewing_text(viewing, "new"), "new");
	/* it is in there still */
	viewing_clear(viewing);
	assert_int_equal(viewing->status, OK);
	assert_int_equal(viewing_left(viewing), 1);
	say("go");
	wait_for_all();
	assert_string_equal(viewing_text(viewing, "new"), "newmore");
	viewing_clear(viewing);
	assert_int_equal(viewing->status, OK);
	assert_string_equal(viewing->taken.data, "label one first>last\n");
	assert_string_equal(viewing->told.data, "moved late \n");
	assert_string_equal(viewing_text(viewing, "late"), "late");
	assert_int_equal(viewing_left(viewing), 0);
}

static int
clear_it(void *arg)
{
	struct viewing *viewing = arg;

	viewing_clear(viewing);
	if (viewing->status != OK || viewing->taken.len > 100)
		return 100;
	return viewing->taken.len > 0 ? 1 : 0;
}

static void
of_many_that_clear_at_once_one_does(void **state)
{
	struct viewing *viewing = *state;
	struct scratch_child child, clearing[8];
	int took = 0;

	start(&child, viewing, "printf changed >seen/one; echo >ready; read x <go");
	assert_int_equal(kill(child.pid, SIGKILL), 0);
	scratch_wait(&child, LIMIT_MS);
	wait_for_all();
	for (size_t i = 0; i < 8; i++)
		scratch_spawn(&clearing[i], clear_it, viewing);
	for (size_t i = 0; i < 8; i++)
		took += scratch_wait(&clearing[i], LIMIT_MS);
	assert_int_equal(took, 1);
	assert_int_equal(viewing_left(viewing), 0);
}

#define VIEW_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static int
run_all(const char *who)
{
	const struct CMUnitTest tests[] = {
		VIEW_TEST(a_signal_to_the_view_reaches_its_command),
		VIEW_TEST(it_stops_and_goes_on_with_its_command),
		VIEW_TEST(what_a_killed_view_leaves_is_ended_by_the_next),
		VIEW_TEST(one_killed_when_it_had_taken_its_files_takes_none_twice),
		VIEW_TEST(one_killed_before_anybody_was_in_it_leaves_nothing_to_take),
		VIEW_TEST(what_ends_soon_after_its_command_is_waited_for),
		VIEW_TEST(what_goes_on_running_holds_nobody_up_and_loses_nothing),
		VIEW_TEST(of_many_that_clear_at_once_one_does),
	};

	return cmocka_run_group_tests_name(who, tests, NULL, NULL);
}

int
main(void)
{
	test_begin();
	return viewing_as_both(run_all);
}
