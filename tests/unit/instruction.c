/*
 * Shared instructions: ids in sequence, versions by compare-and-set, one text said twice, contradictions, what a session is told.
 *
 * Rows: R53 R54 R57 R63 R65 R67 R68 R79
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/audit.h"
#include "core/instruction_report.h"

#define T BENCH_START_MS

/* What the last change answered. */
static struct instruction_outcome outcome;
static json_t *conflicts;

static struct instruction_draft
draft_of(const char *text, const char *parameters, int64_t priority)
{
	struct instruction_draft draft = INSTRUCTION_DRAFT;

	draft.text = text;
	draft.persistence = parameters == NULL ? NULL : "HIGH";
	draft.parameters = parameters;
	draft.priority = priority;
	return draft;
}

static void
begin_change(struct bench *bench, const char *actor)
{
	json_decref(conflicts);
	conflicts = json_array();
	instruction_list_release(&outcome.list);
	bench->txn.actor = actor;
}

static enum status
add_as(struct bench *bench, const char *actor, const char *text, const char *parameters, int64_t priority)
{
	struct instruction_draft draft = draft_of(text, parameters, priority);

	begin_change(bench, actor);
	return instruction_add(&bench->txn, actor, &draft, &outcome, conflicts, &bench->why);
}

static enum status
edit_as(struct bench *bench, const char *actor, const char *id, int64_t version, const char *text, const char *parameters)
{
	struct instruction_draft draft = draft_of(text, parameters, INSTRUCTION_SAME);

	begin_change(bench, actor);
	return instruction_edit(&bench->txn, actor, id, version, &draft, &outcome, conflicts, &bench->why);
}

static enum status
retire_as(struct bench *bench, const char *actor, const char *id, int64_t version)
{
	begin_change(bench, actor);
	return instruction_retire(&bench->txn, actor, id, version, &outcome, conflicts, &bench->why);
}

static void
assert_added(struct bench *bench, const char *text, const char *parameters, const char *id)
{
	assert_int_equal(add_as(bench, "a", text, parameters, INSTRUCTION_SAME), OK);
	assert_string_equal(outcome.id, id);
}

static int64_t
epoch(struct bench *bench)
{
	return store_number(bench->db, "SELECT epoch FROM project WHERE project = $1", DB_TEXT(BENCH_PROJECT));
}

static int64_t
open_conflicts(struct bench *bench)
{
	return store_number(bench->db, "SELECT count(*) FROM instruction_conflict WHERE project = $1 AND resolved_epoch = 0",
	                    DB_TEXT(BENCH_PROJECT));
}

static int
tear_down(void **state)
{
	instruction_list_release(&outcome.list);
	outcome = (struct instruction_outcome){0};
	json_decref(conflicts);
	conflicts = NULL;
	return bench_tear_down(state);
}

/* Rows: R54 */
static void
ids_go_on_in_sequence_and_none_is_given_twice(void **state)
{
	struct bench *bench = *state;
	char text[20], id[20];

	for (int i = 1; i <= 1001; i++) {
		snprintf(text, sizeof text, "rule %d", i);
		snprintf(id, sizeof id, "inst_%03d", i);
		assert_added(bench, text, NULL, id);
	}
	assert_int_equal(retire_as(bench, "a", "inst_1001", 0), OK);
	assert_added(bench, "rule 1001", NULL, "inst_1002");
}

static enum status
import(struct bench *bench, const char *const *ids, size_t count)
{
	struct instruction_book book;
	enum status status = instruction_open(&book, &bench->txn, "", NULL, &bench->why);

	for (size_t i = 0; i < count && status == OK; i++) {
		struct instruction_draft draft = draft_of(ids[i], "{\"port\":1}", INSTRUCTION_SAME);

		draft.fields = "{\"id\":\"x\",\"quadrant\":\"SYSTEM\",\"new_field\":[1,{\"a\":null}]}";
		if (i % 2 == 1)
			draft.parameters = "{\"port\":\"2\"}";
		status = instruction_put(&book, NULL, ids[i], "import", &draft, NULL, &bench->why);
	}
	if (status == OK)
		status = instruction_close(&book, conflicts, &bench->why);
	instruction_list_release(&book.read);
	return status;
}

