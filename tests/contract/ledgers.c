/*
 * Ledgers must hold on every engine, each through two connections to one store: what the first appended the second goes on from; heads
 * that are signed, breaks that are on record, and what is removed for its age.
 *
 * Rows: R86 R87 N10 N11
 */
#include "lib/scratch.h"
#include "lib/store.h"
#include "lib/test.h"

#include "core/ledger_anchor.h"

#define CHAIN "audit"
#define DAY_MS ((int64_t)24 * 3600 * 1000)

static const uint8_t seed[SEED_BYTES] = {1, 2, 3}, other_seed[SEED_BYTES] = {4};

struct work {
	const char *body, *key, *sql;
	int64_t later_ms; /* that the clock shows more */
	struct ledger_appended made;
	struct ledger_verify *verify;
	struct ledger_head head;
	const uint8_t *seed;
	int64_t before_ms, count;
};

struct two {
	struct contract *contract;
	struct engine engines[2];
};

static enum status
append(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;
	struct ledger_append ask = {.ledger = CHAIN,
	                            .key = work->key == NULL ? "" : work->key,
	                            .session = "",
	                            .kind = "",
	                            .body = work->body,
	                            .size = strlen(work->body)};

	txn->instant_ms = txn_now(txn) + work->later_ms;
	return ledger_append(txn, &ask, &work->made, why);
}

static enum status
page(struct txn *txn, void *arg, struct buf *why)
{
	return ledger_verify_page(txn, ((struct work *)arg)->verify, why);
}

static enum status
recorded(struct txn *txn, void *arg, struct buf *why)
{
	return ledger_recorded(txn, ((struct work *)arg)->verify, why);
}

static enum status
anchor(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	return ledger_anchor(txn, work->verify, "", "a disk was restored", seed, &work->made, why);
}

static enum status
sign(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	return ledger_sign(txn, CHAIN, work->seed, false, &work->head, why);
}

static enum status
cut(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	return ledger_cut(txn, CHAIN, work->before_ms, seed, &work->count, why);
}

static enum status
damage(struct txn *txn, void *arg, struct buf *why)
{
	struct work *work = arg;

	(void)why;
	db_run(txn->db, work->sql, DB_TEXT(CHAIN));
	return OK;
}

static enum status
run(struct two *two, int which, rule_function *rule, struct work *work)
{
	return engine_run(&two->engines[which], rule, work, &two->contract->why);
}

static void
harm(struct two *two, const char *sql)
{
	struct work work = {.sql = sql};

	assert_int_equal(run(two, 0, damage, &work), OK);
}

/* By the second connection, with the breaks that are on record marked; its status. */
static enum status
verify(struct two *two, const char *public_key, struct ledger_verify *out)
{
	struct work work = {.verify = out};
	enum status status = OK;

	ledger_verify_init(out, CHAIN, 0);
	out->public_key = public_key;
	while (status == OK && !out->done)
		status = engine_read(&two->engines[1], page, &work, &two->contract->why);
	if (status == OK)
		status = engine_read(&two->engines[1], recorded, &work, &two->contract->why);
	ledger_verify_release(out);
	return status;
}

static void
fill(struct two *two, int count)
{
	for (int i = 0; i < count; i++) {
		char body[20];
		struct work work = {.body = body};

		snprintf(body, sizeof body, "body %d", i);
		assert_int_equal(run(two, i % 2, append, &work), OK);
	}
}

