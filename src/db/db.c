#include "db/db.h"

#include <stdlib.h>

void
db_rows_release(struct db_rows *rows)
{
	free(rows->values);
	free(rows->texts);
	*rows = (struct db_rows){0};
}

enum status
db_moved(const char *store, const char *where, struct buf *why)
{
	return why_not(why, STORE_DOWN,
	               "%s: the codebase's rows have moved to %s; set STILE_STORE to that, or run `stile store copy --back` to go "
	               "on here",
	               store, where);
}
