/*
 * Texts that come from outside: ids, numbers, durations, and how instants are said to people.
 */
#include "lib/test.h"

#include "base/str.h"

static void
a_copy_is_whole_or_not_made(void **state)
{
	char out[4] = "old";

	assert_int_equal(str_copy(out, sizeof out, "abcd"), BAD_INPUT);
	assert_string_equal(out, "old");
	assert_int_equal(str_copy(out, sizeof out, "abc"), OK);
	assert_string_equal(out, "abc");
	assert_int_equal(str_copy(out, sizeof out, ""), OK);
	assert_string_equal(out, "");
}

static void
a_text_starts_and_ends_with_its_own_bytes_only(void **state)
{
	assert_true(str_starts("level.HIGH", "level."));
	assert_true(str_starts("a", ""));
	assert_false(str_starts("level", "level."));
	assert_true(str_ends("fired_ms", "_ms"));
	assert_true(str_ends("_ms", "_ms"));
	assert_false(str_ends("ms", "_ms"));
}

/* RFC 3629: the shortest form, no surrogates, nothing past U+10FFFF, nothing cut off. */
static void
a_character_is_as_long_as_utf8_has_it(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{"a", 1},
		{"\x7f", 1},
		{"\xc2\x80", 2},
		{"\xdf\xbf", 2},
		{"\xe0\xa0\x80", 3},
		{"\xed\x9f\xbf", 3},
		{"\xee\x80\x80", 3},
		{"\xef\xbf\xbf", 3},
		{"\xf0\x90\x80\x80", 4},
		{"\xf4\x8f\xbf\xbf", 4},
		{"\x80", 0},
		{"\xc1\xbf", 0},
		{"\xc2", 0},
		{"\xc2\x41", 0},
		{"\xe0\x9f\xbf", 0},
		{"\xed\xa0\x80", 0},
		{"\xe2\x82", 0},
		{"\xe2\x82\x41", 0},
		{"\xf0\x8f\xbf\xbf", 0},
		{"\xf4\x90\x80\x80", 0},
		{"\xf5\x80\x80\x80", 0},
		{"\xff", 0},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(str_char(cases[i].text, strlen(cases[i].text)), cases[i].len);
	assert_int_equal(str_char("a", 0), 0);
	assert_int_equal(str_char("\xe2\x82\xac", 2), 0);
}

static void
an_id_has_a_length_and_no_control_characters(void **state)
{
	static const char *const bad[] = {"", "a\nb", "a\tb", "\x1b[2J", "\x7f",
	                                  /* apart, or the 3 would belong to the byte before it */
	                                  ("\xc2\x9b"
	                                   "31m"),
	                                  "caf\xe9", "12345678901"};
	struct buf why;

	buf_init(&why, WHY_MAX);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		buf_clear(&why);
		assert_int_equal(str_check_id("the name", bad[i], 10, &why), BAD_INPUT);
		assert_true(str_starts(why.data, "the name "));
		assert_null(strpbrk(why.data, "\n\x1b\x7f"));
	}
	assert_int_equal(str_check_id("the name", "1234567890", 10, NULL), OK);
	assert_int_equal(str_check_id("the name", "caf\xc3\xa9 1", 10, NULL), OK);
	assert_int_equal(str_check_id("the name", "\xc2\xa0", 10, NULL), OK);
	for (unsigned char last = 0x80; last <= 0xbf; last++) {
		const char breaks[] = {'\xe2', '\x80', (char)last, '\0'}, turns[] = {'\xe2', '\x81', (char)last, '\0'};

		assert_int_equal(str_check_id("the name", breaks, 10, NULL), last >= 0xa8 && last <= 0xae ? BAD_INPUT : OK);
		assert_int_equal(str_check_id("the name", turns, 10, NULL), last >= 0xa6 && last <= 0xa9 ? BAD_INPUT : OK);
	}
	buf_clear(&why);
	assert_int_equal(str_check_id("the name", "\xe2\x80\xa8", 10, &why), BAD_INPUT);
	assert_string_equal(why.data, "the name holds a control character (0x2028)");
	assert_int_equal(str_check_text("the text", "", 10, NULL), OK);
	buf_release(&why);
}

static void
too_long_is_an_error_that_names_the_limit(void **state)
{
	struct buf why;

	buf_init(&why, WHY_MAX);
	assert_int_equal(str_check_id("the value", "abcdef", 5, &why), BAD_INPUT);
	assert_string_equal(why.data, "the value is 6 bytes long; the limit is 5");
	assert_int_equal(str_check_id("the value", "", 5, &why), BAD_INPUT);
	assert_string_equal(why.data, "the value is empty");
	buf_release(&why);
}

static void
a_whole_number_has_nothing_around_it(void **state)
{
	static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "1.0", "1e3", "0x10", "--1", "9223372036854775808", "abc"};
	int64_t out = 77;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(str_integer(bad[i], INT64_MIN, INT64_MAX, &out), BAD_INPUT);
	assert_int_equal(str_integer("101", 1, 100, &out), BAD_INPUT);
	assert_int_equal(str_integer("0", 1, 100, &out), BAD_INPUT);
	assert_int_equal(out, 77);
	assert_int_equal(str_integer("100", 1, 100, &out), OK);
	assert_int_equal(out, 100);
	assert_int_equal(str_integer("-9223372036854775808", INT64_MIN, INT64_MAX, &out), OK);
	assert_true(out == INT64_MIN);
	assert_int_equal(str_integer("9223372036854775807", 0, INT64_MAX, &out), OK);
	assert_true(out == INT64_MAX);
}

