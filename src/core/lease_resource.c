#include "core/lease_resource.h"

#include "core/audit.h"

/* Waiters behind the first, by ticket, besides all who may go before them: the others' turn is later anyway. */
#define LOADED_MAX 16

static void
copy(char *out, size_t size, const struct db_rows *rows, size_t row, size_t column)
{
	const char *text = db_text(rows, row, column);
	size_t len = strnlen(text, size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}

static void
from_row(const struct db_rows *rows, size_t row, size_t at, struct lease *out)
{
	out->ticket = db_int(rows, row, at);
	out->fence = db_int(rows, row, at + 1);
	out->slot = db_int(rows, row, at + 2);
	out->shared = db_int(rows, row, at + 3) != 0;
	copy(out->actor, sizeof out->actor, rows, row, at + 4);
	copy(out->session, sizeof out->session, rows, row, at + 5);
	copy(out->chain, sizeof out->chain, rows, row, at + 6);
	copy(out->anchor, sizeof out->anchor, rows, row, at + 7);
	out->anchored = db_int(rows, row, at + 8) != 0;
	out->process.pid = db_int(rows, row, at + 9);
	out->process.start = db_int(rows, row, at + 10);
	out->process.space = db_int(rows, row, at + 11);
	copy(out->process.boot, sizeof out->process.boot, rows, row, at + 12);
	copy(out->wake, sizeof out->wake, rows, row, at + 13);
	out->priority = db_int(rows, row, at + 14);
	out->passed = db_int(rows, row, at + 15);
	out->asked_ms = db_int(rows, row, at + 16);
	out->until_ms = db_int(rows, row, at + 17);
	out->since_ms = db_int(rows, row, at + 18);
	out->ttl_ms = db_int(rows, row, at + 19);
	out->max_ms = db_int(rows, row, at + 20);
	out->expires_ms = db_int(rows, row, at + 21);
	out->challenged_ms = db_int(rows, row, at + 22);
	out->challenged_awake_ms = db_int(rows, row, at + 23);
	copy(out->challenged_boot, sizeof out->challenged_boot, rows, row, at + 24);
}

enum status
resource_take(const struct db_rows *rows, size_t *at, struct resource *out, struct buf *why)
{
	size_t row = *at;

	*out = (struct resource){.there = true, .slots = db_int(rows, row, 1), .fence = db_int(rows, row, 2)};
	out->ticket = db_int(rows, row, 3);
	copy(out->name, sizeof out->name, rows, row, 0);
	copy(out->waits, sizeof out->waits, rows, row, 4);
	copy(out->holds, sizeof out->holds, rows, row, 5);
	while (*at < rows->count && str_equal(db_text(rows, *at, 0), out->name))
		++*at;
	out->items = calloc(*at - row + 1, sizeof *out->items);
	if (out->items == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	for (; row < *at && !db_is_null(rows, row, 6); row++) {
		struct lease *lease = &out->items[out->count++].lease;

		snprintf(lease->resource, sizeof lease->resource, "%s", out->name);
		from_row(rows, row, 6, lease);
	}
	return OK;
}

static enum status
new_resource(const char *name, struct resource *out, struct buf *why)
{
	*out = (struct resource){.slots = 1};
	snprintf(out->name, sizeof out->name, "%s", name);
	out->items = calloc(1, sizeof *out->items);
	return out->items == NULL ? why_not(why, NO_MEMORY, "out of memory") : OK;
}

static enum status
take_first(struct db_rows *rows, const char *name, struct resource *out, struct buf *why)
{
	size_t at = 0;
	enum status status = rows->count > 0 ? resource_take(rows, &at, out, why) : new_resource(name, out, why);

	db_rows_release(rows);
	return status;
}

enum status
resource_load_with(struct txn *txn, const char *name, int64_t ticket, struct resource *out, struct buf *why)
{
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "SELECT " RESOURCE_COLUMNS " FROM " RESOURCE_TABLES " WHERE r.project = $1 AND r.resource = $2"
	           " AND (l.ticket IS NULL OR l.fence > 0 OR l.ticket = $3 OR l.priority > 0 OR l.passed >= $4 OR l.ticket <="
	           " COALESCE((SELECT w.ticket FROM lease w WHERE w.project = $1 AND w.resource = $2 AND w.fence = 0"
	           " ORDER BY w.ticket LIMIT 1 OFFSET $5), l.ticket)) ORDER BY l.ticket",
	           DB_TEXT(txn->project), DB_TEXT(name), DB_INT(ticket), DB_INT(LEASE_PASSED_MAX), DB_INT(LOADED_MAX));

	return status == OK ? take_first(&rows, name, out, why) : status;
}

enum status
resource_load_ticket(struct txn *txn, const char *name, int64_t ticket, struct resource *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT " RESOURCE_COLUMNS " FROM " RESOURCE_TABLES
	                            " WHERE r.project = $1 AND r.resource = $2 AND l.ticket = $3",
	                            DB_TEXT(txn->project), DB_TEXT(name), DB_INT(ticket));

	return status == OK ? take_first(&rows, name, out, why) : status;
}

