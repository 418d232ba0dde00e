/*
 * Some write and copy the log back, others read meanwhile.
 *
 * The anomalies refuted:
 *
 *   a torn read      A adds to x, then to y; B reads between the two and sees that x has one more.
 *   a moving read    B reads x; A commits; B reads y in the same transaction and sees A's.
 *   time goes back   A writes at 12:00:05; B, who comes later, writes at 12:00:04: what is newer looks older.
 *
 * Rows: R122 N11
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"
#include "core/audit.h"
#include "core/metric.h"
#include "db/sqlite_store.h"

#include <unistd.h>

#define WRITERS 4
#define READERS 4

struct race {
	char *folder;
	size_t kind; /* of engine */
	unsigned writes;
	/* shared: */
	struct seen {
		int64_t last_ms; /* the newest instant that anybody was given */
		unsigned writers_done;
		unsigned changes; /* reads that saw something new */
		bool back;
	} * seen;
};

/* One rule: x and y and the trail go together. */
static enum status
write_pair(struct txn *txn, void *arg, struct buf *why)
{
	struct seen *seen = ((struct race *)arg)->seen;

	(void)why;
	if (txn_now(txn) < __atomic_load_n(&seen->last_ms, __ATOMIC_SEQ_CST))
		seen->back = true;
	__atomic_store_n(&seen->last_ms, txn_now(txn), __ATOMIC_SEQ_CST);
	metric_add(txn, "s", "x", 1);
	audit_add(txn, "s", "pair", "", "", "");
	metric_add(txn, "s", "y", 1);
	return OK;
}

struct reading {
	struct race *race;
	double last;
	bool torn;
};

static enum status
read_pair(struct txn *txn, void *arg, struct buf *why)
{
	struct reading *reading = arg;
	struct metric_values first, second;
	int64_t trail;
	enum status status = metric_load(txn, "s", &first, why);

	if (status != OK)
		return status;
	trail = store_number(txn->db, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("pair"));
	status = metric_load(txn, "s", &second, why);
	if (status == OK) {
		double x = metric_life(&first, "x");

		if (metric_life(&first, "y") != x || metric_life(&second, "x") != x || metric_life(&second, "y") != x ||
		    (double)trail != x || x < reading->last)
			reading->torn = true;
		if (x > reading->last)
			__atomic_add_fetch(&reading->race->seen->changes, 1, __ATOMIC_SEQ_CST);
		reading->last = x;
		metric_values_release(&second);
	}
	metric_values_release(&first);
	return status;
}

static int
writes(struct race *race, struct engine *engine)
{
	bool well = true;

	for (unsigned i = 0; i < race->writes && well; i++)
		well = engine_run(engine, write_pair, race, NULL) == OK;
	__atomic_add_fetch(&race->seen->writers_done, 1, __ATOMIC_SEQ_CST);
	return well ? 0 : 2;
}

static int
reads(struct race *race, struct engine *engine)
{
	struct reading reading = {.race = race};
	bool well = true;

	while (well && __atomic_load_n(&race->seen->writers_done, __ATOMIC_SEQ_CST) < WRITERS) {
		int64_t before = __atomic_load_n(&race->seen->last_ms, __ATOMIC_SEQ_CST);

		well = engine_read(engine, read_pair, &reading, NULL) == OK && !reading.torn;
		if (engine->db->now_ms < before)
			race->seen->back = true;
	}
	return well ? 0 : reading.torn ? 3 : 2;
}

static int
writes_or_reads(const struct member *member)
{
	struct race *race = member->arg;
	struct db *db = contract_store(race->kind, race->folder);
	struct engine engine;
	int status;

	/* so that the log is copied back every few commits, between the reads of the others */
	if (str_equal(db->ops->name, "sqlite"))
		((struct sqlite *)db)->wal_limit = 8;
	engine_init(&engine, db, ".", "uid:7", store_random);
	if (config_defaults(&engine.config) != OK || !crowd_together(member))
		return 1;
	status = member->index < WRITERS ? writes(race, &engine) : reads(race, &engine);
	engine_release(&engine, false);
	return status;
}

static void
readers_see_whole_states_while_writers_and_checkpoints_run(void **state)
{
	for (size_t kind = 0; contract_engine(kind) != NULL; kind++) {
		struct race race = {.kind = kind, .folder = scratch_folder(), .writes = share_is_full() ? 10000 : 400};
		struct db *db = contract_store(kind, race.folder);

		race.seen = scratch_shared(sizeof *race.seen);
		assert_true(crowd_run(WRITERS + READERS, writes_or_reads, &race));
		assert_false(race.seen->back);
		/* they did read while others wrote */
		assert_true(race.seen->changes > 10);
		assert_int_equal(store_number(db, "SELECT value FROM metric WHERE name = $1", DB_TEXT("x")), race.writes * WRITERS);
		assert_int_equal(store_number(db, "SELECT count(*) FROM audit WHERE kind = $1", DB_TEXT("pair")),
		                 race.writes * WRITERS);
		assert_true(store_is_whole(db));
		contract_close(db);
		scratch_unshare(race.seen, sizeof *race.seen);
		scratch_remove(race.folder);
	}
}

/* The instants in the trail, in the order in which they were written, never go back. */
static void
the_trail_is_in_the_order_of_its_instants(void **state)
{
	for (size_t kind = 0; contract_engine(kind) != NULL; kind++) {
		struct race race = {.kind = kind, .folder = scratch_folder(), .writes = share_is_full() ? 2000 : 100};
		struct db *db = contract_store(kind, race.folder);

		race.seen = scratch_shared(sizeof *race.seen);
		assert_true(crowd_run(WRITERS, writes_or_reads, &race));
		assert_int_equal(store_number(db,
		                              "SELECT count(*) FROM (SELECT at_ms, lag(at_ms, 1, 0) OVER (ORDER BY seq) AS before FROM "
		                              "audit"
		                              " WHERE kind = $1) AS t WHERE at_ms < before",
		                              DB_TEXT("pair")),
		                 0);
		contract_close(db);
		scratch_unshare(race.seen, sizeof *race.seen);
		scratch_remove(race.folder);
	}
}

TESTS(cmocka_unit_test(readers_see_whole_states_while_writers_and_checkpoints_run),
      cmocka_unit_test(the_trail_is_in_the_order_of_its_instants))
