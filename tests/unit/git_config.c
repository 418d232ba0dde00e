/*
 * Git's configuration is read as git reads it, and names a codebase the same in every clone.
 *
 * Rows: R8
 */
#include "lib/test.h"

#include "os/git_config.h"

static void
a_remotes_address_is_one_name_however_it_is_written(void **state)
{
	static const char *const urls[][2] = {
		{"https://example.org/a/B.git", "example.org/a/B"},
		{"https://user:secret@Example.ORG:443/a/B.git/", "example.org/a/B"},
		{"ssh://git@example.org:22/a/B", "example.org/a/B"},
		{"git@example.org:a/B.git", "example.org/a/B"},
		{"example.org:/a/B", "example.org/a/B"},
		{"git://example.org:9418/a/B.git", "example.org/a/B"},
		{"http://example.org:8080/a/B", "example.org:8080/a/B"},
		{"ssh://example.org:2222/a@b/C.git", "example.org:2222/a@b/C"},
		{"ssh://git@[::1]:22/a", "[::1]/a"},
		{"/srv/git/a.git", "/srv/git/a"},
		{"file:///srv/git/a.git", "/srv/git/a"},
		{"../a.git", "../a"},
		{"./x:y", "./x:y"},
	};
	char name[64];

	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		assert_int_equal(git_url_normalise(urls[i][0], name, sizeof name), OK);
		assert_string_equal(name, urls[i][1]);
	}
	assert_int_equal(git_url_normalise("https://example.org/a", name, 5), BAD_INPUT);
	assert_int_equal(git_url_normalise("", name, sizeof name), BAD_INPUT);
}

static void
gits_configuration_is_read_as_git_reads_it(void **state)
{
	static const char text[] = "; a comment\n"
							   "[Core]\n\tBare = false # here too\n\tflag\n"
							   "[remote \"Origin\"]\nurl=wrong\n"
							   "[remote \"ori\\\"gin\"] url = inline\n"
							   "[remote \"origin\"]\n\turl = \"quoted # ; \" and plain \t \n\tother = a\\\n b\\tc\\\\d\r\n"
							   "[core]\n\tbare = true\n[section.sub]\nkey=x\n[broken\nkey = y\n[last]\nkey = z";
	char out[64] = "untouched";

	assert_false(git_config_get(text, "remote", NULL, "url", out, sizeof out));
	assert_false(git_config_get(text, "core", NULL, "missing", out, sizeof out));
	assert_false(git_config_get(text, "last", NULL, "key", out, 1));
	assert_string_equal(out, "untouched");
	assert_true(git_config_get(text, "core", NULL, "bare", out, sizeof out));
	assert_string_equal(out, "true");
	assert_true(git_config_get(text, "core", NULL, "flag", out, sizeof out));
	assert_string_equal(out, "true");
	assert_true(git_config_get(text, "remote", "origin", "url", out, sizeof out));
	assert_string_equal(out, "quoted # ;  and plain");
	assert_true(git_config_get(text, "remote", "origin", "OTHER", out, sizeof out));
	assert_string_equal(out, "a b\tc\\d");
	assert_true(git_config_get(text, "remote", "ori\"gin", "url", out, sizeof out));
	assert_string_equal(out, "inline");
	assert_true(git_config_get(text, "last", NULL, "key", out, sizeof out));
	assert_string_equal(out, "z");
}

TESTS(cmocka_unit_test(a_remotes_address_is_one_name_however_it_is_written),
      cmocka_unit_test(gits_configuration_is_read_as_git_reads_it))
