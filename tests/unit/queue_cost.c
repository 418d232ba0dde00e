/*
 * What a queue costs is the same however long it is: the steps of SQLite's machine are counted, not time.
 *
 * Rows: R105
 */
#include "lib/queueing.h"
#include "lib/test.h"

#include "db/sqlite_store.h"

#define FEW 10
#define MANY 5000
#define AT_MOST 1.5

enum shape { ONE_LINE, LINES, NO_LINE };

static int
count_step(void *steps)
{
	++*(long *)steps;
	return 0;
}

static void
count_from_now(struct queueing *queueing, long *steps)
{
	*steps = 0;
	sqlite3_progress_handler(((struct sqlite *)queueing->leasing.bench.db)->handle, 1, count_step, steps);
}

/* Until there are so many. */
static void
fill(struct queueing *queueing, enum shape shape, int count)
{
	char line[40] = "";

	for (int i = (int)queueing_items(queueing); i < count; i++) {
		if (shape != NO_LINE)
			snprintf(line, sizeof line, QUEUE_GROUP "%d", shape == ONE_LINE ? 0 : i);
		assert_true(queueing_put(queueing, line, "a") > 0);
	}
}

struct cost {
	long put, take, renew, back, ack;
};

static struct cost
measure(struct queueing *queueing)
{
	struct cost cost;
	int64_t number, generation;
	long steps;

	count_from_now(queueing, &steps);
	assert_true(queueing_put(queueing, QUEUE_GROUP "0", "a") > 0);
	cost.put = steps, steps = 0;
	number = queueing_take(queueing, "uid:1");
	generation = queueing->item.claim.fence;
	cost.take = steps, steps = 0;
	assert_int_equal(queueing_renew(queueing, "uid:1", number, generation), OK);
	cost.renew = steps, steps = 0;
	assert_int_equal(queueing_nack(queueing, "uid:1", number, generation, 0), OK);
	cost.back = steps;
	assert_int_equal(queueing_take(queueing, "uid:1"), number);
	steps = 0;
	assert_int_equal(queueing_ack(queueing, "uid:1", number, generation + 1), OK);
	cost.ack = steps;
	sqlite3_progress_handler(((struct sqlite *)queueing->leasing.bench.db)->handle, 0, NULL, NULL);
	return cost;
}

static void
assert_same(const char *what, long few, long many)
{
	if ((double)many > AT_MOST * (double)few)
		fprintf(stderr, "queue: %s: %ld steps in a queue of %d, %ld in one of %d\n", what, few, FEW, many, MANY);
	assert_true(few > 0 && (double)many <= AT_MOST * (double)few);
}

static void
compare(struct queueing *queueing, enum shape shape)
{
	struct cost few, many;

	fill(queueing, shape, FEW);
	(void)measure(queueing); /* the statements are made */
	few = measure(queueing);
	fill(queueing, shape, MANY);
	many = measure(queueing);
	assert_same("put", few.put, many.put);
	assert_same("take", few.take, many.take);
	assert_same("renew", few.renew, many.renew);
	assert_same("nack", few.back, many.back);
	assert_same("ack", few.ack, many.ack);
}

static void
in_one_long_line(void **state)
{
	compare(*state, ONE_LINE);
}

static void
in_many_lines(void **state)
{
	compare(*state, LINES);
}

static void
in_none(void **state)
{
	compare(*state, NO_LINE);
}

TESTS(QUEUEING_TEST(in_one_long_line), QUEUEING_TEST(in_many_lines), QUEUEING_TEST(in_none))
