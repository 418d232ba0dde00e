#include "base/json.h"
#include "base/str.h"

#include <ctype.h>

/* As jansson has it (JSON_PARSER_MAX_DEPTH). */
#define DEPTH_MAX 2048

struct scan {
	const char *at;
	const char *end;
};

static bool value(struct scan *scan, unsigned depth);

/* The next byte that isn't white space, still to be taken; 0 at the end. */
static char
next(struct scan *scan)
{
	while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
		scan->at++;
	if (scan->at == scan->end)
		return '\0';
	return *scan->at;
}

static bool
take(struct scan *scan, char c)
{
	if (next(scan) != c || c == '\0')
		return false;
	scan->at++;
	return true;
}

static bool
escape(struct scan *scan)
{
	size_t left = (size_t)(scan->end - scan->at);

	if (left < 2 || scan->at[1] == '\0' || strchr("\"\\/bfnrtu", scan->at[1]) == NULL)
		return false;
	if (scan->at[1] != 'u') {
		scan->at += 2;
		return true;
	}
	if (left < 6)
		return false;
	for (int i = 2; i < 6; i++)
		if (!isxdigit((unsigned char)scan->at[i]))
			return false;
	scan->at += 6;
	return true;
}

/* Most bytes of a transcript are inside of strings, and most of those are plain. */
static bool
is_plain(char c)
{
	return (signed char)c >= ' ' && c != '"' && c != '\\';
}

static bool
string(struct scan *scan)
{
	if (!take(scan, '"'))
		return false;
	for (;;) {
		size_t len;

		while (scan->at < scan->end && is_plain(*scan->at))
			scan->at++;
		if (scan->at == scan->end || (unsigned char)*scan->at < ' ')
			return false;
		if (*scan->at == '"')
			break;
		if (*scan->at == '\\') {
			if (!escape(scan))
				return false;
			continue;
		}
		len = str_char(scan->at, (size_t)(scan->end - scan->at));
		if (len == 0)
			return false;
		scan->at += len;
	}
	scan->at++;
	return true;
}

static bool
digits(struct scan *scan)
{
	const char *from = scan->at;

	while (scan->at < scan->end && isdigit((unsigned char)*scan->at))
		scan->at++;
	return scan->at > from;
}

static bool
is_at(const struct scan *scan, char a, char b)
{
	return scan->at < scan->end && (*scan->at == a || *scan->at == b);
}

static bool
number(struct scan *scan)
{
	if (is_at(scan, '-', '-'))
		scan->at++;
	if (is_at(scan, '0', '0'))
		scan->at++;
	else if (!digits(scan))
		return false;
	if (is_at(scan, '.', '.')) {
		scan->at++;
		if (!digits(scan))
			return false;
	}
	if (!is_at(scan, 'e', 'E'))
		return true;
	scan->at++;
	if (is_at(scan, '+', '-'))
		scan->at++;
	return digits(scan);
}

static bool
word(struct scan *scan, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, text, len) != 0)
		return false;
	scan->at += len;
	return true;
}

/* What stands between brackets or braces. */
static bool
members(struct scan *scan, char close, unsigned depth)
{
	scan->at++;
	if (take(scan, close))
		return true;
	do {
		if (close == '}' && !(string(scan) && take(scan, ':')))
			return false;
		if (!value(scan, depth))
			return false;
	} while (take(scan, ','));
	return take(scan, close);
}

static bool
value(struct scan *scan, unsigned depth)
{
	if (depth == DEPTH_MAX)
		return false;
	switch (next(scan)) {
	case '{':
		return members(scan, '}', depth + 1);
	case '[':
		return members(scan, ']', depth + 1);
	case '"':
		return string(scan);
	case 't':
		return word(scan, "true");
	case 'f':
		return word(scan, "false");
	case 'n':
		return word(scan, "null");
	default:
		return number(scan);
	}
}

bool
json_is_whole_object(const char *text, size_t len)
{
	struct scan scan = {text, text + len};

	return next(&scan) == '{' && value(&scan, 0) && next(&scan) == '\0' && scan.at == scan.end;
}
