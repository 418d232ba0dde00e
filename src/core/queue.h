/*
 * A queue keeps items until somebody has done them.  A put is on disk when it is answered; a claim removes nothing; what was
 * claimed by one who died is anybody's at once.
 *
 *   pending   it is to be claimed: when it is first of its line, its time has come, and it isn't held
 *   claimed   somebody is at it, by a claim with a generation that only grows
 *   done      acknowledged; what it was is gone, that it was stays for a while
 *   dead      tried too often, or given up; kept with the reason until it is put back (redrive)
 *
 * Order.  Items of one line are claimed one after another, as they were put: those of a session, or of a group of any name.
 * Lines don't wait for one another, and items of no line for nobody.  A higher priority is first among lines, never in one.
 *
 * Held.  An item may wait for a slot of its session to be bound.  That is read from the binding, each time: so one binding frees
 * any number, and clearing it holds them again.
 *
 * A claim is judged as a lease is (lease.h).  Who lost it is refused by its generation.  Each claim is an attempt, also one whose
 * holder died: after so many an item is dead, and the next of its line is free.
 *
 * Full (items, bytes, or the age of the oldest) is an answer, and nothing is put.
 * Called inside a write transaction unless it says otherwise; never blocks.  Times are ms on the store's clock.
 */
#ifndef CORE_QUEUE_H
#define CORE_QUEUE_H

#include "core/lease.h"
#include "base/digest.h"

#define QUEUE_NAME_MAX 100
#define QUEUE_ID_SIZE (QUEUE_NAME_MAX + 24)           /* QUEUE/NUMBER */
#define QUEUE_GROUP "group/"                          /* a line that is no session's begins so */
#define QUEUE_LINE_SIZE (sizeof QUEUE_GROUP + ID_MAX) /* with the NUL */
#define QUEUE_PAYLOAD_MAX ((size_t)16 << 20)
#define QUEUE_INLINE_MAX ((size_t)64 << 10) /* what is larger may be kept apart from the rows */
#define QUEUE_REASON_MAX 1000

enum queue_state { QUEUE_BEHIND, QUEUE_FIRST, QUEUE_CLAIMED, QUEUE_DEAD, QUEUE_DONE };

/* "pending" for both who are in their line. */
const char *queue_state_name(enum queue_state state);

struct queue_item {
	char queue[QUEUE_NAME_MAX + 1];
	int64_t number; /* in the order in which they were put */
	char line[QUEUE_LINE_SIZE];
	enum queue_state state;
	int64_t priority;
	char slot[LABEL_MAX + 1]; /* "" = not held */
	char key[ID_MAX + 1];
	char digest[DIGEST_SIZE]; /* of the payload, where there is a key */
	int64_t size;             /* of the payload, in bytes */
	char apart[ID_SIZE];      /* the name under which the payload is kept apart; "" = it is with the rows */
	char actor[ACTOR_SIZE];   /* who put it */
	int64_t put_ms, ready_ms, ended_ms;
	int64_t attempts;
	char reason[QUEUE_REASON_MAX + 1]; /* of the last attempt's failure */
	struct lease claim;                /* fence: the generation; until it is claimed, of the last one */
};

void queue_id(const struct queue_item *item, char out[QUEUE_ID_SIZE]);

/* "QUEUE/NUMBER" taken apart.  BAD_INPUT with `why`. */
enum status queue_id_parse(const char *id, char queue[QUEUE_NAME_MAX + 1], int64_t *number, struct buf *why) MUST_CHECK;

/* Whether it can be a queue's name: BAD_INPUT with `why`. */
enum status queue_check_name(const char *queue, struct buf *why) MUST_CHECK;

/* What [queue], or [queue NAME] before it, says.  BAD_CONFIG with `why`. */
struct queue_limits {
	int64_t items, bytes, age_ms;       /* 0 = no limit */
	int64_t attempts;                   /* before it is dead */
	int64_t backoff_ms, backoff_max_ms; /* after the first failure, doubled after each, at most */
};
enum status queue_limits(const struct config *config, const char *queue, struct queue_limits *out, struct buf *why) MUST_CHECK;

struct queue_put {
	const char *queue;
	const char *line; /* a session's id, or QUEUE_GROUP and a name; "" = none */
	const char *key;  /* once per line and queue, for as long as it is remembered; "" = none */
	const char *slot; /* of that session, which must be bound before it can be claimed; "" = none */
	int64_t priority;
	int64_t delay_ms;
	const char *payload; /* UTF-8 without NUL; NULL when it is kept apart */
	size_t size;
	const char *digest; /* of it; wanted where there is a key */
	const char *apart;  /* "" = it is given */
};

/*
 * OK        *out is the item; *again: it was there, by its key, with the same payload.  Nothing was put then.
 * CONFLICT  the key is another payload's
 * BUSY      the queue is full, of what `why` says
 * BAD_INPUT a name, priority or size that can't be
 * One answer is waited for.
 */
enum status queue_put(struct txn *txn, const struct queue_put *ask, struct queue_item *out, bool *again,
                      struct buf *why) MUST_CHECK;

/* NO_SUCH when nothing was ever put into such a queue. */
enum status queue_known(struct txn *txn, const char *queue, struct buf *why) MUST_CHECK;

/* Objects added to `out`: items in a state (QUEUE_FIRST: pending), oldest first, after the number `after`. */
enum status queue_list(struct txn *txn, const char *queue, enum queue_state state, int64_t after, int64_t limit, json_t *out,
                       struct buf *why) MUST_CHECK;

/*
 * An object for each queue, or the one that `queue` names, added to `out`: queue, items (pending and claimed), bytes, claimed, held,
 * dead, done, dropped (by hooks: it couldn't be put), oldest_ms, and the limits.  NO_SUCH for one that isn't there.
 */
enum status queue_stats(struct txn *txn, const char *queue, json_t *out, struct buf *why) MUST_CHECK;

/* The names under which payloads are kept apart, as keys of `out`: of the project's items, or with `all` of the whole store's. */
enum status queue_apart(struct txn *txn, bool all, json_t *out, struct buf *why) MUST_CHECK;

/* Gives an item that is kept apart its payload with the rows. */
void queue_keep_here(struct txn *txn, const char *apart, const char *payload);

/* Queued: an item that is done or dead is removed, and that it was dead is told. */
void queue_forget(struct txn *txn, const char *queue, int64_t number, const char *line, enum queue_state state);

json_t *queue_json(const struct queue_item *item, int64_t now_ms);

#endif
