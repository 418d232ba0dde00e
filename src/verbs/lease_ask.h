/* What the verbs of every noun that is leased are told and tell alike. */
#ifndef VERBS_LEASE_ASK_H
#define VERBS_LEASE_ASK_H

#include "verbs/verb.h"

/* The process that --pid names; pid 0 when it isn't given.  BAD_INPUT when there is no such process here. */
enum status ask_process(const struct call *call, struct process *out) MUST_CHECK;

/*
 * The lease that --lock and --fence name: its resource, "" when they aren't given.  A lock by its name; a task's or a turn's lease
 * by its resource.  USAGE when one is given without the other, BAD_INPUT.
 */
enum status ask_fence(const struct call *call, char lock[RESOURCE_MAX + 1], int64_t *fence, struct buf *why) MUST_CHECK;

/* Adds to a refusal (HELD, BUSY, CONFLICT) who has it: resource, holder, since_ms, until_ms. */
void tell_holder(json_t *result, enum status status, const struct lease *other);

#endif
