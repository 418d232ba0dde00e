#include "core/lease.h"

#include "core/lease_resource.h"

void
lease_describe(const struct lease *lease, int64_t now_ms, struct buf *out)
{
	char ago[40], since[40], until[40];

	str_ago(ago, sizeof ago, now_ms - lease->since_ms);
	str_instant(since, sizeof since, lease->since_ms);
	str_instant(until, sizeof until, lease->expires_ms);
	buf_printf(out, "held by %s for %s (since %s, until %s%s)", lease->actor, ago, since, until,
	           lease->expires_ms <= now_ms ? ", overdue" : "");
}

static enum status
refuse(enum status status, const char *what, const struct lease *holder, int64_t now_ms, const char *advice, struct buf *why)
{
	struct buf text;

	buf_init(&text, WHY_MAX);
	if (holder == NULL)
		buf_text(&text, "nobody holds it");
	else
		lease_describe(holder, now_ms, &text);
	status = why_not(why, status, "%s: %s%s", what, text.data, advice);
	buf_release(&text);
	return status;
}

static enum status
check_ask(const struct lease_ask *ask, struct buf *why)
{
	enum status status = str_check_id("the resource's name", ask->resource, RESOURCE_MAX, why);

	if (status != OK)
		return status;
	if (ask->slots < 0 || ask->slots > LEASE_SLOTS_MAX)
		return why_not(why, BAD_INPUT, "slots: 1 to %d", LEASE_SLOTS_MAX);
	if (ask->shared && ask->slots > 1)
		return why_not(why, BAD_INPUT, "either shared or several slots");
	if (ask->ttl_ms < 1 || ask->ttl_ms > LEASE_TTL_MAX_MS || ask->max_ms < 0 || ask->max_ms > LEASE_TTL_MAX_MS)
		return why_not(why, BAD_INPUT, "a lease is held for 1 ms to 7 d before it is renewed");
	if (ask->wait_ms < 0 || ask->wait_ms > LEASE_TTL_MAX_MS)
		return why_not(why, BAD_INPUT, "a lease is waited for 7 d at most");
	return OK;
}

static enum status
closed(const struct resource *resource, struct buf *why)
{
	return why_not(why, CONFLICT, "%s: it is over, and nobody is given it again", resource->name);
}

static enum status
set_slots(struct resource *resource, int64_t slots, int64_t now_ms, struct buf *why)
{
	const struct lease *holder = resource_nearest(resource);

	if (slots == 0 || slots == resource->slots)
		return OK;
	if (resource->count > 0 && holder != NULL)
		return refuse(CONFLICT, resource->name, holder, now_ms, "; its number of slots can't change while it is in use", why);
	resource->slots = slots;
	resource->changed = true;
	return OK;
}

static struct leased *
add_ticket(struct txn *txn, struct resource *resource, const struct lease_ask *ask)
{
	struct leased *item = &resource->items[resource->count++];
	struct lease *lease = &item->lease;

	*item = (struct leased){.change = LEASE_NEW};
	snprintf(lease->resource, sizeof lease->resource, "%s", ask->resource);
	snprintf(lease->actor, sizeof lease->actor, "%s", txn->actor);
	snprintf(lease->session, sizeof lease->session, "%s", ask->session);
	snprintf(lease->chain, sizeof lease->chain, "%s", ask->chain);
	snprintf(lease->anchor, sizeof lease->anchor, "%s", ask->anchor);
	snprintf(lease->wake, sizeof lease->wake, "%s", ask->wake);
	lease->ticket = ++resource->ticket;
	lease->shared = ask->shared;
	lease->anchored = ask->anchored;
	lease->process = ask->process;
	lease->priority = ask->priority;
	lease->asked_ms = txn_now(txn);
	lease->until_ms = ask->wait_ms == 0 ? 0 : txn_now(txn) + ask->wait_ms;
	lease->ttl_ms = ask->ttl_ms;
	lease->max_ms = ask->max_ms;
	resource->changed = true;
	return item;
}

/* What was found out meanwhile about others is kept, whatever becomes of the caller. */
static void
save(struct txn *txn, struct resource *resource)
{
	if (!resource_is_changed(resource))
		return;
	txn->keep = true;
	resource_save(txn, resource);
}

