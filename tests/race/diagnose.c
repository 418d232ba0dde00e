/*
 * diagnose itself, put to the test: its own targets lose and are safe as they must be, whatever the number of writers; and
 * targets made to go wrong (a guard that doesn't guard, a writer that dies or hangs) are told, never shown as SAFE.
 * R122, R123, R125
 *
 * Time limit: 300 s
 *
 * The anomaly: A and B read the same state; both write back what they made of it; the later write takes away the earlier.
 */
#include "core/metric.h"
#include "diagnose/diagnose.h"
#include "library.h"
#include "lib/codebase.h"
#include "lib/postgres.h"
#include "lib/scratch.h"
#include "lib/store.h"
#include "lib/test.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* NULL for the embedded engine: it needs none. */
static const struct store_address *
server(void)
{
	static struct store_address address = {.file = "the server"};

	if (str_equal(contract_engine(contract_now), "sqlite"))
		return NULL;
	postgres_address("diagnose", address.url);
	return &address;
}

static void
run(const struct target *const *targets, size_t count, unsigned writers, int64_t limit_ms, struct diagnosis *rows)
{
	struct diagnose_ask ask = {targets, count, writers, limit_ms, library_open_store, server()};
	struct buf why;

	buf_init(&why, WHY_MAX);
	if (diagnose_run(&ask, rows, &why) != OK)
		fail_msg("%s", why.data);
	buf_release(&why);
}

#define TARGETS_MAX 40

/* What is spliced can't be read; all else that is lost is overwritten. */
static enum verdict
loss_of(const struct target *target)
{
	static const char *const torn[] = {"file-append", "evidence-ledger", "blueprint-ledger", "audit-log", "message-log"};

	for (size_t i = 0; i < sizeof torn / sizeof *torn; i++)
		if (strcmp(target->name, torn[i]) == 0)
			return VERDICT_TORN;
	return VERDICT_LAST_WRITER_WINS;
}

/* R96 R99 R101 R102 R123 R124 */
static void
with_any_number_of_writers_the_unguarded_lose_and_the_guarded_are_safe(void **state)
{
	const struct target *targets[TARGETS_MAX];
	static const unsigned writers[] = {2, 16, 3};
	size_t rounds = share_is_full() ? 3 : 2;
	struct diagnosis rows[TARGETS_MAX * 2];
	size_t count = 0;

	while (count < TARGETS_MAX && (targets[count] = diagnose_nth(count)) != NULL)
		count++;
	assert_in_range(count, 7, TARGETS_MAX - 1);
	for (size_t i = 0; i < rounds; i++) {
		run(targets, count, writers[i], DIAGNOSE_LIMIT_MS, rows);
		for (size_t j = 0; j < count * 2; j++) {
			assert_int_equal(rows[j].guarded, j % 2);
			assert_int_equal(rows[j].writers, writers[i]);
			assert_int_equal(rows[j].verdict, j % 2 == 1 ? VERDICT_SAFE : loss_of(rows[j].target));
			assert_int_equal(strcmp(rows[j].expected, rows[j].found) == 0, j % 2);
		}
	}
}

/* A count of writers, kept in a file or as a metric, for targets of our own. */
#define COUNT_FILE "count.json"

static enum status
prepare_count(struct race *race, struct buf *why)
{
	json_t *count = json_pack("{si}", "count", 0);
	enum status status = trial_write_file(race, COUNT_FILE, count, why);

	json_decref(count);
	return status;
}

static enum status
look_at_count(struct race *race, struct buf *why)
{
	json_t *count;
	enum status status = trial_read_file(race, COUNT_FILE, &count, why);

	if (status != OK)
		return status;
	race->finding->wanted = race->trial->writers;
	race->finding->kept = json_whole(count, "count", 0);
	json_decref(count);
	return OK;
}

