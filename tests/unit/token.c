/*
 * A token's life: armed, consumed once or expired, and each no told apart.
 *
 * Rows: R93 R94 R95
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/retention.h"
#include "core/token.h"

#define TTL_MS 1000

static enum status
issue(struct bench *bench, const char *scope, const char *digest, struct token *out)
{
	struct token_ask ask = {.name = "opus", .scope = scope, .digest = digest, .session = "", .ttl_ms = TTL_MS};

	bench->txn.actor = "uid:7";
	return token_issue(&bench->txn, &ask, out, &bench->why);
}

static const char *word;

static enum status
consume(struct bench *bench, const char *actor, const char *scope, const char *digest, struct token *out)
{
	struct token_ask ask = {.name = "opus", .scope = scope, .digest = digest, .session = actor};

	bench->txn.actor = actor;
	return token_consume(&bench->txn, &ask, out, &word, &bench->why);
}

static void
it_is_consumed_once_and_the_next_is_told_by_whom_and_when(void **state)
{
	struct bench *bench = *state;
	struct token token;

	assert_int_equal(issue(bench, "", "", &token), OK);
	assert_int_equal(token.expires_ms, BENCH_START_MS + TTL_MS);
	bench_at(bench, BENCH_START_MS + 10);
	assert_int_equal(consume(bench, "a", "", "", &token), OK);
	assert_string_equal(token.issuer, "uid:7");
	bench_at(bench, BENCH_START_MS + 20);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(consume(bench, i == 0 ? "a" : "b", "", "", &token), HELD);
		assert_string_equal(word, "consumed");
		assert_string_equal(token.consumer, "a");
		assert_int_equal(token.consumed_ms, BENCH_START_MS + 10);
	}
	/* long after it would have expired, too */
	bench_at(bench, BENCH_START_MS + 5 * TTL_MS);
	assert_int_equal(consume(bench, "b", "", "", &token), HELD);
}

static void
one_that_expired_is_another_no_than_one_never_issued(void **state)
{
	struct bench *bench = *state;
	struct token token;

	assert_int_equal(consume(bench, "a", "", "", &token), NO_SUCH);
	assert_string_equal(word, "never_issued");
	assert_int_equal(token.generation, 0);
	assert_int_equal(issue(bench, "", "", &token), OK);
	bench_at(bench, BENCH_START_MS + TTL_MS);
	assert_int_equal(consume(bench, "a", "", "", &token), CONFLICT);
	assert_string_equal(word, "expired");
	assert_int_equal(token.expires_ms, BENCH_START_MS + TTL_MS);
}

static void
it_is_good_up_to_its_last_millisecond(void **state)
{
	struct bench *bench = *state;
	struct token token;

	assert_int_equal(issue(bench, "", "", &token), OK);
	bench_at(bench, BENCH_START_MS + TTL_MS - 1);
	assert_int_equal(consume(bench, "a", "", "", &token), OK);
}

static void
another_scope_or_action_is_refused_and_leaves_it_armed(void **state)
{
	struct bench *bench = *state;
	struct token token;

	assert_int_equal(issue(bench, "bash", "ABCDEF01", &token), OK);
	assert_int_equal(consume(bench, "a", "", "abcdef01", &token), NOT_ALLOWED);
	assert_string_equal(word, "wrong_scope");
	assert_int_equal(consume(bench, "a", "opus", "abcdef01", &token), NOT_ALLOWED);
	assert_int_equal(consume(bench, "a", "bash", "abcdef02", &token), NOT_ALLOWED);
	assert_string_equal(word, "wrong_digest");
	assert_int_equal(consume(bench, "a", "bash", "", &token), NOT_ALLOWED);
	assert_string_equal(token_state(&token, bench->txn.instant_ms), "armed");
	assert_int_equal(consume(bench, "a", "bash", "abcdef01", &token), OK);
}

static void
one_without_scope_or_digest_is_good_for_any(void **state)
{
	struct bench *bench = *state;
	struct token token;

	assert_int_equal(issue(bench, "", "", &token), OK);
	assert_int_equal(consume(bench, "a", "bash", "abcdef01", &token), OK);
}

