/*
 * Write skews: two transactions read the same state, each decides rightly by what it read, each writes rows that the other does not,
 * and together they have broken a rule that neither broke alone.  No two writes meet, so an engine that only minds those is content.
 *
 * The anomalies refuted:
 *
 *   two contradicting instructions  A looks for one that says another port and finds none; so does B; both add theirs, and nobody
 *                                   records that they contradict each other.  Or both look once more afterwards, and both do.
 *   two exclusive changes           A and B read version 7 of an instruction, both may change its parameter; both write 8.
 *   two reapers                     A and B find a session whose process is gone; both mark it, and the trail has two ends of it.
 *                                   Or both find what is old, both remove it, and both say that they did.
 *
 * In each round two processes leave the starting line together, and how many rounds they truly were at it together is said; under a
 * third of them is a failure: what never met has refuted nothing.
 *
 * Rows: R63 R65 R67 R91 R122 N11
 * Time limit: 900 s
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"
#include "core/retention.h"
#include "os/random.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#define PAIR 2

struct turn {
	int64_t began_ns, ended_ns;
	bool well; /* it was answered as it may be */
	bool won;  /* it is the one that did it, or was told */
	int64_t number;
};

struct race {
	struct codebase codebase;
	char sessions[PAIR][40];
	unsigned rounds;
	struct turn (*turns)[PAIR]; /* shared: one each a round */
	bool (*prepare)(struct race *race, struct stile *resident,
	                unsigned round); /* the first one does it before each; may be NULL */
	void (*take)(struct race *race, struct stile *resident, unsigned round, unsigned who, struct turn *turn);
	unsigned marked; /* of the process that prepares: rows of the trail that were made old */
	unsigned *old;   /* shared: of all rounds */
};

static int
open_race(void **state)
{
	struct race *race = calloc(1, sizeof *race);
	struct stile *resident;
	char name[40];

	codebase_make(&race->codebase);
	resident = codebase_resident(&race->codebase);
	for (unsigned i = 0; i < PAIR; i++) {
		snprintf(name, sizeof name, "conversation-%u", i);
		resident_start(resident, name, race->sessions[i]);
	}
	stile_close(resident);
	race->rounds = share_is_full() ? 1000 : 40;
	race->turns = scratch_shared(race->rounds * sizeof *race->turns);
	race->old = scratch_shared(sizeof *race->old);
	*state = race;
	return 0;
}

static int
close_race(void **state)
{
	struct race *race = *state;
	bool whole = codebase_is_whole(&race->codebase);

	scratch_unshare(race->turns, race->rounds * sizeof *race->turns);
	scratch_unshare(race->old, sizeof *race->old);
	codebase_remove(&race->codebase);
	free(race);
	return whole ? 0 : -1;
}

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int
races(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	bool well = true;

	for (unsigned round = 0; round < race->rounds && well; round++) {
		struct turn *turn = &race->turns[round][member->index];

		well = member->index != 0 || race->prepare == NULL || race->prepare(race, resident, round);
		if (!crowd_together(member))
			return 1;
		turn->began_ns = now_ns();
		race->take(race, resident, round, member->index, turn);
		turn->ended_ns = now_ns();
		/* nobody prepares the next while the other is still at this one */
		if (!crowd_together(member))
			return 1;
	}
	stile_close(resident);
	return well ? 0 : 2;
}

static unsigned
overlapping(const struct race *race)
{
	unsigned count = 0;

	for (unsigned i = 0; i < race->rounds; i++)
		count += race->turns[i][0].began_ns < race->turns[i][1].ended_ns &&
		         race->turns[i][1].began_ns < race->turns[i][0].ended_ns;
	return count;
}

