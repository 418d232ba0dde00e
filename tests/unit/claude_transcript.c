/*
 * What a Claude Code transcript amounts to: a response counts once, as its last line says; sub-agents apart; lines that are no
 * records are counted and never fatal.
 *
 * The figures of tests/fixtures/claude/expected.json come from tools/fixtures/expected.py, those of the recorded transcripts from
 * a count with jq and another with Python, which agreed.
 *
 * Rows: N4
 */
#include "clients/claude.h"
#include "clients/client.h"
#include "lib/fixture.h"
#include "lib/test.h"

struct reading {
	struct usage_list usages;
	int64_t broken;
};

struct totals {
	int64_t input;
	int64_t cache_write;
	int64_t cache_read;
	int64_t output;
	int64_t spent;    /* of the main thread */
	int64_t subagent; /* of all others */
	int64_t context;  /* -1 = the main thread said nothing */
};

static void
read_text(struct reading *reading, const char *text, size_t len, int64_t offset, const char *agent)
{
	char *copy = malloc(len + 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	assert_int_equal(client_claude.read_transcript(copy, len, offset, agent, &reading->usages, &reading->broken), OK);
	free(copy);
}

static struct totals
add_up(const struct usage_list *usages)
{
	struct totals totals = {.context = -1};
	int64_t last = -1;

	for (size_t i = 0; i < usages->count; i++) {
		const struct usage *usage = &usages->items[i];
		int64_t context = usage->input + usage->cache_write + usage->cache_read;
		bool main = *usage->agent == '\0';

		totals.input += usage->input;
		totals.cache_write += usage->cache_write;
		totals.cache_read += usage->cache_read;
		totals.output += usage->output;
		*(main ? &totals.spent : &totals.subagent) += context + usage->output;
		if (main && usage->offset > last) {
			last = usage->offset;
			totals.context = context;
		}
	}
	return totals;
}

static void
assert_as_expected(const char *name, const json_t *expected)
{
	char path[200];
	size_t len;
	char *text;
	struct reading reading = {0};
	struct totals totals;

	snprintf(path, sizeof path, "claude/%s", name);
	text = fixture_read(path, &len);
	read_text(&reading, text, len, 0, "");
	totals = add_up(&reading.usages);
	assert_int_equal(reading.usages.count, json_whole(expected, "responses", -1));
	assert_int_equal(totals.context, json_whole(expected, "context_tokens", -2));
	assert_int_equal(totals.spent, json_whole(expected, "spent_tokens", -1));
	assert_int_equal(totals.subagent, json_whole(expected, "subagent_tokens", -1));
	assert_int_equal(reading.broken, json_whole(expected, "broken", -1));
	usage_list_release(&reading.usages);
	free(text);
}

static void
every_transcript_adds_up_to_what_another_program_finds(void **state)
{
	const char *name;
	json_t *expected, *document;
	size_t len;
	char *text = fixture_read("claude/expected.json", &len);

	assert_int_equal(json_parse(text, len, &document, NULL), OK);
	assert_int_equal(json_object_size(document), 7);
	json_object_foreach(document, name, expected) assert_as_expected(name, expected);
	json_decref(document);
	free(text);
}

static void
recorded_transcripts_equal_the_hand_count(void **state)
{
	static const struct {
		const char *name;
		size_t responses;
		struct totals totals;
	} counts[] = {
		{"gitai-example-claude-code.jsonl", 13, {57, 28933, 293447, 3306, 325743, 0, 33736}},
		{"greenbutton-chat.first60.jsonl", 16, {48, 67073, 639478, 8798, 715397, 0, 53952}},
	};

	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		char path[200];
		struct reading reading = {0};
		struct totals totals;
		size_t len;
		char *text;

		snprintf(path, sizeof path, "claude-transcripts/%s", counts[i].name);
		text = fixture_read_shared(path, &len);
		if (text == NULL)
			skip();
		read_text(&reading, text, len, 0, "");
		totals = add_up(&reading.usages);
		assert_int_equal(reading.usages.count, counts[i].responses);
		assert_memory_equal(&totals, &counts[i].totals, sizeof totals);
		assert_int_equal(reading.broken, 0);
		usage_list_release(&reading.usages);
		free(text);
	}
}

#define RESPONSE(id, request, output) \
	"{\"type\":\"assistant\",\"message\":{\"id\":\"" id \
	"\",\"usage\":{\"input_tokens\":4,\"cache_creation_input_tokens\":300," \
	"\"cache_read_input_tokens\":20000,\"output_tokens\":" output "}},\"requestId\":\"" request "\"}\n"

