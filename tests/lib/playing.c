#include "lib/playing.h"

#define TOKEN_MS 2000  /* those left armed are soon no more: a store has so many and no more */
#define GENERATIONS 30 /* of a token; then another */

/* What is held by a lease. */
struct held {
	char letter; /* of its names */
	const char *acquire, *renew, *release, *done;
};

static const struct held locks = {'r', "lock acquire", "lock renew", "lock release", NULL};
static const struct held tasks = {'t', "task claim", "task renew", "task release", "task done"};

void
player_begin(struct player *player, const struct stage *stage, struct record *record, uint32_t process)
{
	*player = (struct player){.stage = stage};
	actor_begin(&player->actor, record, process, stage->seed, stage->round);
	for (uint32_t lane = 0; lane < LANES; lane++)
		player->lanes[lane].resource = lane;
}

void
player_dies(struct player *player)
{
	player->dying = true;
	for (uint32_t lane = 0; lane < LANES; lane++)
		actor_calls(&player->actor, player->lanes[lane].resource, LEASE_DIE, 0);
}

static void
move_on(struct player *player, struct lane *lane)
{
	*lane = (struct lane){.resource = lane->resource + LANES};
	if (player->dying)
		actor_calls(&player->actor, lane->resource, LEASE_DIE, 0);
}

unsigned
player_patience_ms(struct player *player)
{
	static const unsigned waits[] = {0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 3, 6, 6, PLAY_SHORT_MS + 10};

	return waits[actor_throw(&player->actor, sizeof waits / sizeof *waits)];
}

static enum stile_status
acquire(struct player *player, const struct held *held, struct lane *lane)
{
	char process[40] = "", slots[20] = "";
	struct linear_op *op;
	unsigned wait = player_patience_ms(player);
	enum stile_status status;
	json_t *document;

	if (player->pid > 0)
		snprintf(process, sizeof process, ",\"pid\":%lld", (long long)player->pid);
	if (held == &locks)
		snprintf(slots, sizeof slots, ",\"slots\":%d", lane->resource == LANES - 1 ? 2 : 1);
	/* one that waits might be granted it and lose it before it looks, and is told only that its wait is over */
	lane->ttl_ms = wait == 0 && player->pid == 0 && actor_throw(&player->actor, 2) == 0 ? PLAY_SHORT_MS : PLAY_LONG_MS;
	op = actor_calls(&player->actor, lane->resource, LEASE_ACQUIRE, 0);
	status = resident_call(player->resident, &document, held->acquire, "{\"name\":\"%c%u-%u\",\"ttl\":%d,\"wait\":%u%s%s}",
	                       held->letter, player->stage->round, lane->resource, (int)lane->ttl_ms, wait, slots, process);
	lane->fence = status == STILE_OK ? json_whole(document, "fence", 0) : 0;
	op->got = json_whole(document, "fence", 0);
	op->slot = json_whole(document, "slot", 0);
	op->at_ms = json_whole(document, "since_ms", 0);
	op->until_ms = json_whole(document, "expires_ms", 0);
	actor_returns(&player->actor, op, status);
	json_decref(document);
	return status;
}

/* Renews, releases or is done. */
static enum stile_status
use_fence(struct player *player, const char *verb, char letter, const struct lane *lane, int kind, int64_t fence)
{
	struct linear_op *op = actor_calls(&player->actor, lane->resource, kind, fence);
	json_t *document;
	enum stile_status status = resident_call(player->resident, &document, verb, "{\"name\":\"%c%u-%u\",\"fence\":%lld}", letter,
	                                         player->stage->round, lane->resource, (long long)fence);

	op->got = json_whole(document, "fence", 0);
	op->until_ms = json_whole(document, "expires_ms", 0);
	op->at_ms = op->until_ms - (fence == lane->lost ? PLAY_SHORT_MS : lane->ttl_ms);
	actor_returns(&player->actor, op, status);
	json_decref(document);
	return status;
}

static enum stile_status
renew(struct player *player, const struct held *held, const struct lane *lane, int64_t fence)
{
	return use_fence(player, held->renew, held->letter, lane, LEASE_RENEW, fence);
}

static enum stile_status
end(struct player *player, const struct held *held, const struct lane *lane, int64_t fence)
{
	if (held->done != NULL && actor_throw(&player->actor, 2) == 0)
		return use_fence(player, held->done, held->letter, lane, TASK_DONE, fence);
	return use_fence(player, held->release, held->letter, lane, LEASE_RELEASE, fence);
}

