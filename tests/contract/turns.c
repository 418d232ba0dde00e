/*
 * A turn, on every engine, through two connections to one store: what the first did binds the second.
 *
 * Rows: R6 R27 R32 R34 R36 R43 R47 R48 N2 N11
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/turn.h"

#include <stdio.h>
#include <string.h>

#define TTL_MS 60000

struct work {
	const char *one; /* the session */
	const char *question, *bind, *answer, *key;
	int64_t ttl_ms, fence;
	struct lease lease;
	struct turn turn;
	char found[ID_SIZE];
	json_t *log;
};

struct two {
	struct contract *contract;
	struct engine engines[2];
	char one[ID_SIZE], other[ID_SIZE];
};

static enum status
start(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;
	struct session_start ask = {.client = "hand",
	                            .client_session = work->key,
	                            .client_version = "",
	                            .parent = "",
	                            .cwd = "",
	                            .worktree = "",
	                            .branch = ""};
	struct arrived arrived;
	enum status status = binding_arrive(txn, &ask, ARRIVAL_STARTUP, &arrived, why);

	if (status != OK)
		return status;
	memcpy(work->found, arrived.session.id, ID_SIZE);
	session_list_release(&arrived.others);
	return OK;
}

static enum status
begin(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;
	char resource[RESOURCE_MAX + 1];
	struct lease_ask ask = {.resource = resource,
	                        .ttl_ms = work->ttl_ms == 0 ? TTL_MS : work->ttl_ms,
	                        .session = work->one,
	                        .chain = "",
	                        .anchor = "",
	                        .wake = ""};
	enum status status;

	txn->actor = work->one;
	turn_resource(work->one, resource);
	status = lease_acquire(txn, &ask, &work->lease, why);
	if (status != OK)
		return status;
	return turn_open(txn, work->one, SLOT_RESUME, work->lease.fence, work->question, &work->turn, why);
}

static enum status
end(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;
	struct turn_end how = {.session = work->one,
	                       .fence = work->fence,
	                       .slot = SLOT_RESUME,
	                       .bind = work->bind,
	                       .answer = work->answer,
	                       .failed = work->answer == NULL};

	txn->actor = work->one;
	return turn_close(txn, &how, why);
}

static enum status
go_cold(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	txn->actor = work->one;
	return turn_go_cold(txn, &work->turn, why);
}

static enum status
set_key(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	return turn_key_set(txn, work->key, work->one, why);
}

static enum status
find_key(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	return turn_key_find(txn, work->key, work->found, why);
}

static enum status
read_log(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	return turn_log(txn, work->one, work->log, why);
}

static enum status
leave(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	txn->actor = work->one;
	return lease_end_session(txn, work->one, why);
}

static void
two_init(struct two *two, struct contract *contract)
{
	struct db *dbs[] = {contract->db, contract->other};
	struct work work = {.key = "a"};

	two->contract = contract;
	for (size_t i = 0; i < 2; i++) {
		engine_init(&two->engines[i], dbs[i], ".", "uid:0", store_random);
		two->engines[i].wait_ms = 5000;
		assert_int_equal(config_defaults(&two->engines[i].config), OK);
	}
	assert_int_equal(engine_run(&two->engines[0], start, &work, &contract->why), OK);
	memcpy(two->one, work.found, ID_SIZE);
	work.key = "b";
	assert_int_equal(engine_run(&two->engines[1], start, &work, &contract->why), OK);
	memcpy(two->other, work.found, ID_SIZE);
}

static void
two_release(struct two *two)
{
	for (size_t i = 0; i < 2; i++)
		config_release(&two->engines[i].config);
}

static enum status
run(struct two *two, size_t which, rule_function *rule, struct work *work)
{
	return engine_run(&two->engines[which], rule, work, &two->contract->why);
}

/* R27, R36 */
static void
what_one_binds_the_next_resumes_through_any_connection(void **state)
{
	struct two two;
	struct work work = {.one = two.one, .question = "q", .answer = "a"};

	two_init(&two, *state);
	for (int turn = 1; turn <= 4; turn++) {
		char id[20], before[20] = "";

		snprintf(id, sizeof id, "id-%d", turn);
		if (turn > 1)
			snprintf(before, sizeof before, "id-%d", turn - 1);
		assert_int_equal(run(&two, (size_t)turn % 2, begin, &work), OK);
		assert_string_equal(work.turn.resume, before);
		assert_int_equal(work.turn.fence, turn);
		work.fence = turn;
		work.bind = id;
		assert_int_equal(run(&two, (size_t)(turn + 1) % 2, end, &work), OK);
	}
	two_release(&two);
}

