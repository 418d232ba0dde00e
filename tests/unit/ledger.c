/*
 * A ledger's chain: what is hashed, what a key does, and that every kind of damage is found at its entry and called by its name.
 *
 * Rows: R86 R87 R88 N10
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/ledger_verify.h"

#define CHAIN "audit"

static enum status
append(struct bench *bench, const char *key, const char *body, struct ledger_appended *out)
{
	struct ledger_append ask = {
		.ledger = CHAIN, .key = key, .session = "", .kind = "", .body = body, .size = strlen(body)};

	bench->txn.actor = "uid:7";
	return ledger_append(&bench->txn, &ask, out, &bench->why);
}

/* Ten entries, a second apart. */
static void
fill(struct bench *bench)
{
	struct ledger_appended made;

	for (int i = 1; i <= 10; i++) {
		char body[20];

		snprintf(body, sizeof body, "body %d", i);
		assert_int_equal(append(bench, "", body, &made), OK);
		assert_int_equal(made.seq, i);
		bench_at(bench, BENCH_START_MS + i * 1000);
	}
}

static void
verify_with(struct bench *bench, struct ledger_verify *verify)
{
	while (!verify->done)
		assert_int_equal(ledger_verify_page(&bench->txn, verify, &bench->why), OK);
	ledger_verify_release(verify);
}

static void
verify(struct bench *bench, struct ledger_verify *verify)
{
	ledger_verify_init(verify, CHAIN, 0);
	verify_with(bench, verify);
}

/* That exactly this is wrong, and what it is called. */
static void
finds(struct bench *bench, const char *word, int64_t seq, int64_t until)
{
	struct ledger_verify found;

	verify(bench, &found);
	assert_int_equal(found.break_count, 1);
	assert_string_equal(ledger_damage_name(found.breaks[0].damage), word);
	assert_int_equal(found.breaks[0].seq, seq);
	assert_int_equal(found.breaks[0].until, until);
}

static void
what_is_hashed_is_fixed_for_ever(void **state)
{
	struct bench *bench = *state;
	struct ledger_appended one, two;
	struct buf bytes;
	struct ledger_entry entry = {.seq = 1,
	                             .at_ms = BENCH_START_MS,
	                             .session = "",
	                             .actor = "uid:7",
	                             .kind = "",
	                             .key = "k",
	                             .prev = "",
	                             .body = "h\xc3\xa9llo\n"};

	buf_init(&bytes, 1000);
	ledger_hashed_begin(&bytes, CHAIN);
	ledger_hashed(&bytes, &entry);
	assert_string_equal(bytes.data,
	                    "14:stile-ledger-1,5:audit,1:1,13:1760000000000,0:,5:uid:7,0:,1:k,0:,7:h\xc3\xa9llo\n,");
	buf_release(&bytes);
	assert_int_equal(append(bench, "k", "h\xc3\xa9llo\n", &one), OK);
	assert_string_equal(one.hash, "36605abd551b07439965f0b5d7f12e7c3a217a2bf0d97f9df8c487dc0c248f02");
	assert_int_equal(append(bench, "", "", &two), OK);
	assert_string_equal(two.prev, one.hash);
	assert_string_equal(two.hash, "cf454ffea9e7505c13cc60cf42f009717e71e83518536530c11865dc0bdc5a58");
}

static void
a_chain_that_nobody_touched_is_whole(void **state)
{
	struct bench *bench = *state;
	struct ledger_verify found;

	fill(bench);
	verify(bench, &found);
	assert_int_equal(found.break_count, 0);
	assert_int_equal(found.checked, 10);
}

static void
a_key_is_one_entry(void **state)
{
	struct bench *bench = *state;
	struct ledger_appended first, other, again;

	assert_int_equal(append(bench, "k", "body", &first), OK);
	assert_int_equal(append(bench, "l", "body", &other), OK);
	assert_int_equal(append(bench, "k", "body", &again), OK);
	assert_true(again.again && !first.again && !other.again);
	assert_int_equal(again.seq, 1);
	assert_string_equal(again.hash, first.hash);
	assert_int_equal(append(bench, "k", "another", &again), CONFLICT);
	assert_int_equal(again.seq, 1);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM ledger_entry WHERE ledger = $1", DB_TEXT(CHAIN)), 2);
}

