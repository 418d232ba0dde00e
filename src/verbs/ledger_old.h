/* Entries of ledgers that are older than they are to be kept. */
#ifndef VERBS_LEDGER_OLD_H
#define VERBS_LEDGER_OLD_H

#include "verbs/verb.h"

/* Removes a page of each ledger's, if there are any, each in its own transaction.  As ledger_key and engine_run. */
enum status ledger_remove_old(struct context *context, struct buf *why) MUST_CHECK;

#endif
