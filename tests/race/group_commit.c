/*
 * Many processes share the syncs of one log.
 *
 * The anomalies refuted:
 *
 *   answered too soon   A's writing is not covered by any sync that began after it, and A's wait is over.
 *   a sync for each     everybody waits for a sync of his own, one after the other.
 *   a lost wake         A waits for a sync that B has ended, or that B was killed in, and nobody is left to wake him.
 *   held up for ever    B is stopped while he syncs; nobody's commit is ever answered.
 *   an old number       after a power cut the numbers are of another instant, and a commit passes for synced.
 *
 * Rows: R50
 * Time limit: 120 s
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/test.h"

#include "os/clock.h"
#include "os/group_commit.h"

#include <signal.h>
#include <unistd.h>

#define LIMIT_MS 30000
#define WRITERS 8

struct shared {
	const char *folder;
	unsigned times;
	unsigned log[WRITERS];  /* what each has written so far, */
	unsigned disk[WRITERS]; /* and what of it the last sync found */
	unsigned syncs;
	unsigned too_soon;
	unsigned stop_at; /* the sync in which its process stops; 0 = none */
	unsigned kill_at;
};

struct scene {
	struct shared *shared;
	struct gate gate;
	struct group_commit group;
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	scene->shared = scratch_shared(sizeof *scene->shared);
	*scene->shared = (struct shared){.folder = scratch_folder(), .times = share_is_full() ? 5000 : 300};
	*state = scene;
	if (gate_open(&scene->gate, scene->shared->folder, true, NULL) != OK)
		return -1;
	group_open(&scene->group, &scene->gate);
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	gate_close(&scene->gate);
	scratch_remove((char *)(uintptr_t)scene->shared->folder);
	scratch_unshare(scene->shared, sizeof *scene->shared);
	free(scene);
	return 0;
}

/* As a disk does it: what was written when it began is kept when it ends. */
static enum status
sync_log(void *arg, struct buf *why)
{
	struct shared *shared = arg;
	unsigned found[WRITERS], number = __atomic_add_fetch(&shared->syncs, 1, __ATOMIC_SEQ_CST);

	for (int i = 0; i < WRITERS; i++)
		found[i] = __atomic_load_n(&shared->log[i], __ATOMIC_SEQ_CST);
	if (number == shared->stop_at)
		raise(SIGSTOP);
	if (number == shared->kill_at)
		raise(SIGKILL);
	for (int i = 0; i < WRITERS; i++) {
		unsigned before = __atomic_load_n(&shared->disk[i], __ATOMIC_SEQ_CST);

		while (before < found[i] &&
		       !__atomic_compare_exchange_n(&shared->disk[i], &before, found[i], false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
	}
	return OK;
}

static bool
commit_one(struct shared *shared, struct gate *gate, struct group_commit *group, unsigned writer)
{
	unsigned mine;
	uint32_t number;

	if (gate_take(gate, LIMIT_MS, NULL) != OK)
		return false;
	number = group_begin(group);
	mine = __atomic_add_fetch(&shared->log[writer], 1, __ATOMIC_SEQ_CST);
	group_written(group, number);
	gate_leave(gate);
	if (group_wait(group, number, sync_log, shared, NULL) != OK)
		return false;
	if (__atomic_load_n(&shared->disk[writer], __ATOMIC_SEQ_CST) < mine)
		__atomic_add_fetch(&shared->too_soon, 1, __ATOMIC_SEQ_CST);
	return true;
}

static int
commit_all(struct shared *shared, unsigned writer)
{
	struct gate gate;
	struct group_commit group;
	bool well = gate_open(&gate, shared->folder, false, NULL) == OK;

	if (well)
		group_open(&group, &gate);
	for (unsigned i = 0; i < shared->times && well; i++)
		well = commit_one(shared, &gate, &group, writer);
	gate_close(&gate);
	return well ? 0 : 2;
}

static int
commits(const struct member *member)
{
	return crowd_together(member) ? commit_all(*(struct shared **)member->arg, member->index) : 3;
}

static void
each_is_covered_by_a_sync_that_began_after_it(void **state)
{
	struct scene *scene = *state;

	assert_true(crowd_run(WRITERS, commits, &scene->shared));
	assert_int_equal(scene->shared->too_soon, 0);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(scene->shared->disk[i], scene->shared->times);
	assert_in_range(scene->shared->syncs, 1, WRITERS * scene->shared->times);
}

static int
commits_once(void *arg)
{
	return commit_all(*(struct shared **)arg, 0);
}

/* One is in the middle of a sync: `stop_at` or `kill_at` is 1. */
static void
spawn_syncing(struct scene *scene, struct scratch_child *child)
{
	scene->shared->times = 1;
	scratch_spawn(child, commits_once, &scene->shared);
}

static void
one_that_was_killed_while_it_synced_holds_up_nobody(void **state)
{
	struct scene *scene = *state;
	struct scratch_child child;

	scene->shared->kill_at = 1;
	spawn_syncing(scene, &child);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 128 + SIGKILL);
	assert_true(commit_one(scene->shared, &scene->gate, &scene->group, 1));
	assert_int_equal(scene->shared->too_soon, 0);
	assert_int_equal(scene->shared->syncs, 2);
}

static void
one_that_was_stopped_while_it_syncs_is_waited_for_only_so_long(void **state)
{
	struct scene *scene = *state;
	struct scratch_child child;
	int64_t began;

	scene->shared->stop_at = 1;
	spawn_syncing(scene, &child);
	assert_true(scratch_wait_stopped(&child, LIMIT_MS));
	began = clock_boot_ms();
	assert_true(commit_one(scene->shared, &scene->gate, &scene->group, 1));
	assert_in_range(clock_boot_ms() - began, GROUP_WAIT_MS - 1, LIMIT_MS);
	assert_int_equal(scene->shared->too_soon, 0);
	kill(child.pid, SIGCONT);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 0);
}

