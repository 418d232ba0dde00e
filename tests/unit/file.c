/*
 * A file is replaced whole or not at all, and a folder whose locks are another machine's is refused.
 *
 * Rows: R133
 */
#include "lib/scratch.h"
#include "lib/test.h"

#include "base/str.h"
#include "os/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct scene {
	char *folder;
	char *path;
	struct buf why;
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	scene->folder = scratch_folder();
	scene->path = scratch_path(scene->folder, "file");
	buf_init(&scene->why, WHY_MAX);
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	buf_release(&scene->why);
	free(scene->path);
	scratch_remove(scene->folder);
	free(scene);
	return 0;
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
holds(const char *path, const char *text)
{
	struct buf found;

	buf_init(&found, 1 << 20);
	assert_int_equal(file_read(path, &found, NULL), OK);
	assert_string_equal(found.data, text);
	buf_release(&found);
}

static mode_t
mode_of(const char *path)
{
	struct stat there;

	assert_int_equal(lstat(path, &there), 0);
	return there.st_mode;
}

static void
a_file_is_read_up_to_the_bound_and_not_past_it(void **state)
{
	struct scene *scene = *state;
	struct buf exact, small;

	write_file(scene->path, "twelve bytes", 0644);
	buf_init(&exact, 12);
	buf_init(&small, 11);
	assert_int_equal(file_read(scene->path, &exact, &scene->why), OK);
	assert_string_equal(exact.data, "twelve bytes");
	assert_int_equal(file_read(scene->path, &small, &scene->why), BAD_INPUT);
	assert_non_null(strstr(scene->why.data, "longer than 11 bytes"));
	buf_release(&exact);
	buf_release(&small);
}

static void
what_is_no_file_is_refused_and_not_waited_for(void **state)
{
	struct scene *scene = *state;
	struct buf out;

	buf_init(&out, 100);
	assert_int_equal(file_read(scene->path, &out, &scene->why), NO_SUCH);
	assert_int_equal(file_read(scene->folder, &out, &scene->why), IO_FAILED);
	assert_int_equal(mkfifo(scene->path, 0600), 0);
	assert_int_equal(file_read(scene->path, &out, &scene->why), IO_FAILED);
	assert_int_equal(file_may_replace(scene->path, &scene->why), IO_FAILED);
	buf_release(&out);
}

static void
a_replaced_file_keeps_its_mode_and_a_new_one_has_the_given(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(file_replace(scene->path, "new", 3, 0600, &scene->why), OK);
	holds(scene->path, "new");
	assert_int_equal(mode_of(scene->path) & 07777, 0600);
	assert_int_equal(chmod(scene->path, 0640), 0);
	assert_int_equal(file_replace(scene->path, "", 0, 0600, &scene->why), OK);
	holds(scene->path, "");
	assert_int_equal(mode_of(scene->path) & 07777, 0640);
}

static void
through_a_link_the_file_is_replaced_and_the_link_stays(void **state)
{
	struct scene *scene = *state;
	char *real = scratch_path(scene->folder, "real");

	write_file(real, "old", 0644);
	assert_int_equal(symlink("real", scene->path), 0);
	assert_int_equal(file_may_replace(scene->path, &scene->why), OK);
	assert_int_equal(file_replace(scene->path, "new", 3, 0600, &scene->why), OK);
	assert_true(S_ISLNK(mode_of(scene->path)));
	holds(real, "new");
	free(real);
}

static void
a_link_that_leads_nowhere_is_refused(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(symlink("nowhere", scene->path), 0);
	assert_int_equal(file_may_replace(scene->path, &scene->why), IO_FAILED);
	assert_non_null(strstr(scene->why.data, "leads nowhere"));
	assert_int_equal(file_replace(scene->path, "new", 3, 0600, &scene->why), IO_FAILED);
	assert_int_equal(access(scene->path, F_OK), -1);
}

static void
a_file_that_changed_since_it_was_seen_is_not_replaced(void **state)
{
	struct scene *scene = *state;
	struct file_seen none = {0}, old = {"old", 3}, empty = {"", 0};

	assert_int_equal(file_replace_seen(scene->path, &old, "new", 3, 0600, &scene->why), CONFLICT);
	assert_int_equal(access(scene->path, F_OK), -1);
	assert_int_equal(file_replace_seen(scene->path, &none, "old", 3, 0600, &scene->why), OK);
	assert_int_equal(file_replace_seen(scene->path, &none, "new", 3, 0600, &scene->why), CONFLICT);
	assert_int_equal(file_replace_seen(scene->path, &empty, "new", 3, 0600, &scene->why), CONFLICT);
	holds(scene->path, "old");
	assert_int_equal(file_replace_seen(scene->path, &old, "new", 3, 0600, &scene->why), OK);
	holds(scene->path, "new");
	/* no temporary file is left by any of them */
	assert_int_equal(unlink(scene->path), 0);
	assert_int_equal(rmdir(scene->folder), 0);
	assert_int_equal(mkdir(scene->folder, 0700), 0);
}

