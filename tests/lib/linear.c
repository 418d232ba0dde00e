#include "lib/linear.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define AROUND 12 /* operations that are told of on each side */

/* Calls and returns of the known operations of one resource, in time; what is placed is taken out. */
struct event {
	uint32_t op;
	bool returns;
	uint32_t before, after;
};

struct placed {
	uint32_t op;
	unsigned char state[LINEAR_STATE_MAX]; /* before it */
};

/* What was tried: a table of keys that lie one after another. */
struct memory {
	size_t *slots; /* offset + 1; 0 = free */
	size_t cap, count;
	unsigned char *bytes;
	size_t len, bytes_cap;
};

struct search {
	const struct linear_model *model;
	const struct linear_op *ops; /* the known first, by their calls; then the others */
	uint32_t known, count;
	struct event *events; /* 0 is the head; one more than there are is the end */
	uint32_t *call_of, *return_of;
	uint64_t *done;
	struct placed *stack;
	uint32_t depth, left, furthest, stuck;
	unsigned char state[LINEAR_STATE_MAX];
	struct memory memory;
	unsigned char *key;
};

static void *
have(size_t count, size_t size)
{
	void *memory = calloc(count + 1, size);

	if (memory == NULL)
		abort();
	return memory;
}

static uint64_t
hash(const unsigned char *bytes, size_t len)
{
	uint64_t value = 1469598103934665603U;

	for (size_t i = 0; i < len; i++)
		value = (value ^ bytes[i]) * 1099511628211U;
	return value ^ value >> 29;
}

static size_t *
find(struct memory *memory, const unsigned char *key, size_t len)
{
	size_t at = hash(key, len) & (memory->cap - 1);

	for (; memory->slots[at] != 0; at = (at + 1) & (memory->cap - 1)) {
		const unsigned char *there = memory->bytes + memory->slots[at] - 1;
		uint32_t there_len;

		memcpy(&there_len, there, sizeof there_len);
		if (there_len == len && memcmp(there + sizeof there_len, key, len) == 0)
			break;
	}
	return &memory->slots[at];
}

static void
grow(struct memory *memory)
{
	struct memory larger = *memory;

	larger.cap = memory->cap == 0 ? 1024 : memory->cap * 2;
	larger.slots = have(larger.cap, sizeof *larger.slots);
	for (size_t i = 0; i < memory->cap; i++)
		if (memory->slots[i] != 0) {
			const unsigned char *there = memory->bytes + memory->slots[i] - 1;
			uint32_t len;

			memcpy(&len, there, sizeof len);
			*find(&larger, there + sizeof len, len) = memory->slots[i];
		}
	free(memory->slots);
	*memory = larger;
}

/* Whether it is new. */
static bool
remember(struct memory *memory, const unsigned char *key, uint32_t len)
{
	size_t *slot;

	if (memory->count * 2 >= memory->cap)
		grow(memory);
	slot = find(memory, key, len);
	if (*slot != 0)
		return false;
	if (memory->len + len + sizeof len > memory->bytes_cap) {
		memory->bytes_cap = (memory->len + len + sizeof len) * 2;
		memory->bytes = realloc(memory->bytes, memory->bytes_cap);
		if (memory->bytes == NULL)
			abort();
	}
	*slot = memory->len + 1;
	memcpy(memory->bytes + memory->len, &len, sizeof len);
	memcpy(memory->bytes + memory->len + sizeof len, key, len);
	memory->len += len + sizeof len;
	memory->count++;
	return true;
}

/* The set without its full words in front and its empty ones behind, those of unknown outcome apart, and the state. */
static bool
is_new(struct search *search)
{
	uint32_t words = (search->known + 63) / 64, others = (search->count + 63) / 64 + 1, first = 0, last = words;
	unsigned char *key = search->key;

	while (first < words && search->done[first] == UINT64_MAX)
		first++;
	while (last > first && search->done[last - 1] == 0)
		last--;
	memcpy(key, &first, sizeof first);
	key += sizeof first;
	memcpy(key, search->done + first, (last - first) * sizeof *search->done);
	key += (last - first) * sizeof *search->done;
	if (search->count > search->known) {
		memcpy(key, search->done + words, (others - words) * sizeof *search->done);
		key += (others - words) * sizeof *search->done;
	}
	memcpy(key, search->state, search->model->size);
	key += search->model->size;
	return remember(&search->memory, search->key, (uint32_t)(key - search->key));
}

