/*
 * JSON from outside: bad texts are refused with one line, odd ones that Node writes are read, and no document takes more than
 * its budget of memory.
 */
#include "base/json.h"
#include "lib/test.h"

static enum status
parse(const char *text, size_t len, json_t **out, struct buf *why)
{
	char *copy = malloc(len + 1);
	enum status status;

	assert_non_null(copy);
	memcpy(copy, text, len);
	status = json_parse(copy, len, out, why);
	free(copy);
	return status;
}

static void
assert_read(const char *text, const char *as)
{
	json_t *document;
	struct buf out;

	buf_init(&out, 1000);
	assert_int_equal(parse(text, strlen(text), &document, NULL), OK);
	json_write(&out, document);
	assert_string_equal(out.data, as);
	json_decref(document);
	buf_release(&out);
}

static void
a_half_of_a_character_is_read_as_a_replacement(void **state)
{
	assert_read("[\"\\ud83c\"]", "[\"\xef\xbf\xbd\"]");
	assert_read("[\"\\uDF4E\"]", "[\"\xef\xbf\xbd\"]");
	assert_read("[\"\\ud83c\\ud83c\\udf4e\"]", "[\"\xef\xbf\xbd\xf0\x9f\x8d\x8e\"]");
	assert_read("[\"\\ud83cx\\\\ud83c\"]", "[\"\xef\xbf\xbdx\\\\ud83c\"]");
	assert_read("[\"\\ud83c\\u0041\"]", "[\"\xef\xbf\xbd"
	                                    "A\"]");
}

static void
a_number_beyond_64_bits_is_no_reason_to_refuse(void **state)
{
	json_t *document;
	static const char text[] = "{\"n\":7,\"big\":123456789012345678901234567890,\"text\":\"\\ud83c\"}";

	assert_int_equal(parse(text, sizeof text - 1, &document, NULL), OK);
	assert_int_equal(json_whole(document, "n", -1), 7);
	assert_int_equal(json_whole(document, "big", -1), -1);
	assert_true(json_real_of(document, "big", 0) > 1e29);
	assert_string_equal(json_text(document, "text", ""), "\xef\xbf\xbd");
	json_decref(document);
}

static void
what_is_not_json_is_refused_in_one_line(void **state)
{
	static const char *const texts[] = {"", "{", "nul", "[1,]", "\"\xff\"", "\"\n\"", "{} {}", "1e400", "{\"a\\u0000\":1}"};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		json_t *document = NULL;
		struct buf why;

		buf_init(&why, WHY_MAX);
		assert_int_equal(parse(texts[i], strlen(texts[i]), &document, &why), BAD_INPUT);
		assert_null(document);
		assert_memory_equal(why.data, "not JSON: ", 10);
		assert_null(strchr(why.data, '\n'));
		buf_release(&why);
	}
}

static void
a_nul_byte_is_no_part_of_json(void **state)
{
	json_t *document = NULL;
	struct buf why;

	buf_init(&why, WHY_MAX);
	assert_int_equal(parse("[false\0]", 8, &document, &why), BAD_INPUT);
	assert_string_equal(why.data, "not JSON: a NUL byte at byte 6");
	assert_int_equal(parse("[12\0]", 5, &document, &why), BAD_INPUT);
	assert_int_equal(parse("\0[]", 3, &document, &why), BAD_INPUT);
	assert_int_equal(parse("[]\0", 3, &document, &why), BAD_INPUT);
	assert_int_equal(parse("[\"\0\"]", 5, &document, &why), BAD_INPUT);
	assert_null(document);
	buf_release(&why);
}

/* [{},{},...]: of all texts that which needs most memory per byte. */
static enum status
parse_objects(size_t count, struct buf *why)
{
	size_t len = 3 * count + 1;
	char *text = malloc(len + 1);
	json_t *document = NULL;
	enum status status;

	assert_non_null(text);
	for (size_t i = 0; i < count; i++)
		memcpy(text + 3 * i, i == 0 ? "[{}" : ",{}", 3);
	memcpy(text + 3 * count, "]", 2);
	status = json_parse(text, len, &document, why);
	json_decref(document);
	free(text);
	return status;
}

static void
a_document_over_its_budget_is_dropped_and_the_next_one_read(void **state)
{
	struct buf why;

	buf_init(&why, WHY_MAX);
	assert_int_equal(parse_objects(1000, &why), OK);
	assert_int_equal(parse_objects(5 << 20, &why), NO_MEMORY);
	assert_string_equal(why.data, "not read: parsing it needs more than 64 MiB");
	for (int i = 0; i < 20; i++)
		assert_int_equal(parse_objects(50000, &why), OK);
	buf_release(&why);
}

static void
nesting_without_end_is_refused(void **state)
{
	enum { DEEP = 1 << 20 };
	char *text = malloc(DEEP);
	json_t *document;

	assert_non_null(text);
	memset(text, '[', DEEP);
	assert_int_equal(json_parse(text, DEEP, &document, NULL), BAD_INPUT);
	free(text);
}

static void
getters_give_the_default_for_anything_else(void **state)
{
	json_t *document;
	static const char text[] = "{\"text\":\"a\\u0000b\",\"n\":1.75,\"far\":1e300,\"yes\":true,\"no\":0}";

	assert_int_equal(parse(text, sizeof text - 1, &document, NULL), OK);
	assert_string_equal(json_text(document, "text", "-"), "-");
	assert_string_equal(json_text(document, "n", "-"), "-");
	assert_string_equal(json_text(document, "absent", "-"), "-");
	assert_int_equal(json_whole(document, "n", -1), 1);
	assert_int_equal(json_whole(document, "far", -1), -1);
	assert_int_equal(json_whole(document, "text", -1), -1);
	assert_true(json_truth(document, "yes"));
	assert_false(json_truth(document, "no"));
	assert_string_equal(json_text(NULL, "a", "-"), "-");
	json_decref(document);
}

TESTS(cmocka_unit_test(a_half_of_a_character_is_read_as_a_replacement),
      cmocka_unit_test(a_number_beyond_64_bits_is_no_reason_to_refuse),
      cmocka_unit_test(what_is_not_json_is_refused_in_one_line), cmocka_unit_test(a_nul_byte_is_no_part_of_json),
      cmocka_unit_test(a_document_over_its_budget_is_dropped_and_the_next_one_read),
      cmocka_unit_test(nesting_without_end_is_refused), cmocka_unit_test(getters_give_the_default_for_anything_else))
