/*
 * The write gate: at most one process at a time, of all that use one store, writes to it or checkpoints it.
 *
 * It is a kernel lock (open file description lock) on the file `gate` in the store's folder, so it is free the moment its
 * holder is gone, however it went.  Whoever comes by when it is free takes it: to hand it over to one who sleeps costs more than
 * a commit.  But who has waited GATE_PATIENCE_MS takes the turnstile (byte 1), past which nobody new comes, and is the next; so
 * nobody starves.  One that was stopped there is passed, once the gate has stayed free for a while.  The holder writes its pid into the file, for the message only.
 *
 * Why it must be: SQLite from 3.7.0 to 3.51.2 can corrupt a WAL database when one connection commits while another
 * checkpoints; and its own busy handler polls without any order.
 *
 * While the gate is held the terminal's stop signals are blocked, and nothing but the store's files may be touched.
 */
#ifndef OS_GATE_H
#define OS_GATE_H

#include "base/buf.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define GATE_PATIENCE_MS 20
#define GATE_PAGE_LEN 4096
#define GATE_OWN_LEN 64 /* of the page; the rest is for those who coordinate beside the gate */

struct gate {
	int fd;          /* -1 = not open */
	char *page;      /* the beginning of the gate's file, mapped by all; NULL = not seen */
	ino_t inode;
	dev_t device;
	bool held;
	char path[4096]; /* of the gate's file */
	sigset_t before; /* signals blocked before it was taken */
};

/* Opens the gate in `folder`, which must exist; makes the file (0600) if `make`.  STORE_DOWN with `why`. */
enum status gate_open(struct gate *gate, const char *folder, bool make, struct buf *why) MUST_CHECK;
void gate_close(struct gate *gate);

/* After gate_open was refused: maps the page only to be read, if that is allowed; else it stays NULL. */
void gate_look(struct gate *gate);

/*
 * Takes the gate, waiting at most `wait_ms`.  BUSY with `why` naming the holder and whether it is stopped.
 * STORE_DOWN when the file under the path is no longer the one that is open: the store was removed or replaced.
 */
enum status gate_take(struct gate *gate, int64_t wait_ms, struct buf *why) MUST_CHECK;
void gate_leave(struct gate *gate);

/* No key of the terminal stops this thread, until it puts back what was blocked before. */
void gate_block_stops(sigset_t *before);

/* Who is written in the gate's file, and the state letter of that process ('T' = stopped), 0 when it isn't there. */
int64_t gate_holder(const struct gate *gate, char *state);

#endif