/* Rows: R54 */
static void
numbers_go_on_after_the_highest_that_was_imported(void **state)
{
	static const char *const ids[] = {"inst_7", "inst_0019", "rule-of-another-kind", "inst_", "inst_12x"};
	struct bench *bench = *state;
	struct instruction_list one;
	json_t *shown = json_object();

	begin_change(bench, "a");
	assert_int_equal(import(bench, ids, 5), OK);
	assert_int_equal(epoch(bench), 5);
	assert_added(bench, "mine", NULL, "inst_020");
	assert_int_equal(instruction_load(&bench->txn, "inst_0019", &one, &bench->why), OK);
	assert_string_equal(one.items[0].fields, "{\"id\":\"x\",\"quadrant\":\"SYSTEM\",\"new_field\":[1,{\"a\":null}]}");
	instruction_list_release(&one);
	assert_int_equal(instruction_show(&bench->txn, "inst_0019", shown, &bench->why), OK);
	assert_string_equal(json_text(shown, "id", ""), "inst_0019");
	assert_string_equal(json_text(shown, "quadrant", ""), "SYSTEM");
	assert_int_equal(json_array_size(json_object_get(shown, "new_field")), 2);
	json_decref(shown);
}

/* What one change of an import does and the next undoes was never there.  Rows: R65 */
static void
an_imports_contradictions_are_those_at_its_end(void **state)
{
	static const char *const ids[] = {"a", "b"};
	struct instruction_draft one = draft_of(NULL, "{\"port\":2}", INSTRUCTION_SAME), other = one;
	struct instruction_book book;
	struct bench *bench = *state;

	begin_change(bench, "a");
	assert_int_equal(import(bench, ids, 2), OK);
	assert_int_equal(json_array_size(conflicts), 1);
	assert_int_equal(open_conflicts(bench), 1);
	assert_int_equal(instruction_open(&book, &bench->txn, "", NULL, &bench->why), OK);
	one.parameters = "{\"port\":3}";
	other.parameters = "{\"port\":3.0}";
	assert_int_equal(instruction_put(&book, &book.read.items[0], "a", "import", &one, NULL, &bench->why), OK);
	assert_int_equal(instruction_put(&book, &book.read.items[1], "b", "import", &other, NULL, &bench->why), OK);
	assert_int_equal(instruction_close(&book, NULL, &bench->why), OK);
	instruction_list_release(&book.read);
	assert_int_equal(open_conflicts(bench), 0);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM instruction_conflict WHERE project = $1",
	                              DB_TEXT(BENCH_PROJECT)),
	                 1);
}

/* Rows: R57 */
static void
the_same_text_is_one_instruction_with_two_authors(void **state)
{
	struct bench *bench = *state;
	json_t *shown = json_object(), *history = json_array();
	struct instruction_query query = {.actor = "b", .limit = 10};

	assert_added(bench, "one rule", NULL, "inst_001");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(add_as(bench, "b", "one rule", NULL, INSTRUCTION_SAME), OK);
		assert_true(outcome.again);
		assert_string_equal(outcome.id, "inst_001");
	}
	assert_int_equal(epoch(bench), 1);
	assert_int_equal(instruction_show(&bench->txn, "inst_001", shown, &bench->why), OK);
	assert_string_equal(json_text(shown, "author", ""), "a");
	assert_int_equal(json_array_size(json_object_get(shown, "also_by")), 1);
	assert_int_equal(instruction_history(&bench->txn, &query, history, &bench->why), OK);
	assert_int_equal(json_array_size(history), 1);
	assert_string_equal(json_text(json_array_get(history, 0), "action", ""), "author");
	/* who says it with another weight must not believe that it was taken so */
	assert_int_equal(add_as(bench, "b", "one rule", NULL, 90), CONFLICT);
	assert_int_equal(add_as(bench, "b", "one rule", "{\"a\":1}", INSTRUCTION_SAME), CONFLICT);
	/* one letter more is another; and so is one that no longer holds */
	assert_added(bench, "one rule.", NULL, "inst_002");
	assert_int_equal(retire_as(bench, "a", "inst_001", 0), OK);
	assert_added(bench, "one rule", NULL, "inst_003");
	json_decref(shown);
	json_decref(history);
}

