/*
 * A ledger's bench.  `ledger ours FOLDER EVENTS SECONDS N`: N processes that stay append to one chain through the library, each for its own
 * session (line N of EVENTS/sessions).  `ledger plain FILE SECONDS N`: the peer, the same rows and the same hash by SQLite as it comes
 * (synchronous=FULL, busy_timeout 60 s, automatic checkpoints).  `ledger fill FILE COUNT`: so many entries into the store's file, which
 * nobody has open.  `ledger verify FOLDER`: prints entries, microseconds, and microseconds of processor time.
 */
#include "many.h"

#include "core/ledger.h"
#include "stile.h"

#include <sqlite3.h>
#include <string.h>

#define CHAIN "bench"
#define SESSION "01900000-0000-7000-8000-000000000001"
#define BODY_BYTES 100

struct where {
	const char *folder;
	const char *events;
};

struct client {
	struct stile *stile;
	char parameters[BODY_BYTES + 200];
	sqlite3 *handle;
	sqlite3_stmt *begin, *head, *insert, *update, *commit;
	char body[BODY_BYTES + 1];
	struct buf bytes;
};

static bool
session_of(const char *events, int number, char *out, size_t size)
{
	char path[4096];
	FILE *file;
	bool found = true;

	snprintf(path, sizeof path, "%s/sessions", events);
	file = fopen(path, "r");
	for (int i = 0; file != NULL && found && i <= number; i++)
		found = fgets(out, (int)size, file) != NULL;
	if (file != NULL)
		fclose(file);
	out[strcspn(out, "\n")] = '\0';
	return file != NULL && found;
}

static struct client *
client_new(void)
{
	struct client *client = calloc(1, sizeof *client);

	if (client == NULL)
		return NULL;
	memset(client->body, 'x', BODY_BYTES);
	buf_init(&client->bytes, 4096);
	return client;
}

static void *
ours_open(const void *arg, int number)
{
	const struct where *where = arg;
	struct client *client = client_new();
	char session[80] = "", why[500];

	if (client == NULL || !session_of(where->events, number, session, sizeof session))
		return NULL;
	if (stile_open(where->folder, &client->stile, why, sizeof why) != STILE_OK) {
		fprintf(stderr, "ledger: %s\n", why);
		return NULL;
	}
	snprintf(client->parameters, sizeof client->parameters, "{\"ledger\":\"" CHAIN "\",\"session\":\"%s\",\"body\":\"%s\"}", session,
	         client->body);
	return client;
}

static bool
ours_call(void *opened)
{
	struct client *client = opened;
	const char *result;

	return stile_call(client->stile, "ledger append", client->parameters, &result) == STILE_OK;
}

static void
ours_close(void *opened)
{
	struct client *client = opened;

	stile_close(client->stile);
	free(client);
}

static sqlite3_stmt *
prepare(struct client *client, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v3(client->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
		fprintf(stderr, "ledger: %s\n", sqlite3_errmsg(client->handle));
	return statement;
}

static void *
plain_open(const void *arg, int number)
{
	const struct where *where = arg;
	struct client *client = client_new();

	(void)number;
	if (client == NULL || sqlite3_open(where->folder, &client->handle) != SQLITE_OK)
		return NULL;
	sqlite3_busy_timeout(client->handle, 60000);
	sqlite3_exec(client->handle, "PRAGMA synchronous=FULL", NULL, NULL, NULL);
	client->begin = prepare(client, "BEGIN IMMEDIATE");
	client->head = prepare(client, "SELECT last, head FROM ledger WHERE project = '.' AND ledger = '" CHAIN "'");
	client->insert = prepare(client, "INSERT INTO ledger_entry (project, ledger, seq, at_ms, session, actor, kind, key, prev, hash, body)"
	                                 " VALUES ('.', '" CHAIN "', ?, ?, ?, ?, '', '', ?, ?, ?)");
	client->update = prepare(client, "INSERT INTO ledger VALUES ('.', '" CHAIN "', ?, ?, 100, 0, '', '', '') ON CONFLICT (project, ledger)"
	                                 " DO UPDATE SET last = excluded.last, head = excluded.head");
	client->commit = prepare(client, "COMMIT");
	return client->commit == NULL ? NULL : client;
}

static bool
step(sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);

	sqlite3_reset(statement);
	return code == SQLITE_DONE || code == SQLITE_ROW;
}

