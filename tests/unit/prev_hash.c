/*
 * A file whose lines are chained by other systems is read, and the first line that is not as it must be is named, with what has
 * happened to it.
 *
 * Rows: R87
 */
#include "legacy/prev_hash.h"

#include "lib/scratch.h"
#include "lib/test.h"

#include <sys/stat.h>
#include <unistd.h>

#define LINES 6

/* A chain of that many lines, each of which can be spoilt before it is written. */
struct chain {
	char *folder, *path;
	char line[LINES + 1][400];
	char digest[LINES + 1][DIGEST_SIZE];
	size_t count;
	struct buf why;
};

static int
set_up(void **state)
{
	struct chain *chain = calloc(1, sizeof *chain);

	chain->folder = scratch_folder();
	chain->path = scratch_path(chain->folder, "verdict-ledger.jsonl");
	buf_init(&chain->why, WHY_MAX);
	*state = chain;
	return 0;
}

static int
tear_down(void **state)
{
	struct chain *chain = *state;

	free(chain->path);
	scratch_remove(chain->folder);
	buf_release(&chain->why);
	free(chain);
	return 0;
}

/* As `tail -n 1 | sha256sum` has it with `newline`, else as `printf %s`. */
static void
digest_of(const char *line, bool newline, char out[DIGEST_SIZE])
{
	char plain[DIGEST_SIZE], ended[DIGEST_SIZE];

	digest_line(plain, ended, line, strlen(line));
	memcpy(out, newline ? ended : plain, DIGEST_SIZE);
}

static void
add(struct chain *chain, const char *prev, bool newline)
{
	size_t n = chain->count++;

	snprintf(chain->line[n], sizeof chain->line[n], "{\"verdict\":\"pass %zu\",\"prev_hash\":\"%s\"}", n, prev);
	digest_of(chain->line[n], newline, chain->digest[n]);
}

static void
make_chain(struct chain *chain, bool newline)
{
	chain->count = 0;
	for (size_t i = 0; i < LINES; i++)
		add(chain, i == 0 ? "" : chain->digest[i - 1], newline);
}

/* With a digest of its own in each line, put in last. */
static void
make_own(struct chain *chain)
{
	chain->count = 0;
	for (size_t i = 0; i < LINES; i++) {
		char own[100];

		add(chain, i == 0 ? "" : chain->digest[i - 1], false);
		snprintf(own, sizeof own, ",\"hash\":\"%s\"}", chain->digest[i]);
		memcpy(chain->line[i] + strlen(chain->line[i]) - 1, own, strlen(own) + 1);
	}
}

static void
write_bytes(const struct chain *chain, size_t cut)
{
	FILE *file = fopen(chain->path, "w");

	assert_non_null(file);
	for (size_t i = 0; i < chain->count; i++)
		fprintf(file, "%s\n", chain->line[i]);
	assert_int_equal(fclose(file), 0);
	if (cut > 0) {
		struct stat about;

		assert_int_equal(stat(chain->path, &about), 0);
		assert_int_equal(truncate(chain->path, about.st_size - (off_t)cut), 0);
	}
}

static void
take_out(struct chain *chain, size_t n)
{
	memmove(chain->line[n], chain->line[n + 1], sizeof chain->line[0] * (chain->count - n - 1));
	chain->count--;
}

static struct prev_hash_found
verify(struct chain *chain, const struct prev_hash_ask *more, enum status wanted)
{
	struct prev_hash_ask ask = *more;
	struct prev_hash_found found = {0};

	ask.path = chain->path;
	ask.prev_field = "prev_hash";
	buf_clear(&chain->why);
	assert_int_equal(prev_hash_verify(&ask, &found, &chain->why), wanted);
	return found;
}

#define BYTES (&(const struct prev_hash_ask){0})
#define OWN (&(const struct prev_hash_ask){.hash_field = "hash"})

static void
is_bad(struct chain *chain, const struct prev_hash_ask *ask, int64_t line, const char *wrong)
{
	struct prev_hash_found found = verify(chain, ask, CONFLICT);

	assert_string_equal(found.wrong, wrong);
	assert_int_equal(found.bad, line);
	assert_int_equal(found.lines, line - 1);
	assert_non_null(strstr(chain->why.data, wrong));
}

static void
a_whole_chain_is_well_in_either_way_of_taking_the_digest(void **state)
{
	struct chain *chain = *state;
	struct prev_hash_found found;

	for (int newline = 0; newline < 2; newline++) {
		make_chain(chain, newline);
		write_bytes(chain, 0);
		found = verify(chain, BYTES, OK);
		assert_int_equal(found.lines, LINES);
		assert_int_equal(found.bad, 0);
		digest_of(chain->line[LINES - 1], false, chain->digest[0]);
		assert_string_equal(found.head, chain->digest[0]);
	}
	make_own(chain);
	write_bytes(chain, 0);
	found = verify(chain, OWN, OK);
	assert_string_equal(found.head, chain->digest[LINES - 1]);
	chain->count = 0;
	write_bytes(chain, 0);
	assert_int_equal(verify(chain, BYTES, OK).lines, 0);
}