enum status
resource_load(struct txn *txn, const char *name, struct resource *out, struct buf *why)
{
	return resource_load_with(txn, name, 0, out, why);
}

void
resource_release(struct resource *resource)
{
	free(resource->items);
	resource->items = NULL;
}

static void
save_new(struct txn *txn, const struct lease *lease)
{
	db_run(txn->db,
	       "INSERT INTO lease (project, resource, ticket, fence, slot, shared, actor, session, chain, anchor, anchored, pid,"
	       " pid_start, pid_space, pid_boot, wake, priority, passed, asked_ms, until_ms, since_ms, ttl_ms, max_ms, expires_ms,"
	       " challenged_ms, challenged_awake_ms, challenged_boot) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
	       "$13,"
	       " $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, 0, 0, '')",
	       DB_TEXT(txn->project), DB_TEXT(lease->resource), DB_INT(lease->ticket), DB_INT(lease->fence), DB_INT(lease->slot),
	       DB_INT(lease->shared), DB_TEXT(lease->actor), DB_TEXT(lease->session), DB_TEXT(lease->chain), DB_TEXT(lease->anchor),
	       DB_INT(lease->anchored), DB_INT(lease->process.pid), DB_INT(lease->process.start), DB_INT(lease->process.space),
	       DB_TEXT(lease->process.boot), DB_TEXT(lease->wake), DB_INT(lease->priority), DB_INT(lease->passed),
	       DB_INT(lease->asked_ms), DB_INT(lease->until_ms), DB_INT(lease->since_ms), DB_INT(lease->ttl_ms),
	       DB_INT(lease->max_ms), DB_INT(lease->expires_ms));
}

static void
save_changed(struct txn *txn, const struct lease *lease)
{
	db_run(txn->db,
	       "UPDATE lease SET fence = $1, slot = $2, passed = $3, since_ms = $4, ttl_ms = $5, expires_ms = $6, challenged_ms = "
	       "$7,"
	       " challenged_awake_ms = $8, challenged_boot = $9 WHERE project = $10 AND resource = $11 AND ticket = $12",
	       DB_INT(lease->fence), DB_INT(lease->slot), DB_INT(lease->passed), DB_INT(lease->since_ms), DB_INT(lease->ttl_ms),
	       DB_INT(lease->expires_ms), DB_INT(lease->challenged_ms), DB_INT(lease->challenged_awake_ms),
	       DB_TEXT(lease->challenged_boot), DB_TEXT(txn->project), DB_TEXT(lease->resource), DB_INT(lease->ticket));
}

