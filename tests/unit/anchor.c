/*
 * An anchor is held as long as anybody has its descriptor, and not one moment longer: not after a kill, not by a number that is
 * used again.  What can't be told is unknown.
 *
 * Rows: R42 R60
 */
#include "lib/scratch.h"
#include "lib/test.h"

#include "base/str.h"
#include "os/anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT_MS 20000
#define MANY 500

struct scene {
	char *folder;
	struct anchor anchor;
	struct buf why;
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	scene->folder = scratch_folder();
	buf_init(&scene->why, WHY_MAX);
	*state = scene;
	return anchor_take(&scene->anchor, scene->folder, &scene->why) == OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	anchor_leave(&scene->anchor);
	scratch_remove(scene->folder);
	buf_release(&scene->why);
	free(scene);
	return 0;
}

static void
it_is_held_until_it_is_left(void **state)
{
	struct scene *scene = *state;
	char path[4200];
	struct stat file;

	for (int i = 0; i < 3; i++)
		assert_int_equal(anchor_liveness(scene->folder, scene->anchor.name, true), LIVENESS_ALIVE);
	anchor_leave(&scene->anchor);
	assert_int_equal(scene->anchor.fd, -1);
	assert_int_equal(anchor_liveness(scene->folder, scene->anchor.name, true), LIVENESS_DEAD);
	assert_int_equal(anchor_liveness(scene->folder, scene->anchor.name, false), LIVENESS_DEAD);
	anchor_leave(&scene->anchor);
	snprintf(path, sizeof path, "%s/anchors", scene->folder);
	assert_int_equal(stat(path, &file), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
}

struct probe {
	const struct scene *scene;
	enum liveness expected;
};

static int
probes(void *arg)
{
	const struct probe *probe = arg;

	/* what was inherited would hold it, too */
	close(probe->scene->anchor.fd);
	return anchor_liveness(probe->scene->folder, probe->scene->anchor.name, false) == probe->expected ? 0 : 1;
}

static void
another_process_sees_the_same(void **state)
{
	struct scene *scene = *state;
	struct probe probe = {scene, LIVENESS_ALIVE};
	struct scratch_child child;

	scratch_spawn(&child, probes, &probe);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 0);
	/* and its closing of its own copy took nothing away */
	assert_int_equal(anchor_liveness(scene->folder, scene->anchor.name, true), LIVENESS_ALIVE);
	anchor_leave(&scene->anchor);
	probe.expected = LIVENESS_DEAD;
	scratch_spawn(&child, probes, &probe);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 0);
}

static int
stays(void *arg)
{
	(void)arg;
	while (pause() == -1)
		;
	return 0;
}

/* The command that is still at work when its wrapper is gone. */
static void
a_child_that_inherited_it_holds_it_until_it_is_killed(void **state)
{
	struct scene *scene = *state;
	struct scratch_child child;

	scratch_spawn(&child, stays, NULL);
	anchor_leave(&scene->anchor);
	assert_int_equal(anchor_liveness(scene->folder, scene->anchor.name, true), LIVENESS_ALIVE);
	assert_int_equal(kill(child.pid, SIGKILL), 0);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 128 + SIGKILL);
	assert_int_equal(anchor_liveness(scene->folder, scene->anchor.name, true), LIVENESS_DEAD);
}

static int
stops_having_run(void *arg)
{
	const struct anchor *anchor = arg;
	char fd[20];

	/* exec keeps it: the program itself closes it, and until then it is held */
	snprintf(fd, sizeof fd, "%d", anchor->fd);
	execlp("sh", "sh", "-c", "[ -e /proc/self/fd/$0 ] && kill -STOP $$ && :", fd, (char *)NULL);
	return 127;
}

static void
a_program_that_is_run_has_it_too_and_holds_it_while_it_is_stopped(void **state)
{
	struct scene *scene = *state;
	struct scratch_child child;

	scratch_spawn(&child, stops_having_run, &scene->anchor);
	anchor_leave(&scene->anchor);
	assert_true(scratch_wait_stopped(&child, LIMIT_MS));
	assert_int_equal(anchor_liveness(scene->folder, scene->anchor.name, true), LIVENESS_ALIVE);
	assert_int_equal(kill(child.pid, SIGCONT), 0);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 0);
	assert_int_equal(anchor_liveness(scene->folder, scene->anchor.name, true), LIVENESS_DEAD);
}

static void
many_are_held_beside_each_other_and_each_ends_alone(void **state)
{
	struct scene *scene = *state;
	struct anchor *all = calloc(MANY, sizeof *all);

	assert_non_null(all);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(anchor_take(&all[i], scene->folder, &scene->why), OK);
		for (size_t other = 0; other < i; other++)
			assert_string_not_equal(all[i].name, all[other].name);
	}
	for (size_t i = 0; i < MANY; i += 2)
		anchor_leave(&all[i]);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(anchor_liveness(scene->folder, all[i].name, true), i % 2 == 0 ? LIVENESS_DEAD : LIVENESS_ALIVE);
		anchor_leave(&all[i]);
	}
	free(all);
}

