#include "core/lease_resource.h"
#include "core/turn_parts.h"

#define INSIDE_COLUMNS \
	"turn_slot, turn_fence, turn_bound, turn_anchor, turn_anchored, turn_pid, turn_pid_start, turn_pid_space, turn_pid_boot," \
	" turn_expires_ms"

/* What shows whether the holder of a turn lives, in columns from `at` on. */
static void
holder_from_row(const struct db_rows *rows, size_t row, size_t at, struct lease *lease)
{
	snprintf(lease->anchor, sizeof lease->anchor, "%s", db_text(rows, row, at));
	lease->anchored = db_int(rows, row, at + 1) != 0;
	lease->process.pid = db_int(rows, row, at + 2);
	lease->process.start = db_int(rows, row, at + 3);
	lease->process.space = db_int(rows, row, at + 4);
	snprintf(lease->process.boot, sizeof lease->process.boot, "%s", db_text(rows, row, at + 5));
	lease->expires_ms = db_int(rows, row, at + 6);
}

static void
from_row(const struct db_rows *rows, struct turn_inside *out, struct lease *lease)
{
	const size_t at = SESSION_COLUMN_COUNT;

	session_from_row(rows, 0, &out->session);
	snprintf(out->slot, sizeof out->slot, "%s", db_text(rows, 0, at));
	out->fence = lease->fence = db_int(rows, 0, at + 1);
	snprintf(out->conversation, sizeof out->conversation, "%s", db_text(rows, 0, at + 2));
	holder_from_row(rows, 0, at + 3, lease);
	out->own = lease->process;
}

/* Whether it would still be held if somebody looked: one that lives is asked first. */
static bool
is_held(const struct txn *txn, const struct lease *lease)
{
	enum liveness liveness = lease_liveness(txn, lease);

	return liveness == LIVENESS_ALIVE || (liveness == LIVENESS_UNKNOWN && txn_now(txn) < lease->expires_ms);
}

enum status
turn_named(struct txn *txn, const char *id, struct turn_inside *out, struct buf *why)
{
	struct turn_inside found = {0};
	struct lease lease = {0};
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "SELECT " SESSION_COLUMNS ", " INSIDE_COLUMNS
	           " FROM (SELECT t.session AS turn_of, t.slot AS turn_slot, t.fence AS turn_fence,"
	           " t.bound AS turn_bound, l.anchor AS turn_anchor, l.anchored AS turn_anchored,"
	           " l.pid AS turn_pid, l.pid_start AS turn_pid_start, l.pid_space AS turn_pid_space,"
	           " l.pid_boot AS turn_pid_boot, l.expires_ms AS turn_expires_ms"
	           " FROM turn t JOIN lease l ON l.project = t.project AND l.resource = 'turn/' || t.session"
	           " AND l.fence = t.fence WHERE t.project = $1 AND t.state = 'running' AND t.turn = $2) AS running"
	           " JOIN session s ON s.project = $1 AND s.session = running.turn_of",
	           DB_TEXT(txn->project), DB_TEXT(id));

	*out = found;
	if (status != OK)
		return status;
	if (rows.count > 0)
		from_row(&rows, &found, &lease);
	db_rows_release(&rows);
	if (found.fence > 0 && is_held(txn, &lease))
		*out = found;
	return OK;
}

enum status
turn_hosting(struct txn *txn, struct buf *out, struct buf *why)
{
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "SELECT t.session, l.anchor, l.anchored, l.pid, l.pid_start, l.pid_space, l.pid_boot, l.expires_ms"
	           " FROM turn t JOIN lease l ON l.project = t.project AND l.resource = 'turn/' || t.session"
	           " AND l.fence = t.fence WHERE t.project = $1 AND t.state = 'running' AND t.bound <> ''",
	           DB_TEXT(txn->project));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++) {
		struct lease lease = {.fence = 1};

		holder_from_row(&rows, i, 1, &lease);
		if (is_held(txn, &lease))
			buf_printf(out, "%s ", db_text(&rows, i, 0));
	}
	db_rows_release(&rows);
	return buf_status(out);
}

/* Its client is there and has said something: a turn beside it is a conversation of its own. */
static bool
is_at_work(const struct txn *txn, const struct session *session, const char *client)
{
	return str_equal(session->client, client) && session->events > 0 && session_is_live(session->state) &&
	       session->process.pid > 0 && !lease_process_is_gone(txn, &session->process);
}

bool
turn_admits(const struct txn *txn, const struct turn_inside *inside, const char *client)
{
	return inside->conversation[0] == '\0' && str_equal(inside->slot, SLOT_RESUME) &&
	       !is_at_work(txn, &inside->session, client);
}

void
turn_joined(struct txn *txn, struct turn_inside *inside, const char *conversation)
{
	snprintf(inside->conversation, sizeof inside->conversation, "%s", conversation);
	db_run(txn->db, "UPDATE turn SET bound = $1 WHERE project = $2 AND session = $3 AND fence = $4", DB_TEXT(conversation),
	       DB_TEXT(txn->project), DB_TEXT(inside->session.id), DB_INT(inside->fence));
}

void
turn_give_back(struct txn *txn, const char *session, const char *resource, int64_t fence)
{
	db_run(txn->db,
	       "UPDATE session SET (pid, pid_start, pid_space, pid_boot) = (SELECT l.pid, l.pid_start, l.pid_space, l.pid_boot"
	       " FROM lease l WHERE l.project = $1 AND l.resource = $2 AND l.fence = $3) WHERE project = $1 AND session = $4"
	       " AND EXISTS (SELECT 1 FROM turn t JOIN lease l ON l.project = t.project AND l.resource = $2 AND l.fence = t.fence"
	       " WHERE t.project = $1 AND t.session = $4 AND t.fence = $3 AND t.state = 'running' AND t.bound <> '')",
	       DB_TEXT(txn->project), DB_TEXT(resource), DB_INT(fence), DB_TEXT(session));
}
