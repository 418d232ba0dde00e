/*
 * Many processes put items and do them, and are killed in the midst of it; then all of them are gone, and others go on.
 *
 * The anomalies refuted:
 *
 *   lost at the claim     A claims an item, which removes it, and is killed: nobody ever does it (claude-mem's #520).
 *   lost in memory        1,297 items wait in a process that is ended: the next one begins with none (#4068).
 *   lost at the put       A is told that its item is kept, and is killed: it isn't there.
 *   done by two           A is late; B is given its item, and both are told that they have done it.
 *   stuck                 whoever was first of a line died, and nobody comes after it.
 *
 * Rows: R105 R106 R107 R110 R111 R113 R114
 * Time limit: 600 s
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include <signal.h>
#include <unistd.h>

#define BACKLOG 1297
#define PUTTERS 4
#define WORKERS 6
#define LINES 40 /* sessions */
#define AT_A_TIME 7
#define LIVES 40 /* of one worker, each after the last was killed */

struct told {
	uint32_t put;               /* answered */
	uint32_t done[BACKLOG + 1]; /* by number: how often somebody was told that he has done it */
	uint32_t killed;
};

struct race {
	struct codebase codebase;
	char sessions[LINES][ID_SIZE];
	bool each;         /* of those who put puts all of them */
	struct told *told; /* shared */
};

static unsigned
backlog(void)
{
	return share_is_full() ? BACKLOG : 400;
}

static int
open_race(void **state)
{
	struct race *race = calloc(1, sizeof *race);
	struct stile *resident;

	codebase_make(&race->codebase);
	/* who is killed again and again costs it an attempt each time */
	codebase_configure(&race->codebase, "[queue]\nattempts = 1000000\n");
	resident = codebase_resident(&race->codebase);
	for (unsigned i = 0; i < LINES; i++) {
		char name[40];

		snprintf(name, sizeof name, "conversation-%u", i);
		resident_start(resident, name, race->sessions[i]);
		/* half of them have ended before anything of theirs is done */
		if (i % 2 == 0)
			assert_int_equal(resident_call(resident, NULL, "session end", "{\"session\":\"%s\"}", race->sessions[i]), STILE_OK);
	}
	stile_close(resident);
	race->told = scratch_shared(sizeof *race->told);
	*state = race;
	return 0;
}

static int
close_race(void **state)
{
	struct race *race = *state;
	bool whole = codebase_is_whole(&race->codebase);

	scratch_unshare(race->told, sizeof *race->told);
	codebase_remove(&race->codebase);
	free(race);
	return whole ? 0 : -1;
}

/* Puts its part of all, and is gone. */
static int
puts_all(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	bool well = crowd_together(member);

	for (unsigned i = race->each ? 0 : member->index; i < backlog() && well; i += race->each ? 1 : member->count) {
		well = resident_call(resident, NULL, "queue put", "{\"queue\":\"work\",\"session\":\"%s\",\"key\":\"k%u\",\"payload\":\"%u\"}",
		                     race->sessions[i % LINES], i, i) == STILE_OK;
		if (well)
			__atomic_add_fetch(&race->told->put, 1, __ATOMIC_SEQ_CST);
	}
	if (!well)
		return 2;
	stile_close(resident);
	return 0;
}

/* Whether it was done; false also when the claim was lost. */
static bool
finish(struct race *race, struct stile *resident, const json_t *item)
{
	long long number = 0;

	sscanf(json_text(item, "id", ""), "work/%lld", &number);
	if (number < 1 || number > BACKLOG ||
	    resident_call(resident, NULL, "queue ack", "{\"id\":\"work/%lld\",\"generation\":%lld}", number,
	                  (long long)json_whole(item, "generation", 0)) != STILE_OK)
		return false;
	__atomic_add_fetch(&race->told->done[number], 1, __ATOMIC_SEQ_CST);
	return true;
}

struct life {
	struct race *race;
	unsigned ends_after; /* items; then it is killed with what it claimed besides */
};

/* Ends with 0 when there was nothing more to be had. */
static int
works_until_killed(void *arg)
{
	struct life *life = arg;
	struct stile *resident = codebase_resident(&life->race->codebase);
	unsigned done = 0;

	for (;;) {
		json_t *document;
		const json_t *item;
		size_t i;
		enum stile_status status = resident_call(resident, &document, "queue take", "{\"queue\":\"work\",\"max\":%d,\"pid\":%lld}",
		                                         AT_A_TIME, (long long)getpid());

		if (status != STILE_OK) {
			json_decref(document);
			stile_close(resident);
			return status == STILE_BUSY ? 0 : 2;
		}
		json_array_foreach(json_object_get(document, "items"), i, item)
		{
			if (done++ >= life->ends_after)
				raise(SIGKILL);
			if (!finish(life->race, resident, item))
				return 3;
		}
		json_decref(document);
	}
}

static int
works(const struct member *member)
{
	struct race *race = member->arg;
	bool well = crowd_together(member);

	for (unsigned i = 0; i < LIVES && well; i++) {
		struct life life = {race, i == LIVES - 1 ? UINT32_MAX : 1 + (member->index + i * 5) % 11};
		struct scratch_child child;
		int status;

		scratch_spawn(&child, works_until_killed, &life);
		status = scratch_wait(&child, CODEBASE_LIMIT_MS);
		if (status == 0)
			return 0;
		well = status == 128 + SIGKILL;
		__atomic_add_fetch(&race->told->killed, 1, __ATOMIC_SEQ_CST);
	}
	return well ? 0 : 2;
}

static int64_t
count(const struct race *race, int64_t state)
{
	return codebase_number(&race->codebase, "SELECT count(*) FROM queue_item WHERE state = $1", DB_INT(state));
}

/* Rows: R105 R106 R107 R111 R113 R114 */
static void
what_waits_when_all_are_gone_is_all_done_by_those_who_come_and_are_killed_and_once(void **state)
{
	struct race *race = *state;
	struct life last = {race, UINT32_MAX};

	assert_true(crowd_run(PUTTERS, puts_all, race));
	assert_int_equal(race->told->put, backlog());
	assert_int_equal(codebase_number(&race->codebase, "SELECT items FROM queue WHERE queue = $1", DB_TEXT("work")), backlog());
	assert_true(crowd_run(WORKERS, works, race));
	/* what the last one that was killed was at */
	assert_int_equal(works_until_killed(&last), 0);
	assert_true(race->told->killed >= WORKERS);
	assert_int_equal(count(race, 4), backlog());
	assert_int_equal(count(race, 3), 0);
	for (unsigned number = 1; number <= backlog(); number++)
		assert_int_equal(race->told->done[number], 1);
	assert_int_equal(codebase_number(&race->codebase, "SELECT items + bytes + dead FROM queue WHERE queue = $1", DB_TEXT("work")), 0);
}

/* Rows: R110 */
static void
of_many_who_put_the_same_key_one_puts_it(void **state)
{
	struct race *race = *state;

	race->each = true;
	assert_true(crowd_run(PUTTERS, puts_all, race));
	assert_int_equal(race->told->put, PUTTERS * backlog());
	assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM queue_item WHERE queue = $1", DB_TEXT("work")), backlog());
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_race, close_race)

CONTRACT_TESTS(TEST(what_waits_when_all_are_gone_is_all_done_by_those_who_come_and_are_killed_and_once),
               TEST(of_many_who_put_the_same_key_one_puts_it))