/* Writes what it made of a reading from before it had the right to write. */
static enum status
write_stale(struct race *race, struct buf *why)
{
	json_t *count = json_pack("{si}", "count", 1);
	enum status status = trial_meet(race, why);

	if (status == OK)
		status = trial_write_file(race, COUNT_FILE, count, why);
	json_decref(count);
	return status;
}

/* As a rule does: reads inside of its transaction, where it is alone. */
static enum status
write_in_turn(struct race *race, struct buf *why)
{
	json_t *count;
	enum status status = trial_read_file(race, COUNT_FILE, &count, why);

	if (status != OK)
		return status;
	status = trial_meet(race, why);
	json_object_set_new(count, "count", json_integer(json_whole(count, "count", 0) + 1));
	if (status == OK)
		status = trial_write_file(race, COUNT_FILE, count, why);
	json_decref(count);
	return status;
}

/* R123 */
static void
a_guard_that_does_not_guard_is_told(void **state)
{
	static const struct target target = {"stale",
	                                     {.prepare = prepare_count, .write = write_stale, .look = look_at_count},
	                                     {.prepare = prepare_count, .write = write_stale, .look = look_at_count}};
	const struct target *targets[] = {&target};
	struct diagnosis rows[2];

	run(targets, 1, 4, DIAGNOSE_LIMIT_MS, rows);
	assert_int_equal(rows[0].verdict, VERDICT_LAST_WRITER_WINS);
	assert_int_equal(rows[1].verdict, VERDICT_LAST_WRITER_WINS);
	assert_false(diagnose_proves(rows, 2, NULL));
}

/* R123: the same writer, word for word: what saves it is the transaction around it alone. */
static void
the_same_writer_loses_outside_of_a_rule_and_not_inside(void **state)
{
	static const struct target target = {"in-turn",
	                                     {.prepare = prepare_count, .write = write_in_turn, .look = look_at_count},
	                                     {.prepare = prepare_count, .write = write_in_turn, .look = look_at_count}};
	const struct target *targets[] = {&target};
	struct diagnosis rows[2];

	run(targets, 1, 8, DIAGNOSE_LIMIT_MS, rows);
	assert_int_equal(rows[0].verdict, VERDICT_LAST_WRITER_WINS);
	assert_int_equal(rows[1].verdict, VERDICT_SAFE);
	assert_true(diagnose_proves(rows, 2, NULL));
}

/* Ends in the middle of its text. */
static enum status
write_piece(struct race *race, struct buf *why)
{
	char path[PATH_SIZE * 2];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", race->trial->folder, COUNT_FILE);
	file = fopen(path, "w");
	if (file == NULL)
		return why_not(why, IO_FAILED, "%s", path);
	fprintf(file, "{\"count\":%u", race->self->number);
	fclose(file);
	return trial_meet(race, why);
}

static enum status
write_too_much(struct race *race, struct buf *why)
{
	json_t *count = json_pack("{si}", "count", 1000);
	enum status status = trial_meet(race, why);

	if (status == OK)
		status = trial_write_file(race, COUNT_FILE, count, why);
	json_decref(count);
	return status;
}

/* R123 */
static void
a_torn_file_and_one_that_says_too_much_are_told_apart(void **state)
{
	static const struct target torn = {"torn",
	                                   {.prepare = prepare_count, .write = write_piece, .look = look_at_count},
	                                   {.prepare = prepare_count, .write = write_piece, .look = look_at_count}};
	static const struct target corrupt = {"corrupt",
	                                      {.prepare = prepare_count, .write = write_too_much, .look = look_at_count},
	                                      {.prepare = prepare_count, .write = write_too_much, .look = look_at_count}};
	const struct target *targets[] = {&torn, &corrupt};
	struct diagnosis rows[4];

	run(targets, 2, 4, DIAGNOSE_LIMIT_MS, rows);
	assert_int_equal(rows[0].verdict, VERDICT_TORN);
	assert_int_equal(rows[1].verdict, VERDICT_TORN);
	assert_int_equal(rows[2].verdict, VERDICT_CORRUPT);
	assert_int_equal(rows[3].verdict, VERDICT_CORRUPT);
}