static void
a_number_is_finite(void **state)
{
	static const char *const bad[] = {"", "-", "nan", "-nan", "inf", "-inf", "1e999", " 1", "1x", "1,5", "."};
	double out = 77;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(str_number(bad[i], &out), BAD_INPUT);
	assert_true(out == 77);
	assert_int_equal(str_number("0.35", &out), OK);
	assert_true(out == 0.35);
	assert_int_equal(str_number("-2.5e3", &out), OK);
	assert_true(out == -2500);
	assert_int_equal(str_number(".5", &out), OK);
	assert_true(out == 0.5);
}

static void
a_duration_has_a_unit(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"0s", 0}, {"250ms", 250}, {"30s", 30000}, {"5m", 300000}, {"2h", 7200000}, {"7d", 604800000}, {"0ms", 0}};
	static const char *const bad[] =
		{"", "5", "s", "-1s", "1.5s", "5 s", "5S", "5sec", "5ms5s", "99999999999999999999s", "999999999999999d"};
	int64_t ms = 77;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(str_duration(bad[i], &ms), BAD_INPUT);
	assert_int_equal(ms, 77);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(str_duration(good[i].text, &ms), OK);
		assert_true(ms == good[i].ms);
	}
}

static void
a_duration_is_told_in_the_unit_that_people_would_take(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {{-5, "0 ms"},      {0, "0 ms"},          {999, "999 ms"},  {1000, "1 s"},       {119999, "119 s"},
	             {120000, "2 min"}, {7199999, "119 min"}, {7200000, "2 h"}, {172799999, "47 h"}, {172800000, "2 d"}};
	char out[24];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		str_ago(out, sizeof out, cases[i].ms);
		assert_string_equal(out, cases[i].text);
	}
}

static void
an_instant_is_told_in_utc(void **state)
{
	char out[40];

	str_instant(out, sizeof out, 1763635923999);
	assert_string_equal(out, "2025-11-20T10:52:03Z");
	str_instant(out, sizeof out, 0);
	assert_string_equal(out, "1970-01-01T00:00:00Z");
}

static void
a_quoted_text_is_one_word_to_a_shell(void **state)
{
	static const struct {
		const char *text;
		const char *quoted;
	} cases[] = {{"", "''"}, {"plain", "'plain'"}, {"a b$(c)`d`\"e\"\\", "'a b$(c)`d`\"e\"\\'"}, {"it's", "'it'\\''s'"}};
	struct buf out;

	buf_init(&out, 100);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_clear(&out);
		str_shell_quote(&out, cases[i].text);
		assert_string_equal(out.data, cases[i].quoted);
	}
	buf_release(&out);
}

static void
a_buffer_never_grows_past_its_maximum_and_stays_failed(void **state)
{
	struct buf buf;

	buf_init(&buf, 5);
	buf_text(&buf, "abc");
	buf_text(&buf, "def");
	buf_text(&buf, "g");
	buf_printf(&buf, "%d", 1);
	assert_int_equal(buf_status(&buf), BAD_INPUT);
	assert_string_equal(buf.data, "abc");
	buf_clear(&buf);
	assert_int_equal(buf_status(&buf), OK);
	assert_string_equal(buf.data, "");
	buf_printf(&buf, "%05d", 42);
	assert_int_equal(buf_status(&buf), OK);
	assert_string_equal(buf.data, "00042");
	buf_release(&buf);
}

static void
a_reason_is_one_line_whatever_a_name_in_it_holds(void **state)
{
	char name[2 * WHY_MAX];
	struct buf why;

	buf_init(&why, WHY_MAX);
	assert_int_equal(why_not(&why, CONFLICT, "no %s", "a\nb\x1b[m\x7f"), CONFLICT);
	assert_string_equal(why.data, "no a?b?[m?");
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_int_equal(why_not(&why, BAD_INPUT, "%s", name), BAD_INPUT);
	assert_int_equal(buf_status(&why), OK);
	assert_int_equal(why.len, WHY_MAX - 1);
	assert_int_equal(why_not(NULL, BUSY, "nobody listens"), BUSY);
	buf_release(&why);
}

TESTS(cmocka_unit_test(a_copy_is_whole_or_not_made), cmocka_unit_test(a_text_starts_and_ends_with_its_own_bytes_only),
      cmocka_unit_test(a_character_is_as_long_as_utf8_has_it), cmocka_unit_test(an_id_has_a_length_and_no_control_characters),
      cmocka_unit_test(too_long_is_an_error_that_names_the_limit), cmocka_unit_test(a_whole_number_has_nothing_around_it),
      cmocka_unit_test(a_number_is_finite), cmocka_unit_test(a_duration_has_a_unit),
      cmocka_unit_test(a_duration_is_told_in_the_unit_that_people_would_take), cmocka_unit_test(an_instant_is_told_in_utc),
      cmocka_unit_test(a_quoted_text_is_one_word_to_a_shell),
      cmocka_unit_test(a_buffer_never_grows_past_its_maximum_and_stays_failed),
      cmocka_unit_test(a_reason_is_one_line_whatever_a_name_in_it_holds))
