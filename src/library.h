/* The engine that the library has: the embedded one.  A file of its own, so that a program can be linked with another. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include "db/db.h"
#include "os/paths.h"

/* For struct context. */
enum status library_open_store(const struct store_address *address, bool make, struct db **out, struct buf *why) MUST_CHECK;

#endif
