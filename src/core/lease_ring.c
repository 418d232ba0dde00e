#include "core/lease_resource.h"

/* The waiter w is a holder g, or a part of it; and so is who asks. */
#define WAITS_IN "(w.chain = g.chain OR substr(w.chain, 1, length(g.chain) + 1) = g.chain || '/')"
#define CLOSED "($3 = g.chain OR substr($3, 1, length(g.chain) + 1) = g.chain || '/')"

/*
 * Who waits for a resource of one slot waits for every one that holds it; each of those waits for what its chain, or a part of it,
 * waits for.  Several slots are left out: any of their holders may free one.
 */
enum status
lease_ring(struct txn *txn, const struct lease *lease, struct buf *why)
{
	struct db_rows rows;
	enum status status;

	if (lease->chain[0] == '\0')
		return OK;
	status = db_ask(txn->db, &rows, why,
	                "WITH RECURSIVE ring (chain, depth, path) AS ("
	                " SELECT h.chain, 1, h.resource || ' is held by ' || h.actor FROM lease h"
	                " JOIN resource r ON r.project = h.project AND r.resource = h.resource AND r.slots = 1"
	                " WHERE h.project = $1 AND h.resource = $2 AND h.fence > 0 AND h.chain <> ''"
	                " UNION SELECT h.chain, g.depth + 1, g.path || ', who waits for ' || h.resource || ', held by ' || h.actor"
	                " FROM ring g JOIN lease w ON w.project = $1 AND w.chain <> '' AND w.fence = 0 AND " WAITS_IN
	                " JOIN resource r ON r.project = w.project AND r.resource = w.resource AND r.slots = 1"
	                " JOIN lease h ON h.project = w.project AND h.resource = w.resource AND h.fence > 0 AND h.chain <> ''"
	                " WHERE g.depth < 12 AND NOT " CLOSED ")"
	                " SELECT g.path FROM ring g WHERE " CLOSED " ORDER BY g.depth LIMIT 1",
	                DB_TEXT(txn->project), DB_TEXT(lease->resource), DB_TEXT(lease->chain));
	if (status != OK)
		return status;
	if (rows.count > 0)
		status = why_not(why, CONFLICT,
		                 "waiting would close a ring: %s, who is you; release that first, or ask for both in one call",
		                 db_text(&rows, 0, 0));
	db_rows_release(&rows);
	return status;
}
