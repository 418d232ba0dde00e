/*
 * Many processes add to and edit the instructions of one codebase at the same instant.
 *
 * The anomalies refuted:
 *
 *   a lost instruction  A reads 18; B reads 18; A writes 19 with inst_019; B writes 19 with its own: inst_019 is gone.
 *   one id twice        both take 18 + 1 for the next number.
 *   a lost edit         A and B read version 1; A writes 2; B writes 2 over it, having never seen what A wrote.
 *   an unseen conflict  A looks for contradictions and finds none; so does B; both write, and they contradict each other.
 *   two for one         both look after they wrote, and each records the contradiction.
 *
 * Rows: R53 R54 R57 R63 R65 R67 R122 N11
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#include <stdatomic.h>
#include <sys/mman.h>

#define WRITERS 16
#define STANDING 18

struct race {
	struct codebase codebase;
	char sessions[WRITERS][40];
	unsigned adds; /* that each process makes */
	_Atomic unsigned *won;
};

static int
open_race(void **state)
{
	struct race *race = calloc(1, sizeof *race);
	struct stile *resident;
	char name[40];

	codebase_make(&race->codebase);
	resident = codebase_resident(&race->codebase);
	for (unsigned i = 0; i < WRITERS; i++) {
		snprintf(name, sizeof name, "conversation-%u", i);
		resident_start(resident, name, race->sessions[i]);
	}
	for (unsigned i = 0; i < STANDING; i++)
		if (resident_call(resident, NULL, "instruction add", "{\"text\":\"standing %u\"}", i) != STILE_OK)
			return -1;
	stile_close(resident);
	race->adds = share_is_full() ? 1000 : 40;
	/* cppcheck-suppress invalidFunctionArg ; no file */
	race->won = mmap(NULL, sizeof *race->won, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*state = race;
	return race->won == MAP_FAILED ? -1 : 0;
}

static int
close_race(void **state)
{
	struct race *race = *state;
	bool whole = codebase_is_whole(&race->codebase);

	codebase_remove(&race->codebase);
	munmap(race->won, sizeof *race->won);
	free(race);
	return whole ? 0 : -1;
}

static int64_t
number(struct race *race, const char *sql)
{
	const struct db_value project = DB_TEXT(".");

	return codebase_number_of(&race->codebase, sql, &project, 1);
}

static int
adds_its_own(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	bool well = true;

	if (!crowd_together(member))
		return 1;
	for (unsigned i = 0; i < race->adds && well; i++)
		well = resident_call(resident, NULL, "instruction add", "{\"text\":\"%u of %u\",\"session\":\"%s\"}", i, member->index,
		                     race->sessions[member->index]) == STILE_OK;
	stile_close(resident);
	return well ? 0 : 2;
}

/* Rows: R53 R54 R57 R67 */
static void
of_sixteen_adding_processes_no_instruction_is_lost_and_no_id_given_twice(void **state)
{
	struct race *race = *state;
	int64_t all = (int64_t)WRITERS * race->adds + STANDING;

	assert_true(crowd_run(WRITERS, adds_its_own, race));
	assert_int_equal(number(race, "SELECT count(*) FROM instruction WHERE project = $1 AND active = 1"), all);
	assert_int_equal(number(race, "SELECT count(DISTINCT instruction) FROM instruction WHERE project = $1"), all);
	assert_int_equal(number(race, "SELECT count(DISTINCT text) FROM instruction WHERE project = $1"), all);
	assert_int_equal(number(race, "SELECT instruction_number FROM project WHERE project = $1"), all);
	assert_int_equal(number(race, "SELECT epoch FROM project WHERE project = $1"), all);
	assert_int_equal(number(race, "SELECT count(DISTINCT epoch) FROM instruction WHERE project = $1"), all);
	for (unsigned i = 0; i < WRITERS; i++)
		assert_int_equal(codebase_number(&race->codebase, "SELECT count(*) FROM instruction WHERE session = $1",
		                                 DB_TEXT(race->sessions[i])),
		                 race->adds);
}

static int
edits_what_it_read(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	enum stile_status status;
	json_t *said = NULL;
	bool well;

	if (!crowd_together(member))
		return 1;
	status = resident_call(resident, &said, "instruction edit",
	                       "{\"id\":\"inst_001\",\"text\":\"by %u\",\"version\":1,\"session\":\"%s\"}", member->index,
	                       race->sessions[member->index]);
	if (status == STILE_OK)
		++*race->won;
	/* the loser is told the winner's words */
	well = status == STILE_OK ||
	       (status == STILE_CONFLICT && json_whole(said, "version", 0) == 2 && str_starts(json_text(said, "text", ""), "by "));
	json_decref(said);
	stile_close(resident);
	return well ? 0 : 2;
}

/* Rows: R63 */
static void
of_racing_editors_of_one_version_exactly_one_wins(void **state)
{
	struct race *race = *state;

	assert_true(crowd_run(WRITERS, edits_what_it_read, race));
	assert_int_equal(*race->won, 1);
	assert_int_equal(number(race, "SELECT max(version) FROM instruction WHERE project = $1 AND instruction = 'inst_001'"), 2);
	assert_int_equal(number(race, "SELECT count(*) FROM instruction WHERE project = $1 AND instruction = 'inst_001'"), 2);
}

static int
sets_the_port(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	enum stile_status status;

	if (!crowd_together(member))
		return 1;
	status = resident_call(resident, NULL, "instruction add",
	                       "{\"text\":\"port %u\",\"persistence\":\"HIGH\",\"parameter\":[\"port=%u\"],\"session\":\"%s\"}",
	                       member->index, member->index, race->sessions[member->index]);
	stile_close(resident);
	return status == STILE_OK ? 0 : 2;
}

/* Rows: R65 */
static void
two_racing_contradicting_adds_make_exactly_one_conflict(void **state)
{
	struct race *race = *state;

	assert_true(crowd_run(2, sets_the_port, race));
	assert_int_equal(number(race, "SELECT count(*) FROM instruction_conflict WHERE project = $1"), 1);
	assert_int_equal(number(race, "SELECT count(*) FROM instruction_conflict WHERE project = $1 AND chosen = 'inst_019'"
	                              " AND other = 'inst_020' AND resolved_epoch = 0 AND decided_by = 'age'"),
	                 1);
	assert_int_equal(number(race, "SELECT count(*) FROM audit WHERE project = $1 AND kind = 'instruction.conflict'"), 1);
}

static int
says_the_same(const struct member *member)
{
	struct race *race = member->arg;
	struct stile *resident = codebase_resident(&race->codebase);
	enum stile_status status;

	if (!crowd_together(member))
		return 1;
	status = resident_call(resident, NULL, "instruction add", "{\"text\":\"what all say\",\"session\":\"%s\"}",
	                       race->sessions[member->index]);
	stile_close(resident);
	return status == STILE_OK ? 0 : 2;
}

/* Rows: R53 R57 */
static void
one_text_said_by_all_at_once_is_one_instruction_with_all_as_authors(void **state)
{
	struct race *race = *state;

	assert_true(crowd_run(WRITERS, says_the_same, race));
	assert_int_equal(number(race, "SELECT count(*) FROM instruction WHERE project = $1"), STANDING + 1);
	assert_int_equal(number(race, "SELECT count(*) FROM instruction_mark WHERE project = $1 AND kind = 'author'"), WRITERS - 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_race, close_race)

CONTRACT_TESTS(TEST(of_sixteen_adding_processes_no_instruction_is_lost_and_no_id_given_twice),
               TEST(of_racing_editors_of_one_version_exactly_one_wins),
               TEST(two_racing_contradicting_adds_make_exactly_one_conflict),
               TEST(one_text_said_by_all_at_once_is_one_instruction_with_all_as_authors))
