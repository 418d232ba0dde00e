#include "base/json.h"

#include "base/str.h"

#include <math.h>
#include <setjmp.h>

/*
 * The budget is kept by a header before each block.  One parse at a time per thread: what it may use is thread-local, so that
 * resident callers don't share it.
 *
 * Inside a parse no allocation may fail: where jansson's reader can't let its buffer grow it drops the byte, and then writes
 * past the room that it measured for the text (2.14).  So the parse is left there and then, and all it had is freed.
 */
struct block {
	size_t size;
	size_t parse; /* in which it was made; 0 = in none */
	struct block *before;
	struct block *after;
};

static _Thread_local size_t budget_used;
static _Thread_local bool budget_on;
static _Thread_local bool budget_hit;
static _Thread_local bool starved;
static _Thread_local size_t parses;
static _Thread_local struct block *of_parse; /* the blocks of the one that runs, the last first */
static _Thread_local jmp_buf leave_parse;

static void *
budget_malloc(size_t size)
{
	struct block *block = NULL;

	if (budget_on && size > JSON_BUDGET - budget_used)
		budget_hit = true;
	else if ((block = malloc(sizeof *block + size)) == NULL)
		starved = true;
	if (block == NULL) {
		if (budget_on)
			longjmp(leave_parse, 1);
		return NULL;
	}
	*block = (struct block){.size = size};
	if (budget_on) {
		budget_used += size;
		block->parse = parses;
		block->after = of_parse;
		if (of_parse != NULL)
			of_parse->before = block;
		of_parse = block;
	}
	return block + 1;
}

static void
budget_free(void *data)
{
	struct block *block;

	if (data == NULL)
		return;
	block = (struct block *)data - 1;
	if (budget_on && block->parse == parses) {
		budget_used -= block->size;
		if (block->after != NULL)
			block->after->before = block->before;
		if (block->before != NULL)
			block->before->after = block->after;
		else
			of_parse = block->after;
	}
	free(block);
}

void
json_begin(void)
{
	int mark;

	/* keys are hashed with a seed that jansson would read from a device; where the kernel put the stack is seed enough */
	json_object_seed((size_t)&mark ^ (size_t)time(NULL) << 20);
	json_set_alloc_funcs(budget_malloc, budget_free);
}

