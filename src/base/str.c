#include "base/str.h"

#include <errno.h>
#include <math.h>

bool
str_starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

bool
str_ends(const char *text, const char *with)
{
	size_t text_len = strlen(text), with_len = strlen(with);

	return text_len >= with_len && memcmp(text + text_len - with_len, with, with_len) == 0;
}

enum status
str_copy(char *out, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len >= size)
		return BAD_INPUT;
	memcpy(out, text, len + 1);
	return OK;
}

size_t
str_char(const char *text, size_t left)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (left == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (left < len || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}

bool
str_is_control(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	if (s[0] == 0xe2 && s[1] == 0x80)
		return s[2] >= 0xa8 && s[2] <= 0xae;
	if (s[0] == 0xe2 && s[1] == 0x81)
		return s[2] >= 0xa6 && s[2] <= 0xa9;
	return s[0] < ' ' || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

/* The number of the control character of `step` bytes at `text`. */
static unsigned
control_number(const char *text, size_t step)
{
	const unsigned char *s = (const unsigned char *)text;

	return step < 3 ? s[step - 1] : (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
}

enum status
str_check_text(const char *what, const char *text, size_t max, struct buf *why)
{
	size_t len = strlen(text), step;

	if (len > max)
		return why_not(why, BAD_INPUT, "%s is %zu bytes long; the limit is %zu", what, len, max);
	for (size_t at = 0; at < len; at += step) {
		step = str_char(text + at, len - at);
		if (step == 0)
			return why_not(why, BAD_INPUT, "%s is not valid UTF-8", what);
		if (str_is_control(text + at))
			return why_not(why, BAD_INPUT, "%s holds a control character (0x%02x)", what, control_number(text + at, step));
	}
	return OK;
}

enum status
str_check_long(const char *what, const char *text, size_t len, struct buf *why)
{
	for (size_t at = 0, step; at < len; at += step) {
		step = text[at] == '\0' ? 0 : str_char(text + at, len - at);
		if (step == 0)
			return why_not(why, BAD_INPUT, "%s is not valid UTF-8 text", what);
	}
	return OK;
}

enum status
str_check_id(const char *what, const char *text, size_t max, struct buf *why)
{
	if (*text == '\0')
		return why_not(why, BAD_INPUT, "%s is empty", what);
	return str_check_text(what, text, max, why);
}

enum status
str_integer(const char *text, int64_t min, int64_t max, int64_t *out)
{
	long long value;
	char *end;

	if (!((*text >= '0' && *text <= '9') || (*text == '-' && text[1] >= '0' && text[1] <= '9')))
		return BAD_INPUT;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno != 0 || *end != '\0' || value < min || value > max)
		return BAD_INPUT;
	*out = value;
	return OK;
}

enum status
str_number(const char *text, double *out)
{
	double value;
	char *end;

	if (!((*text >= '0' && *text <= '9') || *text == '-' || *text == '.'))
		return BAD_INPUT;
	errno = 0;
	value = strtod(text, &end);
	if (errno != 0 || *end != '\0' || end == text || !isfinite(value))
		return BAD_INPUT;
	*out = value;
	return OK;
}

static const struct unit {
	const char *name;
	int64_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

enum status
str_duration(const char *text, int64_t *ms)
{
	char digits[16];
	size_t len = strspn(text, "0123456789");
	int64_t count;

	if (len == 0 || len >= sizeof digits)
		return BAD_INPUT;
	memcpy(digits, text, len);
	digits[len] = '\0';
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (!str_equal(text + len, units[i].name))
			continue;
		if (str_integer(digits, 0, INT64_MAX / units[i].ms, &count) != OK)
			return BAD_INPUT;
		*ms = count * units[i].ms;
		return OK;
	}
	return BAD_INPUT;
}

void
str_ago(char *out, size_t size, int64_t ms)
{
	if (ms < 1000)
		snprintf(out, size, "%lld ms", (long long)(ms < 0 ? 0 : ms));
	else if (ms < 120000)
		snprintf(out, size, "%lld s", (long long)(ms / 1000));
	else if (ms < 7200000)
		snprintf(out, size, "%lld min", (long long)(ms / 60000));
	else if (ms < 172800000)
		snprintf(out, size, "%lld h", (long long)(ms / 3600000));
	else
		snprintf(out, size, "%lld d", (long long)(ms / 86400000));
}

void
str_instant(char *out, size_t size, int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;

	if (gmtime_r(&seconds, &parts) == NULL || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		snprintf(out, size, "%lld", (long long)ms);
}

int64_t
str_instant_ms(const char *text)
{
	struct tm parts = {0};
	int64_t ms = 0;
	int length = 0;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &parts.tm_hour, &parts.tm_min,
	           &parts.tm_sec, &length) != 6 ||
	    parts.tm_year < 1970 || parts.tm_year > 9999 || parts.tm_mon < 1 || parts.tm_mon > 12 || parts.tm_mday < 1 ||
	    parts.tm_mday > 31 || parts.tm_hour < 0 || parts.tm_hour > 23 || parts.tm_min < 0 || parts.tm_min > 59 ||
	    parts.tm_sec < 0 || parts.tm_sec > 60)
		return 0;
	if (text[length] == '.')
		for (int i = 1, unit = 100; i <= 3 && text[length + i] >= '0' && text[length + i] <= '9'; i++, unit /= 10)
			ms += (text[length + i] - '0') * unit;
	parts.tm_year -= 1900;
	parts.tm_mon--;
	return (int64_t)timegm(&parts) * 1000 + ms;
}

void
str_shell_quote(struct buf *out, const char *text)
{
	buf_text(out, "'");
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			buf_text(out, "'\\''");
		else
			buf_add(out, text, 1);
	}
	buf_text(out, "'");
}

void
str_one_line(char *out, size_t size, const char *text)
{
	size_t len = strlen(text), at = 0, step;

	while (at < len) {
		step = str_char(text + at, len - at);
		if (step == 0 || at + step >= size)
			break;
		if (str_is_control(text + at))
			memset(out + at, ' ', step);
		else
			memcpy(out + at, text + at, step);
		at += step;
	}
	out[at] = '\0';
}
