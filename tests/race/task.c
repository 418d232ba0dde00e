/*
 * Many processes go for one task; its owner dies or oversleeps.
 *
 * The anomalies refuted:
 *
 *   two starters   A looks for the marker: none; B looks: none; A writes it; B writes it: both build.
 *   the slow one   A claims, and is stopped past its deadline; B takes over and works; A goes on, and reports what it built.
 *   done twice     A is done; B, who waited, is given the task and does it again.
 *
 * Rows: R99 R104 R122 N2 N11
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#include <signal.h>
#include <unistd.h>

#define CLAIMERS 16
#define ROUNDS 4

struct told {
	enum stile_status status;
	int64_t fence;
	char holder[80];
};

struct race {
	struct codebase codebase;
	char sessions[CLAIMERS][40];
	struct told (*told)[CLAIMERS]; /* shared, a row for each round */
};

static int
open_race(void **state)
{
	struct race *race = calloc(1, sizeof *race);
	struct stile *resident;

	codebase_make(&race->codebase);
	resident = codebase_resident(&race->codebase);
	for (unsigned i = 0; i < CLAIMERS; i++) {
		char name[40];

		snprintf(name, sizeof name, "conversation-%u", i);
		resident_start(resident, name, race->sessions[i]);
	}
	stile_close(resident);
	race->told = scratch_shared(ROUNDS * sizeof *race->told);
	*state = race;
	return 0;
}

static int
close_race(void **state)
{
	struct race *race = *state;
	bool whole = codebase_is_whole(&race->codebase);

	scratch_unshare(race->told, ROUNDS * sizeof *race->told);
	codebase_remove(&race->codebase);
	free(race);
	return whole ? 0 : -1;
}

static struct told
ask(struct stile *resident, const char *verb, const char *parameters)
{
	struct told told = {0};
	json_t *document;

	told.status = resident_call(resident, &document, verb, "%s", parameters);
	told.fence = json_whole(document, "fence", 0);
	snprintf(told.holder, sizeof told.holder, "%s", json_text(document, "holder", json_text(document, "done_by", "")));
	json_decref(document);
	return told;
}

/* Without a session it is the person's. */
static struct told
claim(struct stile *resident, const char *task, const char *session, const char *more)
{
	char parameters[300], who[100] = "";

	if (session != NULL)
		snprintf(who, sizeof who, ",\"session\":\"%s\"", session);
	snprintf(parameters, sizeof parameters, "{\"name\":\"%s\"%s%s}", task, who, more);
	return ask(resident, "task claim", parameters);
}

static struct told
end(struct stile *resident, const char *verb, const char *task, const char *session, int64_t fence)
{
	char parameters[300], who[100] = "";

	if (session != NULL)
		snprintf(who, sizeof who, ",\"session\":\"%s\"", session);
	snprintf(parameters, sizeof parameters, "{\"name\":\"%s\",\"fence\":%lld%s}", task, (long long)fence, who);
	return ask(resident, verb, parameters);
}

static struct told
done(struct stile *resident, const char *task, const char *session, int64_t fence)
{
	return end(resident, "task done", task, session, fence);
}

static int
claims(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	char task[20];

	for (unsigned round = 0; round < ROUNDS; round++) {
		snprintf(task, sizeof task, "build-%u", round);
		if (!crowd_together(member))
			return 1;
		race->told[round][member->index] = claim(resident, task, race->sessions[member->index], "");
	}
	stile_close(resident);
	return 0;
}

/* Rows: R99 */
static void
of_sixteen_claimers_one_starts_and_the_others_are_told_who(void **state)
{
	struct race *race = *state;

	assert_true(crowd_run(CLAIMERS, claims, race));
	for (unsigned round = 0; round < ROUNDS; round++) {
		const char *winner = NULL;
		unsigned starts = 0;

		for (unsigned i = 0; i < CLAIMERS; i++)
			if (race->told[round][i].status == STILE_OK) {
				starts++;
				winner = race->sessions[i];
			}
		assert_int_equal(starts, 1);
		for (unsigned i = 0; i < CLAIMERS; i++)
			assert_string_equal(race->told[round][i].holder, winner);
	}
}

static int
waits_for_it(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	const char *session = race->sessions[member->index];
	struct told told;

	if (!crowd_together(member))
		return 1;
	told = claim(resident, "build", session, ",\"wait\":60000");
	if (told.status == STILE_OK)
		told = done(resident, "build", session, told.fence);
	else
		told.fence = 0;
	race->told[0][member->index] = told;
	stile_close(resident);
	return 0;
}

