/*
 * A file is read line by line, whatever the lines' length, and one that is too long is refused by its number.
 *
 * Rows: R86
 */
#include "os/lines.h"

#include "lib/scratch.h"
#include "lib/test.h"

#include <unistd.h>

#define MAX ((size_t)200 << 10)

static char *
make_file(const char *folder, const size_t *lengths, size_t count, bool ended)
{
	char *path = scratch_path(folder, "lines");
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	for (size_t i = 0; i < count; i++) {
		for (size_t n = 0; n < lengths[i]; n++)
			fputc('a' + (int)(i % 26), file);
		if (ended || i + 1 < count)
			fputc('\n', file);
	}
	assert_int_equal(fclose(file), 0);
	return path;
}

static void
read_all(struct lines *lines, const size_t *lengths, size_t count, bool ended)
{
	const char *text;
	size_t len;

	for (size_t i = 0; i < count; i++) {
		assert_int_equal(lines_next(lines, &text, &len, NULL), OK);
		assert_int_equal(len, lengths[i]);
		assert_int_equal(lines->number, i + 1);
		assert_int_equal(lines->whole, ended || i + 1 < count);
		for (size_t n = 0; n < len; n++)
			assert_true(text[n] == 'a' + (int)(i % 26));
	}
	assert_int_equal(lines_next(lines, &text, &len, NULL), NO_SUCH);
}

static void
every_line_is_given_once_and_in_order(void **state)
{
	static const size_t lengths[] = {0, 1, 65535, 65536, 65537, 0, 0, MAX, 3, 131072, 7};
	size_t count = sizeof lengths / sizeof *lengths;
	char *folder = scratch_folder();

	for (int ended = 0; ended < 2; ended++) {
		char *path = make_file(folder, lengths, count, ended);
		struct lines lines;

		assert_int_equal(lines_open(&lines, path, MAX, NULL), OK);
		read_all(&lines, lengths, count, ended);
		assert_int_equal(lines_again(&lines, NULL), OK);
		read_all(&lines, lengths, count, ended);
		lines_close(&lines);
		free(path);
	}
	scratch_remove(folder);
}

static void
a_line_that_is_too_long_is_refused_by_its_number(void **state)
{
	static const size_t lengths[] = {5, MAX + 1, 5};
	char *folder = scratch_folder(), *path = make_file(folder, lengths, 3, true);
	struct lines lines;
	const char *text;
	size_t len;
	struct buf why;

	buf_init(&why, WHY_MAX);
	assert_int_equal(lines_open(&lines, path, MAX, &why), OK);
	assert_int_equal(lines_next(&lines, &text, &len, &why), OK);
	assert_int_equal(lines_next(&lines, &text, &len, &why), BAD_INPUT);
	assert_non_null(strstr(why.data, "line 2 is longer than 204800 bytes"));
	lines_close(&lines);
	buf_release(&why);
	free(path);
	scratch_remove(folder);
}

TESTS(cmocka_unit_test(every_line_is_given_once_and_in_order),
      cmocka_unit_test(a_line_that_is_too_long_is_refused_by_its_number))
