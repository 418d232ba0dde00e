/*
 * A long list written as it comes from the store says the same as its document would.
 */
#include "lib/store.h"
#include "lib/test.h"

#include "verbs/rows.h"

static const struct rows_column columns[] = {
	{"id", 0, ROWS_TEXT, NULL},
	{"number", 1, ROWS_WHOLE, NULL},
	{"active", 2, ROWS_FLAG, "true"},
	{"parameters", 3, ROWS_JSON, "{}"},
};

static void
read_rows(struct bench *bench, struct rows *out)
{
	*out = (struct rows){.noun = "things", .columns = columns, .count = 4};
	assert_int_equal(db_ask(bench->db, &out->rows, NULL,
	                        "SELECT 'a', $1, 1, '{}' UNION ALL SELECT 'b', 0, 0, '{\"port\":\"1\"}' UNION ALL SELECT '', -1, "
	                        "1, '{}'",
	                        DB_INT(INT64_MIN)),
	                 OK);
}

static void
rows_are_the_document_that_they_stand_for(void **state)
{
	struct bench *bench = *state;
	struct rows rows;
	struct buf out;

	buf_init(&out, 1000);
	read_rows(bench, &rows);
	rows_json(&rows, &out);
	assert_int_equal(buf_status(&out), OK);
	assert_string_equal(out.data, "{\"things\":[{\"id\":\"a\",\"number\":-9223372036854775808},"
	                              "{\"id\":\"b\",\"number\":0,\"active\":false,\"parameters\":{\"port\":\"1\"}},"
	                              "{\"id\":\"\",\"number\":-1}]}");
	assert_ptr_equal(rows_column(&rows, "active"), &columns[2]);
	assert_null(rows_column(&rows, "nothing"));
	rows_release(&rows);
	buf_release(&out);
}

static void
no_rows_are_an_empty_list(void **state)
{
	struct rows rows = {.noun = "things", .columns = columns, .count = 4};
	struct buf out;

	buf_init(&out, 1000);
	rows_json(&rows, &out);
	assert_string_equal(out.data, "{\"things\":[]}");
	buf_release(&out);
}

static void
a_text_is_written_as_every_reader_reads_it_back(void **state)
{
	char text[300];
	struct buf out;
	json_t *back;

	buf_init(&out, 4000);
	for (int i = 0; i < 127; i++)
		text[i] = (char)(i + 1);
	snprintf(text + 127, sizeof text - 127, "\"\\/ é \xf0\x9f\x90\x91 end");
	json_write_text(&out, text);
	back = json_loads(out.data, JSON_DECODE_ANY, NULL);
	assert_non_null(back);
	assert_string_equal(json_string_value(back), text);
	json_decref(back);
	buf_clear(&out);
	json_write_text(&out, "");
	assert_string_equal(out.data, "\"\"");
	buf_release(&out);
}

static void
a_line_for_people_has_no_control_characters_and_ends_with_a_whole_one(void **state)
{
	char line[8];

	str_one_line(line, sizeof line, "a\nb\tc\xc2\x85");
	assert_string_equal(line, "a b c  ");
	str_one_line(line, sizeof line, "abcdef\xc3\xa9");
	assert_string_equal(line, "abcdef");
	str_one_line(line, sizeof line, "a\xff");
	assert_string_equal(line, "a");
}

TESTS(BENCH_TEST(rows_are_the_document_that_they_stand_for), cmocka_unit_test(no_rows_are_an_empty_list),
      cmocka_unit_test(a_text_is_written_as_every_reader_reads_it_back),
      cmocka_unit_test(a_line_for_people_has_no_control_characters_and_ends_with_a_whole_one))
