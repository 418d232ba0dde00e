/*
 * What a command in a view does to all of the folder but its own files is done there, or kept beside what others did meanwhile.
 *
 * As whoever runs the tests and, if that is root, as an ordinary user too.
 *
 * Rows: R3
 */
#include "lib/test.h"
#include "lib/viewing.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The real folder, as a command inside can reach it: what it does there somebody outside could have done. */
#define OUTSIDE "$(dirname $(readlink seen/known))"

#define ends(viewing, exit) assert_true(viewing_ended(viewing, exit))
#define runs(viewing, script) (viewing_script(viewing, script), ends(viewing, 0))

static void
everything_else_is_read_and_written_through(void **state)
{
	struct viewing *viewing = *state;

	runs(viewing, "test \"$(cat seen/known)\" = known && test -d seen/sub && test ! -L seen/sub && printf more >>seen/known &&"
	              " test \"$(cat " OUTSIDE "/known)\" = knownmore && printf x >seen/sub/new && test -e " OUTSIDE "/sub/new &&"
	              " mv seen/sub/new seen/sub/other");
	assert_string_equal(viewing->told.data, "");
	assert_string_equal(viewing_text(viewing, "known"), "knownmore");
	assert_string_equal(viewing_text(viewing, "sub/other"), "x");
}

static void
what_is_replaced_outside_is_seen_inside(void **state)
{
	runs(*state,
	     "printf new >t && mv t " OUTSIDE "/known && test \"$(cat seen/known)\" = new && test \"$(cat seen/one)\" = mine");
}

static void
what_it_makes_new_arrives(void **state)
{
	struct viewing *viewing = *state;

	runs(viewing, "printf new >seen/new; mkdir -p seen/folder/deep; printf x >seen/folder/deep/file; chmod 640 seen/new");
	assert_string_equal(viewing_text(viewing, "new"), "new");
	assert_string_equal(viewing_text(viewing, "folder/deep/file"), "x");
	assert_non_null(strstr(viewing->told.data, "moved new \n"));
	assert_non_null(strstr(viewing->told.data, "moved folder \n"));
}

static void
it_arrives_from_another_file_system_too(void **state)
{
	struct viewing *viewing = *state;
	struct stat here, there;
	char *place = viewing->place, elsewhere[] = "/dev/shm/stile-XXXXXX";

	assert_non_null(mkdtemp(elsewhere));
	assert_int_equal(stat(elsewhere, &there), 0);
	assert_int_equal(stat(viewing->top, &here), 0);
	assert_true(here.st_dev != there.st_dev);
	viewing->place = elsewhere;
	runs(viewing,
	     "mkdir -p seen/folder/deep; printf x >seen/folder/deep/file; ln -s file seen/folder/deep/link; chmod 750 seen/folder;"
	     " mkfifo seen/folder/pipe; printf new >seen/new; chmod 640 seen/new; mv seen/known seen/renamed");
	assert_string_equal(viewing_text(viewing, "folder/deep/link"), "x");
	assert_string_equal(viewing_text(viewing, "renamed"), "known");
	assert_string_equal(viewing_text(viewing, "known"), "(none)");
	assert_int_equal(stat("seen/new", &here), 0);
	assert_int_equal(here.st_mode & 07777, 0640);
	assert_int_equal(stat("seen/folder", &here), 0);
	assert_int_equal(here.st_mode & 07777, 0750);
	assert_int_equal(stat("seen/folder/pipe", &here), 0);
	assert_true(S_ISFIFO(here.st_mode));
	viewing->place = place;
	scratch_remove(strdup(elsewhere));
}

static void
what_appeared_outside_meanwhile_stays_and_ours_is_kept_beside(void **state)
{
	struct viewing *viewing = *state;

	runs(viewing, "printf ours >seen/new; printf theirs >" OUTSIDE "/new");
	assert_string_equal(viewing->told.data, "kept new new.view-\n");
	assert_string_equal(viewing_text(viewing, "new"), "theirs");
	assert_string_equal(viewing_beside(viewing, "new"), "ours");
}

static void
folders_that_both_made_become_one(void **state)
{
	struct viewing *viewing = *state;

	runs(viewing, "mkdir seen/both " OUTSIDE "/both; printf ours >seen/both/same; printf ours >seen/both/a;"
	              " printf theirs >" OUTSIDE "/both/same; printf theirs >" OUTSIDE "/both/b");
	assert_string_equal(viewing_text(viewing, "both/same"), "theirs");
	assert_string_equal(viewing_text(viewing, "both/a"), "ours");
	assert_string_equal(viewing_text(viewing, "both/b"), "theirs");
	assert_non_null(strstr(viewing->told.data, "kept both/same same.view-\n"));
	assert_non_null(strstr(viewing->told.data, "moved both/a"));
}