static enum stile_status
play(struct player *player, const struct held *held, struct lane *lane)
{
	unsigned side = actor_throw(&player->actor, 20);
	int64_t fence = lane->fence;

	/* a zombie tries */
	if (lane->lost > 0 && side < 6)
		return side % 2 == 0 ? renew(player, held, lane, lane->lost) : end(player, held, lane, lane->lost);
	if (fence > 0 && lane->ttl_ms == PLAY_SHORT_MS && side < 10) {
		lane->lost = fence;
		lane->fence = 0;
	}
	if (lane->fence == 0)
		return acquire(player, held, lane);
	if (side < 14)
		return renew(player, held, lane, fence);
	lane->fence = 0;
	return end(player, held, lane, fence);
}

void
play_leases(struct player *player, uint32_t lane)
{
	play(player, &locks, &player->lanes[lane]);
}

/* Who is told that it is done goes on to the next, sooner or later. */
void
play_tasks(struct player *player, uint32_t lane)
{
	if (play(player, &tasks, &player->lanes[lane]) == STILE_CONFLICT && actor_throw(&player->actor, 2) == 0)
		move_on(player, &player->lanes[lane]);
}

void
play_tokens(struct player *player, uint32_t lane)
{
	struct lane *here = &player->lanes[lane];
	bool issues = actor_throw(&player->actor, 2) == 0;
	struct linear_op *op;
	unsigned ttl = actor_throw(&player->actor, 4) == 0 ? PLAY_SHORT_MS : TOKEN_MS;
	char more[40] = "";
	enum stile_status status;
	json_t *document;

	if (issues)
		snprintf(more, sizeof more, ",\"ttl\":%u", ttl);
	op = actor_calls(&player->actor, here->resource, issues ? TOKEN_ISSUE : TOKEN_CONSUME,
	                 actor_throw(&player->actor, 5) == 0 ? 1 : 0);
	status = resident_call(player->resident, &document, issues ? "token issue" : "token consume",
	                       "{\"name\":\"k%u-%u\",\"scope\":\"%s\"%s}", player->stage->round, here->resource,
	                       op->asked == 0 ? "build" : "deploy", more);
	op->got = json_whole(document, "generation", 0);
	op->at_ms = json_whole(document, issues ? "issued_ms" : "consumed_ms", 0);
	op->until_ms = json_whole(document, "expires_ms", 0);
	actor_returns(&player->actor, op, status);
	json_decref(document);
	if (op->got >= GENERATIONS)
		move_on(player, here);
}

void
play_counters(struct player *player, uint32_t lane)
{
	const char *session = player->stage->sessions[lane];
	bool reads = actor_throw(&player->actor, 2) == 0;
	struct linear_op *op = actor_calls(&player->actor, lane, reads ? COUNTER_READ : COUNTER_ADD,
	                                   reads ? 0 : 1 + actor_throw(&player->actor, 9));
	enum stile_status status;
	json_t *document = NULL;

	if (reads)
		status = resident_call(player->resident, &document, "metric show", "{\"session\":\"%s\"}", session);
	else
		status = resident_call(player->resident, NULL, "metric add",
		                       "{\"session\":\"%s\",\"name\":\"messages\",\"amount\":%lld}", session, (long long)op->asked);
	if (reads)
		op->got = json_whole(json_object_get(document, "metrics"), "messages", 0);
	actor_returns(&player->actor, op, status);
	json_decref(document);
}

int64_t
play_first_text(const struct stage *stage, uint32_t lane)
{
	return 1000000000000 + (int64_t)stage->round * LANES + lane;
}

static int64_t
text_of(const struct player *player)
{
	const struct actor *actor = &player->actor;

	return (((int64_t)player->stage->round << 8) + actor->process) * RECORD_MAX + actor->record->count;
}

static int64_t
number_in(const json_t *document)
{
	long long number = -1;

	sscanf(json_text(document, "text", ""), "text %lld", &number);
	return number;
}

/* What was read last is what is changed. */
void
play_instructions(struct player *player, uint32_t lane)
{
	const char *id = player->stage->instructions[lane];
	int64_t *seen = &player->lanes[lane].fence;
	bool reads = *seen == 0 || actor_throw(&player->actor, 3) == 0;
	struct linear_op *op = actor_calls(&player->actor, lane, reads ? TEXT_READ : TEXT_EDIT, reads ? 0 : *seen);
	enum stile_status status;
	json_t *document;

	op->wrote = reads ? 0 : text_of(player);
	if (reads)
		status = resident_call(player->resident, &document, "instruction show", "{\"id\":\"%s\"}", id);
	else
		status = resident_call(player->resident, &document, "instruction edit",
		                       "{\"id\":\"%s\",\"text\":\"text %lld\",\"version\":%lld}", id, (long long)op->wrote,
		                       (long long)op->asked);
	op->got = reads ? number_in(document) : json_whole(document, "version", 0);
	op->slot = reads ? json_whole(document, "version", 0) : 0;
	*seen = status == STILE_OK ? json_whole(document, "version", 0) : 0;
	actor_returns(&player->actor, op, status);
	json_decref(document);
}
