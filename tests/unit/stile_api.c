/* include/stile.h: the library's four calls and their edges. */
#include "stile.h"

#include "lib/scratch.h"
#include "lib/test.h"

#include "base/json.h"
#include "db/sqlite.h"
#include "os/gate.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

struct scene {
	char *folder; /* a codebase without git */
	char *store;
	struct stile *stile;
	json_t *document; /* of the last call */
};

static void
make_store(const char *store)
{
	char *file = scratch_path(store, "stile.db");
	struct sqlite_options options = {.folder = store, .file = file, .make = true};
	struct db *db;

	assert_int_equal(mkdir(store, 0700), 0);
	assert_int_equal(sqlite_open(&options, &db, NULL), OK);
	db->ops->close(db, false);
	free(file);
}

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	scene->folder = scratch_folder();
	scene->store = scratch_path(scene->folder, ".stile");
	setenv("XDG_CONFIG_HOME", scene->folder, 1);
	unsetenv("STILE_STORE");
	unsetenv("STILE_SESSION");
	make_store(scene->store);
	assert_int_equal(stile_open(scene->folder, &scene->stile, NULL, 0), STILE_OK);
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	stile_close(scene->stile);
	json_decref(scene->document);
	free(scene->store);
	scratch_remove(scene->folder);
	free(scene);
	return 0;
}

/* The call's document, which must be one JSON object. */
static json_t *
read_document(const char *text)
{
	json_t *document = json_loads(text, 0, NULL);

	assert_true(json_is_object(document));
	return document;
}

static enum stile_status
call(struct scene *scene, const char *verb, const char *parameters)
{
	const char *text = NULL;
	enum stile_status status = stile_call(scene->stile, verb, parameters, &text);

	json_decref(scene->document);
	scene->document = read_document(text);
	return status;
}

/* It is refused with this status, the word of its document, and one line of why. */
static void
refuses(struct scene *scene, const char *verb, const char *parameters, enum stile_status wanted, const char *word)
{
	const char *hint;

	assert_int_equal(call(scene, verb, parameters), wanted);
	assert_string_equal(json_text(scene->document, "error", ""), word);
	hint = json_text(scene->document, "hint", "");
	assert_true(*hint != '\0');
	assert_null(strchr(hint, '\n'));
}

static const char *
start(struct scene *scene, const char *name)
{
	char parameters[200];

	snprintf(parameters, sizeof parameters, "{\"client\":\"test\",\"client_session\":\"%s\"}", name);
	assert_int_equal(call(scene, "session start", parameters), STILE_OK);
	return json_text(scene->document, "session", "");
}

static void
a_verb_answers_with_its_document(void **state)
{
	struct scene *scene = *state;
	char session[64], parameters[200];

	snprintf(session, sizeof session, "%s", start(scene, "s1"));
	assert_int_equal(strlen(session), 36);
	assert_true(json_truth(scene->document, "created"));
	snprintf(parameters, sizeof parameters, "{\"name\":\"messages\",\"amount\":2,\"session\":\"%s\"}", session);
	assert_int_equal(call(scene, "metric add", parameters), STILE_OK);
	assert_int_equal(call(scene, "metric add", parameters), STILE_OK);
	snprintf(parameters, sizeof parameters, "{\"session\":\"%s\"}", session);
	assert_int_equal(call(scene, "metric show", parameters), STILE_OK);
	assert_int_equal(json_whole(json_object_get(scene->document, "metrics"), "messages", -1), 4);
}

static void
a_verb_there_is_not_or_only_for_the_command_line_is_refused(void **state)
{
	static const char *const names[] =
		{"",     "nothing",    "session", "session  start", " session start", "Session start", "session start ",
	     "hook", "statusline", "help",    "init",           "diagnose"};
	struct stat there;
	char *hooks = scratch_path(((struct scene *)*state)->folder, ".claude");

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		refuses(*state, names[i], "{}", STILE_USAGE, "usage");
	assert_int_not_equal(stat(hooks, &there), 0);
	free(hooks);
}

static void
parameters_that_are_no_object_are_bad_input(void **state)
{
	static const char *const texts[] =
		{"", " ", "{", "}", "[]", "null", "7", "\"text\"", "{} {}", "{'a':1}", "{\"a\":}", "\xff", "{\"a\":\"\xc3\"}"};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		refuses(*state, "session list", texts[i], STILE_BAD_INPUT, "bad_input");
}

