/*
 * The peer: the statements of a script through SQLite as it comes: synchronous=FULL, busy_timeout 60 s, automatic checkpoints, a
 * checkpoint when the last connection closes, no gate.  bench/run records the script from our own program just before.
 *
 *	plain_sqlite once SCRIPT DB EVENTS SLOT            one process, one event
 *	plain_sqlite resident SCRIPT DB EVENTS SECONDS N   N processes that go through it again and again
 *
 * A line of a script is a statement and its values, with tabs between: "s:text", "i:number", "r:number", "n" (NULL), or a word:
 * @session and @position as the last row that has such columns gave them, @grown (the position, and one record more), @serial (of
 * no other process or turn), @conversation, @path.
 */
#include "many.h"

#include <sqlite3.h>
#include <string.h>

#define STEPS_MAX 64
#define VALUES_MAX 32
#define SCRIPT_MAX 65536
#define GROWN 1200

struct step {
	const char *sql;
	const char *values[VALUES_MAX];
	int count;
	sqlite3_stmt *statement;
};

struct peer {
	sqlite3 *handle;
	struct step steps[STEPS_MAX];
	int count;
	char text[SCRIPT_MAX]; /* of the script, cut into words */
	char session[80];
	char conversation[40];
	char path[4096];
	sqlite3_int64 position;
	unsigned turn;
};

struct where {
	const char *script;
	const char *file;
	const char *events;
};

static bool
read_script(struct peer *peer, const char *path)
{
	FILE *file = fopen(path, "r");
	size_t len = file == NULL ? 0 : fread(peer->text, 1, sizeof peer->text - 1, file);
	char *line = peer->text, *word;

	if (file != NULL)
		fclose(file);
	peer->text[len] = '\0';
	while (*line != '\0' && peer->count < STEPS_MAX) {
		struct step *step = &peer->steps[peer->count++];
		char *rest = line;

		line += strcspn(line, "\n");
		if (*line != '\0')
			*line++ = '\0';
		step->sql = strsep(&rest, "\t");
		while ((word = strsep(&rest, "\t")) != NULL && step->count < VALUES_MAX)
			step->values[step->count++] = word;
	}
	return peer->count > 0;
}

/* The session's id: the line `slot` of EVENTS/sessions.  A one-shot process finds it in a row instead. */
static bool
read_session(struct peer *peer, const char *events, int slot)
{
	char path[4096];
	FILE *file;
	bool found = true;

	snprintf(path, sizeof path, "%s/sessions", events);
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	for (int i = 0; found && i <= slot; i++)
		found = fgets(peer->session, sizeof peer->session, file) != NULL;
	fclose(file);
	peer->session[strcspn(peer->session, "\n")] = '\0';
	return found;
}