static void
save_resource(struct txn *txn, const struct resource *resource)
{
	db_run(txn->db,
	       "INSERT INTO resource (project, resource, slots, fence, ticket, waits, holds) VALUES ($1, $2, $3, $4, $5, $6, $7)"
	       " ON CONFLICT (project, resource) DO UPDATE SET slots = excluded.slots, fence = excluded.fence,"
	       " ticket = excluded.ticket, waits = excluded.waits, holds = excluded.holds",
	       DB_TEXT(txn->project), DB_TEXT(resource->name), DB_INT(resource->slots), DB_INT(resource->fence),
	       DB_INT(resource->ticket), DB_TEXT(resource->waits), DB_TEXT(resource->holds));
}

void
resource_save(struct txn *txn, struct resource *resource)
{
	if (resource->changed)
		save_resource(txn, resource);
	for (size_t i = 0; i < resource->count; i++) {
		const struct lease *lease = &resource->items[i].lease;

		switch (resource->items[i].change) {
		case LEASE_SAME:
			break;
		case LEASE_NEW:
			save_new(txn, lease);
			break;
		case LEASE_CHANGED:
			save_changed(txn, lease);
			break;
		case LEASE_GONE:
			db_run(txn->db, "DELETE FROM lease WHERE project = $1 AND resource = $2 AND ticket = $3", DB_TEXT(txn->project),
			       DB_TEXT(resource->name), DB_INT(lease->ticket));
			break;
		}
	}
}

bool
resource_is_changed(const struct resource *resource)
{
	for (size_t i = 0; i < resource->count; i++)
		if (resource->items[i].change != LEASE_SAME)
			return true;
	return resource->changed;
}

static void
audit_lease(struct txn *txn, const struct lease *lease, const char *kind, const char *what)
{
	char fence[40];

	snprintf(fence, sizeof fence, "fence %lld", (long long)lease->fence);
	audit_add(txn, lease->session, kind, lease->resource, str_equal(kind, "lease.ended") ? fence : "",
	          str_equal(kind, "lease.ended") ? what : fence);
}

void
resource_end(struct txn *txn, struct resource *resource, struct leased *item, const char *reason)
{
	if (item->lease.fence > 0) {
		times_add(resource->holds, txn_now(txn) - item->lease.since_ms);
		resource->changed = true;
		audit_lease(txn, &item->lease, "lease.ended", reason);
	}
	item->change = LEASE_GONE;
}

enum liveness
lease_liveness(const struct txn *txn, const struct lease *lease)
{
	const struct witness *witness = txn->witness;

	if (witness == NULL)
		return LIVENESS_UNKNOWN;
	if (lease->anchor[0] != '\0' && (lease->anchored || lease->fence == 0))
		return witness->anchor(witness->arg, lease->anchor);
	return lease->process.pid == 0 ? LIVENESS_UNKNOWN : witness->process(witness->arg, &lease->process);
}

bool
lease_process_is_gone(const struct txn *txn, const struct process *process)
{
	return process->pid > 0 && txn->witness != NULL && txn->witness->process(txn->witness->arg, process) == LIVENESS_DEAD;
}

bool
lease_is_proven(const struct txn *txn, const struct lease *lease)
{
	const char *proof = strchr(lease->anchor, LEASE_PROOF);

	return proof != NULL && lease->anchored && txn->witness != NULL && txn->db->ops->proven(txn->db, proof + 1);
}

enum verdict { STAYS, IS_OVERDUE, IS_CHALLENGED, IS_DEAD, IS_LATE, IS_SILENT };

/* Whether it was challenged long enough ago. */
static bool
was_silent(const struct txn *txn, const struct lease *lease)
{
	char boot[BOOT_MAX] = "";
	int64_t awake_ms = txn->witness->awake(txn->witness->arg, boot);

	if (str_equal(boot, lease->challenged_boot))
		return awake_ms - lease->challenged_awake_ms >= LEASE_CHALLENGE_MS;
	return txn_now(txn) - lease->challenged_ms >= LEASE_CHALLENGE_MS;
}

