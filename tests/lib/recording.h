/*
 * A history as it is made (lib/linear.h): what each process asks is written down before it is done, in memory that all share, and
 * its answer when it came.  Whoever is killed leaves what it was at without an end.
 */
#ifndef LIB_RECORDING_H
#define LIB_RECORDING_H

#include "lib/codebase.h"
#include "lib/linear.h"

#define RECORD_MAX 1000 /* of one process, or of those that it starts one after another */

struct record {
	struct linear_op ops[RECORD_MAX];
	uint32_t count;
};

/* A process that does as the dice say. */
struct actor {
	struct record *record;
	uint32_t process;
	uint64_t dice;
	bool well; /* no answer was a failure */
};

/* $STILE_SEED, else another each time. */
uint64_t recording_seed(void);

/* `seed` and what else tells this actor's dice from others'. */
void actor_begin(struct actor *actor, struct record *record, uint32_t process, uint64_t seed, uint64_t round);

/* 0 .. sides - 1 */
unsigned actor_throw(struct actor *actor, unsigned sides);

/* Before it is asked. */
struct linear_op *actor_calls(struct actor *actor, uint32_t resource, int kind, int64_t asked);

/* When it is answered, and the answer is in *op.  A failure is told on stderr, and stays without an end. */
void actor_returns(struct actor *actor, struct linear_op *op, enum stile_status status);

#endif