static void
the_last_line_of_a_response_counts(void **state)
{
	static const char text[] = RESPONSE("m1", "r1", "2") RESPONSE("m1", "r1", "40") RESPONSE("m1", "r2", "7")
		RESPONSE("m1", "r1", "90");
	struct reading reading = {0};
	const struct usage *usage;

	read_text(&reading, text, sizeof text - 1, 1000, "");
	assert_int_equal(reading.usages.count, 2);
	usage = &reading.usages.items[0];
	assert_string_equal(usage->message, "m1");
	assert_string_equal(usage->request, "r1");
	assert_string_equal(usage->agent, "");
	assert_int_equal(usage->input, 4);
	assert_int_equal(usage->cache_write, 300);
	assert_int_equal(usage->cache_read, 20000);
	assert_int_equal(usage->output, 90);
	assert_int_equal(usage->offset,
	                 1000 + (int64_t)strlen(RESPONSE("m1", "r1", "2") RESPONSE("m1", "r1", "40") RESPONSE("m1", "r2", "7")));
	assert_int_equal(reading.usages.items[1].output, 7);
	usage_list_release(&reading.usages);
}

static void
reading_in_two_parts_is_reading_at_once(void **state)
{
	size_t len;
	char *text = fixture_read("claude/transcript-broken.jsonl", &len);
	struct reading whole = {0};

	read_text(&whole, text, len, 0, "");
	for (size_t at = 0; at < len; at++) {
		struct reading parts = {0};

		if (at > 0 && text[at - 1] != '\n')
			continue;
		read_text(&parts, text, at, 0, "");
		read_text(&parts, text + at, len - at, (int64_t)at, "");
		assert_int_equal(parts.broken, whole.broken);
		assert_int_equal(parts.usages.count, whole.usages.count);
		for (size_t i = 0; i < whole.usages.count; i++)
			assert_memory_equal(&parts.usages.items[i], &whole.usages.items[i], sizeof *whole.usages.items);
		usage_list_release(&parts.usages);
	}
	usage_list_release(&whole.usages);
	free(text);
}

static void
assert_agent(const char *record, const char *given, const char *agent)
{
	struct reading reading = {0};

	read_text(&reading, record, strlen(record), 0, given);
	assert_int_equal(reading.usages.count, 1);
	assert_string_equal(reading.usages.items[0].agent, agent);
	usage_list_release(&reading.usages);
}

static void
a_sub_agents_responses_bear_its_name(void **state)
{
#define OF(fields) "{\"type\":\"assistant\"," fields "\"uuid\":\"u\",\"message\":{\"usage\":{\"input_tokens\":9}}}"
	assert_agent(OF(""), "", "");
	assert_agent(OF(""), NULL, "");
	assert_agent(OF("\"isSidechain\":false,"), "", "");
	assert_agent(OF("\"isSidechain\":true,"), "", "sidechain");
	assert_agent(OF("\"isSidechain\":true,\"agentId\":\"a1\","), "", "a1");
	assert_agent(OF(""), "a2", "a2");
	assert_agent(OF("\"isSidechain\":true,"), "a2", "a2");
	assert_agent(OF("\"agentId\":\"a1\","), "a2", "a1");
	assert_agent(OF("\"isSidechain\":true,\"agentId\":\"a\\u0001\","), "", "sidechain");
	assert_agent(OF("\"isSidechain\":true,\"agentId\":7,"), "a2", "a2");
#undef OF
}

static void
assert_read(const char *record, size_t responses, int64_t broken)
{
	struct reading reading = {0};

	read_text(&reading, record, strlen(record), 0, "");
	assert_int_equal(reading.usages.count, responses);
	assert_int_equal(reading.broken, broken);
	usage_list_release(&reading.usages);
}

static void
a_count_that_cannot_be_is_not_believed(void **state)
{
#define WITH(count) \
	"{\"type\":\"assistant\",\"uuid\":\"u\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":" count "}}}"
	assert_read(WITH("0"), 1, 0);
	assert_read(WITH("7.0"), 1, 0);
	assert_read(WITH("null"), 1, 0);
	assert_read(WITH("100000000"), 1, 0);
	assert_read(WITH("100000001"), 0, 1);
	assert_read(WITH("-1"), 0, 1);
	assert_read(WITH("0.5"), 0, 1);
	assert_read(WITH("1e300"), 0, 1);
	assert_read(WITH("9223372036854775807"), 0, 1);
	assert_read(WITH("99999999999999999999999999"), 0, 1);
	assert_read(WITH("\"7\""), 0, 1);
	assert_read(WITH("true"), 0, 1);
	assert_read(WITH("[7]"), 0, 1);
#undef WITH
}

