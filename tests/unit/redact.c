/*
 * Secrets are taken out of texts and JSON by rules that each find what they are for and leave what looks like it, and by patterns
 * of the user's own.
 *
 * Rows: R105
 */
#include "lib/test.h"

#include "base/redact.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT ((size_t)1 << 20)

/* So that no line of this file is one that a scanner for secrets would stop at. */
#define A16 "A1B2C3D4E5F6G7H8"
#define A36 "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"

static struct buf
redacted_by(const struct redactor *redactor, const char *text, size_t len)
{
	struct buf out;

	buf_init(&out, TEXT);
	redact_text(redactor, text, len, &out);
	assert_int_equal(buf_status(&out), OK);
	return out;
}

static void
expect(const char *text, const char *wanted)
{
	struct redactor redactor;
	struct buf out;

	redactor_init(&redactor);
	out = redacted_by(&redactor, text, strlen(text));
	assert_string_equal(out.data, wanted);
	buf_release(&out);
}

static void
stays(const char *text)
{
	expect(text, text);
}

/* One for each rule: what it finds, and what looks like it and stays. */
static const struct sample {
	const char *rule, *begins;
	const char *text, *wanted;
	const char *near;
} samples[] = {
	{"private-key", "-----BEGIN ", "a\n-----BEGIN RSA PRIVATE KEY-----\nMII\nEow\n-----END RSA PRIVATE KEY-----\nb",
     "a\n[redacted:private-key]\nb", "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----"},
	{"private", "<private>", "a <private>my\nsalary</private> b", "a [redacted:private] b", "a private <b>life</b>"},
	{"aws-key", "AKIA", "id AKIA" A16 ".", "id [redacted:aws-key].", "AKIA is how they begin"},
	{"aws-key", "ASIA", "ASIA" A16, "[redacted:aws-key]", "ASIA PACIFIC"},
	{"github-token", "ghp_", "(ghp_" A36 ")", "([redacted:github-token])", "ghp_short"},
	{"github-token", "gho_", "gho_" A36, "[redacted:github-token]", "gho_st"},
	{"github-token", "ghu_", "ghu_" A36, "[redacted:github-token]", "ghu_x"},
	{"github-token", "ghs_", "ghs_" A36, "[redacted:github-token]", "ghs_x"},
	{"github-token", "ghr_", "ghr_" A36, "[redacted:github-token]", "ghr_x"},
	{"github-token", "github_pat_", "github_pat_" A16 "_" A36, "[redacted:github-token]", "github_pat_name"},
	{"gitlab-token", "glpat-", "glpat-" A36 ".01", "[redacted:gitlab-token]", "glpat-x"},
	{"gitlab-token", "gldt-", "gldt-" A36, "[redacted:gitlab-token]", "gldt-x"},
	{"gitlab-token", "glrt-", "glrt-" A36, "[redacted:gitlab-token]", "glrt-x"},
	{"gitlab-token", "glptt-", "glptt-" A36, "[redacted:gitlab-token]", "glptt-x"},
	{"gitlab-token", "glcbt-", "glcbt-" A36, "[redacted:gitlab-token]", "glcbt-x"},
	{"slack-token", "xoxb-", "xoxb-123-456-" A16, "[redacted:slack-token]", "xoxb-1"},
	{"slack-token", "xoxp-", "xoxp-123-456-" A16, "[redacted:slack-token]", "xoxp-1"},
	{"slack-token", "xoxa-", "xoxa-2-123-" A16, "[redacted:slack-token]", "xoxa-1"},
	{"slack-token", "xoxr-", "xoxr-123-" A16, "[redacted:slack-token]", "xoxr-1"},
	{"slack-token", "xoxs-", "xoxs-123-" A16, "[redacted:slack-token]", "xoxs-1"},
	{"slack-token", "xoxe", "xoxe.xoxp-1-" A16, "[redacted:slack-token]", "xoxe xoxo"},
	{"slack-token", "xapp-", "xapp-1-" A16, "[redacted:slack-token]", "xapp-1"},
	{"slack-webhook", "hooks.slack.com/services/", "https://hooks.slack.com/services/T1/B2/" A16,
     "https://[redacted:slack-webhook]", "https://hooks.slack.com/services/help"},
	{"anthropic-key", "sk-ant-", "sk-ant-api03-" A36 "_-x", "[redacted:anthropic-key]", "sk-ant-hill"},
	{"openai-key", "sk-proj-", "sk-proj-" A36 "_-x", "[redacted:openai-key]", "sk-proj-plan"},
	{"openai-key", "sk-svcacct-", "sk-svcacct-" A36, "[redacted:openai-key]", "sk-svcacct-x"},
	{"openai-key", "sk-admin-", "sk-admin-" A36, "[redacted:openai-key]", "sk-admin-x"},
	{"openai-key", "sk-", "key sk-" A36, "key [redacted:openai-key]", "task-" A36},
	{"google-key", "AIza", "?key=AIza" A36, "?key=[redacted:google-key]", "AIzawl"},
	{"google-token", "ya29.", "ya29.a0_" A36, "[redacted:google-token]", "ya29. and"},
	{"google-secret", "GOCSPX-", "GOCSPX-" A36, "[redacted:google-secret]", "GOCSPX-x"},
	{"npm-token", "npm_", "npm_" A36, "[redacted:npm-token]", "npm_config_cache"},
	{"stripe-key", "sk_live_", "sk_live_" A36, "[redacted:stripe-key]", "sk_live_x"},
	{"stripe-key", "rk_live_", "rk_live_" A36, "[redacted:stripe-key]", "rk_live_x"},
	{"huggingface-token", "hf_", "hf_" A36, "[redacted:huggingface-token]", "half_" A36},
	{"jwt", "eyJ", "x=eyJhbGciOiJI.eyJzdWIiOiIxMjM0NTY3ODkw.dQw4w9WgXcQ;", "x=[redacted:jwt];",
     "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"},
	{"bearer", "bearer ", "Bearer " A36 "/+=", "Bearer [redacted:bearer]", "the bearer of good news"},
	{"authorization", "authorization", "-H 'Authorization: Basic dTpw x'", "-H 'Authorization: [redacted:authorization]'",
     "needs authorization by two"},
	{"password", "password", "DB_PASSWORD=hunter2 ./run", "DB_PASSWORD=[redacted:password] ./run",
     "password_hash = f(password)"},
	{"password", "passwd", "passwd: hunter2", "passwd: [redacted:password]", "/etc/passwd is read"},
	{"password", "passphrase", "passphrase = 'hunter two'", "passphrase = '[redacted:password]'", "a passphrase, long"},
	{"secret", "secret", "client_secret=abc&x", "client_secret=[redacted:secret]", "the secret of secrets: 3"},
	{"secret", "secret_key", "SECRET_KEY='abc'", "SECRET_KEY='[redacted:secret]'", "secret_keys: 3"},
	{"secret", "secret-key", "secret-key: abc", "secret-key: [redacted:secret]", "secret-keys"},
	{"secret", "secretkey", "secretKey: \"abc\",", "secretKey: \"[redacted:secret]\",", "secretKeyName = x"},
	{"token", "token", "--token abc --x", "--token [redacted:token] --x", "max_tokens=4096, token == NULL, token::next"},
	{"api-key", "api_key", "API_KEY=abc", "API_KEY=[redacted:api-key]", "api_keys=3"},
	{"api-key", "api-key", "x-api-key: abc", "x-api-key: [redacted:api-key]", "an api-key is"},
	{"api-key", "apikey", "apiKey := \"abc\"", "apiKey := \"[redacted:api-key]\"", "apiKey()"},
	{"access-key", "access_key", "aws_secret_access_key = a/b+c", "aws_secret_access_key = [redacted:access-key]",
     "access_key_id=x"},
	{"access-key", "access-key", "access-key: abc", "access-key: [redacted:access-key]", "access-keys: 2"},
	{"access-key", "accesskey", "AccessKey=abc;", "AccessKey=[redacted:access-key]", "accesskeys"},
	{"private-key", "private_key", "private_key: abc", "private_key: [redacted:private-key]", "private_key_path = /x"},
	{"private-key", "privatekey", "privateKey => 'abc'", "privateKey => '[redacted:private-key]'", "privateKeyFile: x"},
	{"url-login", "://", "postgres://app:p@ss:word@db/x", "postgres://[redacted:url-login]@db/x",
     "ssh://git@host:22/a http://localhost:80/a@b http://h/?t=1:2@3"},
};
#define SAMPLES (sizeof samples / sizeof *samples)

