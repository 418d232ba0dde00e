/*
 * What is old goes, with all that is its own, a bounded part at a time; what stands never does.  The store's clock is moved.
 *
 * Rows: R91
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/audit.h"
#include "core/binding.h"
#include "core/checkpoint.h"
#include "core/instruction.h"
#include "core/metric.h"
#include "core/retention.h"
#include "core/spend.h"

#include <time.h>

#define T BENCH_START_MS
#define DAY INT64_C(86400000)

static struct session
arrive(struct bench *bench, const char *client_session)
{
	struct session_start start = {.client = "claude",
	                              .client_session = client_session,
	                              .client_version = "",
	                              .parent = "",
	                              .cwd = "",
	                              .worktree = "",
	                              .branch = ""};
	struct arrived arrived;

	assert_int_equal(binding_arrive(&bench->txn, &start, ARRIVAL_EVENT, &arrived, &bench->why), OK);
	session_list_release(&arrived.others);
	return arrived.session;
}

/* A session with something in every table. */
static struct session
lived(struct bench *bench, const char *client_session, const char *memory)
{
	struct session session = arrive(bench, client_session);
	struct binding_ask ask = {.session = session.id, .slot = "memory", .value = memory};
	struct transcript_look look = {.after = {.position = 9, .size = 9}, .context = 60000};
	struct usage usage = {.message = "m", .request = "r", .input = 10};
	struct checkpoint_list fired, told;
	struct binding bound;

	assert_int_equal(binding_set(&bench->txn, &ask, &bound, &bench->why), OK);
	metric_add(&bench->txn, session.id, "errors", 1);
	snprintf(look.before.path, sizeof look.before.path, "/t");
	snprintf(look.after.path, sizeof look.after.path, "/t");
	assert_int_equal(usage_list_put(&look.usages, &usage), OK);
	spend_take(&bench->txn, session.id, &look, "");
	usage_list_release(&look.usages);
	assert_int_equal(checkpoint_report(&bench->txn, &session, true, &fired, &told, &bench->why), OK);
	assert_int_equal(fired.count, 1);
	return session;
}

/* What Tractatus' files left of it: in two places what its views said, and that an import made it. */
static void
mirrored(struct bench *bench, const struct session *session)
{
	static const char *const places[] = {"p1", "p2"};
	char view[ID_SIZE + 8], history[ID_SIZE + 8];

	snprintf(view, sizeof view, "view/%s", session->id);
	snprintf(history, sizeof history, "history/%s", session->id);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		db_run(bench->db,
		       "INSERT INTO tractatus_place (project, folder, place, continuous) VALUES ($1, $2, $2, 1) ON CONFLICT (project,"
		       " folder) DO NOTHING",
		       DB_TEXT(BENCH_PROJECT), DB_TEXT(places[i]));
		db_run(bench->db, "INSERT INTO tractatus_seen (project, place, name, number, text) VALUES ($1, $2, $3, 0, '{}')",
		       DB_TEXT(BENCH_PROJECT), DB_TEXT(places[i]), DB_TEXT(view));
		db_run(bench->db, "INSERT INTO tractatus_seen (project, place, name, number, text) VALUES ($1, $2, $3, 0, 'd')",
		       DB_TEXT(BENCH_PROJECT), DB_TEXT(places[i]), DB_TEXT(history));
	}
	db_run(bench->db,
	       "INSERT INTO tractatus_imported (project, import, kind, item, version, was) VALUES ($1, 'i', 'session', $2, 0, '')",
	       DB_TEXT(BENCH_PROJECT), DB_TEXT(session->id));
}

static int64_t
mirrored_rows(struct bench *bench, const struct session *session)
{
	return store_number(bench->db,
	                    "SELECT (SELECT count(*) FROM tractatus_seen WHERE name IN ('view/' || $1, 'history/' || $1))"
	                    " + (SELECT count(*) FROM tractatus_imported WHERE item = $1)",
	                    DB_TEXT(session->id));
}

