/*
 * What many processes ask of the same resources, and what each was answered, is written down and searched for an order in which
 * it can have happened: lib/linear.h.
 *
 * The anomalies refuted:
 *
 *   a double grant     A and B both hold what only one may hold.
 *   a lost fence       A held it with fence 7; it ended; B gets it with fence 7, too.
 *   a zombie           A slept past its deadline and B has it; A's renewal, release or end is taken all the same.
 *   done twice         A is done; C, who waited, is granted it and does it again.
 *   spent twice        A and B both consume a token; or B consumes its next generation with leave for the last.
 *   a lost addition    A reads 41, B reads 41, both write 42.
 *   a stale read       A's write was answered; B asks afterwards and reads what was before it.
 *   twice at work      A and B both have item 3; or A, who came late, ends what B is at.
 *   out of line        item 2 of a line is had while A is at item 1, or before it.
 *   a lost edit        A and B both change version 3, and both are told that it is version 4 now.
 *
 * Each process does as a seeded throw of dice says; the seed is printed, and STILE_SEED gives it again.  The store is where
 * stores are, on a disk, with all its syncs: what is answered together is what overlaps.
 *
 * Rows: N14 N2 R42 R96 R106 R107 R111
 * Time limit: 3600 s
 */
#include "lib/crowd.h"
#include "lib/playing.h"
#include "lib/store.h"
#include "lib/test.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#define PROCESSES 6
#define VICTIMS 3 /* that each process sends to their death in one round */
#define ALL UINT32_MAX
#define QUEUE_SETTINGS "[queue]\nitems = 4\nbackoff = 0s\nattempts = 1000000\n"
_Static_assert(LINEAR_QUEUE_MAX == 4, "as the settings say");

struct scene {
	struct stage stage;
	struct record *records; /* shared; one of each process */
	struct linear_op *all;
	play_function *play;
	struct count {
		size_t operations, overlapping, unknown, tried;
	} count;
};

/* Of every test and engine so far. */
static struct count together;

/* Of a process in one round. */
static unsigned
each(void)
{
	return share_is_full() ? 400 : 80;
}

static int
works(const struct member *member)
{
	struct scene *scene = member->arg;
	struct player player;

	player_begin(&player, &scene->stage, &scene->records[member->index], member->index);
	player.resident = codebase_resident(&scene->stage.codebase);
	if (!crowd_together(member))
		return 1;
	for (unsigned i = 0; i < each() && player.actor.well; i++)
		scene->play(&player, actor_throw(&player.actor, LANES));
	stile_close(player.resident);
	return player.actor.well ? 0 : 2;
}

/* From now on it may be gone at any moment. */
static void
will_die(struct player *player)
{
	struct itimerval in = {.it_value = {.tv_usec = 1 + (suseconds_t)actor_throw(&player->actor, 30000)}};

	player_dies(player);
	setitimer(ITIMER_REAL, &in, NULL);
}

struct victim {
	struct player player;
	struct scene *scene;
};

/* Killed by its own timer in the midst of whatever it does; what it holds is free from then on. */
static int
is_killed(void *arg)
{
	struct victim *victim = arg;
	struct player *player = &victim->player;
	unsigned before = 1 + actor_throw(&player->actor, 8);

	player->pid = getpid();
	player->resident = codebase_resident(&victim->scene->stage.codebase);
	for (unsigned i = 0; i < 40 && player->actor.well; i++) {
		if (i == before)
			will_die(player);
		victim->scene->play(player, actor_throw(&player->actor, LANES));
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
		struct victim victim = {.scene = scene};
		struct scratch_child child;
		int status;

		player_begin(&victim.player, &scene->stage, &scene->records[member->index], member->index * VICTIMS + i + 1);
		scratch_spawn(&child, is_killed, &victim);
		status = scratch_wait(&child, CODEBASE_LIMIT_MS);
		well = status == 128 + SIGALRM || status == 128 + SIGKILL;
	}
	return well ? 0 : 2;
}

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	codebase_make(&scene->stage.codebase);
	scene->records = scratch_shared(PROCESSES * sizeof *scene->records);
	scene->all = calloc((size_t)PROCESSES * RECORD_MAX + LANES, sizeof *scene->all);
	scene->stage.seed = recording_seed();
	/* as many items as the model has room for; what fails may be had again at once, and as often as one likes */
	codebase_configure(&scene->stage.codebase, QUEUE_SETTINGS);
	*state = scene;
	return scene->all == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;
	bool whole = codebase_is_whole(&scene->stage.codebase);

	scratch_unshare(scene->records, PROCESSES * sizeof *scene->records);
	free(scene->all);
	codebase_remove(&scene->stage.codebase);
	free(scene);
	return whole ? 0 : -1;
}