/* R32, R43, N2 */
static void
the_second_is_refused_until_the_first_has_ended_or_its_deadline_has_passed(void **state)
{
	struct two two;
	struct work first = {.one = two.one, .question = "q1", .bind = "late", .answer = "late", .ttl_ms = 1};
	struct work second = {.one = two.one, .question = "q2", .bind = "right", .answer = "a2"};
	struct work third = second;

	two_init(&two, *state);
	/* of one millisecond: over as soon as anybody looks, if the clock has moved on */
	assert_int_equal(run(&two, 0, begin, &first), OK);
	while (run(&two, 1, begin, &second) == HELD)
		;
	assert_int_equal(second.turn.fence, 2);
	assert_int_equal(run(&two, 0, begin, &third), HELD);
	assert_int_equal(third.lease.fence, 2);
	first.fence = 1;
	assert_int_equal(run(&two, 0, end, &first), HELD);
	assert_int_equal(run(&two, 0, go_cold, &first), HELD);
	second.fence = 2;
	assert_int_equal(run(&two, 1, end, &second), OK);
	assert_int_equal(run(&two, 0, begin, &third), OK);
	assert_string_equal(third.turn.resume, "right");
	two_release(&two);
}

/* R39: an end is all or nothing. */
static void
an_end_that_can_not_bind_leaves_the_turn_as_it_was(void **state)
{
	struct two two;
	struct work theirs = {.one = two.other, .bind = "theirs", .answer = "x"};
	struct work ours = {.one = two.one, .question = "q", .bind = "theirs", .answer = "a"};

	two_init(&two, *state);
	assert_int_equal(run(&two, 0, begin, &theirs), OK);
	theirs.fence = theirs.turn.fence;
	assert_int_equal(run(&two, 0, end, &theirs), OK);
	assert_int_equal(run(&two, 1, begin, &ours), OK);
	ours.fence = ours.turn.fence;
	assert_int_equal(run(&two, 1, end, &ours), CONFLICT);
	ours.bind = "ours";
	assert_int_equal(run(&two, 0, end, &ours), OK);
	two_release(&two);
}

/* R47, R48 */
static void
questions_are_kept_in_order_and_what_is_gone_is_cleared(void **state)
{
	struct two two;
	struct work work = {.one = two.one, .question = "q1", .bind = "gone", .answer = "a1", .log = json_array()};
	const json_t *message;
	char text[200] = "";
	size_t i, len = 0;

	two_init(&two, *state);
	assert_int_equal(run(&two, 0, begin, &work), OK);
	work.fence = 1;
	assert_int_equal(run(&two, 1, end, &work), OK);
	work.question = "q2 \xc3\xa9\n\"'";
	work.answer = work.bind = NULL;
	assert_int_equal(run(&two, 1, begin, &work), OK);
	assert_int_equal(run(&two, 0, go_cold, &work), OK);
	work.fence = 2;
	assert_int_equal(run(&two, 0, end, &work), OK);
	work.question = "q3";
	assert_int_equal(run(&two, 1, begin, &work), OK);
	assert_string_equal(work.turn.resume, "");
	assert_int_equal(engine_read(&two.engines[0], read_log, &work, &two.contract->why), OK);
	json_array_foreach(work.log, i, message)
		len += (size_t)snprintf(text + len, sizeof text - len, "%.1s:%s|", json_text(message, "role", ""),
	                            json_text(message, "text", ""));
	assert_string_equal(text, "u:q1|a:a1|u:q2 \xc3\xa9\n\"'|u:q3|");
	json_decref(work.log);
	two_release(&two);
}

/* R34 */
static void
a_key_is_one_sessions_whoever_asks(void **state)
{
	struct two two;
	struct work work = {.one = two.one, .key = "session_lock:cold:1"};

	two_init(&two, *state);
	assert_int_equal(run(&two, 0, set_key, &work), OK);
	assert_int_equal(run(&two, 1, set_key, &work), OK);
	assert_int_equal(engine_read(&two.engines[1], find_key, &work, &two.contract->why), OK);
	assert_string_equal(work.found, two.one);
	work.one = two.other;
	assert_int_equal(run(&two, 1, set_key, &work), CONFLICT);
	work.key = "session_lock:cold:2";
	assert_int_equal(engine_read(&two.engines[0], find_key, &work, &two.contract->why), NO_SUCH);
	two_release(&two);
}

/* Of the two only the one that is named; a name that is the beginning of another's is none. */
static void
when_a_session_ends_its_turn_does_and_no_others(void **state)
{
	struct two two;
	struct work one = {.one = two.one}, other = {.one = two.other};

	two_init(&two, *state);
	assert_int_equal(run(&two, 0, begin, &one), OK);
	assert_int_equal(run(&two, 0, begin, &other), OK);
	assert_int_equal(run(&two, 1, leave, &one), OK);
	assert_int_equal(run(&two, 1, begin, &one), OK);
	assert_int_equal(one.turn.fence, 2);
	assert_int_equal(run(&two, 1, begin, &other), HELD);
	two_release(&two);
}

CONTRACT_TESTS(CONTRACT_TEST(what_one_binds_the_next_resumes_through_any_connection),
               CONTRACT_TEST(the_second_is_refused_until_the_first_has_ended_or_its_deadline_has_passed),
               CONTRACT_TEST(an_end_that_can_not_bind_leaves_the_turn_as_it_was),
               CONTRACT_TEST(questions_are_kept_in_order_and_what_is_gone_is_cleared),
               CONTRACT_TEST(a_key_is_one_sessions_whoever_asks),
               CONTRACT_TEST(when_a_session_ends_its_turn_does_and_no_others))
