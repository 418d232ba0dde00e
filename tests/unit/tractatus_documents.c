/* R127, R128: Tractatus' documents: read in every shape they come in, and written back with all they say. */
#include "legacy/tractatus_history.h"
#include "legacy/tractatus_state.h"

#include "lib/test.h"

#include "base/str.h"

static enum status
parse(const char *text, struct history *out, struct buf *why)
{
	char *copy = strdup(text);
	enum status status = history_parse(copy, strlen(copy), out, why);

	free(copy);
	return status;
}

static void
a_history_is_written_as_node_writes_it(void **state)
{
	static const char *const texts[] = {
		"{\n  \"version\": \"1.0\",\n  \"instructions\": [\n    {\n      \"text\": \"a\",\n      \"id\": \"x\",\n      "
		"\"explicitness\": 0.9,\n"
		"      \"list\": [],\n      \"none\": null\n    }\n  ],\n  \"after\": {}\n}",
		"[\n  {\n    \"id\": \"x\",\n    \"text\": \"\xc3\xa9\"\n  }\n]",
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct history history;
		struct buf out;

		buf_init(&out, 10000);
		assert_int_equal(parse(texts[i], &history, NULL), OK);
		history_render(&history, &out);
		assert_string_equal(out.data, texts[i]);
		history_release(&history);
		buf_release(&out);
	}
}

static void
whole_reals_are_whole_numbers_as_they_come_back_from_node(void **state)
{
	struct history one, other;

	assert_int_equal(parse("[{\"id\":\"x\",\"text\":\"a\",\"n\":{\"m\":[1.0,2.5]}}]", &one, NULL), OK);
	assert_int_equal(parse("[{\"id\":\"x\",\"text\":\"a\",\"n\":{\"m\":[1,2.5]}}]", &other, NULL), OK);
	assert_true(json_equal(one.entries, other.entries));
	history_release(&one);
	history_release(&other);
}

static void
the_export_that_a_file_comes_from_is_told_by_its_label(void **state)
{
	struct history history;

	assert_int_equal(parse("{\"instructions\":[],\"stile\":{\"place\":\"p\",\"epoch\":7}}", &history, NULL), OK);
	assert_string_equal(history.place, "p");
	assert_int_equal(history.epoch, 7);
	assert_null(json_object_get(history.top, "stile"));
	history_release(&history);
	assert_int_equal(parse("{\"instructions\":[],\"stile\":[1]}", &history, NULL), OK);
	assert_string_equal(history.place, "");
	history_release(&history);
}

static void
bad_histories_are_refused_with_a_line_and_nothing_else(void **state)
{
	static const char *const texts[] = {"",
	                                    "x",
	                                    "{\"instructions\":{}}",
	                                    "[1]",
	                                    "[{\"id\":\"a\"}]",
	                                    "[{\"id\":1,\"text\":\"a\"}]",
	                                    "{}",
	                                    "[{\"text\":\"\"}]",
	                                    "[{\"id\":\"a\",\"text\":\"b\"},{\"id\":\"a\",\"text\":\"c\"}]",
	                                    "[{\"id\":\"\",\"text\":\"b\"}]",
	                                    "[{\"id\":\"a\",\"text\":\"b\\u0000c\"}]"};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct history history = {.epoch = 99};
		struct buf why;

		buf_init(&why, WHY_MAX);
		assert_int_equal(parse(texts[i], &history, &why), BAD_INPUT);
		assert_true(why.len > 0);
		assert_int_equal(history.epoch, 99);
		buf_release(&why);
	}
}

/* What is kept of an entry gives the entry back, whatever is odd about it. */
static void
an_entry_goes_in_and_comes_out_as_it_was(void **state)
{
	static const char *const entries[] = {
		"{\"text\":\"t\",\"id\":\"x\"}",
		"{\"id\":\"x\",\"active\":false,\"text\":\"t\",\"priority\":70,\"persistence\":\"HIGH\",\"parameters\":{\"a\":[1]}}",
		"{\"id\":\"x\",\"active\":\"yes\",\"text\":\"t\",\"priority\":\"high\",\"persistence\":null,\"parameters\":[1]}",
		"{\"id\":\"x\",\"text\":\"t\",\"priority\":-4,\"parameters\":null,\"active\":null,\"persistence\":\"\"}",
	};

	for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
		json_t *entry = json_loads(entries[i], 0, NULL), *back;
		struct history_draft draft;
		struct instruction stored;

		assert_int_equal(history_draft(entry, &draft, NULL), OK);
		stored = (struct instruction){.id = "x",
		                              .text = draft.draft.text,
		                              .persistence = draft.draft.persistence,
		                              .priority = draft.draft.priority,
		                              .parameters = draft.draft.parameters,
		                              .fields = draft.draft.fields,
		                              .active = draft.draft.active != 0};
		back = history_entry(&stored);
		assert_true(json_equal(back, entry));
		json_decref(back);
		/* what is changed here shows, whatever stood there */
		stored.text = "new";
		stored.active = !stored.active;
		stored.persistence = "LOW";
		back = history_entry(&stored);
		assert_string_equal(json_text(back, "text", ""), "new");
		assert_string_equal(json_text(back, "persistence", ""), "LOW");
		assert_int_equal(json_is_true(json_object_get(back, "active")), stored.active);
		json_decref(back);
		history_draft_release(&draft);
		json_decref(entry);
	}
}

static void
a_state_that_is_none_is_refused(void **state)
{
	static const char *const states[] = {"[]", "{\"messages\":-1}", "{\"messages\":\"1\"}", "{\"token_budget\":1e300}"};
	static const char *const checkpoints[] =
		{"{}", "{\"checkpoints\":[{\"percentage\":0,\"completed\":true}]}",
	     "{\"checkpoints\":[{\"percentage\":25,\"completed\":true},{\"percentage\":25,\"completed\":true}]}"};
	struct state_read out;

	for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
		json_t *document = json_loads(states[i], 0, NULL);

		assert_int_equal(state_read(document, NULL, &out, NULL), BAD_INPUT);
		json_decref(document);
	}
	for (size_t i = 0; i < sizeof checkpoints / sizeof *checkpoints; i++) {
		json_t *document = json_loads(checkpoints[i], 0, NULL);

		assert_int_equal(state_read(NULL, document, &out, NULL), BAD_INPUT);
		json_decref(document);
	}
}

static void
instants_are_read_as_they_are_written(void **state)
{
	json_t *document = json_loads("{\"started\":\"2025-10-07T12:00:00.000Z\"}", 0, NULL);
	struct state_read out;

	assert_int_equal(state_read(document, NULL, &out, NULL), OK);
	assert_int_equal(out.started_ms, 1759838400000);
	json_object_set_new(document, "started", json_string("2025-13-07T12:00:00Z"));
	assert_int_equal(state_read(document, NULL, &out, NULL), OK);
	assert_int_equal(out.started_ms, 0);
	json_decref(document);
}

TESTS(cmocka_unit_test(a_history_is_written_as_node_writes_it),
      cmocka_unit_test(whole_reals_are_whole_numbers_as_they_come_back_from_node),
      cmocka_unit_test(the_export_that_a_file_comes_from_is_told_by_its_label),
      cmocka_unit_test(bad_histories_are_refused_with_a_line_and_nothing_else),
      cmocka_unit_test(an_entry_goes_in_and_comes_out_as_it_was), cmocka_unit_test(a_state_that_is_none_is_refused),
      cmocka_unit_test(instants_are_read_as_they_are_written))