static bool
hex4(const char *s, unsigned *out)
{
	unsigned value = 0;

	for (int i = 0; i < 4; i++) {
		char c = s[i];

		if (c >= '0' && c <= '9')
			value = value * 16 + (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value = value * 16 + (unsigned)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*out = value;
	return true;
}

/* Turns \ud8xx without its partner into \ufffd, which is as long.  Whether anything was changed. */
static bool
mend_surrogates(char *text, size_t len)
{
	static const char replacement[] = {'f', 'f', 'f', 'd'};
	bool changed = false;
	unsigned code, next;

	for (size_t i = 0; i + 6 <= len; i++) {
		if (text[i] != '\\')
			continue;
		if (text[i + 1] != 'u' || !hex4(text + i + 2, &code)) {
			i++;
			continue;
		}
		if (code >= 0xd800 && code < 0xdc00 && i + 12 <= len && text[i + 6] == '\\' && text[i + 7] == 'u' &&
		    hex4(text + i + 8, &next) && next >= 0xdc00 && next < 0xe000) {
			i += 11;
			continue;
		}
		if (code >= 0xd800 && code < 0xe000) {
			memcpy(text + i + 2, replacement, sizeof replacement);
			changed = true;
		}
		i += 5;
	}
	return changed;
}

/* NULL with budget_hit or starved set when there was not enough memory for it. */
static json_t *
load(const char *text, size_t len, size_t flags, json_error_t *error)
{
	json_t *volatile root = NULL;

	parses++;
	of_parse = NULL;
	budget_used = 0;
	budget_on = true;
	if (setjmp(leave_parse) == 0) {
		root = json_loadb(text, len, flags, error);
		budget_on = false;
		return root;
	}
	budget_on = false;
	while (of_parse != NULL) {
		struct block *block = of_parse;

		of_parse = block->after;
		free(block);
	}
	return NULL;
}

enum status
json_parse(char *text, size_t len, json_t **out, struct buf *why)
{
	size_t flags = JSON_ALLOW_NUL | JSON_DECODE_ANY;
	const char *nul = memchr(text, '\0', len);
	json_error_t error;
	json_t *root;
	bool before;

	/* jansson would pass over one after a number or a word */
	if (nul != NULL)
		return why_not(why, BAD_INPUT, "not JSON: a NUL byte at byte %td", nul - text);
	before = json_starved();
	budget_hit = false;
	root = load(text, len, flags, &error);
	if (root == NULL && !budget_hit && !starved && mend_surrogates(text, len))
		root = load(text, len, flags, &error);
	if (root == NULL && !budget_hit && !starved && json_error_code(&error) == json_error_numeric_overflow)
		root = load(text, len, flags | JSON_DECODE_INT_AS_REAL, &error);
	if (root == NULL && budget_hit)
		return why_not(why, NO_MEMORY, "not read: parsing it needs more than %zu MiB", JSON_BUDGET >> 20);
	if (root == NULL && starved)
		return why_not(why, NO_MEMORY, "out of memory");
	if (root == NULL && json_error_code(&error) == json_error_out_of_memory)
		return why_not(why, NO_MEMORY, "out of memory");
	if (root == NULL)
		return why_not(why, BAD_INPUT, "not JSON: %s at byte %d", error.text, error.position);
	starved = before;
	*out = root;
	return OK;
}

bool
json_starved(void)
{
	bool was = starved;

	starved = false;
	return was;
}

const char *
json_text(const json_t *object, const char *key, const char *otherwise)
{
	const json_t *value = json_object_get(object, key);

	/* a text with a NUL inside can't be any name or path of ours */
	if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
		return otherwise;
	return json_string_value(value);
}

int64_t
json_whole(const json_t *object, const char *key, int64_t otherwise)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_integer(value))
		return json_integer_value(value);
	if (json_is_real(value) && fabs(json_real_value(value)) < 9e15)
		return (int64_t)json_real_value(value);
	return otherwise;
}

double
json_real_of(const json_t *object, const char *key, double otherwise)
{
	const json_t *value = json_object_get(object, key);

	return json_is_number(value) ? json_number_value(value) : otherwise;
}

bool
json_truth(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static int
write_chunk(const char *data, size_t len, void *out)
{
	buf_add(out, data, len);
	return 0;
}

void
json_write(struct buf *out, const json_t *value)
{
	if (json_dump_callback(value, write_chunk, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0 && out->failed == OK)
		out->failed = NO_MEMORY;
}

static bool
is_plain(char c)
{
	return (unsigned char)c >= ' ' && c != '"' && c != '\\';
}

void
json_write_bytes(struct buf *out, const char *text, size_t len)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *end = text + len, *escape;
	size_t plain;

	buf_add(out, "\"", 1);
	for (;; text++) {
		for (plain = 0; text + plain < end && is_plain(text[plain]); plain++)
			;
		buf_add(out, text, plain);
		text += plain;
		if (text == end)
			break;
		escape = *text == '\0' ? NULL : strchr(from, *text);
		if (escape != NULL)
			buf_add(out, (const char[]){'\\', to[escape - from]}, 2);
		else
			buf_printf(out, "\\u%04X", (unsigned)(unsigned char)*text);
	}
	buf_add(out, "\"", 1);
}

void
json_write_text(struct buf *out, const char *text)
{
	json_write_bytes(out, text, strlen(text));
}

json_t *
json_lossy(const char *text, size_t len)
{
	json_t *value = json_stringn(text, len);
	char *copy = value == NULL ? strndup(text, len) : NULL;

	if (copy == NULL)
		return value;
	for (size_t at = 0, end = strlen(copy), step; at < end; at += step) {
		step = str_char(copy + at, end - at);
		if (step == 0) {
			copy[at] = '?';
			step = 1;
		}
	}
	value = json_string(copy);
	free(copy);
	return value;
}

json_t *
json_number(double value)
{
	if (value == floor(value) && fabs(value) < 9e15)
		return json_integer((json_int_t)value);
	return json_real(value);
}
