/*
 * Tokens of a transcript: one response counts once, however often it is met; of two hooks that read the same stretch one
 * counts it; context and spend are two metrics, and sub-agents are apart.
 *
 * Rows: N4
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/binding.h"
#include "core/spend.h"

#define SESSION "s"
#define MAIN "/t/main.jsonl"
#define SIDE "/t/agent.jsonl"

static struct usage
used(const char *message, const char *request, const char *agent, int64_t input, int64_t output)
{
	struct usage usage = {.input = input, .output = output, .cache_write = 10, .cache_read = 100};

	snprintf(usage.message, sizeof usage.message, "%s", message);
	snprintf(usage.request, sizeof usage.request, "%s", request);
	snprintf(usage.agent, sizeof usage.agent, "%s", agent);
	return usage;
}

/* A look at `path` from `from` to `to` that found these; context as given. */
static struct transcript_look
look(const char *path, const char *agent, int64_t from, int64_t to, int64_t context)
{
	struct transcript_look look = {.context = context};

	snprintf(look.before.path, sizeof look.before.path, "%s", path);
	look.before.position = from;
	look.after = look.before;
	look.after.position = look.after.size = to;
	snprintf(look.after.agent, sizeof look.after.agent, "%s", agent);
	return look;
}

static void
found(struct transcript_look *look, struct usage usage)
{
	assert_int_equal(usage_list_put(&look->usages, &usage), OK);
}

/* As an event does it. */
static void
take_for(struct bench *bench, const char *session, const struct transcript_look *look)
{
	struct db_rows rows;

	assert_int_equal(db_ask(bench->db, &rows, NULL,
	                        "SELECT " TRANSCRIPT_READING " FROM transcript t WHERE session = $1 AND path = $2",
	                        DB_TEXT(session), DB_TEXT(look->before.path)),
	                 OK);
	spend_take(&bench->txn, session, look, rows.count > 0 ? db_text(&rows, 0, 0) : "");
	db_rows_release(&rows);
}

static void
take(struct bench *bench, struct transcript_look *look)
{
	take_for(bench, SESSION, look);
	usage_list_release(&look->usages);
}

static int64_t
metric(struct bench *bench, const char *name)
{
	return store_number(bench->db, "SELECT value FROM metric WHERE session = $1 AND name = $2", DB_TEXT(SESSION),
	                    DB_TEXT(name));
}

static int64_t
position(struct bench *bench, const char *path)
{
	return store_number(bench->db, "SELECT position FROM transcript WHERE session = $1 AND path = $2", DB_TEXT(SESSION),
	                    DB_TEXT(path));
}

static void
a_response_met_again_replaces_its_counts(void **state)
{
	struct bench *bench = *state;
	struct transcript_look first = look(MAIN, "", 0, 500, -1), second = look(MAIN, "", 500, 900, -1);

	/* as it streams: three lines of one response in two reads */
	found(&first, used("m1", "r1", "", 1000, 1));
	found(&first, used("m1", "r1", "", 1000, 5));
	assert_int_equal(first.usages.count, 1);
	take(bench, &first);
	assert_int_equal(metric(bench, "spent_tokens"), 1115);
	found(&second, used("m1", "r1", "", 1000, 40));
	found(&second, used("m2", "r2", "", 7, 3));
	take(bench, &second);
	assert_int_equal(metric(bench, "spent_tokens"), 1150 + 120);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM spend WHERE session = $1", DB_TEXT(SESSION)), 2);
	assert_int_equal(store_number(bench->db,
	                              "SELECT sum(input + cache_write + cache_read + output) FROM spend WHERE session = $1",
	                              DB_TEXT(SESSION)),
	                 1270);
}

static void
the_same_message_of_another_request_is_another_response(void **state)
{
	struct bench *bench = *state;
	struct transcript_look seen = look(MAIN, "", 0, 500, -1);

	found(&seen, used("m1", "r1", "", 1, 1));
	found(&seen, used("m1", "r2", "", 1, 1));
	take(bench, &seen);
	assert_int_equal(metric(bench, "spent_tokens"), 2 * 112);
}