static void
a_read_only_file_is_left_alone_also_by_root(void **state)
{
	struct scene *scene = *state;

	write_file(scene->path, "mine", 0444);
	assert_int_equal(file_may_replace(scene->path, &scene->why), IO_FAILED);
	assert_non_null(strstr(scene->why.data, "read-only"));
}

static void
a_file_in_folders_yet_to_be_made_may_be_written_if_the_last_one_there_can(void **state)
{
	struct scene *scene = *state;
	char *deep = scratch_path(scene->folder, "a/b/c"), *under = scratch_path(scene->path, "c");

	assert_int_equal(file_may_replace(deep, &scene->why), OK);
	write_file(scene->path, "no folder", 0644);
	assert_int_equal(file_may_replace(under, &scene->why), IO_FAILED);
	free(deep);
	free(under);
}

static void
an_append_goes_to_the_end_of_a_file_that_is_there(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(file_append(scene->path, "x", 1, &scene->why), IO_FAILED);
	write_file(scene->path, "one ", 0644);
	assert_int_equal(file_append(scene->path, "two", 3, &scene->why), OK);
	holds(scene->path, "one two");
}

static void
a_removed_folder_takes_along_what_is_in_it_and_not_what_a_link_leads_to(void **state)
{
	struct scene *scene = *state;
	char *top = scratch_path(scene->folder, "top"), *in = scratch_path(top, "in"), *link = scratch_path(in, "link");
	bool made;

	write_file(scene->path, "stays", 0644);
	assert_int_equal(file_make_folder(top, 0700, &made, &scene->why), OK);
	assert_true(made);
	assert_int_equal(file_make_folder(top, 0700, &made, &scene->why), OK);
	assert_false(made);
	assert_int_equal(file_make_folder(scene->path, 0700, &made, &scene->why), IO_FAILED);
	assert_int_equal(file_make_folder(in, 0700, NULL, &scene->why), OK);
	assert_int_equal(symlink(scene->path, link), 0);
	assert_int_equal(file_remove_folder(top, &scene->why), OK);
	assert_int_equal(access(top, F_OK), -1);
	holds(scene->path, "stays");
	assert_int_equal(file_remove_folder(top, &scene->why), OK);
	assert_int_equal(file_remove(scene->path, &scene->why), OK);
	assert_int_equal(file_remove(scene->path, &scene->why), NO_SUCH);
	free(link);
	free(in);
	free(top);
}

