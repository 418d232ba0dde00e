/*
 * Rules of the shared instructions that must hold on every engine, through two connections to one store: what the first did
 * binds the second.
 *
 * Rows: R53 R54 R63 R65 R67 R68 R91 N11
 */
#include "lib/scratch.h"
#include "lib/store.h"
#include "lib/test.h"

#include "core/instruction_report.h"
#include "core/retention.h"

struct two {
	struct contract *contract;
	struct engine engines[2];
};

struct work {
	const char *id;
	int64_t version;
	struct instruction_draft draft;
	struct instruction_outcome outcome;
	json_t *conflicts;
	struct session session;
	struct rulebook standing;
	struct instruction_news news;
	struct retention removed;
};

static enum status
add(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	return instruction_add(txn, txn->actor, &work->draft, &work->outcome, work->conflicts, why);
}

static enum status
edit(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	return instruction_edit(txn, txn->actor, work->id, work->version, &work->draft, &work->outcome, work->conflicts, why);
}

static enum status
retire(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	return instruction_retire(txn, txn->actor, work->id, work->version, &work->outcome, work->conflicts, why);
}

static enum status
tell(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	return instruction_tell(txn, &work->session, &work->standing, false, &work->news, why);
}

static enum status
keep(struct txn *txn, void *arg, struct buf *why)
{
	return retention_apply(txn, &((struct work *)arg)->removed, why);
}

static int
open_two(void **state)
{
	struct two *two = calloc(1, sizeof *two);
	void *contract;
	int status = contract_set_up(&contract);

	two->contract = contract;
	for (int i = 0; i < 2; i++) {
		engine_init(&two->engines[i], i == 0 ? two->contract->db : two->contract->other, ".", i == 0 ? "first" : "second",
		            store_random);
		if (config_defaults(&two->engines[i].config) != OK)
			return -1;
	}
	*state = two;
	return status;
}

static int
close_two(void **state)
{
	struct two *two = *state;
	void *contract = two->contract;
	int status;

	for (int i = 0; i < 2; i++)
		config_release(&two->engines[i].config);
	status = contract_tear_down(&contract);
	free(two);
	return status;
}

static void
work_release(struct work *work)
{
	instruction_list_release(&work->outcome.list);
	instruction_news_release(&work->news);
	json_decref(work->conflicts);
}

static void
assert_change(struct two *two, int which, rule_function *rule, const char *text, const char *port, enum status expected,
              size_t conflicts)
{
	struct work work = {.id = "inst_001", .version = 1, .draft = INSTRUCTION_DRAFT, .conflicts = json_array()};

	work.draft.text = text;
	work.draft.parameters = port;
	work.draft.persistence = port == NULL ? NULL : "HIGH";
	assert_int_equal(engine_run(&two->engines[which], rule, &work, &two->contract->why), expected);
	assert_int_equal(json_array_size(work.conflicts), conflicts);
	work_release(&work);
}

static void
assert_number(struct two *two, const char *sql, int64_t expected)
{
	const struct db_value arg = DB_TEXT(".");

	assert_int_equal(store_number_of(two->contract->db, sql, &arg, 1), expected);
	assert_int_equal(store_number_of(two->contract->other, sql, &arg, 1), expected);
}

/* Rows: R53 R54 R67 */
static void
adds_through_two_connections_are_one_sequence(void **state)
{
	struct two *two = *state;
	char text[20];

	for (int i = 0; i < 10; i++) {
		snprintf(text, sizeof text, "rule %d", i);
		assert_change(two, i % 2, add, text, NULL, OK, 0);
	}
	assert_number(two, "SELECT count(*) FROM instruction WHERE project = $1 AND active = 1", 10);
	assert_number(two, "SELECT count(*) FROM instruction WHERE project = $1 AND instruction = 'inst_010'", 1);
	assert_number(two, "SELECT epoch FROM project WHERE project = $1", 10);
	assert_number(two, "SELECT max(epoch) FROM audit WHERE project = $1", 10);
	/* another project in the store has its own */
	snprintf(two->engines[1].project, sizeof two->engines[1].project, "elsewhere");
	assert_change(two, 1, add, "rule 0", NULL, OK, 0);
	assert_number(two, "SELECT epoch FROM project WHERE project <> $1", 1);
	assert_number(two, "SELECT count(*) FROM instruction WHERE project <> $1 AND instruction = 'inst_001'", 1);
}

