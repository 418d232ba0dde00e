/*
 * Runs a rule in one transaction.  A rule is a function of a transaction: it reads, decides and writes through the nouns, and
 * returns a status; on OK or a lawful no that it wants kept it is committed, else nothing of it remains.
 *
 * Time, ids and randomness reach core only through the transaction, so that a test can give them.
 */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H

#include "base/config.h"
#include "base/id.h"
#include "db/grant.h"

/* session/sub-agent, with room for both */
#define ACTOR_SIZE 420

struct witness; /* waiter.h */

struct txn {
	struct db *db;
	int64_t instant_ms; /* 0 = not known yet: ask txn_now */
	const char *project;
	const char *actor; /* who does this: a session, session/sub-agent, uid:N */
	const struct config *config;
	enum status (*random)(void *out, size_t len);
	const struct witness *witness; /* of holders; NULL = none */
	bool keep; /* the rule sets it to have a lawful no committed: what it wrote beside the no stays */
};

/*
 * The transaction's instant, on the store's own clock.  Before the first answer it may cost a wait of its own; where it can't be
 * had the next answer tells why.
 */
static inline int64_t
txn_now(const struct txn *txn)
{
	return txn->instant_ms != 0 ? txn->instant_ms : db_now(txn->db);
}

/* When on the store's clock it was `boot_ms` by this machine's clock_boot_ms. */
static inline int64_t
txn_at_boot(const struct txn *txn, int64_t boot_ms)
{
	int64_t now_ms = txn_now(txn);

	return now_ms - (txn->db->boot_ms - boot_ms);
}

/* A new id at the transaction's instant.  IO_FAILED when there is no randomness. */
enum status txn_id(struct txn *txn, char out[ID_SIZE], struct buf *why) MUST_CHECK;

/* A rule: OK commits; anything else rolls back, unless it set `keep`, and is returned as it is. */
typedef enum status rule_function(struct txn *txn, void *arg, struct buf *why);

struct engine {
	struct db *db;
	struct config config;
	char project[512];
	char actor[ACTOR_SIZE];
	enum status (*random)(void *out, size_t len);
	const struct witness *witness; /* the caller's; NULL = none */
	int64_t wait_ms;  /* for the write gate */
	unsigned trips;   /* round trips of the last run */
};

/* Runs `rule` as a write.  The rule's own status, or BUSY, STORE_DOWN, OUTCOME_UNKNOWN with `why`.  May block for wait_ms. */
enum status engine_run(struct engine *engine, rule_function *rule, void *arg, struct buf *why) MUST_CHECK;

/*
 * The one effect outside the store that a rule's fence protects: all of it was prepared before, and it is made once, after the
 * rule's last statement and before COMMIT.  What it returns unless OK ends the transaction.
 */
typedef enum status effect_function(void *arg, struct buf *why);

/* The same with an effect.  OUTCOME_UNKNOWN also when the effect was made and the commit then failed. */
enum status engine_run_with(struct engine *engine, rule_function *rule, effect_function *effect, void *arg,
                            struct buf *why) MUST_CHECK;

/* Runs `rule` as a read: nothing it runs may write. */
enum status engine_read(struct engine *engine, rule_function *rule, void *arg, struct buf *why) MUST_CHECK;

/* Takes over `db`.  `engine` is filled; the caller adds to its empty config before a rule runs.  `random` gives ids theirs. */
void engine_init(struct engine *engine, struct db *db, const char *project, const char *actor,
                 enum status (*random)(void *out, size_t len));

/* `process_ends` skips what the kernel does anyway. */
void engine_release(struct engine *engine, bool process_ends);

#endif
