#include "base/redact_parts.h"

#include "base/str.h"

#include <strings.h>

#define LABEL_OF_A_KEY 64 /* bytes between BEGIN and the dashes behind it */
#define FLAG_LOOK 40      /* bytes of a flag that are looked at before its last word */

#define WORD "A-Za-z0-9"
#define DASHED "A-Za-z0-9_-"
#define DOTTED "A-Za-z0-9_.-"
#define BEARER "A-Za-z0-9._~+/=-"
#define QUOTES "\"'`"
#define BLANKS " \t"

struct rule;

/* Whether a secret is at `at`, where the rule's beginning was found: from where to where. */
typedef bool match_function(const struct rule *rule, const char *text, size_t len, size_t at, struct stretch *out);

struct rule {
	const char *name;
	const char *begins;
	match_function *match;
	const char *run; /* of such characters (sets as in [...]) */
	size_t least;    /* so many of them at least */
	bool word;       /* no letter or digit may stand before it */
	bool any_case;
};

static bool
in_set(char c, const char *set)
{
	while (*set != '\0') {
		bool range = set[1] == '-' && set[2] != '\0';

		if (range ? c >= set[0] && c <= set[2] : c == set[0])
			return true;
		set += range ? 3 : 1;
	}
	return false;
}

static size_t
run_of(const char *text, size_t len, size_t at, const char *set)
{
	while (at < len && in_set(text[at], set))
		at++;
	return at;
}

static bool
is_at(const char *text, size_t len, size_t at, const char *word, bool any_case)
{
	size_t wanted = strlen(word);

	if (wanted > len - at)
		return false;
	return any_case ? strncasecmp(text + at, word, wanted) == 0 : memcmp(text + at, word, wanted) == 0;
}

/* The n of an escape "\n" that was escaped itself is no part of the word behind it. */
static bool
begins_word(const char *text, size_t at, const char *set)
{
	return at == 0 || !in_set(text[at - 1], set) || (at > 1 && text[at - 2] == '\\');
}

/* A beginning that no word has, and enough behind it. */
static bool
match_token(const struct rule *rule, const char *text, size_t len, size_t at, struct stretch *out)
{
	size_t from = at + strlen(rule->begins), to = run_of(text, len, from, rule->run);

	if (to - from < rule->least || (rule->word && !begins_word(text, at, WORD)))
		return false;
	*out = (struct stretch){rule->name, rule->any_case ? from : at, to};
	return true;
}

/* Three parts with dots between; the first is an object in base64, so it begins with {". */
static bool
match_jwt(const struct rule *rule, const char *text, size_t len, size_t at, struct stretch *out)
{
	size_t to, dots = 0;

	if (!begins_word(text, at, DASHED))
		return false;
	to = run_of(text, len, at, rule->run);
	for (size_t i = at; i < to; i++)
		dots += text[i] == '.';
	*out = (struct stretch){rule->name, at, to};
	return dots >= 2 && to - at >= rule->least;
}

static size_t
find(const char *text, size_t len, size_t at, const char *word)
{
	while (at < len && !is_at(text, len, at, word, true))
		at++;
	return at;
}

/* What isn't ended goes to the end of the text. */
static bool
match_private(const struct rule *rule, const char *text, size_t len, size_t at, struct stretch *out)
{
	static const char end[] = "</private>";
	size_t to = find(text, len, at, end);

	*out = (struct stretch){rule->name, at, to == len ? len : to + sizeof end - 1};
	return true;
}

static bool
match_key(const struct rule *rule, const char *text, size_t len, size_t at, struct stretch *out)
{
	size_t from = at + strlen(rule->begins), room = len - from < LABEL_OF_A_KEY ? len - from : LABEL_OF_A_KEY;
	const char *dashes = memmem(text + from, room, "-----", 5), *end;
	size_t label = dashes == NULL ? 0 : (size_t)(dashes - text) - from;

	if (label == 0 || memmem(text + from, label, "PRIVATE KEY", 11) == NULL)
		return false;
	*out = (struct stretch){rule->name, at, len};
	end = memmem(dashes, len - (size_t)(dashes - text), "-----END ", 9);
	if (end != NULL && (end = memmem(end + 9, len - (size_t)(end + 9 - text), "-----", 5)) != NULL)
		out->to = (size_t)(end + 5 - text);
	return true;
}