/* Rows: R63 */
static void
a_stale_editor_is_refused_and_given_what_stands(void **state)
{
	struct bench *bench = *state;

	assert_added(bench, "first", NULL, "inst_001");
	assert_int_equal(edit_as(bench, "b", "inst_001", 1, "second", NULL), OK);
	assert_int_equal(outcome.version, 2);
	assert_int_equal(edit_as(bench, "c", "inst_001", 1, "third", NULL), CONFLICT);
	assert_int_equal(outcome.list.count, 1);
	assert_string_equal(outcome.list.items[0].text, "second");
	assert_string_equal(outcome.list.items[0].actor, "b");
	assert_int_equal(outcome.list.items[0].version, 2);
	assert_int_equal(edit_as(bench, "c", "inst_001", 9, "third", NULL), CONFLICT);
	assert_int_equal(retire_as(bench, "c", "inst_001", 1), CONFLICT);
	assert_int_equal(epoch(bench), 2);
	assert_int_equal(edit_as(bench, "c", "inst_404", 1, "third", NULL), NO_SUCH);
	assert_int_equal(retire_as(bench, "c", "inst_001", 2), OK);
	assert_int_equal(edit_as(bench, "c", "inst_001", 3, "third", NULL), CONFLICT);
	assert_non_null(strstr(bench->why.data, "was retired by c"));
	assert_int_equal(retire_as(bench, "c", "inst_001", 0), CONFLICT);
}

static void
an_edit_makes_no_second_of_one_text_and_keeps_what_it_does_not_say(void **state)
{
	struct bench *bench = *state;
	struct instruction_list before;

	assert_added(bench, "first", "{\"port\":\"1\"}", "inst_001");
	assert_added(bench, "other", NULL, "inst_002");
	assert_int_equal(edit_as(bench, "b", "inst_002", 1, "first", NULL), CONFLICT);
	assert_int_equal(edit_as(bench, "b", "inst_001", 1, "second", NULL), OK);
	assert_int_equal(instruction_load(&bench->txn, "inst_001", &before, &bench->why), OK);
	assert_string_equal(before.items[0].parameters, "{\"port\":\"1\"}");
	assert_string_equal(before.items[0].persistence, "HIGH");
	instruction_list_release(&before);
	/* nor need it say another text */
	assert_int_equal(edit_as(bench, "b", "inst_001", 2, NULL, "{\"port\":\"2\"}"), OK);
	assert_int_equal(outcome.version, 3);
	assert_int_equal(instruction_at(&bench->txn, "inst_001", 1, &before, &bench->why), OK);
	assert_string_equal(before.items[0].text, "first");
	assert_string_equal(before.items[0].actor, "a");
	instruction_list_release(&before);
	assert_int_equal(instruction_at(&bench->txn, "inst_001", 4, &before, &bench->why), NO_SUCH);
}

