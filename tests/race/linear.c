/*
 * What many processes ask of the same resources, and what each was answered, is written down and searched for an order in which
 * it can have happened: lib/linear.h.
 *
 * The anomalies refuted:
 *
 *   a double grant     A and B both hold what only one may hold.
 *   a lost fence       A held it with fence 7; it ended; B gets it with fence 7, too.
 *   a zombie           A slept past its deadline and B has it; A's renewal or release is taken all the same.
 *   a lost addition    A reads 41, B reads 41, both write 42.
 *   a stale read       A's write was answered; B asks afterwards and reads what was before it.
 *   a lost edit        A and B both change version 3, and both are told that it is version 4 now.
 *
 * Each process does as a seeded throw of dice says; the seed is printed, and STILE_SEED gives it again.
 *
 * Rows: N14 N2 R42 R96
 * Time limit: 3600 s
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/linear.h"
#include "lib/recording.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#define PROCESSES 6
#define EACH 80 /* operations of a process in one round */
#define RESOURCES 3
#define VICTIMS 6 /* that each process sends to their death in one round */
struct scene {
	struct codebase codebase;
	struct record *records; /* shared; one of each process */
	struct linear_op *all;
	uint64_t seed;
	unsigned round;
	char sessions[RESOURCES][ID_SIZE];
	char instructions[RESOURCES][40];
	size_t operations, overlapping, unknown, tried;
};

/* One process's view. */
struct player {
	struct actor actor;
	struct scene *scene;
	struct stile *resident;
	struct held {
		int64_t fence; /* 0 = none */
		int64_t ttl_ms;
		int64_t lost; /* a fence that was left to pass */
	} held[RESOURCES];
};

/* The last resource is the semaphore. */
static int64_t
slots_of(uint32_t resource)
{
	return resource == RESOURCES - 1 ? 2 : 1;
}

static void
acquire(struct player *player, uint32_t resource, int64_t pid)
{
	struct held *held = &player->held[resource];
	char process[40] = "";
	struct linear_op *op;
	unsigned wait = actor_throw(&player->actor, 2) * 60;
	enum stile_status status;
	json_t *document;

	if (pid > 0)
		snprintf(process, sizeof process, ",\"pid\":%lld", (long long)pid);
	/* one that waits might be granted it and lose it before it looks, and is told only that its wait is over */
	held->ttl_ms = wait == 0 && pid == 0 && actor_throw(&player->actor, 2) == 0 ? 20 : 60000;
	op = actor_calls(&player->actor, resource, LEASE_ACQUIRE, 0);
	status = resident_call(player->resident, &document, "lock acquire",
	                       "{\"name\":\"r%u-%u\",\"slots\":%d,\"ttl\":%d,\"wait\":%u%s}", player->scene->round, resource,
	                       (int)slots_of(resource), (int)held->ttl_ms, wait, process);
	op->got = held->fence = status == STILE_OK ? json_whole(document, "fence", 0) : 0;
	op->slot = json_whole(document, "slot", 0);
	op->at_ms = json_whole(document, "since_ms", 0);
	op->until_ms = json_whole(document, "expires_ms", 0);
	actor_returns(&player->actor, op, status);
	json_decref(document);
}

static void
renew(struct player *player, uint32_t resource, int64_t fence, int64_t ttl_ms)
{
	struct linear_op *op = actor_calls(&player->actor, resource, LEASE_RENEW, fence);
	json_t *document;
	enum stile_status status = resident_call(player->resident, &document, "lock renew", "{\"name\":\"r%u-%u\",\"fence\":%lld}",
	                                         player->scene->round, resource, (long long)fence);

	op->until_ms = json_whole(document, "expires_ms", 0);
	op->at_ms = op->until_ms - ttl_ms;
	actor_returns(&player->actor, op, status);
	json_decref(document);
}

static void
release(struct player *player, uint32_t resource, int64_t fence)
{
	struct linear_op *op = actor_calls(&player->actor, resource, LEASE_RELEASE, fence);

	actor_returns(&player->actor, op,
	              resident_call(player->resident, NULL, "lock release", "{\"name\":\"r%u-%u\",\"fence\":%lld}",
	                            player->scene->round, resource, (long long)fence));
}

