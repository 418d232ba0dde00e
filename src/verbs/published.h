/*
 * Where a signed head is published: a file of its own, or a git note (refs/notes/stile) of the commit that is checked out, which goes
 * where the repository goes (git push origin refs/notes/stile).  A note has a line for each head; the last one of a ledger counts,
 * of the newest commit that has one.
 */
#ifndef VERBS_PUBLISHED_H
#define VERBS_PUBLISHED_H

#include "core/ledger_head.h"
#include "verbs/verb.h"

/*
 * NO_SUCH when none is there; BAD_INPUT when what is there is no head, or another ledger's; IO_FAILED; BUSY when git takes too long.
 * Whether it is signed is for the caller to check.
 */
enum status published_file(const char *path, const char *ledger, struct ledger_head *out, struct buf *why) MUST_CHECK;
enum status published_note(const struct context *context, const char *ledger, struct ledger_head *out,
                           struct buf *why) MUST_CHECK;

/* The file is replaced as a whole. */
enum status publish_file(const char *path, const struct ledger_head *head, struct buf *why) MUST_CHECK;
enum status publish_note(const struct context *context, const struct ledger_head *head, struct buf *why) MUST_CHECK;

#endif