static enum status
write_and_die(struct race *race, struct buf *why)
{
	if (race->self->number == 1)
		raise(SIGKILL);
	return write_in_turn(race, why);
}

static enum status
write_and_hang(struct race *race, struct buf *why)
{
	while (race->self->number == 1)
		pause();
	return write_in_turn(race, why);
}

static enum status
write_and_fail(struct race *race, struct buf *why)
{
	if (race->self->number == 1)
		return why_not(why, IO_FAILED, "%s/x: no such luck", race->trial->folder);
	return write_in_turn(race, why);
}

/* R123: also when it holds the store's write gate at that moment. */
static void
a_writer_that_dies_or_hangs_or_fails_leaves_nothing_shown(void **state)
{
	static const struct target dies = {"dies",
	                                   {.prepare = prepare_count, .write = write_and_die, .look = look_at_count},
	                                   {.prepare = prepare_count, .write = write_and_die, .look = look_at_count}};
	static const struct target hangs = {"hangs",
	                                    {.prepare = prepare_count, .write = write_and_hang, .look = look_at_count},
	                                    {.prepare = prepare_count, .write = write_and_hang, .look = look_at_count}};
	static const struct target fails = {"fails",
	                                    {.prepare = prepare_count, .write = write_and_fail, .look = look_at_count},
	                                    {.prepare = prepare_count, .write = write_and_fail, .look = look_at_count}};
	const struct target *targets[] = {&dies, &hangs, &fails};
	struct diagnosis rows[6];

	run(targets, 2, 4, 1000, rows);
	run(targets + 2, 1, 4, DIAGNOSE_LIMIT_MS, rows + 4);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(rows[i].verdict, VERDICT_INCONCLUSIVE);
	assert_string_equal(rows[4].found, "no such luck");
	assert_string_equal(rows[5].found, "no such luck");
	/* nobody is left, neither running nor unburied, but for the server */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), server() == NULL ? -1 : 0);
}

static struct stat seen;

static enum status
prepare_and_see(struct race *race, struct buf *why)
{
	char path[PATH_SIZE + 3];

	snprintf(path, sizeof path, "%s/..", race->trial->folder);
	assert_int_equal(stat(path, &seen), 0);
	return prepare_count(race, why);
}

/* R125 */
static void
it_works_in_a_folder_of_its_own_that_is_gone_afterwards(void **state)
{
	static const struct target target = {"seen",
	                                     {.prepare = prepare_and_see, .write = write_in_turn, .look = look_at_count},
	                                     {.prepare = prepare_and_see, .write = write_in_turn, .look = look_at_count}};
	const struct target *targets[] = {&target};
	const char *before = getenv("TMPDIR");
	char *folder = scratch_folder(), *kept = strdup(before == NULL ? "" : before);
	struct diagnosis rows[2];

	assert_non_null(kept);
	setenv("TMPDIR", folder, 1);
	umask(0);
	run(targets, 1, 2, DIAGNOSE_LIMIT_MS, rows);
	umask(022);
	if (before == NULL)
		unsetenv("TMPDIR");
	else
		setenv("TMPDIR", kept, 1);
	assert_int_equal(seen.st_mode & 07777, 0700);
	/* only an empty one can be removed so */
	assert_int_equal(rmdir(folder), 0);
	free(folder);
	free(kept);
}

CONTRACT_TESTS(cmocka_unit_test(with_any_number_of_writers_the_unguarded_lose_and_the_guarded_are_safe),
               cmocka_unit_test(a_guard_that_does_not_guard_is_told),
               cmocka_unit_test(the_same_writer_loses_outside_of_a_rule_and_not_inside),
               cmocka_unit_test(a_torn_file_and_one_that_says_too_much_are_told_apart),
               cmocka_unit_test(a_writer_that_dies_or_hangs_or_fails_leaves_nothing_shown),
               cmocka_unit_test(it_works_in_a_folder_of_its_own_that_is_gone_afterwards))
