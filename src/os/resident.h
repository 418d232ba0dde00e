/*
 * Where the resident of a store is found: a socket, and beside it a lock that the living one holds, in the folder that the store
 * has on this machine.  Folder, socket and whoever listens must be ours alone; where that is in doubt there is no resident.
 */
#ifndef OS_RESIDENT_H
#define OS_RESIDENT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct resident {
	int64_t pid;
	int64_t since_ms; /* by the wall clock */
};

/* Whether one lives, and which. */
bool resident_find(const char *folder, struct resident *out);

/* Whether there is a socket at all, living or not: costs one look. */
bool resident_is_likely(const char *folder);

/*
 * A connection (SOCK_SEQPACKET, non-blocking) to the resident, the caller's to close; -1 when there is none, it has too many waiting,
 * or somebody else listens.  Never blocks.
 */
int resident_reach(const char *folder);

/* Whether the other end of a connection is a process of our user and group. */
bool resident_is_ours(int connection);

struct resident_seat {
	int folder;
	int lock;
	int listener; /* blocking; for accept */
};

/*
 * Becomes the resident.  BUSY with `why` naming the one that is; NO_SUCH without the folder; NOT_ALLOWED when it isn't ours alone;
 * IO_FAILED.  What was left where the socket stands is removed.
 */
enum status resident_sit(const char *folder, struct resident_seat *out, struct buf *why) MUST_CHECK;

/* Takes the socket away: nobody new is let in, and another may become the resident. */
void resident_rise(struct resident_seat *seat);

#endif
