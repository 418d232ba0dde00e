/*
 * A command's output is passed on untouched and kept besides: a reader that doesn't read holds up neither the command nor us.
 *
 * Rows: R39 R48
 */
#include "lib/scratch.h"
#include "lib/test.h"

#include "os/clock.h"
#include "os/tee.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT ((size_t)1 << 20)
#define LONG_MS 30000

struct scene {
	int reads, writes; /* the pipe that is passed on to */
	struct tee tee;
	struct buf kept;
};

static void
begin(struct scene *scene, size_t max)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	scene->reads = ends[0];
	scene->writes = ends[1];
	buf_init(&scene->kept, max);
	assert_int_equal(tee_begin(&scene->tee, scene->writes, max, NULL), OK);
}

/* A command that does `act` to the descriptor which is the tee's. */
static pid_t
start(struct scene *scene, void (*act)(int fd))
{
	pid_t pid = fork();

	if (pid == 0) {
		tee_child(&scene->tee);
		close(scene->reads);
		close(scene->tee.into);
		act(scene->writes);
		_exit(0);
	}
	assert_true(pid > 0);
	tee_started(&scene->tee);
	close(scene->writes);
	return pid;
}

static void
wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
end(struct scene *scene)
{
	buf_release(&scene->kept);
	if (scene->reads >= 0)
		close(scene->reads);
}

static size_t
read_all(int fd, char *out, size_t size)
{
	size_t len = 0;
	ssize_t got;

	while ((got = read(fd, out + len, size - len)) > 0)
		len += (size_t)got;
	return len;
}

static void
print_all_bytes(int fd)
{
	for (int round = 0; round < 8; round++)
		for (int byte = 0; byte < 256; byte++) {
			unsigned char one = (unsigned char)byte;

			if (write(fd, &one, 1) != 1)
				_exit(1);
		}
}

static void
what_is_printed_comes_through_and_is_kept_to_the_byte(void **state)
{
	struct scene scene;
	char read[3000];
	pid_t pid;

	begin(&scene, KEPT);
	pid = start(&scene, print_all_bytes);
	assert_int_equal(read_all(scene.reads, read, sizeof read), 2048);
	wait_for(pid);
	tee_end(&scene.tee, LONG_MS, &scene.kept);
	assert_int_equal(scene.kept.len, 2048);
	assert_memory_equal(scene.kept.data, read, 2048);
	for (size_t i = 0; i < 2048; i++)
		assert_int_equal((unsigned char)read[i], i % 256);
	end(&scene);
}

static void
print_nothing(int fd)
{
	(void)fd;
}

static void
nothing_printed_is_nothing_kept(void **state)
{
	struct scene scene;
	char read[10];
	pid_t pid;

	begin(&scene, KEPT);
	pid = start(&scene, print_nothing);
	assert_int_equal(read_all(scene.reads, read, sizeof read), 0);
	wait_for(pid);
	tee_end(&scene.tee, LONG_MS, &scene.kept);
	assert_int_equal(scene.kept.len, 0);
	end(&scene);
}

static void
print_a_lot(int fd)
{
	static char block[100000];

	memset(block, 'x', sizeof block);
	for (int i = 0; i < 30; i++)
		for (size_t at = 0; at < sizeof block;) {
			ssize_t wrote = write(fd, block + at, sizeof block - at);

			if (wrote <= 0)
				_exit(1);
			at += (size_t)wrote;
		}
}

static void
only_so_much_is_kept_and_all_is_passed_on(void **state)
{
	char *read = malloc(4000000);
	struct scene scene;
	pid_t pid;

	assert_non_null(read);
	begin(&scene, 1000);
	pid = start(&scene, print_a_lot);
	assert_int_equal(read_all(scene.reads, read, 4000000), 3000000);
	wait_for(pid);
	tee_end(&scene.tee, LONG_MS, &scene.kept);
	assert_int_equal(scene.kept.len, 1000);
	end(&scene);
	free(read);
}

static void
print_a_word(int fd)
{
	if (write(fd, "word", 4) != 4)
		_exit(1);
}

