/*
 * What the drivers share: programs that are compared, each with events of its own.  The word @ in a command is the slot, @-- is --; words
 * NAME=VALUE before the program's path are its environment besides ours.
 */
#ifndef BENCH_START_H
#define BENCH_START_H

#include "feed.h"

#include <spawn.h>
#include <sys/wait.h>

#define PROGRAMS_MAX 8
#define WORDS_MAX 16

extern char **environ;

struct program {
	char *argv[WORDS_MAX + 1];
	char **env;
	struct feed feed;
};

static inline void
program_take_env(struct program *program)
{
	size_t own = 0, more = 0;

	while (environ[own] != NULL)
		own++;
	while (program->argv[more] != NULL && strchr(program->argv[more], '=') != NULL)
		more++;
	program->env = calloc(own + more + 1, sizeof *program->env);
	if (program->env == NULL)
		die("environment");
	memcpy(program->env, program->argv, more * sizeof *program->env);
	memcpy(program->env + more, environ, own * sizeof *program->env);
	memmove(program->argv, program->argv + more, (WORDS_MAX + 1 - more) * sizeof *program->argv);
}

/* Reads "-- FOLDER WORD... -- FOLDER WORD..." from argv[at] on; the number of programs. */
static inline int
programs_open(struct program *programs, int slots, int argc, char **argv, int at)
{
	int count = 0;

	while (at + 2 < argc && strcmp(argv[at], "--") == 0 && count < PROGRAMS_MAX) {
		struct program *program = &programs[count++];
		int words = 0;

		feed_open(&program->feed, argv[at + 1], slots);
		for (at += 2; at < argc && strcmp(argv[at], "--") != 0 && words < WORDS_MAX; at++)
			program->argv[words++] = strcmp(argv[at], "@--") == 0 ? argv[at] + 1 : argv[at];
		program_take_env(program);
	}
	return count;
}

/* Starts it on the event that feed_next made ready.  glibc spawns by vfork: the size of this process costs nothing. */
static inline pid_t
program_start(struct program *program, int slot)
{
	char *argv[WORDS_MAX + 1], number[12];
	pid_t pid;
	int error;

	snprintf(number, sizeof number, "%d", slot);
	for (int i = 0; i <= WORDS_MAX; i++)
		argv[i] = program->argv[i] != NULL && strcmp(program->argv[i], "@") == 0 ? number : program->argv[i];
	error = posix_spawn(&pid, argv[0], NULL, NULL, argv, program->env);
	if (error != 0) {
		errno = error;
		die(argv[0]);
	}
	return pid;
}

/* Our results go to what was stdout; the programs' own output goes nowhere. */
static inline FILE *
results_open(void)
{
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	FILE *file = out < 0 ? NULL : fdopen(out, "w");

	if (file == NULL || null < 0 || dup2(null, STDOUT_FILENO) < 0)
		die("stdout");
	close(null);
	return file;
}

#endif
