/*
 * Many programs change one file; one of them has overslept.
 *
 * The anomalies refuted:
 *
 *   a splice       a line longer than a shell's buffer goes out in two writes; another's comes between: both are lost.
 *   a lost update  A reads 41; B reads 41; A writes 42; B writes 42.
 *   two headers    A looks for today's log: none; B looks: none; both write the header.
 *   the slow one   A holds the lock, and is stopped past its deadline; B has it now; A goes on, and writes over what B wrote.
 *
 * Rows: R85 R88 R89 R90 R92 R96 R102 R122 R124 N2 N11
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/buf.h"
#include "base/str.h"
#include "os/file.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITERS 4
#define CREATORS 16

struct race {
	struct codebase codebase;
	char *path;
	size_t line; /* bytes of each */
	int lines;   /* of each writer */
	struct shared {
		int status[CREATORS];
		bool created[CREATORS];
		int late[5];
		int64_t fence;
	} * shared;
};

static int
open_race(void **state)
{
	struct race *race = calloc(1, sizeof *race);

	codebase_make(&race->codebase);
	race->path = scratch_path(race->codebase.folder, "file");
	race->shared = scratch_shared(sizeof *race->shared);
	*state = race;
	return 0;
}

static int
close_race(void **state)
{
	struct race *race = *state;
	bool whole = codebase_is_whole(&race->codebase);

	scratch_unshare(race->shared, sizeof *race->shared);
	free(race->path);
	codebase_remove(&race->codebase);
	free(race);
	return whole ? 0 : -1;
}

/* What a file holds; the caller releases it. */
static void
read_file(const struct race *race, struct buf *out)
{
	buf_init(out, (size_t)256 << 20);
	assert_int_equal(file_read(race->path, out, NULL), OK);
}

static void
put_file(const struct race *race, const char *text)
{
	assert_int_equal(file_replace(race->path, text, strlen(text), 0600, NULL), OK);
}

/* A line that says whose it is, from its first byte to its last. */
static char *
make_line(unsigned writer, size_t len)
{
	char *line = malloc(len + 1);

	if (line == NULL)
		abort();
	memset(line, 'a' + (int)writer, len);
	line[len - 1] = '\n';
	line[len] = '\0';
	return line;
}

static int
appends(const struct member *member)
{
	struct race *race = member->arg;
	struct codebase codebase = race->codebase;
	char *line = make_line(member->index, race->line);
	struct said said;
	int status = 0;

	codebase.input = line;
	if (!crowd_together(member))
		return 1;
	for (int i = 0; i < race->lines && status == 0; i++) {
		codebase_run(&codebase, &said, "file", "append", "file", "--wait", "60s");
		status = said.status;
	}
	free(line);
	return status;
}

static void
assert_whole(const struct race *race, size_t from)
{
	size_t count[WRITERS] = {0};
	struct buf text;

	read_file(race, &text);
	assert_int_equal(text.len, from + WRITERS * (size_t)race->lines * race->line);
	for (const char *at = text.data + from; *at != '\0'; at += race->line) {
		unsigned writer = (unsigned)(*at - 'a');

		assert_true(writer < WRITERS);
		for (size_t i = 0; i + 1 < race->line; i++)
			if (at[i] != *at)
				fail_msg("byte %zu of a line is another's", i);
		assert_int_equal(at[race->line - 1], '\n');
		count[writer]++;
	}
	for (unsigned i = 0; i < WRITERS; i++)
		assert_int_equal(count[i], race->lines);
	buf_release(&text);
}

/* Rows: R85 R89 */
static void
the_first_lines_make_the_file_and_none_is_lost(void **state)
{
	struct race *race = *state;

	race->line = 100;
	race->lines = 3;
	for (int i = 0; i < (share_is_full() ? 50 : 5); i++) {
		unlink(race->path);
		assert_true(crowd_run(WRITERS, appends, race));
		assert_whole(race, 0);
	}
}

