/*
 * What the two programs differ in.  `stile` has the embedded engine alone and is linked without anything else; `stile-full`, made
 * from the same sources, has PostgreSQL too.  `stile` becomes `stile-full` before it has read or opened anything.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "serve/serve.h"

/*
 * Returns in stile-full; in stile when neither STILE_STORE nor a word of the command line is a server's address, or stile-full can't be run: opening the store then says so.  Where a
 * resident has done what we were called for the process ends; where one may have, opening the store says that.
 * `began_boot_ms` is when this program began, the result is when that did as which the process was started.
 */
int64_t program_become(int argc, char **argv, int64_t began_boot_ms) MUST_CHECK;

/* What `stile` tells `stile-full` of it, in the environment. */
#define PROGRAM_BEGAN "STILE_BEGAN_BOOT_MS"
#define PROGRAM_BEGAN_MAX_MS 600000 /* longer ago it is somebody else's */

/* For struct context. */
enum status program_open_store(const struct store_address *address, bool make, struct db **out, struct buf *why) MUST_CHECK;

/* `stile serve`, and one that outlives us: in stile-full alone. */
int program_serve(struct context *context, serve_function *run, int count, char **words);
void program_start_resident(const struct context *context);

#endif