static void
add(struct count *count, const struct linear_verdict *verdict)
{
	count->operations += verdict->operations;
	count->overlapping += verdict->overlapping;
	count->unknown += verdict->unknown;
	count->tried += verdict->tried;
}

/* The histories of this round, of the resources from `first` on and before `end`. */
static void
check(struct scene *scene, const struct linear_model *model, uint32_t first, uint32_t end)
{
	struct linear_verdict verdict;
	size_t count = 0;

	for (uint32_t lane = 0; lane < LANES && model == &linear_instruction; lane++)
		scene->all[count++] =
			(struct linear_op){.resource = lane, .kind = TEXT_EDIT, .wrote = play_first_text(&scene->stage, lane), .got = 1};
	for (unsigned i = 0; i < PROCESSES; i++)
		for (uint32_t j = 0; j < scene->records[i].count; j++)
			if (scene->records[i].ops[j].resource >= first && scene->records[i].ops[j].resource < end)
				scene->all[count++] = scene->records[i].ops[j];
	linear_check(model, scene->all, count, &verdict, stderr);
	add(&scene->count, &verdict);
	add(&together, &verdict);
	if (!verdict.good)
		fprintf(stderr, "linear: seed %llu, round %u\n", (unsigned long long)scene->stage.seed, scene->stage.round);
	assert_true(verdict.good);
}

/* The second engine has a tenth. */
static unsigned
rounds(unsigned small, unsigned full)
{
	if (!share_is_full())
		return small;
	return contract_now == 0 ? full : full / 9;
}

static void
tell(const char *which, const struct count *count)
{
	size_t known = count->operations - count->unknown;

	fprintf(stderr, "linear: %s, %zu operations and %zu of unknown outcome, %.0f %% overlap another, %zu states\n", which,
	        known, count->unknown, 100.0 * (double)count->overlapping / (double)known, count->tried);
	assert_true(count->overlapping * 3 >= known);
}

static void
report(const struct scene *scene)
{
	char seed[40];

	snprintf(seed, sizeof seed, "seed %llu", (unsigned long long)scene->stage.seed);
	tell(seed, &scene->count);
}

static void
begin_round(struct scene *scene, unsigned round, play_function *play)
{
	scene->stage.round = round;
	scene->play = play;
	for (unsigned i = 0; i < PROCESSES; i++)
		scene->records[i].count = 0;
}

static void
race(struct scene *scene, int (*run)(const struct member *))
{
	assert_true(crowd_run(PROCESSES, run, scene));
}

/* Rows: N14 N2 R42 R96 */
static void
locks_and_semaphores_are_linearizable(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < rounds(2, 100); round++) {
		begin_round(scene, round, play_leases);
		race(scene, works);
		check(scene, &linear_lock, 0, LANES - 1);
		check(scene, &linear_semaphore, LANES - 1, LANES);
	}
	report(scene);
}

/* Rows: N14 N2 */
static void
tasks_are_linearizable(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < rounds(2, 80); round++) {
		begin_round(scene, round, play_tasks);
		race(scene, works);
		check(scene, &linear_task, 0, ALL);
	}
	report(scene);
}

