/*
 * A place at which processes meet, once: each goes on when the last has come, or when the first to lose patience leaves.
 * It lies in memory that they share.  A process that dies while it holds the lock opens it for the others.
 */
#ifndef DIAGNOSE_BARRIER_H
#define DIAGNOSE_BARRIER_H

#include "base/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct barrier {
	pthread_mutex_t lock;
	pthread_cond_t opens;
	unsigned parties;
	unsigned here;
	bool open;
	bool met; /* it opened because all were there */
};

/* IO_FAILED when the system has no locks that processes can share. */
enum status barrier_init(struct barrier *barrier, unsigned parties) MUST_CHECK;

/* Whether all came.  Blocks until they have, or until somebody has waited for `limit_ms`; from then on it answers at once. */
bool barrier_meet(struct barrier *barrier, int64_t limit_ms);

/* Says that the caller will not come: nobody waits any longer. */
void barrier_give_up(struct barrier *barrier);

#endif