static enum status
not_granted(struct txn *txn, struct resource *resource, struct leased *mine, const struct lease_ask *ask, struct lease *out,
            struct buf *why)
{
	enum status status = QUEUED;

	*out = mine->lease;
	if (!ask->wait) {
		mine->change = LEASE_GONE;
		if (resource_nearest(resource) != NULL)
			*out = *resource_nearest(resource);
		status = refuse(HELD, resource->name, resource_nearest(resource), txn_now(txn), "; wait for it with --wait", why);
	}
	save(txn, resource);
	if (status == QUEUED && (ask->first || (status = lease_ring(txn, &mine->lease, why)) == OK))
		return QUEUED;
	if (status == CONFLICT)
		db_run(txn->db, "DELETE FROM lease WHERE project = $1 AND resource = $2 AND ticket = $3", DB_TEXT(txn->project),
		       DB_TEXT(resource->name), DB_INT(mine->lease.ticket));
	return status;
}

/* What the session holds of it, NULL for nothing. */
static struct leased *
find_sessions(struct resource *resource, const char *session)
{
	for (size_t i = 0; i < resource->count; i++) {
		struct leased *item = &resource->items[i];

		if (item->change != LEASE_GONE && item->lease.fence > 0 && *session != '\0' && str_equal(item->lease.session, session))
			return item;
	}
	return NULL;
}

static void
push_on(struct txn *txn, struct leased *mine)
{
	struct lease *lease = &mine->lease;

	lease->challenged_ms = lease->challenged_awake_ms = 0;
	lease->challenged_boot[0] = '\0';
	resource_push_deadline(lease, txn_now(txn));
	mine->change = LEASE_CHANGED;
}

enum status
lease_renew_session(struct txn *txn, const char *name, const char *session, struct buf *why)
{
	struct resource resource;
	struct leased *mine;
	enum status status = resource_load(txn, name, &resource, why);

	if (status != OK)
		return status;
	mine = find_sessions(&resource, session);
	if (mine == NULL)
		status = why_not(why, NO_SUCH, "%s: session %s doesn't hold it", name, session);
	else
		push_on(txn, mine);
	resource_save(txn, &resource);
	resource_release(&resource);
	return status;
}

/* Room for the caller is made, or it has it already. */
static enum status
enter(struct txn *txn, struct resource *resource, const struct lease_ask *ask, struct leased **mine, struct buf *why)
{
	enum status status;

	*mine = ask->again ? find_sessions(resource, ask->session) : NULL;
	if (*mine != NULL) {
		push_on(txn, *mine);
		return OK;
	}
	resource_tend(txn, resource);
	status = resource->slots == 0 ? closed(resource, why) : set_slots(resource, ask->slots, txn_now(txn), why);
	if (status == OK && ask->shared && resource->slots > 1)
		status = why_not(why, CONFLICT, "%s has %lld slots; it can't be shared", ask->resource, (long long)resource->slots);
	if (status != OK)
		return status;
	*mine = add_ticket(txn, resource, ask);
	resource_tend(txn, resource);
	return OK;
}

enum status
lease_acquire(struct txn *txn, const struct lease_ask *ask, struct lease *out, struct buf *why)
{
	struct resource resource;
	struct leased *mine;
	enum status status = check_ask(ask, why);

	if (status == OK)
		status = resource_load(txn, ask->resource, &resource, why);
	if (status != OK)
		return status;
	status = enter(txn, &resource, ask, &mine, why);
	if (status != OK) {
		save(txn, &resource);
	} else if (mine->lease.fence > 0) {
		*out = mine->lease;
		resource_save(txn, &resource);
	} else {
		status = not_granted(txn, &resource, mine, ask, out, why);
	}
	resource_release(&resource);
	return status;
}

bool
lease_is_callers(const struct txn *txn, const struct lease *lease)
{
	size_t len = strlen(lease->session);

	if (len > 0)
		return strncmp(txn->actor, lease->session, len) == 0 && (txn->actor[len] == '\0' || txn->actor[len] == '/');
	return str_equal(txn->actor, lease->actor);
}

