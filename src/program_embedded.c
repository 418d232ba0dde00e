#include "program.h"

#include "clients/client.h"
#include "db/sqlite.h"
#include "hook/hook.h"
#include "serve/ask.h"

#include <unistd.h>

/* That of STILE_STORE, or one that a store is copied to. */
static bool
names_server(char *const *argv)
{
	const char *store = getenv("STILE_STORE");

	if (store != NULL && paths_is_server(store))
		return true;
	for (; *argv != NULL; argv++) {
		const char *value = str_starts(*argv, "--") ? strchr(*argv, '=') : NULL;

		if (paths_is_server(value == NULL ? *argv : value + 1))
			return true;
	}
	return false;
}

/* A worker of the resident had begun with our event when it was lost. */
static bool lost;

/* Where the event's codebase has its folder on this machine, as far as can be told without reading the event. */
static bool
find_folder(const struct client *client, char out[PATH_SIZE])
{
	const char *named = client == NULL || client->project_env == NULL ? NULL : getenv(client->project_env);
	static struct store_address address; /* large, as the other */
	static struct place place;

	if (named == NULL || *named != '/' || paths_find(named, &place, NULL) != OK)
		if (paths_find(".", &place, NULL) != OK)
			return false;
	return paths_store(&place, NULL, &address, NULL) == OK && str_copy(out, PATH_SIZE, address.folder) == OK;
}

/* Ends the process if a resident has done it. */
static void
ask_resident(const char *program, int count, char **words, int64_t began_boot_ms)
{
	bool hook = count == 2 && str_equal(words[0], "hook");
	char folder[PATH_SIZE];
	int status;

	if (!hook && (count != 1 || strcmp(words[0], "statusline") != 0))
		return;
	if (!find_folder(client_find(hook ? words[1] : "claude"), folder))
		return;
	switch (serve_ask(folder, program, count, words, began_boot_ms, EVENT_BYTES_MAX, &status)) {
	case ASKED_DONE:
		_exit(status);
	case ASKED_LOST:
		lost = true;
		break;
	case ASKED_NOBODY:
		break;
	}
}

int64_t
program_become(int argc, char **argv, int64_t began_boot_ms)
{
	char path[PATH_SIZE], began[24];
	ssize_t len;

	if (!names_server(argv))
		return began_boot_ms;
	len = readlink("/proc/self/exe", path, sizeof path - sizeof "-full");
	if (len <= 0)
		return began_boot_ms;
	memcpy(path + len, "-full", sizeof "-full");
	ask_resident(path, argc - 1, argv + 1, began_boot_ms);
	snprintf(began, sizeof began, "%lld", (long long)began_boot_ms);
	if (!lost && setenv(PROGRAM_BEGAN, began, 1) == 0)
		execv(path, argv);
	return began_boot_ms;
}

enum status
program_open_store(const struct store_address *address, bool make, struct db **out, struct buf *why)
{
	struct sqlite_options options = {.folder = address->folder,
	                                 .file = address->file,
	                                 .project = address->project,
	                                 .make = make,
	                                 .alone = true};

	if (lost)
		return why_not(why, OUTCOME_UNKNOWN, "the resident was lost in the middle of it; it is not known whether it was done");
	if (address->url[0] != '\0')
		return why_not(why, STORE_DOWN, "%s: needs stile-full, which is not beside stile; build it where libpq is (libpq-dev)",
		               address->file);
	return sqlite_open(&options, out, why);
}

int
program_serve(struct context *context, serve_function *run, int count, char **words)
{
	(void)context;
	(void)run;
	(void)count;
	(void)words;
	fprintf(stderr,
	        "stile: serve: is for a store on a server (STILE_STORE=postgresql://...), and needs stile-full beside stile\n");
	return status_row(USAGE)->exit;
}

void
program_start_resident(const struct context *context)
{
	(void)context;
}