static void
leases(struct player *player, uint32_t resource, int64_t pid)
{
	struct held *held = &player->held[resource];
	unsigned side = actor_throw(&player->actor, 20);

	if (held->lost > 0 && side < 6) {
		/* a zombie tries */
		if (side % 2 == 0)
			renew(player, resource, held->lost, 20);
		else
			release(player, resource, held->lost);
	} else if (held->fence == 0) {
		acquire(player, resource, pid);
	} else if (held->ttl_ms < 1000 && side < 10) {
		held->lost = held->fence;
		held->fence = 0;
	} else if (side < 14) {
		renew(player, resource, held->fence, held->ttl_ms);
	} else {
		release(player, resource, held->fence);
		held->fence = 0;
	}
}

static void
use_leases(struct player *player, uint32_t resource)
{
	leases(player, resource, 0);
}

static void
use_counters(struct player *player, uint32_t resource)
{
	const char *session = player->scene->sessions[resource];
	bool reads = actor_throw(&player->actor, 2) == 0;
	struct linear_op *op = actor_calls(&player->actor, resource, reads ? COUNTER_READ : COUNTER_ADD,
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

static int64_t
number_in(const json_t *document)
{
	long long number = -1;

	sscanf(json_text(document, "text", ""), "text %lld", &number);
	return number;
}

/* What was read last is what is changed. */
static void
use_instructions(struct player *player, uint32_t resource)
{
	const char *id = player->scene->instructions[resource];
	int64_t *seen = &player->held[resource].fence;
	bool reads = *seen == 0 || actor_throw(&player->actor, 3) == 0;
	struct linear_op *op = actor_calls(&player->actor, resource, reads ? TEXT_READ : TEXT_EDIT, reads ? 0 : *seen);
	enum stile_status status;
	json_t *document;

	op->wrote = reads ? 0
	                  : ((int64_t)player->scene->round * PROCESSES + player->actor.process) * RECORD_MAX +
	                        player->actor.record->count;
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

/* No two have the same: the second would be the first's. */
static int64_t
first_text(const struct scene *scene, uint32_t resource)
{
	return 1000000000000 + (int64_t)scene->round * RESOURCES + resource;
}

static void (*use)(struct player *player, uint32_t resource);

static int
works(const struct member *member)
{
	struct scene *scene = member->arg;
	struct player player = {.scene = scene, .resident = codebase_resident(&scene->codebase)};

	actor_begin(&player.actor, &scene->records[member->index], member->index, scene->seed, scene->round);
	if (!crowd_together(member))
		return 1;
	for (unsigned i = 0; i < EACH && player.actor.well; i++)
		use(&player, actor_throw(&player.actor, RESOURCES));
	stile_close(player.resident);
	return player.actor.well ? 0 : 2;
}

/* From now on it may be gone at any moment. */
static void
will_die(struct player *player)
{
	struct itimerval in = {.it_value = {.tv_usec = 1 + (suseconds_t)actor_throw(&player->actor, 30000)}};

	for (uint32_t resource = 0; resource < RESOURCES; resource++)
		actor_calls(&player->actor, resource, LEASE_DIE, 0);
	setitimer(ITIMER_REAL, &in, NULL);
}

/* Killed by its own timer in the midst of whatever it does; what it holds is free from then on. */
static int
is_killed(void *arg)
{
	struct player *player = arg;
	unsigned before = 1 + actor_throw(&player->actor, 8);

	player->resident = codebase_resident(&player->scene->codebase);
	for (unsigned i = 0; i < 40 && player->actor.well; i++) {
		if (i == before)
			will_die(player);
		leases(player, actor_throw(&player->actor, RESOURCES), getpid());
	}
	raise(SIGKILL);
	return 1;
}

static int
sends_to_death(const struct member *member)
{
	struct scene *scene = member->arg;
	bool well = crowd_together(member);

	for (uint32_t i = 0; i < VICTIMS && well; i++) {
		struct player player = {.scene = scene};
		struct scratch_child child;
		int status;

		actor_begin(&player.actor, &scene->records[member->index], member->index * VICTIMS + i + 1, scene->seed, scene->round);
		scratch_spawn(&child, is_killed, &player);
		status = scratch_wait(&child, CODEBASE_LIMIT_MS);
		well = status == 128 + SIGALRM || status == 128 + SIGKILL;
	}
	return well ? 0 : 2;
}

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	codebase_make(&scene->codebase);
	scene->records = scratch_shared(PROCESSES * sizeof *scene->records);
	scene->all = calloc((size_t)PROCESSES * RECORD_MAX + RESOURCES, sizeof *scene->all);
	scene->seed = recording_seed();
	*state = scene;
	return scene->all == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;
	bool whole = codebase_is_whole(&scene->codebase);

	scratch_unshare(scene->records, PROCESSES * sizeof *scene->records);
	free(scene->all);
	codebase_remove(&scene->codebase);
	free(scene);
	return whole ? 0 : -1;
}

/* The histories of this round, of the resources from `first` on and before `end`. */
static void
check(struct scene *scene, const struct linear_model *model, uint32_t first, uint32_t end)
{
	struct linear_verdict verdict;
	size_t count = 0;

	for (uint32_t resource = first; resource < end && model == &linear_instruction; resource++)
		scene->all[count++] =
			(struct linear_op){.resource = resource, .kind = TEXT_EDIT, .wrote = first_text(scene, resource), .got = 1};
	for (unsigned i = 0; i < PROCESSES; i++)
		for (uint32_t j = 0; j < scene->records[i].count; j++)
			if (scene->records[i].ops[j].resource >= first && scene->records[i].ops[j].resource < end)
				scene->all[count++] = scene->records[i].ops[j];
	linear_check(model, scene->all, count, &verdict, stderr);
	scene->operations += verdict.operations;
	scene->overlapping += verdict.overlapping;
	scene->unknown += verdict.unknown;
	scene->tried += verdict.tried;
	if (!verdict.good)
		fprintf(stderr, "linear: seed %llu, round %u\n", (unsigned long long)scene->seed, scene->round);
	assert_true(verdict.good);
}

/* A million in all, of which the second engine has a tenth. */
static unsigned
rounds(unsigned small, unsigned full)
{
	if (!share_is_full())
		return small;
	return contract_now == 0 ? full : full / 9;
}

static void
report(const struct scene *scene)
{
	fprintf(stderr, "linear: seed %llu, %zu operations, %zu of unknown outcome, %.0f %% overlap another, %zu states\n",
	        (unsigned long long)scene->seed, scene->operations, scene->unknown,
	        100.0 * (double)scene->overlapping / (double)scene->operations, scene->tried);
	assert_true(scene->overlapping * 3 >= scene->operations - scene->unknown);
}

static void
begin_round(struct scene *scene, unsigned round)
{
	scene->round = round;
	for (unsigned i = 0; i < PROCESSES; i++)
		scene->records[i].count = 0;
}

static void
race(struct scene *scene, unsigned round, void (*how)(struct player *, uint32_t))
{
	begin_round(scene, round);
	use = how;
	assert_true(crowd_run(PROCESSES, works, scene));
}

/* Rows: N14 N2 R42 R96 */
static void
locks_and_semaphores_are_linearizable(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < rounds(4, 1200); round++) {
		race(scene, round, use_leases);
		check(scene, &linear_lock, 0, RESOURCES - 1);
		check(scene, &linear_semaphore, RESOURCES - 1, RESOURCES);
	}
	report(scene);
}

/* Rows: N14 R42 R96 */
static void
what_killed_processes_held_is_free_and_nothing_else(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < rounds(1, 200); round++) {
		begin_round(scene, round);
		assert_true(crowd_run(PROCESSES, sends_to_death, scene));
		check(scene, &linear_lock, 0, RESOURCES - 1);
		check(scene, &linear_semaphore, RESOURCES - 1, RESOURCES);
	}
	report(scene);
}

