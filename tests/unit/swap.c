/* R55, R56: a file that others write is read when it stands still, and replaced in one step without losing what stood there. */
#include "os/swap.h"

#include "lib/scratch.h"
#include "lib/test.h"

#include "os/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct scene {
	char *folder, *path, *fresh, *replaced;
	struct buf text;
	struct buf why;
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	scene->folder = scratch_folder();
	scene->path = scratch_path(scene->folder, "file");
	scene->fresh = scratch_path(scene->folder, "fresh");
	scene->replaced = scratch_path(scene->folder, "replaced");
	buf_init(&scene->text, 100);
	buf_init(&scene->why, WHY_MAX);
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	buf_release(&scene->text);
	buf_release(&scene->why);
	free(scene->path);
	free(scene->fresh);
	free(scene->replaced);
	scratch_remove(scene->folder);
	free(scene);
	return 0;
}

static void
assert_holds(struct scene *scene, const char *path, const char *wanted)
{
	assert_int_equal(swap_read(path, 0, &scene->text, NULL, &scene->why), OK);
	assert_string_equal(scene->text.data, wanted);
}

static void
put(struct scene *scene, const char *path, const char *text)
{
	assert_int_equal(file_replace(path, text, strlen(text), 0600, &scene->why), OK);
}

static void
who_has_the_old_file_open_writes_into_what_was_swapped_out(void **state)
{
	struct scene *scene = *state;
	int late;

	put(scene, scene->path, "old");
	put(scene, scene->fresh, "new");
	assert_int_equal(chmod(scene->path, 0640), 0);
	late = open(scene->path, O_WRONLY | O_APPEND);
	assert_int_equal(swap_in(scene->fresh, scene->folder, "file", scene->replaced, &scene->why), OK);
	assert_int_equal(write(late, "er", 2), 2);
	assert_int_equal(swap_read(scene->replaced, 1, &scene->text, NULL, &scene->why), BUSY);
	close(late);
	assert_holds(scene, scene->path, "new");
	assert_holds(scene, scene->replaced, "older");
	assert_int_equal(access(scene->fresh, F_OK), -1);
}

static void
the_mode_of_what_stood_there_is_kept(void **state)
{
	struct scene *scene = *state;
	struct stat about;

	put(scene, scene->path, "old");
	put(scene, scene->fresh, "new");
	assert_int_equal(chmod(scene->path, 0640), 0);
	assert_int_equal(swap_in(scene->fresh, scene->folder, "file", scene->replaced, &scene->why), OK);
	assert_int_equal(stat(scene->path, &about), 0);
	assert_int_equal(about.st_mode & 07777, 0640);
}

static void
where_nothing_stood_nothing_is_handed_over(void **state)
{
	struct scene *scene = *state;

	put(scene, scene->fresh, "new");
	assert_int_equal(swap_in(scene->fresh, scene->folder, "file", scene->replaced, &scene->why), OK);
	assert_holds(scene, scene->path, "new");
	assert_int_equal(access(scene->replaced, F_OK), -1);
}

static void
a_link_is_neither_followed_nor_replaced(void **state)
{
	struct scene *scene = *state;
	char *victim = scratch_path(scene->folder, "victim");

	put(scene, victim, "precious");
	put(scene, scene->fresh, "new");
	assert_int_equal(symlink(victim, scene->path), 0);
	assert_int_equal(swap_in(scene->fresh, scene->folder, "file", scene->replaced, &scene->why), IO_FAILED);
	assert_int_equal(swap_no_link(scene->path, &scene->why), IO_FAILED);
	assert_int_equal(swap_folder(scene->folder, "file", 0700, &scene->why), IO_FAILED);
	assert_holds(scene, victim, "precious");
	free(victim);
}

/* Writes half, tells the reader, and the rest when it is told to go on. */
static int
writes_slowly(void *arg)
{
	struct scene *scene = ((void **)arg)[0];
	struct scratch_barrier *barrier = ((void **)arg)[1];
	int fd = open(scene->path, O_WRONLY | O_TRUNC);
	bool well = fd >= 0 && write(fd, "ha", 2) == 2 && scratch_barrier_meet(barrier, 10000) && write(fd, "lf", 2) == 2;

	return well && close(fd) == 0 ? 0 : 1;
}

static void
a_file_that_is_being_written_is_waited_for(void **state)
{
	struct scene *scene = *state;
	struct scratch_barrier *barrier = scratch_barrier_new(2);
	struct scratch_child child;
	void *arg[] = {scene, barrier};

	put(scene, scene->path, "old");
	scratch_spawn(&child, writes_slowly, arg);
	assert_true(scratch_barrier_meet(barrier, 10000));
	assert_int_equal(swap_read(scene->path, 10000, &scene->text, NULL, &scene->why), OK);
	assert_string_equal(scene->text.data, "half");
	assert_int_equal(scratch_wait(&child, 10000), 0);
	scratch_barrier_free(barrier);
}

#define SWAP_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
TESTS(SWAP_TEST(who_has_the_old_file_open_writes_into_what_was_swapped_out), SWAP_TEST(the_mode_of_what_stood_there_is_kept),
      SWAP_TEST(where_nothing_stood_nothing_is_handed_over), SWAP_TEST(a_link_is_neither_followed_nor_replaced),
      SWAP_TEST(a_file_that_is_being_written_is_waited_for))
