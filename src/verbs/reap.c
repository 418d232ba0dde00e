#include "verbs/reap.h"

#include "core/retention.h"
#include "core/turn.h"
#include "verbs/install.h"
#include "verbs/ledger_old.h"
#include "verbs/payload.h"

#define IN_TURN_MAX ((size_t)1 << 20)

struct reaping {
	struct session_list dead; /* as they were when their processes were looked at */
	struct buf in_turn;       /* ids of sessions whose client's end is not theirs */
	json_t *lost;
	size_t count;
};

static enum status
list_live(struct txn *txn, void *arg, struct buf *why)
{
	return session_list(txn, false, arg, why);
}

static enum status
list_in_turn(struct txn *txn, void *arg, struct buf *why)
{
	return turn_hosting(txn, arg, why);
}

static const struct session *
find(const struct session_list *list, const char *id)
{
	for (size_t i = 0; i < list->count; i++)
		if (str_equal(list->items[i].id, id))
			return &list->items[i];
	return NULL;
}

static bool
is_in_turn(const struct reaping *reaping, const struct session *session)
{
	return reaping->in_turn.len > 0 && strstr(reaping->in_turn.data, session->id) != NULL;
}

static enum status
mark_lost(struct txn *txn, void *arg, struct buf *why)
{
	struct reaping *reaping = arg;
	struct session_list now;
	struct buf ids;
	enum status status = session_list(txn, false, &now, why);

	if (status != OK)
		return status;
	buf_init(&ids, (now.count + 1) * ID_SIZE);
	for (size_t i = 0; i < now.count; i++) {
		struct session *session = &now.items[i];
		const struct session *seen = find(&reaping->dead, session->id);

		if (seen == NULL || !process_same(&seen->process, &session->process) || seen->event_ms != session->event_ms ||
		    is_in_turn(reaping, session))
			continue;
		if (!session_move(txn, session, SESSION_VANISHES, txn_now(txn), "its process is gone"))
			continue;
		session_save(txn, session);
		buf_printf(&ids, "%s ", session->id);
		reaping->count++;
		if (reaping->lost != NULL)
			json_array_append_new(reaping->lost, json_string(session->id));
	}
	session_list_release(&now);
	status = buf_status(&ids);
	if (status == OK && ids.len > 0)
		status = lease_end_sessions(txn, ids.data, why);
	buf_release(&ids);
	return status;
}

enum status
reap(struct context *context, size_t *count, json_t *lost, struct buf *why)
{
	struct reaping reaping = {.lost = lost};
	enum status status = engine_read(&context->engine, list_live, &reaping.dead, why);
	size_t kept = 0;

	*count = 0;
	if (status != OK)
		return status;
	for (size_t i = 0; i < reaping.dead.count; i++)
		if (context_liveness(context, &reaping.dead.items[i].process) == LIVENESS_DEAD) {
			if (kept != i)
				reaping.dead.items[kept] = reaping.dead.items[i];
			kept++;
		}
	reaping.dead.count = kept;
	buf_init(&reaping.in_turn, IN_TURN_MAX);
	if (kept > 0)
		status = engine_read(&context->engine, list_in_turn, &reaping.in_turn, why);
	if (kept > 0 && status == OK)
		status = engine_run(&context->engine, mark_lost, &reaping, why);
	*count = reaping.count;
	buf_release(&reaping.in_turn);
	session_list_release(&reaping.dead);
	return status;
}

static enum status
look_for_old(struct txn *txn, void *due, struct buf *why)
{
	return retention_due(txn, due, why);
}

static enum status
remove_old(struct txn *txn, void *removed, struct buf *why)
{
	return retention_apply(txn, removed, why);
}

enum status
reap_old(struct context *context, struct retention *removed, struct buf *why)
{
	bool due = false;
	enum status status = engine_read(&context->engine, look_for_old, &due, why);

	*removed = (struct retention){0};
	if (status == OK && due)
		status = engine_run(&context->engine, remove_old, removed, why);
	if (status == OK)
		payload_sweep(context);
	return status == OK ? ledger_remove_old(context, why) : status;
}

void
ride_along(struct context *context, bool reap_due)
{
	struct retention removed;
	size_t count;

	if (reap_due && reap(context, &count, NULL, NULL) != OK)
		return;
	if (reap_due && reap_old(context, &removed, NULL) != OK)
		return;
	if (install_new_worktrees(context, NULL) != OK)
		return;
}
