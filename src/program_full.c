#include "program.h"

#include "db/postgres.h"
#include "db/sqlite.h"

void
program_become(char **argv)
{
	(void)argv;
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
