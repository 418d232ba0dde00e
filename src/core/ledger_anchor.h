/*
 * What becomes of a ledger that broke, or grew old, without a lie: breaks go on record, and what is removed leaves a signed trace.
 */
#ifndef CORE_LEDGER_ANCHOR_H
#define CORE_LEDGER_ANCHOR_H

#include "core/ledger_head.h"
#include "core/ledger_verify.h"

#define LEDGER_REASON_MAX 1000

/*
 * Looks which breaks of a verification that is done are on record: `anchor` of each is the entry that tells of it, 0 if none does.
 * A break is on record only as it was found then: damaged anew it is another one.  For a read transaction; one answer.
 */
enum status ledger_recorded(struct txn *txn, struct ledger_verify *verify, struct buf *why) MUST_CHECK;

/*
 * Puts those that aren't on record there: an entry of the kind LEDGER_ANCHOR whose body is JSON, with `reason` and `breaks`; and signs the
 * head anew, also where it is shorter than one signed before, which the body then has too.  CONFLICT when there is nothing to put there, or
 * what can't be: entries that nobody appended, too many breaks.  Two answers.
 */
enum status ledger_anchor(struct txn *txn, const struct ledger_verify *verify, const char *session, const char *reason,
                          const uint8_t seed[SEED_BYTES], struct ledger_appended *out, struct buf *why) MUST_CHECK;

/* For how long [ledger], or [ledger NAME] before it, lets entries be kept; 0 = for ever.  BAD_CONFIG, also for less than an hour. */
enum status ledger_keep(const struct config *config, const char *ledger, int64_t *ms, struct buf *why) MUST_CHECK;

/* Whether any ledger's entries are not kept for ever. */
bool ledger_keeps_some(const struct config *config);

/* The first entry of each ledger: "ledger" and "at_ms" of each, objects added to `out`.  For a read transaction; one answer. */
enum status ledger_fronts(struct txn *txn, json_t *out, struct buf *why) MUST_CHECK;

/*
 * Removes entries from the front that are older than `before_ms`, a page of them at most, never the newest, and none from the first that
 * isn't as it was appended.  What the last of them was is signed and stays: from there the others are verified.  Two answers.
 */
enum status ledger_cut(struct txn *txn, const char *ledger, int64_t before_ms, const uint8_t seed[SEED_BYTES], int64_t *count,
                       struct buf *why) MUST_CHECK;

#endif