/* In every round both were answered well, exactly one of them won, and often enough they were at it together. */
static void
run_race(struct race *race)
{
	unsigned met;

	assert_true(crowd_run(PAIR, races, race));
	met = overlapping(race);
	print_message("# %s: overlapping in %u of %u rounds\n", contract_engine(contract_now), met, race->rounds);
	for (unsigned i = 0; i < race->rounds; i++) {
		assert_true(race->turns[i][0].well);
		assert_true(race->turns[i][1].well);
		assert_int_equal(race->turns[i][0].won + race->turns[i][1].won, 1);
	}
	assert_true(met * 3 >= race->rounds);
}

static int64_t
number(struct race *race, const char *sql)
{
	const struct db_value project = DB_TEXT(".");

	return codebase_number_of(&race->codebase, sql, &project, 1);
}

/* Who comes second is told of the conflict; of every three rounds one is decided by age, one by each one's priority. */
static void
adds(struct race *race, struct stile *resident, unsigned round, unsigned who, struct turn *turn)
{
	json_t *said;
	int64_t conflicts;

	turn->well = resident_call(resident, &said, "instruction add",
	                           "{\"text\":\"%u of %u\",\"persistence\":\"HIGH\",\"priority\":%u,\"parameter\":[\"port-%u=%u\"],"
	                           "\"session\":\"%s\"}",
	                           who, round, round % 3 == who + 1 ? 90U : 50U, round, who, race->sessions[who]) == STILE_OK;
	conflicts = (int64_t)json_array_size(json_object_get(said, "conflicts"));
	turn->won = conflicts == 1;
	turn->well = turn->well && conflicts <= 1;
	turn->number = json_whole(said, "epoch", 0);
	json_decref(said);
}

/* Rows: R65 R67 */
static void
two_contradicting_instructions_added_at_once_are_one_conflict_rightly_decided(void **state)
{
	struct race *race = *state;

	race->take = adds;
	run_race(race);
	for (unsigned i = 0; i < race->rounds; i++) {
		const struct turn *turn = race->turns[i];

		/* the later one is told */
		assert_int_equal(turn[0].number + turn[1].number, 4 * i + 3);
		assert_int_equal(turn[turn[0].won ? 0 : 1].number, 2 * i + 2);
	}
	assert_int_equal(number(race, "SELECT count(*) FROM instruction_conflict WHERE project = $1"), race->rounds);
	assert_int_equal(number(race, "SELECT count(DISTINCT c.parameter) FROM instruction_conflict c"
	                              " JOIN instruction a ON a.project = c.project AND a.instruction = c.chosen"
	                              " JOIN instruction b ON b.project = c.project AND b.instruction = c.other"
	                              " WHERE c.project = $1 AND c.resolved_epoch = 0"
	                              " AND c.found_epoch = CASE WHEN a.epoch > b.epoch THEN a.epoch ELSE b.epoch END"
	                              " AND ((c.decided_by = 'age' AND a.priority = b.priority AND a.epoch < b.epoch)"
	                              " OR (c.decided_by = 'priority' AND a.priority > b.priority))"),
	                 race->rounds);
	assert_int_equal(number(race, "SELECT count(*) FROM audit WHERE project = $1 AND kind = 'instruction.conflict'"),
	                 race->rounds);
	assert_int_equal(number(race, "SELECT count(DISTINCT instruction) FROM instruction WHERE project = $1"),
	                 PAIR * race->rounds);
	/* each line of the trail says under which epoch it was written */
	assert_int_equal(number(race, "SELECT count(*) FROM audit a JOIN instruction i ON i.project = a.project AND i.instruction "
	                              "= a.subject"
	                              " WHERE a.project = $1 AND a.kind = 'instruction.add' AND a.epoch = i.epoch"),
	                 PAIR * race->rounds);
	assert_int_equal(number(race, "SELECT instruction_conflicts FROM project WHERE project = $1"), race->rounds);
}

static bool
adds_the_first(struct race *race, struct stile *resident, unsigned round)
{
	(void)race;
	return round > 0 ||
	       resident_call(resident, NULL, "instruction add",
	                     "{\"text\":\"the port\",\"persistence\":\"HIGH\",\"parameter\":[\"port=0\"]}") == STILE_OK;
}

