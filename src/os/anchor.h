/*
 * Proof that a process lives: a byte of the file `anchors` in the store's folder, locked by the kernel for as long as the
 * descriptor is open here or in a child that has inherited it.  It is free the moment the last of them is gone, however they went.
 *
 * The byte is random, so none is ever used twice; it is locked before any row names it.  A name holds the boot, the file
 * (device and inode) and the byte: pids that are used again and namespaces don't matter.
 */
#ifndef OS_ANCHOR_H
#define OS_ANCHOR_H

#include "base/buf.h"
#include "os/process.h"

#include <stdbool.h>

#define ANCHOR_SIZE 160

struct anchor {
	int fd; /* not closed on exec: a command that is run keeps the anchor held */
	char name[ANCHOR_SIZE];
};

/* Takes one in `folder`, making the file if need be (0600).  STORE_DOWN with `why`. */
enum status anchor_take(struct anchor *anchor, const char *folder, struct buf *why) MUST_CHECK;

/* Gives it up here.  A child that has inherited it holds on. */
void anchor_leave(struct anchor *anchor);

/*
 * Whether anybody holds the anchor `name` in `folder` (what follows a ';' isn't looked at): ALIVE or DEAD.  UNKNOWN when it is no name of ours or of another file;
 * and of another boot, unless `one_machine`: then nobody but this kernel has ever held one there, and that boot is over.
 */
enum liveness anchor_liveness(const char *folder, const char *name, bool one_machine);

#endif
