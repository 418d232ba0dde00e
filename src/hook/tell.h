/*
 * What an event's answer says to the model and the person, in words.  What others wrote (instructions, their values) is data:
 * it stands on one line, marked with its author, and can't be taken for a line of ours.
 */
#ifndef HOOK_TELL_H
#define HOOK_TELL_H

#include "hook/hook.h"

/* Of a start: who else is here. */
void tell_peers(const struct event_answer *answer, struct buf *out);

/* That another session has the codebase: a start says it, a prompt and a tool are blocked. */
void tell_refusal(const struct event *event, const char *why, struct hook_answer *out);

/* The checkpoints that nobody was told of. */
void tell_checkpoints(const struct event_answer *answer, struct hook_answer *out);

/* That no queue took what was to be kept. */
void tell_dropped(const struct event *event, const struct event_answer *answer, struct buf *out);

/* The instructions that stand, or what changed in them; within the configured bytes, saying how many more there are. */
void tell_instructions(const struct config *config, const struct event_answer *answer, struct buf *out);

#endif