static void
an_entry_without_a_key_may_be_the_same_as_another(void **state)
{
	struct bench *bench = *state;
	struct ledger_appended made;

	for (int i = 1; i <= 3; i++) {
		assert_int_equal(append(bench, "", "body", &made), OK);
		assert_int_equal(made.seq, i);
	}
}

static void
every_byte_that_was_changed_is_found_at_its_entry(void **state)
{
	static const char *const ways[] = {"UPDATE ledger_entry SET body = 'body X' WHERE ledger = $1 AND seq = 4",
	                                   "UPDATE ledger_entry SET at_ms = at_ms + 1 WHERE ledger = $1 AND seq = 4",
	                                   "UPDATE ledger_entry SET session = 's' WHERE ledger = $1 AND seq = 4",
	                                   "UPDATE ledger_entry SET actor = 'uid:8' WHERE ledger = $1 AND seq = 4",
	                                   "UPDATE ledger_entry SET kind = 'anchor' WHERE ledger = $1 AND seq = 4",
	                                   "UPDATE ledger_entry SET key = 'k' WHERE ledger = $1 AND seq = 4",
	                                   "UPDATE ledger_entry SET prev = 'x' || substr(prev, 2) WHERE ledger = $1 AND seq = 4",
	                                   "UPDATE ledger_entry SET hash = 'x' || substr(hash, 2) WHERE ledger = $1 AND seq = 4",
	                                   "UPDATE ledger_entry SET hash = '' WHERE ledger = $1 AND seq = 4"};
	struct bench *bench = *state;

	fill(bench);
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		db_run(bench->db, ways[i], DB_TEXT(CHAIN));
		finds(bench, "changed", 4, 4);
		bench_undo(bench);
	}
}

/* Its hash made anew, as one does who knows how: the one after it tells. */
static void
an_entry_that_was_changed_with_its_hash_is_found_by_the_next(void **state)
{
	struct bench *bench = *state;
	struct ledger_entry forged = {.seq = 4, .at_ms = 0, .session = "", .actor = "uid:7", .kind = "", .key = "", .body = "x"};
	char *prev = NULL, hash[DIGEST_SIZE];
	struct buf bytes;

	fill(bench);
	prev = store_text(bench->db, "SELECT prev FROM ledger_entry WHERE ledger = $1 AND seq = 4", DB_TEXT(CHAIN));
	forged.prev = prev;
	buf_init(&bytes, 1000);
	ledger_hashed_begin(&bytes, CHAIN);
	ledger_hashed(&bytes, &forged);
	digest_make(hash, bytes.data, bytes.len);
	db_run(bench->db, "UPDATE ledger_entry SET at_ms = 0, body = 'x', hash = $1 WHERE ledger = $2 AND seq = 4", DB_TEXT(hash),
	       DB_TEXT(CHAIN));
	finds(bench, "changed", 4, 4);
	/* and the newest by the head */
	bench_undo(bench);
	db_run(bench->db, "UPDATE ledger SET head = 'x' || substr(head, 2) WHERE ledger = $1", DB_TEXT(CHAIN));
	finds(bench, "changed", 10, 10);
	buf_release(&bytes);
	free(prev);
}

static void
what_is_missing_is_named(void **state)
{
	struct bench *bench = *state;

	fill(bench);
	db_run(bench->db, "DELETE FROM ledger_entry WHERE ledger = $1 AND seq BETWEEN 3 AND 5", DB_TEXT(CHAIN));
	finds(bench, "missing", 3, 5);
	bench_undo(bench);
	db_run(bench->db, "DELETE FROM ledger_entry WHERE ledger = $1 AND seq = 1", DB_TEXT(CHAIN));
	finds(bench, "missing", 1, 1);
	bench_undo(bench);
	db_run(bench->db, "DELETE FROM ledger_entry WHERE ledger = $1 AND seq > 8", DB_TEXT(CHAIN));
	finds(bench, "cut off", 9, 10);
	bench_undo(bench);
	db_run(bench->db, "DELETE FROM ledger_entry WHERE ledger = $1", DB_TEXT(CHAIN));
	finds(bench, "cut off", 1, 10);
	bench_undo(bench);
	db_run(bench->db, "UPDATE ledger SET last = 8, head = (SELECT e.hash FROM ledger_entry e WHERE e.ledger = $1 AND e.seq = 8)",
	       DB_TEXT(CHAIN));
	finds(bench, "added", 9, 10);
}