static int
open_two(void **state)
{
	struct two *two = calloc(1, sizeof *two);
	void *contract;
	int status = contract_set_up(&contract);

	two->contract = contract;
	for (int i = 0; i < 2; i++) {
		engine_init(&two->engines[i], i == 0 ? two->contract->db : two->contract->other, ".", "uid:7", store_random);
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
what_one_appended_the_other_goes_on_from(void **state)
{
	struct two *two = *state;
	struct ledger_verify found;
	struct work one = {.body = "a", .key = "k"}, two_work = {.body = "a", .key = "k"}, other = {.body = "b", .key = "k"};

	assert_int_equal(run(two, 0, append, &one), OK);
	assert_int_equal(run(two, 1, append, &two_work), OK);
	assert_true(two_work.made.again);
	assert_string_equal(two_work.made.hash, one.made.hash);
	assert_int_equal(run(two, 1, append, &other), CONFLICT);
	other.key = "l";
	assert_int_equal(run(two, 1, append, &other), OK);
	assert_string_equal(other.made.prev, one.made.hash);
	assert_int_equal(verify(two, NULL, &found), OK);
	assert_int_equal(found.checked, 2);
	assert_int_equal(found.break_count, 0);
}

static void
a_head_that_was_signed_finds_a_tail_that_was_rewritten(void **state)
{
	struct two *two = *state;
	struct ledger_verify found;
	struct work work = {.seed = seed};

	fill(two, 5);
	assert_int_equal(run(two, 0, sign, &work), OK);
	assert_int_equal(verify(two, work.head.public_key, &found), OK);
	assert_int_equal(found.break_count, 0);
	harm(two, "DELETE FROM ledger_entry WHERE ledger = $1 AND seq > 3");
	harm(two, "UPDATE ledger SET last = 3, head = (SELECT e.hash FROM ledger_entry e WHERE e.ledger = $1 AND e.seq = 3)");
	assert_int_equal(verify(two, NULL, &found), OK);
	assert_int_equal(found.break_count, 1);
	assert_int_equal(found.breaks[0].damage, LEDGER_CUT_OFF);
	assert_int_equal(found.breaks[0].seq, 4);
	/* it can't be signed over */
	assert_int_equal(run(two, 0, sign, &work), CONFLICT);
	fill(two, 4);
	assert_int_equal(verify(two, NULL, &found), OK);
	assert_int_equal(found.breaks[0].damage, LEDGER_REWRITTEN);
	assert_int_equal(found.breaks[0].seq, 5);
}

static void
what_is_signed_is_so_by_its_key_and_whole(void **state)
{
	struct two *two = *state;
	struct ledger_verify found;
	struct work work = {.seed = other_seed}, ours = {.seed = seed};

	fill(two, 2);
	assert_int_equal(verify(two, "00", &found), NO_SUCH);
	assert_int_equal(run(two, 0, sign, &work), OK);
	assert_int_equal(run(two, 0, sign, &ours), OK);
	assert_int_equal(verify(two, work.head.public_key, &found), NOT_ALLOWED);
	assert_int_equal(verify(two, ours.head.public_key, &found), OK);
	harm(two, "UPDATE ledger SET signed = replace(signed, '\"seq\":2', '\"seq\":1') WHERE ledger = $1");
	assert_int_equal(verify(two, NULL, &found), NOT_ALLOWED);
	harm(two, "UPDATE ledger SET signed = '{' WHERE ledger = $1");
	assert_int_equal(verify(two, NULL, &found), NOT_ALLOWED);
}

static void
a_break_on_record_stays_told_and_the_chain_goes_on(void **state)
{
	struct two *two = *state;
	struct ledger_verify found;
	struct work work = {.verify = &found, .seed = seed};

	fill(two, 9);
	assert_int_equal(run(two, 0, sign, &work), OK);
	assert_int_equal(verify(two, NULL, &found), OK);
	assert_int_equal(run(two, 0, anchor, &work), CONFLICT);
	harm(two, "UPDATE ledger_entry SET body = 'x' WHERE ledger = $1 AND seq = 2");
	harm(two, "DELETE FROM ledger_entry WHERE ledger = $1 AND seq IN (5, 6, 8, 9)");
	assert_int_equal(verify(two, NULL, &found), OK);
	assert_int_equal(found.break_count, 3);
	assert_int_equal(run(two, 0, anchor, &work), OK);
	assert_int_equal(work.made.seq, 10);
	fill(two, 3);
	assert_int_equal(verify(two, NULL, &found), OK);
	assert_int_equal(found.break_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(found.breaks[i].anchor, 10);
	assert_int_equal(run(two, 0, anchor, &work), CONFLICT);
	/* damaged anew it is another break */
	harm(two, "UPDATE ledger_entry SET body = 'y' WHERE ledger = $1 AND seq = 2");
	assert_int_equal(verify(two, NULL, &found), OK);
	assert_int_equal(found.breaks[0].anchor, 0);
	assert_int_equal(found.breaks[1].anchor, 10);
}

static void
what_is_old_goes_from_the_front_and_the_rest_is_proven(void **state)
{
	struct two *two = *state;
	struct ledger_verify found;
	struct work work = {.body = "young", .later_ms = 2 * DAY_MS, .before_ms = 0};

	fill(two, 6);
	assert_int_equal(run(two, 0, append, &work), OK);
	assert_int_equal(run(two, 0, cut, &work), OK);
	assert_int_equal(work.count, 0);
	work.before_ms = work.made.at_ms - DAY_MS;
	assert_int_equal(run(two, 0, cut, &work), OK);
	assert_int_equal(work.count, 6);
	assert_int_equal(verify(two, NULL, &found), OK);
	assert_int_equal(found.break_count, 0);
	assert_int_equal(found.first, 7);
	assert_int_equal(found.checked, 1);
	/* the newest stays, however old */
	work.before_ms = work.made.at_ms + DAY_MS;
	assert_int_equal(run(two, 0, cut, &work), OK);
	assert_int_equal(work.count, 0);
	/* who takes more away has no key */
	fill(two, 2);
	harm(two, "DELETE FROM ledger_entry WHERE ledger = $1 AND seq = 7");
	assert_int_equal(verify(two, NULL, &found), OK);
	assert_int_equal(found.breaks[0].damage, LEDGER_MISSING);
	harm(two, "UPDATE ledger SET cut = 7, cut_hash = (SELECT e.prev FROM ledger_entry e WHERE e.ledger = $1 AND e.seq = 8)");
	assert_int_equal(verify(two, NULL, &found), NOT_ALLOWED);
}

static void
nothing_is_removed_from_the_first_that_is_not_as_it_was(void **state)
{
	struct two *two = *state;
	struct work work = {.body = "young", .later_ms = 2 * DAY_MS};

	fill(two, 6);
	assert_int_equal(run(two, 0, append, &work), OK);
	harm(two, "UPDATE ledger_entry SET body = 'x' WHERE ledger = $1 AND seq = 3");
	work.before_ms = work.made.at_ms - DAY_MS;
	assert_int_equal(run(two, 0, cut, &work), OK);
	assert_int_equal(work.count, 2);
	assert_int_equal(run(two, 0, cut, &work), OK);
	assert_int_equal(work.count, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_two, close_two)

CONTRACT_TESTS(TEST(what_one_appended_the_other_goes_on_from), TEST(a_head_that_was_signed_finds_a_tail_that_was_rewritten),
               TEST(what_is_signed_is_so_by_its_key_and_whole), TEST(a_break_on_record_stays_told_and_the_chain_goes_on),
               TEST(what_is_old_goes_from_the_front_and_the_rest_is_proven),
               TEST(nothing_is_removed_from_the_first_that_is_not_as_it_was))
