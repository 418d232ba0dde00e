#include "db/sqlite.h"
#include "library.h"

enum status
library_open_store(const struct store_address *address, bool make, struct db **out, struct buf *why)
{
	struct sqlite_options options = {.folder = address->folder,
	                                 .file = address->file,
	                                 .project = address->project,
	                                 .make = make};

	if (address->url[0] != '\0')
		return why_not(why, STORE_DOWN, "%s: this library keeps its store on a local disk", address->file);
	return sqlite_open(&options, out, why);
}
