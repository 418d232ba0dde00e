/*
 * Whether a ledger is what was appended to it, looked at entry by entry, and what is wrong where it isn't.
 *
 *   changed    the entry isn't what its hash says, or the one after it knows it by another hash
 *   missing    entries that were there are not, and later ones are
 *   reordered  another entry stands in its place
 *   cut off    entries at the end that the head, or a head that was published, knows of are not there
 *   rewritten  it has another hash than a head that was published says: it or one before it was changed, and all hashes made anew
 *   added      it is beyond the head: nobody appended it
 *
 * Pages: ledger_verify_page reads one in its own transaction, so that no read outlives an answer; what is appended meanwhile is
 * verified too.  After a break it goes on at the next entry, so all breaks are found.
 */
#ifndef CORE_LEDGER_VERIFY_H
#define CORE_LEDGER_VERIFY_H

#include "core/ledger_head.h"

#define LEDGER_BREAKS_MAX 100
#define LEDGER_KNOWN_MAX 3

enum ledger_damage { LEDGER_CHANGED, LEDGER_MISSING, LEDGER_REORDERED, LEDGER_CUT_OFF, LEDGER_REWRITTEN, LEDGER_ADDED };

const char *ledger_damage_name(enum ledger_damage damage);

struct ledger_break {
	enum ledger_damage damage;
	int64_t seq;             /* the first entry that it is about */
	int64_t until;           /* the last one */
	int64_t is;              /* reordered: which one stands there */
	char found[DIGEST_SIZE]; /* what its bytes hash to now; "" = they aren't there */
	int64_t anchor;          /* the entry that has it on record (ledger_anchor.h); 0 = none */
};

/* That an entry had this hash, from elsewhere. */
struct ledger_known {
	int64_t seq;
	char hash[DIGEST_SIZE];
};

struct ledger_verify {
	const char *name;
	const char *public_key; /* that heads must be signed with; NULL = any */
	struct ledger ledger; /* as it was at the last page */
	int64_t first, next;  /* the entries looked at are first .. next - 1 */
	int64_t checked;      /* that were there */
	bool linked;          /* `prev` is what the next entry must say */
	char prev[DIGEST_SIZE];
	struct ledger_known known[LEDGER_KNOWN_MAX];
	size_t known_count;
	struct ledger_break breaks[LEDGER_BREAKS_MAX];
	size_t break_count;
	bool more_breaks; /* than that; nothing is looked at behind them */
	bool begun, done;
	struct buf bytes; /* of the entry at hand, after what is the same for all of a ledger's */
	size_t same;
};

/* From entry `from` on, itself included (0, 1: from the first that is there).  The caller releases it. */
void ledger_verify_init(struct ledger_verify *verify, const char *name, int64_t from);
void ledger_verify_release(struct ledger_verify *verify);

/* Before the first page: an entry is to have that hash. */
void ledger_verify_know(struct ledger_verify *verify, int64_t seq, const char *hash);

/*
 * The next page; done afterwards, or not.  OK also where something is broken: see `breaks`.  NO_SUCH: no such ledger, or no such
 * entry to begin at; NOT_ALLOWED: what is signed in the ledger's row isn't, or by another key than `public_key`; NO_MEMORY.  For a read transaction; two answers.
 */
enum status ledger_verify_page(struct txn *txn, struct ledger_verify *verify, struct buf *why) MUST_CHECK;

/* One line for people. */
void ledger_break_describe(const struct ledger_verify *verify, const struct ledger_break *broken, struct buf *out);
json_t *ledger_break_json(const struct ledger_break *broken);

#endif