/* Two hooks of one moment read the same stretch from the same offset; the second comes to the store after the first. */
static void
a_second_look_at_the_same_stretch_changes_nothing(void **state)
{
	struct bench *bench = *state;

	for (int i = 0; i < 3; i++) {
		struct transcript_look seen = look(MAIN, "", 0, 500, 5000 + i);

		/* as if the later reader had seen other numbers: it must not matter */
		found(&seen, used("m1", "r1", "", 100 + i, 1));
		found(&seen, used(i == 0 ? "m2" : "m3", "r2", "", 100, 1));
		seen.after.broken = i;
		seen.after.position += i;
		take(bench, &seen);
		assert_int_equal(metric(bench, "spent_tokens"), 422);
		assert_int_equal(metric(bench, "context_tokens"), 5000);
		assert_int_equal(position(bench, MAIN), 500);
	}
	assert_int_equal(store_number(bench->db, "SELECT sum(broken) FROM transcript WHERE session = $1", DB_TEXT(SESSION)), 0);
}

static void
a_look_that_began_elsewhere_changes_nothing(void **state)
{
	struct bench *bench = *state;
	struct transcript_look first = look(MAIN, "", 0, 500, 5000), ahead = look(MAIN, "", 700, 900, 1);
	struct transcript_look generation = look(MAIN, "", 500, 900, 2), inside = look(MAIN, "", 500, 900, 3);

	take(bench, &first);
	generation.before.context_from = 400;
	inside.before.inside = true;
	found(&ahead, used("m9", "r9", "", 1, 1));
	found(&generation, used("m9", "r9", "", 1, 1));
	found(&inside, used("m9", "r9", "", 1, 1));
	take(bench, &ahead);
	take(bench, &generation);
	take(bench, &inside);
	assert_int_equal(metric(bench, "context_tokens"), 5000);
	assert_int_equal(metric(bench, "spent_tokens"), -1);
	assert_int_equal(position(bench, MAIN), 500);
}

/* Written anew and so shorter: it is read from its beginning, into the same rows. */
static void
what_is_read_anew_is_counted_into_the_same_rows(void **state)
{
	struct bench *bench = *state;
	struct transcript_look first = look(MAIN, "", 0, 500, -1), again = look(MAIN, "", 500, 300, -1);

	found(&first, used("m1", "r1", "", 100, 1));
	found(&first, used("m2", "r2", "", 100, 1));
	take(bench, &first);
	found(&again, used("m1", "r1", "", 100, 1));
	take(bench, &again);
	assert_int_equal(metric(bench, "spent_tokens"), 422);
	assert_int_equal(position(bench, MAIN), 300);
}

static void
sub_agents_are_counted_apart(void **state)
{
	struct bench *bench = *state;
	struct transcript_look of_session = look(MAIN, "", 0, 500, 9000), of_agent = look(SIDE, "worker", 0, 100, -1);

	found(&of_session, used("m1", "r1", "", 1000, 1));
	found(&of_session, used("m2", "r2", "worker", 2000, 1));
	take(bench, &of_session);
	found(&of_agent, used("m3", "r3", "worker", 4000, 1));
	take(bench, &of_agent);
	assert_int_equal(metric(bench, "spent_tokens"), 1111);
	assert_int_equal(metric(bench, "subagent_tokens"), 2111 + 4111);
	assert_int_equal(metric(bench, "context_tokens"), 9000);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM spend WHERE agent = $1", DB_TEXT("worker")), 2);
}

static void
context_is_what_it_is_now_and_spend_is_all_there_was(void **state)
{
	struct bench *bench = *state;

	for (int i = 1; i <= 4; i++) {
		struct transcript_look seen = look(MAIN, "", (i - 1) * 100, i * 100, 50000 / i);
		char id[16];

		snprintf(id, sizeof id, "m%d", i);
		found(&seen, used(id, id, "", 1000, 0));
		take(bench, &seen);
		assert_int_equal(metric(bench, "context_tokens"), 50000 / i);
		assert_int_equal(metric(bench, "spent_tokens"), i * 1110);
	}
}

static void
a_look_that_saw_no_context_leaves_it_as_it_was(void **state)
{
	struct bench *bench = *state;
	struct transcript_look first = look(MAIN, "", 0, 100, 5000), second = look(MAIN, "", 100, 200, -1);

	take(bench, &first);
	take(bench, &second);
	assert_int_equal(metric(bench, "context_tokens"), 5000);
	assert_int_equal(position(bench, MAIN), 200);
}

