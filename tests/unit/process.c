/*
 * Whether the process that was written down still runs.  Its pid alone tells nothing: it is used again, it may be of another
 * namespace, a zombie has it too.  What can't be told is unknown, and unknown is never reaped.
 *
 * Rows: R4
 */
#include "lib/scratch.h"
#include "lib/test.h"

#include "base/str.h"
#include "os/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define LIMIT_MS 20000
#define CANNOT 100 /* a child's status: this machine doesn't let it try */

static struct process
itself(void)
{
	struct process process;

	assert_int_equal(process_read(getpid(), &process, NULL, NULL), OK);
	return process;
}

static void
a_process_that_runs_is_alive_and_the_same(void **state)
{
	struct process process = itself(), again = itself();

	assert_int_equal(process.pid, getpid());
	assert_true(process.start > 0);
	assert_true(process.space > 0);
	assert_true(process.boot[0] != '\0');
	assert_true(process_same(&process, &again));
	assert_int_equal(process_liveness(&process), LIVENESS_ALIVE);
}

static void
a_pid_used_again_is_not_the_process_that_had_it(void **state)
{
	struct process process = itself(), before = process;

	before.start--;
	assert_int_equal(process_liveness(&before), LIVENESS_DEAD);
	assert_false(process_same(&process, &before));
}

static int
sleeps(void *arg)
{
	(void)arg;
	while (pause() == -1)
		;
	return 0;
}

static int
ends(void *arg)
{
	(void)arg;
	return 0;
}

static void
a_killed_process_is_dead(void **state)
{
	struct scratch_child child;
	struct process process;

	scratch_spawn(&child, sleeps, NULL);
	assert_int_equal(process_read(child.pid, &process, NULL, NULL), OK);
	assert_int_equal(process_liveness(&process), LIVENESS_ALIVE);
	kill(child.pid, SIGKILL);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 128 + SIGKILL);
	assert_int_equal(process_liveness(&process), LIVENESS_DEAD);
	assert_int_equal(process_read(child.pid, &process, NULL, NULL), NO_SUCH);
}

static void
a_stopped_process_is_alive(void **state)
{
	struct scratch_child child;
	struct process process;

	scratch_spawn(&child, sleeps, NULL);
	assert_int_equal(process_read(child.pid, &process, NULL, NULL), OK);
	kill(child.pid, SIGSTOP);
	assert_true(scratch_wait_stopped(&child, LIMIT_MS));
	assert_int_equal(process_liveness(&process), LIVENESS_ALIVE);
	kill(child.pid, SIGKILL);
	scratch_wait(&child, LIMIT_MS);
}

/* A signal would be taken by it: /proc tells better. */
static void
a_zombie_is_dead(void **state)
{
	struct scratch_child child;
	struct process process = itself();
	struct pollfd ended;

	scratch_spawn(&child, ends, NULL);
	ended = (struct pollfd){.fd = child.pidfd, .events = POLLIN};
	assert_int_equal(poll(&ended, 1, LIMIT_MS), 1);
	assert_int_equal(kill(child.pid, 0), 0);
	process.pid = child.pid;
	assert_int_equal(process_read(child.pid, &process, NULL, NULL), NO_SUCH);
	assert_int_equal(process_liveness(&process), LIVENESS_DEAD);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 0);
}

static void
a_process_of_an_earlier_boot_is_dead(void **state)
{
	struct process process = itself();

	process.boot[0] = process.boot[0] == '0' ? '1' : '0';
	assert_int_equal(process_liveness(&process), LIVENESS_DEAD);
	/* also when its namespace was another: that is over as well */
	process.space++;
	assert_int_equal(process_liveness(&process), LIVENESS_DEAD);
}

static void
a_process_of_another_pid_namespace_is_unknown(void **state)
{
	struct process process = itself();

	process.space++;
	assert_int_equal(process_liveness(&process), LIVENESS_UNKNOWN);
	process.pid = 1 << 30;
	assert_int_equal(process_liveness(&process), LIVENESS_UNKNOWN);
}

/* Start times are counted on the time namespace's own clock, so a difference proves nothing there. */
static void
a_start_on_another_clock_is_unknown(void **state)
{
	struct process process = itself();
	char *space = strchr(process.boot, '.');

	assert_non_null(space);
	snprintf(space, sizeof process.boot - (size_t)(space - process.boot), ".1");
	assert_int_equal(process_liveness(&process), LIVENESS_ALIVE);
	process.start++;
	assert_int_equal(process_liveness(&process), LIVENESS_UNKNOWN);
}

