#include "core/lease_resource.h"

json_t *
lease_json(const struct lease *lease)
{
	json_t *object = json_pack("{ss ss ss sI sI sI sI sb}", "resource", lease->resource, "holder", lease->actor, "session",
	                           lease->session, "fence", (json_int_t)lease->fence, "slot", (json_int_t)lease->slot, "since_ms",
	                           (json_int_t)lease->since_ms, "expires_ms", (json_int_t)lease->expires_ms, "shared",
	                           lease->shared);

	return object;
}

static json_t *
waiter_json(const struct lease *lease)
{
	return json_pack("{ss ss sI sI sI}", "waiter", lease->actor, "session", lease->session, "ticket", (json_int_t)lease->ticket,
	                 "since_ms", (json_int_t)lease->asked_ms, "until_ms", (json_int_t)lease->until_ms);
}

static json_t *
times_json(const char *text)
{
	return json_pack("{sI sI}", "p50_ms", (json_int_t)times_percentile(text, 50), "p99_ms",
	                 (json_int_t)times_percentile(text, 99));
}

/* Nobody has tended it since: what is over is left out, as who asks next would find it. */
static json_t *
resource_json(const struct txn *txn, const struct resource *resource)
{
	json_t *holders = json_array(), *waiters = json_array();

	for (size_t i = 0; i < resource->count; i++) {
		const struct lease *lease = &resource->items[i].lease;

		if (lease_seems_over(txn, lease))
			continue;
		if (lease->fence > 0)
			json_array_append_new(holders, lease_json(lease));
		else
			json_array_append_new(waiters, waiter_json(lease));
	}
	return json_pack("{ss sI sI so so so so}", "resource", resource->name, "slots", (json_int_t)resource->slots, "fence",
	                 (json_int_t)resource->fence, "holders", holders, "waiters", waiters, "waits", times_json(resource->waits),
	                 "holds", times_json(resource->holds));
}

static void
add_resource(const struct txn *txn, const struct resource *resource, bool all, json_t *out)
{
	json_t *object = resource_json(txn, resource);

	if (all || json_array_size(json_object_get(object, "holders")) + json_array_size(json_object_get(object, "waiters")) > 0)
		json_array_append(out, object);
	json_decref(object);
}

enum status
lease_list(struct txn *txn, const char *prefix, bool all, json_t *out, struct buf *why)
{
	struct resource resource;
	struct db_rows rows;
	size_t at = 0;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT " RESOURCE_COLUMNS " FROM " RESOURCE_TABLES
	                            " WHERE r.project = $1 AND substr(r.resource, 1, length($2)) = $2 AND ($3 = 1 OR l.ticket > 0)"
	                            " ORDER BY " RESOURCE_ORDER " LIMIT 10000",
	                            DB_TEXT(txn->project), DB_TEXT(prefix), DB_INT(all));

	if (status != OK)
		return status;
	while (status == OK && at < rows.count) {
		status = resource_take(&rows, &at, &resource, why);
		if (status != OK)
			break;
		add_resource(txn, &resource, all, out);
		resource_release(&resource);
	}
	db_rows_release(&rows);
	return status;
}

static bool
is_of(const char *session, const char *sessions)
{
	size_t len = strlen(session);

	for (const char *at = sessions, *blank; len > 0 && (blank = strchr(at, ' ')) != NULL; at = blank + 1)
		if ((size_t)(blank - at) == len && memcmp(at, session, len) == 0)
			return true;
	return false;
}

static void
end_own(struct txn *txn, struct resource *resource, const char *sessions)
{
	for (size_t i = 0; i < resource->count; i++) {
		struct leased *item = &resource->items[i];

		if (is_of(item->lease.session, sessions) && !(item->lease.anchored && item->lease.fence > 0))
			resource_end(txn, resource, item, "its session ended");
	}
	resource_tend(txn, resource);
	resource_save(txn, resource);
}

enum status
lease_end_sessions(struct txn *txn, const char *sessions, struct buf *why)
{
	struct resource resource;
	struct db_rows rows;
	size_t at = 0;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT " RESOURCE_COLUMNS " FROM " RESOURCE_TABLES
	                            " WHERE r.project = $1 AND r.resource IN (SELECT o.resource FROM lease o WHERE o.project = $1"
	                            " AND o.session <> '' AND $2 LIKE '%' || o.session || ' %') ORDER BY " RESOURCE_ORDER,
	                            DB_TEXT(txn->project), DB_TEXT(sessions));

	if (status != OK)
		return status;
	while (status == OK && at < rows.count) {
		status = resource_take(&rows, &at, &resource, why);
		if (status != OK)
			break;
		end_own(txn, &resource, sessions);
		resource_release(&resource);
	}
	db_rows_release(&rows);
	return status;
}

enum status
lease_end_session(struct txn *txn, const char *session, struct buf *why)
{
	char one[ID_SIZE + 1];

	snprintf(one, sizeof one, "%s ", session);
	return lease_end_sessions(txn, one, why);
}
