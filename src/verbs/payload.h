/*
 * Large payloads of a queue's items stand beside an embedded store, in files of their own: `payload/NAME` in its folder.  A file is
 * whole and on disk before any row names it, and goes when its item is done; one that no row names, left by who was killed in
 * between, is removed after an hour.  A store on a server has all payloads in its rows.
 */
#ifndef VERBS_PAYLOAD_H
#define VERBS_PAYLOAD_H

#include "core/queue.h"
#include "verbs/verb.h"

/* apart: the name under which it is kept, "" if it is to be put with the rows.  The store is open.  IO_FAILED with `why`. */
enum status payload_keep(struct context *context, const char *data, size_t len, char apart[ID_SIZE],
                         struct buf *why) MUST_CHECK;

/* What was kept is wanted no more: its item is done, or was never put.  "" = nothing was.  Best effort. */
void payload_drop(struct context *context, const char *apart);

/* Adds an item's payload to `out`, wherever it is.  NO_SUCH when the item is done; IO_FAILED, STORE_DOWN. */
enum status payload_fetch(struct context *context, const struct queue_item *item, struct buf *out, struct buf *why) MUST_CHECK;

/* A rule, before the rows go to another store: all payloads are put with them.  `context` is a struct context. */
enum status payload_gather(struct txn *txn, void *context, struct buf *why) MUST_CHECK;

/* Removes what no row names, and the folder's last trace if it is empty.  Best effort. */
void payload_sweep(struct context *context);

#endif