static void
what_no_model_said_leaves_the_context_alone(void **state)
{
	static const char *const errors[] = {
		"{\"type\":\"assistant\",\"uuid\":\"e\",\"message\":{\"model\":\"<synthetic>\",\"id\":\"e\",\"usage\":{\"input_"
		"tokens\":9}}}\n",
		"{\"type\":\"assistant\",\"isApiErrorMessage\":true,\"message\":{\"id\":\"e\",\"usage\":{\"input_tokens\":12}}}\n",
		"{\"type\":\"assistant\",\"message\":{\"id\":\"e\",\"usage\":{\"input_tokens\":0,\"output_tokens\":0}}}\n",
		"{\"type\":\"assistant\",\"message\":{\"id\":\"e\",\"usage\":{}}}\n",
		"{\"type\":\"progress\",\"message\":{\"id\":\"e\",\"type\":\"assistant\",\"usage\":{\"input_tokens\":12}}}\n",
		"{\"type\":\"user\",\"message\":{\"content\":\"an \\\"assistant\\\" with "
		"\\\"usage\\\"\"},\"x\":[\"assistant\",\"usage\"]}\n",
	};
	static const char response[] = RESPONSE("m1", "r1", "5");

	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		struct reading reading = {0};

		read_text(&reading, response, sizeof response - 1, 0, "");
		read_text(&reading, errors[i], strlen(errors[i]), sizeof response, "");
		assert_int_equal(reading.usages.count, 1);
		assert_int_equal(reading.broken, 0);
		assert_int_equal(add_up(&reading.usages).context, 20304);
		usage_list_release(&reading.usages);
	}
}

static void
a_response_without_ids_goes_by_its_records_own(void **state)
{
	assert_read("{\"type\":\"assistant\",\"message\":{\"usage\":{\"input_tokens\":9}}}", 0, 1);
	assert_read("{\"type\":\"assistant\",\"uuid\":\"u1\",\"message\":{\"usage\":{\"input_tokens\":9}}}\n"
	            "{\"type\":\"assistant\",\"uuid\":\"u1\",\"message\":{\"id\":\"\",\"usage\":{\"input_tokens\":9}}}\n"
	            "{\"type\":\"assistant\",\"uuid\":\"u1\",\"message\":{\"id\":\"a\\u0000b\",\"usage\":{\"input_tokens\":9}}}\n"
	            "{\"type\":\"assistant\",\"uuid\":\"u2\",\"message\":{\"id\":\"u1\",\"usage\":{\"input_tokens\":9}},"
	            "\"requestId\":\"\"}\n",
	            1, 0);
}

static void
lines_that_are_no_records_are_counted_and_skipped(void **state)
{
	static const char good[] = RESPONSE("m1", "r1", "5");
	char nul[64 + sizeof good];
	struct reading reading = {0};

	assert_read("", 0, 0);
	assert_read("\n\n\n", 0, 0);
	assert_read("[]\n1\n{}\n{", 0, 3);
	assert_read(RESPONSE("m1", "r1", "5") "{\"type\":\"assistant\",\"mess" RESPONSE("m2", "r2", "5") RESPONSE("m3", "r3", "5"),
	            2, 1);
	assert_read("{\"type\":\"user\"}" RESPONSE("m2", "r2", "5"), 0, 1);
	memset(nul, 0, 64);
	memcpy(nul + 64, good, sizeof good);
	read_text(&reading, nul, sizeof nul - 1, 0, "");
	read_text(&reading, good, sizeof good - 1, sizeof nul, "");
	assert_int_equal(reading.usages.count, 1);
	assert_int_equal(reading.broken, 1);
	usage_list_release(&reading.usages);
}

static void
a_line_that_would_need_too_much_memory_is_a_broken_one(void **state)
{
	enum { SIZE = 1 << 20 };
	static char line[SIZE];
	size_t at = 0;
	struct reading reading = {0};

	/* empty objects are the dearest per byte */
	at += (size_t)snprintf(line, sizeof line, "{\"type\":\"assistant\",\"usage\":[{}");
	while (at < SIZE - 8)
		at += (size_t)snprintf(line + at, sizeof line - at, ",{}");
	at += (size_t)snprintf(line + at, sizeof line - at, "]}\n");
	read_text(&reading, line, at, 0, "");
	assert_int_equal(reading.broken, 1);
	usage_list_release(&reading.usages);
}

TESTS(cmocka_unit_test(every_transcript_adds_up_to_what_another_program_finds),
      cmocka_unit_test(recorded_transcripts_equal_the_hand_count), cmocka_unit_test(the_last_line_of_a_response_counts),
      cmocka_unit_test(reading_in_two_parts_is_reading_at_once), cmocka_unit_test(a_sub_agents_responses_bear_its_name),
      cmocka_unit_test(a_count_that_cannot_be_is_not_believed), cmocka_unit_test(what_no_model_said_leaves_the_context_alone),
      cmocka_unit_test(a_response_without_ids_goes_by_its_records_own),
      cmocka_unit_test(lines_that_are_no_records_are_counted_and_skipped),
      cmocka_unit_test(a_line_that_would_need_too_much_memory_is_a_broken_one))