static enum status
find_own(struct txn *txn, struct resource *resource, int64_t fence, struct leased **out, struct buf *why)
{
	char what[RESOURCE_MAX + 60];

	*out = resource_holder(resource, fence);
	snprintf(what, sizeof what, "%s: not held with fence %lld", resource->name, (long long)fence);
	if (*out == NULL)
		return refuse(HELD, what, resource_nearest(resource), txn_now(txn), "; what it protected may be another's now", why);
	if (!lease_is_callers(txn, &(*out)->lease))
		return refuse(NOT_ALLOWED, resource->name, &(*out)->lease, txn_now(txn), ", and not by you", why);
	return OK;
}

/* The same, and nobody could take it over by now. */
static enum status
find_good(struct txn *txn, struct resource *resource, int64_t fence, struct leased **out, struct buf *why)
{
	enum status status = find_own(txn, resource, fence, out, why);

	if (status == OK && txn_now(txn) >= (*out)->lease.expires_ms && lease_liveness(txn, &(*out)->lease) != LIVENESS_ALIVE &&
	    !lease_is_proven(txn, &(*out)->lease))
		return refuse(HELD, resource->name, &(*out)->lease, txn_now(txn), "; renew it first", why);
	return status;
}

enum status
lease_release(struct txn *txn, const char *name, int64_t fence, struct buf *why)
{
	struct resource resource;
	struct leased *mine;
	enum status status = resource_load(txn, name, &resource, why);

	if (status != OK)
		return status;
	status = find_own(txn, &resource, fence, &mine, why);
	if (status == OK) {
		resource_end(txn, &resource, mine, "released");
		resource_tend(txn, &resource);
		resource_save(txn, &resource);
	}
	resource_release(&resource);
	return status;
}

static enum status
renew(struct txn *txn, struct lease *lease, int64_t ttl_ms, struct buf *why)
{
	if (ttl_ms < 0 || ttl_ms > LEASE_TTL_MAX_MS)
		return why_not(why, BAD_INPUT, "a lease is held for 1 ms to 7 d before it is renewed");
	if (lease->max_ms > 0 && txn_now(txn) >= lease->since_ms + lease->max_ms)
		return refuse(HELD, lease->resource, lease, txn_now(txn), "; its longest time is over: release it", why);
	if (ttl_ms > 0)
		lease->ttl_ms = ttl_ms;
	lease->challenged_ms = lease->challenged_awake_ms = 0;
	lease->challenged_boot[0] = '\0';
	resource_push_deadline(lease, txn_now(txn));
	return OK;
}

enum status
lease_renew(struct txn *txn, const char *name, int64_t fence, int64_t ttl_ms, struct lease *out, struct buf *why)
{
	struct resource resource;
	struct leased *mine;
	enum status status = resource_load(txn, name, &resource, why);

	if (status != OK)
		return status;
	status = find_own(txn, &resource, fence, &mine, why);
	if (status == OK)
		status = renew(txn, &mine->lease, ttl_ms, why);
	if (status == OK) {
		mine->change = LEASE_CHANGED;
		*out = mine->lease;
		resource_save(txn, &resource);
	}
	resource_release(&resource);
	return status;
}

enum status
lease_check(struct txn *txn, const char *name, int64_t fence, struct lease *out, struct buf *why)
{
	struct resource resource;
	struct leased *mine;
	enum status status = resource_load(txn, name, &resource, why);

	if (status != OK)
		return status;
	status = find_good(txn, &resource, fence, &mine, why);
	if (status == OK)
		*out = mine->lease;
	resource_release(&resource);
	return status;
}

/* OK, QUEUED, NO_SUCH. */
static enum status
state_of(struct resource *resource, int64_t ticket, struct lease *out, struct buf *why)
{
	const struct leased *mine = resource_ticket(resource, ticket);

	if (mine == NULL)
		return why_not(why, NO_SUCH, "%s: the ticket %lld is gone: its time was over", resource->name, (long long)ticket);
	*out = mine->lease;
	return mine->lease.fence > 0 ? OK : QUEUED;
}

