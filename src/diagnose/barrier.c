#include "diagnose/barrier.h"

#include <errno.h>

static int
init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t how;
	int error = pthread_mutexattr_init(&how);

	if (error != 0)
		return error;
	error = pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
	if (error == 0)
		error = pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
	if (error == 0)
		error = pthread_mutex_init(lock, &how);
	pthread_mutexattr_destroy(&how);
	return error;
}

static int
init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t how;
	int error = pthread_condattr_init(&how);

	if (error != 0)
		return error;
	error = pthread_condattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
	if (error == 0)
		error = pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
	if (error == 0)
		error = pthread_cond_init(condition, &how);
	pthread_condattr_destroy(&how);
	return error;
}

enum status
barrier_init(struct barrier *barrier, unsigned parties)
{
	*barrier = (struct barrier){.parties = parties};
	return init_lock(&barrier->lock) == 0 && init_condition(&barrier->opens) == 0 ? OK : IO_FAILED;
}

static struct timespec
after_ms(int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return until;
}

static void
open_up(struct barrier *barrier, bool met)
{
	if (barrier->open)
		return;
	barrier->open = true;
	barrier->met = met;
	pthread_cond_broadcast(&barrier->opens);
}

/* What locking and waiting may bring: a party that died inside will not come any more. */
static void
take_over(struct barrier *barrier, int error)
{
	if (error != EOWNERDEAD)
		return;
	pthread_mutex_consistent(&barrier->lock);
	open_up(barrier, false);
}

bool
barrier_meet(struct barrier *barrier, int64_t limit_ms)
{
	struct timespec until = after_ms(limit_ms);
	bool met;

	take_over(barrier, pthread_mutex_lock(&barrier->lock));
	if (++barrier->here == barrier->parties)
		open_up(barrier, true);
	while (!barrier->open) {
		int error = pthread_cond_timedwait(&barrier->opens, &barrier->lock, &until);

		take_over(barrier, error);
		if (error == ETIMEDOUT)
			open_up(barrier, false);
	}
	met = barrier->met;
	pthread_mutex_unlock(&barrier->lock);
	return met;
}

void
barrier_give_up(struct barrier *barrier)
{
	take_over(barrier, pthread_mutex_lock(&barrier->lock));
	open_up(barrier, false);
	pthread_mutex_unlock(&barrier->lock);
}