/* Blanks, quotes and what closes an index, between a name and the sign behind it, or between that and the value. */
static size_t
skip(const char *text, size_t len, size_t at, const char *set)
{
	while (at < len && text[at] != '\0' && strchr(set, text[at]) != NULL)
		at++;
	return at;
}

/* Past "=", ":", ":=" or "=>", none of which is a comparison or a scope; `at` if there is none. */
static size_t
past_sign(const char *text, size_t len, size_t at)
{
	char sign = at < len ? text[at] : '\0', next = at + 1 < len ? text[at + 1] : '\0';

	if ((sign == '=' && (next == '=' || next == '~')) || (sign == ':' && next == ':'))
		return at;
	if ((sign == '=' && next == '>') || (sign == ':' && next == '='))
		return at + 2;
	return sign == '=' || sign == ':' ? at + 1 : at;
}

/* "--password VALUE": whether the word that is at `at` is the end of a flag. */
static bool
is_flag(const char *text, size_t at)
{
	size_t from = at;

	while (from > 0 && at - from < FLAG_LOOK && in_set(text[from - 1], DASHED))
		from--;
	return from < at && text[from] == '-';
}

/* To the quote that closes it, or the end of the line; a quote that is escaped closes only what such a one has opened. */
static size_t
quoted_end(const char *text, size_t len, size_t at, char quote, bool escaped)
{
	while (at < len && text[at] != '\n' && (text[at] != quote || (!escaped && text[at - 1] == '\\')))
		at++;
	while (escaped && at < len && text[at] == quote && text[at - 1] == '\\')
		at--;
	return at;
}

static size_t
word_end(const char *text, size_t len, size_t at)
{
	while (at < len && (text[at] == '\0' || strchr(" \t\r\n" QUOTES, text[at]) == NULL))
		at++;
	return at;
}

/* "" and \"\" */
static bool
is_empty(const char *quotes, size_t len)
{
	return (len == 2 && quotes[0] == quotes[1]) || (len == 4 && quotes[0] == '\\' && memcmp(quotes, quotes + 2, 2) == 0);
}

/* A value as it stands in shells, settings and programs; the word after the name of a scheme belongs to it. */
static size_t
value_end(const char *text, size_t len, size_t *from)
{
	size_t at = skip(text, len, *from, BLANKS), to = skip(text, len, at, QUOTES "\\"), end;

	*from = to;
	if (is_empty(text + at, to - at))
		return to;
	if (to > at && text[to - 1] != '\\')
		return quoted_end(text, len, to, text[to - 1], to - at > 1 && text[to - 2] == '\\');
	end = word_end(text, len, to);
	if ((end - to == 6 && is_at(text, len, to, "bearer", true)) || (end - to == 5 && is_at(text, len, to, "basic", true)))
		end = word_end(text, len, skip(text, len, end, BLANKS));
	return end;
}

/* NAME=VALUE, NAME: VALUE, "NAME": "VALUE", --NAME VALUE. */
static bool
match_assigned(const struct rule *rule, const char *text, size_t len, size_t at, struct stretch *out)
{
	size_t end = at + strlen(rule->begins), sign = skip(text, len, end, BLANKS QUOTES "\\]"), from = past_sign(text, len, sign),
		   to;

	if (from == sign && (end == len || strchr(BLANKS, text[end]) == NULL || text[end] == '\0' || !is_flag(text, at)))
		return false;
	if (from == sign)
		from = end;
	to = value_end(text, len, &from);
	*out = (struct stretch){rule->name, from, to};
	return to > from;
}

