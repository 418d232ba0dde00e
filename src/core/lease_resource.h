/*
 * A resource with all that hold it and wait for it, as it is in this transaction: loaded whole, judged and granted in memory,
 * saved once.  What lease.h promises is done here.
 */
#ifndef CORE_LEASE_RESOURCE_H
#define CORE_LEASE_RESOURCE_H

#include "core/lease.h"

#define TIMES_SIZE 400

enum lease_change { LEASE_SAME, LEASE_NEW, LEASE_CHANGED, LEASE_GONE };

struct leased {
	struct lease lease;
	enum lease_change change;
};

struct resource {
	char name[RESOURCE_MAX + 1];
	bool there; /* its row is */
	bool changed;
	int64_t slots, fence, ticket;
	char waits[TIMES_SIZE], holds[TIMES_SIZE];
	struct leased *items; /* by ticket; room for one more */
	size_t count;
};

/* Rows of resources with all that hold and want them, for resource_take. */
#define RESOURCE_COLUMNS \
	"r.resource, r.slots, r.fence, r.ticket, r.waits, r.holds, l.ticket, l.fence, l.slot, l.shared, l.actor, l.session, " \
	"l.chain," \
	" l.anchor, l.anchored, l.pid, l.pid_start, l.pid_space, l.pid_boot, l.wake, l.priority, l.passed, l.asked_ms, " \
	"l.until_ms," \
	" l.since_ms, l.ttl_ms, l.max_ms, l.expires_ms, l.challenged_ms, l.challenged_awake_ms, l.challenged_boot"
#define RESOURCE_TABLES "resource r LEFT JOIN lease l ON l.project = r.project AND l.resource = r.resource"
#define RESOURCE_ORDER "r.resource, CASE WHEN l.fence = 0 THEN 1 ELSE 0 END, l.ticket"

/* The resource whose rows begin at *at, which is moved past them.  NO_MEMORY; the caller releases it on OK. */
enum status resource_take(const struct db_rows *rows, size_t *at, struct resource *out, struct buf *why) MUST_CHECK;

/*
 * All that hold it and the first of those who wait, by whose turn it is; resource_load_with has that ticket too, however far
 * behind; resource_load_ticket has it alone.  One round trip.  The caller releases it on OK.
 */
enum status resource_load(struct txn *txn, const char *name, struct resource *out, struct buf *why) MUST_CHECK;
enum status resource_load_with(struct txn *txn, const char *name, int64_t ticket, struct resource *out,
                               struct buf *why) MUST_CHECK;
enum status resource_load_ticket(struct txn *txn, const char *name, int64_t ticket, struct resource *out,
                                 struct buf *why) MUST_CHECK;
void resource_release(struct resource *resource);

/* Queued. */
void resource_save(struct txn *txn, struct resource *resource);

/* Ends holders that are dead or overdue, or challenges them; then lets in whom there is room for. */
void resource_tend(struct txn *txn, struct resource *resource);

/* Whether resource_tend would do anything.  For a read transaction. */
bool resource_wants_tending(const struct txn *txn, struct resource *resource);

/* Whether there is anything to save. */
bool resource_is_changed(const struct resource *resource);

void resource_end(struct txn *txn, struct resource *resource, struct leased *item, const char *reason);
void resource_push_deadline(struct lease *lease, int64_t now_ms);

/* Those that hold it: the one whose deadline is nearest, the one with that fence, or none.  And a ticket, held or waiting. */
const struct lease *resource_nearest(const struct resource *resource);
struct leased *resource_holder(struct resource *resource, int64_t fence);
struct leased *resource_ticket(struct resource *resource, int64_t ticket);

enum liveness lease_liveness(const struct txn *txn, const struct lease *lease);

/* Of one whose liveness is unknown here: whether the store proves it alive.  A round trip where it can. */
bool lease_is_proven(const struct txn *txn, const struct lease *lease);

/*
 * Whether it would end, or wait no longer, if somebody tended its resource now.  For a list, which asks the store for no proof: one
 * that only the store could prove alive stays.
 */
bool lease_seems_over(const struct txn *txn, const struct lease *lease);

/* CONFLICT with `why` when waiting for `lease`, which is saved, closes a ring. */
enum status lease_ring(struct txn *txn, const struct lease *lease, struct buf *why) MUST_CHECK;

/* Adds a duration to classes kept as text; and what `percent` of them are no longer than, -1 for none. */
void times_add(char text[TIMES_SIZE], int64_t ms);
int64_t times_percentile(const char *text, unsigned percent);

#endif
