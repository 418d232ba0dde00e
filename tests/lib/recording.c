#include "lib/recording.h"

#include <time.h>

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

uint64_t
recording_seed(void)
{
	const char *given = getenv("STILE_SEED");

	return given != NULL ? strtoull(given, NULL, 10) : (uint64_t)now_ns();
}

void
actor_begin(struct actor *actor, struct record *record, uint32_t process, uint64_t seed, uint64_t round)
{
	*actor = (struct actor){.record = record, .process = process, .well = true};
	actor->dice = seed * 0x9e3779b97f4a7c15 + (round << 20) + process + 1;
	actor_throw(actor, 2);
}

unsigned
actor_throw(struct actor *actor, unsigned sides)
{
	actor->dice ^= actor->dice << 13;
	actor->dice ^= actor->dice >> 7;
	actor->dice ^= actor->dice << 17;
	return (unsigned)(actor->dice >> 33) % sides;
}

struct linear_op *
actor_calls(struct actor *actor, uint32_t resource, int kind, int64_t asked)
{
	struct linear_op *op = &actor->record->ops[actor->record->count];

	if (actor->record->count == RECORD_MAX)
		abort();
	*op = (struct linear_op){.returned = LINEAR_NEVER,
	                         .resource = resource,
	                         .process = actor->process,
	                         .kind = kind,
	                         .asked = asked,
	                         .called = now_ns()};
	__atomic_store_n(&actor->record->count, actor->record->count + 1, __ATOMIC_SEQ_CST);
	return op;
}

void
actor_returns(struct actor *actor, struct linear_op *op, enum stile_status status)
{
	int64_t now = now_ns();

	switch (status) {
	case STILE_OK:
		op->status = LINEAR_OK;
		break;
	case STILE_HELD:
	case STILE_BUSY:
		op->status = LINEAR_HELD;
		break;
	case STILE_CONFLICT:
		op->status = LINEAR_CONFLICT;
		break;
	case STILE_NO_SUCH:
		op->status = LINEAR_NO_SUCH;
		break;
	case STILE_NOT_ALLOWED:
		op->status = LINEAR_NOT_ALLOWED;
		break;
	default:
		fprintf(stderr, "recording: process %u: status %d\n", actor->process, status);
		actor->well = false;
		return;
	}
	__atomic_store_n(&op->returned, now, __ATOMIC_SEQ_CST);
}