/* Rows: R63 */
static void
who_edits_a_version_that_another_has_edited_is_refused(void **state)
{
	struct two *two = *state;

	assert_change(two, 0, add, "first", NULL, OK, 0);
	assert_change(two, 1, edit, "second", NULL, OK, 0);
	assert_change(two, 0, edit, "third", NULL, CONFLICT, 0);
	assert_change(two, 0, retire, NULL, NULL, CONFLICT, 0);
	assert_number(two, "SELECT version FROM instruction WHERE project = $1 AND text = 'second'", 2);
}

/* Rows: R65 */
static void
what_two_say_against_one_another_is_found_and_resolved_by_either(void **state)
{
	struct two *two = *state;

	assert_change(two, 0, add, "port 1", "{\"port\":1}", OK, 0);
	assert_change(two, 1, add, "port 2", "{\"port\":2}", OK, 1);
	assert_number(two, "SELECT count(*) FROM instruction_conflict WHERE project = $1 AND resolved_epoch = 0", 1);
	assert_change(two, 1, edit, "port 2 too", "{\"port\":\"2\"}", OK, 1);
	assert_number(two, "SELECT count(*) FROM instruction_conflict WHERE project = $1 AND resolved_epoch = 0", 0);
	assert_number(two, "SELECT count(*) FROM instruction_conflict WHERE project = $1 AND resolved_by = 'second'", 1);
}

/* Rows: R68 */
static void
what_the_first_changed_the_second_is_told(void **state)
{
	struct two *two = *state;
	struct work work = {.session = {.id = "second", .told_epoch = 0}, .standing = {2, 2, 1}};

	assert_change(two, 0, add, "port 1", "{\"port\":1}", OK, 0);
	assert_change(two, 0, add, "port 2", "{\"port\":2}", OK, 1);
	assert_int_equal(engine_run(&two->engines[1], tell, &work, &two->contract->why), OK);
	assert_int_equal(work.news.list.count, 2);
	assert_string_equal(work.news.list.items[1].text, "port 2");
	assert_int_equal(work.news.conflicts, 1);
	assert_string_equal(work.news.conflict.chosen, "inst_001");
	assert_int_equal(work.session.told_epoch, 2);
	work_release(&work);
	work = (struct work){.session = {.id = "third", .told_epoch = -1}, .standing = {2, 2, 1}};
	assert_int_equal(engine_run(&two->engines[0], tell, &work, &two->contract->why), OK);
	assert_false(work.news.changes);
	assert_int_equal(work.news.list.count, 2);
	assert_string_equal(work.news.list.items[0].id, "inst_001");
	work_release(&work);
}

/* Rows: R91 */
static void
where_nothing_is_old_nothing_goes(void **state)
{
	struct two *two = *state;
	struct work work = {0};

	assert_change(two, 0, add, "a rule", NULL, OK, 0);
	assert_int_equal(engine_run(&two->engines[1], keep, &work, &two->contract->why), OK);
	assert_int_equal(work.removed.sessions + work.removed.rows, 0);
	assert_number(two, "SELECT count(*) FROM audit WHERE project = $1", 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_two, close_two)

CONTRACT_TESTS(TEST(adds_through_two_connections_are_one_sequence),
               TEST(who_edits_a_version_that_another_has_edited_is_refused),
               TEST(what_two_say_against_one_another_is_found_and_resolved_by_either),
               TEST(what_the_first_changed_the_second_is_told), TEST(where_nothing_is_old_nothing_goes))
