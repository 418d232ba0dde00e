/*
 * Events that programs are fed with.  A folder of them holds, for each slot N, `payload.N` (given on stdin, through a pipe as
 * clients do it) and `transcript.N`, which grows by one `record` before each start; SERIAL in either becomes a number that no
 * other start has.
 */
#ifndef BENCH_FEED_H
#define BENCH_FEED_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLOTS_MAX 64
#define FEED_MAX 65536 /* what a pipe takes in without a reader */
#define SERIAL "@@@@@@@@@@@@@@@@"

struct feed {
	struct {
		char *payload;
		size_t len;
		char *serial; /* where it stands in the payload; NULL = nowhere */
		int transcript;
	} slots[SLOTS_MAX];
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
feed_read(const char *folder, const char *name, size_t *len)
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
feed_open(struct feed *feed, const char *folder, int slots)
{
	char name[32], path[4096];

	feed->record = feed_read(folder, "record", &feed->record_len);
	feed->serial = strstr(feed->record, SERIAL);
	if (feed->serial == NULL)
		die(folder);
	for (int i = 0; i < slots; i++) {
		snprintf(name, sizeof name, "payload.%d", i);
		feed->slots[i].payload = feed_read(folder, name, &feed->slots[i].len);
		feed->slots[i].serial = strstr(feed->slots[i].payload, SERIAL);
		snprintf(path, sizeof path, "%s/transcript.%d", folder, i);
		feed->slots[i].transcript = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
		if (feed->slots[i].transcript < 0)
			die(path);
	}
}

/* The next event of a slot: its transcript grows, and the payload waits on our own stdin for who is started next. */
static inline void
feed_next(struct feed *feed, int slot)
{
	char serial[sizeof SERIAL];
	int ends[2];

	snprintf(serial, sizeof serial, "%016llx", (unsigned long long)now_ns());
	memcpy(feed->serial, serial, sizeof serial - 1);
	if (feed->slots[slot].serial != NULL)
		memcpy(feed->slots[slot].serial, serial, sizeof serial - 1);
	if (write(feed->slots[slot].transcript, feed->record, feed->record_len) < 0 || pipe2(ends, O_CLOEXEC) != 0)
		die("feed");
	if (write(ends[1], feed->slots[slot].payload, feed->slots[slot].len) < 0 || dup2(ends[0], STDIN_FILENO) < 0)
		die("feed");
	close(ends[0]);
	close(ends[1]);
}

#endif
