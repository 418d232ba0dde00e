#include "base/jsontext.h"

#include "base/str.h"

#include <ctype.h>

#define DEPTH_MAX 512
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct scan {
	const char *text;
	size_t len;
	size_t at;
	const char *problem;
};

static bool
fail(struct scan *scan, const char *problem)
{
	scan->problem = problem;
	return false;
}

static int
peek(const struct scan *scan)
{
	return scan->at < scan->len ? (unsigned char)scan->text[scan->at] : -1;
}

static bool
is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
skip_space(struct scan *scan)
{
	while (is_space(peek(scan)))
		scan->at++;
}

static bool
skip_escape(struct scan *scan)
{
	scan->at++;
	if (peek(scan) == 'u') {
		for (int i = 0; i < 4; i++) {
			scan->at++;
			if (!isxdigit(peek(scan)))
				return fail(scan, "four hexadecimal digits must follow \\u");
		}
	} else if (peek(scan) <= 0 || strchr("\"\\/bfnrt", peek(scan)) == NULL)
		return fail(scan, "no such escape in a string");
	scan->at++;
	return true;
}

static bool
skip_string(struct scan *scan)
{
	if (peek(scan) != '"')
		return fail(scan, "a string must stand here");
	scan->at++;
	while (peek(scan) != '"') {
		if (peek(scan) < 0)
			return fail(scan, "the text ends inside a string");
		if (peek(scan) < ' ')
			return fail(scan, "a control character inside a string");
		if (peek(scan) == '\\') {
			if (!skip_escape(scan))
				return false;
		} else
			scan->at++;
	}
	scan->at++;
	return true;
}

static bool
skip_digits(struct scan *scan)
{
	if (!isdigit(peek(scan)))
		return fail(scan, "a digit must stand here");
	while (isdigit(peek(scan)))
		scan->at++;
	return true;
}

static bool
skip_number(struct scan *scan)
{
	if (peek(scan) == '-')
		scan->at++;
	if (peek(scan) == '0')
		scan->at++;
	else if (!skip_digits(scan))
		return false;
	if (peek(scan) == '.') {
		scan->at++;
		if (!skip_digits(scan))
			return false;
	}
	if (peek(scan) != 'e' && peek(scan) != 'E')
		return true;
	scan->at++;
	if (peek(scan) == '+' || peek(scan) == '-')
		scan->at++;
	return skip_digits(scan);
}

static bool
skip_word(struct scan *scan)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t len = strlen(words[i]);

		if (scan->len - scan->at >= len && memcmp(scan->text + scan->at, words[i], len) == 0) {
			scan->at += len;
			return true;
		}
	}
	return fail(scan, peek(scan) < 0 ? "the text ends where a value must stand" : "no value can begin like this");
}

static bool
skip_colon(struct scan *scan)
{
	skip_space(scan);
	if (peek(scan) != ':')
		return fail(scan, "a colon must stand here");
	scan->at++;
	skip_space(scan);
	return true;
}

static bool skip_value(struct scan *scan, int depth);

static bool
skip_children(struct scan *scan, char close, int depth)
{
	scan->at++;
	skip_space(scan);
	if (peek(scan) == close) {
		scan->at++;
		return true;
	}
	for (;;) {
		if (close == '}' && (!skip_string(scan) || !skip_colon(scan)))
			return false;
		if (!skip_value(scan, depth))
			return false;
		skip_space(scan);
		if (peek(scan) == close)
			break;
		if (peek(scan) != ',')
			return fail(scan, close == '}' ? "a comma or } must stand here" : "a comma or ] must stand here");
		scan->at++;
		skip_space(scan);
	}
	scan->at++;
	return true;
}

static bool
skip_value(struct scan *scan, int depth)
{
	int c = peek(scan);

	if (depth > DEPTH_MAX)
		return fail(scan, "nested too deep");
	if (c == '{')
		return skip_children(scan, '}', depth + 1);
	if (c == '[')
		return skip_children(scan, ']', depth + 1);
	if (c == '"')
		return skip_string(scan);
	return c == '-' || isdigit(c) ? skip_number(scan) : skip_word(scan);
}

static enum json_kind
kind_of(char first)
{
	switch (first) {
	case '{':
		return JSON_PIECE_OBJECT;
	case '[':
		return JSON_PIECE_ARRAY;
	case '"':
		return JSON_PIECE_STRING;
	case 't':
	case 'f':
	case 'n':
		return JSON_PIECE_WORD;
	default:
		return JSON_PIECE_NUMBER;
	}
}

static bool
take_value(struct scan *scan, size_t key, struct json_piece *out)
{
	size_t from = scan->at;

	if (!skip_value(scan, 0))
		return false;
	*out = (struct json_piece){.kind = kind_of(scan->text[from]), .from = from, .to = scan->at, .key = key};
	return true;
}

