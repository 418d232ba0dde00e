/*
 * Residents that contend for one lock, each taking it, holding it for HOLD microseconds and giving it back again and again:
 * `contend ours FOLDER SECONDS N HOLD` through the library, `contend plain DB SECONDS N HOLD` as people do with SQLite: a row, taken
 * under BEGIN IMMEDIATE with synchronous=FULL and busy_timeout 60 s, and tried again after a millisecond while another has it.
 */
#include "many.h"
#include "stile.h"

#include <sqlite3.h>
#include <string.h>

struct plain {
	sqlite3 *handle;
	sqlite3_stmt *take, *give;
	int number;
};

static long hold_us;

/* What one does while it has the lock; 0 = nothing at all. */
static void
work(void)
{
	const struct timespec pause = {.tv_nsec = hold_us * 1000};

	if (hold_us > 0)
		nanosleep(&pause, NULL);
}

static void *
ours_open(const void *arg, int number)
{
	struct stile *stile;
	char why[500];

	(void)number;
	if (stile_open(arg, &stile, why, sizeof why) == STILE_OK)
		return stile;
	fprintf(stderr, "contend: %s\n", why);
	return NULL;
}

static bool
ours_call(void *opened)
{
	char parameters[80];
	const char *result, *fence;

	if (stile_call(opened, "lock acquire", "{\"name\":\"contended\",\"wait\":60000,\"ttl\":600000}", &result) != STILE_OK ||
	    (fence = strstr(result, "\"fence\":")) == NULL) {
		fprintf(stderr, "contend: %s\n", result);
		return false;
	}
	work();
	snprintf(parameters, sizeof parameters, "{\"name\":\"contended\",\"fence\":%lld}", strtoll(fence + 8, NULL, 10));
	return stile_call(opened, "lock release", parameters, &result) == STILE_OK;
}

static void
ours_close(void *opened)
{
	stile_close(opened);
}

static bool
prepare(struct plain *plain)
{
	return sqlite3_prepare_v2(plain->handle,
	                          "UPDATE lock SET holder = ?1, fence = fence + 1 WHERE name = 'contended' AND holder = 0", -1,
	                          &plain->take, NULL) == SQLITE_OK &&
	       sqlite3_prepare_v2(plain->handle, "UPDATE lock SET holder = 0 WHERE name = 'contended' AND holder = ?1", -1,
	                          &plain->give, NULL) == SQLITE_OK;
}

static void *
plain_open(const void *arg, int number)
{
	struct plain *plain = calloc(1, sizeof *plain);

	if (plain == NULL || sqlite3_open(arg, &plain->handle) != SQLITE_OK)
		return NULL;
	sqlite3_busy_timeout(plain->handle, 60000);
	plain->number = number + 1;
	if (sqlite3_exec(plain->handle,
	                 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS lock (name TEXT PRIMARY "
	                 "KEY,"
	                 " holder INTEGER, fence INTEGER); INSERT OR IGNORE INTO lock VALUES ('contended', 0, 0)",
	                 NULL, NULL, NULL) == SQLITE_OK &&
	    prepare(plain))
		return plain;
	fprintf(stderr, "contend: %s\n", sqlite3_errmsg(plain->handle));
	return NULL;
}

/* Whether the row was changed. */
static bool
change(struct plain *plain, sqlite3_stmt *statement)
{
	bool done;

	if (sqlite3_exec(plain->handle, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return false;
	sqlite3_bind_int(statement, 1, plain->number);
	sqlite3_step(statement);
	done = sqlite3_changes(plain->handle) == 1;
	sqlite3_reset(statement);
	return sqlite3_exec(plain->handle, done ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK && done;
}

static bool
plain_call(void *opened)
{
	const struct timespec pause = {0, 1000000};
	struct plain *plain = opened;
	int64_t until = many_now_us() + 60000000;

	while (!change(plain, plain->take)) {
		if (many_now_us() > until)
			return false;
		nanosleep(&pause, NULL);
	}
	work();
	/* busy for a minute: tried again, since it is ours */
	while (!change(plain, plain->give))
		if (many_now_us() > until)
			return false;
	return true;
}

static void
plain_close(void *opened)
{
	struct plain *plain = opened;

	sqlite3_finalize(plain->take);
	sqlite3_finalize(plain->give);
	sqlite3_close(plain->handle);
	free(plain);
}

int
main(int argc, char **argv)
{
	static const struct worker workers[] = {{ours_open, ours_call, ours_close, NULL},
	                                        {plain_open, plain_call, plain_close, NULL}};
	struct worker worker;

	if (argc != 6) {
		fprintf(stderr, "usage: contend ours FOLDER SECONDS N HOLD | contend plain DB SECONDS N HOLD\n");
		return 64;
	}
	worker = workers[strcmp(argv[1], "plain") == 0];
	worker.arg = argv[2];
	hold_us = strtol(argv[5], NULL, 10);
	return many_run(&worker, (int)strtol(argv[4], NULL, 10), (int64_t)(strtod(argv[3], NULL) * 1e6));
}
