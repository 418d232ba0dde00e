#include "program.h"

#include "db/postgres.h"
#include "db/sqlite.h"

int64_t
program_become(int argc, char **argv, int64_t began_boot_ms)
{
	const char *told = getenv(PROGRAM_BEGAN);
	int64_t earlier;

	(void)argc;
	(void)argv;
	if (told == NULL)
		return began_boot_ms;
	if (str_integer(told, began_boot_ms - PROGRAM_BEGAN_MAX_MS, began_boot_ms, &earlier) == OK)
		began_boot_ms = earlier;
	unsetenv(PROGRAM_BEGAN);
	return began_boot_ms;
}

enum status
program_open_store(const struct store_address *address, bool make, struct db **out, struct buf *why)
{
	struct sqlite_options embedded = {.folder = address->folder,
	                                  .file = address->file,
	                                  .project = address->project,
	                                  .make = make,
	                                  .alone = true};
	char away[PATH_SIZE];
	struct postgres_options team = {.url = address->url,
	                                .name = address->file,
	                                .project = address->project,
	                                .make = make,
	                                .hurried = address->hurried};

	if (paths_join(away, sizeof away, address->folder, "unreachable") == OK)
		team.away = away;
	return address->url[0] == '\0' ? sqlite_open(&embedded, out, why) : postgres_open(&team, out, why);
}

int
program_serve(struct context *context, serve_function *run, int count, char **words)
{
	return serve_run(context, run, count, words);
}

void
program_start_resident(const struct context *context)
{
	serve_start(context);
}
