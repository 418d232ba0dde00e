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
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES 6
#define EACH 80 /* operations of a process in one round */
#define RESOURCES 3
#define VICTIMS 6 /* that each process sends to their death in one round */
#define LOG_MAX 1000

struct log {
	struct linear_op ops[LOG_MAX];
	uint32_t count;
};

struct scene {
	struct codebase codebase;
	struct log *logs; /* shared; one of each process */
	struct linear_op *all;
	uint64_t seed;
	unsigned round;
	char sessions[RESOURCES][ID_SIZE];
	char instructions[RESOURCES][40];
	size_t operations, overlapping, unknown, tried;
};

/* One process's view. */
struct actor {
	struct scene *scene;
	struct log *log;
	struct stile *resident;
	uint64_t dice;
	uint32_t process;
	bool well;
	struct held {
		int64_t fence; /* 0 = none */
		int64_t ttl_ms;
		int64_t lost; /* a fence that was left to pass */
	} held[RESOURCES];
};

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static unsigned
throw_dice(struct actor *actor, unsigned sides)
{
	actor->dice ^= actor->dice << 13;
	actor->dice ^= actor->dice >> 7;
	actor->dice ^= actor->dice << 17;
	return (unsigned)(actor->dice >> 33) % sides;
}

static void
begin_actor(struct actor *actor, struct scene *scene, struct log *log, uint32_t process)
{
	*actor = (struct actor){.scene = scene, .log = log, .process = process, .well = true};
	actor->dice = scene->seed * 0x9e3779b97f4a7c15 + ((uint64_t)scene->round << 20) + process + 1;
	throw_dice(actor, 2);
}

/* Written down before it is done: whoever is killed in it leaves it there, without an end. */
static struct linear_op *
call(struct actor *actor, uint32_t resource, int kind, int64_t asked)
{
	struct linear_op *op = &actor->log->ops[actor->log->count];

	if (actor->log->count == LOG_MAX)
		abort();
	*op = (struct linear_op){.returned = LINEAR_NEVER,
	                         .resource = resource,
	                         .process = actor->process,
	                         .kind = kind,
	                         .asked = asked,
	                         .called = now_ns()};
	__atomic_store_n(&actor->log->count, actor->log->count + 1, __ATOMIC_SEQ_CST);
	return op;
}

static void
returned(struct actor *actor, struct linear_op *op, enum stile_status status)
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
	default:
		fprintf(stderr, "linear: process %u: status %d\n", actor->process, status);
		actor->well = false;
		return;
	}
	__atomic_store_n(&op->returned, now, __ATOMIC_SEQ_CST);
}

/* The last resource is the semaphore. */
static int64_t
slots_of(uint32_t resource)
{
	return resource == RESOURCES - 1 ? 2 : 1;
}

static void
acquire(struct actor *actor, uint32_t resource, int64_t pid)
{
	struct held *held = &actor->held[resource];
	char process[40] = "";
	struct linear_op *op;
	unsigned wait = throw_dice(actor, 2) * 60;
	enum stile_status status;
	json_t *document;

	if (pid > 0)
		snprintf(process, sizeof process, ",\"pid\":%lld", (long long)pid);
	/* one that waits might be granted it and lose it before it looks, and is told only that its wait is over */
	held->ttl_ms = wait == 0 && pid == 0 && throw_dice(actor, 2) == 0 ? 20 : 60000;
	op = call(actor, resource, LEASE_ACQUIRE, 0);
	status = resident_call(actor->resident, &document, "lock acquire",
	                       "{\"name\":\"r%u-%u\",\"slots\":%d,\"ttl\":%d,\"wait\":%u%s}", actor->scene->round, resource,
	                       (int)slots_of(resource), (int)held->ttl_ms, wait, process);
	op->got = held->fence = status == STILE_OK ? json_whole(document, "fence", 0) : 0;
	op->slot = json_whole(document, "slot", 0);
	op->at_ms = json_whole(document, "since_ms", 0);
	op->until_ms = json_whole(document, "expires_ms", 0);
	returned(actor, op, status);
	json_decref(document);
}

static void
renew(struct actor *actor, uint32_t resource, int64_t fence, int64_t ttl_ms)
{
	struct linear_op *op = call(actor, resource, LEASE_RENEW, fence);
	json_t *document;
	enum stile_status status = resident_call(actor->resident, &document, "lock renew", "{\"name\":\"r%u-%u\",\"fence\":%lld}",
	                                         actor->scene->round, resource, (long long)fence);

	op->until_ms = json_whole(document, "expires_ms", 0);
	op->at_ms = op->until_ms - ttl_ms;
	returned(actor, op, status);
	json_decref(document);
}

static void
release(struct actor *actor, uint32_t resource, int64_t fence)
{
	struct linear_op *op = call(actor, resource, LEASE_RELEASE, fence);

	returned(actor, op,
	         resident_call(actor->resident, NULL, "lock release", "{\"name\":\"r%u-%u\",\"fence\":%lld}", actor->scene->round,
	                       resource, (long long)fence));
}

static void
leases(struct actor *actor, uint32_t resource, int64_t pid)
{
	struct held *held = &actor->held[resource];
	unsigned side = throw_dice(actor, 20);

	if (held->lost > 0 && side < 6) {
		/* a zombie tries */
		if (side % 2 == 0)
			renew(actor, resource, held->lost, 20);
		else
			release(actor, resource, held->lost);
	} else if (held->fence == 0) {
		acquire(actor, resource, pid);
	} else if (held->ttl_ms < 1000 && side < 10) {
		held->lost = held->fence;
		held->fence = 0;
	} else if (side < 14) {
		renew(actor, resource, held->fence, held->ttl_ms);
	} else {
		release(actor, resource, held->fence);
		held->fence = 0;
	}
}

