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
	struct postgres_options team = {.url = address->url, .name = address->file, .project = address->project, .make = make};

	return address->url[0] == '\0' ? sqlite_open(&embedded, out, why) : postgres_open(&team, out, why);
}
