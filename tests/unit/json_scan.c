/*
 * json_is_whole_object tells whole objects from what crashes and racing writers leave, and never finds broken what json_parse
 * can read.  (The fuzz target `transcript` compares the two on anything.)
 *
 * Rows: N4
 */
#include "base/json.h"
#include "lib/test.h"

static bool
is_whole(const char *text)
{
	return json_is_whole_object(text, strlen(text));
}

static bool
is_parsed(const char *text)
{
	char *copy = strdup(text);
	json_t *document = NULL;
	bool whole = copy != NULL && json_parse(copy, strlen(text), &document, NULL) == OK && json_is_object(document);

	json_decref(document);
	free(copy);
	return whole;
}

static void
whole_objects_are_found_whole(void **state)
{
	static const char *const texts[] = {
		"{}",
		" \t\r\n{ } ",
		"{\"a\":1}",
		"{\"a\":[],\"b\":{},\"c\":[{\"d\":[[]]}],\"e\":\"\"}",
		"{ \"a\" : [ 1 , -0 , 0.5 , -12.25e+10 , 3E5 , 1e-7 ] }",
		"{\"a\":[true,false,null]}",
		"{\"\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83C\\uDF4E\"}",
		"{\"half\":\"\\ud83c\"}",
		"{\"a\":\"caf\xc3\xa9 \xe2\x80\x93 \xf0\x9f\x8d\x8e \x7f\"}",
		"{\"a\":1,\"a\":2}",
		"{\"big\":123456789012345678901234567890}",
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_true(is_whole(texts[i]));
		assert_true(is_parsed(texts[i]));
	}
}

static void
broken_lines_are_found_broken(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"[]",
		"42",
		"\"a\"",
		"null",
		"{",
		"}",
		"{}}",
		"{}{}",
		"{} x",
		"{\"a\":1}{\"b\":2}",
		"{\"a\":1,}",
		"{,}",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\" 1}",
		"{a:1}",
		"{\"a\":1 \"b\":2}",
		"{\"a\":[1,]}",
		"{\"a\":[1 2]}",
		"{\"a\":[1}",
		"{\"a\":[}]",
		"{\"a\":01}",
		"{\"a\":-}",
		"{\"a\":+1}",
		"{\"a\":.5}",
		"{\"a\":1.}",
		"{\"a\":1e}",
		"{\"a\":NaN}",
		"{\"a\":tru}",
		"{\"a\":truer}",
		"{\"a\":\"\\x\"}",
		"{\"a\":\"\\u12g4\"}",
		"{\"a\":\"\\u12",
		"{\"a\":\"\x01\"}",
		"{\"a\":\"\n\"}",
		"{\"a\":\"\xff\"}",
		"{\"a\":\"\xc3\"}",
		"{\"a\":\"\xc0\x80\"}",
		"{\"a\":\"\xed\xa0\x80\"}",
		"{\"a\":\"\xf4\x90\x80\x80\"}",
		"\xef\xbb\xbf{}",
		"{\"type\":\"assistant\",\"mess{\"type\":\"user\"}",
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_false(is_whole(texts[i]));
		assert_false(is_parsed(texts[i]));
	}
}

static void
no_beginning_of_an_object_is_whole(void **state)
{
	static const char text[] = "{\"a\":[1.5e3,true,\"\\u00e9\xc3\xa9\"],\"b\":{\"c\":null}}";

	for (size_t len = 0; len + 1 < sizeof text; len++)
		assert_false(json_is_whole_object(text, len));
	assert_true(json_is_whole_object(text, sizeof text - 1));
}

static void
a_nul_byte_is_never_part_of_an_object(void **state)
{
	assert_false(json_is_whole_object("\0{}", 3));
	assert_false(json_is_whole_object("{}\0", 3));
	assert_false(json_is_whole_object("{\0}", 3));
	assert_false(json_is_whole_object("{\"\0\":1}", 7));
	assert_false(json_is_whole_object("{\"a\\\0\":1}", 9));
}

static void
nesting_has_a_limit(void **state)
{
	static const size_t depths[] = {1, 2046, 2047, 2048, 100000};
	static char text[5 + 2 * 100000 + 2];

	for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
		size_t depth = depths[i];

		memcpy(text, "{\"a\":", 5);
		memset(text + 5, '[', depth);
		memset(text + 5 + depth, ']', depth);
		memcpy(text + 5 + 2 * depth, "}", 2);
		assert_int_equal(is_whole(text), depth <= 2047);
		assert_int_equal(is_parsed(text), depth <= 2047);
	}
}

TESTS(cmocka_unit_test(whole_objects_are_found_whole), cmocka_unit_test(broken_lines_are_found_broken),
      cmocka_unit_test(no_beginning_of_an_object_is_whole), cmocka_unit_test(a_nul_byte_is_never_part_of_an_object),
      cmocka_unit_test(nesting_has_a_limit))