/* The known begin at bit 0, the others at a word of their own. */
static void
mark(struct search *search, uint32_t op)
{
	uint32_t words = (search->known + 63) / 64, bit = op < search->known ? op : words * 64 + op - search->known;

	search->done[bit / 64] ^= (uint64_t)1 << bit % 64;
}

static bool
is_done(const struct search *search, uint32_t op)
{
	uint32_t words = (search->known + 63) / 64, bit = op < search->known ? op : words * 64 + op - search->known;

	return (search->done[bit / 64] >> bit % 64 & 1) != 0;
}

static void
take_out(struct search *search, uint32_t event)
{
	struct event *events = search->events;

	events[events[event].before].after = events[event].after;
	events[events[event].after].before = events[event].before;
}

static void
put_back(struct search *search, uint32_t event)
{
	struct event *events = search->events;

	events[events[event].before].after = event;
	events[events[event].after].before = event;
}

/* Whether it can come next, and that wasn't tried. */
static bool
place(struct search *search, uint32_t op)
{
	struct placed *placed = &search->stack[search->depth];

	memcpy(placed->state, search->state, search->model->size);
	placed->op = op;
	if (!search->model->step(search->model, search->state, &search->ops[op])) {
		memcpy(search->state, placed->state, search->model->size);
		return false;
	}
	mark(search, op);
	if (!is_new(search)) {
		mark(search, op);
		memcpy(search->state, placed->state, search->model->size);
		return false;
	}
	search->depth++;
	if (op < search->known) {
		take_out(search, search->call_of[op]);
		take_out(search, search->return_of[op]);
		search->left--;
	}
	return true;
}

static uint32_t
take_back(struct search *search)
{
	struct placed *placed = &search->stack[--search->depth];

	memcpy(search->state, placed->state, search->model->size);
	mark(search, placed->op);
	if (placed->op < search->known) {
		put_back(search, search->return_of[placed->op]);
		put_back(search, search->call_of[placed->op]);
		search->left++;
	}
	return placed->op;
}

/*
 * The next that can be placed: first those whose outcome is known and whose call comes before any return that is left, then those
 * of which it isn't known, after `last` of this order (NONE = from the beginning).
 */
static bool
place_next(struct search *search, uint32_t last)
{
	const struct event *events = search->events;
	uint32_t event = last == NONE ? events[0].after : last < search->known ? events[search->call_of[last]].after : NONE;
	uint32_t other = last == NONE || last < search->known ? search->known : last + 1;
	int64_t limit;

	if (event != NONE)
		for (; !events[event].returns; event = events[event].after)
			if (place(search, events[event].op))
				return true;
	event = events[0].after;
	while (!events[event].returns)
		event = events[event].after;
	limit = search->ops[events[event].op].returned;
	for (; other < search->count && search->ops[other].called <= limit; other++)
		if (!is_done(search, other) && place(search, other))
			return true;
	return false;
}

static bool
run(struct search *search)
{
	uint32_t last = NONE;

	while (search->left > 0) {
		if (place_next(search, last)) {
			last = NONE;
		} else if (search->depth == 0) {
			return false;
		} else {
			last = take_back(search);
		}
		if (search->known - search->left > search->furthest) {
			search->furthest = search->known - search->left;
			search->stuck = search->events[search->events[0].after].op;
		}
	}
	return true;
}

static const struct linear_op *sorted;

/* At one instant a call comes before a return: they overlap. */
static int
by_time(const void *a, const void *b)
{
	const struct event *one = a, *other = b;
	int64_t at = one->returns ? sorted[one->op].returned : sorted[one->op].called;
	int64_t other_at = other->returns ? sorted[other->op].returned : sorted[other->op].called;

	if (at != other_at)
		return at < other_at ? -1 : 1;
	if (one->returns != other->returns)
		return one->returns ? 1 : -1;
	return one->op < other->op ? -1 : 1;
}

static void
line_up(struct search *search)
{
	uint32_t count = 2 * search->known;

	for (uint32_t i = 0; i < search->known; i++) {
		search->events[1 + 2 * i] = (struct event){.op = i};
		search->events[2 + 2 * i] = (struct event){.op = i, .returns = true};
	}
	sorted = search->ops;
	qsort(search->events + 1, count, sizeof *search->events, by_time);
	for (uint32_t i = 0; i <= count + 1; i++) {
		search->events[i].before = i == 0 ? 0 : i - 1;
		search->events[i].after = i + 1;
		if (i > 0 && i <= count)
			(search->events[i].returns ? search->return_of : search->call_of)[search->events[i].op] = i;
	}
	/* the end stands for a return */
	search->events[count + 1].returns = true;
}