/* Rows: R99 */
static void
who_waits_while_another_does_it_is_told_that_it_is_done(void **state)
{
	struct race *race = *state;
	unsigned starts = 0;

	assert_true(crowd_run(CLAIMERS, waits_for_it, race));
	for (unsigned i = 0; i < CLAIMERS; i++) {
		starts += race->told[0][i].fence > 0;
		assert_int_equal(race->told[0][i].status, race->told[0][i].fence > 0 ? STILE_OK : STILE_CONFLICT);
	}
	assert_int_equal(starts, 1);
	assert_int_equal(codebase_number(&race->codebase,
	                                 "SELECT count(*) FROM audit WHERE kind = 'lease.granted' AND subject = $1",
	                                 DB_TEXT("task/build")),
	                 1);
}

static int
lasts(void *arg)
{
	(void)arg;
	return pause();
}

/* Rows: R99 */
static void
an_owner_that_is_killed_is_taken_over_at_once_with_a_higher_fence(void **state)
{
	struct race *race = *state;
	struct stile *resident = codebase_resident(&race->codebase);
	struct scratch_child owner;
	struct told first, second;
	char more[40];

	scratch_spawn(&owner, lasts, NULL);
	snprintf(more, sizeof more, ",\"pid\":%d,\"ttl\":600000", (int)owner.pid);
	first = claim(resident, "build", race->sessions[0], more);
	assert_int_equal(first.status, STILE_OK);
	assert_int_equal(claim(resident, "build", race->sessions[1], "").status, STILE_HELD);
	kill(owner.pid, SIGKILL);
	assert_int_equal(scratch_wait(&owner, CODEBASE_LIMIT_MS), 128 + SIGKILL);
	second = claim(resident, "build", race->sessions[1], "");
	assert_int_equal(second.status, STILE_OK);
	assert_int_equal(second.fence, first.fence + 1);
	assert_int_equal(done(resident, "build", race->sessions[0], first.fence).status, STILE_HELD);
	assert_int_equal(done(resident, "build", race->sessions[1], second.fence).status, STILE_OK);
	stile_close(resident);
}

/* Its deadline is near, it is stopped, and whatever it does when it goes on comes too late. */
static int
oversleeps(void *arg)
{
	struct race *race = arg;
	struct stile *resident = codebase_resident(&race->codebase);
	struct told first = claim(resident, "build", NULL, ",\"ttl\":50");

	raise(SIGSTOP);
	race->told[0][0] = first;
	race->told[0][1] = end(resident, "task renew", "build", NULL, first.fence);
	race->told[0][2] = done(resident, "build", NULL, first.fence);
	race->told[0][3] = end(resident, "task release", "build", NULL, first.fence);
	stile_close(resident);
	return 0;
}

/* Both are the same person, so nothing but the fence tells them apart.  Rows: N2 */
static void
who_overslept_its_deadline_can_neither_renew_nor_finish_nor_release(void **state)
{
	struct race *race = *state;
	struct stile *resident = codebase_resident(&race->codebase);
	struct scratch_child sleeper;
	struct told second;

	scratch_spawn(&sleeper, oversleeps, race);
	assert_true(scratch_wait_stopped(&sleeper, CODEBASE_LIMIT_MS));
	second = claim(resident, "build", NULL, ",\"wait\":30000");
	assert_int_equal(second.status, STILE_OK);
	kill(sleeper.pid, SIGCONT);
	assert_int_equal(scratch_wait(&sleeper, CODEBASE_LIMIT_MS), 0);
	assert_int_equal(race->told[0][0].status, STILE_OK);
	assert_int_equal(second.fence, race->told[0][0].fence + 1);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(race->told[0][i].status, STILE_HELD);
	assert_int_equal(done(resident, "build", NULL, second.fence).status, STILE_OK);
	stile_close(resident);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_race, close_race)

CONTRACT_TESTS(TEST(of_sixteen_claimers_one_starts_and_the_others_are_told_who),
               TEST(who_waits_while_another_does_it_is_told_that_it_is_done),
               TEST(an_owner_that_is_killed_is_taken_over_at_once_with_a_higher_fence),
               TEST(who_overslept_its_deadline_can_neither_renew_nor_finish_nor_release))
