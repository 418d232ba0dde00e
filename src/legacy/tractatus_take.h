/*
 * Takes what somebody made of a history file into the store: a three-way merge (tractatus_merge.h) with what the store says at
 * that moment, in the caller's transaction.  Nothing is dropped: an edit that meets another one is recorded beside it, an entry
 * that was taken out is retired by "file".
 *
 * At its end the store is read again and compared, entry by entry, with what it must say then; if it doesn't the transaction
 * must not be committed.
 */
#ifndef LEGACY_TRACTATUS_TAKE_H
#define LEGACY_TRACTATUS_TAKE_H

#include "legacy/tractatus_place.h"

struct tractatus_take {
	const struct tractatus_place *place; /* loaded; with an id unless `dry` */
	const struct history *theirs;
	const char *text;   /* the file's bytes */
	json_t *base;       /* the entries that a file which only its author sees began from; NULL = the place's own file */
	const char *actor;  /* whose the additions and edits are */
	const char *import; /* that this is part of; "" = of none */
	bool dry;           /* only tells what would be done; a read transaction does */

	/* what was done */
	size_t added;
	size_t edited;
	size_t retired;
	size_t conflicts;
	json_t *steps;  /* an array, the caller's: {"action","id","was","text"} of each, of a conflict "ours" and "theirs" too */
	json_t *before; /* the store's entries as they were, the caller's */
};

/*
 * OK         also when nothing was to be done; then nothing is written but the base
 * BAD_INPUT  the file says that it is of an epoch that this store has not come to
 * CONFLICT   the store didn't say afterwards what it must
 * NO_MEMORY, and what the store can be
 *
 * At most three round trips.
 */
enum status tractatus_take(struct txn *txn, struct tractatus_take *take, struct buf *why) MUST_CHECK;
void tractatus_take_release(struct tractatus_take *take);

/* {"id","text","ours","theirs","found_ms"} of each that stands, added to an array.  One round trip. */
enum status tractatus_conflicts(struct txn *txn, json_t *out, struct buf *why) MUST_CHECK;

#endif