static void
tell(const struct search *search, FILE *out)
{
	uint32_t from = search->stuck > AROUND ? search->stuck - AROUND : 0;

	fprintf(out, "linear: %s, resource %u: %u of %u operations could be placed; called around the first that could not:\n",
	        search->model->name, search->ops[0].resource, search->furthest, search->known);
	for (uint32_t i = from; i < search->known && i < search->stuck + AROUND; i++) {
		const struct linear_op *op = &search->ops[i];

		fprintf(out, "%s p%u %lld..%lld %s asked=%lld wrote=%lld -> status=%d got=%lld slot=%lld at=%lld until=%lld\n",
		        i == search->stuck ? " >" : "  ", op->process, (long long)(op->called - search->ops[0].called),
		        (long long)(op->returned - search->ops[0].called), search->model->kinds[op->kind], (long long)op->asked,
		        (long long)op->wrote, op->status, (long long)op->got, (long long)op->slot, (long long)op->at_ms,
		        (long long)op->until_ms);
	}
}

static bool
check_one(const struct linear_model *model, const struct linear_op *ops, size_t count, struct linear_verdict *verdict,
          FILE *out)
{
	struct search search = {.model = model, .ops = ops, .count = (uint32_t)count};
	size_t words = count / 64 + 3;
	bool good;

	while (search.known < count && ops[search.known].returned != LINEAR_NEVER)
		search.known++;
	search.left = search.known;
	search.events = have(2 * count + 2, sizeof *search.events);
	search.call_of = have(count, sizeof *search.call_of);
	search.return_of = have(count, sizeof *search.return_of);
	search.done = have(words, sizeof *search.done);
	search.stack = have(count, sizeof *search.stack);
	search.key = have(words * sizeof *search.done + LINEAR_STATE_MAX + 8, 1);
	line_up(&search);
	good = run(&search);
	verdict->tried += search.memory.count;
	if (!good && out != NULL && search.known > 0)
		tell(&search, out);
	free(search.events);
	free(search.call_of);
	free(search.return_of);
	free(search.done);
	free(search.stack);
	free(search.key);
	free(search.memory.slots);
	free(search.memory.bytes);
	return good;
}

static int
by_resource_and_call(const void *a, const void *b)
{
	const struct linear_op *one = a, *other = b;
	bool unknown = one->returned == LINEAR_NEVER;

	if (one->resource != other->resource)
		return one->resource < other->resource ? -1 : 1;
	if (unknown != (other->returned == LINEAR_NEVER))
		return unknown ? 1 : -1;
	if (one->called != other->called)
		return one->called < other->called ? -1 : 1;
	return one->process < other->process ? -1 : one->process > other->process;
}

/* By their calls: one overlaps an earlier one if that returned after its call, and a later one if it returns after that's. */
static size_t
count_overlapping(const struct linear_op *ops, size_t count)
{
	int64_t latest = INT64_MIN;
	size_t overlapping = 0;

	for (size_t i = 0; i < count; i++) {
		if (latest > ops[i].called || (i + 1 < count && ops[i + 1].called < ops[i].returned))
			overlapping++;
		latest = ops[i].returned > latest ? ops[i].returned : latest;
	}
	return overlapping;
}

void
linear_check(const struct linear_model *model, struct linear_op *ops, size_t count, struct linear_verdict *verdict, FILE *out)
{
	*verdict = (struct linear_verdict){.good = true, .operations = count};
	qsort(ops, count, sizeof *ops, by_resource_and_call);
	for (size_t from = 0, to; from < count; from = to) {
		size_t known = 0;

		for (to = from; to < count && ops[to].resource == ops[from].resource; to++)
			known += ops[to].returned != LINEAR_NEVER;
		verdict->overlapping += count_overlapping(ops + from, known);
		verdict->unknown += to - from - known;
		if (!check_one(model, ops + from, to - from, verdict, out) && verdict->good) {
			verdict->good = false;
			verdict->resource = ops[from].resource;
		}
	}
}
