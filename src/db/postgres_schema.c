#include "base/id.h"
#include "base/str.h"
#include "db/dialect.h"
#include "db/postgres_reach.h"
#include "db/postgres_rights.h"
#include "db/postgres_store.h"
#include "os/clock.h"
#include "os/random.h"
#include "schema.h"

#define SCHEMA_NEWEST (schema_files[sizeof schema_files / sizeof *schema_files - 1].number)
#define SCHEMA_TEXT_MAX ((size_t)256 << 10)
#define STEP_MS 15000  /* for an answer, some of which wait 10 s for others */
#define GROW_MS 600000 /* to make tables, and to change those that may be large */

/* One for all who bring tables up to date in a database. */
#define LOCK "SELECT pg_advisory_xact_lock(357855546437)"

/*
 * This engine's own: the last instant that a writer of the project was given, and how far they are ahead of a server's clock that
 * was set back: so that time goes on meanwhile.
 */
#define SEEN "ALTER TABLE project ADD COLUMN seen_ms BIGINT NOT NULL DEFAULT 0, ADD COLUMN ahead_ms BIGINT NOT NULL DEFAULT 0"

/* And the key of every write transaction (postgres_outcome.c): the row that proves that it was committed. */
#define OPERATIONS \
	"CREATE TABLE operation (project TEXT COLLATE \"C\" NOT NULL, at_ms BIGINT NOT NULL, key TEXT COLLATE \"C\" NOT NULL," \
	" PRIMARY KEY (project, at_ms, key))"

int64_t
postgres_newest(void)
{
	return SCHEMA_NEWEST;
}

enum status
postgres_known(const struct postgres *store, int64_t number, bool *older, struct buf *why)
{
	if (number < 0)
		return why_not(why, STORE_DOWN, "%s: the store is damaged: it doesn't tell its schema; restore the database from a backup",
		               store->name);
	if (number > SCHEMA_NEWEST)
		return why_not(why, STORE_DOWN, "%s: the store has schema %lld, this program knows up to %d; update stile", store->name,
		               (long long)number, SCHEMA_NEWEST);
	if (number == SCHEMA_NEWEST)
		return OK;
	*older = true;
	return why_not(why, STORE_DOWN, "%s: the store has schema %lld and must be brought to %d; run `stile store migrate`",
	               store->name, (long long)number, SCHEMA_NEWEST);
}

static bool
is_good(const PGresult *result)
{
	return PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
}

/* The last of its answers, or the error; NULL when nothing was sent or the connection is lost. */
static PGresult *
answer_of(struct postgres *store, int sent)
{
	bool limited = store->until_boot_ms != 0;
	PGresult *last = NULL, *next;

	if (!limited)
		store->until_boot_ms = clock_boot_ms() + STEP_MS;
	while (sent != 0 && (next = postgres_next(store)) != NULL) {
		PQclear(last);
		last = next;
	}
	if (!limited)
		store->until_boot_ms = 0;
	return last;
}

enum status
postgres_do(struct postgres *store, const char *sql, struct buf *why)
{
	PGresult *result = answer_of(store, PQsendQuery(store->conn, sql));
	enum status status = is_good(result) ? OK : postgres_why(store, result, why);

	PQclear(result);
	return status;
}

enum status
postgres_look(struct postgres *store, const char *sql, const char *const *texts, int count, PGresult **out, struct buf *why)
{
	PGresult *result = answer_of(store, PQsendQueryParams(store->conn, sql, count, NULL, texts, NULL, NULL, 0));
	enum status status = is_good(result) ? OK : postgres_why(store, result, why);

	if (status == OK)
		*out = result;
	else
		PQclear(result);
	return status;
}

enum status
postgres_number(struct postgres *store, const char *sql, const char *const *texts, int count, int64_t none, int64_t *out,
                struct buf *why)
{
	PGresult *result;
	enum status status = postgres_look(store, sql, texts, count, &result, why);

	if (status != OK)
		return status;
	if (PQntuples(result) == 0 || PQgetisnull(result, 0, 0) != 0)
		*out = none;
	else
		*out = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	return OK;
}

static enum status
run_file(struct postgres *store, const char *sql, struct buf *why)
{
	struct buf text;
	enum status status;

	buf_init(&text, SCHEMA_TEXT_MAX);
	dialect_expand(&text, sql, DIALECT_POSTGRES);
	status = buf_status(&text) == OK ? postgres_do(store, text.data, why) : why_not(why, NO_MEMORY, "out of memory");
	buf_release(&text);
	return status;
}

static enum status
first_row(struct postgres *store, struct buf *why)
{
	uint8_t random[10];
	char clone[ID_SIZE], sql[200];
	enum status status = postgres_do(store, SEEN "; " OPERATIONS, why);

	if (status == OK && random_bytes(random, sizeof random) != OK)
		status = why_not(why, STORE_DOWN, "the system has no randomness to give");
	if (status != OK)
		return status;
	id_make(clone, clock_wall_ms(), random);
	snprintf(sql, sizeof sql, "INSERT INTO store (one, schema, seen_ms, clone) VALUES (1, 0, 0, '%s')", clone);
	return postgres_do(store, sql, why);
}

