/* What ledgers have to do with files that other systems keep. */
#ifndef VERBS_LEDGER_FILES_H
#define VERBS_LEDGER_FILES_H

#include "verbs/verb.h"

/* `ledger verify --file`: a chain of another system's, by its lines' digests.  CONFLICT where one is broken. */
enum status ledger_verify_file(struct call *call) MUST_CHECK;

#endif
