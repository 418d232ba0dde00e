/*
 * One program at a time, taking turns: `turns ROUNDS -- FOLDER WORD... [-- FOLDER WORD...]...`.  Prints for each round how
 * long each took from before its start until it was reaped, in nanoseconds.  Each round begins with another one.
 * Ends with 1 when a program doesn't end with 0.
 */
#include "start.h"

static struct program programs[PROGRAMS_MAX];

static int64_t
run_one(struct program *program)
{
	int64_t began;
	pid_t pid;
	int status;

	feed_next(&program->feed, 0);
	began = now_ns();
	pid = program_start(program, 0);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	began = now_ns() - began;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "turns: %s ended with status %d\n", program->argv[0], status);
		exit(1);
	}
	return began;
}

int
main(int argc, char **argv)
{
	int rounds = argc < 3 ? 0 : (int)strtol(argv[1], NULL, 10), count = programs_open(programs, 1, argc, argv, 2);
	FILE *out = results_open();
	int64_t took[PROGRAMS_MAX];

	if (rounds <= 0 || count == 0) {
		fprintf(stderr, "usage: turns ROUNDS -- FOLDER WORD... [-- FOLDER WORD...]...\n");
		return 64;
	}
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < count; i++) {
			int which = (round + i) % count;

			took[which] = run_one(&programs[which]);
		}
		for (int i = 0; i < count; i++)
			fprintf(out, "%lld%c", (long long)took[i], i + 1 == count ? '\n' : ' ');
	}
	return fclose(out) == 0 ? 0 : 1;
}
