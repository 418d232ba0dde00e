#include "lib/linear.h"

#include <string.h>

#define SLOTS_MAX 3
#define CLOCK_MS 2 /* that two readings of clocks in whole ms may be apart */

struct leased {
	int64_t last;   /* fence */
	int64_t now_ms; /* of the last grant or renewal */
	int64_t done;   /* the fence by which it was; 0 = it isn't */
	struct {
		int64_t fence; /* 0 = free */
		int64_t until_ms;
		int64_t process;
		int64_t due_ns; /* on the processes' clock: it can't be overdue before */
	} slots[SLOTS_MAX];
};

_Static_assert(sizeof(struct leased) <= LINEAR_STATE_MAX, "a state has room");

static bool
is_known(const struct linear_op *op)
{
	return op->returned != LINEAR_NEVER;
}

static int64_t
slot_of(const struct linear_model *model, const struct leased *state, int64_t fence)
{
	for (int64_t slot = 0; slot < model->slots; slot++)
		if (fence > 0 && state->slots[slot].fence == fence)
			return slot;
	return -1;
}

static int64_t
due(const struct linear_op *op)
{
	return op->called + (op->until_ms - op->at_ms - CLOCK_MS) * 1000000;
}

static bool
hold(struct leased *state, int64_t slot, const struct linear_op *op, int64_t until_ms)
{
	state->last++;
	state->slots[slot].fence = state->last;
	state->slots[slot].until_ms = until_ms;
	state->slots[slot].process = op->process;
	state->slots[slot].due_ns = until_ms == INT64_MAX ? INT64_MAX : due(op);
	return true;
}

/* A killed process's: the lowest free slot, else the one that is overdue first, until it is found dead. */
static bool
acquire_unknown(const struct linear_model *model, struct leased *state, const struct linear_op *op)
{
	int64_t first = 0;

	for (int64_t slot = 0; slot < model->slots; slot++) {
		if (state->slots[slot].fence == 0)
			return hold(state, slot, op, INT64_MAX);
		if (state->slots[slot].until_ms < state->slots[first].until_ms)
			first = slot;
	}
	return state->slots[first].until_ms < INT64_MAX && hold(state, first, op, INT64_MAX);
}

/* Whether it was overdue: the instant of a later grant says so, or it can have been as the processes' clock goes. */
static bool
can_be_late(const struct leased *state, int64_t slot, const struct linear_op *op)
{
	return state->slots[slot].until_ms <= state->now_ms || state->slots[slot].due_ns <= op->returned;
}

/* A refusal to one who holds it no more: another has its slot, or whoever looked found it overdue. */
static bool
is_lost(struct leased *state, int64_t slot, const struct linear_op *op)
{
	if (slot < 0)
		return true;
	if (!can_be_late(state, slot, op))
		return false;
	memset(&state->slots[slot], 0, sizeof state->slots[slot]);
	return true;
}

/* Refused: all slots are taken.  Granted: its slot is free, or overdue at that instant of the store's clock, which only grows. */
static bool
acquire(const struct linear_model *model, struct leased *state, const struct linear_op *op)
{
	bool full = true;

	if (!is_known(op))
		return acquire_unknown(model, state, op);
	for (int64_t slot = 0; slot < model->slots; slot++)
		full = full && state->slots[slot].fence != 0;
	if (op->status == LINEAR_HELD)
		return full;
	if (op->status != LINEAR_OK || op->slot < 0 || op->slot >= model->slots || op->got != state->last + 1)
		return false;
	if (op->at_ms < state->now_ms || op->until_ms <= op->at_ms)
		return false;
	if (state->slots[op->slot].fence != 0 && state->slots[op->slot].until_ms > op->at_ms)
		return false;
	state->now_ms = op->at_ms;
	return hold(state, op->slot, op, op->until_ms);
}

static bool
renew(const struct linear_model *model, struct leased *state, const struct linear_op *op)
{
	int64_t slot = slot_of(model, state, op->asked);

	if (!is_known(op)) {
		if (slot >= 0)
			state->slots[slot].until_ms = state->slots[slot].due_ns = INT64_MAX;
		return slot >= 0;
	}
	if (op->status == LINEAR_HELD)
		return is_lost(state, slot, op);
	if (op->status != LINEAR_OK || slot < 0 || op->at_ms < state->now_ms)
		return false;
	state->now_ms = op->at_ms;
	state->slots[slot].until_ms = op->until_ms;
	state->slots[slot].due_ns = due(op);
	return true;
}

static bool
release(const struct linear_model *model, struct leased *state, const struct linear_op *op)
{
	int64_t slot = slot_of(model, state, op->asked);

	if (is_known(op) && op->status != LINEAR_OK)
		return op->status == LINEAR_HELD && is_lost(state, slot, op);
	if (slot < 0)
		return false;
	memset(&state->slots[slot], 0, sizeof state->slots[slot]);
	return true;
}

/* From its death on a process's leases may end at any time. */
static bool
die(const struct linear_model *model, struct leased *state, const struct linear_op *op)
{
	bool any = false;

	for (int64_t slot = 0; slot < model->slots; slot++)
		if (state->slots[slot].fence != 0 && state->slots[slot].process == op->process) {
			memset(&state->slots[slot], 0, sizeof state->slots[slot]);
			any = true;
		}
	return any;
}

static bool
lease_step(const struct linear_model *model, void *state, const struct linear_op *op)
{
	switch (op->kind) {
	case LEASE_ACQUIRE:
		return acquire(model, state, op);
	case LEASE_RENEW:
		return renew(model, state, op);
	case LEASE_RELEASE:
		return release(model, state, op);
	default:
		return die(model, state, op);
	}
}

