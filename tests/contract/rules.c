/*
 * The rules that must hold on every engine, each through two connections to one store: what the first did binds the second.
 *
 * Rows: R8 R12-R15 R18 R28-R30 R69 R73 R78 R80 R84 N4 N11
 */
#include "lib/scratch.h"
#include "lib/store.h"
#include "lib/test.h"

#include "core/audit.h"
#include "core/binding.h"
#include "core/checkpoint.h"
#include "core/metric.h"
#include "core/spend.h"

/* What a rule is asked, and what it answered. */
struct work {
	const char *client_session;
	struct binding_ask ask;
	struct binding binding;
	struct session session;
	bool created;
	struct checkpoint_list fired;
	struct checkpoint_list told;
	double amount;
	const struct transcript_look *look;
	json_t *document;
};

struct two {
	struct contract *contract;
	struct engine engines[2];
	char id[ID_SIZE]; /* session "c1", started by the first */
};

static enum status
start(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;
	struct session_start ask = {.client = "claude",
	                            .client_session = work->client_session,
	                            .client_version = "",
	                            .parent = "",
	                            .cwd = "",
	                            .worktree = "",
	                            .branch = ""};
	struct arrived arrived;
	enum status status = binding_arrive(txn, &ask, ARRIVAL_STARTUP, &arrived, why);

	if (status != OK)
		return status;
	work->session = arrived.session;
	work->created = arrived.created;
	session_list_release(&arrived.others);
	return OK;
}

static enum status
bind(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	return binding_set(txn, &work->ask, &work->binding, why);
}

static enum status
report(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;
	enum status status = session_load(txn, work->ask.session, &work->session, why);

	if (status != OK)
		return status;
	metric_add(txn, work->session.id, "messages", 1);
	metric_set(txn, work->session.id, "context_tokens", work->amount);
	return checkpoint_report(txn, &work->session, true, &work->fired, &work->told, why);
}

static enum status
take(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT " TRANSCRIPT_READING
	                            " FROM transcript t WHERE project = $1 AND session = $2 AND path = $3",
	                            DB_TEXT(txn->project), DB_TEXT(work->ask.session), DB_TEXT(work->look->before.path));

	if (status != OK)
		return status;
	spend_take(txn, work->ask.session, work->look, rows.count > 0 ? db_text(&rows, 0, 0) : "");
	db_rows_release(&rows);
	return OK;
}

static enum status
aggregate(struct txn *txn, void *arg, struct buf *why)
{
	return metric_aggregate(txn, ((struct work *)arg)->document, why);
}

static enum status
trail(struct txn *txn, void *arg, struct buf *why)
{
	struct audit_query query = {.kind = "binding.", .limit = 100};

	return audit_list(txn, &query, ((struct work *)arg)->document, why);
}

static enum status
run(struct two *two, int which, rule_function *rule, struct work *work)
{
	return engine_run(&two->engines[which], rule, work, &two->contract->why);
}

