/*
 * Many processes of one program at once, in windows of time that the programs take in turns:
 * `crowd AT_ONCE WINDOW_MS ROUNDS -- FOLDER WORD... [-- FOLDER WORD...]...`.  As soon as one ends the next is started in its
 * place.  Prints for each window
 *
 *	window PROGRAM ROUND MICROSECONDS ENDED FAILED    ended until the window closed; those still running then are waited for
 *	process PROGRAM ROUND MICROSECONDS                from before its start until it was reaped, one line each
 */
#include "start.h"

#define PROCESSES_MAX 200000

static struct program programs[PROGRAMS_MAX];
static struct running {
	pid_t pid; /* 0 = none */
	int64_t began;
} slots[SLOTS_MAX];
static int64_t took[PROCESSES_MAX];

struct window {
	int64_t closes;
	int ended; /* in time */
	int count; /* all */
	int failed;
};

static void
start(struct program *program, int slot)
{
	feed_next(&program->feed, slot);
	slots[slot].began = now_ns();
	slots[slot].pid = program_start(program, slot);
}

/* Waits for one; its slot. */
static int
reap(struct window *window)
{
	int status, slot = 0;
	pid_t pid = waitpid(-1, &status, 0);
	int64_t now = now_ns();

	if (pid < 0)
		die("waitpid");
	while (slots[slot].pid != pid)
		slot++;
	slots[slot].pid = 0;
	if (window->count < PROCESSES_MAX)
		took[window->count++] = now - slots[slot].began;
	if (now <= window->closes)
		window->ended++;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		window->failed++;
	return slot;
}

static void
run_window(struct program *program, int at_once, int64_t length, struct window *window)
{
	int64_t began = now_ns();

	*window = (struct window){.closes = began + length};
	for (int slot = 0; slot < at_once; slot++)
		start(program, slot);
	while (now_ns() < window->closes) {
		int slot = reap(window);

		if (now_ns() < window->closes)
			start(program, slot);
	}
	for (int slot = 0; slot < at_once; slot++)
		if (slots[slot].pid != 0) {
			reap(window);
			slot = -1;
		}
}

int
main(int argc, char **argv)
{
	int at_once = argc < 5 ? 0 : (int)strtol(argv[1], NULL, 10), rounds = argc < 5 ? 0 : (int)strtol(argv[3], NULL, 10);
	int64_t length = argc < 5 ? 0 : strtoll(argv[2], NULL, 10) * 1000000;
	int count = at_once < 1 || at_once > SLOTS_MAX ? 0 : programs_open(programs, at_once, argc, argv, 4);
	FILE *out = results_open();

	if (count == 0 || rounds < 1 || length < 1) {
		fprintf(stderr, "usage: crowd AT_ONCE WINDOW_MS ROUNDS -- FOLDER WORD... [-- FOLDER WORD...]...\n");
		return 64;
	}
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < count; i++) {
			int which = (round + i) % count;
			struct window window;

			run_window(&programs[which], at_once, length, &window);
			fprintf(out, "window %d %d %lld %d %d\n", which, round, (long long)length / 1000, window.ended, window.failed);
			for (int p = 0; p < window.count; p++)
				fprintf(out, "process %d %d %lld\n", which, round, (long long)took[p] / 1000);
		}
	return fclose(out) == 0 ? 0 : 1;
}