static void
a_changed_line_is_found_by_its_own_digest_and_else_by_the_next_one(void **state)
{
	struct chain *chain = *state;

	make_chain(chain, true);
	chain->line[2][14]++;
	write_bytes(chain, 0);
	is_bad(chain, BYTES, 3, "changed or missing");
	make_own(chain);
	chain->line[LINES - 1][14]++;
	write_bytes(chain, 0);
	is_bad(chain, OWN, LINES, "changed");
}

static void
a_missing_line_is_told_where_lines_prove_themselves(void **state)
{
	struct chain *chain = *state;

	make_own(chain);
	take_out(chain, 2);
	write_bytes(chain, 0);
	is_bad(chain, OWN, 3, "missing");
	make_chain(chain, false);
	take_out(chain, 2);
	write_bytes(chain, 0);
	is_bad(chain, BYTES, 2, "changed or missing");
}

static void
lines_in_another_order_are_told(void **state)
{
	struct chain *chain = *state;
	char line[400];

	make_chain(chain, true);
	memcpy(line, chain->line[2], sizeof line);
	memcpy(chain->line[2], chain->line[3], sizeof line);
	memcpy(chain->line[3], line, sizeof line);
	write_bytes(chain, 0);
	is_bad(chain, BYTES, 3, "reordered");
	assert_non_null(strstr(chain->why.data, "follows line 4, which comes after it"));
}

/* What ALAI's validator writes when its lock has timed out. */
static void
two_lines_that_follow_the_same_one_are_a_fork(void **state)
{
	struct chain *chain = *state;

	make_chain(chain, false);
	chain->count = LINES - 2;
	add(chain, chain->digest[2], false);
	write_bytes(chain, 0);
	is_bad(chain, BYTES, LINES - 1, "forked");
	assert_non_null(strstr(chain->why.data, "follows line 3, and so does line 4"));
	chain->count = 1;
	add(chain, "", false);
	write_bytes(chain, 0);
	is_bad(chain, BYTES, 2, "forked");
}

static void
a_torn_line_is_told_wherever_it_stands(void **state)
{
	struct chain *chain = *state;

	make_chain(chain, false);
	write_bytes(chain, 10);
	is_bad(chain, BYTES, LINES, "torn");
	write_bytes(chain, 1);
	is_bad(chain, BYTES, LINES, "torn");
	make_chain(chain, false);
	chain->line[3][20] = '\0';
	write_bytes(chain, 0);
	is_bad(chain, BYTES, 4, "torn");
}

static void
a_line_without_the_field_is_unlinked(void **state)
{
	struct chain *chain = *state;

	make_chain(chain, false);
	snprintf(chain->line[1], sizeof chain->line[1], "{\"prev_hash\":1}");
	write_bytes(chain, 0);
	is_bad(chain, BYTES, 2, "unlinked");
	make_chain(chain, false);
	write_bytes(chain, 0);
	is_bad(chain, OWN, 1, "unlinked");
}

static void
what_is_cut_off_at_the_front_is_seen_and_at_the_end_if_a_digest_was_kept(void **state)
{
	struct chain *chain = *state;
	char third[DIGEST_SIZE], last[DIGEST_SIZE];

	make_chain(chain, true);
	memcpy(third, chain->digest[2], sizeof third);
	memcpy(last, chain->digest[LINES - 1], sizeof last);
	for (int i = 0; i < 3; i++)
		take_out(chain, 0);
	write_bytes(chain, 0);
	is_bad(chain, BYTES, 1, "cut off");
	assert_int_equal(verify(chain, &(struct prev_hash_ask){.after = third}, OK).lines, 3);
	is_bad(chain, &(struct prev_hash_ask){.after = last}, 1, "cut off");
	assert_int_equal(verify(chain, &(struct prev_hash_ask){.after = third, .head = last}, OK).lines, 3);
	chain->count--;
	write_bytes(chain, 0);
	assert_int_equal(verify(chain, &(struct prev_hash_ask){.after = third}, OK).lines, 2);
	is_bad(chain, &(struct prev_hash_ask){.after = third, .head = last}, 3, "cut off");
}

static void
what_can_not_be_read_is_one_refusal(void **state)
{
	struct chain *chain = *state;

	verify(chain, BYTES, NO_SUCH);
	assert_int_equal(mkfifo(chain->path, 0600), 0);
	verify(chain, BYTES, IO_FAILED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
TESTS(TEST(a_whole_chain_is_well_in_either_way_of_taking_the_digest),
      TEST(a_changed_line_is_found_by_its_own_digest_and_else_by_the_next_one),
      TEST(a_missing_line_is_told_where_lines_prove_themselves), TEST(lines_in_another_order_are_told),
      TEST(two_lines_that_follow_the_same_one_are_a_fork), TEST(a_torn_line_is_told_wherever_it_stands),
      TEST(a_line_without_the_field_is_unlinked),
      TEST(what_is_cut_off_at_the_front_is_seen_and_at_the_end_if_a_digest_was_kept), TEST(what_can_not_be_read_is_one_refusal))