static void
parameters_that_need_more_than_the_budget_are_refused(void **state)
{
	size_t len = (size_t)8 << 20;
	char *text = malloc(len + 1);

	memset(text, '[', len);
	text[len] = '\0';
	refuses(*state, "session list", text, STILE_BAD_INPUT, "bad_input");
	for (size_t i = 1; i < len - 1; i++)
		text[i] = i % 2 == 0 ? ',' : '1';
	text[len - 2] = '1';
	text[len - 1] = ']';
	refuses(*state, "session list", text, STILE_NO_MEMORY, "memory");
	free(text);
}

static void
a_parameter_that_is_unknown_missing_or_of_another_type_is_named(void **state)
{
	struct scene *scene = *state;

	refuses(scene, "session list", "{\"nothing\":1}", STILE_USAGE, "usage");
	assert_non_null(strstr(json_text(scene->document, "hint", ""), "nothing"));
	refuses(scene, "session start", "{\"client\":\"c\"}", STILE_USAGE, "usage");
	assert_non_null(strstr(json_text(scene->document, "hint", ""), "client-session"));
	refuses(scene, "session start", "{\"client\":\"c\",\"client-session\":\"s\"}", STILE_USAGE, "usage");
	refuses(scene, "session start", "{\"client\":1,\"client_session\":\"s\"}", STILE_BAD_INPUT, "bad_input");
	refuses(scene, "session start", "{\"client\":\"c\",\"client_session\":\"a\\u0000b\"}", STILE_BAD_INPUT, "bad_input");
	refuses(scene, "session start", "{\"client\":\"c\",\"client_session\":\"s\",\"budget\":1.5}", STILE_BAD_INPUT, "bad_input");
	refuses(scene, "session start", "{\"client\":\"c\",\"client_session\":\"s\",\"budget\":-1}", STILE_BAD_INPUT, "bad_input");
	refuses(scene, "session list", "{\"all\":1}", STILE_BAD_INPUT, "bad_input");
	refuses(scene, "session list", "{\"all\":null}", STILE_BAD_INPUT, "bad_input");
	refuses(scene, "audit list", "{\"since\":\"1h\"}", STILE_BAD_INPUT, "bad_input");
	refuses(scene, "metric add", "{\"name\":\"m\",\"amount\":\"1\"}", STILE_BAD_INPUT, "bad_input");
	assert_int_equal(call(scene, "session list", "{\"all\":true}"), STILE_OK);
	assert_int_equal(json_array_size(json_object_get(scene->document, "sessions")), 0);
}

static void
no_parameters_and_no_place_for_the_result_are_fine(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(stile_call(scene->stile, "session start", "{\"client\":\"c\",\"client_session\":\"s\"}", NULL), STILE_OK);
	assert_int_equal(stile_call(scene->stile, "nothing", NULL, NULL), STILE_USAGE);
	assert_int_equal(call(scene, "session list", NULL), STILE_OK);
	assert_int_equal(json_array_size(json_object_get(scene->document, "sessions")), 1);
}

static void
a_no_says_so_and_tells_what_it_knows(void **state)
{
	struct scene *scene = *state;
	char parameters[200], session[64];

	snprintf(session, sizeof session, "%s", start(scene, "s1"));
	refuses(scene, "session show", "{\"session\":\"nobody\"}", STILE_NO_SUCH, "no_such");
	for (int i = 0; i < 2; i++) {
		snprintf(parameters, sizeof parameters, "{\"session\":\"%s\",\"slot\":\"memory\",\"value\":\"m%d\"}", session, i);
		if (i == 0)
			assert_int_equal(call(scene, "session bind", parameters), STILE_OK);
		else
			refuses(scene, "session bind", parameters, STILE_CONFLICT, "conflict");
	}
	assert_string_equal(json_text(scene->document, "value", ""), "m0");
}

static void
a_result_holds_until_the_next_call_of_its_handle(void **state)
{
	struct scene *scene = *state;
	const char *first, *second;
	struct stile *other;
	json_t *document;

	assert_int_equal(stile_call(scene->stile, "session list", NULL, &first), STILE_OK);
	assert_int_equal(stile_open(scene->folder, &other, NULL, 0), STILE_OK);
	assert_int_equal(stile_call(other, "nothing", NULL, &second), STILE_USAGE);
	stile_close(other);
	document = read_document(first);
	assert_non_null(json_object_get(document, "sessions"));
	json_decref(document);
	assert_int_equal(stile_wait(scene->stile, 0, &second), STILE_NO_SUCH);
	document = read_document(second);
	assert_non_null(json_object_get(document, "error"));
	json_decref(document);
}