static bool
counter_step(const struct linear_model *model, void *data, const struct linear_op *op)
{
	int64_t *state = data;

	(void)model;
	if (op->kind == COUNTER_READ)
		return !is_known(op) || *state == op->got;
	*state += op->asked;
	return true;
}

struct text {
	int64_t version;
	int64_t text;
};

static bool
instruction_step(const struct linear_model *model, void *data, const struct linear_op *op)
{
	struct text *state = data;

	(void)model;
	if (op->kind == TEXT_READ)
		return !is_known(op) || (op->slot == state->version && op->got == state->text);
	if (is_known(op) && op->status == LINEAR_CONFLICT)
		return state->version != op->asked;
	if (state->version != op->asked || (is_known(op) && op->got != op->asked + 1))
		return false;
	state->version++;
	state->text = op->wrote;
	return true;
}

struct token {
	int64_t generation; /* 0 = there is none */
	int64_t scope;
	int64_t now_ms; /* of the last grant or consumption */
	int64_t until_ms;
	int64_t due_ns; /* on the processes' clock: it can't expire before */
	int64_t consumed;
	int64_t consumed_ms; /* 0 = nobody knows */
};

static bool
is_armed(const struct token *state)
{
	return state->generation > 0 && !state->consumed;
}

/* Whether it can have expired when nothing says at which instant that was seen. */
static bool
expires(struct token *state, const struct linear_op *op)
{
	if (state->until_ms > state->now_ms && state->due_ns > op->returned)
		return false;
	if (state->until_ms != INT64_MAX && state->until_ms > state->now_ms)
		state->now_ms = state->until_ms;
	return true;
}

static bool
issue(struct token *state, const struct linear_op *op)
{
	struct token next = {.generation = state->generation + 1, .scope = op->asked, .now_ms = state->now_ms};

	if (is_known(op) && op->status == LINEAR_CONFLICT)
		return is_armed(state) && op->got == state->generation && state->until_ms > state->now_ms;
	if (!is_known(op)) {
		if (is_armed(state) && !expires(state, op))
			return false;
		next.now_ms = state->now_ms;
		next.until_ms = INT64_MAX;
		next.due_ns = op->called;
	} else {
		if (op->status != LINEAR_OK || op->got != next.generation || op->at_ms < state->now_ms || op->until_ms <= op->at_ms)
			return false;
		if (is_armed(state) && state->until_ms > op->at_ms && state->until_ms != INT64_MAX)
			return false;
		next.now_ms = op->at_ms;
		next.until_ms = op->until_ms;
		next.due_ns = due(op);
	}
	*state = next;
	return true;
}

static bool
consume(struct token *state, const struct linear_op *op)
{
	if (!is_armed(state) || state->scope != op->asked)
		return false;
	if (is_known(op) && (op->at_ms < state->now_ms || op->at_ms >= state->until_ms))
		return false;
	state->consumed = true;
	if (is_known(op))
		state->now_ms = state->consumed_ms = op->at_ms;
	return true;
}

static bool
token_step(const struct linear_model *model, void *data, const struct linear_op *op)
{
	struct token *state = data;

	(void)model;
	if (op->kind == TOKEN_ISSUE)
		return issue(state, op);
	if (!is_known(op))
		return consume(state, op);
	if (op->got != state->generation)
		return false;
	switch (op->status) {
	case LINEAR_OK:
		return consume(state, op);
	case LINEAR_HELD:
		return state->consumed && (state->consumed_ms == 0 || state->consumed_ms == op->at_ms);
	case LINEAR_CONFLICT:
		return is_armed(state) && expires(state, op);
	case LINEAR_NOT_ALLOWED:
		return is_armed(state) && state->scope != op->asked && state->until_ms > state->now_ms;
	default:
		return state->generation == 0;
	}
}

/* One who is late, but holds it still, is refused, and may renew. */
static bool
done(const struct linear_model *model, struct leased *state, const struct linear_op *op)
{
	int64_t slot = slot_of(model, state, op->asked);

	if (is_known(op) && op->status == LINEAR_HELD)
		return slot < 0 || can_be_late(state, slot, op);
	if ((is_known(op) && op->status != LINEAR_OK) || slot < 0)
		return false;
	memset(&state->slots[slot], 0, sizeof state->slots[slot]);
	state->done = op->asked;
	return true;
}

static bool
task_step(const struct linear_model *model, void *data, const struct linear_op *op)
{
	struct leased *state = data;

	if (op->kind != TASK_DIE && is_known(op) && op->status == LINEAR_CONFLICT)
		return state->done != 0 && op->got == state->done;
	if (state->done != 0)
		return false;
	return op->kind == TASK_DONE ? done(model, state, op) : lease_step(model, state, op);
}

static const char *const lease_kinds[] = {"acquire", "renew", "release", "die"};
static const char *const counter_kinds[] = {"add", "read"};
static const char *const text_kinds[] = {"edit", "read"};
static const char *const token_kinds[] = {"issue", "consume"};
static const char *const task_kinds[] = {"claim", "renew", "release", "die", "done"};

const struct linear_model linear_lock = {"lock", sizeof(struct leased), 1, lease_step, lease_kinds};
const struct linear_model linear_semaphore = {"semaphore", sizeof(struct leased), 2, lease_step, lease_kinds};
const struct linear_model linear_counter = {"counter", sizeof(int64_t), 0, counter_step, counter_kinds};
const struct linear_model linear_instruction = {"instruction", sizeof(struct text), 0, instruction_step, text_kinds};
const struct linear_model linear_token = {"token", sizeof(struct token), 0, token_step, token_kinds};
const struct linear_model linear_task = {"task", sizeof(struct leased), 1, task_step, task_kinds};
