/*
 * A file of JSON lines becomes entries of a ledger: each line one, in order, to the byte and without its newline.
 *
 * A line's key is made of it and of all lines before it, so that what was imported once is known again: importing the file once more, or
 * when it has grown, or after a kill in the middle, appends what is new and nothing twice.  A file that begins as another one did shares
 * its entries.
 */
#ifndef VERBS_LEDGER_IMPORT_H
#define VERBS_LEDGER_IMPORT_H

#include "verbs/verb.h"

struct ledger_import {
	const char *ledger;
	const char *path;
	bool dry; /* appends nothing */
	int64_t lines;
	int64_t present; /* of them, from an earlier import */
	int64_t torn;    /* the number of a last line without its end, which is left for the next time; 0 = none */
};

/*
 * Reads the file twice: all of it is looked at before anything is appended.  BAD_INPUT with `why` naming the line that is no JSON object, or
 * longer than an entry may be; NO_SUCH, IO_FAILED; what appending gives: then what was appended stays, and is known the next time.
 */
enum status ledger_import_run(struct context *context, struct ledger_import *import, struct buf *why) MUST_CHECK;

#endif