static void
what_it_renames_over_a_file_replaces_it(void **state)
{
	struct viewing *viewing = *state;

	runs(viewing, "printf new >seen/t && mv seen/t seen/known");
	assert_string_equal(viewing->told.data, "replaced known \n");
	assert_string_equal(viewing_text(viewing, "known"), "new");
	assert_int_equal(viewing_count(viewing, "known"), 1);
}

static void
but_not_if_it_was_changed_outside_meanwhile(void **state)
{
	struct viewing *viewing = *state;

	runs(viewing, "printf theirs >" OUTSIDE "/known; printf ours >seen/t && mv seen/t seen/known");
	assert_string_equal(viewing->told.data, "kept known known.view-\n");
	assert_string_equal(viewing_text(viewing, "known"), "theirs");
	assert_string_equal(viewing_beside(viewing, "known"), "ours");
}

static void
what_it_removes_is_gone_there_and_its_bytes_are_put_aside(void **state)
{
	struct viewing *viewing = *state;

	runs(viewing, "rm seen/known; rm -r seen/sub 2>/dev/null; test -d seen/sub");
	assert_string_equal(viewing->told.data, "removed known known.view-\n");
	assert_string_equal(viewing_text(viewing, "known"), "(none)");
	assert_string_equal(viewing_beside(viewing, "known"), "known");
}

static void
what_appeared_in_place_of_a_removed_one_stays(void **state)
{
	struct viewing *viewing = *state;

	runs(viewing, "printf theirs >t; mv t " OUTSIDE "/known; rm seen/known");
	assert_string_equal(viewing->told.data, "stays known \n");
	assert_string_equal(viewing_text(viewing, "known"), "theirs");
}

static void
what_it_renames_is_renamed_there(void **state)
{
	struct viewing *viewing = *state;

	viewing_write(viewing, "other", "other");
	runs(viewing, "mv seen/known seen/t; mv seen/other seen/known; mv seen/t seen/other");
	assert_string_equal(viewing_text(viewing, "known"), "other");
	assert_string_equal(viewing_text(viewing, "other"), "known");
	runs(viewing, "mv seen/known seen/known.1; printf next >seen/known");
	assert_string_equal(viewing_text(viewing, "known"), "next");
	assert_string_equal(viewing_text(viewing, "known.1"), "other");
	assert_int_equal(viewing_count(viewing, "known"), 2);
}

static void
links_stay_links_and_lead_where_they_led(void **state)
{
	struct viewing *viewing = *state;
	char target[64] = "";

	assert_int_equal(symlink("known", "seen/link"), 0);
	assert_int_equal(symlink("nowhere", "seen/loose"), 0);
	runs(viewing, "test \"$(readlink seen/link)\" = known && test \"$(cat seen/link)\" = known && ln -s sub seen/made &&"
	              " cp -P seen/known seen/copy && rm seen/loose");
	assert_true(readlink("seen/made", target, sizeof target - 1) == 3);
	assert_string_equal(viewing_text(viewing, "copy"), "known");
	assert_int_equal(viewing_count(viewing, "loose"), 0);
}

#define VIEW_TEST(test) cmocka_unit_test_setup_teardown(test, viewing_set_up, viewing_tear_down)

static int
run_all(const char *who)
{
	const struct CMUnitTest tests[] = {
		VIEW_TEST(everything_else_is_read_and_written_through),
		VIEW_TEST(what_is_replaced_outside_is_seen_inside),
		VIEW_TEST(what_it_makes_new_arrives),
		VIEW_TEST(it_arrives_from_another_file_system_too),
		VIEW_TEST(what_appeared_outside_meanwhile_stays_and_ours_is_kept_beside),
		VIEW_TEST(folders_that_both_made_become_one),
		VIEW_TEST(what_it_renames_over_a_file_replaces_it),
		VIEW_TEST(but_not_if_it_was_changed_outside_meanwhile),
		VIEW_TEST(what_it_removes_is_gone_there_and_its_bytes_are_put_aside),
		VIEW_TEST(what_appeared_in_place_of_a_removed_one_stays),
		VIEW_TEST(what_it_renames_is_renamed_there),
		VIEW_TEST(links_stay_links_and_lead_where_they_led),
	};

	return cmocka_run_group_tests_name(who, tests, NULL, NULL);
}

int
main(void)
{
	test_begin();
	return viewing_as_both(run_all);
}