static void
what_changed_places_is_named_with_where_it_was(void **state)
{
	struct bench *bench = *state;
	struct ledger_verify found;

	fill(bench);
	db_run(bench->db, "UPDATE ledger_entry SET seq = -seq WHERE ledger = $1 AND seq IN (3, 4)", DB_TEXT(CHAIN));
	db_run(bench->db, "UPDATE ledger_entry SET seq = 7 + seq WHERE ledger = $1 AND seq < 0", DB_TEXT(CHAIN));
	verify(bench, &found);
	assert_int_equal(found.break_count, 2);
	assert_string_equal(ledger_damage_name(found.breaks[0].damage), "reordered");
	assert_int_equal(found.breaks[0].seq, 3);
	assert_int_equal(found.breaks[0].is, 4);
	assert_int_equal(found.breaks[1].is, 3);
}

static void
it_goes_on_behind_a_break_and_finds_the_next(void **state)
{
	struct bench *bench = *state;
	struct ledger_verify found;

	fill(bench);
	db_run(bench->db, "UPDATE ledger_entry SET body = '' WHERE ledger = $1 AND seq IN (2, 6)", DB_TEXT(CHAIN));
	db_run(bench->db, "DELETE FROM ledger_entry WHERE ledger = $1 AND seq = 8", DB_TEXT(CHAIN));
	verify(bench, &found);
	assert_int_equal(found.break_count, 3);
	assert_int_equal(found.breaks[0].seq, 2);
	assert_int_equal(found.breaks[1].seq, 6);
	assert_int_equal(found.breaks[2].seq, 8);
	assert_int_equal(found.checked, 9);
}

/* A tail made anew from the third entry on, and a head with it: only who remembers the old head can tell. */
static void
a_tail_that_was_rewritten_is_found_by_a_head_known_before(void **state)
{
	struct bench *bench = *state;
	struct ledger_verify found;
	struct ledger_appended made;
	char *head;

	fill(bench);
	head = store_text(bench->db, "SELECT head FROM ledger WHERE ledger = $1", DB_TEXT(CHAIN));
	db_run(bench->db, "DELETE FROM ledger_entry WHERE ledger = $1 AND seq > 2", DB_TEXT(CHAIN));
	db_run(bench->db, "UPDATE ledger SET last = 2, head = (SELECT e.hash FROM ledger_entry e WHERE e.ledger = $1 AND e.seq = 2)",
	       DB_TEXT(CHAIN));
	verify(bench, &found);
	assert_int_equal(found.break_count, 0);
	for (int i = 0; i < 2; i++) {
		ledger_verify_init(&found, CHAIN, i == 0 ? 0 : 10);
		ledger_verify_know(&found, 10, head);
		verify_with(bench, &found);
		assert_int_equal(found.break_count, 1);
		assert_string_equal(ledger_damage_name(found.breaks[0].damage), "cut off");
		assert_int_equal(found.breaks[0].seq, 3);
	}
	for (int i = 3; i <= 12; i++)
		assert_int_equal(append(bench, "", "forged", &made), OK);
	for (int i = 0; i < 2; i++) {
		ledger_verify_init(&found, CHAIN, i == 0 ? 0 : 10);
		ledger_verify_know(&found, 10, head);
		verify_with(bench, &found);
		assert_int_equal(found.break_count, 1);
		assert_string_equal(ledger_damage_name(found.breaks[0].damage), "rewritten");
		assert_int_equal(found.breaks[0].seq, 10);
	}
	free(head);
}

