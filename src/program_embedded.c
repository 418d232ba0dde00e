#include "program.h"

#include "base/str.h"
#include "db/sqlite.h"

#include <unistd.h>

void
program_become(char **argv)
{
	const char *store = getenv("STILE_STORE");
	char path[PATH_SIZE];
	ssize_t len;

	if (store == NULL || !paths_is_server(store))
		return;
	len = readlink("/proc/self/exe", path, sizeof path - sizeof "-full");
	if (len <= 0)
		return;
	memcpy(path + len, "-full", sizeof "-full");
	execv(path, argv);
}

enum status
program_open_store(const struct store_address *address, bool make, struct db **out, struct buf *why)
{
	struct sqlite_options options = {.folder = address->folder, .file = address->file, .make = make, .alone = true};

	if (address->url[0] != '\0')
		return why_not(why, STORE_DOWN, "%s: needs stile-full, which is not beside stile; build it where libpq is (libpq-dev)",
		               address->file);
	return sqlite_open(&options, out, why);
}
