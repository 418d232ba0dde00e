/*
 * Looks up the names of hosts for no longer than one wants to wait.  libpq does so without a limit, and a name server that swallows
 * what is sent to it would hold up everybody for tens of seconds.
 */
#ifndef DB_POSTGRES_LOOKUP_H
#define DB_POSTGRES_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOOKUPS_MAX 16
#define LOOKUP_NAME_SIZE 512

/*
 * All at once; "" and what is no name are passed over.  late[i]: that name was not looked up within limit_ms, or within other_ms
 * when another of them was, or is none.  What was found is not kept: it is at hand for who asks next.  A lookup that is late goes
 * on, on a thread of its own, and ends with it.  Blocks.
 */
void postgres_look_up(char (*names)[LOOKUP_NAME_SIZE], size_t count, int64_t limit_ms, int64_t other_ms, bool late[LOOKUPS_MAX]);

#endif
