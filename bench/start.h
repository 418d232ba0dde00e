/*
 * What the drivers share: programs that are compared, each with events of its own to be fed with.
 *
 * A folder of events holds, for each slot N, `payload.N` (given on stdin, through a pipe as clients do it) and `transcript.N`,
 * which grows by one `record` before each start; SERIAL in it becomes a number that no other record has.  The word @ in a
 * command becomes the slot's number.
 */
#ifndef BENCH_START_H
#define BENCH_START_H

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRAMS_MAX 8
#define WORDS_MAX 16
#define SLOTS_MAX 64
#define FEED_MAX 65536 /* what a pipe takes in without a reader */
#define SERIAL "@@@@@@@@@@@@@@@@"

extern char **environ;

struct feed {
	char *payload;
	size_t payload_len;
	int transcript;
};

struct program {
	char *argv[WORDS_MAX + 1];
	struct feed feeds[SLOTS_MAX];
	char *record;
	size_t record_len;
	char *serial; /* where it stands in the record */
};

static inline void
die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline char *
read_file(const char *folder, const char *name, size_t *len)
{
	char path[4096], *text = malloc(FEED_MAX);
	ssize_t got;
	int fd;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 || text == NULL ? -1 : read(fd, text, FEED_MAX - 1);
	if (got < 0)
		die(path);
	close(fd);
	text[got] = '\0';
	*len = (size_t)got;
	return text;
}

static inline void
program_open(struct program *program, const char *folder, int slots)
{
	char name[32], path[4096];

	program->record = read_file(folder, "record", &program->record_len);
	program->serial = strstr(program->record, SERIAL);
	if (program->serial == NULL)
		die(folder);
	for (int i = 0; i < slots; i++) {
		struct feed *feed = &program->feeds[i];

		snprintf(name, sizeof name, "payload.%d", i);
		feed->payload = read_file(folder, name, &feed->payload_len);
		snprintf(path, sizeof path, "%s/transcript.%d", folder, i);
		feed->transcript = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
		if (feed->transcript < 0)
			die(path);
	}
}

/* Reads "-- FOLDER WORD... -- FOLDER WORD..." from argv[at] on; the number of programs. */
static inline int
programs_open(struct program *programs, int slots, int argc, char **argv, int at)
{
	int count = 0;

	while (at + 2 < argc && strcmp(argv[at], "--") == 0 && count < PROGRAMS_MAX) {
		struct program *program = &programs[count++];
		int words = 0;

		program_open(program, argv[at + 1], slots);
		for (at += 2; at < argc && strcmp(argv[at], "--") != 0 && words < WORDS_MAX; at++)
			program->argv[words++] = argv[at];
	}
	return count;
}

/* The next event of a slot: its transcript grows, and the payload waits on our own stdin for who is started next. */
static inline void
feed_next(struct program *program, int slot)
{
	struct feed *feed = &program->feeds[slot];
	char serial[sizeof SERIAL];
	int ends[2];

	snprintf(serial, sizeof serial, "%016llx", (unsigned long long)now_ns());
	memcpy(program->serial, serial, sizeof serial - 1);
	if (write(feed->transcript, program->record, program->record_len) < 0 || pipe2(ends, O_CLOEXEC) != 0)
		die("feed");
	if (write(ends[1], feed->payload, feed->payload_len) < 0 || dup2(ends[0], STDIN_FILENO) < 0)
		die("feed");
	close(ends[0]);
	close(ends[1]);
}

static inline pid_t
program_start(struct program *program, int slot)
{
	char *argv[WORDS_MAX + 1], number[12];
	pid_t pid;
	int error;

	snprintf(number, sizeof number, "%d", slot);
	for (int i = 0; i <= WORDS_MAX; i++)
		argv[i] = program->argv[i] != NULL && strcmp(program->argv[i], "@") == 0 ? number : program->argv[i];
	error = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
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
