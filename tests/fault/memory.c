/*
 * Memory runs out: the first, the second, ... allocation of an operation fails, until it is done without meeting the fault.
 * Nothing crashes, nothing stays allocated, and what failed leaves no trace; what is answered as done is done and answered in
 * full.
 *
 * The allocator is replaced in this program, for everything that is in it: ours, SQLite's, jansson's, inih's.
 *
 * Rows: R50
 * Time limit: 600 s
 */
#include "lib/codebase.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"
#include "clients/client.h"
#include "db/sqlite.h"
#include "os/clock.h"
#include "verbs/event.h"

#include <errno.h>
#include <unistd.h>

/* The sanitizer's own, where there is one; else the C library's. */
extern void *__interceptor_malloc(size_t size) __attribute__((weak));
extern void *__interceptor_calloc(size_t count, size_t size) __attribute__((weak));
extern void *__interceptor_realloc(void *data, size_t size) __attribute__((weak));
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *data, size_t size);

#define VISIBLE __attribute__((visibility("default")))

static long left = -1; /* allocations until the one that fails; -1: none fails */
static bool for_good;  /* all after it fail too */
static unsigned refused;

static bool
fails(void)
{
	if (left < 0)
		return false;
	if (left > 0 && --left > 0)
		return false;
	if (!for_good)
		left = -1;
	refused++;
	errno = ENOMEM;
	return true;
}

VISIBLE void *malloc(size_t size);
VISIBLE void *calloc(size_t count, size_t size);
VISIBLE void *realloc(void *data, size_t size);
VISIBLE char *strdup(const char *text);

void *
malloc(size_t size)
{
	if (fails())
		return NULL;
	return __interceptor_malloc != NULL ? __interceptor_malloc(size) : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	if (fails())
		return NULL;
	return __interceptor_calloc != NULL ? __interceptor_calloc(count, size) : __libc_calloc(count, size);
}

void *
realloc(void *data, size_t size)
{
	if (fails())
		return NULL;
	return __interceptor_realloc != NULL ? __interceptor_realloc(data, size) : __libc_realloc(data, size);
}

char *
strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = malloc(size);

	return copy == NULL ? NULL : memcpy(copy, text, size);
}

/* From here on the n-th allocation fails, and if `every_later`, all after it. */
static void
arm(long n, bool every_later)
{
	left = n;
	for_good = every_later;
	refused = 0;
}

/* Whether one was refused. */
static bool
disarm(void)
{
	left = -1;
	for_good = false;
	return refused > 0;
}

struct scene {
	struct codebase codebase;
	struct db *db; /* to look at what is there */
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	codebase_make(&scene->codebase);
	scene->db = contract_store(0, scene->codebase.store);
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;
	bool whole = store_is_whole(scene->db);

	contract_close(scene->db);
	codebase_remove(&scene->codebase);
	free(scene);
	return whole ? 0 : -1;
}

static int64_t
sessions(struct scene *scene, const char *name)
{
	return store_number(scene->db, "SELECT count(*) FROM session WHERE client_session = $1", DB_TEXT(name));
}

/* Opens, does one verb, closes, with the n-th allocation failing in it.  *hit: it did.  The answer is kept in `answer`. */
static enum stile_status
call_with(struct scene *scene, long n, bool every_later, const char *verb, const char *parameters, char *answer, size_t size,
          bool *hit)
{
	enum stile_status status;
	struct stile *resident;
	const char *result = "";
	char why[1024] = "";

	arm(n, every_later);
	status = stile_open(scene->codebase.folder, &resident, why, sizeof why);
	if (status == STILE_OK) {
		status = stile_call(resident, verb, parameters, &result);
		snprintf(answer, size, "%s", result);
		stile_close(resident);
	} else {
		assert_null(resident);
		snprintf(answer, size, "%s", why);
	}
	*hit = disarm();
	return status;
}

static bool
is_failure(enum stile_status status)
{
	return status == STILE_NO_MEMORY || status == STILE_STORE_DOWN || status == STILE_OUTCOME_UNKNOWN;
}

/* Whether the document has all of these members: "a b c". */
static bool
has_all(const char *document, const char *members)
{
	json_t *object = json_loads(document, 0, NULL);
	char name[40];
	bool all = json_is_object(object);

	while (*members != '\0') {
		size_t len = strcspn(members, " ");

		snprintf(name, sizeof name, "%.*s", (int)len, members);
		all = all && json_object_get(object, name) != NULL;
		members += len;
		members += *members == ' ';
	}
	json_decref(object);
	return all;
}

#define STEPS_MAX 20000

#define SESSION_MEMBERS "session client client_session state budget created"
#define METRIC_MEMBERS "session checkpoints"

/*
 * What failed is told as a failure of memory or store, never as damage, and did nothing; what is done is answered in full.
 * An empty answer is one whose own text could not be put together.
 */
static void
assert_outcome(long n, enum stile_status status, const char *answer, const char *members, int64_t there)
{
	bool well = status == STILE_OK                ? there == 1 && (*answer == '\0' || has_all(answer, members))
	            : status == STILE_OUTCOME_UNKNOWN ? there == 0 || there == 1
	                                              : is_failure(status) && there == 0;

	if (!well || strstr(answer, "damaged") != NULL)
		fprintf(stderr, "memory: allocation %ld: status %d, answered %s; there: %d\n", n, status, answer, (int)there);
	assert_true(well);
	assert_null(strstr(answer, "damaged"));
}

