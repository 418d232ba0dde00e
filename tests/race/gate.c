/*
 * Many processes want the write gate.
 *
 * The anomalies refuted:
 *
 *   two inside         A and B both believe that they hold it.
 *   starved            A waits; B leaves, comes back at once and is let in before A; and so on for ever.
 *   a mute wait        A waits for a process that has been stopped, and is told nothing but "busy".
 *   a gate left shut   A dies inside; nobody gets in any more.
 *   a phantom store    A waits; the store is removed meanwhile; A is let in and writes to files that no path leads to.
 *
 * Rows: R50 R122
 * Time limit: 300 s
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/test.h"

#include "base/str.h"
#include "os/clock.h"
#include "os/gate.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT_MS 30000
#define WAITERS 8

struct scene {
	char *folder;
	char *path;
	struct gate gate;
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
	return gate_open(&scene->gate, scene->folder, true, NULL) == OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	gate_close(&scene->gate);
	buf_release(&scene->why);
	free(scene->path);
	scratch_remove(scene->folder);
	free(scene);
	return 0;
}

/* How many processes the kernel has waiting for that byte of the gate. */
static int
waiting_for(const struct scene *scene, int byte)
{
	FILE *locks = fopen("/proc/locks", "r");
	char line[200], end[40];
	struct stat file;
	int count = 0;

	assert_non_null(locks);
	assert_int_equal(fstat(scene->gate.fd, &file), 0);
	snprintf(end, sizeof end, ":%lu %d %d\n", (unsigned long)file.st_ino, byte, byte);
	while (fgets(line, sizeof line, locks) != NULL)
		count += strstr(line, "-> OFDLCK") != NULL && str_ends(line, end);
	fclose(locks);
	return count;
}

/* There is no event for it: asks the kernel until it is so.  Its list may change while it is read, so once is enough. */
static bool
wait_until_waiting(const struct scene *scene, int byte, int count)
{
	int64_t deadline = clock_boot_ms() + LIMIT_MS;

	while (clock_boot_ms() < deadline) {
		if (waiting_for(scene, byte) >= count)
			return true;
		sched_yield();
	}
	return false;
}

/* What the members share. */
struct inside {
	const struct scene *scene;
	unsigned times; /* each gets in */
	unsigned holders;
	unsigned entered;
	unsigned per_member[WAITERS];
	bool two_inside;
};

static int
goes_in_and_out(const struct member *member)
{
	struct inside *inside = *(struct inside **)member->arg;
	struct gate gate;
	bool well = gate_open(&gate, inside->scene->folder, false, NULL) == OK && crowd_together(member);

	for (unsigned i = 0; i < inside->times && well; i++) {
		well = gate_take(&gate, LIMIT_MS, NULL) == OK;
		if (!well)
			break;
		if (__atomic_add_fetch(&inside->holders, 1, __ATOMIC_SEQ_CST) != 1)
			inside->two_inside = true;
		/* as long as a small commit takes */
		well = pwrite(gate.fd, "x", 1, 100) == 1 && fdatasync(gate.fd) == 0;
		/* not atomic: the gate is what keeps it right */
		inside->entered++;
		__atomic_sub_fetch(&inside->holders, 1, __ATOMIC_SEQ_CST);
		gate_leave(&gate);
	}
	gate_close(&gate);
	return well ? 0 : 2;
}

/* How nearly alike they get in is for the benchmark to say, since a busy machine has a word in it; who waits first is below. */
static void
one_is_inside_at_a_time_and_all_get_in(void **state)
{
	struct inside *inside = scratch_shared(sizeof *inside);

	*inside = (struct inside){.scene = *state, .times = share_is_full() ? 5000 : 200};
	assert_true(crowd_run(WAITERS, goes_in_and_out, &inside));
	assert_false(inside->two_inside);
	assert_int_equal(inside->entered, WAITERS * inside->times);
	scratch_unshare(inside, sizeof *inside);
}

/* Waits for the gate and writes down in what order it got in. */
static int
gets_in_once(const struct member *member)
{
	struct inside *inside = *(struct inside **)member->arg;
	struct gate gate;
	bool well = gate_open(&gate, inside->scene->folder, false, NULL) == OK && gate_take(&gate, LIMIT_MS, NULL) == OK;

	inside->per_member[member->index] = ++inside->entered;
	gate_close(&gate);
	return well ? 0 : 2;
}