/* Rows: N14 R42 R96 */
static void
what_killed_processes_held_is_free_and_nothing_else(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < rounds(1, 120); round++) {
		begin_round(scene, round, play_leases);
		race(scene, sends_to_death);
		check(scene, &linear_lock, 0, LANES - 1);
		check(scene, &linear_semaphore, LANES - 1, LANES);
	}
	report(scene);
}

/* Rows: N14 R42 */
static void
what_killed_processes_were_at_is_done_or_another_does_it(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < rounds(1, 120); round++) {
		begin_round(scene, round, play_tasks);
		race(scene, sends_to_death);
		check(scene, &linear_task, 0, ALL);
	}
	report(scene);
}

/* Rows: N14 R106 R107 R111 */
static void
queues_are_linearizable(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < rounds(2, 60); round++) {
		begin_round(scene, round, play_queues);
		race(scene, works);
		check(scene, &linear_line, 0, LANES - 1);
		check(scene, &linear_heap, LANES - 1, LANES);
	}
	report(scene);
}

/* Rows: N14 R106 R107 */
static void
what_killed_workers_were_at_another_does(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < rounds(1, 80); round++) {
		begin_round(scene, round, play_queues);
		race(scene, sends_to_death);
		check(scene, &linear_line, 0, LANES - 1);
		check(scene, &linear_heap, LANES - 1, LANES);
	}
	report(scene);
}

/* Rows: N14 */
static void
tokens_are_linearizable(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < rounds(2, 90); round++) {
		begin_round(scene, round, play_tokens);
		race(scene, works);
		check(scene, &linear_token, 0, ALL);
	}
	report(scene);
}

/* Rows: N14 */
static void
counters_are_linearizable(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < rounds(2, 60); round++) {
		struct stile *resident = codebase_resident(&scene->stage.codebase);
		char name[40];

		begin_round(scene, round, play_counters);
		for (unsigned i = 0; i < LANES; i++) {
			snprintf(name, sizeof name, "round-%u-%u", round, i);
			resident_start(resident, name, scene->stage.sessions[i]);
		}
		stile_close(resident);
		race(scene, works);
		check(scene, &linear_counter, 0, LANES);
	}
	report(scene);
}

/* Rows: N14 */
static void
instructions_are_linearizable(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < rounds(2, 50); round++) {
		struct stile *resident = codebase_resident(&scene->stage.codebase);

		begin_round(scene, round, play_instructions);
		for (unsigned i = 0; i < LANES; i++) {
			json_t *document;

			assert_int_equal(resident_call(resident, &document, "instruction add", "{\"text\":\"text %lld\"}",
			                               (long long)play_first_text(&scene->stage, i)),
			                 STILE_OK);
			snprintf(scene->stage.instructions[i], sizeof scene->stage.instructions[i], "%s", json_text(document, "id", ""));
			json_decref(document);
		}
		stile_close(resident);
		race(scene, works);
		check(scene, &linear_instruction, 0, LANES);
	}
	report(scene);
}

/* Of every test before it; after the last engine's it is all.  Rows: N14 */
static void
a_million_operations_are_checked(void **state)
{
	bool last = contract_engine(contract_now + 1) == NULL;

	(void)state;
	tell("all so far", &together);
	if (last)
		assert_true(together.operations - together.unknown >= (share_is_full() ? 1000000 : 5000));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

CONTRACT_TESTS(TEST(locks_and_semaphores_are_linearizable), TEST(tasks_are_linearizable),
               TEST(what_killed_processes_held_is_free_and_nothing_else),
               TEST(what_killed_processes_were_at_is_done_or_another_does_it), TEST(queues_are_linearizable),
               TEST(what_killed_workers_were_at_another_does), TEST(tokens_are_linearizable),
               TEST(counters_are_linearizable), TEST(instructions_are_linearizable),
               cmocka_unit_test(a_million_operations_are_checked))