static enum verdict
verdict_on(const struct txn *txn, const struct lease *lease)
{
	enum liveness liveness = lease_liveness(txn, lease);

	if (liveness == LIVENESS_DEAD)
		return IS_DEAD;
	if (txn_now(txn) < lease->expires_ms)
		return STAYS;
	if (liveness == LIVENESS_UNKNOWN && !lease_is_proven(txn, lease))
		return IS_LATE;
	if (lease->challenged_ms == 0)
		return IS_OVERDUE;
	return was_silent(txn, lease) ? IS_SILENT : IS_CHALLENGED;
}

bool
lease_seems_over(const struct txn *txn, const struct lease *lease)
{
	enum liveness liveness = lease_liveness(txn, lease);

	if (liveness == LIVENESS_DEAD)
		return true;
	if (lease->fence == 0)
		return lease->until_ms > 0 && lease->until_ms <= txn_now(txn);
	if (txn_now(txn) < lease->expires_ms)
		return false;
	if (liveness == LIVENESS_UNKNOWN)
		return strchr(lease->anchor, LEASE_PROOF) == NULL;
	return lease->challenged_ms > 0 && was_silent(txn, lease);
}

const char *
lease_over(struct txn *txn, struct lease *lease, bool *changed)
{
	switch (verdict_on(txn, lease)) {
	case STAYS:
	case IS_CHALLENGED:
		break;
	case IS_OVERDUE:
		lease->challenged_ms = txn_now(txn);
		lease->challenged_awake_ms = txn->witness->awake(txn->witness->arg, lease->challenged_boot);
		*changed = true;
		break;
	case IS_DEAD:
		return "its holder is gone";
	case IS_LATE:
		return "its deadline passed";
	case IS_SILENT:
		return "its deadline passed, and it did not renew when challenged";
	}
	return NULL;
}

static void
judge(struct txn *txn, struct resource *resource, struct leased *item)
{
	bool changed = false;
	const char *over = lease_over(txn, &item->lease, &changed);

	if (changed)
		item->change = LEASE_CHANGED;
	if (over != NULL)
		resource_end(txn, resource, item, over);
}

void
resource_push_deadline(struct lease *lease, int64_t now_ms)
{
	lease->expires_ms = now_ms + lease->ttl_ms;
	if (lease->max_ms > 0 && lease->expires_ms > lease->since_ms + lease->max_ms)
		lease->expires_ms = lease->since_ms + lease->max_ms;
}

static bool
holds(const struct leased *item)
{
	return item->change != LEASE_GONE && item->lease.fence > 0;
}

static bool
waits(const struct leased *item)
{
	return item->change != LEASE_GONE && item->lease.fence == 0;
}

static bool
goes_before(const struct lease *a, const struct lease *b)
{
	bool a_passed = a->passed >= LEASE_PASSED_MAX, b_passed = b->passed >= LEASE_PASSED_MAX;

	if (a_passed != b_passed)
		return a_passed;
	if (!a_passed && a->priority != b->priority)
		return a->priority > b->priority;
	return a->ticket < b->ticket;
}

static struct leased *
next_waiter(struct resource *resource)
{
	struct leased *best = NULL;

	for (size_t i = 0; i < resource->count; i++)
		if (waits(&resource->items[i]) && (best == NULL || goes_before(&resource->items[i].lease, &best->lease)))
			best = &resource->items[i];
	return best;
}

/* The lowest slot that is free, -1 for none. */
static int64_t
free_slot(const struct resource *resource, bool shared)
{
	bool used[LEASE_SLOTS_MAX] = {false};

	for (size_t i = 0; i < resource->count; i++) {
		const struct leased *item = &resource->items[i];

		if (holds(item) && !(shared && item->lease.shared) && item->lease.slot < LEASE_SLOTS_MAX)
			used[item->lease.slot] = true;
	}
	for (int64_t slot = 0; slot < resource->slots; slot++)
		if (!used[slot])
			return slot;
	return -1;
}