/* Rows: N14 */
static void
counters_are_linearizable(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < rounds(3, 700); round++) {
		struct stile *resident = codebase_resident(&scene->codebase);
		char name[40];

		for (unsigned i = 0; i < RESOURCES; i++) {
			snprintf(name, sizeof name, "round-%u-%u", round, i);
			resident_start(resident, name, scene->sessions[i]);
		}
		stile_close(resident);
		race(scene, round, use_counters);
		check(scene, &linear_counter, 0, RESOURCES);
	}
	report(scene);
}

/* Rows: N14 */
static void
instructions_are_linearizable(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < rounds(3, 300); round++) {
		struct stile *resident = codebase_resident(&scene->codebase);

		scene->round = round;
		for (unsigned i = 0; i < RESOURCES; i++) {
			json_t *document;

			assert_int_equal(resident_call(resident, &document, "instruction add", "{\"text\":\"text %lld\"}",
			                               (long long)first_text(scene, i)),
			                 STILE_OK);
			snprintf(scene->instructions[i], sizeof scene->instructions[i], "%s", json_text(document, "id", ""));
			json_decref(document);
		}
		stile_close(resident);
		race(scene, round, use_instructions);
		check(scene, &linear_instruction, 0, RESOURCES);
	}
	report(scene);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

CONTRACT_TESTS(TEST(locks_and_semaphores_are_linearizable), TEST(what_killed_processes_held_is_free_and_nothing_else),
               TEST(counters_are_linearizable), TEST(instructions_are_linearizable))