static enum status
migrate_step(struct postgres *store, int number, const char *text, struct buf *why)
{
	char sql[80];
	enum status status = run_file(store, text, why);

	if (status == OK && number == 1)
		status = first_row(store, why);
	snprintf(sql, sizeof sql, "UPDATE store SET schema = %d", number);
	return status == OK ? postgres_do(store, sql, why) : status;
}

/* The schema that is there: 0 for none.  STORE_DOWN when tables of that name are somebody else's, or newer than we. */
static enum status
read_schema(struct postgres *store, bool make, int64_t *number, struct buf *why)
{
	int64_t there = 0;
	bool older = false;
	enum status status = postgres_number(store, "SELECT count(*) FROM pg_class WHERE oid = to_regclass('store')", NULL, 0, 0,
	                                     &there, why);

	*number = 0;
	if (status == OK && there == 0)
		return make ? OK
		            : why_not(why, STORE_DOWN, "%s: there is no store in the database; run `stile store init`", store->name);
	if (status == OK)
		status = postgres_number(store, "SELECT schema FROM store", NULL, 0, -1, number, why);
	if (postgres_missing(store))
		return why_not(why, STORE_DOWN, "%s: its table `store` is not ours; use another database or schema", store->name);
	if (str_equal(store->state, POSTGRES_FORBIDDEN))
		return postgres_no_project(store, why);
	if (status == OK && (status = postgres_known(store, *number, &older, why)) != OK && older)
		status = OK;
	return status;
}

static enum status
grow(struct postgres *store, int64_t number, struct buf *why)
{
	bool owner = true;
	enum status status = number > 0 ? postgres_owns(store, &owner, why) : OK;

	if (status == OK && !owner)
		return why_not(why, STORE_DOWN,
		               "%s: the store has schema %lld and must be brought to %d; let its owner run `stile store migrate`",
		               store->name, (long long)number, SCHEMA_NEWEST);
	if (status == OK && number > 0)
		status = postgres_unguard(store, why);
	store->until_boot_ms = clock_boot_ms() + GROW_MS;
	for (size_t i = 0; i < sizeof schema_files / sizeof *schema_files && status == OK; i++)
		if (schema_files[i].number > number)
			status = migrate_step(store, schema_files[i].number, schema_files[i].sql, why);
	return status == OK ? postgres_guard(store, why) : status;
}

static enum status
migrate(struct postgres *store, void *make, struct buf *why)
{
	int64_t number = 0;
	enum status status = read_schema(store, make != NULL, &number, why);

	if (status == OK && number < SCHEMA_NEWEST)
		status = grow(store, number, why);
	return status == OK && make != NULL ? postgres_claim(store, why) : status;
}

/* Whether it was done is found out by looking at the tables, which the next one does. */
enum status
postgres_migrate(struct postgres *store, bool make, struct buf *why)
{
	enum status status = postgres_alone(store, migrate, make ? store : NULL, why);

	return status == OUTCOME_UNKNOWN ? STORE_DOWN : status;
}

static enum status
commit(struct postgres *store, struct buf *why)
{
	enum status status;

	store->unreplicated = false;
	status = postgres_do(store, "COMMIT", why);
	if (PQstatus(store->conn) != CONNECTION_OK)
		return postgres_unknown(store, "the connection was lost", why);
	return status == OK && store->unreplicated ? postgres_unknown(store, "the standby was not waited for", why) : status;
}

static enum status
in_transaction(struct postgres *store, postgres_job *job, void *arg, struct buf *why)
{
	enum status status = postgres_do(store, "BEGIN", why);

	if (status == OK)
		status = postgres_do(store, "SET LOCAL lock_timeout = '10s'; SET LOCAL synchronous_commit = on; " LOCK, why);
	if (status == OK)
		status = job(store, arg, why);
	if (status == OK)
		return commit(store, why);
	PQclear(answer_of(store, PQsendQuery(store->conn, "ROLLBACK")));
	return status;
}

enum status
postgres_alone(struct postgres *store, postgres_job *job, void *arg, struct buf *why)
{
	enum status status = store->conn == NULL ? postgres_connect(store, why) : OK;

	store->state[0] = '\0';
	if (status == OK && PQexitPipelineMode(store->conn) == 0)
		status = postgres_lost(store, "", PQerrorMessage(store->conn), why);
	if (status == OK)
		status = in_transaction(store, job, arg, why);
	store->until_boot_ms = 0;
	if (store->silent_ms > 0)
		postgres_away_silent(store);
	if (status == OK)
		postgres_away_forget(store);
	if (store->conn != NULL && (PQstatus(store->conn) != CONNECTION_OK || PQenterPipelineMode(store->conn) == 0)) {
		postgres_drop(store);
		if (status == OK)
			status = why_not(why, STORE_DOWN, "%s: the connection to the server was lost", store->name);
	}
	return status;
}