static bool
add_entry(struct client *client)
{
	char prev[DIGEST_SIZE] = "", hash[DIGEST_SIZE];
	struct ledger_entry entry = {.seq = 1,
	                             .at_ms = 1760000000000 + many_now_us() / 1000,
	                             .session = SESSION,
	                             .actor = SESSION,
	                             .kind = "",
	                             .key = "",
	                             .prev = prev,
	                             .body = client->body};

	if (sqlite3_step(client->head) == SQLITE_ROW) {
		entry.seq = sqlite3_column_int64(client->head, 0) + 1;
		snprintf(prev, sizeof prev, "%s", (const char *)sqlite3_column_text(client->head, 1));
	}
	sqlite3_reset(client->head);
	client->bytes.len = 0;
	ledger_hashed_begin(&client->bytes, CHAIN);
	ledger_hashed(&client->bytes, &entry);
	digest_make(hash, client->bytes.data, client->bytes.len);
	sqlite3_bind_int64(client->insert, 1, entry.seq);
	sqlite3_bind_int64(client->insert, 2, entry.at_ms);
	sqlite3_bind_text(client->insert, 3, SESSION, -1, SQLITE_STATIC);
	sqlite3_bind_text(client->insert, 4, SESSION, -1, SQLITE_STATIC);
	sqlite3_bind_text(client->insert, 5, prev, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(client->insert, 6, hash, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(client->insert, 7, client->body, BODY_BYTES, SQLITE_STATIC);
	sqlite3_bind_int64(client->update, 1, entry.seq);
	sqlite3_bind_text(client->update, 2, hash, -1, SQLITE_TRANSIENT);
	return step(client->insert) && step(client->update);
}

static bool
plain_call(void *opened)
{
	struct client *client = opened;

	if (!step(client->begin))
		return false;
	if (add_entry(client) && step(client->commit))
		return true;
	sqlite3_exec(client->handle, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

static void
plain_close(void *opened)
{
	struct client *client = opened;

	sqlite3_finalize(client->begin);
	sqlite3_finalize(client->head);
	sqlite3_finalize(client->insert);
	sqlite3_finalize(client->update);
	sqlite3_finalize(client->commit);
	sqlite3_close(client->handle);
	free(client);
}

static int
fill(const char *file, long count)
{
	struct where where = {.folder = file};
	struct client *client = plain_open(&where, 0);
	bool done = client != NULL && step(client->begin);

	for (long i = 0; done && i < count; i++)
		done = add_entry(client);
	done = done && step(client->commit);
	if (client != NULL)
		plain_close(client);
	return !done;
}

static int64_t
processor_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int
verify(const char *folder)
{
	struct stile *stile;
	char why[500];
	const char *result, *entries;
	int64_t began, cpu;

	if (stile_open(folder, &stile, why, sizeof why) != STILE_OK) {
		fprintf(stderr, "ledger: %s\n", why);
		return 1;
	}
	began = many_now_us();
	cpu = processor_us();
	if (stile_call(stile, "ledger verify", "{\"ledger\":\"" CHAIN "\"}", &result) != STILE_OK ||
	    (entries = strstr(result, "\"entries\":")) == NULL) {
		fprintf(stderr, "ledger: not verified\n");
		return 1;
	}
	printf("verified %ld %lld %lld\n", strtol(entries + 10, NULL, 10), (long long)(many_now_us() - began),
	       (long long)(processor_us() - cpu));
	stile_close(stile);
	return 0;
}

int
main(int argc, char **argv)
{
	bool ours = argc == 6 && strcmp(argv[1], "ours") == 0, plain = argc == 5 && strcmp(argv[1], "plain") == 0;
	struct where where = {argc > 2 ? argv[2] : NULL, ours ? argv[3] : NULL};
	struct worker worker = {ours ? ours_open : plain_open, ours ? ours_call : plain_call, ours ? ours_close : plain_close, &where};

	if (argc == 4 && strcmp(argv[1], "fill") == 0)
		return fill(argv[2], strtol(argv[3], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "verify") == 0)
		return verify(argv[2]);
	if (!ours && !plain) {
		fprintf(stderr, "usage: ledger ours FOLDER EVENTS SECONDS N | plain FILE SECONDS N | fill FILE COUNT | verify FOLDER\n");
		return 64;
	}
	return many_run(&worker, (int)strtol(argv[argc - 1], NULL, 10), (int64_t)(strtod(argv[argc - 2], NULL) * 1e6));
}
