/*
 * Edits of JSON as text keep every byte that they are not about: what was put in and taken out leaves no trace.
 *
 * Rows: N15
 */
#include "lib/test.h"

#include "base/json.h"
#include "base/jsontext.h"
#include "base/str.h"

#define ROUNDS 4000

static struct json_piece
root_of(const char *text)
{
	struct json_piece root;
	struct buf why;

	buf_init(&why, WHY_MAX);
	if (jsontext_root(text, strlen(text), &root, &why) != OK)
		fail_msg("%s\n%s", why.data, text);
	buf_release(&why);
	return root;
}

/* The piece at the end of a way of keys and "[n]". */
static struct json_piece
at(const char *text, const char *way)
{
	struct json_piece piece = root_of(text);
	char step[64];

	while (*way != '\0') {
		size_t len = strcspn(way, "/");

		snprintf(step, sizeof step, "%.*s", (int)len, way);
		if (*step == '[') {
			struct json_piece child;

			assert_true(jsontext_child(text, &piece, NULL, &child));
			for (long i = strtol(step + 1, NULL, 10); i > 0; i--)
				assert_true(jsontext_child(text, &piece, &child, &child));
			piece = child;
		} else
			assert_true(jsontext_member(text, &piece, step, &piece));
		way += len + (way[len] == '/');
	}
	return piece;
}

/* Inserts, compares, takes out again, and compares with what was before. */
static void
inserted(const char *text, const char *way, const char *key, const char *value, const char *wanted)
{
	struct json_piece in = at(text, way), child, last;
	struct buf out, back;

	buf_init(&out, 1 << 20);
	buf_init(&back, 1 << 20);
	jsontext_insert(text, strlen(text), &in, key, value, &out);
	assert_int_equal(buf_status(&out), OK);
	assert_string_equal(out.data, wanted);
	in = at(out.data, way);
	for (bool more = jsontext_child(out.data, &in, NULL, &child); more; more = jsontext_child(out.data, &in, &child, &child))
		last = child;
	jsontext_remove(out.data, out.len, &in, &last, &back);
	assert_string_equal(back.data, text);
	buf_release(&out);
	buf_release(&back);
}

static void
removed(const char *text, const char *way, const char *child, const char *wanted)
{
	struct json_piece in = at(text, way), piece = at(text, child);
	struct buf out;

	buf_init(&out, 1 << 20);
	jsontext_remove(text, strlen(text), &in, &piece, &out);
	assert_string_equal(out.data, wanted);
	buf_release(&out);
}

static void
a_member_goes_in_as_its_neighbours_stand(void **state)
{
	inserted("{\n  \"a\": 1\n}\n", "", "b", "2", "{\n  \"a\": 1,\n  \"b\": 2\n}\n");
	inserted("{\n\t\"a\" : 1\n}", "", "b", "[1,{\"c\":2}]",
	         "{\n\t\"a\" : 1,\n\t\"b\" : [\n\t\t1,\n\t\t{\n\t\t\t\"c\" : 2\n\t\t}\n\t]\n}");
	inserted("{\"a\":1}", "", "b", "{\"c\":[1,2]}", "{\"a\":1,\"b\":{\"c\":[1,2]}}");
	inserted("{\"a\": 1}", "", "b", "{\"c\":[1,2],\"d\":3}", "{\"a\": 1, \"b\": {\"c\": [1, 2], \"d\": 3}}");
	inserted("{\"a\": 1,\"z\": 0}", "", "b", "2", "{\"a\": 1,\"z\": 0,\"b\": 2}");
	inserted("{ \"a\": 1 }", "", "b", "2", "{ \"a\": 1, \"b\": 2 }");
	inserted("{\r\n    \"a\": 1\r\n}\r\n", "", "b", "[{}]",
	         "{\r\n    \"a\": 1,\r\n    \"b\": [\r\n        {}\r\n    ]\r\n}\r\n");
	inserted("\xef\xbb\xbf{\n\"a\": 1\n}", "", "b", "[2]", "\xef\xbb\xbf{\n\"a\": 1,\n\"b\": [\n2\n]\n}");
	inserted("{\n  \"a\"\n  :\n  1\n  ,\n  \"b\": 2\n}", "", "c", "3", "{\n  \"a\"\n  :\n  1\n  ,\n  \"b\": 2,\n  \"c\": 3\n}");
}

