#include "lib/playing.h"

static void
name_queue(const struct player *player, const struct lane *lane, char out[40])
{
	snprintf(out, 40, "q%u-%u", player->stage->round, lane->resource);
}

static void
put(struct player *player, const struct lane *lane)
{
	const char *line = lane->resource == LANES - 1 ? "" : ",\"group\":\"g\"";
	struct linear_op *op = actor_calls(&player->actor, lane->resource, QUEUE_PUT, 0);
	enum stile_status status;
	json_t *document;
	long long number = 0;
	char queue[40];

	name_queue(player, lane, queue);
	status = resident_call(player->resident, &document, "queue put", "{\"queue\":\"%s\",\"payload\":\"do it\"%s}", queue, line);
	sscanf(json_text(document, "id", ""), "%*[^/]/%lld", &number);
	op->got = number;
	actor_returns(&player->actor, op, status);
	json_decref(document);
}

static void
take(struct player *player, struct lane *lane)
{
	struct linear_op *op;
	unsigned wait = player_patience_ms(player);
	char process[40] = "", queue[40];
	enum stile_status status;
	const json_t *item;
	json_t *document;
	long long number = 0;

	name_queue(player, lane, queue);
	if (player->pid > 0)
		snprintf(process, sizeof process, ",\"pid\":%lld", (long long)player->pid);
	lane->ttl_ms = player->pid == 0 && actor_throw(&player->actor, 3) == 0 ? PLAY_SHORT_MS : PLAY_LONG_MS;
	op = actor_calls(&player->actor, lane->resource, QUEUE_TAKE, 0);
	status = resident_call(player->resident, &document, "queue take", "{\"queue\":\"%s\",\"lease\":%d,\"wait\":%u%s}", queue,
	                       (int)lane->ttl_ms, wait, process);
	item = json_array_get(json_object_get(document, "items"), 0);
	sscanf(json_text(item, "id", ""), "%*[^/]/%lld", &number);
	op->got = lane->item = number;
	op->slot = lane->fence = json_whole(item, "generation", 0);
	op->at_ms = json_whole(item, "since_ms", 0);
	op->until_ms = json_whole(item, "expires_ms", 0);
	actor_returns(&player->actor, op, status);
	json_decref(document);
}

/* Renews a claim, or ends it. */
static enum stile_status
use_claim(struct player *player, const struct lane *lane, int kind, int64_t item, int64_t generation, int64_t ttl_ms)
{
	static const char *const verbs[] = {
		[QUEUE_RENEW] = "queue renew", [QUEUE_NACK] = "queue nack", [QUEUE_ACK] = "queue ack", [QUEUE_ACK_AGAIN] = "queue ack"};
	struct linear_op *op = actor_calls(&player->actor, lane->resource, kind, item);
	enum stile_status status;
	json_t *document;
	char queue[40];

	name_queue(player, lane, queue);
	op->wrote = generation;
	status = resident_call(player->resident, &document, verbs[kind], "{\"id\":\"%s/%lld\",\"generation\":%lld%s}", queue,
	                       (long long)item, (long long)generation, kind == QUEUE_NACK ? ",\"delay\":0" : "");
	op->until_ms = json_whole(document, "expires_ms", 0);
	op->at_ms = op->until_ms - ttl_ms;
	actor_returns(&player->actor, op, status);
	json_decref(document);
	return status;
}

static void
look(struct player *player, const struct lane *lane)
{
	struct linear_op *op = actor_calls(&player->actor, lane->resource, QUEUE_LOOK, 0);
	enum stile_status status;
	const json_t *stats;
	json_t *document;
	char queue[40];

	name_queue(player, lane, queue);
	status = resident_call(player->resident, &document, "queue stats", "{\"queue\":\"%s\"}", queue);
	stats = json_array_get(json_object_get(document, "queues"), 0);
	op->got = json_whole(stats, "items", 0);
	op->slot = json_whole(stats, "claimed", 0);
	actor_returns(&player->actor, op, status);
	json_decref(document);
}

static void
end(struct player *player, struct lane *lane, bool well)
{
	int64_t item = lane->item, generation = lane->fence;

	lane->fence = 0;
	if (use_claim(player, lane, well ? QUEUE_ACK : QUEUE_NACK, item, generation, 0) != STILE_OK || !well)
		return;
	lane->done_item = item;
	lane->done = generation;
}

/* A zombie tries. */
static void
come_late(struct player *player, struct lane *lane, unsigned side)
{
	static const int kinds[] = {QUEUE_RENEW, QUEUE_NACK, QUEUE_ACK, QUEUE_ACK};
	int kind = kinds[side % 4];

	if (use_claim(player, lane, kind, lane->lost_item, lane->lost, PLAY_SHORT_MS) != STILE_OK || kind != QUEUE_ACK)
		return;
	lane->done_item = lane->lost_item;
	lane->done = lane->lost;
	lane->lost = 0;
}

void
play_queues(struct player *player, uint32_t number)
{
	struct lane *lane = &player->lanes[number];
	unsigned side = actor_throw(&player->actor, 24);

	if (lane->lost > 0 && side < 4)
		come_late(player, lane, side);
	else if (lane->done > 0 && side == 4)
		(void)use_claim(player, lane, QUEUE_ACK_AGAIN, lane->done_item, lane->done, 0);
	else if (side == 5)
		look(player, lane);
	else if (side < 12)
		put(player, lane);
	else if (lane->fence == 0)
		take(player, lane);
	else if (side < 15)
		(void)use_claim(player, lane, QUEUE_RENEW, lane->item, lane->fence, lane->ttl_ms);
	else if (lane->ttl_ms == PLAY_SHORT_MS && side < 20) {
		lane->lost_item = lane->item;
		lane->lost = lane->fence;
		lane->fence = 0;
	} else
		end(player, lane, side < 22);
}