static struct peer *
peer_open(const struct where *where, int slot)
{
	struct peer *peer = calloc(1, sizeof *peer);

	if (peer == NULL || !read_script(peer, where->script))
		return NULL;
	snprintf(peer->conversation, sizeof peer->conversation, "bench-%d", slot);
	snprintf(peer->path, sizeof peer->path, "%s/transcript.%d", where->events, slot);
	if (sqlite3_open_v2(where->file, &peer->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return NULL;
	sqlite3_busy_timeout(peer->handle, 60000);
	return sqlite3_exec(peer->handle, "PRAGMA synchronous = FULL", NULL, NULL, NULL) == SQLITE_OK ? peer : NULL;
}

static void
peer_close(void *opened)
{
	struct peer *peer = opened;

	for (int i = 0; i < peer->count; i++)
		sqlite3_finalize(peer->steps[i].statement);
	sqlite3_close(peer->handle);
	free(peer);
}

static int
bind(struct peer *peer, sqlite3_stmt *statement, int at, const char *value)
{
	char serial[48];

	if (strncmp(value, "s:", 2) == 0)
		return sqlite3_bind_text(statement, at, value + 2, -1, SQLITE_STATIC);
	if (strncmp(value, "i:", 2) == 0)
		return sqlite3_bind_int64(statement, at, strtoll(value + 2, NULL, 10));
	if (strncmp(value, "r:", 2) == 0)
		return sqlite3_bind_double(statement, at, strtod(value + 2, NULL));
	if (strcmp(value, "@session") == 0)
		return sqlite3_bind_text(statement, at, peer->session, -1, SQLITE_STATIC);
	if (strcmp(value, "@conversation") == 0)
		return sqlite3_bind_text(statement, at, peer->conversation, -1, SQLITE_STATIC);
	if (strcmp(value, "@path") == 0)
		return sqlite3_bind_text(statement, at, peer->path, -1, SQLITE_STATIC);
	if (strcmp(value, "@position") == 0)
		return sqlite3_bind_int64(statement, at, peer->position);
	if (strcmp(value, "@grown") == 0)
		return sqlite3_bind_int64(statement, at, peer->position + GROWN);
	if (strcmp(value, "@serial") == 0) {
		snprintf(serial, sizeof serial, "msg_%08x%08x%012llx", (unsigned)getpid(), peer->turn,
		         (unsigned long long)many_now_us());
		return sqlite3_bind_text(statement, at, serial, -1, SQLITE_TRANSIENT);
	}
	return sqlite3_bind_null(statement, at);
}

/* Every column of the row is read, as a program would; two are kept. */
static void
take_row(struct peer *peer, sqlite3_stmt *statement)
{
	for (int i = 0; i < sqlite3_column_count(statement); i++) {
		const char *name = sqlite3_column_name(statement, i), *text = (const char *)sqlite3_column_text(statement, i);

		if (text != NULL && strcmp(name, "session") == 0)
			snprintf(peer->session, sizeof peer->session, "%s", text);
		if (strcmp(name, "position") == 0)
			peer->position = sqlite3_column_int64(statement, i);
	}
}

static int
run_step(struct peer *peer, struct step *step)
{
	int code = SQLITE_OK;

	if (step->statement == NULL)
		code = sqlite3_prepare_v3(peer->handle, step->sql, -1, SQLITE_PREPARE_PERSISTENT, &step->statement, NULL);
	for (int i = 0; i < step->count && code == SQLITE_OK; i++)
		code = bind(peer, step->statement, i + 1, step->values[i]);
	while (code == SQLITE_OK || code == SQLITE_ROW) {
		code = sqlite3_step(step->statement);
		if (code == SQLITE_ROW)
			take_row(peer, step->statement);
	}
	sqlite3_reset(step->statement);
	return code;
}

static bool
peer_run(void *opened)
{
	struct peer *peer = opened;

	peer->turn++;
	for (int i = 0; i < peer->count; i++)
		if (run_step(peer, &peer->steps[i]) != SQLITE_DONE) {
			fprintf(stderr, "plain_sqlite: %s\n", sqlite3_errmsg(peer->handle));
			sqlite3_exec(peer->handle, "ROLLBACK", NULL, NULL, NULL);
			return false;
		}
	return true;
}

static void *
resident_open(const void *arg, int number)
{
	const struct where *where = arg;
	struct peer *peer = peer_open(where, number);

	return peer != NULL && read_session(peer, where->events, number) ? peer : NULL;
}

int
main(int argc, char **argv)
{
	struct where where;
	struct worker worker = {resident_open, peer_run, peer_close, &where};
	struct peer *peer;
	bool done;

	if (argc < 6) {
		fprintf(stderr, "usage: plain_sqlite once SCRIPT DB EVENTS SLOT | plain_sqlite resident SCRIPT DB EVENTS SECONDS N\n");
		return 64;
	}
	where = (struct where){argv[2], argv[3], argv[4]};
	if (argc == 7 && strcmp(argv[1], "resident") == 0)
		return many_run(&worker, (int)strtol(argv[6], NULL, 10), (int64_t)(strtod(argv[5], NULL) * 1e6));
	peer = peer_open(&where, (int)strtol(argv[5], NULL, 10));
	if (peer == NULL) {
		fprintf(stderr, "plain_sqlite: %s: can't be opened\n", where.file);
		return 1;
	}
	done = peer_run(peer);
	peer_close(peer);
	return done ? 0 : 1;
}