/* The rest of the header's line, or what its quotes hold. */
static bool
match_header(const struct rule *rule, const char *text, size_t len, size_t at, struct stretch *out)
{
	size_t sign = skip(text, len, at + strlen(rule->begins), BLANKS QUOTES "\\]"), from = past_sign(text, len, sign), to;

	if (from == sign)
		return false;
	to = from = skip(text, len, from, BLANKS QUOTES "\\");
	while (to < len && (text[to] == '\0' || strchr("\r\n" QUOTES, text[to]) == NULL))
		to++;
	*out = (struct stretch){rule->name, from, to};
	return to > from;
}

/* ://USER:PASSWORD@, both: tokens are given as either. */
static bool
match_url(const struct rule *rule, const char *text, size_t len, size_t at, struct stretch *out)
{
	size_t from = at + strlen(rule->begins), to = from;
	const char *colon, *sign;

	while (to < len && (text[to] == '\0' || strchr("/?#<> \t\r\n" QUOTES, text[to]) == NULL))
		to++;
	colon = memchr(text + from, ':', to - from);
	sign = memrchr(text + from, '@', to - from);
	if (colon == NULL || sign == NULL || colon + 1 >= sign)
		return false;
	*out = (struct stretch){rule->name, from, (size_t)(sign - text)};
	return true;
}

/* First of all: what these hold would be torn by others. */
static const struct rule blocks[] = {
	{"private-key", "-----BEGIN ", match_key, NULL, 0, false, false},
	{"private", "<private>", match_private, NULL, 0, false, true},
};

#define TOKEN(name, begins, run, least) \
	{ \
		name, begins, match_token, run, least, false, false \
	}
#define ASSIGNED(name, begins) \
	{ \
		name, begins, match_assigned, NULL, 0, false, true \
	}

/* What is found first at a place counts. */
static const struct rule rules[] = {
	TOKEN("aws-key", "AKIA", "A-Z0-9", 16),
	TOKEN("aws-key", "ASIA", "A-Z0-9", 16),
	TOKEN("github-token", "ghp_", WORD, 30),
	TOKEN("github-token", "gho_", WORD, 30),
	TOKEN("github-token", "ghu_", WORD, 30),
	TOKEN("github-token", "ghs_", WORD, 30),
	TOKEN("github-token", "ghr_", WORD, 30),
	TOKEN("github-token", "github_pat_", "A-Za-z0-9_", 22),
	TOKEN("gitlab-token", "glpat-", DOTTED, 20),
	TOKEN("gitlab-token", "gldt-", DOTTED, 20),
	TOKEN("gitlab-token", "glrt-", DOTTED, 20),
	TOKEN("gitlab-token", "glptt-", DOTTED, 20),
	TOKEN("gitlab-token", "glcbt-", DOTTED, 20),
	TOKEN("slack-token", "xoxb-", "A-Za-z0-9-", 10),
	TOKEN("slack-token", "xoxp-", "A-Za-z0-9-", 10),
	TOKEN("slack-token", "xoxa-", "A-Za-z0-9-", 10),
	TOKEN("slack-token", "xoxr-", "A-Za-z0-9-", 10),
	TOKEN("slack-token", "xoxs-", "A-Za-z0-9-", 10),
	TOKEN("slack-token", "xoxe", "A-Za-z0-9.-", 20),
	TOKEN("slack-token", "xapp-", "A-Za-z0-9-", 10),
	TOKEN("slack-webhook", "hooks.slack.com/services/", "A-Za-z0-9/", 20),
	TOKEN("anthropic-key", "sk-ant-", DASHED, 20),
	TOKEN("openai-key", "sk-proj-", DASHED, 20),
	TOKEN("openai-key", "sk-svcacct-", DASHED, 20),
	TOKEN("openai-key", "sk-admin-", DASHED, 20),
	{"openai-key", "sk-", match_token, WORD, 32, true, false},
	TOKEN("google-key", "AIza", DASHED, 30),
	TOKEN("google-token", "ya29.", DOTTED, 20),
	TOKEN("google-secret", "GOCSPX-", DASHED, 20),
	TOKEN("npm-token", "npm_", WORD, 30),
	TOKEN("stripe-key", "sk_live_", WORD, 16),
	TOKEN("stripe-key", "rk_live_", WORD, 16),
	{"huggingface-token", "hf_", match_token, WORD, 30, true, false},
	{"jwt", "eyJ", match_jwt, DOTTED, 30, true, false},
	{"bearer", "bearer ", match_token, BEARER, 16, true, true},
	{"authorization", "authorization", match_header, NULL, 0, false, true},
	ASSIGNED("password", "password"),
	ASSIGNED("password", "passwd"),
	ASSIGNED("password", "passphrase"),
	ASSIGNED("secret", "secret"),
	ASSIGNED("secret", "secret_key"),
	ASSIGNED("secret", "secret-key"),
	ASSIGNED("secret", "secretkey"),
	ASSIGNED("token", "token"),
	ASSIGNED("api-key", "api_key"),
	ASSIGNED("api-key", "api-key"),
	ASSIGNED("api-key", "apikey"),
	ASSIGNED("access-key", "access_key"),
	ASSIGNED("access-key", "access-key"),
	ASSIGNED("access-key", "accesskey"),
	ASSIGNED("private-key", "private_key"),
	ASSIGNED("private-key", "privatekey"),
	{"url-login", "://", match_url, NULL, 0, false, false},
};