static void
start_with_each_failing(struct scene *scene, bool every_later)
{
	unsigned failed = 0;
	bool hit = true;

	for (long n = 1; hit; n++) {
		char name[40], parameters[100], answer[4096];
		enum stile_status status;

		assert_true(n < STEPS_MAX);
		snprintf(name, sizeof name, "c%ld", n);
		snprintf(parameters, sizeof parameters, "{\"client\":\"claude\",\"client_session\":\"%s\"}", name);
		status = call_with(scene, n, every_later, "session start", parameters, answer, sizeof answer, &hit);
		assert_outcome(n, status, answer, SESSION_MEMBERS, sessions(scene, name));
		failed += status != STILE_OK;
	}
	/* it did meet them: SQLite alone makes hundreds */
	assert_true(failed > 300);
}

static void
a_start_with_one_allocation_failing(void **state)
{
	start_with_each_failing(*state, false);
}

static void
a_start_with_all_allocations_failing_from_one_on(void **state)
{
	start_with_each_failing(*state, true);
}

static void
a_counter_with_one_allocation_failing(void **state)
{
	struct scene *scene = *state;
	struct stile *resident = codebase_resident(&scene->codebase);
	char id[ID_SIZE], parameters[200], answer[4096];
	int64_t before = 0;
	bool hit = true;

	resident_start(resident, "c", id);
	stile_close(resident);
	snprintf(parameters, sizeof parameters, "{\"session\":\"%s\",\"name\":\"messages\",\"amount\":1}", id);
	for (long n = 1; hit; n++) {
		enum stile_status status = call_with(scene, n, false, "metric add", parameters, answer, sizeof answer, &hit);
		int64_t now = store_number(scene->db, "SELECT coalesce(sum(value), 0) FROM metric WHERE name = $1",
		                           DB_TEXT("messages"));

		assert_true(n < STEPS_MAX);
		assert_outcome(n, status, answer, METRIC_MEMBERS, now - before);
		before = now;
	}
	assert_int_equal(store_number(scene->db, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("metric.add")), before);
}

static enum status
open_store(const struct store_address *address, bool make, struct db **out, struct buf *why)
{
	struct sqlite_options options = {.folder = address->folder, .file = address->file, .make = make};

	return sqlite_open(&options, out, why);
}

/* What a hook does between its input and its answer, in one process and with everything released. */
static enum status
handle(const struct codebase *codebase, struct context *context, struct event *event, char *payload, struct buf *why)
{
	struct event_answer answer = {0};
	json_t *document = NULL;
	enum status status = json_parse(payload, strlen(payload), &document, why);

	*context = (struct context){.open_store = open_store, .wait_ms = 2000};
	event_init(event);
	if (status == OK)
		status = client_claude.parse(document, event, why);
	json_decref(document);
	if (status == OK)
		status = context_find(context, codebase->folder, why);
	if (status == OK)
		status = context_open(context, false, why);
	event->began_boot_ms = clock_boot_ms();
	if (status == OK)
		status = event_handle(context, event, &answer, why);
	event_answer_release(&answer);
	event_release(event);
	context_release(context, false);
	return status;
}

static void
an_event_with_one_allocation_failing(void **state)
{
	struct scene *scene = *state;
	struct context *context = malloc(sizeof *context);
	struct event *event = malloc(sizeof *event);
	int64_t before = 0;
	struct buf why;

	assert_true(context != NULL && event != NULL);
	buf_init(&why, WHY_MAX);
	for (long n = 1, hit = 1; hit; n++) {
		char payload[] =
			"{\"session_id\":\"c\",\"hook_event_name\":\"UserPromptSubmit\",\"cwd\":\"/\",\"prompt\":\"a longer text, in"
			" several allocations \\ud83c\",\"unknown\":{\"a\":[1,2.5,true,null,\"x\"]}}";
		enum status status;
		int64_t now;

		arm(n, false);
		status = handle(&scene->codebase, context, event, payload, &why);
		hit = disarm();
		assert_true(n < STEPS_MAX);
		now = store_number(scene->db, "SELECT coalesce(sum(value), 0) FROM metric WHERE name = $1", DB_TEXT("messages"));
		assert_outcome(n, (enum stile_status)status, "", "", now - before);
		before = now;
	}
	assert_int_equal(store_number(scene->db, "SELECT events FROM session WHERE client_session = $1", DB_TEXT("c")), before);
	buf_release(&why);
	free(event);
	free(context);
}

/*
 * The budget of memory is something that an event's bytes can reach, at any place of it: also where a long text grows.  There
 * jansson's reader took no notice, and wrote past what it had allocated.
 */
static void
a_document_that_reaches_its_budget_inside_a_text_is_refused(void **state)
{
	size_t texts = (size_t)4 << 20, refused_count = 0;
	char *text = malloc(3 * 400000 + texts + 10);
	struct buf why;

	assert_non_null(text);
	buf_init(&why, WHY_MAX);
	for (size_t objects = 150000; objects <= 400000; objects += 50000) {
		json_t *document = NULL;
		size_t len = 0;
		enum status status;

		for (size_t i = 0; i < objects; i++, len += 3)
			memcpy(text + len, i == 0 ? "[{}" : ",{}", 3);
		memcpy(text + len, ",\"", 2);
		memset(text + len + 2, 'x', texts);
		memcpy(text + len + 2 + texts, "\"]", 2);
		status = json_parse(text, len + texts + 4, &document, &why);
		assert_true(status == OK || status == NO_MEMORY);
		if (status == OK)
			assert_int_equal(json_string_length(json_array_get(document, objects)), texts);
		else
			refused_count++;
		json_decref(document);
	}
	/* some fit, some don't */
	assert_in_range(refused_count, 1, 5);
	buf_release(&why);
	free(text);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(TEST(a_start_with_one_allocation_failing), TEST(a_start_with_all_allocations_failing_from_one_on),
      TEST(a_counter_with_one_allocation_failing), TEST(an_event_with_one_allocation_failing),
      TEST(a_document_that_reaches_its_budget_inside_a_text_is_refused))