static void
an_element_goes_in_as_its_neighbours_stand(void **state)
{
	inserted("{\n  \"a\": [\n    1\n  ]\n}", "a", NULL, "{\"x\":1}",
	         "{\n  \"a\": [\n    1,\n    {\n      \"x\": 1\n    }\n  ]\n}");
	inserted("[1, 2]", "", NULL, "3", "[1, 2, 3]");
	inserted("{\n  \"a\": [1, 2]\n}", "a", NULL, "[3]", "{\n  \"a\": [1, 2, [3]]\n}");
	inserted("{\n  \"a\": [{\n    \"b\": 1\n  }]\n}", "a", NULL, "{\"b\":2}",
	         "{\n  \"a\": [{\n    \"b\": 1\n  }, {\"b\": 2}]\n}");
}

static void
what_was_empty_is_empty_again(void **state)
{
	inserted("{}", "", "a", "1", "{\n  \"a\": 1\n}");
	inserted("{}\r\n", "", "a", "[1]", "{\r\n  \"a\": [\r\n    1\r\n  ]\r\n}\r\n");
	inserted("{ }", "", "a", "1", "{ \n  \"a\": 1\n}");
	inserted("{\n}\n", "", "a", "1", "{\n\n  \"a\": 1\n}\n");
	inserted("{\r\n}", "", "a", "1", "{\r\n\r\n  \"a\": 1\r\n}");
	inserted("{\"a\":[]}", "a", NULL, "1", "{\"a\":[1]}");
	inserted("{\"a\":{ }}", "a", "b", "1", "{\"a\":{ \"b\":1}}");
	inserted("{\n    \"a\": {},\n    \"b\": 1\n}", "a", "c", "[]",
	         "{\n    \"a\": {\n        \"c\": []\n    },\n    \"b\": 1\n}");
	inserted("{\n\t\"a\": [\n\t]\n}", "a", NULL, "1", "{\n\t\"a\": [\n\t\n\t\t1\n\t]\n}");
}

static void
a_child_is_taken_out_from_any_place(void **state)
{
	removed("{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n", "", "a", "{\n  \"b\": 2,\n  \"c\": 3\n}\n");
	removed("{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n", "", "b", "{\n  \"a\": 1,\n  \"c\": 3\n}\n");
	removed("{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n", "", "c", "{\n  \"a\": 1,\n  \"b\": 2\n}\n");
	removed("[1, 2, 3]", "", "[0]", "[2, 3]");
	removed("[1, 2, 3]", "", "[1]", "[1, 3]");
	removed("[1, 2, 3]", "", "[2]", "[1, 2]");
	removed("{\n  \"a\": 1\n}\n", "", "a", "{}\n");
	removed("[\r\n  1\r\n]", "", "[0]", "[]");
	removed("{\"a\": {\"b\": [{\"c\": null}]}}", "a/b", "a/b/[0]", "{\"a\": {\"b\": []}}");
}

static void
a_value_is_replaced_and_nothing_else(void **state)
{
	const char *text = "{ \"a\" :  \"old\" , \"b\":[ 1 ] }";
	struct json_piece piece = at(text, "a");
	struct buf out;

	buf_init(&out, 1000);
	jsontext_replace(text, strlen(text), &piece, "\"new\"", &out);
	assert_string_equal(out.data, "{ \"a\" :  \"new\" , \"b\":[ 1 ] }");
	buf_release(&out);
}

static void
keys_are_read_with_their_escapes_and_the_last_of_two_counts(void **state)
{
	const char *text = "{\"h\\u006fo\\/k\": 1, \"\\ud83d\\ude00\": 2, \"hoo/k\": 3, \"a\\nb\": 4, \"\\ud800x\": 5}";
	struct json_piece root = root_of(text), piece;

	assert_true(jsontext_member(text, &root, "hoo/k", &piece));
	assert_int_equal(text[piece.from], '3');
	assert_true(jsontext_member(text, &root, "\xf0\x9f\x98\x80", &piece));
	assert_int_equal(text[piece.from], '2');
	assert_true(jsontext_member(text, &root, "a\nb", &piece));
	assert_int_equal(text[piece.from], '4');
	assert_true(jsontext_member(text, &root, "\xef\xbf\xbdx", &piece));
	assert_int_equal(text[piece.from], '5');
	assert_false(jsontext_member(text, &root, "hoo", &piece));
	assert_false(jsontext_member(text, &piece, "of a number", &piece));
}