/* Locks on the file that is gone prove nothing about the new one's. */
static void
of_a_file_that_was_replaced_nothing_is_known(void **state)
{
	struct scene *scene = *state;
	struct anchor fresh;
	char path[4200];
	int keeps;

	snprintf(path, sizeof path, "%s/anchors", scene->folder);
	/* its inode is not given again while it is open */
	keeps = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(keeps >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(anchor_liveness(scene->folder, scene->anchor.name, true), LIVENESS_UNKNOWN);
	assert_int_equal(anchor_take(&fresh, scene->folder, &scene->why), OK);
	assert_int_equal(anchor_liveness(scene->folder, scene->anchor.name, true), LIVENESS_UNKNOWN);
	assert_int_equal(anchor_liveness(scene->folder, fresh.name, true), LIVENESS_ALIVE);
	anchor_leave(&fresh);
	close(keeps);
}

/* Two clones of a codebase on two devices: both may have their file at the same inode. */
static void
of_a_file_with_that_inode_on_another_device_nothing_is_known(void **state)
{
	struct scene *scene = *state;
	const char *colon = strchr(scene->anchor.name, ':');
	char name[ANCHOR_SIZE];

	snprintf(name, sizeof name, "%.*s:77777777%s", (int)(colon - scene->anchor.name), scene->anchor.name,
	         strchr(colon + 1, ':'));
	anchor_leave(&scene->anchor);
	assert_int_equal(anchor_liveness(scene->folder, name, false), LIVENESS_UNKNOWN);
	assert_int_equal(anchor_liveness(scene->folder, name, true), LIVENESS_UNKNOWN);
}

/* The same name, of another boot. */
static void
of_another_boot(char out[ANCHOR_SIZE], const char *name)
{
	snprintf(out, ANCHOR_SIZE, "an-earlier-one%s", strchr(name, ':'));
}

static void
another_boots_is_unknown_unless_there_is_but_one_machine(void **state)
{
	struct scene *scene = *state;
	char name[ANCHOR_SIZE];

	anchor_leave(&scene->anchor);
	of_another_boot(name, scene->anchor.name);
	assert_int_equal(anchor_liveness(scene->folder, name, false), LIVENESS_UNKNOWN);
	assert_int_equal(anchor_liveness(scene->folder, name, true), LIVENESS_DEAD);
}

static void
what_is_no_name_of_ours_is_unknown(void **state)
{
	struct scene *scene = *state;
	const char *colon = strchr(scene->anchor.name, ':');
	char name[400];

	assert_int_equal(anchor_liveness(scene->folder, "", true), LIVENESS_UNKNOWN);
	assert_int_equal(anchor_liveness(scene->folder, "nonsense", true), LIVENESS_UNKNOWN);
	snprintf(name, sizeof name, "%.*s:", (int)(colon - scene->anchor.name), scene->anchor.name);
	assert_int_equal(anchor_liveness(scene->folder, name, true), LIVENESS_UNKNOWN);
	snprintf(name, sizeof name, "%sx", scene->anchor.name);
	assert_int_equal(anchor_liveness(scene->folder, name, true), LIVENESS_UNKNOWN);
	snprintf(name, sizeof name, "%.*s:18446744073709551615", (int)(strrchr(scene->anchor.name, ':') - scene->anchor.name),
	         scene->anchor.name);
	assert_int_equal(anchor_liveness(scene->folder, name, true), LIVENESS_UNKNOWN);
	assert_int_equal(anchor_liveness("/no/such/folder", scene->anchor.name, true), LIVENESS_UNKNOWN);
}

static void
where_there_can_be_none_that_is_said_in_one_line(void **state)
{
	struct scene *scene = *state;
	struct anchor anchor;
	char path[4200];

	assert_int_equal(anchor_take(&anchor, "/no/such/folder", &scene->why), STORE_DOWN);
	assert_int_equal(anchor.fd, -1);
	assert_true(str_starts(scene->why.data, "/no/such/folder/anchors: No such file or directory; "));
	snprintf(path, sizeof path, "%s/anchors", scene->folder);
	assert_int_equal(unlink(path), 0);
	/* nobody leads us elsewhere */
	assert_int_equal(symlink("/tmp", path), 0);
	assert_int_equal(anchor_take(&anchor, scene->folder, &scene->why), STORE_DOWN);
	assert_null(strchr(scene->why.data, '\n'));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(TEST(it_is_held_until_it_is_left), TEST(another_process_sees_the_same),
      TEST(a_child_that_inherited_it_holds_it_until_it_is_killed),
      TEST(a_program_that_is_run_has_it_too_and_holds_it_while_it_is_stopped),
      TEST(many_are_held_beside_each_other_and_each_ends_alone), TEST(of_a_file_that_was_replaced_nothing_is_known),
      TEST(of_a_file_with_that_inode_on_another_device_nothing_is_known),
      TEST(another_boots_is_unknown_unless_there_is_but_one_machine), TEST(what_is_no_name_of_ours_is_unknown),
      TEST(where_there_can_be_none_that_is_said_in_one_line))
