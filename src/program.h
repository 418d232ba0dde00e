/*
 * What the two programs differ in.  `stile` has the embedded engine alone and is linked without anything else; `stile-full`, made
 * from the same sources, has PostgreSQL too.  `stile` becomes `stile-full` before it has read or opened anything.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "db/db.h"
#include "os/paths.h"

/*
 * Returns in stile-full; in stile when neither STILE_STORE nor a word of the command line is a server's address, or stile-full
 * can't be run: opening the store then says so.
 */
void program_become(char **argv);

/* For struct context. */
enum status program_open_store(const struct store_address *address, bool make, struct db **out, struct buf *why) MUST_CHECK;

#endif