static void
each_rule_finds_its_secret_and_leaves_what_looks_like_one(void **state)
{
	const char *begins, *name;

	for (size_t i = 0; i < SAMPLES; i++) {
		expect(samples[i].text, samples[i].wanted);
		stays(samples[i].near);
	}
	for (size_t n = 0; (name = redact_rule(n, &begins)) != NULL; n++) {
		size_t i = 0;

		while (i < SAMPLES && !(str_equal(samples[i].rule, name) && str_equal(samples[i].begins, begins)))
			i++;
		if (i == SAMPLES)
			fail_msg("no sample of the rule %s that begins with %s", name, begins);
	}
}

static void
an_assignment_is_found_in_every_hand(void **state)
{
	expect("{\"password\": \"a\\\"b c\", \"user\": \"x\"}", "{\"password\": \"[redacted:password]\", \"user\": \"x\"}");
	expect("{\\\"password\\\":\\\"a b\\\",\\\"user\\\":\\\"x\\\"}",
	       "{\\\"password\\\":\\\"[redacted:password]\\\",\\\"user\\\":\\\"x\\\"}");
	expect("headers['Authorization'] = 'Bearer abc'", "headers['Authorization'] = '[redacted:authorization]'");
	expect("token: Bearer abc next", "token: [redacted:token] next");
	expect("PASSWORD=\tabc\nUSER=x", "PASSWORD=\t[redacted:password]\nUSER=x");
	expect("password = 'never ended\nnext", "password = '[redacted:password]\nnext");
	expect("mysql --password hunter2 -u x", "mysql --password [redacted:password] -u x");
	expect("password=\"\"\"hunter2\"\"\"", "password=\"\"\"[redacted:password]\"\"\"");
	stays("{\"password\":\"\",\"user\":\"x\"}");
	stays("{\\\"password\\\":\\\"\\\",\\\"user\\\":\\\"x\\\"}");
	stays("password=");
	stays("a password manager - password safe");
	stays("token");
	stays("--token");
}