static void
grant(struct txn *txn, struct resource *resource, struct leased *item, int64_t slot)
{
	struct lease *lease = &item->lease;

	lease->fence = ++resource->fence;
	lease->slot = slot;
	lease->since_ms = txn_now(txn);
	resource_push_deadline(lease, txn_now(txn));
	times_add(resource->waits, txn_now(txn) - lease->asked_ms);
	resource->changed = true;
	audit_lease(txn, lease, "lease.granted", "");
	if (item->change == LEASE_NEW)
		return;
	item->change = LEASE_CHANGED;
	txn->db->ops->wake(txn->db, lease->wake);
}

/*
 * Those who came before it and still wait.  Without a priority it had none before it: all that wait have none then, or were passed
 * often enough and come first.
 */
static void
count_passed(struct txn *txn, struct resource *resource, const struct lease *granted)
{
	if (granted->priority == 0 || granted->passed >= LEASE_PASSED_MAX)
		return;
	db_run(txn->db, "UPDATE lease SET passed = passed + 1 WHERE project = $1 AND resource = $2 AND fence = 0 AND ticket < $3",
	       DB_TEXT(txn->project), DB_TEXT(resource->name), DB_INT(granted->ticket));
	for (size_t i = 0; i < resource->count; i++)
		if (waits(&resource->items[i]) && resource->items[i].lease.ticket < granted->ticket)
			resource->items[i].lease.passed++;
}

static bool
is_over(const struct txn *txn, const struct leased *item)
{
	return item->change != LEASE_NEW && ((item->lease.until_ms > 0 && item->lease.until_ms <= txn_now(txn)) ||
	                                     lease_liveness(txn, &item->lease) == LIVENESS_DEAD);
}

void
resource_tend(struct txn *txn, struct resource *resource)
{
	struct leased *next;
	int64_t slot;

	for (size_t i = 0; i < resource->count; i++)
		if (holds(&resource->items[i]))
			judge(txn, resource, &resource->items[i]);
	/* in order: whoever comes first and finds no room keeps back all behind it */
	while ((next = next_waiter(resource)) != NULL) {
		if (is_over(txn, next)) {
			next->change = LEASE_GONE;
			continue;
		}
		slot = free_slot(resource, next->lease.shared);
		if (slot < 0)
			return;
		grant(txn, resource, next, slot);
		count_passed(txn, resource, &next->lease);
	}
}

bool
resource_wants_tending(const struct txn *txn, struct resource *resource)
{
	const struct leased *next;

	for (size_t i = 0; i < resource->count; i++)
		if (holds(&resource->items[i])) {
			enum verdict verdict = verdict_on(txn, &resource->items[i].lease);

			if (verdict != STAYS && verdict != IS_CHALLENGED)
				return true;
		}
	next = next_waiter(resource);
	return next != NULL && (free_slot(resource, next->lease.shared) >= 0 || is_over(txn, next));
}

const struct lease *
resource_nearest(const struct resource *resource)
{
	const struct lease *nearest = NULL;

	for (size_t i = 0; i < resource->count; i++)
		if (holds(&resource->items[i]) && (nearest == NULL || resource->items[i].lease.expires_ms < nearest->expires_ms))
			nearest = &resource->items[i].lease;
	return nearest;
}

struct leased *
resource_holder(struct resource *resource, int64_t fence)
{
	for (size_t i = 0; i < resource->count; i++)
		if (holds(&resource->items[i]) && resource->items[i].lease.fence == fence)
			return &resource->items[i];
	return NULL;
}

struct leased *
resource_ticket(struct resource *resource, int64_t ticket)
{
	for (size_t i = 0; i < resource->count; i++)
		if (resource->items[i].change != LEASE_GONE && resource->items[i].lease.ticket == ticket)
			return &resource->items[i];
	return NULL;
}
