/* What the verbs of every noun that is leased are told and tell alike. */
#ifndef VERBS_LEASE_ASK_H
#define VERBS_LEASE_ASK_H

#include "verbs/verb.h"

/* The process that --pid names; pid 0 when it isn't given.  BAD_INPUT when there is no such process here. */
enum status ask_process(const struct call *call, struct process *out) MUST_CHECK;

/* Adds to a refusal (HELD, BUSY, CONFLICT) who has it: resource, holder, since_ms, until_ms. */
void tell_holder(json_t *result, enum status status, const struct lease *other);

#endif