static int
run_waiter(void *arg)
{
	return gets_in_once(&(struct member){.arg = arg});
}

static bool
turnstile_is_taken(const struct scene *scene)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};

	return fcntl(scene->gate.fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Whoever leaves and comes back at once stands behind the one who has lost his patience: not once is he first. */
static void
a_waiter_who_lost_his_patience_is_never_overtaken_by_the_one_that_has_just_left(void **state)
{
	struct scene *scene = *state;
	struct inside *inside = scratch_shared(sizeof *inside);

	for (int round = 0; round < 30; round++) {
		struct scratch_child waiter;

		*inside = (struct inside){.scene = scene};
		assert_int_equal(gate_take(&scene->gate, LIMIT_MS, NULL), OK);
		scratch_spawn(&waiter, run_waiter, &inside);
		while (!turnstile_is_taken(scene))
			sched_yield();
		gate_leave(&scene->gate);
		assert_int_equal(gate_take(&scene->gate, LIMIT_MS, NULL), OK);
		inside->entered++;
		gate_leave(&scene->gate);
		assert_int_equal(scratch_wait(&waiter, LIMIT_MS), 0);
		assert_int_equal(inside->per_member[0], 1);
		assert_int_equal(inside->entered, 2);
	}
	scratch_unshare(inside, sizeof *inside);
}

/* What a child is to do inside. */
struct holding {
	const struct scene *scene;
	bool stop;
};

static int
holds(void *arg)
{
	const struct holding *holding = arg;
	struct gate gate;

	if (gate_open(&gate, holding->scene->folder, false, NULL) != OK || gate_take(&gate, LIMIT_MS, NULL) != OK)
		return 1;
	raise(SIGSTOP);
	/* not stopped any more, it holds on until it is killed */
	while (pause() == -1)
		;
	return 0;
}

static void
hold(struct scene *scene, struct scratch_child *holder)
{
	struct holding holding = {.scene = scene};

	scratch_spawn(holder, holds, &holding);
	assert_true(scratch_wait_stopped(holder, LIMIT_MS));
}

static void
a_stopped_holder_is_named_as_stopped_with_what_to_do(void **state)
{
	struct scene *scene = *state;
	struct scratch_child holder;
	char expected[200];
	char letter;

	hold(scene, &holder);
	assert_int_equal(gate_take(&scene->gate, 20, &scene->why), BUSY);
	snprintf(expected, sizeof expected,
	         "busy: process %d holds the write gate and is stopped; continue it (kill -CONT %d) or end it", holder.pid,
	         holder.pid);
	assert_string_equal(scene->why.data, expected);
	/* continued, it is only slow */
	kill(holder.pid, SIGCONT);
	while (gate_holder(&scene->gate, &letter) == holder.pid && letter == 'T')
		sched_yield();
	assert_int_equal(gate_take(&scene->gate, 20, &scene->why), BUSY);
	snprintf(expected, sizeof expected, "busy: process %d has held the write gate for more than 20 ms; try again", holder.pid);
	assert_string_equal(scene->why.data, expected);
	kill(holder.pid, SIGKILL);
	assert_int_equal(scratch_wait(&holder, LIMIT_MS), 128 + SIGKILL);
}

static void
the_gate_of_a_holder_that_was_killed_is_free_at_once(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 20; i++) {
		struct scratch_child holder;

		hold(scene, &holder);
		kill(holder.pid, SIGKILL);
		assert_int_equal(scratch_wait(&holder, LIMIT_MS), 128 + SIGKILL);
		assert_int_equal(gate_take(&scene->gate, 0, &scene->why), OK);
		gate_leave(&scene->gate);
	}
}

/* It stands in the turnstile, then it is gone: those behind it go on, the one in front of it is not disturbed. */
static void
a_waiter_that_is_killed_or_gives_up_stops_nobody(void **state)
{
	struct scene *scene = *state;
	struct inside *inside = scratch_shared(sizeof *inside);
	struct scratch_child waiters[3];
	struct gate hasty;

	*inside = (struct inside){.scene = scene};
	assert_int_equal(gate_take(&scene->gate, 0, NULL), OK);
	for (int i = 0; i < 3; i++) {
		scratch_spawn(&waiters[i], run_waiter, &inside);
		assert_true(wait_until_waiting(scene, i == 0 ? 0 : 1, i == 0 ? 1 : i));
	}
	/* one gives up at his limit, one is killed at the gate itself */
	assert_int_equal(gate_open(&hasty, scene->folder, false, NULL), OK);
	assert_int_equal(gate_take(&hasty, 20, &scene->why), BUSY);
	gate_close(&hasty);
	kill(waiters[0].pid, SIGKILL);
	assert_int_equal(scratch_wait(&waiters[0], LIMIT_MS), 128 + SIGKILL);
	assert_true(wait_until_waiting(scene, 0, 1));
	gate_leave(&scene->gate);
	for (int i = 1; i < 3; i++)
		assert_int_equal(scratch_wait(&waiters[i], LIMIT_MS), 0);
	assert_int_equal(inside->entered, 2);
	scratch_unshare(inside, sizeof *inside);
}

