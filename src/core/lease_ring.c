#include "core/lease_resource.h"

/*
 * Who waits for a resource of one slot waits for every one that holds it; each of those waits for what its chain waits for.
 * Several slots are left out: any of their holders may free one.
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
	                " FROM ring g JOIN lease w ON w.project = $1 AND w.chain = g.chain AND w.chain <> '' AND w.fence = 0"
	                " JOIN resource r ON r.project = w.project AND r.resource = w.resource AND r.slots = 1"
	                " JOIN lease h ON h.project = w.project AND h.resource = w.resource AND h.fence > 0 AND h.chain <> ''"
	                " WHERE g.depth < 12 AND g.chain <> $3)"
	                " SELECT path FROM ring WHERE chain = $3 ORDER BY depth LIMIT 1",
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
