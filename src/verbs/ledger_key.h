/*
 * The key that heads of ledgers are signed with: `ledger.key` (0600) in the embedded store's folder; with a store on a server each
 * machine has its own, in the folder that is this machine's alone.  Made when it is first wanted, by one.
 */
#ifndef VERBS_LEDGER_KEY_H
#define VERBS_LEDGER_KEY_H

#include "base/signature.h"
#include "verbs/verb.h"

/* The store is open.  IO_FAILED; NOT_ALLOWED when others can read it; BAD_INPUT when the file holds no key; with `why`. */
enum status ledger_key(struct context *context, uint8_t out[SEED_BYTES], struct buf *why) MUST_CHECK;

/* The same, but NO_SUCH where none was made yet. */
enum status ledger_key_there(const struct context *context, uint8_t out[SEED_BYTES], struct buf *why) MUST_CHECK;

#endif