static void
a_process_that_is_not_known_is_unknown(void **state)
{
	struct process process = {0};

	assert_int_equal(process_liveness(&process), LIVENESS_UNKNOWN);
	process = itself();
	process.pid = 0;
	assert_int_equal(process_liveness(&process), LIVENESS_UNKNOWN);
}

static int
looks_without_descriptors(void *arg)
{
	struct process parent;
	struct rlimit none = {0, 0};

	(void)arg;
	if (process_read(getppid(), &parent, NULL, NULL) != OK || setrlimit(RLIMIT_NOFILE, &none) != 0)
		return CANNOT;
	return (int)process_liveness(&parent);
}

static void
a_look_that_fails_is_no_proof_of_death(void **state)
{
	struct scratch_child child;

	scratch_spawn(&child, looks_without_descriptors, NULL);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), LIVENESS_UNKNOWN);
}

static int
looks_where_others_are_hidden(void *arg)
{
	struct process parent;

	(void)arg;
	if (process_read(getppid(), &parent, NULL, NULL) != OK || unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("proc", "/proc", "proc", 0, "hidepid=2") != 0 ||
	    setgid(65534) != 0 || setuid(65534) != 0)
		return CANNOT;
	return access("/proc/self/stat", R_OK) != 0 ? CANNOT : (int)process_liveness(&parent);
}

static void
a_process_that_the_system_hides_is_no_proof_of_death(void **state)
{
	struct scratch_child child;
	int status;

	if (getuid() != 0)
		skip();
	scratch_spawn(&child, looks_where_others_are_hidden, NULL);
	status = scratch_wait(&child, LIMIT_MS);
	if (status == CANNOT)
		skip();
	assert_int_equal(status, LIVENESS_UNKNOWN);
}

static int
is_read_by_its_name(void *arg)
{
	struct process process;
	int64_t parent;
	char name[16];

	(void)arg;
	prctl(PR_SET_NAME, "x) Z 1 2 (y");
	return process_read(getpid(), &process, &parent, name) == OK && str_equal(name, "x) Z 1 2 (y") && parent == getppid() ? 0
	                                                                                                                      : 1;
}

static void
a_name_may_hold_anything(void **state)
{
	struct scratch_child child;

	scratch_spawn(&child, is_read_by_its_name, NULL);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 0);
}

static int
agent_is(void *arg)
{
	struct process found, ancestors[2];
	const struct process *agent = arg;

	if (process_agent(&found) != OK || !process_same(&found, agent))
		return 1;
	/* the shell between us, then the agent */
	return process_ancestors(ancestors, 2) == 2 && ancestors[0].pid == getppid() && process_same(&ancestors[1], agent) ? 0 : 2;
}

static int
calls_as_a_shell(void *arg)
{
	struct scratch_child child;

	prctl(PR_SET_NAME, "bash");
	scratch_spawn(&child, agent_is, arg);
	return scratch_wait(&child, LIMIT_MS);
}

static void
the_agent_is_the_ancestor_behind_shells_and_wrappers(void **state)
{
	struct process agent = itself();
	struct scratch_child child;

	scratch_spawn(&child, calls_as_a_shell, &agent);
	assert_int_equal(scratch_wait(&child, LIMIT_MS), 0);
}

TESTS(cmocka_unit_test(a_process_that_runs_is_alive_and_the_same),
      cmocka_unit_test(a_pid_used_again_is_not_the_process_that_had_it), cmocka_unit_test(a_killed_process_is_dead),
      cmocka_unit_test(a_stopped_process_is_alive), cmocka_unit_test(a_zombie_is_dead),
      cmocka_unit_test(a_process_of_an_earlier_boot_is_dead), cmocka_unit_test(a_process_of_another_pid_namespace_is_unknown),
      cmocka_unit_test(a_start_on_another_clock_is_unknown), cmocka_unit_test(a_process_that_is_not_known_is_unknown),
      cmocka_unit_test(a_look_that_fails_is_no_proof_of_death),
      cmocka_unit_test(a_process_that_the_system_hides_is_no_proof_of_death), cmocka_unit_test(a_name_may_hold_anything),
      cmocka_unit_test(the_agent_is_the_ancestor_behind_shells_and_wrappers))
