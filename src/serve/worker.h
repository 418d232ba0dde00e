/* One of a resident's workers: a process that takes one request after another and does each as the program itself would. */
#ifndef SERVE_WORKER_H
#define SERVE_WORKER_H

#include "serve/serve.h"

#include <stdatomic.h>
#include <stdnoreturn.h>

#define WORKERS_MAX 16

enum slot_state { SLOT_FREE, SLOT_STARTING, SLOT_IDLE, SLOT_BUSY };

/* What parent and workers know of each other: in memory that they share. */
struct board {
	_Atomic int slots[WORKERS_MAX];
	_Atomic int64_t last_ms; /* by clock_boot_ms: when work last began or ended */
	_Atomic uint32_t served;
};

/* What a worker tells its parent, one byte each. */
#define TOLD_NONE_IDLE 'n'
#define TOLD_OTHER_KEY 'k'

struct worker {
	struct context *context;
	serve_function *run;
	struct board *board;
	const struct buf *key;
	int slot;
	int listener;
	int parent; /* non-blocking, to be written to */
};

/* Whether a worker is idle or about to be. */
bool board_has_idle(const struct board *board);

/* In the child; signals are as they were before the parent was.  SIGTERM ends it between two requests. */
noreturn void worker_run(const struct worker *worker);

#endif
