/* R64: the table of cases of the three-way merge, as git has it for files: one side's change is taken, two are a conflict. */
#include "legacy/tractatus_merge.h"

#include "lib/test.h"

#include "base/str.h"

#define A "{\"id\":\"x\",\"text\":\"a\"}"
#define B "{\"id\":\"x\",\"text\":\"b\"}"
#define C "{\"id\":\"x\",\"text\":\"c\"}"
#define B_TOO "{\"id\":\"x\",\"text\":\"b\",\"notes\":\"n\"}"
#define RETIRED "{\"id\":\"x\",\"text\":\"a\",\"active\":false}"
#define NAMELESS "{\"text\":\"n\"}"

/* Each entry is the only one of its document; NULL = the document has none.  `said`: what is to be done, "" = nothing. */
static const struct {
	const char *base, *ours, *theirs, *said;
} cases[] = {
	{A, A, A, ""},
	{A, B, A, ""},
	{A, A, B, "edit x"},
	{A, B, B, ""},
	{A, B, C, "conflict x"},
	{A, A, NULL, "retire x"},
	{A, RETIRED, NULL, ""},
	{A, RETIRED, A, ""},
	{A, RETIRED, B, "conflict x"},
	{A, B, NULL, "conflict x"},
	{A, NULL, A, "add x"},
	{A, NULL, NULL, ""},
	{NULL, NULL, B, "add x"},
	{NULL, A, NULL, ""},
	{NULL, B, B, ""},
	{NULL, B, C, "add  was x"},
	{NULL, B, B_TOO, "conflict x"},
	{NULL, NULL, NAMELESS, "add "},
	{NAMELESS, NULL, NAMELESS, ""},
	{A, A, "{\"text\":\"a\",\"id\":\"x\"}", ""}, /* the order of members says nothing */
};

static json_t *
document(const char *entry)
{
	json_t *entries = json_array();

	if (entry != NULL)
		json_array_append_new(entries, json_loads(entry, 0, NULL));
	return entries;
}

static void
say(const struct merge *merge, char *out, size_t size)
{
	*out = '\0';
	for (size_t i = 0; i < merge->count; i++) {
		const struct merge_step *step = &merge->steps[i];
		size_t len = strlen(out);

		snprintf(out + len, size - len, "%s%s %s%s%s", i > 0 ? ", " : "", merge_kind_name(step->kind), step->id,
		         *step->was_id == '\0' ? "" : " was ", step->was_id);
	}
}

static void
each_case_of_the_table(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *base = document(cases[i].base), *ours = document(cases[i].ours), *theirs = document(cases[i].theirs);
		struct merge merge;
		char said[200];

		assert_int_equal(merge_three(base, ours, theirs, true, &merge), OK);
		say(&merge, said, sizeof said);
		if (strcmp(said, cases[i].said) != 0)
			print_error("case %zu: %s\n", i, said);
		assert_string_equal(said, cases[i].said);
		merge_release(&merge);
		json_decref(base);
		json_decref(ours);
		json_decref(theirs);
	}
}

static void
what_the_other_side_may_never_have_seen_is_not_taken_out(void **state)
{
	json_t *both = document(A), *none = document(NULL);
	struct merge merge;

	assert_int_equal(merge_three(both, both, none, false, &merge), OK);
	assert_int_equal(merge.count, 0);
	merge_release(&merge);
	json_decref(both);
	json_decref(none);
}

static void
independent_changes_of_both_sides_all_come_together(void **state)
{
	json_t *base = json_loads("[{\"id\":\"a\",\"text\":\"1\"},{\"id\":\"b\",\"text\":\"1\"},{\"id\":\"c\",\"text\":\"1\"}]", 0,
	                          NULL);
	json_t *ours = json_loads("[{\"id\":\"a\",\"text\":\"2\"},{\"id\":\"b\",\"text\":\"1\"},{\"id\":\"c\",\"text\":\"1\"},"
	                          "{\"id\":\"d\",\"text\":\"new here\"}]",
	                          0, NULL);
	json_t *theirs =
		json_loads("[{\"id\":\"e\",\"text\":\"new there\"},{\"id\":\"b\",\"text\":\"2\"},{\"id\":\"a\",\"text\":\"1\"}]", 0,
	               NULL);
	struct merge merge;
	char said[200];

	assert_int_equal(merge_three(base, ours, theirs, true, &merge), OK);
	say(&merge, said, sizeof said);
	assert_string_equal(said, "add e, edit b, retire c");
	merge_release(&merge);
	json_decref(base);
	json_decref(ours);
	json_decref(theirs);
}

TESTS(cmocka_unit_test(each_case_of_the_table), cmocka_unit_test(what_the_other_side_may_never_have_seen_is_not_taken_out),
      cmocka_unit_test(independent_changes_of_both_sides_all_come_together))
