#include "replay/replay.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

struct player {
	size_t next;
	bool busy;
};

/* xorshift64*: the order shall be random, and the same again for the same seed. */
static uint64_t
draw(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dU;
}

static size_t
lines_left(const struct replay *replay, const struct player *players, size_t i)
{
	return players[i].busy ? 0 : replay->streams[i].count - players[i].next;
}

/* One that is free, the likelier the more it still has to play; replay->count when there is none. */
static size_t
choose(const struct replay *replay, const struct player *players, uint64_t *random)
{
	size_t left = 0, at, i = 0;

	for (size_t j = 0; j < replay->count; j++)
		left += lines_left(replay, players, j);
	if (left == 0)
		return replay->count;
	at = (size_t)(draw(random) % left);
	while (at >= lines_left(replay, players, i))
		at -= lines_left(replay, players, i++);
	return i;
}

static enum status
release(const struct replay *replay, struct agent *agents, struct player *players, size_t *busy, uint64_t *random,
        struct buf *why)
{
	while (*busy < replay->setting.at_once) {
		size_t i = choose(replay, players, random);

		if (i == replay->count)
			return OK;
		if (write(agents[i].fd, "+", 1) != 1)
			return why_not(why, IO_FAILED, "agent %s is gone", replay->streams[i].name);
		players[i].busy = true;
		++*busy;
	}
	return OK;
}

/* Waits until at least one has played its line. */
static enum status
collect(const struct replay *replay, struct agent *agents, struct player *players, size_t *busy, struct order *order,
        struct buf *why)
{
	struct pollfd waits[STREAMS_MAX];
	int ready;

	for (size_t i = 0; i < replay->count; i++)
		waits[i] = (struct pollfd){.fd = players[i].busy ? agents[i].fd : -1, .events = POLLIN};
	do
		ready = poll(waits, (nfds_t)replay->count, STALLED_MS);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return why_not(why, BUSY, "nothing moved for %d s", STALLED_MS / 1000);
	for (size_t i = 0; i < replay->count; i++) {
		unsigned char status;

		if (!players[i].busy || waits[i].revents == 0)
			continue;
		if (read(agents[i].fd, &status, 1) != 1)
			return why_not(why, IO_FAILED, "agent %s is gone", replay->streams[i].name);
		if (status != 0)
			fprintf(stderr, "replay: session %s, line %zu: the hook ended with %d\n", replay->streams[i].name,
			        players[i].next + 1, status);
		order->failed += status != 0;
		order->items[order->count++] = (struct happening){i, players[i].next++};
		players[i].busy = false;
		--*busy;
	}
	return OK;
}

enum status
play(const struct replay *replay, struct agent *agents, struct order *order, struct buf *why)
{
	struct player players[STREAMS_MAX] = {{0}};
	uint64_t random = replay->setting.seed == 0 ? 1 : replay->setting.seed;
	size_t all = 0, busy = 0;
	enum status status = OK;

	for (size_t i = 0; i < replay->count; i++)
		all += replay->streams[i].count;
	order->items = calloc(all + 1, sizeof *order->items);
	if (order->items == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	while (order->count < all && status == OK) {
		status = release(replay, agents, players, &busy, &random, why);
		if (status == OK)
			status = collect(replay, agents, players, &busy, order, why);
	}
	return status;
}