#define BLOCKS (sizeof blocks / sizeof *blocks)
#define RULES (sizeof rules / sizeof *rules)

const char *
redact_rule(size_t n, const char **begins)
{
	const struct rule *rule = n < BLOCKS ? &blocks[n] : &rules[n - BLOCKS];

	if (n >= BLOCKS + RULES)
		return NULL;
	*begins = rule->begins;
	return rule->name;
}

const char *
redact_member(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < RULES; i++) {
		size_t end = strlen(rules[i].begins);

		if ((rules[i].match == match_assigned || rules[i].match == match_header) && end <= len &&
		    strcasecmp(name + len - end, rules[i].begins) == 0)
			return rules[i].name;
	}
	return NULL;
}

void
redact_mark(const char *rule, struct buf *out)
{
	buf_text(out, "[redacted:");
	buf_text(out, rule);
	buf_text(out, "]");
}

/* For each byte whether a rule begins with it. */
static void
note_beginnings(const struct rule *of, size_t count, bool begins[256])
{
	for (size_t i = 0; i < count; i++) {
		unsigned char first = (unsigned char)of[i].begins[0];

		begins[first] = true;
		if (of[i].any_case && first >= 'a' && first <= 'z')
			begins[first - 'a' + 'A'] = true;
	}
}

static bool
may_begin(const struct rule *rule, char c)
{
	return c == rule->begins[0] || (rule->any_case && (c | 0x20) == rule->begins[0]);
}

static bool
match_at(const struct rule *of, size_t count, const char *text, size_t len, size_t at, struct stretch *out)
{
	for (size_t i = 0; i < count; i++)
		if (may_begin(&of[i], text[at]) && is_at(text, len, at, of[i].begins, of[i].any_case) &&
		    of[i].match(&of[i], text, len, at, out))
			return true;
	return false;
}

static void
pass(const struct rule *of, size_t count, const char *text, size_t len, struct buf *out)
{
	bool begins[256] = {false};
	struct stretch found;
	size_t kept = 0;

	note_beginnings(of, count, begins);
	for (size_t at = 0; at < len;) {
		if (!begins[(unsigned char)text[at]] || !match_at(of, count, text, len, at, &found)) {
			at++;
			continue;
		}
		buf_add(out, text + kept, found.from - kept);
		redact_mark(found.rule, out);
		at = kept = found.to;
	}
	buf_add(out, text + kept, len - kept);
}

void
redact_by_rules(const char *text, size_t len, struct buf *out)
{
	struct buf whole;

	buf_init(&whole, out->max);
	pass(blocks, BLOCKS, text, len, &whole);
	pass(rules, RULES, whole.data, whole.len, out);
	if (out->failed == OK)
		out->failed = whole.failed;
	buf_release(&whole);
}
