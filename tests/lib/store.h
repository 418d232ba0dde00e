/*
 * Stores to try rules on.  A bench is a store in memory with a write transaction open on it, at an instant that the test sets;
 * a contract store is on disk, of each engine there is.
 *
 * What fails here is the test's surroundings, not what it tests: it is told on stderr and the program aborts.
 */
#ifndef LIB_STORE_H
#define LIB_STORE_H

#include "core/engine.h"

#define BENCH_START_MS 1760000000000
#define BENCH_PROJECT "."

struct bench {
	struct db *db;
	struct config config; /* the built-in settings, and what bench_config added */
	struct txn txn;       /* open from bench_init to bench_release */
	struct buf why;
};

void bench_init(struct bench *bench);

/* The same on a connection to some other store, which is the bench's from now on. */
void bench_init_on(struct bench *bench, struct db *db);

void bench_release(struct bench *bench);

/* Commits, and begins again at `now_ms`. */
void bench_at(struct bench *bench, int64_t now_ms);

/* Takes back what was done since the last bench_at, and begins again at the same instant. */
void bench_undo(struct bench *bench);

/* Adds the text of a configuration file. */
void bench_config(struct bench *bench, const char *text);

/* For cmocka: *state is a struct bench. */
int bench_set_up(void **state);
int bench_tear_down(void **state);
#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, bench_set_up, bench_tear_down)

/* Never the same twice, and the same in every run. */
enum status store_random(void *out, size_t len);

/* The number in the first row's first column; -1 when there is no row.  `sql` is a literal, as everywhere. */
#define store_number(db, sql, ...) store_number_of((db), (sql), DB_ARGS(__VA_ARGS__))
int64_t store_number_of(struct db *db, const char *sql, const struct db_value *args, size_t count);

/* The same for a text; the caller frees it.  NULL when there is no row. */
#define store_text(db, sql, ...) store_text_of((db), (sql), DB_ARGS(__VA_ARGS__))
char *store_text_of(struct db *db, const char *sql, const struct db_value *args, size_t count);

/* The n-th engine's name, NULL past the last. */
const char *contract_engine(size_t n);

/* A connection to the store in `folder` (a scratch folder) of the n-th engine; the first one makes it. */
struct db *contract_store(size_t engine, const char *folder);

/* Names that store to programs and to the library (STILE_STORE), where they would not find it by themselves. */
void contract_name(size_t engine, const char *folder);

/* Closes it as a resident does. */
void contract_close(struct db *db);

/*
 * A contract test's scene: two connections to one new store of the engine that is being tried.
 *
 *	CONTRACT_TESTS(CONTRACT_TEST(a_rule), ...)
 */
struct contract {
	char *folder;
	struct db *db;
	struct db *other;
	struct buf why;
};

extern size_t contract_now; /* the engine; of a codebase, too */
int contract_set_up(void **state);
int contract_tear_down(void **state);
#define CONTRACT_TEST(test) cmocka_unit_test_setup_teardown(test, contract_set_up, contract_tear_down)
#define CONTRACT_TESTS(...) \
	int main(void) \
	{ \
		const struct CMUnitTest tests[] = {__VA_ARGS__}; \
		int failed = 0; \
		test_begin(); \
		for (; contract_engine(contract_now) != NULL; contract_now++) \
			failed += cmocka_run_group_tests_name(contract_engine(contract_now), tests, NULL, NULL); \
		return failed; \
	}

/* Whether the store finds itself whole (PRAGMA integrity_check); else says on stderr what is wrong.  Not inside a transaction. */
bool store_is_whole(struct db *db);

#endif
