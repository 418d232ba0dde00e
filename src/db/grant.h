/*
 * Who may use which project of a store that many share: the store's owner gives a project to a role of the server, and takes it
 * back.  Where there are no roles, db->ops->grant is NULL.
 */
#ifndef DB_GRANT_H
#define DB_GRANT_H

#include "db/db.h"

struct db_grant {
	const char *role;    /* NULL: nothing is given or taken, only told */
	const char *project; /* NULL, with a NULL role: all */
	bool revoke;
};

/*
 * db->ops->grant, outside of a transaction.  May block for POSTGRES_ANSWER_MS.
 *
 * OK               it is so now, whether it was before or not; *out is who has the project: rows of project and role, in order,
 *                  for the caller to release
 * NO_SUCH          no such role, or no grant of it to take back; or we are a stranger ourselves
 * NOT_ALLOWED      we don't own the store
 * OUTCOME_UNKNOWN  the connection was lost while committing, or the standby not waited for; asking again is safe
 * BUSY, STORE_DOWN
 */

#endif
