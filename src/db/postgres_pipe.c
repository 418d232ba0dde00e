#include "db/postgres_reach.h"
#include "db/postgres_store.h"
#include "db/postgres_text.h"
#include "os/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* A parameter is text, int8 or float8; of a NULL the server finds the type itself. */
static uint64_t
types_of(const struct db_value *args, size_t count)
{
	uint64_t types = 0;

	for (size_t i = 0; i < count; i++)
		types |= (uint64_t)args[i].type << (2 * i);
	return types;
}

/* NULL when the table is full. */
static struct postgres_statement *
find_statement(struct postgres *store, const char *sql, uint64_t types)
{
	size_t begin = (((uintptr_t)sql >> 3) * 2654435761u) ^ (types * 40503u);

	for (size_t i = 0; i < POSTGRES_STATEMENTS_MAX; i++) {
		struct postgres_statement *statement = &store->statements[(begin + i) % POSTGRES_STATEMENTS_MAX];

		if (statement->sql == NULL)
			*statement = (struct postgres_statement){.sql = sql, .types = types};
		if (statement->sql == sql && statement->types == types)
			return statement;
	}
	return NULL;
}

/* What it takes to hand parameters to libpq. */
struct parameters {
	Oid types[POSTGRES_ARGS_MAX];
	const char *values[POSTGRES_ARGS_MAX];
	char numbers[POSTGRES_ARGS_MAX][40];
	char *made[POSTGRES_ARGS_MAX]; /* texts that could not go as they were */
};

static void
release(struct parameters *parameters, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(parameters->made[i]);
}

static bool
fill_text(struct parameters *out, size_t i, const char *text)
{
	if (text != NULL && postgres_text_in(text, &out->made[i]) != OK)
		return false;
	out->values[i] = text != NULL && out->made[i] != NULL ? out->made[i] : text;
	return true;
}

/* False: out of memory. */
static bool
fill(struct parameters *out, const struct db_value *args, size_t count)
{
	static const Oid oids[] = {[DB_TYPE_NULL] = 0, [DB_TYPE_TEXT] = 25, [DB_TYPE_INT] = 20, [DB_TYPE_REAL] = 701};

	memset(out->made, 0, count * sizeof *out->made);
	for (size_t i = 0; i < count; i++) {
		out->types[i] = oids[args[i].type];
		out->values[i] = out->numbers[i];
		if (args[i].type == DB_TYPE_INT)
			snprintf(out->numbers[i], sizeof out->numbers[i], "%lld", (long long)args[i].whole);
		else if (args[i].type == DB_TYPE_REAL)
			snprintf(out->numbers[i], sizeof out->numbers[i], "%.17g", args[i].real);
		else if (!fill_text(out, i, args[i].type == DB_TYPE_TEXT ? args[i].text : NULL))
			return false;
	}
	return true;
}

/* Room first, for the end too: what has been sent must never be without its place in the list. */
static bool
make_room(struct postgres *store)
{
	size_t cap = store->sent_cap == 0 ? 32 : store->sent_cap * 2;
	struct postgres_sent *sent;

	if (store->sent_count + 3 <= store->sent_cap)
		return true;
	sent = realloc(store->sent, cap * sizeof *sent);
	if (sent == NULL)
		return false;
	store->sent = sent;
	store->sent_cap = cap;
	return true;
}

static void
note(struct postgres *store, struct postgres_statement *prepared)
{
	store->sent[store->sent_count++] = (struct postgres_sent){prepared == NULL ? SENT_EXECUTE : SENT_PREPARE, prepared};
}

static bool
send_named(struct postgres *store, struct postgres_statement *statement, const struct parameters *parameters, int count)
{
	char name[20];

	snprintf(name, sizeof name, "s%zu", (size_t)(statement - store->statements));
	if (statement->state == STATEMENT_NEW) {
		if (PQsendPrepare(store->conn, name, statement->sql, count, parameters->types) == 0)
			return false;
		statement->state = STATEMENT_SENT;
		note(store, statement);
	}
	if (PQsendQueryPrepared(store->conn, name, count, parameters->values, NULL, NULL, 0) == 0)
		return false;
	note(store, NULL);
	return true;
}

static bool
send_unnamed(struct postgres *store, const char *sql, const struct parameters *parameters, int count)
{
	if (PQsendQueryParams(store->conn, sql, count, parameters->types, parameters->values, NULL, NULL, 0) == 0)
		return false;
	note(store, NULL);
	return true;
}

static bool
queue(struct postgres *store, const char *sql, const struct db_value *args, size_t count)
{
	struct postgres_statement *statement = NULL;
	struct parameters parameters;
	bool sent = fill(&parameters, args, count);

	if (sent && store->met && !store->pooled)
		statement = find_statement(store, sql, types_of(args, count));
	if (sent)
		sent = statement == NULL ? send_unnamed(store, sql, &parameters, (int)count)
		                         : send_named(store, statement, &parameters, (int)count);
	release(&parameters, count);
	return sent;
}

void
postgres_send(struct postgres *store, const char *sql, const struct db_value *args, size_t count)
{
	if (store->conn != NULL && !(count <= POSTGRES_ARGS_MAX && make_room(store) && queue(store, sql, args, count)))
		postgres_drop(store);
}

void
postgres_send_once(struct postgres *store, const char *sql)
{
	static const struct parameters none;

	if (store->conn != NULL && (!make_room(store) || !send_unnamed(store, sql, &none, 0)))
		postgres_drop(store);
}

static int
patience_ms(const struct postgres *store)
{
	int64_t left_ms = store->until_boot_ms - clock_boot_ms();

	/* who has never answered on this connection may be a pooler without a server */
	if (store->until_boot_ms == 0)
		return (int)((store->hurried || !store->met ? POSTGRES_HURRIED_MS : POSTGRES_ANSWER_MS) + store->wait_ms);
	return left_ms > 0 ? (int)left_ms : 0;
}