/* Rows: R57 */
static void
the_history_tells_every_version_by_author_and_time(void **state)
{
	struct bench *bench = *state;
	struct instruction_query all = {.limit = 100}, by_b = {.session = "b", .limit = 100},
							 late = {.since_ms = T + 20, .limit = 100}, newest = {.id = "inst_001", .limit = 1};
	json_t *rows = json_array();

	assert_added(bench, "first", NULL, "inst_001");
	bench_at(bench, T + 10);
	assert_int_equal(edit_as(bench, "b", "inst_001", 1, "second", NULL), OK);
	bench_at(bench, T + 20);
	assert_added(bench, "other", NULL, "inst_002");
	assert_int_equal(retire_as(bench, "b", "inst_001", 0), OK);
	assert_int_equal(instruction_history(&bench->txn, &all, rows, &bench->why), OK);
	assert_int_equal(json_array_size(rows), 4);
	assert_string_equal(json_text(json_array_get(rows, 1), "text", ""), "second");
	assert_int_equal(json_whole(json_array_get(rows, 1), "at_ms", 0), T + 10);
	assert_string_equal(json_text(json_array_get(rows, 3), "action", ""), "retire");
	json_array_clear(rows);
	assert_int_equal(instruction_history(&bench->txn, &by_b, rows, &bench->why), OK);
	assert_int_equal(json_array_size(rows), 2);
	json_array_clear(rows);
	assert_int_equal(instruction_history(&bench->txn, &late, rows, &bench->why), OK);
	assert_int_equal(json_array_size(rows), 2);
	json_array_clear(rows);
	assert_int_equal(instruction_history(&bench->txn, &newest, rows, &bench->why), OK);
	assert_int_equal(json_array_size(rows), 1);
	assert_int_equal(json_whole(json_array_get(rows, 0), "version", 0), 3);
	json_decref(rows);
}

/* Rows: R65 */
static void
a_contradiction_is_decided_by_priority_and_then_by_age(void **state)
{
	struct bench *bench = *state;
	json_t *found;

	assert_added(bench, "port 1", "{\"port\":\"1\",\"list\":[1],\"on\":true}", "inst_001");
	assert_int_equal(json_array_size(conflicts), 0);
	assert_added(bench, "port one", "{\"port\":1,\"list\":[2]}", "inst_002");
	assert_int_equal(json_array_size(conflicts), 0);
	assert_int_equal(add_as(bench, "b", "port 2", "{\"port\":\"2\"}", INSTRUCTION_SAME), OK);
	assert_int_equal(json_array_size(conflicts), 1);
	found = json_array_get(conflicts, 0);
	assert_string_equal(json_text(found, "chosen", ""), "inst_001");
	assert_string_equal(json_text(found, "other", ""), "inst_003");
	assert_string_equal(json_text(found, "decided_by", ""), "age");
	assert_string_equal(json_text(found, "found_by", ""), "b");
	/* who is above all others contradicts each that says otherwise */
	assert_int_equal(add_as(bench, "b", "port 3", "{\"port\":\"3\"}", 60), OK);
	assert_int_equal(open_conflicts(bench), 3);
	assert_int_equal(store_number(bench->db,
	                              "SELECT count(*) FROM instruction_conflict WHERE chosen = $1 AND decided_by = 'priority'"
	                              " AND resolved_epoch = 0",
	                              DB_TEXT("inst_004")),
	                 3);
	/* the first one's is over: recorded */
	assert_int_equal(store_number(bench->db, "SELECT resolved_epoch FROM instruction_conflict WHERE chosen = $1",
	                              DB_TEXT("inst_001")),
	                 4);
}

/* Rows: R65 */
static void
retiring_or_editing_one_resolves_it(void **state)
{
	struct bench *bench = *state;
	json_t *all = json_array();

	assert_added(bench, "port 1", "{\"port\":\"1\"}", "inst_001");
	assert_added(bench, "port 2", "{\"port\":\"2\"}", "inst_002");
	assert_int_equal(edit_as(bench, "b", "inst_002", 1, "port 1 too", "{\"port\":\"1\"}"), OK);
	assert_int_equal(json_array_size(conflicts), 1);
	assert_string_equal(json_text(json_array_get(conflicts, 0), "resolved_by", ""), "b");
	assert_int_equal(open_conflicts(bench), 0);
	assert_int_equal(edit_as(bench, "b", "inst_002", 2, "port 3", "{\"port\":\"3\"}"), OK);
	assert_int_equal(open_conflicts(bench), 1);
	assert_int_equal(retire_as(bench, "c", "inst_001", 0), OK);
	assert_int_equal(open_conflicts(bench), 0);
	assert_int_equal(instruction_conflicts(&bench->txn, true, 10, all, &bench->why), OK);
	assert_int_equal(json_array_size(all), 2);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("instruction.conflict")), 2);
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("instruction.resolved")), 2);
	json_decref(all);
}