static void
what_was_escaped_twice_is_found(void **state)
{
	expect("a\\nAKIA" A16 "\\n", "a\\n[redacted:aws-key]\\n");
	expect("a\\nsk-" A36 "\\n", "a\\n[redacted:openai-key]\\n");
	expect("a\\neyJhbGciOiJI.eyJzdWIiOiIxMjM0NTY3ODkw.dQw4w9\\n", "a\\n[redacted:jwt]\\n");
	expect("-----BEGIN PRIVATE KEY-----\\nMII\\n-----END PRIVATE KEY-----\\n", "[redacted:private-key]\\n");
}

static void
a_block_that_is_not_ended_goes_to_the_end(void **state)
{
	expect("a -----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\nbnNz", "a [redacted:private-key]");
	expect("a <private>b\nc", "a [redacted:private]");
	/* and no other rule tears it before */
	expect("password=-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----", "password=[redacted:password]");
	expect("-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQ\n-----END PGP PRIVATE KEY BLOCK-----.", "[redacted:private-key].");
}

static void
a_text_may_hold_any_bytes(void **state)
{
	static const char text[] = "\0token=\0a\0\0 \xc3\xa9", wanted[] = "\0token=[redacted:token] \xc3\xa9";
	struct redactor redactor;
	struct buf out;

	redactor_init(&redactor);
	out = redacted_by(&redactor, text, sizeof text - 1);
	assert_int_equal(out.len, sizeof wanted - 1);
	assert_memory_equal(out.data, wanted, out.len);
	buf_release(&out);
}

static void
expect_json(const char *text, const char *wanted)
{
	char *copy = strdup(text);
	struct redactor redactor;
	struct buf out, why;
	json_t *value;

	buf_init(&out, TEXT);
	buf_init(&why, WHY_MAX);
	redactor_init(&redactor);
	assert_int_equal(redactor_add(&redactor, "ticket", "TCK-[0-9]+", &why), OK);
	assert_int_equal(json_parse(copy, strlen(copy), &value, &why), OK);
	redact_json(&redactor, value, &out);
	assert_string_equal(out.data, wanted);
	json_decref(value);
	redactor_release(&redactor);
	buf_release(&out);
	buf_release(&why);
	free(copy);
}

static void
in_json_every_text_is_redacted_and_what_a_name_says_is_secret(void **state)
{
	expect_json("{\"a\":[\"x TCK-12 y\",7,null,true,1.5],\"b\":{\"c\":\"q\\u0000\\n\\\"\"}}",
	            "{\"a\":[\"x [redacted:ticket] y\",7,null,true,1.5],\"b\":{\"c\":\"q\\u0000\\n\\\"\"}}");
	expect_json("{\"db_password\":\"hunter2\",\"accessToken\":12345,\"Authorization\":\"x\"}",
	            "{\"db_password\":\"[redacted:password]\",\"accessToken\":\"[redacted:token]\",\"Authorization\":\"[redacted:"
	            "authorization]\"}");
	expect_json("{\"tokens\":5,\"token\":null,\"secret\":{\"a\":\"TCK-1\"},\"TCK-7\":1}",
	            "{\"tokens\":5,\"token\":null,\"secret\":{\"a\":\"[redacted:ticket]\"},\"[redacted:ticket]\":1}");
	expect_json("\"token=a\"", "\"token=[redacted:token]\"");
	expect_json("[]", "[]");
	expect_json("{}", "{}");
}