void
postgres_begins(struct postgres *store)
{
	if (store->sent_count > 0)
		store->sent[store->sent_count - 1].kind = SENT_BEGIN;
}

/* Ends what is queued and sends it. */
static bool
send_all(struct postgres *store)
{
	if (!make_room(store) || PQpipelineSync(store->conn) == 0)
		return false;
	store->sent[store->sent_count++] = (struct postgres_sent){.kind = SENT_SYNC};
	return true;
}

void
postgres_forget(struct postgres *store)
{
	if (store->conn != NULL && !send_all(store))
		postgres_drop(store);
}

bool
postgres_is_there(struct postgres *store)
{
	struct pollfd there = {.fd = store->conn == NULL ? -1 : PQsocket(store->conn), .events = POLLIN};

	/* what can be read is answers that nobody waited for, or the server's last words, and behind them the end */
	while (store->conn != NULL && poll(&there, 1, 0) > 0)
		if (PQconsumeInput(store->conn) == 0)
			postgres_drop(store);
	return store->conn != NULL;
}

/* Nothing more is read from it, by anybody: what comes late would be taken for the answer to something else. */
static void
hang_up(struct postgres *store, int64_t waited_ms)
{
	store->silent_ms = waited_ms;
	store->silent_boot_ms = clock_boot_ms();
	shutdown(PQsocket(store->conn), SHUT_RDWR);
	(void)PQconsumeInput(store->conn);
}

/* Sends what it takes and reads what has come.  False: lost. */
static bool
move_on(struct postgres *store)
{
	int unsent = PQflush(store->conn), limit_ms = patience_ms(store), count;
	struct pollfd there = {.fd = PQsocket(store->conn), .events = POLLIN};

	if (unsent > 0)
		there.events |= POLLOUT;
	do
		count = poll(&there, 1, limit_ms);
	while (count < 0 && errno == EINTR);
	if (count == 0)
		hang_up(store, limit_ms);
	return unsent >= 0 && count > 0 && PQconsumeInput(store->conn) != 0;
}

PGresult *
postgres_next(struct postgres *store)
{
	while (PQisBusy(store->conn) != 0)
		if (!move_on(store))
			return NULL;
	return PQgetResult(store->conn);
}

/* An answer, and the end that follows it.  NULL: lost. */
static PGresult *
next_whole(struct postgres *store)
{
	PGresult *result = postgres_next(store), *rest;

	if (result == NULL || PQstatus(store->conn) == CONNECTION_BAD)
		return result;
	while ((rest = postgres_next(store)) != NULL)
		PQclear(rest);
	return result;
}

static bool
is_good(const PGresult *result)
{
	return PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
}

/* Statements whose preparation was never reached are to be sent again. */
static void
settle_prepared(const struct postgres_sent *sent, const PGresult *result)
{
	if (sent->kind == SENT_PREPARE)
		sent->prepared->state = is_good(result) ? STATEMENT_READY : STATEMENT_NEW;
}

static enum status
lose(struct postgres *store, PGresult *result, struct buf *why)
{
	enum status status;

	if (result != NULL && !is_good(result) && PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL)
		status = postgres_why(store, result, why);
	else
		status = postgres_lost(store, "", PQerrorMessage(store->conn), why);
	if (store->silent_ms > 0)
		postgres_away_silent(store);
	PQclear(result);
	postgres_drop(store);
	return status < 0 ? status : STORE_DOWN;
}

/* One answer, whatever it says; its status in *status unless something failed before.  NULL: lost. */
static PGresult *
take(struct postgres *store, const struct postgres_sent *sent, enum status *status, struct buf *why)
{
	PGresult *result = sent->kind == SENT_SYNC ? postgres_next(store) : next_whole(store);

	if (result == NULL || PQstatus(store->conn) == CONNECTION_BAD)
		return result;
	settle_prepared(sent, result);
	if (sent->kind != SENT_SYNC && *status == OK && !is_good(result))
		*status = postgres_why(store, result, why);
	return result;
}

static bool
is_lost(const struct postgres *store, const struct postgres_sent *sent, const PGresult *result)
{
	return result == NULL || PQstatus(store->conn) == CONNECTION_BAD ||
	       (sent->kind == SENT_SYNC && PQresultStatus(result) != PGRES_PIPELINE_SYNC);
}

enum status
postgres_answers(struct postgres *store, PGresult **last, struct buf *why)
{
	enum status status = OK;
	PGresult *before = NULL;

	*last = NULL;
	store->state[0] = '\0';
	if (store->conn == NULL)
		return why_not(why, STORE_DOWN, "%s: the connection to the server was lost", store->name);
	if (!send_all(store))
		return lose(store, NULL, why);
	for (size_t i = 0; i < store->sent_count; i++) {
		const struct postgres_sent *sent = &store->sent[i];
		PGresult *result = take(store, sent, &status, why);

		if (is_lost(store, sent, result)) {
			PQclear(before);
			return lose(store, result, why);
		}
		if (sent->kind == SENT_SYNC && i + 1 < store->sent_count)
			status = OK; /* it was forgotten, with what it said */
		if (sent->kind == SENT_SYNC) {
			PQclear(result);
			continue;
		}
		PQclear(before);
		before = result;
		if (sent->kind == SENT_BEGIN && is_good(result)) {
			store->begun = result;
			before = NULL;
		}
	}
	store->sent_count = 0;
	if (!store->met)
		postgres_away_forget(store);
	store->met = true;
	*last = status == OK ? before : NULL;
	if (status != OK)
		PQclear(before);
	return status;
}
