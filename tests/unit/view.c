/*
 * One command sees files of its own in a folder where everybody else sees the folder as it is, and is run as it would be without.
 *
 * All of it as whoever runs the tests and, if that is root, as an ordinary user too, who needs a user namespace for it.  A
 * machine that has none fails here.
 *
 * Rows: R3
 */
#include "lib/test.h"
#include "lib/viewing.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LIMIT_MS 30000

#define ends(viewing, exit) assert_true(viewing_ended(viewing, exit))
#define runs(viewing, script) (viewing_script(viewing, script), ends(viewing, 0))

static void
the_command_has_its_own_files_and_others_have_theirs(void **state)
{
	struct viewing *viewing = *state;

	runs(viewing, "test \"$(cat seen/one)\" = mine && test ! -e seen/two && test -f seen/one && test ! -L seen/one");
	assert_string_equal(viewing->taken.data, "");
	assert_string_equal(viewing->told.data, "");
	assert_string_equal(viewing_text(viewing, "one"), "everybody's");
}

static void
what_it_writes_into_them_in_place_is_taken_back(void **state)
{
	struct viewing *viewing = *state;

	runs(viewing, "printf changed >seen/one; printf made >seen/two");
	assert_string_equal(viewing->taken.data, "label one mine>changed\nlabel two ->made\n");
	assert_string_equal(viewing_text(viewing, "one"), "everybody's");
	assert_string_equal(viewing_text(viewing, "two"), "(none)");
}

static void
what_it_renames_over_them_is_taken_back(void **state)
{
	struct viewing *viewing = *state;

	runs(viewing, "printf changed >seen/one.tmp && mv seen/one.tmp seen/one && printf again >t && mv -f t seen/two");
	assert_string_equal(viewing->taken.data, "label one mine>changed\nlabel two ->again\n");
	assert_string_equal(viewing->told.data, "");
	assert_int_equal(viewing_count(viewing, "one"), 1);
}

static void
one_that_it_removes_is_told_as_removed(void **state)
{
	struct viewing *viewing = *state;

	runs(viewing, "rm seen/one");
	assert_string_equal(viewing->taken.data, "label one mine>-\n");
	assert_string_equal(viewing_text(viewing, "one"), "everybody's");
}

static void
the_same_bytes_again_are_no_change(void **state)
{
	struct viewing *viewing = *state;

	runs(viewing, "printf mine >t; cat t >seen/one");
	assert_string_equal(viewing->taken.data, "");
}

static void
what_can_not_be_taken_is_kept_beside(void **state)
{
	struct viewing *viewing = *state;

	viewing->takes = BAD_INPUT;
	viewing_script(viewing, "printf broken >seen/one");
	assert_int_equal(viewing->status, BAD_INPUT);
	assert_int_equal(viewing->exit, 0);
	assert_string_equal(viewing->told.data, "kept one one.view-\n");
	assert_string_equal(viewing_beside(viewing, "one"), "broken");
	assert_string_equal(viewing_text(viewing, "one"), "everybody's");
	assert_int_equal(viewing_left(viewing), 0);
}

static void
what_could_not_be_taken_now_is_offered_again(void **state)
{
	struct viewing *viewing = *state;

	viewing->takes = STORE_DOWN;
	viewing_script(viewing, "printf changed >seen/one; printf new >seen/new");
	assert_int_equal(viewing->status, STORE_DOWN);
	assert_string_equal(viewing->told.data, "left one \nmoved new \n");
	assert_int_equal(viewing_left(viewing), 1);
	viewing->takes = OK;
	viewing_clear(viewing);
	assert_int_equal(viewing->status, OK);
	assert_string_equal(viewing->taken.data, "label one mine>changed\n");
	assert_int_equal(viewing_left(viewing), 0);
}

