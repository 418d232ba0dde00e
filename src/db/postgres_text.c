#include "base/str.h"
#include "db/postgres_store.h"
#include "db/postgres_text.h"

/* A byte 0x80..0xff stands as the character U+10FF00 + byte, of private use: F4 8F, then BE or BF, then one more. */
#define STANDIN_SIZE 4

static bool
is_standin(const char *text)
{
	return str_starts(text, "\xf4\x8f\xbe") || str_starts(text, "\xf4\x8f\xbf");
}

/* The length of the character at `text` that may go as it is; 0 for a byte that is none, or begins one of ours. */
static size_t
plain(const char *text, size_t left)
{
	return is_standin(text) ? 0 : str_char(text, left);
}

static bool
is_plain(const char *text, size_t len)
{
	size_t step;

	for (size_t at = 0; at < len; at += step)
		if ((step = plain(text + at, len - at)) == 0)
			return false;
	return true;
}

static void
put_standin(char *out, unsigned char byte)
{
	out[0] = '\xf4';
	out[1] = '\x8f';
	out[2] = (char)(0xbc | byte >> 6);
	out[3] = (char)(0x80 | (byte & 0x3f));
}

enum status
postgres_text_in(const char *text, char **out)
{
	size_t len = strlen(text), step, to = 0;

	*out = NULL;
	if (is_plain(text, len))
		return OK;
	*out = malloc(len * STANDIN_SIZE + 1);
	if (*out == NULL)
		return NO_MEMORY;
	for (size_t at = 0; at < len; at += step) {
		step = plain(text + at, len - at);
		if (step == 0) {
			put_standin(*out + to, (unsigned char)text[at]);
			to += STANDIN_SIZE;
			step = 1;
			continue;
		}
		memcpy(*out + to, text + at, step);
		to += step;
	}
	(*out)[to] = '\0';
	return OK;
}

void
postgres_text_out(char *text)
{
	char *to = text;

	if (strstr(text, "\xf4\x8f") == NULL)
		return;
	while (*text != '\0')
		if (is_standin(text)) {
			*to++ = (char)((text[2] & 3) << 6 | (text[3] & 0x3f));
			text += STANDIN_SIZE;
		} else {
			*to++ = *text++;
		}
	*to = '\0';
}