static int
writes_one(void *arg)
{
	struct codebase *codebase = arg;
	struct stile *resident = codebase_resident(codebase);
	char id[40];

	resident_start(resident, "before", id);
	raise(SIGSTOP);
	return -(int)resident_call(resident, NULL, "session start", "{\"client\":\"claude\",\"client_session\":\"after\"}");
}

/* Rows: R50 */
static void
a_store_that_is_removed_while_one_waits_is_not_written_to(void **state)
{
	struct scene *scene = *state;
	struct codebase codebase;
	struct scratch_child writer;

	codebase_make(&codebase);
	gate_close(&scene->gate);
	assert_int_equal(gate_open(&scene->gate, codebase.store, false, NULL), OK);
	scratch_spawn(&writer, writes_one, &codebase);
	assert_true(scratch_wait_stopped(&writer, LIMIT_MS));
	assert_int_equal(gate_take(&scene->gate, LIMIT_MS, NULL), OK);
	kill(writer.pid, SIGCONT);
	assert_true(wait_until_waiting(scene, 0, 1));
	/* as `stile init --purge` followed by another `stile init` */
	scratch_remove(scratch_path(codebase.folder, ".stile"));
	assert_int_equal(mkdir(codebase.store, 0700), 0);
	assert_int_equal(codebase_number(&codebase, "SELECT count(*) FROM session WHERE project = $1", DB_TEXT(".")), 0);
	gate_leave(&scene->gate);
	assert_int_equal(scratch_wait(&writer, LIMIT_MS), -STILE_STORE_DOWN);
	assert_int_equal(codebase_number(&codebase, "SELECT count(*) FROM session WHERE project = $1", DB_TEXT(".")), 0);
	codebase_remove(&codebase);
}

/* The same as people see it.  Rows: R50 */
static void
a_command_that_waits_for_a_stopped_process_says_who_and_what_to_do(void **state)
{
	struct scene *scene = *state;
	struct codebase codebase;
	struct running stopped;
	struct said said;
	char expected[200];

	(void)scene;
	codebase_make(&codebase);
	codebase.env[0] = "STILE_FAULT=rows-written!stop";
	codebase_start(&codebase, &stopped,
	               (const char *const[]){"session", "start", "--client", "c", "--client-session", "first", NULL});
	assert_true(scratch_wait_stopped(&stopped.child, LIMIT_MS));
	codebase.env[0] = NULL;
	codebase.input = "{\"session_id\":\"second\",\"hook_event_name\":\"SessionEnd\"}";
	codebase_run(&codebase, &said, "hook", "claude");
	assert_true(said_one_line(&said, 1));
	snprintf(expected, sizeof expected,
	         "stile: busy: process %d holds the write gate and is stopped; continue it (kill -CONT %d)", stopped.child.pid,
	         stopped.child.pid);
	assert_true(str_starts(said.err, expected));
	kill(stopped.child.pid, SIGCONT);
	codebase_finish(&stopped, &said);
	assert_int_equal(said.status, 0);
	assert_int_equal(codebase_number(&codebase, "SELECT count(*) FROM session WHERE project = $1", DB_TEXT(".")), 1);
	codebase_remove(&codebase);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(TEST(one_is_inside_at_a_time_and_all_get_in),
      TEST(a_waiter_who_lost_his_patience_is_never_overtaken_by_the_one_that_has_just_left),
      TEST(a_stopped_holder_is_named_as_stopped_with_what_to_do), TEST(the_gate_of_a_holder_that_was_killed_is_free_at_once),
      TEST(a_waiter_that_is_killed_or_gives_up_stops_nobody), TEST(a_store_that_is_removed_while_one_waits_is_not_written_to),
      TEST(a_command_that_waits_for_a_stopped_process_says_who_and_what_to_do))
