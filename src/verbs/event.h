/* What the hook front does with an event once it is in our words. */
#ifndef VERBS_EVENT_H
#define VERBS_EVENT_H

#include "core/event.h"
#include "verbs/verb.h"

/*
 * Where the reading of the event's transcript goes on, before the rule runs: fills *main and *lagging (path "" = none).
 * The store is open.  One round trip.
 */
enum status event_positions(struct context *context, const struct event *event, struct transcript *main,
                            struct transcript *lagging, struct buf *why) MUST_CHECK;

/*
 * Runs the event's rule, and whatever is due to ride along (dead agents, hooks for new worktrees), whose failure is not the
 * event's.  The caller releases *answer.
 */
enum status event_handle(struct context *context, struct event *event, struct event_answer *answer, struct buf *why) MUST_CHECK;

/* One more event that could not be used: audited. */
enum status event_dropped(struct context *context, const char *client, const char *reason, struct buf *why) MUST_CHECK;

/* The level of a session's pressure by the configured profile, and how many peers it has: for the status line. */
enum status event_standing(struct context *context, const struct session *session, struct pressure *out, size_t *peers,
                           struct buf *why) MUST_CHECK;

/* The peers of a session among `others`: live, no phantoms, their process not proven gone.  Reorders; the number kept. */
size_t event_peers(struct context *context, struct session_list *others, int64_t now_ms);

#endif
