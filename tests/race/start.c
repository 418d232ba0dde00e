/*
 * Many processes start sessions at the same instant.
 *
 * The anomalies refuted:
 *
 *   one id for two       A and B make an id from the date, or from one millisecond, or from a constant; both write under it.
 *   two rows for one id  A looks for the client's id and finds nothing; B looks and finds nothing; A inserts; B inserts.
 *   a late id forgotten  A gets or creates, something is bound, B gets or creates once more and writes the row anew.
 *   two stores           A finds no store and makes one; B found none either and makes another over it.
 *
 * Rows: R1 R12 R13 R122 N11
 * Time limit: 600 s
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#include <sys/stat.h>
#include <unistd.h>

#define ID_BYTES 40
#define STARTERS 16
#define RACERS 100

struct scene {
	struct codebase codebase;
	unsigned each;         /* starts that one process makes */
	char (*ids)[ID_BYTES]; /* shared: one per start */
	bool *created;         /* shared: whether that start made its session */
	size_t size;
};

static void
open_scene(struct scene *scene, unsigned count)
{
	codebase_make(&scene->codebase);
	scene->size = (size_t)count * (ID_BYTES + 1);
	scene->ids = scratch_shared(scene->size);
	scene->created = (bool *)(scene->ids + count);
}

static void
close_scene(struct scene *scene)
{
	assert_true(codebase_is_whole(&scene->codebase));
	scratch_unshare(scene->ids, scene->size);
	codebase_remove(&scene->codebase);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool
is_uuid_7(const char *id)
{
	return strlen(id) == 36 && strspn(id, "0123456789abcdef-") == 36 && id[8] == '-' && id[13] == '-' && id[14] == '7' &&
	       id[18] == '-' && strchr("89ab", id[19]) != NULL && id[23] == '-';
}

/* Sorts them; how many there are that differ. */
static unsigned
distinct(char (*ids)[ID_BYTES], unsigned count)
{
	unsigned found = 0;

	qsort(ids, count, ID_BYTES, compare);
	for (unsigned i = 0; i < count; i++) {
		assert_true(is_uuid_7(ids[i]));
		if (i == 0 || !str_equal(ids[i - 1], ids[i]))
			found++;
	}
	return found;
}

static int
starts_many(const struct member *member)
{
	struct scene *scene = member->arg;
	struct stile *resident = codebase_resident(&scene->codebase);
	char name[40];

	if (!crowd_together(member))
		return 1;
	for (unsigned i = 0; i < scene->each; i++) {
		snprintf(name, sizeof name, "conversation-%u-%u", member->index, i);
		resident_start(resident, name, scene->ids[member->index * scene->each + i]);
	}
	stile_close(resident);
	return 0;
}

/* Rows: R1 */
static void
ten_thousand_starts_from_sixteen_processes_give_as_many_ids(void **state)
{
	struct scene scene = {.each = (share_is_full() ? 10000U : 1600U) / STARTERS};
	unsigned count = scene.each * STARTERS;

	open_scene(&scene, count);
	assert_true(crowd_run(STARTERS, starts_many, &scene));
	assert_int_equal(distinct(scene.ids, count), count);
	assert_int_equal(codebase_number(&scene.codebase, "SELECT count(*) FROM session WHERE project = $1", DB_TEXT(".")), count);
	/* each has its start in the trail, and only one */
	assert_int_equal(codebase_number(&scene.codebase, "SELECT count(DISTINCT session) FROM audit WHERE kind = $1",
	                                 DB_TEXT("session.start")),
	                 count);
	close_scene(&scene);
}

/* Starts `count` programs at once; client i is called name[i % names]. */
static void
run_programs(struct scene *scene, unsigned count, unsigned names)
{
	struct running running[STARTERS];
	struct said said;

	for (unsigned i = 0; i < count; i++) {
		char name[40];

		snprintf(name, sizeof name, "program-%u", i % names);
		codebase_start(&scene->codebase, &running[i],
		               (const char *const[]){"session", "start", "--client", "claude", "--client-session", name, "--json",
		                                     NULL});
	}
	for (unsigned i = 0; i < count; i++) {
		json_t *document;

		codebase_finish(&running[i], &said);
		assert_int_equal(said.status, 0);
		assert_string_equal(said.err, "");
		document = said_document(&said);
		assert_non_null(document);
		snprintf(scene->ids[i], ID_BYTES, "%s", json_text(document, "session", ""));
		scene->created[i] = json_truth(document, "created");
		json_decref(document);
	}
}

/* Rows: R1 */
static void
sixteen_programs_at_once_give_sixteen_ids(void **state)
{
	struct scene scene = {0};

	open_scene(&scene, STARTERS);
	run_programs(&scene, STARTERS, STARTERS);
	assert_int_equal(distinct(scene.ids, STARTERS), STARTERS);
	close_scene(&scene);
}

static unsigned
made(const struct scene *scene, unsigned count)
{
	unsigned found = 0;

	for (unsigned i = 0; i < count; i++)
		found += scene->created[i];
	return found;
}

/* Rows: R13 */
static void
sixteen_programs_at_once_with_one_id_are_one_session(void **state)
{
	struct scene scene = {0};

	open_scene(&scene, STARTERS);
	run_programs(&scene, STARTERS, 1);
	assert_int_equal(distinct(scene.ids, STARTERS), 1);
	assert_int_equal(made(&scene, STARTERS), 1);
	close_scene(&scene);
}

static int
starts_the_same(const struct member *member)
{
	struct scene *scene = member->arg;
	struct stile *resident = codebase_resident(&scene->codebase);
	json_t *document;
	enum stile_status status;

	if (!crowd_together(member))
		return 1;
	status = resident_call(resident, &document, "session start", "{\"client\":\"claude\",\"client_session\":\"the one\"}");
	snprintf(scene->ids[member->index], ID_BYTES, "%s", json_text(document, "session", ""));
	scene->created[member->index] = json_truth(document, "created");
	json_decref(document);
	stile_close(resident);
	return status == STILE_OK ? 0 : 2;
}

/* Rows: R13 */
static void
a_hundred_racing_starts_of_one_id_make_one_row_and_one_id(void **state)
{
	struct scene scene = {0};

	open_scene(&scene, RACERS);
	assert_true(crowd_run(RACERS, starts_the_same, &scene));
	assert_int_equal(distinct(scene.ids, RACERS), 1);
	assert_int_equal(made(&scene, RACERS), 1);
	assert_int_equal(codebase_number(&scene.codebase, "SELECT count(*) FROM session WHERE project = $1", DB_TEXT(".")), 1);
	assert_int_equal(codebase_number(&scene.codebase, "SELECT count(*) FROM binding WHERE value = $1", DB_TEXT("the one")), 1);
	close_scene(&scene);
}

/* Rows: R12 R13 */
static void
starting_again_leaves_what_was_bound_late(void **state)
{
	struct scene scene = {0};
	struct stile *resident;
	json_t *document;
	char id[ID_BYTES];

	open_scene(&scene, RACERS);
	resident = codebase_resident(&scene.codebase);
	resident_start(resident, "the one", id);
	assert_int_equal(resident_call(resident, NULL, "session bind",
	                               "{\"session\":\"%s\",\"slot\":\"memory\",\"value\":\"late\"}", id),
	                 STILE_OK);
	assert_true(crowd_run(RACERS, starts_the_same, &scene));
	assert_int_equal(made(&scene, RACERS), 0);
	assert_int_equal(distinct(scene.ids, RACERS), 1);
	assert_string_equal(scene.ids[0], id);
	assert_int_equal(resident_call(resident, &document, "session bindings", "{\"session\":\"%s\"}", id), STILE_OK);
	assert_int_equal(json_array_size(json_object_get(document, "bindings")), 2);
	json_decref(document);
	assert_int_equal(codebase_number(&scene.codebase, "SELECT count(*) FROM binding WHERE slot = 'memory' AND value = $1",
	                                 DB_TEXT("late")),
	                 1);
	stile_close(resident);
	close_scene(&scene);
}

static int
makes_the_store(const struct member *member)
{
	const struct codebase *codebase = member->arg;
	struct stile *resident;
	char name[16], id[ID_BYTES];

	if (!crowd_together(member))
		return 1;
	contract_close(contract_store(contract_now, codebase->store));
	resident = codebase_resident(codebase);
	snprintf(name, sizeof name, "c%u", member->index % 1000);
	resident_start(resident, name, id);
	stile_close(resident);
	return *id == '\0' ? 2 : 0;
}

static void
many_processes_that_make_the_store_make_one(void **state)
{
	for (int round = 0; round < (share_is_full() ? 30 : 4); round++) {
		struct codebase codebase;

		codebase_make_bare(&codebase);
		assert_int_equal(mkdir(codebase.store, 0700), 0);
		contract_name(contract_now, codebase.store);
		assert_true(crowd_run(STARTERS, makes_the_store, &codebase));
		assert_int_equal(codebase_number(&codebase, "SELECT count(*) FROM store WHERE schema > $1", DB_INT(0)), 1);
		assert_int_equal(codebase_number(&codebase, "SELECT count(*) FROM session WHERE project = $1", DB_TEXT(".")), STARTERS);
		assert_true(codebase_is_whole(&codebase));
		codebase_remove(&codebase);
	}
}

CONTRACT_TESTS(cmocka_unit_test(ten_thousand_starts_from_sixteen_processes_give_as_many_ids),
               cmocka_unit_test(sixteen_programs_at_once_give_sixteen_ids),
               cmocka_unit_test(sixteen_programs_at_once_with_one_id_are_one_session),
               cmocka_unit_test(a_hundred_racing_starts_of_one_id_make_one_row_and_one_id),
               cmocka_unit_test(starting_again_leaves_what_was_bound_late),
               cmocka_unit_test(many_processes_that_make_the_store_make_one))