static void
ends(struct bench *bench, struct session *session, enum session_event event)
{
	assert_true(session_move(&bench->txn, session, event, txn_now(&bench->txn), "over"));
	session_save(&bench->txn, session);
}

static struct retention
goes(struct bench *bench)
{
	struct retention removed;

	assert_int_equal(retention_apply(&bench->txn, &removed, &bench->why), OK);
	return removed;
}

static bool
is_due(struct bench *bench)
{
	bool due;

	assert_int_equal(retention_due(&bench->txn, &due, &bench->why), OK);
	return due;
}

static int64_t
rows_of(struct bench *bench, const struct session *session)
{
	return store_number(
		bench->db,
		"SELECT (SELECT count(*) FROM session WHERE session = $1) + (SELECT count(*) FROM binding WHERE session = $1)"
		" + (SELECT count(*) FROM binding_owner WHERE session = $1) + (SELECT count(*) FROM metric WHERE session = $1)"
		" + (SELECT count(*) FROM metric_recent WHERE session = $1)"
		" + (SELECT count(*) FROM transcript WHERE session = $1) + (SELECT count(*) FROM spend WHERE session = $1)"
		" + (SELECT count(*) FROM checkpoint WHERE session = $1)",
		DB_TEXT(session->id));
}

static void
a_session_that_ended_long_ago_goes_with_all_that_is_its_own(void **state)
{
	struct bench *bench = *state;
	struct session old = lived(bench, "c1", "m1"), live = lived(bench, "c2", "m2"), lost = lived(bench, "c3", "m3");
	int64_t of_live = rows_of(bench, &live);

	ends(bench, &old, SESSION_ENDS);
	bench_at(bench, T + 1);
	ends(bench, &lost, SESSION_VANISHES);
	bench_at(bench, T + 30 * DAY);
	assert_false(is_due(bench));
	assert_int_equal(goes(bench).sessions, 0);
	bench_at(bench, T + 30 * DAY + 1);
	assert_true(is_due(bench));
	assert_int_equal(goes(bench).sessions, 1);
	assert_int_equal(rows_of(bench, &old), 0);
	assert_int_equal(rows_of(bench, &live), of_live);
	assert_true(rows_of(bench, &lost) > 8);
	assert_false(is_due(bench));
	bench_at(bench, T + 30 * DAY + 2);
	assert_int_equal(goes(bench).sessions, 1);
	assert_int_equal(rows_of(bench, &lost), 0);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("session.removed")), 2);
}

/* What stands of the imports and of the places stays: what was taken in of the files must not be taken in again. */
static void
what_tractatus_files_left_of_it_goes_too(void **state)
{
	struct bench *bench = *state;
	struct session old = lived(bench, "c1", "m1"), live = lived(bench, "c2", "m2");

	mirrored(bench, &old);
	mirrored(bench, &live);
	db_run(bench->db, "INSERT INTO tractatus_seen (project, place, name, number, text) VALUES ($1, 'p1', 'session', 0, '{}')",
	       DB_TEXT(BENCH_PROJECT));
	db_run(bench->db,
	       "INSERT INTO tractatus_imported (project, import, kind, item, version, was) VALUES ($1, 'i', 'instruction', $2, 1, "
	       "'')",
	       DB_TEXT(BENCH_PROJECT), DB_TEXT(old.id));
	assert_int_equal(mirrored_rows(bench, &old), 6);
	ends(bench, &old, SESSION_ENDS);
	bench_at(bench, T + 31 * DAY);
	assert_int_equal(goes(bench).sessions, 1);
	assert_int_equal(mirrored_rows(bench, &old), 1);
	assert_int_equal(mirrored_rows(bench, &live), 5);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM tractatus_seen WHERE name = $1", DB_TEXT("session")), 1);
}

static void
arrive_and_end(struct bench *bench, int count)
{
	for (int i = 0; i < count; i++) {
		struct session one;
		char name[20];

		snprintf(name, sizeof name, "c%d", i);
		one = arrive(bench, name);
		ends(bench, &one, SESSION_ENDS);
	}
}

