/*
 * Resident writers through the library: `resident FOLDER EVENTS SECONDS N` starts N processes, each with a connection of its own to the
 * store of the codebase at FOLDER, that call "metric add" for their own session (line N of EVENTS/sessions) again and again.
 */
#include "many.h"
#include "stile.h"

#include <string.h>

struct where {
	const char *folder;
	const char *events;
};

struct writer {
	struct stile *stile;
	char parameters[200];
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

static void *
writer_open(const void *arg, int number)
{
	const struct where *where = arg;
	struct writer *writer = malloc(sizeof *writer);
	char session[80] = "", why[500];

	if (writer == NULL || !session_of(where->events, number, session, sizeof session))
		return NULL;
	if (stile_open(where->folder, &writer->stile, why, sizeof why) != STILE_OK) {
		fprintf(stderr, "resident: %s\n", why);
		return NULL;
	}
	snprintf(writer->parameters, sizeof writer->parameters, "{\"name\":\"validations_run\",\"amount\":1,\"session\":\"%s\"}",
	         session);
	return writer;
}

static bool
writer_call(void *opened)
{
	struct writer *writer = opened;
	const char *result;
	enum stile_status status = stile_call(writer->stile, "metric add", writer->parameters, &result);

	if (status != STILE_OK)
		fprintf(stderr, "resident: %s\n", result);
	return status == STILE_OK;
}

static void
writer_close(void *opened)
{
	struct writer *writer = opened;

	stile_close(writer->stile);
	free(writer);
}

int
main(int argc, char **argv)
{
	struct where where;
	struct worker worker = {writer_open, writer_call, writer_close, &where};

	if (argc != 5) {
		fprintf(stderr, "usage: resident FOLDER EVENTS SECONDS N\n");
		return 64;
	}
	where = (struct where){argv[1], argv[2]};
	return many_run(&worker, (int)strtol(argv[4], NULL, 10), (int64_t)(strtod(argv[3], NULL) * 1e6));
}
