/*
 * `stile serve [--idle D]`: the resident of a store on a server.  It holds connections, so that a hook need not connect.  It is never
 * needed: what isn't answered here is done by the one who asked.
 *
 * A parent listens and keeps at least one idle worker, a process with a connection of its own; there are as many as work at once,
 * up to WORKERS_MAX, and those that are not needed end.  The parent leaves when nothing was asked for the idle time, by
 * SIGTERM, SIGINT or SIGHUP, and when its program was replaced; work that was begun is ended first.
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

#include "verbs/verb.h"

#define SERVE_IDLE_MS 300000

/* What the program does when it is called with these words; the exit status. */
typedef int serve_function(struct context *context, int count, char **words, int64_t began_boot_ms);

/* Runs until it leaves; the exit status.  `words`: those after `serve`.  `context` has its opener and program set. */
int serve_run(struct context *context, serve_function *run, int count, char **words);

/* Begins one for the context's codebase that outlives us and holds nothing of ours.  Best effort: it may be there already. */
void serve_start(const struct context *context);

#endif
