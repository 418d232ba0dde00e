#include "base/str.h"
#include "db/postgres_reach.h"
#include "db/postgres_store.h"
#include "os/clock.h"

#include <poll.h>

#define SERVER_OLDEST 150000
#define PAUSE_FIRST_MS 10
#define PAUSE_MAX_MS 320

/* SQLSTATEs after which nothing was done and doing it once more is right: at db_begin we do so, later the caller decides. */
static const struct {
	const char *state;
	const char *what;
} passing[] = {
	{"40001", "the server took the transaction back"},
	{"40P01", "the server took the transaction back"},
	{"57P01", "the server is shutting down"},
	{"57P02", "the server is restarting after a crash"},
	{"57P03", "the server is starting or shutting down"},
};

#define PASSWORD "look at the password file (PGPASSFILE) or PGPASSWORD"
#define LET_IN "let the server's administrator let you in"
#define ADDRESS "correct STILE_STORE, or what it takes from the environment (PG*)"
#define TLS "look at sslmode and sslrootcert in STILE_STORE, and the files they name"
#define WAIT "try again in a moment"

/* What to do about a refusal: by its SQLSTATE, which is the same in all languages, and what libpq says itself by a part of it. */
static const struct {
	const char *state;
	const char *part;
	const char *advice;
} advices[] = {
	{"28P01", "password", PASSWORD},
	{"28000", NULL, LET_IN},
	{"42501", NULL, LET_IN},
	{"55000", NULL, LET_IN},
	{"3D000", NULL, "make it with createdb, or correct STILE_STORE"},
	{"53300", NULL, "try again, or let the server's administrator allow more connections"},
	{"57P03", NULL, WAIT},
	{"22023", "invalid ", ADDRESS},
	{NULL, "translate host name", ADDRESS},
	{NULL, "definition of service", ADDRESS},
	{NULL, "hot standby", ADDRESS},
	{NULL, "SSL", TLS},
	{NULL, "certificate", TLS},
};

static const char *
advice_for(const char *state, const char *line)
{
	for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
		if (advices[i].state != NULL && str_equal(advices[i].state, state))
			return advices[i].advice;
	for (size_t i = 0; *state == '\0' && i < sizeof advices / sizeof *advices; i++)
		if (advices[i].part != NULL && strstr(line, advices[i].part) != NULL)
			return advices[i].advice;
	return "is the server there?";
}

enum status
postgres_lost(const struct postgres *store, const char *state, const char *said, struct buf *why)
{
	char line[WHY_MAX / 2];

	if (store->silent_ms > 0)
		return why_not(why, STORE_DOWN, "%s: the server has not answered for %lld ms; is it stopped, or only its pooler there?",
		               store->name, (long long)store->silent_ms);
	str_one_line(line, sizeof line, said);
	for (size_t len = strlen(line); len > 0 && line[len - 1] == ' ';)
		line[--len] = '\0';
	return why_not(why, STORE_DOWN, "%s: %s; %s", store->name, *line == '\0' ? "the connection to the server was lost" : line,
	               advice_for(state, line));
}

static enum status
refused(const struct postgres *store, const PGresult *result, const char *state, struct buf *why)
{
	char line[WHY_MAX / 2];

	str_one_line(line, sizeof line, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	if (postgres_missing(store))
		return why_not(why, STORE_DOWN, "%s: its tables are not whole (%s); restore the database from a backup", store->name,
		               line);
	if (str_equal(state, "42P07") || str_equal(state, "42701") || str_equal(state, "42710"))
		return why_not(why, STORE_DOWN,
		               "%s: not a store of ours, or half a one (%s); use another database or schema, or restore a backup",
		               store->name, line);
	if (str_equal(state, POSTGRES_FORBIDDEN))
		return why_not(why, STORE_DOWN, "%s: %s; let the database's owner grant it", store->name, line);
	if (str_equal(state, "25006"))
		return why_not(why, STORE_DOWN, "%s: can only be read (%s); name the primary in STILE_STORE", store->name, line);
	if (str_equal(state, "53100"))
		return why_not(why, STORE_DOWN, "%s: the server's disk is full; make room", store->name);
	return why_not(why, STORE_DOWN, "%s: %s (SQLSTATE %s)", store->name, line, state);
}

bool
postgres_missing(const struct postgres *store)
{
	return str_equal(store->state, "42P01") || str_equal(store->state, "42703");
}

enum status
postgres_why(struct postgres *store, const PGresult *result, struct buf *why)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	snprintf(store->state, sizeof store->state, "%s", state == NULL ? "" : state);
	if (state == NULL)
		return postgres_lost(store, "", PQresultErrorMessage(result), why);
	for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
		if (str_equal(state, passing[i].state)) {
			store->again = true;
			return why_not(why, BUSY, "%s: %s (SQLSTATE %s); nothing was done; try again", store->name, passing[i].what, state);
		}
	if (str_equal(state, "55P03"))
		return why_not(why, BUSY, "%s: another transaction of project %s has the store, for %lld ms at least; try again",
		               store->name, store->project, (long long)store->wait_ms);
	if (str_equal(state, "57014"))
		return why_not(why, BUSY, "%s: the server took the transaction back (SQLSTATE %s); try again", store->name, state);
	return refused(store, result, state, why);
}