/* CPU seconds of a go that removes as many as one may. */
static double
cost_of_a_go(struct bench *bench, int64_t at_ms)
{
	clock_t began;

	bench_at(bench, at_ms);
	arrive_and_end(bench, RETENTION_SESSIONS);
	bench_at(bench, at_ms + 31 * DAY);
	began = clock();
	assert_int_equal(goes(bench).sessions, RETENTION_SESSIONS);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM session WHERE project = $1", DB_TEXT(BENCH_PROJECT)), 0);
	return (double)(clock() - began) / CLOCKS_PER_SEC;
}

/* What hangs on a session is found by its name: looking at all rows for each would take hundreds of times as long. */
static void
it_costs_no_more_when_much_was_imported(void **state)
{
	struct bench *bench = *state;
	double bare = cost_of_a_go(bench, T), full;

	db_run(bench->db,
	       "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000) INSERT INTO tractatus_imported"
	       " (project, import, kind, item, version, was) SELECT $1, 'i', 'instruction', 'inst_' || n, 1, '' FROM n",
	       DB_TEXT(BENCH_PROJECT));
	db_run(bench->db,
	       "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000) INSERT INTO tractatus_seen"
	       " (project, place, name, number, text) SELECT $1, 'p', 'view/' || n, 1, '' FROM n",
	       DB_TEXT(BENCH_PROJECT));
	full = cost_of_a_go(bench, T + 40 * DAY);
	assert_true(full < bare * 4 + 0.05);
}

static void
one_that_went_on_again_or_only_rests_stays_however_old(void **state)
{
	struct bench *bench = *state;
	struct session again = lived(bench, "c1", "m1"), idle = lived(bench, "c2", "m2");

	ends(bench, &again, SESSION_ENDS);
	ends(bench, &idle, SESSION_WORKS);
	ends(bench, &idle, SESSION_RESTS);
	bench_at(bench, T + DAY);
	ends(bench, &again, SESSION_STARTS);
	bench_at(bench, T + 400 * DAY);
	assert_int_equal(goes(bench).sessions, 0);
	assert_true(rows_of(bench, &again) > 8 && rows_of(bench, &idle) > 8);
}

/* An id whose session went is nobody's: whoever brings it again gets one session, as ever. */
static void
a_value_stays_one_sessions(void **state)
{
	struct bench *bench = *state;
	struct session old = lived(bench, "c1", "m1"), next, other = lived(bench, "c2", "m2");
	struct binding_ask ask = {.session = other.id, .slot = "memory", .value = "m2"};
	struct binding bound;

	ends(bench, &old, SESSION_ENDS);
	bench_at(bench, T + 31 * DAY);
	assert_int_equal(goes(bench).sessions, 1);
	next = arrive(bench, "c1");
	assert_string_not_equal(next.id, old.id);
	assert_string_equal(arrive(bench, "c1").id, next.id);
	ask = (struct binding_ask){.session = next.id, .slot = "memory", .value = "m2"};
	assert_int_equal(binding_set(&bench->txn, &ask, &bound, &bench->why), CONFLICT);
	ask.value = "m1";
	assert_int_equal(binding_set(&bench->txn, &ask, &bound, &bench->why), OK);
	ask = (struct binding_ask){.session = other.id, .slot = "memory", .value = "m1", .rebind = true};
	assert_int_equal(binding_set(&bench->txn, &ask, &bound, &bench->why), CONFLICT);
}