static int
open_two(void **state)
{
	struct two *two = calloc(1, sizeof *two);
	struct work work = {.client_session = "c1"};
	void *contract;
	int status = contract_set_up(&contract);

	two->contract = contract;
	for (int i = 0; i < 2; i++) {
		engine_init(&two->engines[i], i == 0 ? two->contract->db : two->contract->other, ".", "uid:7", store_random);
		if (config_defaults(&two->engines[i].config) != OK)
			return -1;
	}
	if (run(two, 0, start, &work) != OK)
		return -1;
	snprintf(two->id, sizeof two->id, "%s", work.session.id);
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

/* What both connections find. */
static void
assert_number(struct two *two, const char *sql, const char *with, int64_t expected)
{
	const struct db_value arg = DB_TEXT(with);

	assert_int_equal(store_number_of(two->contract->db, sql, &arg, 1), expected);
	assert_int_equal(store_number_of(two->contract->other, sql, &arg, 1), expected);
}

/* Rows: R13 */
static void
one_id_is_one_session_whoever_starts_it(void **state)
{
	struct two *two = *state;

	for (int i = 0; i < 10; i++) {
		struct work work = {.client_session = "c1"};

		assert_int_equal(run(two, i % 2, start, &work), OK);
		assert_string_equal(work.session.id, two->id);
		assert_false(work.created);
	}
	assert_number(two, "SELECT count(*) FROM session WHERE client_session = $1", "c1", 1);
}

/* Rows: R8 */
static void
another_project_in_the_same_store_is_apart(void **state)
{
	struct two *two = *state;
	struct work work = {.client_session = "c1"};

	snprintf(two->engines[1].project, sizeof two->engines[1].project, "elsewhere");
	assert_int_equal(run(two, 1, start, &work), OK);
	assert_true(work.created);
	assert_string_not_equal(work.session.id, two->id);
	work = (struct work){.ask = {.session = two->id, .slot = "memory", .value = "m"}};
	assert_int_equal(run(two, 1, bind, &work), NO_SUCH);
	work.ask.session = two->id;
	assert_int_equal(run(two, 0, bind, &work), OK);
}

/* Rows: R12 R15 R28 R30 */
static void
who_binds_second_is_told_and_the_refusal_is_kept(void **state)
{
	struct two *two = *state;
	struct work first = {.ask = {.session = two->id, .slot = "memory", .value = "winner"}}, other = {.client_session = "c2"};
	struct work second = {.ask = {.session = two->id, .slot = "memory", .value = "loser"}};

	assert_int_equal(run(two, 0, bind, &first), OK);
	assert_int_equal(run(two, 1, bind, &second), CONFLICT);
	assert_string_equal(second.binding.value, "winner");
	assert_int_equal(run(two, 1, start, &other), OK);
	second = (struct work){.ask = {.session = other.session.id, .slot = "memory", .value = "winner"}};
	assert_int_equal(run(two, 1, bind, &second), CONFLICT);
	assert_int_equal(second.binding.generation, 0);
	assert_number(two, "SELECT count(*) FROM audit WHERE kind = $1", "binding.refused", 2);
	assert_number(two, "SELECT count(*) FROM binding WHERE slot = $1", "memory", 1);
}

/* Rows: R14 */
static void
a_slot_declared_distinct_by_one_is_distinct_for_all(void **state)
{
	struct two *two = *state;
	struct work first = {.ask = {.session = two->id, .slot = "memory", .value = "m", .distinct = true}};
	struct work second = {.ask = {.session = two->id, .slot = "memory", .value = "c1", .rebind = true}};

	assert_int_equal(run(two, 0, bind, &first), OK);
	assert_int_equal(run(two, 1, bind, &second), CONFLICT);
	assert_string_equal(second.binding.value, "m");
}

/* Rows: R29 */
static void
a_rebinding_is_a_generation_and_leaves_what_hangs_on_the_session(void **state)
{
	struct two *two = *state;
	struct work work = {.ask = {.session = two->id}, .amount = 60000};
	char value[20];

	assert_int_equal(run(two, 0, report, &work), OK);
	for (int i = 1; i <= 10; i++) {
		snprintf(value, sizeof value, "v%d", i);
		work.ask = (struct binding_ask){.session = two->id, .slot = "memory", .value = value, .rebind = true};
		assert_int_equal(run(two, i % 2, bind, &work), OK);
		assert_int_equal(work.binding.generation, i);
	}
	assert_number(two, "SELECT count(*) FROM binding WHERE slot = $1", "memory", 10);
	assert_number(two, "SELECT count(*) FROM checkpoint WHERE session = $1", two->id, 1);
	assert_number(two, "SELECT value FROM metric WHERE name = 'messages' AND session = $1", two->id, 1);
}

/* Rows: R69 R73 R80 */
static void
what_one_reported_the_other_does_not_fire_again(void **state)
{
	struct two *two = *state;
	size_t fired = 0, told = 0;

	for (int i = 0; i < 6; i++) {
		struct work work = {.ask = {.session = two->id}, .amount = 160000};
		struct work other = {.client_session = "other"};

		assert_int_equal(run(two, i % 2, report, &work), OK);
		fired += work.fired.count;
		told += work.told.count;
		assert_int_equal(run(two, (i + 1) % 2, start, &other), OK);
	}
	assert_int_equal(fired, 3);
	assert_int_equal(told, 3);
	assert_number(two, "SELECT value FROM metric WHERE name = 'messages' AND session = $1", two->id, 6);
}

/* Rows: N4 */
static void
of_two_that_read_the_same_stretch_one_counts_it(void **state)
{
	struct two *two = *state;

	for (int i = 0; i < 4; i++) {
		struct transcript_look look = {.before = {.path = "/t"},
		                               .after = {.path = "/t", .position = 90, .size = 90},
		                               .context = 5000};
		struct usage usage = {.message = "m", .request = "r", .input = 4000 + i, .output = 1000};
		struct work work = {.ask = {.session = two->id}, .look = &look};

		assert_int_equal(usage_list_put(&look.usages, &usage), OK);
		assert_int_equal(run(two, i % 2, take, &work), OK);
		usage_list_release(&look.usages);
		assert_number(two, "SELECT value FROM metric WHERE name = 'spent_tokens' AND session = $1", two->id, 5000);
	}
}

/* Rows: R78 */
static void
an_aggregate_is_over_what_both_reported_and_labelled(void **state)
{
	struct two *two = *state;
	struct work work = {.client_session = "c2"}, all = {.document = json_object()};
	const json_t *messages;

	assert_int_equal(run(two, 1, start, &work), OK);
	for (int i = 0; i < 5; i++) {
		struct work one = {.ask = {.session = i < 2 ? two->id : work.session.id}};

		assert_int_equal(run(two, i % 2, report, &one), OK);
	}
	assert_int_equal(engine_read(&two->engines[0], aggregate, &all, NULL), OK);
	messages = json_object_get(json_object_get(all.document, "aggregated"), "messages");
	assert_string_equal(json_text(messages, "aggregate", ""), "sum");
	assert_int_equal(json_whole(messages, "value", 0), 5);
	assert_int_equal(json_whole(messages, "sessions", 0), 2);
	json_decref(all.document);
}

/* Rows: R84 */
static void
the_trail_holds_what_both_did_in_their_order(void **state)
{
	struct two *two = *state;
	struct work work, all = {.document = json_array()};
	char value[20];

	for (int i = 0; i < 6; i++) {
		snprintf(value, sizeof value, "v%d", i);
		work = (struct work){.ask = {.session = two->id, .slot = "memory", .value = value, .rebind = true}};
		assert_int_equal(run(two, i % 2, bind, &work), OK);
	}
	assert_int_equal(engine_read(&two->engines[1], trail, &all, NULL), OK);
	assert_int_equal(json_array_size(all.document), 6);
	for (size_t i = 0; i < 6; i++) {
		snprintf(value, sizeof value, "v%zu", i);
		assert_string_equal(json_text(json_array_get(all.document, i), "after", ""), value);
		assert_string_equal(json_text(json_array_get(all.document, i), "session", ""), two->id);
	}
	json_decref(all.document);
}

#undef CONTRACT_TEST
#define CONTRACT_TEST(test) cmocka_unit_test_setup_teardown(test, open_two, close_two)

CONTRACT_TESTS(CONTRACT_TEST(one_id_is_one_session_whoever_starts_it),
               CONTRACT_TEST(another_project_in_the_same_store_is_apart),
               CONTRACT_TEST(who_binds_second_is_told_and_the_refusal_is_kept),
               CONTRACT_TEST(a_slot_declared_distinct_by_one_is_distinct_for_all),
               CONTRACT_TEST(a_rebinding_is_a_generation_and_leaves_what_hangs_on_the_session),
               CONTRACT_TEST(what_one_reported_the_other_does_not_fire_again),
               CONTRACT_TEST(of_two_that_read_the_same_stretch_one_counts_it),
               CONTRACT_TEST(an_aggregate_is_over_what_both_reported_and_labelled),
               CONTRACT_TEST(the_trail_holds_what_both_did_in_their_order))