/* The loser is told the winner's value. */
static void
changes(struct race *race, struct stile *resident, unsigned round, unsigned who, struct turn *turn)
{
	json_t *said;
	enum stile_status status = resident_call(resident, &said, "instruction edit",
	                                         "{\"id\":\"inst_001\",\"text\":\"the "
	                                         "port\",\"version\":%u,\"parameter\":[\"port=%u\"],\"session\":\"%s\"}",
	                                         round + 1, 10 * round + who + 1, race->sessions[who]);
	const char *port = json_text(json_object_get(said, "parameters"), "port", "0");

	turn->won = status == STILE_OK;
	turn->number = turn->won ? 10 * round + who + 1 : strtoll(port, NULL, 10);
	turn->well = json_whole(said, "version", 0) == round + 2 && (turn->won || status == STILE_CONFLICT);
	json_decref(said);
}

/* Rows: R63 R67 */
static void
of_two_exclusive_changes_of_one_parameter_one_wins_and_the_loser_is_told(void **state)
{
	struct race *race = *state;

	race->prepare = adds_the_first;
	race->take = changes;
	run_race(race);
	for (unsigned i = 0; i < race->rounds; i++)
		assert_int_equal(race->turns[i][0].number, race->turns[i][1].number);
	assert_int_equal(number(race, "SELECT max(version) FROM instruction WHERE project = $1"), race->rounds + 1);
	assert_int_equal(number(race, "SELECT count(*) FROM instruction WHERE project = $1"), race->rounds + 1);
	assert_int_equal(number(race, "SELECT epoch FROM project WHERE project = $1"), race->rounds + 1);
	assert_int_equal(number(race, "SELECT count(*) FROM audit WHERE project = $1 AND kind = 'instruction.edit'"), race->rounds);
	assert_int_equal(number(race, "SELECT count(*) FROM instruction_setting WHERE project = $1"), 1);
}

static int
waits_for_its_end(void *unused)
{
	(void)unused;
	while (pause() != 0)
		continue;
	return 0;
}

/* A session whose process has been killed. */
static bool
loses_a_session(struct race *race, struct stile *resident, unsigned round)
{
	struct scratch_child child;
	bool well;

	(void)race;
	scratch_spawn(&child, waits_for_its_end, NULL);
	well = resident_call(resident, NULL, "session start", "{\"client\":\"claude\",\"client_session\":\"lost-%u\",\"pid\":%d}",
	                     round, (int)child.pid) == STILE_OK;
	kill(child.pid, SIGKILL);
	return scratch_wait(&child, CODEBASE_LIMIT_MS) == 128 + SIGKILL && well;
}

static void
reaps(struct race *race, struct stile *resident, unsigned round, unsigned who, struct turn *turn)
{
	json_t *said;

	(void)race;
	(void)round;
	(void)who;
	turn->well = resident_call(resident, &said, "session reap", "{}") == STILE_OK;
	turn->number = (int64_t)json_array_size(json_object_get(said, "lost"));
	turn->well = turn->well && turn->number <= 1;
	turn->won = turn->number == 1;
	json_decref(said);
}

/* Rows: R91 */
static void
a_lost_session_is_marked_and_audited_once_by_two_reapers(void **state)
{
	struct race *race = *state;

	race->prepare = loses_a_session;
	race->take = reaps;
	run_race(race);
	assert_int_equal(number(race, "SELECT count(*) FROM session WHERE project = $1 AND state = 'lost'"), race->rounds);
	assert_int_equal(number(race,
	                        "SELECT count(*) FROM audit WHERE project = $1 AND kind = 'session.state' AND after = 'lost'"),
	                 race->rounds);
	assert_int_equal(number(race, "SELECT count(DISTINCT session) FROM audit WHERE project = $1 AND kind = 'session.state'"),
	                 race->rounds);
}

