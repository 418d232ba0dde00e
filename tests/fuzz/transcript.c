/*
 * Any bytes as a transcript: what is found keeps to the limits and does not depend on where a reading was interrupted, and the
 * quick look at a line (json_is_whole_object) agrees with the thorough one (json_parse).
 */
#include "clients/claude.h"
#include "clients/client.h"
#include "fuzz/fuzz.h"

static char *
copy_of(const uint8_t *data, size_t size)
{
	char *copy = malloc(size == 0 ? 1 : size);

	must(copy != NULL);
	memcpy(copy, data, size);
	return copy;
}

/* What only the thorough one minds: lawful JSON that our library can't hold. */
static bool
beyond_us(const char *why)
{
	return strstr(why, "overflow") != NULL || strstr(why, "NUL byte in object key") != NULL;
}

static void
check_line(const uint8_t *data, size_t size)
{
	char *line = copy_of(data, size);
	bool whole = json_is_whole_object(line, size);
	json_t *document = NULL;
	struct buf why;
	enum status status;

	buf_init(&why, WHY_MAX);
	status = json_parse(line, size, &document, &why);
	if (status == OK)
		must(whole == json_is_object(document));
	else
		must(!whole || status == NO_MEMORY || beyond_us(why.data));
	json_decref(document);
	buf_release(&why);
	free(line);
}

static int64_t
read_part(const uint8_t *data, size_t size, size_t offset, struct usage_list *usages)
{
	char *text = copy_of(data, size);
	int64_t broken = 0;

	must(client_claude.read_transcript(text, size, (int64_t)offset, "", usages, &broken) == OK);
	free(text);
	return broken;
}

static void
check_usage(const struct usage *usage, const uint8_t *data, size_t size)
{
	int64_t counts[] = {usage->input, usage->cache_write, usage->cache_read, usage->output};

	must(str_check_id("message", usage->message, ID_MAX, NULL) == OK);
	must(str_check_text("request", usage->request, ID_MAX, NULL) == OK);
	must(str_check_text("agent", usage->agent, LABEL_MAX, NULL) == OK);
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		must(counts[i] >= 0 && counts[i] <= CLAUDE_TOKENS_MAX);
	must(usage->input + usage->cache_write + usage->cache_read > 0);
	must(usage->offset >= 0 && (size_t)usage->offset < size);
	must(usage->offset == 0 || data[usage->offset - 1] == '\n');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct usage_list whole = {0}, parts = {0};
	size_t from = 0, half = 0;
	int64_t broken;

	for (size_t at = 0; at <= size; at++) {
		if (at < size && data[at] != '\n')
			continue;
		check_line(data + from, at - from);
		from = at + 1;
		if (from <= size && half < size / 2)
			half = from;
	}
	broken = read_part(data, size, 0, &whole);
	must(read_part(data, half, 0, &parts) + read_part(data + half, size - half, half, &parts) == broken);
	must(parts.count == whole.count);
	for (size_t i = 0; i < whole.count; i++) {
		check_usage(&whole.items[i], data, size);
		must(parts.items[i].offset == whole.items[i].offset && parts.items[i].output == whole.items[i].output);
	}
	usage_list_release(&whole);
	usage_list_release(&parts);
	return 0;
}