/* Rows: R85 R88 R90 */
static void
lines_of_any_length_are_all_there_and_whole(void **state)
{
	static const size_t lengths[] = {400, 9000, (size_t)1 << 20};
	struct race *race = *state;

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		race->line = lengths[i];
		race->lines = share_is_full() ? 50 : 6;
		/* one who died in the middle of his line spoils only that */
		put_file(race, "first\ntorn");
		assert_true(crowd_run(WRITERS, appends, race));
		assert_whole(race, strlen("first\ntorn\n"));
	}
}

static int
adds_one(const struct member *member)
{
	struct race *race = member->arg;
	struct said said;
	int status = 0;

	if (!crowd_together(member))
		return 1;
	for (int i = 0; i < race->lines && status == 0; i++) {
		codebase_run(&race->codebase, &said, "file", "update", "file", "--wait", "60s", "--", "sh", "-c",
		             "read n; echo $((n + 1))");
		status = said.status;
	}
	return status;
}

/* Rows: R92 R124 */
static void
a_counter_in_a_file_keeps_every_increment(void **state)
{
	struct race *race = *state;
	char expected[20];
	struct buf text;

	race->lines = share_is_full() ? 50 : 6;
	put_file(race, "37\n");
	assert_true(crowd_run(WRITERS, adds_one, race));
	snprintf(expected, sizeof expected, "%d\n", 37 + WRITERS * race->lines);
	read_file(race, &text);
	assert_string_equal(text.data, expected);
	buf_release(&text);
}

static int
appends_or_updates(const struct member *member)
{
	struct race *race = member->arg;
	struct codebase codebase = race->codebase;
	struct said said;
	int status = 0;

	codebase.input = "line\n";
	if (!crowd_together(member))
		return 1;
	for (int i = 0; i < race->lines && status == 0; i++) {
		if (member->index == 0)
			codebase_run(&codebase, &said, "file", "update", "file", "--wait", "60s", "--", "sh", "-c", "cat; echo line");
		else
			codebase_run(&codebase, &said, "file", "append", "file", "--wait", "60s");
		status = said.status;
	}
	return status;
}

/* Who replaces the file must not take with the old one a line that was just added.  Rows: R85 R92 */
static void
no_line_is_lost_to_one_who_replaces_the_file(void **state)
{
	struct race *race = *state;
	struct buf text;

	race->lines = share_is_full() ? 100 : 12;
	put_file(race, "");
	assert_true(crowd_run(WRITERS, appends_or_updates, race));
	read_file(race, &text);
	assert_int_equal(text.len, WRITERS * race->lines * (int)strlen("line\n"));
	buf_release(&text);
}

static int
creates(const struct member *member, const char *content)
{
	struct race *race = member->arg;
	struct codebase codebase = race->codebase;
	struct said said;
	json_t *document;

	codebase.input = content;
	if (!crowd_together(member))
		return 1;
	codebase_run(&codebase, &said, "file", "create", "file", "--json");
	document = said_document(&said);
	race->shared->status[member->index] = said.status;
	race->shared->created[member->index] = json_truth(document, "created");
	json_decref(document);
	return 0;
}

static int
creates_the_same(const struct member *member)
{
	return creates(member, "# 2026-05-18\n");
}

static int
creates_its_own(const struct member *member)
{
	char content[20];

	snprintf(content, sizeof content, "writer %u\n", member->index);
	return creates(member, content);
}

static unsigned
creations(const struct race *race)
{
	unsigned count = 0;

	for (unsigned i = 0; i < CREATORS; i++)
		count += race->shared->created[i];
	return count;
}