static enum status
finds_stops_blocked(void *arg, struct buf *why)
{
	sigset_t now;

	(void)why;
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	*(bool *)arg = sigismember(&now, SIGTSTP) == 1;
	return OK;
}

/* Who was stopped by a key would let everybody wait GROUP_WAIT_MS for as long as he stays stopped. */
static void
nobody_can_stop_from_the_terminal_who_syncs_for_others(void **state)
{
	struct scene *scene = *state;
	uint32_t number = group_begin(&scene->group);
	bool blocked = false;
	sigset_t after;

	group_written(&scene->group, number);
	assert_int_equal(group_wait(&scene->group, number, finds_stops_blocked, &blocked, NULL), OK);
	assert_true(blocked);
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	assert_false(sigismember(&after, SIGTSTP));
}

/* Rows: R50 */
static void
numbers_of_another_instant_let_nothing_pass_for_synced(void **state)
{
	struct scene *scene = *state;
	static const uint32_t odd[] = {0, 1, 7, 0x7fffffff, 0x80000000, 0xffffffff};
	uint32_t *numbers = (uint32_t *)(void *)(scene->gate.page + GATE_OWN_LEN);
	unsigned count = sizeof odd / sizeof *odd;

	for (unsigned i = 0; i < count * count * count; i++) {
		unsigned syncs = scene->shared->syncs;

		/* as far apart as no two instants are, they could not be told from ones that have wrapped */
		if (odd[i % count] - odd[i / count % count] + 16 > 32 || odd[i % count] - odd[i / count / count] + 16 > 32)
			continue;
		numbers[0] = odd[i % count];
		numbers[1] = odd[i / count % count];
		numbers[2] = odd[i / count / count];
		assert_true(commit_one(scene->shared, &scene->gate, &scene->group, 0));
		assert_int_equal(scene->shared->syncs, syncs + 1);
	}
	assert_int_equal(scene->shared->too_soon, 0);
}

static enum status
fails(void *arg, struct buf *why)
{
	(*(unsigned *)arg)++;
	return STORE_DOWN;
}

static void
a_sync_that_fails_covers_nothing(void **state)
{
	struct scene *scene = *state;
	uint32_t number = group_begin(&scene->group);
	unsigned tried = 0;

	group_written(&scene->group, number);
	assert_int_equal(group_wait(&scene->group, number, fails, &tried, NULL), STORE_DOWN);
	assert_int_equal(group_settle(&scene->group, fails, &tried, NULL), STORE_DOWN);
	assert_int_equal(tried, 2);
	assert_int_equal(group_settle(&scene->group, sync_log, scene->shared, NULL), OK);
	assert_int_equal(group_settle(&scene->group, fails, &tried, NULL), OK);
	assert_int_equal(tried, 2);
}

/* What has begun is seen by readers before it is known to be written. */
static void
who_only_read_waits_for_what_he_may_have_seen(void **state)
{
	struct scene *scene = *state;
	uint32_t number = group_begin(&scene->group);

	assert_int_equal(group_settle(&scene->group, sync_log, scene->shared, NULL), OK);
	assert_int_equal(scene->shared->syncs, 1);
	group_written(&scene->group, number);
	assert_int_equal(group_settle(&scene->group, sync_log, scene->shared, NULL), OK);
	assert_int_equal(scene->shared->syncs, 2);
	assert_int_equal(group_settle(&scene->group, sync_log, scene->shared, NULL), OK);
	assert_int_equal(scene->shared->syncs, 2);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(SCENE_TEST(each_is_covered_by_a_sync_that_began_after_it),
      SCENE_TEST(one_that_was_killed_while_it_synced_holds_up_nobody),
      SCENE_TEST(one_that_was_stopped_while_it_syncs_is_waited_for_only_so_long),
      SCENE_TEST(nobody_can_stop_from_the_terminal_who_syncs_for_others),
      SCENE_TEST(numbers_of_another_instant_let_nothing_pass_for_synced), SCENE_TEST(a_sync_that_fails_covers_nothing),
      SCENE_TEST(who_only_read_waits_for_what_he_may_have_seen))