static void
what_is_not_json_is_bad_input_with_its_place(void **state)
{
	static const char *const texts[] = {
		"",         " ",         "{",      "}",          "{]",        "{\"a\"}",     "{\"a\":}", "{\"a\":1,}", "{a:1}",
		"[1,]",     "[1 2]",     "tru",    "truex",      "01",        "1.",          "-",        "1e",         "\"",
		"\"\\x\"",  "\"\\u12\"", "\"\n\"", "{} {}",      "// no\n{}", "{'a':1}",     "+1",       ".5",         "nul",
		"{\"a\":1", "[",         "[[]",    "{\"a\":1}}", "\xef\xbb",  "\xff\xfe{\0", "1 /**/",   "{\"a\" 1}",  "\"\\",
	};
	struct json_piece root = {0};
	struct buf why;

	buf_init(&why, WHY_MAX);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if (jsontext_root(texts[i], strlen(texts[i]), &root, &why) != BAD_INPUT)
			fail_msg("taken for JSON: %s", texts[i]);
		assert_int_equal(root.to, 0);
	}
	assert_int_equal(jsontext_root("{\n  \"a\": nope\n}", 15, &root, &why), BAD_INPUT);
	assert_string_equal(why.data, "not JSON: line 2, column 8: no value can begin like this");
	assert_int_equal(jsontext_root("{}\0", 3, &root, &why), BAD_INPUT);
	buf_release(&why);
}

static void
nesting_has_a_limit_and_is_no_danger_to_the_stack(void **state)
{
	size_t len = 1 << 20;
	char *deep = malloc(len);
	struct json_piece root;

	memset(deep, '[', len);
	assert_int_equal(jsontext_root(deep, len, &root, NULL), BAD_INPUT);
	memset(deep + 512, ']', 512);
	assert_int_equal(jsontext_root(deep, 1024, &root, NULL), OK);
	free(deep);
}

/* A small generator of its own, so that a failure can be had again. */
static uint32_t seed;

static unsigned
roll(unsigned sides)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % sides;
}

struct writer {
	struct buf out;
	const char *newline;
	const char *unit;
	bool lines;
	bool wild; /* white space without any manner */
};

static void
space(struct writer *writer)
{
	static const char *const spaces[] = {"", " ", "\n", "\t", "\r\n", "  ", "\n\n "};

	if (writer->wild)
		buf_text(&writer->out, spaces[roll(7)]);
}

static void
new_line(struct writer *writer, unsigned depth)
{
	if (writer->wild || !writer->lines) {
		space(writer);
		return;
	}
	buf_text(&writer->out, writer->newline);
	for (unsigned i = 0; i < depth; i++)
		buf_text(&writer->out, writer->unit);
}

static void
write_value(struct writer *writer, unsigned depth)
{
	static const char *const plain[] = {"1", "-0.5e+3", "\"t\\u00e9\\\"x\"", "true", "null", "\"\"", "{}", "[]", "{ }", "[\n]"};
	unsigned kind = depth == 0 ? 8 + roll(2) : roll(depth > 4 ? 8 : 10), count;
	bool object = kind == 8;

	if (kind < 8) {
		buf_text(&writer->out, plain[roll(10)]);
		return;
	}
	count = roll(4);
	buf_text(&writer->out, object ? "{" : "[");
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			buf_text(&writer->out, ",");
		new_line(writer, depth + 1);
		if (object) {
			buf_printf(&writer->out, "\"k%u\"", i);
			space(writer);
			buf_text(&writer->out, writer->lines ? ": " : ":");
			space(writer);
		}
		write_value(writer, depth + 1);
		space(writer);
	}
	if (count > 0)
		new_line(writer, depth);
	else
		space(writer);
	buf_text(&writer->out, object ? "}" : "]");
}

static void
write_document(struct writer *writer)
{
	static const char *const newlines[] = {"\n", "\r\n"}, *const units[] = {"\t", "  ", "    ", ""};

	buf_init(&writer->out, 1 << 20);
	writer->newline = newlines[roll(2)];
	writer->unit = units[roll(4)];
	writer->lines = roll(2) == 0;
	writer->wild = roll(3) == 0;
	if (roll(8) == 0)
		buf_text(&writer->out, "\xef\xbb\xbf");
	space(writer);
	write_value(writer, 0);
	if (roll(2) == 0)
		buf_text(&writer->out, writer->newline);
}