/* The trail has one end of the last round's, and now all of it is old; so is a session with a bound id. */
static enum status
make_old(struct txn *txn, void *arg, struct buf *why)
{
	struct race *race = arg;
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why, "UPDATE audit SET at_ms = 1 WHERE project = $1 RETURNING kind",
	                            DB_TEXT(txn->project));
	unsigned removed = 0;

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++)
		removed += str_equal(db_text(&rows, i, 0), "session.removed");
	*race->old += (unsigned)rows.count;
	race->marked = removed;
	db_rows_release(&rows);
	db_run(txn->db, "UPDATE session SET ended_ms = 1 WHERE project = $1 AND state = 'ended'", DB_TEXT(txn->project));
	return OK;
}

static bool
run_on_store(struct race *race, rule_function *rule, void *arg, bool writes)
{
	struct engine engine;
	struct buf why;
	bool well;

	buf_init(&why, WHY_MAX);
	engine_init(&engine, contract_store(contract_now, race->codebase.store), ".", "uid:1", random_bytes);
	well = config_defaults(&engine.config) == OK &&
	       (writes ? engine_run(&engine, rule, arg, &why) : engine_read(&engine, rule, arg, &why)) == OK;
	if (!well)
		fprintf(stderr, "skew: %s\n", why.data);
	engine_release(&engine, false);
	buf_release(&why);
	return well;
}

static bool
ends_a_session(struct race *race, struct stile *resident, unsigned round)
{
	char id[ID_SIZE], name[40];

	snprintf(name, sizeof name, "old-%u", round);
	resident_start(resident, name, id);
	return resident_call(resident, NULL, "session bind", "{\"session\":\"%s\",\"slot\":\"memory\",\"value\":\"memory-%u\"}", id,
	                     round) == STILE_OK &&
	       resident_call(resident, NULL, "session end", "{\"session\":\"%s\"}", id) == STILE_OK &&
	       run_on_store(race, make_old, race, true) && race->marked == (round > 0);
}

static enum status
rule_due(struct txn *txn, void *due, struct buf *why)
{
	return retention_due(txn, due, why);
}

static enum status
rule_remove(struct txn *txn, void *removed, struct buf *why)
{
	return retention_apply(txn, removed, why);
}

/* As what rides along does it: a look, and only then the store. */
static void
removes_the_old(struct race *race, struct stile *resident, unsigned round, unsigned who, struct turn *turn)
{
	struct retention removed = {0};
	bool due = false;

	(void)resident;
	(void)round;
	(void)who;
	turn->well = run_on_store(race, rule_due, &due, false) && (!due || run_on_store(race, rule_remove, &removed, true));
	turn->well = turn->well && removed.sessions <= 1;
	turn->won = removed.sessions == 1;
	turn->number = (int64_t)removed.rows;
}

/* Rows: R91 */
static void
what_is_old_is_removed_once_by_two_that_remove(void **state)
{
	struct race *race = *state;
	int64_t rows = 0;

	race->prepare = ends_a_session;
	race->take = removes_the_old;
	run_race(race);
	for (unsigned i = 0; i < race->rounds; i++)
		rows += race->turns[i][0].number + race->turns[i][1].number;
	assert_int_equal(rows, *race->old);
	assert_int_equal(number(race, "SELECT count(*) FROM session WHERE project = $1"), PAIR);
	assert_int_equal(number(race, "SELECT count(*) FROM binding WHERE project = $1"), PAIR);
	assert_int_equal(number(race, "SELECT count(*) FROM binding_owner WHERE project = $1"), PAIR);
	assert_int_equal(number(race, "SELECT count(*) FROM audit WHERE project = $1 AND kind = 'session.removed'"), 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_race, close_race)

CONTRACT_TESTS(TEST(two_contradicting_instructions_added_at_once_are_one_conflict_rightly_decided),
               TEST(of_two_exclusive_changes_of_one_parameter_one_wins_and_the_loser_is_told),
               TEST(a_lost_session_is_marked_and_audited_once_by_two_reapers),
               TEST(what_is_old_is_removed_once_by_two_that_remove))
