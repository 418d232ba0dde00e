#include "program.h"

#include "base/str.h"
#include "db/sqlite.h"

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

void
program_become(char **argv)
{
	char path[PATH_SIZE];
	ssize_t len;

	if (!names_server(argv))
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
	struct sqlite_options options = {.folder = address->folder,
	                                 .file = address->file,
	                                 .project = address->project,
	                                 .make = make,
	                                 .alone = true};

	if (address->url[0] != '\0')
		return why_not(why, STORE_DOWN, "%s: needs stile-full, which is not beside stile; build it where libpq is (libpq-dev)",
		               address->file);
	return sqlite_open(&options, out, why);
}
