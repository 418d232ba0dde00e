/*
 * A turn by its steps through the library, whose callers give the texts themselves: no path of theirs is opened, and what can't be
 * a text changes nothing.
 *
 * Rows: R27 R37 R39 R47
 */
#include "lib/codebase.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_LIMIT ((size_t)1 << 20)

struct scene {
	struct codebase codebase;
	struct stile *stile;
	char one[ID_SIZE];
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	codebase_make(&scene->codebase);
	scene->stile = codebase_resident(&scene->codebase);
	resident_start(scene->stile, "one", scene->one);
	*state = scene;
	return *scene->one == '\0';
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	stile_close(scene->stile);
	codebase_remove(&scene->codebase);
	free(scene);
	return 0;
}

/* A text of so many bytes that ends in newlines; the caller frees it. */
static char *
text_of(size_t len)
{
	char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'x', len);
	memset(text + len - 2, '\n', 2);
	text[len] = '\0';
	return text;
}

/* A step with a text of any length. */
static enum stile_status
step(struct scene *scene, const char *verb, const char *key, const char *text, json_int_t fence)
{
	json_t *args = json_pack("{ss ss}", "session", scene->one, key, text);
	enum stile_status status;
	const char *result;
	struct buf written;

	buf_init(&written, 4 * TEXT_LIMIT);
	if (fence > 0)
		json_object_set_new(args, "fence", json_integer(fence));
	json_write(&written, args);
	assert_int_equal(buf_status(&written), OK);
	status = stile_call(scene->stile, verb, written.data, &result);
	buf_release(&written);
	json_decref(args);
	return status;
}

static int64_t
turns(const struct scene *scene)
{
	return codebase_number(&scene->codebase, "SELECT count(*) FROM turn WHERE project = $1", DB_TEXT("."));
}

/* The n-th message of the log is `text` of `role`. */
static void
expect_message(struct scene *scene, size_t n, const char *role, const char *text)
{
	const json_t *message;
	json_t *log;

	assert_int_equal(resident_call(scene->stile, &log, "turn log", "{\"session\":\"%s\"}", scene->one), STILE_OK);
	message = json_array_get(json_object_get(log, "messages"), n);
	assert_string_equal(json_text(message, "role", ""), role);
	assert_string_equal(json_text(message, "text", ""), text);
	json_decref(log);
}

static void
a_question_and_its_answer_are_given_as_parameters_and_the_next_turn_resumes(void **state)
{
	struct scene *scene = *state;
	json_t *begun, *ended;

	assert_int_equal(resident_call(scene->stile, &begun, "turn begin", "{\"session\":\"%s\",\"message\":\"What\\nnow?\\n\"}",
	                               scene->one),
	                 STILE_OK);
	assert_int_equal(json_whole(begun, "fence", 0), 1);
	assert_string_equal(json_text(begun, "session", ""), scene->one);
	assert_string_equal(json_text(begun, "slot", ""), "resume");
	assert_true(json_is_null(json_object_get(begun, "resume")));
	assert_int_equal(resident_call(scene->stile, &ended, "turn end",
	                               "{\"session\":\"%s\",\"fence\":1,\"bind\":\"id-1\",\"answer\":\"That.\"}", scene->one),
	                 STILE_OK);
	assert_string_equal(json_text(ended, "session", ""), scene->one);
	json_decref(begun);
	json_decref(ended);
	assert_int_equal(resident_call(scene->stile, &begun, "turn begin", "{\"session\":\"%s\"}", scene->one), STILE_OK);
	assert_string_equal(json_text(begun, "resume", ""), "id-1");
	json_decref(begun);
	expect_message(scene, 0, "user", "What\nnow?\n");
	expect_message(scene, 1, "assistant", "That.");
}

static void
a_text_is_kept_to_the_byte_up_to_its_bound_and_refused_past_it(void **state)
{
	struct scene *scene = *state;
	char *most = text_of(TEXT_LIMIT), *more = text_of(TEXT_LIMIT + 1);

	assert_int_equal(step(scene, "turn begin", "message", more, 0), STILE_BAD_INPUT);
	assert_int_equal(turns(scene), 0);
	assert_int_equal(step(scene, "turn begin", "message", most, 0), STILE_OK);
	assert_int_equal(step(scene, "turn end", "answer", more, 1), STILE_BAD_INPUT);
	assert_int_equal(step(scene, "turn end", "answer", most, 1), STILE_OK);
	expect_message(scene, 0, "user", most);
	expect_message(scene, 1, "assistant", most);
	free(most);
	free(more);
}

static void
what_is_no_text_or_a_path_is_one_line_and_begins_nothing(void **state)
{
	static const struct {
		const char *more;
		enum stile_status status;
	} cases[] = {
		{"\"message\":\"a\\u0000b\"", STILE_BAD_INPUT},
		{"\"message\":\"a\xff\"", STILE_BAD_INPUT},
		{"\"message\":7", STILE_BAD_INPUT},
		{"\"message\":null", STILE_BAD_INPUT},
		{"\"message\":[\"a\"]", STILE_BAD_INPUT},
		{"\"message_file\":\"/dev/null\"", STILE_USAGE},
		{"\"message_file\":\"-\"", STILE_USAGE},
		{"\"answer\":\"a\"", STILE_USAGE},
	};
	struct scene *scene = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *refusal;

		assert_int_equal(resident_call(scene->stile, &refusal, "turn begin", "{\"session\":\"%s\",%s}", scene->one,
		                               cases[i].more),
		                 cases[i].status);
		assert_true(*json_text(refusal, "hint", "") != '\0');
		assert_null(strchr(json_text(refusal, "hint", "\n"), '\n'));
		json_decref(refusal);
	}
	assert_int_equal(turns(scene), 0);
	assert_int_equal(resident_call(scene->stile, NULL, "turn run", "{\"session\":\"%s\"}", scene->one), STILE_USAGE);
}

static void
who_does_not_wait_is_told_who_has_it_and_when_to_come_again(void **state)
{
	struct scene *scene = *state;
	json_t *refusal;

	assert_int_equal(resident_call(scene->stile, NULL, "turn begin", "{\"session\":\"%s\"}", scene->one), STILE_OK);
	assert_int_equal(resident_call(scene->stile, &refusal, "turn begin", "{\"session\":\"%s\",\"wait\":0}", scene->one),
	                 STILE_HELD);
	assert_int_equal(json_whole(refusal, "retry_ms", 0), 5000);
	assert_string_equal(json_text(refusal, "holder", ""), scene->one);
	json_decref(refusal);
	assert_int_equal(resident_call(scene->stile, NULL, "turn begin", "{\"session\":\"%s\",\"wait\":200}", scene->one),
	                 STILE_BUSY);
	assert_int_equal(turns(scene), 1);
}

#define CALL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

CONTRACT_TESTS(CALL_TEST(a_question_and_its_answer_are_given_as_parameters_and_the_next_turn_resumes),
               CALL_TEST(a_text_is_kept_to_the_byte_up_to_its_bound_and_refused_past_it),
               CALL_TEST(what_is_no_text_or_a_path_is_one_line_and_begins_nothing),
               CALL_TEST(who_does_not_wait_is_told_who_has_it_and_when_to_come_again))
