/*
 * Exclusive mode: with `[stile] exclusive = refuse` or `wait` one session at a time works on the codebase.  It holds the lease
 * `codebase` until it ends, its process is gone, or nothing was heard of it for ten minutes.  Nobody is sent a signal: another
 * session's prompts and tool calls are blocked, with `wait` after a wait.
 *
 * Without the mode nothing of this reaches the store.
 */
#ifndef VERBS_EXCLUSIVE_H
#define VERBS_EXCLUSIVE_H

#include "core/event.h"
#include "verbs/lease_hold.h"

#define CODEBASE "codebase"
#define EXCLUSIVE_TTL_MS 600000 /* since the last event */

bool exclusive_is_on(const struct config *config);

/* What one waits for the codebase who didn't say: 0 with `refuse`. */
int64_t exclusive_wait_ms(const struct config *config);

/*
 * The session has the codebase, from now or still.  HELD, BUSY after a wait, CONFLICT for a ring: with `why` for people and
 * *holder.  Blocks up to wait_ms.
 */
enum status exclusive_enter(struct context *context, const struct session *session, int64_t wait_ms, struct lease *holder,
                            struct buf *why) MUST_CHECK;

/*
 * Around the rule of a hook's event, which it may silence: `refusal` gets the line that blocks a prompt or a tool, or that a
 * start tells.  OK with either outcome; else as exclusive_enter and engine_run.
 */
enum status exclusive_before(struct context *context, struct event *event, struct buf *refusal, struct buf *why) MUST_CHECK;
enum status exclusive_after(struct context *context, const struct event *event, const struct session *session,
                            struct buf *refusal, struct buf *why) MUST_CHECK;

#endif
