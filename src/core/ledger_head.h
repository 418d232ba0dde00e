/*
 * A head that was signed: that a ledger had, at that instant, this many entries, and its last one that hash.  As long as a copy of it
 * is kept where nobody who changes the store can reach it, no entry up to it can be changed or cut off unnoticed.
 *
 * The signature is Ed25519, over these texts as netstrings (ledger.h): "stile-ledger-head-1", ledger, seq, hash, at_ms.
 */
#ifndef CORE_LEDGER_HEAD_H
#define CORE_LEDGER_HEAD_H

#include "base/signature.h"
#include "core/ledger.h"

struct ledger_head {
	char ledger[LEDGER_NAME_MAX + 1];
	int64_t seq;
	char hash[DIGEST_SIZE];
	int64_t at_ms;
	char public_key[PUBLIC_KEY_SIZE];
	char signature[SIGNATURE_SIZE];
};

/* As one line of JSON, and back.  BAD_INPUT with `why` when it isn't one; `from` says for people where it was found. */
json_t *ledger_head_json(const struct ledger_head *head);
void ledger_head_write(const struct ledger_head *head, char out[LEDGER_SIGNED_MAX]);
enum status ledger_head_read(const char *text, size_t len, const char *from, struct ledger_head *out, struct buf *why) MUST_CHECK;

/* NOT_ALLOWED with `why`: the signature doesn't hold, or isn't by `public_key` (NULL = anybody's); BAD_INPUT: another ledger's. */
enum status ledger_head_check(const struct ledger_head *head, const char *ledger, const char *public_key, const char *from,
                              struct buf *why) MUST_CHECK;

void ledger_head_sign(struct ledger_head *head, const uint8_t seed[SEED_BYTES]);

/*
 * The ledger's head is signed and kept with its row.  CONFLICT when the one that was signed before is not in the chain any more, as
 * something was cut off or rewritten, unless `anew`.  NO_SUCH.  Two answers, or one if `anew`.
 */
enum status ledger_sign(struct txn *txn, const char *ledger, const uint8_t seed[SEED_BYTES], bool anew, struct ledger_head *out,
                        struct buf *why) MUST_CHECK;

#endif
