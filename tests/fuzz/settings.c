/*
 * Any bytes as a client's settings: what is JSON to jansson is JSON to the editor of text too, our hooks go in once, and taken
 * out again they leave the bytes from before.
 */
#include "base/json.h"
#include "base/jsontext.h"
#include "clients/claude_settings.h"
#include "fuzz/fuzz.h"

#define PROGRAM "/opt/stile"

static bool
same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* Ours may be nested less deep than jansson's, and no NUL byte may end it. */
static void
check_parsers_agree(const struct buf *text)
{
	struct json_piece root;
	json_t *parsed = json_loadb(text->data, text->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	unsigned depth = 0, deepest = 0;

	for (size_t i = 0; i < text->len; i++) {
		depth += text->data[i] == '[' || text->data[i] == '{';
		deepest = depth > deepest ? depth : deepest;
	}
	must(parsed == NULL || deepest > 500 || strlen(text->data) < text->len ||
	     jsontext_root(text->data, text->len, &root, NULL) == OK);
	json_decref(parsed);
}

static void
check_way_back(const struct buf *before, const struct buf *installed)
{
	struct buf without, back;

	/* what held entries of ours before is not given back, and a blank text is made into a whole one */
	must(claude_settings_remove(before->data, before->len, NULL, &without, NULL) == OK);
	must(claude_settings_remove(installed->data, installed->len, before, &back, NULL) == OK);
	if (same(&without, before) && before->len > 0 && strspn(before->data, " \t\r\n") < before->len)
		must(same(&back, before));
	buf_release(&without);
	buf_release(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf before, once, twice, program;

	if (size > 65536)
		return 0;
	buf_init(&before, 65536);
	buf_init(&program, 100);
	buf_add(&before, data, size);
	check_parsers_agree(&before);
	if (claude_settings_install(before.data, before.len, PROGRAM, &once, NULL) == OK) {
		must(claude_settings_install(once.data, once.len, PROGRAM, &twice, NULL) == OK && same(&once, &twice));
		must(claude_settings_find(once.data, once.len, "PreToolUse", &program, NULL) == OK &&
		     strcmp(program.data, PROGRAM) == 0);
		check_way_back(&before, &once);
		buf_release(&twice);
	}
	buf_release(&once);
	buf_release(&program);
	buf_release(&before);
	return 0;
}
