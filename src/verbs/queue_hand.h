/*
 * What was claimed is handed to whoever took it, each item with its payload, wherever that is.
 */
#ifndef VERBS_QUEUE_HAND_H
#define VERBS_QUEUE_HAND_H

#include "core/queue_claim.h"
#include "verbs/verb.h"

/*
 * Adds them to the array.  One whose payload can't be had goes back with the reason, as `actor`, who claimed it, and keeps no other
 * from the caller: OK if there is any, else why there is none.
 */
enum status queue_hand_out(struct call *call, const char *actor, const struct queue_taken *taken, json_t *out) MUST_CHECK;

#endif
