/*
 * Any bytes as a text or a JSON document: what comes out is text again, the same each time, and no secret that stands in it comes
 * through, whatever stands around.
 */
#include "base/redact.h"
#include "base/str.h"
#include "fuzz/fuzz.h"

#define MAX ((size_t)1 << 20)

/* It is on a line of its own. */
#define SECRET "AKIAQWERTYUIOPASDFGH"
#define PLANTED "\n" SECRET "\n"

static const struct redactor *
redactor(void)
{
	static struct redactor made;

	if (made.count == 0)
		must(redactor_add(&made, "own", "[0-9]{3}-x*", NULL) == OK);
	return &made;
}

/* As what people write is: UTF-8. */
static void
make_text(char *text, size_t len)
{
	for (size_t at = 0, step; at < len; at += step) {
		step = str_char(text + at, len - at);
		if (step == 0) {
			text[at] = '?';
			step = 1;
		}
	}
}

static void
try_text(const char *text, size_t len)
{
	struct buf first, second;

	buf_init(&first, MAX * 16);
	buf_init(&second, MAX * 16);
	redact_text(redactor(), text, len, &first);
	redact_text(redactor(), text, len, &second);
	must(buf_status(&first) == OK && first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	must(memmem(first.data, first.len, SECRET, sizeof SECRET - 1) == NULL);
	for (size_t at = 0, step; at < first.len; at += step)
		must((step = str_char(first.data + at, first.len - at)) > 0);
	buf_release(&first);
	buf_release(&second);
}

static void
try_json(const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	json_t *value, *again = NULL;
	struct buf out;

	must(copy != NULL);
	memcpy(copy, text, len);
	copy[len] = '\0';
	buf_init(&out, MAX * 16);
	if (json_parse(copy, len, &value, NULL) == OK) {
		redact_json(redactor(), value, &out);
		must(buf_status(&out) == OK && json_parse(out.data, out.len, &again, NULL) == OK);
		must(json_typeof(again) == json_typeof(value));
		json_decref(again);
		json_decref(value);
	}
	buf_release(&out);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = size == 0 ? 0 : data[0] % size, len = size + sizeof PLANTED - 1;
	char *text;

	if (size > MAX / 2)
		return 0;
	try_json((const char *)data, size);
	text = malloc(len);
	must(text != NULL);
	memcpy(text, data, at);
	memcpy(text + at, PLANTED, sizeof PLANTED - 1);
	memcpy(text + at + sizeof PLANTED - 1, data + at, size - at);
	make_text(text, len);
	try_text(text, len);
	free(text);
	return 0;
}
