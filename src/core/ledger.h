/*
 * A ledger is a chain of entries: each carries the hash of the one before it, so that nothing in it can be changed, taken out or
 * put elsewhere unnoticed (ledger_verify.h).
 *
 * The head is read and the entry written in one transaction, and its place (project, ledger, seq) is the row's key: two entries
 * can't follow the same one, whatever goes wrong.  Entries are never updated, and removed only from the front.
 *
 * An entry's hash is the SHA-256, in hexadecimal digits, of these texts as netstrings (LENGTH:BYTES, and a comma; the length in
 * bytes, in decimal), one after another:
 *
 *	"stile-ledger-1", ledger, seq, at_ms, session, actor, kind, key, prev, body
 *
 * Called inside a write transaction unless it says otherwise; never blocks.  Times are ms on the store's clock.
 */
#ifndef CORE_LEDGER_H
#define CORE_LEDGER_H

#include "base/digest.h"
#include "base/json.h"
#include "base/str.h"
#include "core/engine.h"

#define LEDGER_NAME_MAX 100
#define LEDGER_BODY_MAX ((size_t)1 << 20)
#define LEDGER_PAGE_MAX 1000 /* entries that are read at once, fewer where bodies are large */
#define LEDGER_ANCHOR "anchor"
#define LEDGER_SIGNED_MAX 1200 /* bytes of a signed head as JSON, with the NUL */

struct ledger {
	char name[LEDGER_NAME_MAX + 1];
	int64_t last; /* 0 = there is no such ledger */
	char head[DIGEST_SIZE];
	int64_t largest;
	int64_t cut; /* entries up to this one were removed; 0 = none */
	char cut_hash[DIGEST_SIZE];
	char cut_signed[LEDGER_SIGNED_MAX];  /* that, as ledger_head.h signs it */
	char signed_head[LEDGER_SIGNED_MAX]; /* the newest one; "" = none was */
};

/* Its texts belong to whoever it was made from. */
struct ledger_entry {
	int64_t seq;
	int64_t at_ms;
	const char *session; /* "" = a person's */
	const char *actor;
	const char *kind; /* "", or LEDGER_ANCHOR */
	const char *key;  /* "" = none */
	const char *prev; /* "" = it is the first */
	const char *hash;
	const char *body;
};

/* Whether it can be a ledger's name: BAD_INPUT with `why`. */
enum status ledger_check_name(const char *ledger, struct buf *why) MUST_CHECK;

struct ledger_append {
	const char *ledger; /* made by its first entry */
	const char *key;    /* once per ledger, for as long as the entry is there; "" = none */
	const char *session;
	const char *kind;
	const char *body; /* UTF-8 without NUL, kept to the byte */
	size_t size;
};

struct ledger_appended {
	int64_t seq;
	int64_t at_ms;
	char prev[DIGEST_SIZE], hash[DIGEST_SIZE];
	bool again; /* it was there, by its key, with the same body: nothing was appended, this is that one */
};

/*
 * The actor's entry, at the end.  CONFLICT with *out = the entry that has the key, with another body (seq 0 otherwise);
 * BAD_INPUT; with `why`.  One answer is waited for.
 */
enum status ledger_append(struct txn *txn, const struct ledger_append *ask, struct ledger_appended *out,
                          struct buf *why) MUST_CHECK;

/* NO_SUCH with `why` when nothing was ever appended to it.  For a read transaction; one answer, as are those below. */
enum status ledger_load(struct txn *txn, const char *name, struct ledger *out, struct buf *why) MUST_CHECK;

/* Objects added to `out`: every ledger, by its name. */
enum status ledger_all(struct txn *txn, json_t *out, struct buf *why) MUST_CHECK;

/*
 * Entries from `seq` on, at most `limit` and at most what ledger_page_size says: fewer than that are all there are.  The caller
 * releases *rows.
 */
enum status ledger_page(struct txn *txn, const struct ledger *ledger, int64_t seq, int64_t limit, struct db_rows *rows,
                        struct buf *why) MUST_CHECK;
int64_t ledger_page_size(const struct ledger *ledger);
void ledger_entry_of(const struct db_rows *rows, size_t row, struct ledger_entry *out);

/*
 * The hash of the entry `seq` of a ledger that is loaded, "" when it isn't there; one answer.  And of one by its name: "" when it
 * was removed, being old, and isn't known any more.  NO_SUCH when it isn't there.  Two answers.
 */
enum status ledger_hash_of(struct txn *txn, const struct ledger *ledger, int64_t seq, char out[DIGEST_SIZE],
                           struct buf *why) MUST_CHECK;
enum status ledger_hash_at(struct txn *txn, const char *ledger, int64_t seq, char out[DIGEST_SIZE], struct buf *why) MUST_CHECK;

json_t *ledger_json(const struct ledger *ledger);
json_t *ledger_entry_json(const struct ledger_entry *entry);

/* What the entry hashes to.  NO_MEMORY. */
enum status ledger_hash(const char *ledger, const struct ledger_entry *entry, char out[DIGEST_SIZE], struct buf *why) MUST_CHECK;

/* Adds a netstring. */
void ledger_net_text(struct buf *out, const char *text);
void ledger_net_whole(struct buf *out, int64_t value);

/* Adds what of the bytes that are hashed is the same for all entries of a ledger, then the rest of one's. */
void ledger_hashed_begin(struct buf *out, const char *ledger);
void ledger_hashed(struct buf *out, const struct ledger_entry *entry);

#endif