static void
there_is_never_anything_to_wait_for(void **state)
{
	struct scene *scene = *state;
	const char *text;

	assert_int_equal(stile_wait(scene->stile, 3600000, &text), STILE_NO_SUCH);
	assert_non_null(strstr(text, "no_such"));
	assert_int_equal(stile_wait(scene->stile, -1, NULL), STILE_NO_SUCH);
	start(scene, "s1");
	assert_int_equal(stile_wait(scene->stile, 3600000, NULL), STILE_NO_SUCH);
}

static void
what_cannot_be_opened_is_told_in_one_line_that_fits(void **state)
{
	struct scene *scene = *state;
	struct stile *stile = scene->stile;
	char *bare = scratch_folder(), *nowhere = scratch_path(bare, "nowhere");
	char why[300] = "before", small[8] = "before", none = 'x';

	assert_int_equal(stile_open(bare, &stile, why, sizeof why), STILE_STORE_DOWN);
	assert_null(stile);
	assert_non_null(strstr(why, "stile init"));
	assert_null(strchr(why, '\n'));
	assert_int_equal(stile_open(bare, &stile, small, sizeof small), STILE_STORE_DOWN);
	assert_int_equal(strlen(small), sizeof small - 1);
	assert_memory_equal(small, why, sizeof small - 1);
	assert_int_equal(stile_open(bare, &stile, &none, 0), STILE_STORE_DOWN);
	assert_int_equal(none, 'x');
	assert_int_equal(stile_open(bare, &stile, NULL, 0), STILE_STORE_DOWN);
	assert_int_equal(stile_open(nowhere, &stile, why, sizeof why), STILE_NO_SUCH);
	assert_int_equal(stile_open("", &stile, why, sizeof why), STILE_NO_SUCH);
	assert_int_equal(stile_open(scene->folder, &stile, why, sizeof why), STILE_OK);
	assert_string_equal(why, "");
	stile_close(stile);
	stile_close(NULL);
	free(nowhere);
	scratch_remove(bare);
}

static void
a_bad_setting_is_told_when_it_is_opened(void **state)
{
	struct scene *scene = *state;
	char *path = scratch_path(scene->store, "config"), why[300];
	FILE *file = fopen(path, "w");
	struct stile *stile;

	fputs("[stile]\nbudget = many\n", file);
	fclose(file);
	assert_int_equal(stile_open(scene->folder, &stile, why, sizeof why), STILE_BAD_CONFIG);
	assert_non_null(strstr(why, "budget"));
	free(path);
}

static void
a_store_that_goes_away_under_an_open_handle_is_refused_not_made_again(void **state)
{
	struct scene *scene = *state;
	char *away = scratch_path(scene->folder, "away");
	struct stat there;

	assert_int_equal(rename(scene->store, away), 0);
	refuses(scene, "session start", "{\"client\":\"c\",\"client_session\":\"s\"}", STILE_STORE_DOWN, "store");
	assert_int_not_equal(stat(scene->store, &there), 0);
	assert_int_equal(rename(away, scene->store), 0);
	start(scene, "s");
	free(away);
}

static void
two_handles_in_one_process_see_each_others_work(void **state)
{
	struct scene *scene = *state;
	struct stile *other;
	const char *text;
	json_t *document;

	assert_int_equal(stile_open(scene->folder, &other, NULL, 0), STILE_OK);
	for (int i = 0; i < 20; i++) {
		char parameters[100];

		snprintf(parameters, sizeof parameters, "{\"client\":\"c\",\"client_session\":\"s%d\"}", i / 2);
		assert_int_equal(stile_call(i % 2 == 0 ? scene->stile : other, "session start", parameters, &text), STILE_OK);
		document = read_document(text);
		assert_int_equal(json_truth(document, "created"), i % 2 == 0);
		json_decref(document);
	}
	assert_int_equal(stile_call(other, "session list", NULL, &text), STILE_OK);
	document = read_document(text);
	assert_int_equal(json_array_size(json_object_get(document, "sessions")), 10);
	json_decref(document);
	stile_close(other);
}

