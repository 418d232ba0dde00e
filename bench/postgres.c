/*
 * Rules on a server: `postgres URL TRIPS SECONDS N` starts N processes, each with a connection and a project of its own, named by its
 * number, that run the rule of so many round trips again and again; of 4, a lock is taken and given back.  `postgres URL make N` makes
 * the projects, each with the session "bench"; `postgres URL TRIPS once` runs a rule twice, the second time with its statements in the
 * server's log.
 */
#include "many.h"

#include "core/lease.h"
#include "core/metric.h"
#include "core/session.h"
#include "db/postgres.h"
#include "os/random.h"

#include <string.h>

#define SESSION "bench"
#define LOCK "lock/bench"
#define LOCK_TRIPS 4

struct ask {
	const char *url;
	int trips;
};

struct client {
	struct engine engine;
	int trips;
	struct lease lease;
};

/* 1: it is shown.  2: its counter grows by one.  3: the same, of a session whose counters were looked at. */
static enum status
rule(struct txn *txn, void *arg, struct buf *why)
{
	const struct client *client = arg;
	struct metric_values values;
	struct session session;
	enum status status = session_load(txn, SESSION, &session, why);

	if (status == OK && client->trips == 3) {
		status = metric_load(txn, SESSION, &values, why);
		if (status == OK)
			metric_values_release(&values);
	}
	if (status == OK && client->trips > 1)
		metric_add(txn, SESSION, "messages", 1);
	return status;
}

static enum status
rule_take(struct txn *txn, void *arg, struct buf *why)
{
	const struct lease_ask ask = {.resource = LOCK, .ttl_ms = 60000, .session = "", .chain = "", .anchor = "", .wake = ""};
	struct client *client = arg;

	return lease_acquire(txn, &ask, &client->lease, why);
}

static enum status
rule_give(struct txn *txn, void *arg, struct buf *why)
{
	const struct client *client = arg;

	return lease_release(txn, LOCK, client->lease.fence, why);
}

/* *trips: that it took. */
static enum status
run(struct client *client, unsigned *trips, struct buf *why)
{
	struct engine *engine = &client->engine;
	enum status status;

	if (client->trips == 1)
		status = engine_read(engine, rule, client, why);
	else if (client->trips < LOCK_TRIPS)
		status = engine_run(engine, rule, client, why);
	else
		status = engine_run(engine, rule_take, client, why);
	*trips = engine->trips;
	if (status != OK || client->trips < LOCK_TRIPS)
		return status;
	status = engine_run(engine, rule_give, client, why);
	*trips += engine->trips;
	return status;
}

static bool
call(void *opened)
{
	struct client *client = opened;
	struct buf why;
	unsigned trips;
	enum status status;

	buf_init(&why, WHY_MAX);
	status = run(client, &trips, &why);
	if (status != OK || trips > (unsigned)client->trips + 1)
		fprintf(stderr, "postgres: %s (%u trips)\n", why.data, trips);
	buf_release(&why);
	return status == OK;
}

static void *
open_client(const void *arg, int number)
{
	const struct ask *ask = arg;
	struct client *client = calloc(1, sizeof *client);
	char project[12];
	struct postgres_options options = {.url = ask->url, .name = "bench", .project = project};
	struct db *db;
	struct buf why;

	buf_init(&why, WHY_MAX);
	snprintf(project, sizeof project, "%d", number);
	if (client == NULL || postgres_open(&options, &db, &why) != OK) {
		fprintf(stderr, "postgres: %s\n", why.data);
		return NULL;
	}
	engine_init(&client->engine, db, project, SESSION, random_bytes);
	client->trips = ask->trips;
	/* the first is part of connecting */
	return config_defaults(&client->engine.config) == OK && call(client) ? client : NULL;
}

static void
close_client(void *opened)
{
	struct client *client = opened;

	engine_release(&client->engine, false);
	free(client);
}

static enum status
rule_make(struct txn *txn, void *arg, struct buf *why)
{
	const struct session_start start = {.client = SESSION,
	                                    .client_session = SESSION,
	                                    .client_version = "",
	                                    .parent = "",
	                                    .cwd = "",
	                                    .worktree = "",
	                                    .branch = ""};
	struct session session;
	enum status status = session_create(txn, &start, &session, why);

	(void)arg;
	db_run(txn->db, "UPDATE session SET session = $1 WHERE project = $2", DB_TEXT(SESSION), DB_TEXT(txn->project));
	return status;
}

static int
make(const char *url, int count)
{
	for (int i = 0; i < count; i++) {
		char project[12];
		struct postgres_options options = {.url = url, .name = "bench", .project = project, .make = true};
		struct engine engine;
		struct db *db;
		struct buf why;

		buf_init(&why, WHY_MAX);
		snprintf(project, sizeof project, "%d", i);
		if (postgres_open(&options, &db, &why) != OK)
			return fprintf(stderr, "postgres: %s\n", why.data) > 0;
		engine_init(&engine, db, project, SESSION, random_bytes);
		if (config_defaults(&engine.config) != OK || engine_run(&engine, rule_make, NULL, &why) != OK)
			return fprintf(stderr, "postgres: %s\n", why.data) > 0;
		engine_release(&engine, false);
	}
	return 0;
}

static int
once(const struct ask *ask)
{
	struct client *client = open_client(ask, 0);
	unsigned trips = 0;
	bool done;

	if (client == NULL || db_begin(client->engine.db, false, 1000, NULL) != OK)
		return 1;
	db_run(client->engine.db, "SELECT set_config('log_statement', 'all', false), $1::text", DB_TEXT(""));
	if (db_commit(client->engine.db, NULL) != OK)
		return 1;
	done = run(client, &trips, NULL) == OK;
	printf("trips %u\n", trips);
	close_client(client);
	return done ? 0 : 1;
}

int
main(int argc, char **argv)
{
	struct ask ask = {argc > 1 ? argv[1] : "", argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0};
	struct worker worker = {open_client, call, close_client, &ask};

	if (argc == 4 && strcmp(argv[2], "make") == 0)
		return make(ask.url, (int)strtol(argv[3], NULL, 10));
	if (argc == 4 && strcmp(argv[3], "once") == 0)
		return once(&ask);
	if (argc == 5)
		return many_run(&worker, (int)strtol(argv[4], NULL, 10), (int64_t)(strtod(argv[3], NULL) * 1e6));
	fprintf(stderr, "usage: postgres URL make N | URL TRIPS once | URL TRIPS SECONDS N\n");
	return 64;
}