enum status
lease_holder(struct txn *txn, const char *name, struct lease *out, struct buf *why)
{
	struct resource resource;
	const struct lease *nearest;
	enum status status = resource_load(txn, name, &resource, why);

	if (status != OK)
		return status;
	nearest = resource_nearest(&resource);
	status = nearest == NULL ? NO_SUCH : HELD;
	for (size_t i = 0; i < resource.count && status == HELD; i++)
		if (resource.items[i].lease.fence > 0 && lease_is_callers(txn, &resource.items[i].lease)) {
			*out = resource.items[i].lease;
			status = OK;
		}
	if (status != OK)
		status = refuse(status, name, nearest, txn_now(txn), nearest == NULL ? "" : ", not by you", why);
	resource_release(&resource);
	return status;
}

static void
turn_away(struct txn *txn, struct resource *resource)
{
	for (size_t i = 0; i < resource->count; i++)
		if (resource->items[i].lease.fence == 0) {
			resource->items[i].change = LEASE_GONE;
			txn->db->ops->wake(txn->db, resource->items[i].lease.wake);
		}
}

enum status
lease_close(struct txn *txn, const char *name, int64_t fence, struct lease *out, struct buf *why)
{
	struct resource resource;
	struct leased *mine;
	enum status status = resource_load(txn, name, &resource, why);

	if (status != OK)
		return status;
	status = find_good(txn, &resource, fence, &mine, why);
	if (status == OK) {
		*out = mine->lease;
		resource_end(txn, &resource, mine, "done");
		turn_away(txn, &resource);
		resource.slots = 0;
		resource_save(txn, &resource);
		/* more may wait than were loaded */
		db_run(txn->db, "DELETE FROM lease WHERE project = $1 AND resource = $2 AND fence = 0", DB_TEXT(txn->project),
		       DB_TEXT(name));
	}
	resource_release(&resource);
	return status;
}

enum status
lease_look(struct txn *txn, const char *name, int64_t ticket, struct lease *out, bool *tend, struct buf *why)
{
	struct resource resource;
	enum status status = resource_load_ticket(txn, name, ticket, &resource, why);

	*tend = false;
	if (status != OK)
		return status;
	status = state_of(&resource, ticket, out, why);
	resource_release(&resource);
	if (status != QUEUED)
		return status;
	status = resource_load_with(txn, name, ticket, &resource, why);
	if (status != OK)
		return status;
	status = state_of(&resource, ticket, out, why);
	*tend = status == QUEUED && resource_wants_tending(txn, &resource);
	resource_release(&resource);
	return status;
}

enum status
lease_tend(struct txn *txn, const char *name, struct buf *why)
{
	struct resource resource;
	enum status status = resource_load(txn, name, &resource, why);

	if (status != OK)
		return status;
	resource_tend(txn, &resource);
	resource_save(txn, &resource);
	resource_release(&resource);
	return OK;
}

enum status
lease_give_up(struct txn *txn, const char *name, int64_t ticket, struct lease *out, struct buf *why)
{
	struct resource resource;
	struct leased *mine;
	enum status status = resource_load_with(txn, name, ticket, &resource, why);

	if (status != OK)
		return status;
	mine = resource_ticket(&resource, ticket);
	if (mine != NULL && mine->lease.fence > 0) {
		*out = mine->lease;
	} else {
		if (mine != NULL)
			mine->change = LEASE_GONE;
		resource_tend(txn, &resource);
		if (resource_nearest(&resource) != NULL)
			*out = *resource_nearest(&resource);
		status = resource.slots == 0 ? closed(&resource, why)
		                             : refuse(BUSY, name, resource_nearest(&resource), txn_now(txn),
		                                      "; the wait for it is over, try again", why);
		save(txn, &resource);
	}
	resource_release(&resource);
	return status;
}

enum status
lease_break(struct txn *txn, const char *name, int64_t fence, size_t *count, struct buf *why)
{
	struct resource resource;
	enum status status = resource_load(txn, name, &resource, why);

	if (status != OK)
		return status;
	*count = 0;
	for (size_t i = 0; i < resource.count; i++) {
		struct leased *item = &resource.items[i];

		if (item->lease.fence > 0 && (fence == 0 || item->lease.fence == fence)) {
			resource_end(txn, &resource, item, "broken");
			++*count;
		}
	}
	if (*count == 0)
		status = why_not(why, NO_SUCH, "%s: nobody holds it%s", name, fence == 0 ? "" : " with that fence");
	resource_tend(txn, &resource);
	save(txn, &resource);
	resource_release(&resource);
	return status;
}
