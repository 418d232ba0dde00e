/*
 * Many processes that each call one thing again and again for a while, beginning together: what they did, and how evenly.
 * Prints for each process "calls N M": N ended in time, M in all, since the last one may end long after it; "failed N" for all;
 * and "latency P50 P99 MAX" of all calls, in microseconds.
 */
#ifndef BENCH_MANY_H
#define BENCH_MANY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS_MAX 64
#define CALLS_MAX 65536

struct worker {
	/* In the process `number` (0..): makes ready; NULL = it can't. */
	void *(*open)(const void *arg, int number);
	/* One call; whether it was done for sure. */
	bool (*call)(void *opened);
	void (*close)(void *opened);
	const void *arg;
};

struct tally {
	uint32_t in_time;
	uint32_t calls;
	uint32_t failed;
	uint32_t took[CALLS_MAX]; /* microseconds */
};

struct common {
	_Atomic int ready;
	_Atomic int64_t ends; /* 0 = not begun */
	struct tally tallies[WORKERS_MAX];
};

static inline int64_t
many_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline void
many_pause(void)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	nanosleep(&pause, NULL);
}

static inline void
many_work(const struct worker *worker, struct common *common, int number)
{
	struct tally *tally = &common->tallies[number];
	void *opened = worker->open(worker->arg, number);
	int64_t ends, now, before;

	if (opened == NULL)
		tally->failed++;
	common->ready++;
	while ((ends = common->ends) == 0)
		many_pause();
	before = many_now_us();
	while (opened != NULL && before < ends) {
		bool done = worker->call(opened);

		now = many_now_us();
		if (!done)
			tally->failed++;
		else if (tally->calls < CALLS_MAX)
			tally->took[tally->calls++] = (uint32_t)(now - before);
		if (done && now <= ends)
			tally->in_time++;
		before = now;
	}
	if (opened != NULL)
		worker->close(opened);
}

static inline int
many_compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static inline void
many_print(const struct common *common, int count)
{
	uint32_t *all = malloc(sizeof *all * CALLS_MAX * WORKERS_MAX), failed = 0;
	size_t total = 0;

	for (int i = 0; i < count; i++) {
		const struct tally *tally = &common->tallies[i];

		printf("calls %u %u\n", tally->in_time, tally->calls);
		failed += tally->failed;
		for (uint32_t n = 0; all != NULL && n < tally->calls; n++)
			all[total++] = tally->took[n];
	}
	printf("failed %u\n", failed);
	if (total > 0) {
		qsort(all, total, sizeof *all, many_compare);
		printf("latency %u %u %u\n", all[total / 2], all[total - 1 - total / 100], all[total - 1]);
	}
	free(all);
}

/* The exit status: 0 when every process could begin and ended by itself. */
static inline int
many_run(const struct worker *worker, int count, int64_t length_us)
{
	/* cppcheck-suppress invalidFunctionArg ; no file */
	struct common *common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, bad = 0;

	if (common == MAP_FAILED || count < 1 || count > WORKERS_MAX)
		return 1;
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			many_work(worker, common, i);
			_exit(0);
		}
		if (pid < 0)
			return 1;
	}
	while (common->ready < count)
		many_pause();
	common->ends = many_now_us() + length_us;
	while (wait(&status) > 0)
		bad += status != 0;
	many_print(common, count);
	return bad > 0;
}

#endif