/* Every container in the document, counted through. */
static bool
nth_container(const char *text, const struct json_piece *piece, unsigned *n, struct json_piece *out)
{
	struct json_piece child;

	if (piece->kind != JSON_PIECE_OBJECT && piece->kind != JSON_PIECE_ARRAY)
		return false;
	if ((*n)-- == 0) {
		*out = *piece;
		return true;
	}
	for (bool more = jsontext_child(text, piece, NULL, &child); more; more = jsontext_child(text, piece, &child, &child))
		if (nth_container(text, &child, n, out))
			return true;
	return false;
}

/* Puts one in, and sees that it is JSON with one child more, and that taking it out gives back the bytes. */
static void
put_in_and_take_out(const char *text, size_t len, const struct json_piece *in, uint32_t began)
{
	struct json_piece grown, child, last = {0};
	struct buf out, back;
	size_t before = 0, after = 0;

	buf_init(&out, 1 << 20);
	buf_init(&back, 1 << 20);
	for (bool more = jsontext_child(text, in, NULL, &child); more; more = jsontext_child(text, in, &child, &child))
		before++;
	jsontext_insert(text, len, in, in->kind == JSON_PIECE_OBJECT ? "new" : NULL, "{\"x\":[1,{}],\"y\":\"z\"}", &out);
	grown = root_of(out.data);
	/* it begins where it began: all that came is inside of it */
	grown = *in;
	grown.to = in->to + (out.len - len);
	for (bool more = jsontext_child(out.data, &grown, NULL, &child); more;
	     more = jsontext_child(out.data, &grown, &child, &child)) {
		after++;
		last = child;
	}
	if (after != before + 1)
		fail_msg("seed %u: %zu children, then %zu\n%s\n%s", began, before, after, text, out.data);
	jsontext_remove(out.data, out.len, &grown, &last, &back);
	if (back.len != len || memcmp(back.data, text, len) != 0)
		fail_msg("seed %u: not the same again\n%s\n%s\n%s", began, text, out.data, back.data);
	buf_release(&out);
	buf_release(&back);
}

static void
what_was_put_in_and_taken_out_leaves_no_trace_in_any_document(void **state)
{
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct writer writer;
		struct json_piece root, in;
		struct buf why;

		seed = round;
		buf_init(&why, WHY_MAX);
		write_document(&writer);
		if (jsontext_root(writer.out.data, writer.out.len, &root, &why) != OK)
			fail_msg("seed %u: %s\n%s", round, why.data, writer.out.data);
		for (unsigned n = 0;; n++) {
			unsigned count = n;

			if (!nth_container(writer.out.data, &root, &count, &in))
				break;
			put_in_and_take_out(writer.out.data, writer.out.len, &in, round);
		}
		buf_release(&writer.out);
		buf_release(&why);
	}
}

static void
it_agrees_with_jansson_on_what_is_json(void **state)
{
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct writer writer;
		struct json_piece root;
		json_t *parsed;
		bool ours, theirs;

		seed = round;
		write_document(&writer);
		/* one byte changed, if it isn't in a string's letters: there jansson looks at UTF-8 and we don't */
		if (writer.out.len > 0)
			writer.out.data[roll((unsigned)writer.out.len)] = "{}[],:\"1a\\ "[roll(11)];
		if (str_starts(writer.out.data, "\xef")) {
			buf_release(&writer.out);
			continue;
		}
		ours = jsontext_root(writer.out.data, writer.out.len, &root, NULL) == OK;
		parsed = json_loadb(writer.out.data, writer.out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		theirs = parsed != NULL;
		if (ours != theirs)
			fail_msg("seed %u: JSON to us %d, to jansson %d\n%s", round, ours, theirs, writer.out.data);
		json_decref(parsed);
		buf_release(&writer.out);
	}
}

TESTS(cmocka_unit_test(a_member_goes_in_as_its_neighbours_stand), cmocka_unit_test(an_element_goes_in_as_its_neighbours_stand),
      cmocka_unit_test(what_was_empty_is_empty_again), cmocka_unit_test(a_child_is_taken_out_from_any_place),
      cmocka_unit_test(a_value_is_replaced_and_nothing_else),
      cmocka_unit_test(keys_are_read_with_their_escapes_and_the_last_of_two_counts),
      cmocka_unit_test(what_is_not_json_is_bad_input_with_its_place),
      cmocka_unit_test(nesting_has_a_limit_and_is_no_danger_to_the_stack),
      cmocka_unit_test(what_was_put_in_and_taken_out_leaves_no_trace_in_any_document),
      cmocka_unit_test(it_agrees_with_jansson_on_what_is_json))