/* Rows: R65 */
static void
only_high_ones_contradict_in_whatever_case(void **state)
{
	struct instruction_draft low = draft_of("port 2", "{\"port\":\"2\"}", INSTRUCTION_SAME);
	struct bench *bench = *state;

	assert_added(bench, "port 1", "{\"port\":\"1\"}", "inst_001");
	low.persistence = "MEDIUM";
	begin_change(bench, "a");
	assert_int_equal(instruction_add(&bench->txn, "a", &low, &outcome, conflicts, &bench->why), OK);
	assert_int_equal(open_conflicts(bench), 0);
	low.persistence = "High";
	low.text = "port 2 now";
	begin_change(bench, "a");
	assert_int_equal(instruction_edit(&bench->txn, "a", "inst_002", 1, &low, &outcome, conflicts, &bench->why), OK);
	assert_int_equal(open_conflicts(bench), 1);
}

/* Rows: R67 */
static void
every_change_makes_the_epoch_one_more_and_audit_rows_carry_it(void **state)
{
	struct bench *bench = *state;
	int64_t expected[] = {0, 1, 1, 2, 3, 3};
	json_t *rows = json_array();
	struct audit_query query = {.limit = 100};

	audit_add(&bench->txn, "", "test", "before", "", "");
	assert_added(bench, "first", NULL, "inst_001");
	audit_add(&bench->txn, "", "test", "under the first", "", "");
	assert_int_equal(edit_as(bench, "b", "inst_001", 1, "second", NULL), OK);
	assert_int_equal(retire_as(bench, "b", "inst_001", 0), OK);
	audit_add(&bench->txn, "", "test", "after all", "", "");
	assert_int_equal(epoch(bench), 3);
	assert_int_equal(audit_list(&bench->txn, &query, rows, &bench->why), OK);
	assert_int_equal(json_array_size(rows), 6);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(json_whole(json_array_get(rows, i), "epoch", -1), expected[i]);
	json_decref(rows);
}

static struct session
session_told(int64_t told, const char *id)
{
	struct session session = {.told_epoch = told};

	snprintf(session.id, sizeof session.id, "%s", id);
	return session;
}

static void
assert_told(struct bench *bench, struct session *session, bool anew, const char *expected)
{
	struct rulebook standing = {.epoch = epoch(bench)};
	struct instruction_news news;
	char text[400] = "";
	size_t len = 0;

	standing.active = store_number(bench->db, "SELECT instructions FROM project WHERE project = $1", DB_TEXT(BENCH_PROJECT));
	standing.conflicts = store_number(bench->db, "SELECT instruction_conflicts FROM project WHERE project = $1",
	                                  DB_TEXT(BENCH_PROJECT));
	assert_int_equal(standing.active, store_number(bench->db,
	                                               "SELECT count(*) FROM instruction WHERE project = $1 AND current = 1"
	                                               " AND active = 1",
	                                               DB_TEXT(BENCH_PROJECT)));
	assert_int_equal(standing.conflicts, open_conflicts(bench));
	assert_int_equal(instruction_tell(&bench->txn, session, &standing, anew, &news, &bench->why), OK);
	for (size_t i = 0; i < news.list.count; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%s%s", i == 0 ? "" : " ", news.list.items[i].id,
		                        news.list.items[i].active ? "" : "-");
	if (news.more > 0)
		len += (size_t)snprintf(text + len, sizeof text - len, " +%d", (int)news.more);
	if (news.conflicts > 0)
		snprintf(text + len, sizeof text - len, " !%s", news.conflict.other);
	assert_string_equal(text, expected);
	assert_int_equal(session->told_epoch, epoch(bench));
	instruction_news_release(&news);
}