static void
what_is_too_long_is_read_to_its_end_and_counted(void **state)
{
	struct scene *scene = *state;
	char *text = malloc(100001);
	struct buf out, all;
	uint64_t dropped;
	int fd;

	memset(text, 'x', 100000);
	text[100000] = '\0';
	write_file(scene->path, text, 0644);
	buf_init(&out, 10);
	buf_init(&all, 100000);
	fd = open(scene->path, O_RDONLY);
	assert_int_equal(file_drain(fd, &out, &dropped, &scene->why), OK);
	assert_int_equal(out.len, 10);
	assert_int_equal(dropped, 99990);
	assert_int_equal(read(fd, text, 1), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(file_drain(fd, &all, &dropped, &scene->why), OK);
	assert_int_equal(all.len, 100000);
	assert_int_equal(dropped, 0);
	close(fd);
	buf_release(&out);
	buf_release(&all);
	free(text);
}

static void
file_systems_with_foreign_locks_are_known_by_their_type(void **state)
{
	struct scene *scene = *state;

	assert_string_equal(file_system_foreign(0x6969), "NFS");
	assert_string_equal(file_system_foreign(0xff534d42), "SMB (CIFS)");
	/* statfs(2) gives a signed number on some machines */
	assert_string_equal(file_system_foreign((int32_t)0xff534d42), "SMB (CIFS)");
	assert_string_equal(file_system_foreign(0x01021997), "9p");
	assert_string_equal(file_system_foreign(0x65735546), "FUSE or virtiofs");
	assert_null(file_system_foreign(0xef53));     /* ext */
	assert_null(file_system_foreign(0x01021994)); /* tmpfs */
	assert_null(file_system_foreign(0x9123683e)); /* btrfs */
	assert_null(file_system_foreign(0x58465342)); /* xfs */
	assert_null(file_system_foreign(0x794c7630)); /* overlay */
	assert_int_equal(file_locks_are_local(scene->folder, &scene->why), OK);
	assert_int_equal(file_locks_are_local(scene->path, &scene->why), STORE_DOWN);
}

static void
the_refusal_names_the_type_and_both_ways_out(void **state)
{
	struct scene *scene = *state;
	const char *local, *team;

	setenv("STILE_FAULT_FILE_SYSTEM", "0x6969", 1);
	if (file_locks_are_local(scene->folder, &scene->why) == OK) {
		unsetenv("STILE_FAULT_FILE_SYSTEM");
		skip(); /* a build without faults */
	}
	unsetenv("STILE_FAULT_FILE_SYSTEM");
	assert_non_null(strstr(scene->why.data, "NFS"));
	local = strstr(scene->why.data, "STILE_STORE");
	team = strstr(scene->why.data, "postgresql://");
	assert_non_null(local);
	assert_true(team > local);
}

static int
try_lock(void *path)
{
	int fd;

	return file_lock(path, 0, &fd, NULL) == OK ? 0 : 1;
}

static void
a_lock_is_held_until_close_and_by_one_process(void **state)
{
	struct scene *scene = *state;
	struct scratch_child child;
	int fd;

	assert_int_equal(file_lock(scene->path, 0, &fd, &scene->why), OK);
	assert_int_equal(mode_of(scene->path) & 07777, 0600);
	scratch_spawn(&child, try_lock, scene->path);
	assert_int_equal(scratch_wait(&child, 20000), 1);
	close(fd);
	scratch_spawn(&child, try_lock, scene->path);
	assert_int_equal(scratch_wait(&child, 20000), 0);
}

struct remover {
	char *path;
	struct scratch_barrier *barrier;
};

/* Takes the lock, lets the other come, and removes the file before it gives the lock up. */
static int
remove_under_lock(void *arg)
{
	struct remover *remover = arg;
	int fd;

	if (file_lock(remover->path, 0, &fd, NULL) != OK || !scratch_barrier_meet(remover->barrier, 20000))
		return 1;
	if (unlink(remover->path) != 0)
		return 2;
	close(fd);
	return 0;
}

/*
 * Refutes: A holds the lock file, B waits for it; A removes the file and closes it; B now holds a file that nobody can find,
 * and C, which makes the file anew, holds "the lock" too.
 */
static void
who_waited_for_a_removed_lock_file_takes_the_one_that_is_there(void **state)
{
	struct scene *scene = *state;
	struct remover remover = {scene->path, scratch_barrier_new(2)};
	struct scratch_child child, other;
	int fd;

	scratch_spawn(&child, remove_under_lock, &remover);
	assert_true(scratch_barrier_meet(remover.barrier, 20000));
	assert_int_equal(file_lock(scene->path, 20000, &fd, &scene->why), OK);
	assert_int_equal(scratch_wait(&child, 20000), 0);
	scratch_spawn(&other, try_lock, scene->path);
	assert_int_equal(scratch_wait(&other, 20000), 1);
	close(fd);
	scratch_barrier_free(remover.barrier);
}

static void
a_lock_in_a_folder_that_is_not_there_is_no_such(void **state)
{
	struct scene *scene = *state;
	char *path = scratch_path(scene->path, "lock");
	int fd;

	assert_int_equal(file_lock(path, 0, &fd, &scene->why), NO_SUCH);
	free(path);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(FILE_TEST(a_file_is_read_up_to_the_bound_and_not_past_it), FILE_TEST(what_is_no_file_is_refused_and_not_waited_for),
      FILE_TEST(a_replaced_file_keeps_its_mode_and_a_new_one_has_the_given),
      FILE_TEST(through_a_link_the_file_is_replaced_and_the_link_stays), FILE_TEST(a_link_that_leads_nowhere_is_refused),
      FILE_TEST(a_file_that_changed_since_it_was_seen_is_not_replaced), FILE_TEST(a_read_only_file_is_left_alone_also_by_root),
      FILE_TEST(a_file_in_folders_yet_to_be_made_may_be_written_if_the_last_one_there_can),
      FILE_TEST(an_append_goes_to_the_end_of_a_file_that_is_there),
      FILE_TEST(a_removed_folder_takes_along_what_is_in_it_and_not_what_a_link_leads_to),
      FILE_TEST(what_is_too_long_is_read_to_its_end_and_counted),
      FILE_TEST(file_systems_with_foreign_locks_are_known_by_their_type),
      FILE_TEST(the_refusal_names_the_type_and_both_ways_out), FILE_TEST(a_lock_is_held_until_close_and_by_one_process),
      FILE_TEST(who_waited_for_a_removed_lock_file_takes_the_one_that_is_there),
      FILE_TEST(a_lock_in_a_folder_that_is_not_there_is_no_such))