static void
a_pattern_of_ones_own_is_tried_within_a_line_and_takes_whole_characters(void **state)
{
	struct redactor redactor;
	struct buf out, why;

	buf_init(&why, WHY_MAX);
	redactor_init(&redactor);
	assert_int_equal(redactor_add(&redactor, "first", "^x.*$", &why), OK);
	assert_int_equal(redactor_add(&redactor, "byte", "\xc3|z.", &why), OK);
	assert_int_equal(redactor_add(&redactor, "end", "\\>q*", &why), OK);
	out = redacted_by(&redactor, "xa\nb\nxc", 7);
	assert_string_equal(out.data, "[redacted:first]\nb\n[redacted:first]");
	buf_release(&out);
	out = redacted_by(&redactor, "-\xc3\xa9-z\xe2\x82\xac-", 9);
	assert_string_equal(out.data, "-[redacted:byte]-[redacted:byte]-");
	buf_release(&out);
	redactor_release(&redactor);
	buf_release(&why);
}

static void
a_pattern_that_cannot_be_followed_is_refused_without_a_word_of_it(void **state)
{
	static const char *const bad[] = {"", "hunter(", "hunter[", "hunter{2,1}", "(hunter)*", "^", "a*|hunter"};
	struct redactor redactor;
	struct buf why;

	buf_init(&why, WHY_MAX);
	redactor_init(&redactor);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(redactor_add(&redactor, "mine", bad[i], &why), BAD_CONFIG);
		assert_non_null(strstr(why.data, "[redact] mine: "));
		assert_null(strstr(why.data, "hunter"));
	}
	assert_int_equal(redactor_add(&redactor, "", "x", &why), BAD_CONFIG);
	for (int i = 0; i < REDACT_PATTERNS_MAX; i++)
		assert_int_equal(redactor_add(&redactor, "mine", "x", &why), OK);
	assert_int_equal(redactor_add(&redactor, "mine", "x", &why), BAD_CONFIG);
	redactor_release(&redactor);
	buf_release(&why);
}

static void
what_does_not_fit_is_an_error_and_never_a_cut(void **state)
{
	struct redactor redactor;
	struct buf out;

	redactor_init(&redactor);
	buf_init(&out, 10);
	redact_text(&redactor, "0123456789", 10, &out);
	assert_int_equal(buf_status(&out), OK);
	buf_clear(&out);
	redact_text(&redactor, "token=a", 7, &out);
	assert_int_equal(buf_status(&out), BAD_INPUT);
	buf_release(&out);
}

/* What begins a rule over and over makes none look at the rest of the text each time: a megabyte takes no minutes. */
static void
the_time_is_linear_in_the_length(void **state)
{
	static const char *const again[] = {"eyJ",      "eyJ.", ".eyJ",        "token ",
	                                    "token=",   "sk-",  "://",         "://a:",
	                                    "<private", "xoxe", "-----BEGIN ", "-----BEGIN PRIVATE KEY",
	                                    "bearer ",  "AIza", "password:\"", "\\\"token\\\":"};
	char *text = malloc(TEXT);
	struct redactor redactor;
	struct buf out;

	assert_non_null(text);
	redactor_init(&redactor);
	for (size_t i = 0; i < sizeof again / sizeof *again; i++) {
		for (size_t at = 0; at < TEXT; at++)
			text[at] = again[i][at % strlen(again[i])];
		buf_init(&out, TEXT * 16);
		redact_text(&redactor, text, TEXT, &out);
		assert_int_equal(buf_status(&out), OK);
		buf_release(&out);
	}
	free(text);
}

TESTS(cmocka_unit_test(each_rule_finds_its_secret_and_leaves_what_looks_like_one),
      cmocka_unit_test(an_assignment_is_found_in_every_hand), cmocka_unit_test(what_was_escaped_twice_is_found),
      cmocka_unit_test(a_block_that_is_not_ended_goes_to_the_end), cmocka_unit_test(a_text_may_hold_any_bytes),
      cmocka_unit_test(in_json_every_text_is_redacted_and_what_a_name_says_is_secret),
      cmocka_unit_test(a_pattern_of_ones_own_is_tried_within_a_line_and_takes_whole_characters),
      cmocka_unit_test(a_pattern_that_cannot_be_followed_is_refused_without_a_word_of_it),
      cmocka_unit_test(what_does_not_fit_is_an_error_and_never_a_cut), cmocka_unit_test(the_time_is_linear_in_the_length))