/* Rows: R68 */
static void
a_change_is_told_once_and_not_to_who_made_it(void **state)
{
	struct bench *bench = *state;
	struct session fresh = session_told(-1, "z"), mine = session_told(0, "a"), other = session_told(0, "b");

	assert_added(bench, "first", NULL, "inst_001");
	assert_told(bench, &mine, false, "");
	assert_told(bench, &other, false, "inst_001");
	assert_told(bench, &other, false, "");
	assert_int_equal(edit_as(bench, "b", "inst_001", 1, "second", NULL), OK);
	assert_added(bench, "other", NULL, "inst_002");
	assert_int_equal(retire_as(bench, "c", "inst_002", 0), OK);
	assert_told(bench, &other, false, "inst_002-");
	assert_told(bench, &mine, false, "inst_001 inst_002-");
	/* one that never was told anything, and one whose context is new, get all that stand */
	assert_told(bench, &fresh, false, "inst_001");
	assert_told(bench, &other, true, "inst_001");
}

/* Rows: R65 R68 */
static void
what_counts_most_is_told_first_and_how_many_more_there_are(void **state)
{
	struct bench *bench = *state;
	struct session one = session_told(-1, "z"), maker = session_told(0, "a");

	bench_config(bench, "[stile]\ninstructions_told = 3\n");
	assert_int_equal(add_as(bench, "a", "plain", NULL, INSTRUCTION_SAME), OK);
	assert_int_equal(add_as(bench, "a", "weighty", NULL, 70), OK);
	assert_int_equal(add_as(bench, "a", "high", "{\"port\":1}", INSTRUCTION_SAME), OK);
	assert_int_equal(add_as(bench, "a", "high too", "{\"port\":2}", INSTRUCTION_SAME), OK);
	assert_told(bench, &one, false, "inst_002 inst_003 inst_004 +1 !inst_004");
	assert_told(bench, &maker, false, "");
	/* a contradiction that somebody else's change brought is told with it, once */
	assert_int_equal(add_as(bench, "b", "high three", "{\"port\":3}", INSTRUCTION_SAME), OK);
	assert_told(bench, &one, false, "inst_005 !inst_005");
	assert_told(bench, &one, false, "");
}

/* Rows: R79 */
static void
checks_are_totals_over_all_sessions_and_labelled_so(void **state)
{
	struct bench *bench = *state;
	json_t *out = json_object(), *total;

	assert_added(bench, "first", NULL, "inst_001");
	for (int i = 0; i < 5; i++) {
		json_object_clear(out);
		assert_int_equal(instruction_checked(&bench->txn, i % 2 == 0 ? "a" : "b", "inst_001", i == 3, out, &bench->why), OK);
	}
	total = json_object_get(out, "effectiveness");
	assert_string_equal(json_text(total, "aggregate", ""), "sum");
	assert_int_equal(json_whole(total, "checked", 0), 5);
	assert_int_equal(json_whole(total, "violated", 0), 1);
	assert_int_equal(instruction_checked(&bench->txn, "a", "inst_002", false, out, &bench->why), NO_SUCH);
	assert_int_equal(epoch(bench), 1);
	json_decref(out);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, bench_set_up, tear_down)

TESTS(TEST(ids_go_on_in_sequence_and_none_is_given_twice), TEST(numbers_go_on_after_the_highest_that_was_imported),
      TEST(an_imports_contradictions_are_those_at_its_end), TEST(the_same_text_is_one_instruction_with_two_authors),
      TEST(a_stale_editor_is_refused_and_given_what_stands),
      TEST(an_edit_makes_no_second_of_one_text_and_keeps_what_it_does_not_say),
      TEST(the_history_tells_every_version_by_author_and_time), TEST(a_contradiction_is_decided_by_priority_and_then_by_age),
      TEST(retiring_or_editing_one_resolves_it), TEST(only_high_ones_contradict_in_whatever_case),
      TEST(every_change_makes_the_epoch_one_more_and_audit_rows_carry_it), TEST(a_change_is_told_once_and_not_to_who_made_it),
      TEST(what_counts_most_is_told_first_and_how_many_more_there_are),
      TEST(checks_are_totals_over_all_sessions_and_labelled_so))