/* Rows: R89 R102 */
static void
of_sixteen_who_create_it_one_does(void **state)
{
	struct race *race = *state;
	struct buf text;

	assert_true(crowd_run(CREATORS, creates_the_same, race));
	assert_int_equal(creations(race), 1);
	for (unsigned i = 0; i < CREATORS; i++)
		assert_int_equal(race->shared->status[i], 0);
	read_file(race, &text);
	assert_string_equal(text.data, "# 2026-05-18\n");
	buf_release(&text);
}

/* Rows: R102 */
static void
who_would_create_it_with_another_content_is_refused(void **state)
{
	struct race *race = *state;
	struct buf text;
	char winner[20] = "";

	assert_true(crowd_run(CREATORS, creates_its_own, race));
	assert_int_equal(creations(race), 1);
	for (unsigned i = 0; i < CREATORS; i++) {
		assert_int_equal(race->shared->status[i], race->shared->created[i] ? 0 : 1);
		if (race->shared->created[i])
			snprintf(winner, sizeof winner, "writer %u\n", i);
	}
	read_file(race, &text);
	assert_string_equal(text.data, winner);
	buf_release(&text);
}

static int64_t
acquire(const struct race *race, const char *ttl, const char *wait)
{
	struct said said;
	json_t *document;
	int64_t fence;

	codebase_run(&race->codebase, &said, "lock", "acquire", "L", "--ttl", ttl, "--wait", wait, "--json");
	document = said_document(&said);
	fence = said.status == 0 ? json_whole(document, "fence", 0) : -1;
	json_decref(document);
	return fence;
}

/* It holds the lock, is stopped past its deadline, and goes on with what it had to do. */
static int
oversleeps(void *arg)
{
	static const char *const verbs[] = {"write", "append", "create", "update"};
	struct race *race = arg;
	struct codebase codebase = race->codebase;
	struct said said;
	char fence[24];

	race->shared->fence = acquire(race, "50ms", "0s");
	snprintf(fence, sizeof fence, "%lld", (long long)race->shared->fence);
	raise(SIGSTOP);
	codebase.input = "late\n";
	for (int i = 0; i < 3; i++) {
		codebase_run(&codebase, &said, "file", verbs[i], i == 2 ? "fresh" : "file", "--lock", "L", "--fence", fence);
		race->shared->late[i] = said.status;
	}
	codebase_run(&codebase, &said, "file", "update", "file", "--lock", "L", "--fence", fence, "--", "echo", "late");
	race->shared->late[3] = said.status;
	return 0;
}

/* Rows: N2 */
static void
each_late_effect_of_who_overslept_is_refused(void **state)
{
	struct race *race = *state;
	char *fresh = scratch_path(race->codebase.folder, "fresh");
	struct scratch_child sleeper;
	struct buf text;

	put_file(race, "before\n");
	scratch_spawn(&sleeper, oversleeps, race);
	assert_true(scratch_wait_stopped(&sleeper, CODEBASE_LIMIT_MS));
	assert_true(race->shared->fence > 0);
	assert_int_equal(acquire(race, "600s", "30s"), race->shared->fence + 1);
	put_file(race, "the next one's\n");
	kill(sleeper.pid, SIGCONT);
	assert_int_equal(scratch_wait(&sleeper, CODEBASE_LIMIT_MS), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(race->shared->late[i], 1);
	/* a command that was run for nothing */
	assert_int_equal(race->shared->late[3], 121);
	read_file(race, &text);
	assert_string_equal(text.data, "the next one's\n");
	assert_int_not_equal(access(fresh, F_OK), 0);
	buf_release(&text);
	free(fresh);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_race, close_race)

CONTRACT_TESTS(TEST(the_first_lines_make_the_file_and_none_is_lost), TEST(lines_of_any_length_are_all_there_and_whole),
               TEST(a_counter_in_a_file_keeps_every_increment), TEST(no_line_is_lost_to_one_who_replaces_the_file),
               TEST(of_sixteen_who_create_it_one_does), TEST(who_would_create_it_with_another_content_is_refused),
               TEST(each_late_effect_of_who_overslept_is_refused))
