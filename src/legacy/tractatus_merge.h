/*
 * The three-way merge of Tractatus' instructions, entry by entry, like git's by file: what only one side changed is taken, what
 * both changed is a conflict, and nothing is dropped.  Pure.
 *
 * `base` is what both began from, `ours` what the store says now, `theirs` what somebody made of the file.
 *
 *	base  ours  theirs
 *	A     A     A         -
 *	A     B     A         -          the file is behind
 *	A     A     B         EDIT
 *	A     B     B         -          both did the same
 *	A     B     C         CONFLICT   ours holds, theirs is kept beside it
 *	A     A     none      RETIRE     unless it is retired already
 *	A     B     none      CONFLICT   without theirs
 *	none  none  B         ADD
 *	none  B     B         -
 *	none  B     C         ADD        under a new id if the texts differ, else CONFLICT
 *
 * An entry without an id is an ADD, unless the base has the same one.
 */
#ifndef LEGACY_TRACTATUS_MERGE_H
#define LEGACY_TRACTATUS_MERGE_H

#include "base/json.h"

enum merge_kind { MERGE_ADD, MERGE_EDIT, MERGE_RETIRE, MERGE_CONFLICT };

struct merge_step {
	enum merge_kind kind;
	const char *id;       /* of ours; of an ADD the one it is to have, "" = a new one */
	const char *was_id;   /* the file's, when a new one is to be given; else "" */
	const json_t *ours;   /* NULL for an ADD */
	const json_t *theirs; /* NULL where the file has it no longer */
};

/* Texts and entries belong to the documents that were merged. */
struct merge {
	struct merge_step *steps;
	size_t count;
};

/*
 * `base` may be NULL.  With `whole` false an entry that isn't among theirs says nothing: it is unknown whether they ever had it.
 * Entries are objects, ids within one document are unique.  NO_MEMORY.  The caller releases *out.
 */
enum status merge_three(const json_t *base, const json_t *ours, const json_t *theirs, bool whole, struct merge *out) MUST_CHECK;
void merge_release(struct merge *merge);

const char *merge_kind_name(enum merge_kind kind);

#endif
