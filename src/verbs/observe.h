/*
 * What is kept of an event for others who come later: what a tool did, in the queue `observations`, and what a person said, in
 * `prompts`.  Nothing unless [observe] says so.  Secrets are taken out before anything is written (base/redact.h); a pattern of
 * the user's that can't be followed keeps everything out.
 *
 * An observation: {"tool", "tool_use", "input", "response", "cwd", "agent", "agent_type"}; a prompt: {"prompt", "cwd"}.  What the
 * client didn't say isn't there.
 */
#ifndef VERBS_OBSERVE_H
#define VERBS_OBSERVE_H

#include "base/redact.h"
#include "core/event.h"
#include "verbs/verb.h"

#define OBSERVATIONS "observations"
#define PROMPTS "prompts"

struct observation {
	struct queue_put put;
	struct buf payload;
	struct buf why;
	char key[ID_MAX + 1], digest[DIGEST_SIZE], apart[ID_SIZE];
};

/*
 * Before the event's rule: makes what is to be kept of it and says so in event->keep, which points into *out.  The store is
 * open.  A large one is in its file then (verbs/payload.h).
 */
void observation_make(struct context *context, struct event *event, struct observation *out);

/* After the rule, which ended with `status`: what wasn't put (`kept` false) goes. */
void observation_end(struct context *context, struct observation *observation, enum status status, bool kept);

/* The user's patterns ([redact]).  BAD_CONFIG with `why`. */
enum status observation_redactor(const struct config *config, struct redactor *out, struct buf *why) MUST_CHECK;

#endif
