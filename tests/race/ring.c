/*
 * Each of three holds one lock and asks for the next one's at the same instant.
 *
 * The anomaly refuted:
 *
 *   both closers  A holds a, B holds b.  A asks for b and sees nobody wait; B asks for a and sees nobody wait; both wait for ever.
 *
 * Rows: R61 N12 N11
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#define CLOSERS 3
#define ROUNDS 20
#define ROUNDS_FULL 300
#define WAIT_MS 20000

struct told {
	enum stile_status status;
	bool names_ring;
};

struct race {
	struct codebase codebase;
	char sessions[CLOSERS][ID_SIZE];
	unsigned rounds;
	struct told (*told)[CLOSERS]; /* shared, a row for each round */
};

static int
open_race(void **state)
{
	struct race *race = calloc(1, sizeof *race);
	struct stile *resident;

	codebase_make(&race->codebase);
	resident = codebase_resident(&race->codebase);
	for (unsigned i = 0; i < CLOSERS; i++) {
		char name[40];

		snprintf(name, sizeof name, "conversation-%u", i);
		resident_start(resident, name, race->sessions[i]);
	}
	stile_close(resident);
	race->rounds = share_is_full() ? ROUNDS_FULL : ROUNDS;
	race->told = scratch_shared(race->rounds * sizeof *race->told);
	*state = race;
	return 0;
}

static int
close_race(void **state)
{
	struct race *race = *state;
	bool whole = codebase_is_whole(&race->codebase);

	scratch_unshare(race->told, race->rounds * sizeof *race->told);
	codebase_remove(&race->codebase);
	free(race);
	return whole ? 0 : -1;
}

/* The fence, 0 when it was refused. */
static int64_t
acquire(struct race *race, struct stile *resident, unsigned who, unsigned lock, struct told *told)
{
	json_t *document;
	int64_t fence;

	told->status = resident_call(resident, &document, "lock acquire", "{\"name\":\"lock-%u\",\"session\":\"%s\",\"wait\":%d}",
	                             lock, race->sessions[who], WAIT_MS);
	fence = told->status == STILE_OK ? json_whole(document, "fence", 0) : 0;
	told->names_ring = strstr(json_text(document, "hint", ""), "would close a ring") != NULL;
	json_decref(document);
	return fence;
}

static bool
release(struct race *race, struct stile *resident, unsigned who, unsigned lock, int64_t fence)
{
	return resident_call(resident, NULL, "lock release", "{\"name\":\"lock-%u\",\"session\":\"%s\",\"fence\":%lld}", lock,
	                     race->sessions[who], (long long)fence) == STILE_OK;
}

/* Seen alike by all three once the round is over, so that they go on, or stop, together. */
static bool
is_good(const struct race *race, unsigned round)
{
	for (unsigned i = 0; i < CLOSERS; i++)
		if (race->told[round][i].status != STILE_OK && race->told[round][i].status != STILE_CONFLICT)
			return false;
	return true;
}

static int
closes(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	unsigned own = member->index, next = (own + 1) % CLOSERS;
	bool good = true;

	for (unsigned round = 0; round < race->rounds && good; round++) {
		struct told first;
		int64_t fence = acquire(race, resident, own, own, &first), other;

		good = crowd_together(member) && fence > 0;
		other = acquire(race, resident, own, next, &race->told[round][own]);
		good = (other == 0 || release(race, resident, own, next, other)) && release(race, resident, own, own, fence) && good;
		good = crowd_together(member) && good && is_good(race, round);
	}
	stile_close(resident);
	return good ? 0 : 1;
}

static void
of_three_who_close_a_ring_at_once_one_is_told_and_the_others_are_let_in(void **state)
{
	struct race *race = *state;

	assert_true(crowd_run(CLOSERS, closes, race));
	for (unsigned round = 0; round < race->rounds; round++) {
		unsigned refused = 0;

		for (unsigned i = 0; i < CLOSERS; i++) {
			const struct told *told = &race->told[round][i];

			refused += told->status == STILE_CONFLICT && told->names_ring;
		}
		assert_int_equal(refused, 1);
	}
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_race, close_race)

CONTRACT_TESTS(TEST(of_three_who_close_a_ring_at_once_one_is_told_and_the_others_are_let_in))