/* A session whose conversation "c" reads on where spend_position says. */
static void
begin(struct bench *bench, char id[ID_SIZE])
{
	struct session_start start = {.client = "claude",
	                              .client_session = "c",
	                              .client_version = "",
	                              .parent = "",
	                              .cwd = "",
	                              .worktree = "",
	                              .branch = ""};
	struct arrived arrived;

	assert_int_equal(binding_arrive(&bench->txn, &start, ARRIVAL_STARTUP, &arrived, NULL), OK);
	session_list_release(&arrived.others);
	snprintf(id, ID_SIZE, "%s", arrived.session.id);
}

static void
reading_goes_on_where_it_left_off(void **state)
{
	struct bench *bench = *state;
	struct transcript at, lagging;
	struct transcript_look seen = look(MAIN, "", 0, 500, 1), behind = look(SIDE, "worker", 0, 40, -1);
	char id[ID_SIZE];

	begin(bench, id);
	assert_int_equal(spend_position(&bench->txn, "claude", "c", MAIN, &at, &lagging, NULL), OK);
	assert_string_equal(at.path, MAIN);
	assert_int_equal(at.position, 0);
	assert_string_equal(lagging.path, "");
	seen.after.inside = true;
	seen.after.broken = 3;
	behind.after.size = 90;
	take_for(bench, id, &seen);
	take_for(bench, id, &behind);
	assert_int_equal(spend_position(&bench->txn, "claude", "c", MAIN, &at, &lagging, NULL), OK);
	assert_int_equal(at.position, 500);
	assert_true(at.inside);
	assert_int_equal(at.broken, 3);
	assert_string_equal(lagging.path, SIDE);
	assert_string_equal(lagging.agent, "worker");
	assert_int_equal(lagging.position, 40);
	assert_int_equal(lagging.size, 90);
	assert_int_equal(spend_position(&bench->txn, "codex", "c", MAIN, &at, &lagging, NULL), OK);
	assert_int_equal(at.position, 0);
}

static void
records_before_a_new_generation_are_of_an_earlier_context(void **state)
{
	struct bench *bench = *state;
	struct transcript at, lagging;
	struct transcript_look seen = look(MAIN, "", 0, 500, 1), stale = look(MAIN, "", 500, 600, 90000);
	char id[ID_SIZE];

	begin(bench, id);
	take_for(bench, id, &seen);
	spend_open_generation(&bench->txn, id, MAIN, 550);
	assert_int_equal(spend_position(&bench->txn, "claude", "c", MAIN, &at, &lagging, NULL), OK);
	assert_int_equal(at.context_from, 550);
	assert_int_equal(at.position, 500);
	/* a look that began before the generation did would bring the old context back */
	take_for(bench, id, &stale);
	assert_int_equal(store_number(bench->db, "SELECT value FROM metric WHERE session = $1 AND name = 'context_tokens'",
	                              DB_TEXT(id)),
	                 1);
	spend_open_generation(&bench->txn, id, "", 1);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM transcript WHERE session = $1", DB_TEXT(id)), 1);
}

static void
a_list_of_usages_keeps_the_last_of_each_response(void **state)
{
	struct usage_list list = {0};
	char id[16];

	for (int i = 0; i < 300; i++) {
		struct usage usage;

		snprintf(id, sizeof id, "m%d", i % 100);
		usage = used(id, "r", "", i, 0);
		assert_int_equal(usage_list_put(&list, &usage), OK);
	}
	assert_int_equal(list.count, 100);
	for (size_t i = 0; i < list.count; i++)
		assert_int_equal(list.items[i].input, 200 + i);
	usage_list_release(&list);
	assert_int_equal(list.count, 0);
}

TESTS(BENCH_TEST(a_response_met_again_replaces_its_counts), BENCH_TEST(the_same_message_of_another_request_is_another_response),
      BENCH_TEST(a_second_look_at_the_same_stretch_changes_nothing), BENCH_TEST(a_look_that_began_elsewhere_changes_nothing),
      BENCH_TEST(what_is_read_anew_is_counted_into_the_same_rows), BENCH_TEST(sub_agents_are_counted_apart),
      BENCH_TEST(context_is_what_it_is_now_and_spend_is_all_there_was),
      BENCH_TEST(a_look_that_saw_no_context_leaves_it_as_it_was), BENCH_TEST(reading_goes_on_where_it_left_off),
      BENCH_TEST(records_before_a_new_generation_are_of_an_earlier_context),
      cmocka_unit_test(a_list_of_usages_keeps_the_last_of_each_response))