static void
use_leases(struct actor *actor, uint32_t resource)
{
	leases(actor, resource, 0);
}

static void
use_counters(struct actor *actor, uint32_t resource)
{
	const char *session = actor->scene->sessions[resource];
	bool reads = throw_dice(actor, 2) == 0;
	struct linear_op *op = call(actor, resource, reads ? COUNTER_READ : COUNTER_ADD, reads ? 0 : 1 + throw_dice(actor, 9));
	enum stile_status status;
	json_t *document = NULL;

	if (reads)
		status = resident_call(actor->resident, &document, "metric show", "{\"session\":\"%s\"}", session);
	else
		status = resident_call(actor->resident, NULL, "metric add",
		                       "{\"session\":\"%s\",\"name\":\"messages\",\"amount\":%lld}", session, (long long)op->asked);
	if (reads)
		op->got = json_whole(json_object_get(document, "metrics"), "messages", 0);
	returned(actor, op, status);
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
use_instructions(struct actor *actor, uint32_t resource)
{
	const char *id = actor->scene->instructions[resource];
	int64_t *seen = &actor->held[resource].fence;
	bool reads = *seen == 0 || throw_dice(actor, 3) == 0;
	struct linear_op *op = call(actor, resource, reads ? TEXT_READ : TEXT_EDIT, reads ? 0 : *seen);
	enum stile_status status;
	json_t *document;

	op->wrote = reads ? 0 : ((int64_t)actor->scene->round * PROCESSES + actor->process) * LOG_MAX + actor->log->count;
	if (reads)
		status = resident_call(actor->resident, &document, "instruction show", "{\"id\":\"%s\"}", id);
	else
		status = resident_call(actor->resident, &document, "instruction edit",
		                       "{\"id\":\"%s\",\"text\":\"text %lld\",\"version\":%lld}", id, (long long)op->wrote,
		                       (long long)op->asked);
	op->got = reads ? number_in(document) : json_whole(document, "version", 0);
	op->slot = reads ? json_whole(document, "version", 0) : 0;
	*seen = status == STILE_OK ? json_whole(document, "version", 0) : 0;
	returned(actor, op, status);
	json_decref(document);
}

/* No two have the same: the second would be the first's. */
static int64_t
first_text(const struct scene *scene, uint32_t resource)
{
	return 1000000000000 + (int64_t)scene->round * RESOURCES + resource;
}

static void (*use)(struct actor *actor, uint32_t resource);

static int
works(const struct member *member)
{
	struct scene *scene = member->arg;
	struct actor actor;

	begin_actor(&actor, scene, &scene->logs[member->index], member->index);
	actor.resident = codebase_resident(&scene->codebase);
	if (!crowd_together(member))
		return 1;
	for (unsigned i = 0; i < EACH && actor.well; i++)
		use(&actor, throw_dice(&actor, RESOURCES));
	stile_close(actor.resident);
	return actor.well ? 0 : 2;
}

/* From now on it may be gone at any moment. */
static void
will_die(struct actor *actor)
{
	struct itimerval in = {.it_value = {.tv_usec = 1 + (suseconds_t)throw_dice(actor, 30000)}};

	for (uint32_t resource = 0; resource < RESOURCES; resource++)
		call(actor, resource, LEASE_DIE, 0);
	setitimer(ITIMER_REAL, &in, NULL);
}

/* Killed by its own timer in the midst of whatever it does; what it holds is free from then on. */
static int
is_killed(void *arg)
{
	struct actor *actor = arg;
	unsigned before = 1 + throw_dice(actor, 8);

	actor->resident = codebase_resident(&actor->scene->codebase);
	for (unsigned i = 0; i < 40 && actor->well; i++) {
		if (i == before)
			will_die(actor);
		leases(actor, throw_dice(actor, RESOURCES), getpid());
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
		struct actor actor;
		struct scratch_child child;
		int status;

		begin_actor(&actor, scene, &scene->logs[member->index], member->index * VICTIMS + i + 1);
		scratch_spawn(&child, is_killed, &actor);
		status = scratch_wait(&child, CODEBASE_LIMIT_MS);
		well = status == 128 + SIGALRM || status == 128 + SIGKILL;
	}
	return well ? 0 : 2;
}

static uint64_t
a_seed(void)
{
	const char *given = getenv("STILE_SEED");

	return given != NULL ? strtoull(given, NULL, 10) : (uint64_t)now_ns();
}

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	codebase_make(&scene->codebase);
	scene->logs = scratch_shared(PROCESSES * sizeof *scene->logs);
	scene->all = calloc((size_t)PROCESSES * LOG_MAX + RESOURCES, sizeof *scene->all);
	scene->seed = a_seed();
	*state = scene;
	return scene->all == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;
	bool whole = codebase_is_whole(&scene->codebase);

	scratch_unshare(scene->logs, PROCESSES * sizeof *scene->logs);
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
		for (uint32_t j = 0; j < scene->logs[i].count; j++)
			if (scene->logs[i].ops[j].resource >= first && scene->logs[i].ops[j].resource < end)
				scene->all[count++] = scene->logs[i].ops[j];
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
		scene->logs[i].count = 0;
}

static void
race(struct scene *scene, unsigned round, void (*how)(struct actor *, uint32_t))
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