static enum status
complain(const struct scan *scan, struct buf *why)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < scan->at && i < scan->len; i++) {
		column++;
		if (scan->text[i] == '\n') {
			line++;
			column = 1;
		}
	}
	return why_not(why, BAD_INPUT, "not JSON: line %zu, column %zu: %s", line, column, scan->problem);
}

enum status
jsontext_root(const char *text, size_t len, struct json_piece *out, struct buf *why)
{
	struct scan scan = {.text = text, .len = len};
	struct json_piece root;

	if (len >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0)
		scan.at = 3;
	skip_space(&scan);
	if (!take_value(&scan, scan.at, &root))
		return complain(&scan, why);
	skip_space(&scan);
	if (scan.at < len) {
		fail(&scan, "nothing may follow the value");
		return complain(&scan, why);
	}
	*out = root;
	return OK;
}

bool
jsontext_child(const char *text, const struct json_piece *in, const struct json_piece *before, struct json_piece *out)
{
	struct scan scan = {.text = text, .len = in->to - 1, .at = before == NULL ? in->from + 1 : before->to};
	size_t key;

	if (in->kind != JSON_PIECE_OBJECT && in->kind != JSON_PIECE_ARRAY)
		return false;
	skip_space(&scan);
	if (before != NULL && peek(&scan) == ',') {
		scan.at++;
		skip_space(&scan);
	}
	key = scan.at;
	if (peek(&scan) < 0 || (in->kind == JSON_PIECE_OBJECT && (!skip_string(&scan) || !skip_colon(&scan))))
		return false;
	return take_value(&scan, key, out);
}

static unsigned
hex4(const char *at)
{
	unsigned value = 0;

	for (int i = 0; i < 4; i++)
		value = value * 16 + (unsigned)(isdigit((unsigned char)at[i]) ? at[i] - '0' : (at[i] | 0x20) - 'a' + 10);
	return value;
}

static void
add_utf8(struct buf *out, unsigned code)
{
	char bytes[4];
	size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char first[] = {0, 0x00, 0xc0, 0xe0, 0xf0};

	for (size_t i = len - 1; i > 0; i--, code >>= 6)
		bytes[i] = (char)(0x80 | (code & 0x3f));
	bytes[0] = (char)(first[len] | code);
	buf_add(out, bytes, len);
}

/* Reads \uXXXX, and the second half that belongs to it; half of a pair alone is U+FFFD. */
static const char *
add_escaped(struct buf *out, const char *at)
{
	unsigned code = hex4(at + 2), low;

	at += 6;
	if (code >= 0xd800 && code < 0xdc00 && at[0] == '\\' && at[1] == 'u') {
		low = hex4(at + 2);
		if (low >= 0xdc00 && low < 0xe000) {
			add_utf8(out, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
			return at + 6;
		}
	}
	add_utf8(out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
	return at;
}

/* `at` is the opening quote of a string that is known to be well formed. */
static void
add_string(struct buf *out, const char *at)
{
	static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";

	for (at++; *at != '"';) {
		const char *name;

		if (*at != '\\') {
			buf_add(out, at++, 1);
		} else if (at[1] == 'u') {
			at = add_escaped(out, at);
		} else {
			name = strchr(names, at[1]);
			buf_add(out, name == NULL ? at + 1 : values + (name - names), 1);
			at += 2;
		}
	}
}

void
jsontext_key(const char *text, const struct json_piece *member, struct buf *out)
{
	add_string(out, text + member->key);
}

void
jsontext_string(const char *text, const struct json_piece *string, struct buf *out)
{
	add_string(out, text + string->from);
}

static bool
stands_for(const char *quote, const char *wanted)
{
	struct buf got;
	bool same;

	buf_init(&got, strlen(wanted) + 1);
	add_string(&got, quote);
	same = buf_status(&got) == OK && got.len == strlen(wanted) && memcmp(got.data, wanted, got.len) == 0;
	buf_release(&got);
	return same;
}

bool
jsontext_is(const char *text, const struct json_piece *piece, const char *wanted)
{
	return piece->kind == JSON_PIECE_STRING && stands_for(text + piece->from, wanted);
}

bool
jsontext_member(const char *text, const struct json_piece *object, const char *key, struct json_piece *out)
{
	struct json_piece child;
	bool found = false;

	if (object->kind != JSON_PIECE_OBJECT)
		return false;
	for (bool more = jsontext_child(text, object, NULL, &child); more; more = jsontext_child(text, object, &child, &child))
		if (stands_for(text + child.key, key)) {
			*out = child;
			found = true;
		}
	return found;
}
