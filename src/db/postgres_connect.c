#include "base/str.h"
#include "db/postgres_store.h"
#include "os/clock.h"

#include <errno.h>
#include <poll.h>

#define KEYWORDS_MAX 64
#define SERVER_OLDEST 150000

/* What libpq is told besides the address, unless that says it itself. */
static const struct {
	const char *keyword;
	const char *value;
} ours[] = {
	{"fallback_application_name", "stile"},
	{"client_encoding", "UTF8"},
	{"tcp_user_timeout", "10000"},
};

enum status
postgres_lost(const struct postgres *store, const char *said, struct buf *why)
{
	char line[WHY_MAX / 2];
	const char *advice = "is the server there?";

	str_one_line(line, sizeof line, said);
	for (size_t len = strlen(line); len > 0 && line[len - 1] == ' ';)
		line[--len] = '\0';
	if (strstr(line, "password") != NULL)
		advice = "look at the password file (PGPASSFILE) or PGPASSWORD";
	else if (strstr(line, "database") != NULL && strstr(line, "does not exist") != NULL)
		advice = "make it with createdb, or correct STILE_STORE";
	else if (strstr(line, "role") != NULL || strstr(line, "pg_hba") != NULL)
		advice = "let the server's administrator let you in";
	return why_not(why, STORE_DOWN, "%s: %s; %s", store->name, *line == '\0' ? "the connection to the server was lost" : line,
	               advice);
}

static enum status
refused(const struct postgres *store, const PGresult *result, const char *state, struct buf *why)
{
	char line[WHY_MAX / 2];

	str_one_line(line, sizeof line, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	if (str_equal(state, "42P01") || str_equal(state, "42703"))
		return why_not(why, NO_SUCH, "%s: has no store of ours (%s); run `stile store init`", store->name, line);
	if (str_equal(state, "42501"))
		return why_not(why, STORE_DOWN, "%s: %s; let the database's owner grant it", store->name, line);
	if (str_equal(state, "25006"))
		return why_not(why, STORE_DOWN, "%s: can only be read (%s); name the primary in STILE_STORE", store->name, line);
	if (str_equal(state, "53100"))
		return why_not(why, STORE_DOWN, "%s: the server's disk is full; make room", store->name);
	return why_not(why, STORE_DOWN, "%s: %s (SQLSTATE %s)", store->name, line, state);
}

enum status
postgres_why(const struct postgres *store, const PGresult *result, struct buf *why)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (state == NULL)
		return postgres_lost(store, PQresultErrorMessage(result), why);
	if (str_equal(state, "55P03"))
		return why_not(why, BUSY, "%s: another transaction of project %s has the store, for %lld ms at least; try again",
		               store->name, store->project, (long long)store->wait_ms);
	if (str_equal(state, "40001") || str_equal(state, "40P01") || str_equal(state, "57014"))
		return why_not(why, BUSY, "%s: the server took the transaction back (SQLSTATE %s); try again", store->name, state);
	return refused(store, result, state, why);
}

void
postgres_drop(struct postgres *store)
{
	PQfinish(store->conn);
	store->conn = NULL;
	store->sent_count = 0;
	store->met = false;
	PQclear(store->begun);
	store->begun = NULL;
	memset(store->statements, 0, sizeof store->statements);
}

/* 57P01 and 01000 as warnings: "canceling wait for synchronous replication". */
static void
hear(void *data, const PGresult *result)
{
	struct postgres *store = data;
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (severity != NULL && state != NULL && str_equal(severity, "WARNING") &&
	    (str_equal(state, "57P01") || str_equal(state, "01000")))
		store->unreplicated = true;
}

struct keywords {
	const char *names[KEYWORDS_MAX];
	const char *values[KEYWORDS_MAX];
	size_t count;
	int64_t limit_ms;
};

static void
add_keyword(struct keywords *keywords, const char *name, const char *value)
{
	if (keywords->count + 1 < KEYWORDS_MAX) {
		keywords->names[keywords->count] = name;
		keywords->values[keywords->count++] = value;
	}
}

static void
choose(struct keywords *keywords, const PQconninfoOption *options)
{
	int64_t seconds;

	*keywords = (struct keywords){.limit_ms = POSTGRES_CONNECT_MS};
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		add_keyword(keywords, ours[i].keyword, ours[i].value);
	/* what comes later counts */
	for (; options->keyword != NULL; options++) {
		if (options->val == NULL || str_equal(options->keyword, "client_encoding"))
			continue;
		if (str_equal(options->keyword, "connect_timeout") && str_integer(options->val, 1, 3600, &seconds) == OK)
			keywords->limit_ms = seconds * 1000;
		add_keyword(keywords, options->keyword, options->val);
	}
}

/* libpq's own limit has whole seconds, two at least. */
static enum status
finish_connecting(struct postgres *store, int64_t limit_ms, struct buf *why)
{
	int64_t until_ms = clock_boot_ms() + limit_ms;
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;

	while (PQstatus(store->conn) != CONNECTION_BAD && next != PGRES_POLLING_OK && next != PGRES_POLLING_FAILED) {
		struct pollfd there = {.fd = PQsocket(store->conn), .events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT};
		int64_t left_ms = until_ms - clock_boot_ms();
		int count = left_ms <= 0 ? 0 : poll(&there, 1, (int)left_ms);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return why_not(why, STORE_DOWN, "%s: the server did not answer within %lld ms; is it there?", store->name,
			               (long long)limit_ms);
		next = PQconnectPoll(store->conn);
	}
	return PQstatus(store->conn) == CONNECTION_OK ? OK : postgres_lost(store, PQerrorMessage(store->conn), why);
}

static bool
says(const struct postgres *store, const char *parameter, const char *value)
{
	const char *said = PQparameterStatus(store->conn, parameter);

	return said != NULL && str_equal(said, value);
}

static enum status
check_server(struct postgres *store, struct buf *why)
{
	int version = PQserverVersion(store->conn);

	if (version < SERVER_OLDEST)
		return why_not(why, STORE_DOWN, "%s: the server is PostgreSQL %d, and %d is the oldest we can use", store->name,
		               version / 10000, SERVER_OLDEST / 10000);
	if (!says(store, "server_encoding", "UTF8"))
		return why_not(why, STORE_DOWN,
		               "%s: the database is in %s; make one with createdb --encoding=UTF8 --template=template0", store->name,
		               PQparameterStatus(store->conn, "server_encoding"));
	if (says(store, "in_hot_standby", "on"))
		return why_not(why, STORE_DOWN, "%s: the server is a standby and can only be read; name the primary in STILE_STORE",
		               store->name);
	return PQenterPipelineMode(store->conn) != 0 ? OK : why_not(why, STORE_DOWN, "%s: no pipeline mode", store->name);
}

enum status
postgres_connect(struct postgres *store, struct buf *why)
{
	char *wrong = NULL;
	PQconninfoOption *options = PQconninfoParse(store->url, &wrong);
	struct keywords keywords;
	enum status status;

	/* what libpq says of an address quotes it, password and all */
	PQfreemem(wrong);
	if (options == NULL)
		return why_not(why, BAD_CONFIG, "STILE_STORE: %s... is no address that libpq understands", store->name);
	postgres_drop(store);
	choose(&keywords, options);
	store->conn = PQconnectStartParams(keywords.names, keywords.values, 0);
	PQconninfoFree(options);
	if (store->conn == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	PQsetNoticeReceiver(store->conn, hear, store);
	status = finish_connecting(store, keywords.limit_ms, why);
	if (status == OK)
		status = check_server(store, why);
	if (status != OK)
		postgres_drop(store);
	return status;
}