void
postgres_drop(struct postgres *store)
{
	PQfinish(store->conn);
	store->conn = NULL;
	store->sent_count = 0;
	store->met = store->known = false;
	store->channel[0] = store->proof[0] = '\0';
	PQclear(store->begun);
	store->begun = NULL;
	memset(store->statements, 0, sizeof store->statements);
}

/*
 * 57P01 and 01000 as warnings: "canceling wait for synchronous replication".  A server that is shut down at once says 57P01 to
 * everybody, whatever the language from its function of that name, and that is no word on replication.
 */
static void
hear(void *data, const PGresult *result)
{
	struct postgres *store = data;
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);

	if (severity != NULL && state != NULL && str_equal(severity, "WARNING") &&
	    (str_equal(state, "57P01") || str_equal(state, "01000")) && (function == NULL || !str_equal(function, "quickdie")))
		store->unreplicated = true;
}

static bool
says(const PGconn *conn, const char *parameter, const char *value)
{
	const char *said = PQparameterStatus(conn, parameter);

	return said != NULL && str_equal(said, value);
}

bool
postgres_suits(PGconn *conn, struct buf *said)
{
	int version = PQserverVersion(conn);

	if (version < SERVER_OLDEST)
		buf_printf(said, "the server is PostgreSQL %d, and %d is the oldest we can use", version / 10000,
		           SERVER_OLDEST / 10000);
	else if (!says(conn, "server_encoding", "UTF8"))
		buf_printf(said, "the database is in %s; make one with createdb --encoding=UTF8 --template=template0",
		           PQparameterStatus(conn, "server_encoding"));
	else if (says(conn, "in_hot_standby", "on"))
		buf_text(said, "the server is a standby and can only be read; name the primary in STILE_STORE");
	else
		return true;
	return false;
}

bool
postgres_pause(int64_t *pause_ms, int64_t until_boot_ms)
{
	int64_t left_ms = until_boot_ms - clock_boot_ms();

	*pause_ms = *pause_ms == 0 ? PAUSE_FIRST_MS : *pause_ms < PAUSE_MAX_MS ? *pause_ms * 2 : PAUSE_MAX_MS;
	if (left_ms <= 0)
		return false;
	poll(NULL, 0, (int)(left_ms < *pause_ms ? left_ms : *pause_ms));
	return true;
}

/* A server that is coming or going is worth a moment, and no more than one that doesn't answer at all. */
static enum status
reach_patiently(struct postgres *store, const struct postgres_target *target, PGconn **out, struct buf *why)
{
	int64_t pause_ms = 0, until_ms = clock_boot_ms() + target->limit_ms;
	enum status status;

	if (store->until_boot_ms != 0 && store->until_boot_ms < until_ms)
		until_ms = store->until_boot_ms;
	status = postgres_reach(store, target, out, why);
	while (status != OK && store->again && postgres_pause(&pause_ms, until_ms))
		status = postgres_reach(store, target, out, why);
	return status;
}

static enum status
connect_target(struct postgres *store, const struct postgres_target *target, struct buf *why)
{
	int64_t began_ms = clock_boot_ms();
	PGconn *conn = NULL;
	enum status status = reach_patiently(store, target, &conn, why);

	if (status == STORE_DOWN && clock_boot_ms() - began_ms >= POSTGRES_QUICK_MS)
		postgres_away_note(store, target->places, why);
	if (status != OK)
		return status;
	store->conn = conn;
	PQsetNoticeReceiver(conn, hear, store);
	/* or a server that takes nothing more would hold us for ever */
	if (PQsetnonblocking(conn, 1) == 0 && PQenterPipelineMode(conn) != 0)
		return OK;
	postgres_drop(store);
	return why_not(why, STORE_DOWN, "%s: no pipeline mode", store->name);
}

enum status
postgres_connect(struct postgres *store, struct buf *why)
{
	struct postgres_target target;
	struct buf own; /* what nobody wants to hear is remembered all the same */
	enum status status;

	buf_init(&own, WHY_MAX);
	status = postgres_target(&target, store, why);
	postgres_drop(store);
	store->silent_ms = 0;
	if (status == OK)
		status = connect_target(store, &target, why == NULL ? &own : why);
	postgres_target_release(&target);
	buf_release(&own);
	return status;
}