static void
an_own_file_that_became_a_link_or_a_folder_is_not_read(void **state)
{
	struct viewing *viewing = *state;

	viewing_script(viewing, "rm seen/one; ln -s /etc/passwd seen/one; mkdir seen/two");
	assert_int_equal(viewing->status, BAD_INPUT);
	assert_string_equal(viewing->taken.data, "");
	assert_string_equal(viewing->told.data, "kept one one.view-\nkept two two.view-\n");
	assert_int_equal(viewing_left(viewing), 0);
}

static void
the_commands_own_status_is_passed_on(void **state)
{
	struct viewing *viewing = *state;
	char *const none[] = {"stile-no-such-command", NULL}, *const folder[] = {"/", NULL}, *const text[] = {"./text", NULL};

	viewing_script(viewing, "exit 42");
	ends(viewing, 42);
	viewing_script(viewing, "kill -9 $$");
	ends(viewing, 128 + SIGKILL);
	viewing_script(viewing, "kill -15 $$");
	ends(viewing, 128 + SIGTERM);
	viewing_run(viewing, none);
	ends(viewing, 127);
	assert_non_null(strstr(viewing->why.data, "stile-no-such-command"));
	viewing_run(viewing, folder);
	ends(viewing, 126);
	/* a text is no program, and no shell is asked to read it */
	runs(viewing, "echo true >text; chmod +x text");
	viewing_run(viewing, text);
	ends(viewing, 126);
}

static void
it_is_who_we_are_where_we_are(void **state)
{
	struct viewing *viewing = *state;
	char script[400];

	snprintf(script, sizeof script,
	         "test $(id -u) = %lu && test $(id -g) = %lu && test \"$(pwd -P)\" = \"$(pwd)\" && test -O seen/one",
	         (unsigned long)geteuid(), (unsigned long)getegid());
	runs(viewing, script);
	assert_int_equal(chdir("seen"), 0);
	viewing_script(viewing, "test \"$(cat one)\" = mine && test \"$(cat known)\" = known");
	assert_int_equal(chdir(".."), 0);
	ends(viewing, 0);
}

static void
its_signals_are_as_they_were_for_us(void **state)
{
	runs(*state, "grep -qx 'SigBlk:.0*' /proc/self/status && ! kill -0 1 2>/dev/null || test $(id -u) = 0");
	runs(*state, "exec python3 -c \"import signal; assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL;"
	             " assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])\"");
}

static void
a_link_is_not_covered(void **state)
{
	struct viewing *viewing = *state;

	assert_int_equal(rename("seen", "elsewhere"), 0);
	assert_int_equal(symlink("elsewhere", "seen"), 0);
	viewing_script(viewing, "echo >ran");
	assert_int_equal(viewing->status, BAD_INPUT);
	assert_int_equal(viewing->exit, -1);
	assert_int_equal(access("ran", F_OK), -1);
	assert_int_equal(viewing_left(viewing), 0);
}

static void
a_folder_that_is_not_there_is_made(void **state)
{
	struct viewing *viewing = *state;

	assert_int_equal(rename("seen", "elsewhere"), 0);
	runs(viewing, "test \"$(cat seen/one)\" = mine && printf new >seen/new");
	assert_string_equal(viewing_text(viewing, "new"), "new");
}

static void
a_read_only_folder_has_own_files_and_what_is_new_waits(void **state)
{
	struct viewing *viewing = *state;

	assert_int_equal(chmod("seen", 0555), 0);
	viewing_script(viewing, "printf t >seen/t && mv seen/t seen/one && printf new >seen/new");
	assert_int_equal(viewing->exit, 0);
	assert_string_equal(viewing->taken.data, "label one mine>t\n");
	if (geteuid() == 0) {
		ends(viewing, 0);
		return;
	}
	assert_int_equal(viewing->status, IO_FAILED);
	assert_string_equal(viewing->told.data, "left new \n");
	assert_int_equal(viewing_left(viewing), 1);
	assert_int_equal(chmod("seen", 0755), 0);
	viewing_clear(viewing);
	assert_int_equal(viewing->status, OK);
	assert_string_equal(viewing->told.data, "moved new \n");
	assert_string_equal(viewing->taken.data, "");
	assert_int_equal(viewing_left(viewing), 0);
}