static void
a_process_that_named_itself_is_its_sessions_agent(void **state)
{
	struct scene *scene = *state;
	char parameters[100], session[64];

	snprintf(parameters, sizeof parameters, "{\"client\":\"c\",\"client_session\":\"s\",\"pid\":%ld}", (long)getpid());
	assert_int_equal(call(scene, "session start", parameters), STILE_OK);
	snprintf(session, sizeof session, "%s", json_text(scene->document, "session", ""));
	assert_int_equal(call(scene, "metric add", "{\"name\":\"messages\",\"amount\":1}"), STILE_OK);
	assert_string_equal(json_text(scene->document, "session", ""), session);
}

#define THREADS 4
#define EACH 25

static void *
work(void *folder)
{
	struct stile *stile;
	intptr_t done = 0;

	if (stile_open(folder, &stile, NULL, 0) != STILE_OK)
		return NULL;
	for (int i = 0; i < EACH; i++)
		done += stile_call(stile, "metric add", "{\"name\":\"messages\",\"amount\":1}", NULL) == STILE_OK;
	stile_close(stile);
	return (void *)done; /* NOLINT(performance-no-int-to-ptr) */
}

static void
threads_with_a_handle_each_lose_nothing(void **state)
{
	struct scene *scene = *state;
	pthread_t threads[THREADS];
	void *done;

	start(scene, "s1");
	setenv("STILE_SESSION", json_text(scene->document, "session", ""), 1);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, scene->folder), 0);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &done), 0);
		assert_int_equal((intptr_t)done, EACH);
	}
	assert_int_equal(call(scene, "metric show", NULL), STILE_OK);
	assert_int_equal(json_whole(json_object_get(scene->document, "metrics"), "messages", -1), THREADS * EACH);
}

static void *
find_it_busy(void *folder)
{
	struct stile *stile;
	intptr_t busy = 0;

	if (stile_open(folder, &stile, NULL, 0) == STILE_OK)
		busy = stile_call(stile, "session start", "{\"client\":\"c\",\"client_session\":\"s\"}", NULL) == STILE_BUSY;
	stile_close(stile);
	return (void *)busy; /* NOLINT(performance-no-int-to-ptr) */
}

static int
wait_in_threads(void *folder)
{
	pthread_t threads[THREADS];
	int busy = 0;
	void *found;

	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, find_it_busy, folder) != 0)
			return 100;
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &found);
		busy += found != NULL;
	}
	return busy;
}

/* Each wait sets the same signal's handler: one that ends must not take it from the others. */
static void
threads_that_wait_at_once_all_come_back(void **state)
{
	struct scene *scene = *state;
	struct scratch_child child;
	struct gate gate;

	assert_int_equal(gate_open(&gate, scene->store, false, NULL), OK);
	assert_int_equal(gate_take(&gate, 0, NULL), OK);
	scratch_spawn(&child, wait_in_threads, scene->folder);
	assert_int_equal(scratch_wait(&child, 60000), THREADS);
	gate_leave(&gate);
	gate_close(&gate);
}

#define API_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(API_TEST(a_verb_answers_with_its_document), API_TEST(a_verb_there_is_not_or_only_for_the_command_line_is_refused),
      API_TEST(parameters_that_are_no_object_are_bad_input), API_TEST(parameters_that_need_more_than_the_budget_are_refused),
      API_TEST(a_parameter_that_is_unknown_missing_or_of_another_type_is_named),
      API_TEST(no_parameters_and_no_place_for_the_result_are_fine), API_TEST(a_no_says_so_and_tells_what_it_knows),
      API_TEST(a_result_holds_until_the_next_call_of_its_handle), API_TEST(there_is_never_anything_to_wait_for),
      API_TEST(what_cannot_be_opened_is_told_in_one_line_that_fits), API_TEST(a_bad_setting_is_told_when_it_is_opened),
      API_TEST(a_store_that_goes_away_under_an_open_handle_is_refused_not_made_again),
      API_TEST(two_handles_in_one_process_see_each_others_work), API_TEST(a_process_that_named_itself_is_its_sessions_agent),
      API_TEST(threads_with_a_handle_each_lose_nothing), API_TEST(threads_that_wait_at_once_all_come_back))