static void
from_an_entry_on_only_what_follows_is_looked_at(void **state)
{
	struct bench *bench = *state;
	struct ledger_verify found;

	fill(bench);
	db_run(bench->db, "UPDATE ledger_entry SET body = '' WHERE ledger = $1 AND seq = 2", DB_TEXT(CHAIN));
	ledger_verify_init(&found, CHAIN, 5);
	verify_with(bench, &found);
	assert_int_equal(found.break_count, 0);
	assert_int_equal(found.checked, 6);
	ledger_verify_init(&found, CHAIN, 11);
	assert_int_equal(ledger_verify_page(&bench->txn, &found, &bench->why), NO_SUCH);
	ledger_verify_release(&found);
	ledger_verify_init(&found, "other", 0);
	assert_int_equal(ledger_verify_page(&bench->txn, &found, &bench->why), NO_SUCH);
	ledger_verify_release(&found);
}

/* More breaks than are told of end it, and are never taken for fewer. */
static void
of_very_many_breaks_it_is_told_that_there_are_more(void **state)
{
	struct bench *bench = *state;
	struct ledger_verify found;
	struct ledger_appended made;

	for (int i = 0; i < LEDGER_BREAKS_MAX + 20; i++)
		assert_int_equal(append(bench, "", "body", &made), OK);
	db_run(bench->db, "UPDATE ledger_entry SET body = '' WHERE ledger = $1", DB_TEXT(CHAIN));
	verify(bench, &found);
	assert_int_equal(found.break_count, LEDGER_BREAKS_MAX);
	assert_true(found.more_breaks);
}

static void
bodies_up_to_a_mebibyte_are_kept_and_read_few_at_a_time(void **state)
{
	struct bench *bench = *state;
	struct ledger_verify found;
	struct ledger_appended made;
	char *body = malloc(LEDGER_BODY_MAX + 2);

	memset(body, 'x', LEDGER_BODY_MAX + 1);
	body[LEDGER_BODY_MAX + 1] = '\0';
	assert_int_equal(append(bench, "", body, &made), BAD_INPUT);
	body[LEDGER_BODY_MAX] = '\0';
	for (int i = 0; i < 20; i++)
		assert_int_equal(append(bench, "", body, &made), OK);
	verify(bench, &found);
	assert_int_equal(found.break_count, 0);
	assert_int_equal(found.checked, 20);
	assert_true(ledger_page_size(&found.ledger) < 20);
	free(body);
}

static void
what_can_not_be_is_refused(void **state)
{
	struct bench *bench = *state;
	struct ledger_append ask = {.ledger = "a\nb", .key = "", .session = "", .kind = "", .body = "", .size = 0};
	struct ledger_appended made;

	assert_int_equal(ledger_append(&bench->txn, &ask, &made, &bench->why), BAD_INPUT);
	ask.ledger = "../a";
	assert_int_equal(ledger_append(&bench->txn, &ask, &made, &bench->why), BAD_INPUT);
	assert_int_equal(append(bench, "a\nb", "x", &made), BAD_INPUT);
	assert_int_equal(append(bench, "", "\xff", &made), BAD_INPUT);
}

TESTS(BENCH_TEST(what_is_hashed_is_fixed_for_ever), BENCH_TEST(a_chain_that_nobody_touched_is_whole), BENCH_TEST(a_key_is_one_entry),
      BENCH_TEST(an_entry_without_a_key_may_be_the_same_as_another), BENCH_TEST(every_byte_that_was_changed_is_found_at_its_entry),
      BENCH_TEST(an_entry_that_was_changed_with_its_hash_is_found_by_the_next), BENCH_TEST(what_is_missing_is_named),
      BENCH_TEST(what_changed_places_is_named_with_where_it_was), BENCH_TEST(it_goes_on_behind_a_break_and_finds_the_next),
      BENCH_TEST(a_tail_that_was_rewritten_is_found_by_a_head_known_before),
      BENCH_TEST(from_an_entry_on_only_what_follows_is_looked_at), BENCH_TEST(of_very_many_breaks_it_is_told_that_there_are_more),
      BENCH_TEST(bodies_up_to_a_mebibyte_are_kept_and_read_few_at_a_time), BENCH_TEST(what_can_not_be_is_refused))