static void
armed_it_is_not_issued_again_and_afterwards_it_is_a_new_generation(void **state)
{
	struct bench *bench = *state;
	struct token token;

	assert_int_equal(issue(bench, "one", "", &token), OK);
	assert_int_equal(issue(bench, "two", "", &token), CONFLICT);
	assert_string_equal(token.scope, "one");
	assert_int_equal(consume(bench, "a", "one", "", &token), OK);
	assert_int_equal(issue(bench, "two", "", &token), OK);
	assert_int_equal(token.generation, 2);
	assert_int_equal(consume(bench, "a", "two", "", &token), OK);
	bench_at(bench, BENCH_START_MS + 1);
	assert_int_equal(issue(bench, "", "", &token), OK);
	bench_at(bench, BENCH_START_MS + 1 + TTL_MS);
	assert_int_equal(issue(bench, "", "", &token), OK);
	assert_int_equal(token.generation, 4);
}

static void
what_was_done_with_it_is_in_the_trail(void **state)
{
	struct bench *bench = *state;
	struct token token;

	assert_int_equal(issue(bench, "bash", "", &token), OK);
	assert_int_equal(consume(bench, "a", "", "", &token), NOT_ALLOWED);
	assert_true(bench->txn.keep);
	assert_int_equal(consume(bench, "a", "bash", "", &token), OK);
	assert_int_equal(consume(bench, "b", "bash", "", &token), HELD);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM audit WHERE kind = 'token.issued' AND actor = $1",
	                              DB_TEXT("uid:7")),
	                 1);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM audit WHERE kind = 'token.consumed' AND actor = $1",
	                              DB_TEXT("a")),
	                 1);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM audit WHERE kind = 'token.refused' AND after = $1",
	                              DB_TEXT("consumed")),
	                 1);
}

static void
what_can_not_be_is_refused(void **state)
{
	static const char *const digests[] = {"abc", "xyzxyzxy", "abcdef0g"};
	struct bench *bench = *state;
	struct token_ask ask = {.name = "a/../b", .scope = "", .digest = "", .session = "", .ttl_ms = TTL_MS};
	struct token token;
	char longest[TOKEN_DIGEST_MAX + 2];

	assert_int_equal(token_issue(&bench->txn, &ask, &token, &bench->why), BAD_INPUT);
	ask.name = "a\x01";
	assert_int_equal(token_issue(&bench->txn, &ask, &token, &bench->why), BAD_INPUT);
	ask.name = "a";
	ask.ttl_ms = 0;
	assert_int_equal(token_issue(&bench->txn, &ask, &token, &bench->why), BAD_INPUT);
	ask.ttl_ms = TOKEN_TTL_MAX_MS + 1;
	assert_int_equal(token_issue(&bench->txn, &ask, &token, &bench->why), BAD_INPUT);
	for (size_t i = 0; i < sizeof digests / sizeof *digests; i++)
		assert_int_equal(issue(bench, "", digests[i], &token), BAD_INPUT);
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(issue(bench, "", longest, &token), BAD_INPUT);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM token WHERE project = $1", DB_TEXT(".")), 0);
}

/* Rows: R91 R95 */
static void
one_that_can_not_be_consumed_is_forgotten_with_the_trail(void **state)
{
	const int64_t day_ms = 24 * 3600 * (int64_t)1000;
	struct bench *bench = *state;
	struct retention removed;
	struct token token;
	bool due;

	assert_int_equal(issue(bench, "", "", &token), OK);
	assert_int_equal(consume(bench, "a", "", "", &token), OK);
	bench_at(bench, BENCH_START_MS + 89 * day_ms);
	assert_int_equal(retention_due(&bench->txn, &due, &bench->why), OK);
	assert_false(due);
	bench_at(bench, BENCH_START_MS + 91 * day_ms);
	assert_int_equal(retention_apply(&bench->txn, &removed, &bench->why), OK);
	assert_int_equal(consume(bench, "a", "", "", &token), NO_SUCH);
}

TESTS(BENCH_TEST(it_is_consumed_once_and_the_next_is_told_by_whom_and_when),
      BENCH_TEST(one_that_expired_is_another_no_than_one_never_issued), BENCH_TEST(it_is_good_up_to_its_last_millisecond),
      BENCH_TEST(another_scope_or_action_is_refused_and_leaves_it_armed),
      BENCH_TEST(one_without_scope_or_digest_is_good_for_any),
      BENCH_TEST(armed_it_is_not_issued_again_and_afterwards_it_is_a_new_generation),
      BENCH_TEST(what_was_done_with_it_is_in_the_trail), BENCH_TEST(what_can_not_be_is_refused),
      BENCH_TEST(one_that_can_not_be_consumed_is_forgotten_with_the_trail))