/* The number of a system call is all it asks; the machine's own is the only one there is. */
static int
without_namespaces(void *arg)
{
	struct viewing *viewing = arg;
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof rules / sizeof *rules, rules};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return 99;
	viewing_script(viewing, "echo >ran");
	if (viewing->status != NOT_ALLOWED || viewing->exit != -1 || strstr(viewing->why.data, "nothing was run") == NULL)
		return 1;
	return viewing_left(viewing) == 0 ? 0 : 2;
}

static void
where_nothing_can_be_mounted_nothing_is_run(void **state)
{
	struct scratch_child child;

	scratch_spawn(&child, without_namespaces, *state);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 0);
	assert_int_equal(access("ran", F_OK), -1);
}

static void
a_view_in_a_view_sees_its_own_and_brings_all_out(void **state)
{
	struct viewing *viewing = *state;
	/* not by its path, which an ordinary user may have no way to */
	char *argv[] = {"/proc/self/exe", "nested", viewing->top, NULL};

	viewing_run(viewing, argv);
	ends(viewing, 0);
	assert_string_equal(viewing->taken.data, "");
	assert_string_equal(viewing_text(viewing, "inner"), "new");
	assert_string_equal(viewing_text(viewing, "known"), "knowninner");
	assert_string_equal(viewing_text(viewing, "sub/inner"), "x");
}

/* The program itself, run in a view: it opens another one. */
static int
nested(char *top)
{
	char folder[4096], place[4096];
	struct viewing outer = {.top = top, .folder = folder, .place = place};
	struct viewing *viewing;
	int exit;

	snprintf(folder, sizeof folder, "%s/seen", top);
	snprintf(place, sizeof place, "%s/place", top);
	viewing = viewing_other(&outer, "inner", "inners");
	viewing_script(viewing, "test \"$(cat seen/one)\" = inners && printf new >seen/inner && printf inner >>seen/known &&"
	                        " printf x >seen/sub/inner && printf changed >seen/one");
	exit = viewing->status != OK || !str_equal(viewing->taken.data, "inner one inners>changed\n") ? 1 : viewing->exit;
	viewing_free_other(viewing);
	return exit;
}

#define VIEW_TEST(test) cmocka_unit_test_setup_teardown(test, viewing_set_up, viewing_tear_down)

static int
run_all(const char *who)
{
	const struct CMUnitTest tests[] = {
		VIEW_TEST(the_command_has_its_own_files_and_others_have_theirs),
		VIEW_TEST(what_it_writes_into_them_in_place_is_taken_back),
		VIEW_TEST(what_it_renames_over_them_is_taken_back),
		VIEW_TEST(one_that_it_removes_is_told_as_removed),
		VIEW_TEST(the_same_bytes_again_are_no_change),
		VIEW_TEST(what_can_not_be_taken_is_kept_beside),
		VIEW_TEST(what_could_not_be_taken_now_is_offered_again),
		VIEW_TEST(an_own_file_that_became_a_link_or_a_folder_is_not_read),
		VIEW_TEST(the_commands_own_status_is_passed_on),
		VIEW_TEST(it_is_who_we_are_where_we_are),
		VIEW_TEST(its_signals_are_as_they_were_for_us),
		VIEW_TEST(a_link_is_not_covered),
		VIEW_TEST(a_folder_that_is_not_there_is_made),
		VIEW_TEST(a_read_only_folder_has_own_files_and_what_is_new_waits),
		VIEW_TEST(where_nothing_can_be_mounted_nothing_is_run),
		VIEW_TEST(a_view_in_a_view_sees_its_own_and_brings_all_out),
	};

	return cmocka_run_group_tests_name(who, tests, NULL, NULL);
}

int
main(int argc, char **argv)
{
	test_begin();
	if (argc == 3 && str_equal(argv[1], "nested"))
		return nested(argv[2]);
	return viewing_as_both(run_all);
}
