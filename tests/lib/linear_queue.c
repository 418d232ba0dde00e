#include "lib/linear.h"

#include <string.h>

/* Of those that are pending or claimed, the lowest number first. */
struct kept {
	int64_t until_ms;
	int32_t number; /* 0 = there is none */
	int32_t generation;
	int32_t process;
	int32_t claimed;
};

struct queue {
	int64_t last;
	int64_t now_ms; /* of the last claim or renewal */
	struct kept items[LINEAR_QUEUE_MAX];
};

_Static_assert(sizeof(struct queue) <= LINEAR_STATE_MAX, "a state has room");

static bool
is_known(const struct linear_op *op)
{
	return op->returned != LINEAR_NEVER;
}

static int
count(const struct queue *state)
{
	int items = 0;

	while (items < LINEAR_QUEUE_MAX && state->items[items].number != 0)
		items++;
	return items;
}

/* Full is an answer; else the next number. */
static bool
put(struct queue *state, const struct linear_op *op)
{
	int items = count(state);

	if (is_known(op) && op->status == LINEAR_HELD)
		return items == LINEAR_QUEUE_MAX;
	if (items == LINEAR_QUEUE_MAX || (is_known(op) && (op->status != LINEAR_OK || op->got != state->last + 1)))
		return false;
	state->items[items].number = (int32_t)++state->last;
	return true;
}

static void
set_free(struct kept *item)
{
	item->claimed = item->process = 0;
	item->until_ms = 0;
}

/* Whoever claims looks at all claims first: what is overdue ends. */
static void
end_overdue(struct queue *state, int64_t now_ms)
{
	state->now_ms = now_ms;
	for (int i = 0; i < LINEAR_QUEUE_MAX; i++)
		if (state->items[i].until_ms <= now_ms)
			set_free(&state->items[i]);
}

/* How many may be claimed side by side: of a line only the first. */
static int
at_a_time(const struct linear_model *model, const struct queue *state)
{
	int items = count(state);

	return items < model->slots ? items : (int)model->slots;
}

static bool
find_nothing(const struct linear_model *model, const struct queue *state)
{
	for (int i = 0; i < at_a_time(model, state); i++)
		if (!state->items[i].claimed || state->items[i].until_ms <= state->now_ms)
			return false;
	return true;
}

static bool
take(const struct linear_model *model, struct queue *state, const struct linear_op *op)
{
	struct kept *item = NULL;

	if (is_known(op) && op->status == LINEAR_NO_SUCH)
		return state->last == 0;
	if (is_known(op) && op->status == LINEAR_HELD)
		return find_nothing(model, state);
	if (is_known(op) && (op->status != LINEAR_OK || op->at_ms < state->now_ms || op->until_ms <= op->at_ms))
		return false;
	if (is_known(op))
		end_overdue(state, op->at_ms);
	for (int i = 0; i < at_a_time(model, state) && item == NULL; i++)
		if (!state->items[i].claimed)
			item = &state->items[i];
	if (item == NULL || (is_known(op) && (item->number != op->got || item->generation + 1 != op->slot)))
		return false;
	item->generation++;
	item->claimed = 1;
	item->process = (int32_t)op->process;
	item->until_ms = is_known(op) ? op->until_ms : INT64_MAX;
	return true;
}

static struct kept *
claim_of(struct queue *state, const struct linear_op *op)
{
	for (int i = 0; i < LINEAR_QUEUE_MAX; i++)
		if (state->items[i].claimed && state->items[i].number == op->asked && state->items[i].generation == op->wrote)
			return &state->items[i];
	return NULL;
}

static bool
use_claim(struct queue *state, const struct linear_op *op)
{
	struct kept *item = claim_of(state, op);

	if (is_known(op) && op->status == LINEAR_HELD)
		return item == NULL;
	if (item == NULL || (is_known(op) && op->status != LINEAR_OK))
		return false;
	if (op->kind == QUEUE_NACK) {
		set_free(item);
	} else if (op->kind == QUEUE_ACK) {
		memmove(item, item + 1, (size_t)(&state->items[LINEAR_QUEUE_MAX] - item - 1) * sizeof *item);
		memset(&state->items[LINEAR_QUEUE_MAX - 1], 0, sizeof *item);
	} else if (!is_known(op)) {
		item->until_ms = INT64_MAX;
	} else {
		if (op->at_ms < state->now_ms)
			return false;
		state->now_ms = op->at_ms;
		item->until_ms = op->until_ms;
	}
	return true;
}

/* From its death on a process's claims may end at any time. */
static bool
die(struct queue *state, const struct linear_op *op)
{
	bool any = false;

	for (int i = 0; i < LINEAR_QUEUE_MAX; i++)
		if (state->items[i].claimed && state->items[i].process == (int32_t)op->process) {
			set_free(&state->items[i]);
			any = true;
		}
	return any;
}

static bool
look(const struct queue *state, const struct linear_op *op)
{
	int64_t claimed = 0;

	if (!is_known(op))
		return false;
	if (op->status == LINEAR_NO_SUCH)
		return state->last == 0;
	for (int i = 0; i < LINEAR_QUEUE_MAX; i++)
		claimed += state->items[i].claimed;
	return op->status == LINEAR_OK && op->got == count(state) && op->slot == claimed;
}

/* What was answered as done stays done for the claim that did it, however often that asks. */
static bool
is_done(const struct queue *state, const struct linear_op *op)
{
	if (!is_known(op))
		return false;
	for (int i = 0; i < LINEAR_QUEUE_MAX; i++)
		if (state->items[i].number == op->asked)
			return false;
	return op->status == LINEAR_OK && op->asked <= state->last;
}

static bool
queue_step(const struct linear_model *model, void *state, const struct linear_op *op)
{
	switch (op->kind) {
	case QUEUE_PUT:
		return put(state, op);
	case QUEUE_TAKE:
		return take(model, state, op);
	case QUEUE_DIE:
		return die(state, op);
	case QUEUE_LOOK:
		return look(state, op);
	case QUEUE_ACK_AGAIN:
		return is_done(state, op);
	default:
		return use_claim(state, op);
	}
}

static const char *const kinds[] = {"take", "renew", "nack", "die", "ack", "put", "look", "ack again"};

const struct linear_model linear_line = {"line", sizeof(struct queue), 1, queue_step, kinds};
const struct linear_model linear_heap = {"heap", sizeof(struct queue), LINEAR_QUEUE_MAX, queue_step, kinds};