static void
the_trail_is_kept_for_its_time_and_its_newest_row_for_ever(void **state)
{
	struct bench *bench = *state;
	int64_t last;

	for (int i = 0; i < 10; i++)
		audit_add(&bench->txn, "", "test", "", "", "");
	bench_at(bench, T + 90 * DAY);
	audit_add(&bench->txn, "", "test", "", "", "");
	assert_int_equal(goes(bench).rows, 0);
	bench_at(bench, T + 90 * DAY + 1);
	assert_true(is_due(bench));
	assert_int_equal(goes(bench).rows, 10);
	assert_false(is_due(bench));
	last = store_number(bench->db, "SELECT max(seq) FROM audit WHERE kind = $1", DB_TEXT("test"));
	bench_at(bench, T + 300 * DAY);
	assert_int_equal(goes(bench).rows, 0);
	audit_add(&bench->txn, "", "test", "", "", "");
	assert_int_equal(store_number(bench->db, "SELECT max(seq) FROM audit WHERE kind = $1", DB_TEXT("test")), last + 1);
}

static void
a_go_is_bounded_and_the_next_does_the_rest(void **state)
{
	struct bench *bench = *state;
	struct retention removed;

	arrive_and_end(bench, RETENTION_SESSIONS + 7);
	for (int i = 0; i < RETENTION_ROWS; i++)
		audit_add(&bench->txn, "", "test", "", "", "");
	bench_at(bench, T + 100 * DAY);
	removed = goes(bench);
	assert_int_equal(removed.sessions, RETENTION_SESSIONS);
	assert_int_equal(removed.rows, RETENTION_ROWS);
	removed = goes(bench);
	assert_int_equal(removed.sessions, 7);
	assert_true(removed.rows > 0 && removed.rows < RETENTION_ROWS);
	assert_false(is_due(bench));
}

static void
instructions_and_their_history_stay(void **state)
{
	struct bench *bench = *state;
	struct session author = lived(bench, "c1", "m1");
	struct instruction_draft draft = INSTRUCTION_DRAFT;
	struct instruction_outcome outcome;

	draft.text = "a rule";
	assert_int_equal(instruction_add(&bench->txn, author.id, &draft, &outcome, NULL, &bench->why), OK);
	instruction_list_release(&outcome.list);
	assert_int_equal(instruction_retire(&bench->txn, author.id, "inst_001", 0, &outcome, NULL, &bench->why), OK);
	instruction_list_release(&outcome.list);
	ends(bench, &author, SESSION_ENDS);
	bench_at(bench, T + 1000 * DAY);
	assert_int_equal(goes(bench).sessions, 1);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM instruction WHERE session = $1", DB_TEXT(author.id)), 2);
}

static void
how_long_is_configured_and_never_less_than_an_hour(void **state)
{
	struct bench *bench = *state;
	struct session old = lived(bench, "c1", "m1");
	struct retention removed;

	ends(bench, &old, SESSION_ENDS);
	bench_config(bench, "[stile]\nkeep_sessions = 2h\nkeep_audit = 1h\n");
	bench_at(bench, T + 2 * 3600000 + 1);
	removed = goes(bench);
	assert_int_equal(removed.sessions, 1);
	assert_true(removed.rows > 0);
	bench_config(bench, "[stile]\nkeep_sessions = 59m\n");
	assert_int_equal(retention_apply(&bench->txn, &removed, &bench->why), BAD_CONFIG);
	bench_config(bench, "[stile]\nkeep_sessions = soon\n");
	assert_int_equal(retention_apply(&bench->txn, &removed, &bench->why), BAD_CONFIG);
}

TESTS(BENCH_TEST(a_session_that_ended_long_ago_goes_with_all_that_is_its_own),
      BENCH_TEST(what_tractatus_files_left_of_it_goes_too), BENCH_TEST(it_costs_no_more_when_much_was_imported),
      BENCH_TEST(one_that_went_on_again_or_only_rests_stays_however_old), BENCH_TEST(a_value_stays_one_sessions),
      BENCH_TEST(the_trail_is_kept_for_its_time_and_its_newest_row_for_ever),
      BENCH_TEST(a_go_is_bounded_and_the_next_does_the_rest), BENCH_TEST(instructions_and_their_history_stay),
      BENCH_TEST(how_long_is_configured_and_never_less_than_an_hour))