/* Two are apart, and neither pipe of theirs is left open in the command of the other. */
static void
two_of_one_command_are_apart(void **state)
{
	struct scene out, err;
	char read[10];
	pid_t pid;

	begin(&out, KEPT);
	begin(&err, KEPT);
	pid = fork();
	if (pid == 0) {
		tee_child(&out.tee);
		tee_child(&err.tee);
		_exit(write(out.writes, "out", 3) == 3 && write(err.writes, "err", 3) == 3 ? 0 : 1);
	}
	tee_started(&out.tee);
	tee_started(&err.tee);
	close(out.writes);
	close(err.writes);
	wait_for(pid);
	assert_int_equal(read_all(out.reads, read, sizeof read), 3);
	assert_memory_equal(read, "out", 3);
	assert_int_equal(read_all(err.reads, read, sizeof read), 3);
	assert_memory_equal(read, "err", 3);
	tee_end(&out.tee, LONG_MS, &out.kept);
	tee_end(&err.tee, LONG_MS, &err.kept);
	assert_string_equal(out.kept.data, "out");
	assert_string_equal(err.kept.data, "err");
	end(&out);
	end(&err);
}

/* The pipe that nobody reads is full before; the limit is what is waited. */
static void
who_does_not_read_holds_up_neither_the_command_nor_us(void **state)
{
	struct scene scene;
	char byte = 'x';
	int64_t began_ms;
	pid_t pid;

	begin(&scene, KEPT);
	assert_int_equal(fcntl(scene.writes, F_SETFL, O_NONBLOCK), 0);
	while (write(scene.writes, &byte, 1) == 1)
		;
	pid = start(&scene, print_a_word);
	wait_for(pid);
	began_ms = clock_boot_ms();
	tee_end(&scene.tee, 50, &scene.kept);
	assert_true(clock_boot_ms() - began_ms < LONG_MS);
	end(&scene);
}

static int told[2];

static void
leave_one_behind(int fd)
{
	char go;

	if (write(fd, "first ", 6) != 6)
		_exit(1);
	if (fork() != 0)
		return;
	close(told[1]);
	if (read(told[0], &go, 1) == 0 && write(fd, "later", 5) == 5)
		_exit(0);
	_exit(1);
}

static void
a_child_that_is_left_running_holds_nobody_up_and_its_output_still_comes(void **state)
{
	struct scene scene;
	char text[20];
	pid_t pid;

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	begin(&scene, KEPT);
	pid = start(&scene, leave_one_behind);
	wait_for(pid);
	assert_int_equal(read(scene.reads, text, sizeof text), 6);
	tee_end(&scene.tee, 0, &scene.kept);
	assert_int_equal(scene.kept.len, 6);
	assert_memory_equal(scene.kept.data, "first ", 6);
	close(told[1]);
	assert_int_equal(read_all(scene.reads, text, sizeof text), 5);
	assert_memory_equal(text, "later", 5);
	close(told[0]);
	end(&scene);
}

static void
print_until_nobody_reads(int fd)
{
	static char block[4096];

	signal(SIGPIPE, SIG_IGN);
	while (write(fd, block, sizeof block) > 0)
		;
}

static void
when_nobody_reads_any_more_the_command_finds_out(void **state)
{
	struct scene scene;
	pid_t pid;

	begin(&scene, 100);
	close(scene.reads);
	scene.reads = -1;
	pid = start(&scene, print_until_nobody_reads);
	wait_for(pid);
	tee_end(&scene.tee, LONG_MS, &scene.kept);
	assert_int_equal(scene.kept.len, 100);
	end(&scene);
}

static void
only_as_much_is_added_as_fits(void **state)
{
	struct scene scene;
	struct buf small;
	pid_t pid;

	begin(&scene, KEPT);
	pid = start(&scene, print_a_word);
	wait_for(pid);
	buf_init(&small, 3);
	buf_text(&small, "a");
	tee_end(&scene.tee, LONG_MS, &small);
	assert_int_equal(buf_status(&small), OK);
	assert_string_equal(small.data, "awo");
	buf_release(&small);
	end(&scene);
}

TESTS(cmocka_unit_test(what_is_printed_comes_through_and_is_kept_to_the_byte),
      cmocka_unit_test(nothing_printed_is_nothing_kept), cmocka_unit_test(only_so_much_is_kept_and_all_is_passed_on),
      cmocka_unit_test(two_of_one_command_are_apart), cmocka_unit_test(who_does_not_read_holds_up_neither_the_command_nor_us),
      cmocka_unit_test(a_child_that_is_left_running_holds_nobody_up_and_its_output_still_comes),
      cmocka_unit_test(when_nobody_reads_any_more_the_command_finds_out), cmocka_unit_test(only_as_much_is_added_as_fits))
