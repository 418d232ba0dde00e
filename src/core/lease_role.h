/* Whose tickets go first: priorities of roles, of which a caller may name one. */
#ifndef CORE_LEASE_ROLE_H
#define CORE_LEASE_ROLE_H

#include "core/lease.h"

/* A role's priority, 0 unless it was set; and sets it, 0 to 1000.  BAD_INPUT. */
enum status lease_priority(struct txn *txn, const char *role, int64_t *out, struct buf *why) MUST_CHECK;
enum status lease_set_priority(struct txn *txn, const char *role, int64_t priority, struct buf *why) MUST_CHECK;

/* All that were set, as JSON objects added to `out`: role, priority. */
enum status lease_roles(struct txn *txn, json_t *out, struct buf *why) MUST_CHECK;

#endif
