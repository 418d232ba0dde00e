/* R127: what an edit is taken in for is looked at again before it counts: a store that says something else is rolled back. */
#include "legacy/tractatus_take.h"

#include "lib/store.h"
#include "lib/test.h"

#define FILE_TEXT \
	"{\"version\":\"1\",\"instructions\":[{\"id\":\"inst_001\",\"text\":\"one\",\"odd\":{\"a\":[1.5,null]}}," \
	"{\"id\":\"inst_007\",\"text\":\"two\",\"active\":false,\"priority\":70}]}"

static enum status
take(struct bench *bench, const char *text, struct tractatus_take *take)
{
	struct tractatus_place place = {.folder = "/p/.claude", .root = "/p"};
	struct history theirs = {0};
	char *copy = strdup(text);
	enum status status;

	assert_int_equal(history_parse(copy, strlen(copy), &theirs, &bench->why), OK);
	assert_int_equal(tractatus_place_load(&bench->txn, &place, &bench->why), OK);
	assert_int_equal(tractatus_place_save(&bench->txn, &place, &bench->why), OK);
	*take = (struct tractatus_take){.place = &place, .theirs = &theirs, .text = text, .actor = "file", .import = ""};
	status = tractatus_take(&bench->txn, take, &bench->why);
	tractatus_take_release(take);
	tractatus_place_release(&place);
	history_release(&theirs);
	free(copy);
	return status;
}

static void
what_was_taken_in_stands_in_the_store(void **state)
{
	struct bench *bench = *state;
	struct tractatus_take done;
	struct instruction_list list;
	json_t *entries, *wanted = json_loads(FILE_TEXT, 0, NULL);

	assert_int_equal(take(bench, FILE_TEXT, &done), OK);
	assert_int_equal(done.added, 2);
	assert_int_equal(instruction_list(&bench->txn, true, &list, &bench->why), OK);
	entries = history_entries(&list);
	assert_true(json_equal(entries, json_object_get(wanted, "instructions")));
	assert_int_equal(store_number(bench->db, "SELECT count(*) FROM instruction WHERE actor = $1", DB_TEXT("file")), 2);
	instruction_list_release(&list);
	json_decref(entries);
	json_decref(wanted);
}

static void
a_store_that_says_something_else_afterwards_is_found_out(void **state)
{
	struct bench *bench = *state;
	struct tractatus_take done;

	/* a store that loses what it is given: the row is there, and its text is another */
	bench->db->ops->run(bench->db,
	                    "CREATE TRIGGER spoil AFTER INSERT ON instruction WHEN NEW.instruction = 'inst_007' BEGIN"
	                    " UPDATE instruction SET text = 'spoilt' WHERE instruction = 'inst_007'; END",
	                    NULL, 0);
	assert_int_equal(take(bench, FILE_TEXT, &done), CONFLICT);
	assert_non_null(strstr(bench->why.data, "inst_007"));
}

static void
a_store_that_lost_one_is_found_out(void **state)
{
	struct bench *bench = *state;
	struct tractatus_take done;

	bench->db->ops->run(bench->db,
	                    "CREATE TRIGGER lose AFTER INSERT ON instruction BEGIN"
	                    " DELETE FROM instruction WHERE instruction = 'inst_001'; END",
	                    NULL, 0);
	assert_int_equal(take(bench, FILE_TEXT, &done), CONFLICT);
	assert_non_null(strstr(bench->why.data, "1 instructions afterwards, and 2 are right"));
}

static void
many_edits_do_not_push_out_what_they_began_from(void **state)
{
	struct bench *bench = *state;
	struct tractatus_place place = {.folder = "/p/.claude", .root = "/p"};

	assert_int_equal(tractatus_place_save(&bench->txn, &place, &bench->why), OK);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(tractatus_place_load(&bench->txn, &place, &bench->why), OK);
		tractatus_base_add(&bench->txn, &place, i, i == 0, "", "[]");
	}
	assert_int_equal(tractatus_place_load(&bench->txn, &place, &bench->why), OK);
	assert_int_equal(place.base_count, TRACTATUS_BASES + 1);
	assert_true(place.bases[TRACTATUS_BASES].ours);
	tractatus_place_release(&place);
}

TESTS(BENCH_TEST(what_was_taken_in_stands_in_the_store), BENCH_TEST(a_store_that_says_something_else_afterwards_is_found_out),
      BENCH_TEST(a_store_that_lost_one_is_found_out), BENCH_TEST(many_edits_do_not_push_out_what_they_began_from))
