/*
 * A change of a file in halves: nothing is there before it is made, all of it afterwards, and nothing is left of one that isn't.
 *
 * Rows: R85 R89 R90 R102 N2
 */
#include "lib/scratch.h"
#include "lib/test.h"

#include "os/file_change.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scene {
	char *folder, *path;
	struct buf why;
	struct file_change change;
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	scene->folder = scratch_folder();
	scene->path = scratch_path(scene->folder, "f");
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
put(struct scene *scene, const char *text)
{
	assert_int_equal(file_replace(scene->path, text, strlen(text), 0600, &scene->why), OK);
}

/* What it holds, NULL for no file; and that nothing else is in the folder. */
static void
assert_holds(struct scene *scene, const char *expected)
{
	DIR *folder = opendir(scene->folder);
	struct buf text;
	int others = 0;

	for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
		others += entry->d_name[0] != 'f' && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(folder);
	assert_int_equal(others, 0);
	buf_init(&text, 1000);
	assert_int_equal(file_read(scene->path, &text, NULL), expected == NULL ? NO_SUCH : OK);
	if (expected != NULL)
		assert_string_equal(text.data, expected);
	buf_release(&text);
}

typedef enum status prepare(struct file_change *, const char *, const void *, size_t, mode_t, struct buf *);
static prepare *const all[] = {file_change_replace, file_change_create, file_change_append};

static void
what_is_prepared_and_not_made_leaves_nothing(void **state)
{
	struct scene *scene = *state;

	for (int there = 0; there <= 1; there++) {
		if (there == 1)
			put(scene, "old\n");
		for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
			assert_int_equal(all[i](&scene->change, scene->path, "new\n", 4, 0600, &scene->why), OK);
			file_change_release(&scene->change);
			assert_holds(scene, there == 1 ? "old\n" : NULL);
		}
	}
}

static void
make(struct scene *scene, prepare *how, const char *text, const char *expected)
{
	assert_int_equal(how(&scene->change, scene->path, text, strlen(text), 0600, &scene->why), OK);
	assert_int_equal(file_change_make(&scene->change, &scene->why), OK);
	assert_int_equal(file_change_settle(&scene->change, &scene->why), OK);
	file_change_release(&scene->change);
	assert_holds(scene, expected);
}

static void
what_is_made_is_there_whole(void **state)
{
	struct scene *scene = *state;

	make(scene, file_change_create, "one\n", "one\n");
	make(scene, file_change_create, "one\n", "one\n");
	make(scene, file_change_append, "two\n", "one\ntwo\n");
	make(scene, file_change_replace, "three\n", "three\n");
	assert_int_equal(unlink(scene->path), 0);
	make(scene, file_change_append, "four\n", "four\n");
}

static void
how_it_ends_is_seen_when_the_line_is_written(void **state)
{
	struct scene *scene = *state;

	put(scene, "one\n");
	assert_int_equal(file_change_append(&scene->change, scene->path, "three\n", 6, 0600, &scene->why), OK);
	/* somebody's line is torn only now */
	assert_int_equal(file_append(scene->path, "tw", 2, &scene->why), OK);
	assert_int_equal(file_change_make(&scene->change, &scene->why), OK);
	assert_true(scene->change.torn);
	file_change_release(&scene->change);
	assert_holds(scene, "one\ntw\nthree\n");
}

static void
one_that_came_to_be_meanwhile_is_neither_replaced_nor_taken_for_ours(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(file_change_create(&scene->change, scene->path, "ours\n", 5, 0600, &scene->why), OK);
	put(scene, "theirs\n");
	assert_int_equal(file_change_make(&scene->change, &scene->why), OK);
	assert_true(scene->change.there);
	assert_int_equal(file_change_settle(&scene->change, &scene->why), CONFLICT);
	file_change_release(&scene->change);
	assert_holds(scene, "theirs\n");
	assert_int_equal(unlink(scene->path), 0);
	assert_int_equal(file_change_append(&scene->change, scene->path, "ours\n", 5, 0600, &scene->why), OK);
	put(scene, "theirs\n");
	assert_int_equal(file_change_make(&scene->change, &scene->why), CONFLICT);
	file_change_release(&scene->change);
	assert_holds(scene, "theirs\n");
}

/* The line would stand in a file that nobody sees any more. */
static void
a_file_that_was_replaced_meanwhile_is_not_appended_to(void **state)
{
	struct scene *scene = *state;

	put(scene, "old\n");
	assert_int_equal(file_change_append(&scene->change, scene->path, "line\n", 5, 0600, &scene->why), OK);
	put(scene, "new\n");
	assert_int_equal(file_change_make(&scene->change, &scene->why), CONFLICT);
	assert_true(scene->change.there);
	file_change_release(&scene->change);
	make(scene, file_change_append, "line\n", "new\nline\n");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(TEST(what_is_prepared_and_not_made_leaves_nothing), TEST(what_is_made_is_there_whole),
      TEST(how_it_ends_is_seen_when_the_line_is_written), TEST(a_file_that_was_replaced_meanwhile_is_not_appended_to),
      TEST(one_that_came_to_be_meanwhile_is_neither_replaced_nor_taken_for_ours))
