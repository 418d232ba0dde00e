#include "base/str.h"
#include "db/grant.h"
#include "db/postgres_rights.h"
#include "db/postgres_store.h"

#define OWNS "SELECT count(*) FROM pg_class WHERE oid = to_regclass('store') AND pg_has_role(relowner, 'USAGE')"

#define CLAIM \
	"INSERT INTO project_grant (project, role) SELECT $1, oid FROM pg_roles WHERE rolname = current_user ON CONFLICT DO " \
	"NOTHING"

#define GIVE \
	"INSERT INTO project_grant (project, role) SELECT $1, oid FROM pg_roles WHERE rolname::text = $2 ON CONFLICT DO NOTHING"
#define TAKE \
	"DELETE FROM project_grant g USING pg_roles r WHERE g.project = $1 AND g.role = r.oid AND r.rolname::text = $2" \
	" RETURNING 1"

/* A role that has no project left has nothing to do with our tables. */
#define LAST_RIGHTS \
	"SELECT format('REVOKE ALL ON %s, store, project_grant FROM %I', string_agg(c.oid::regclass::text, ', '), " \
	"$1::text) " POSTGRES_TABLES \
	" AND NOT pg_has_role((SELECT oid FROM pg_roles WHERE rolname::text = $1), c.relowner, 'USAGE')" \
	" AND NOT EXISTS (SELECT 1 FROM project_grant g JOIN pg_roles r ON r.oid = g.role WHERE r.rolname::text = $1)" \
	" HAVING count(*) > 0"

/* A role of the same number that is made one day must not find it. */
#define FORGET_DROPPED "DELETE FROM project_grant WHERE role NOT IN (SELECT oid FROM pg_roles)"

#define LIST \
	"SELECT g.project, r.rolname FROM project_grant g JOIN pg_roles r ON r.oid = g.role" \
	" WHERE $1::text IS NULL OR g.project = $1 ORDER BY g.project, r.rolname"

enum status
postgres_no_project(const struct postgres *store, struct buf *why)
{
	return why_not(why, NO_SUCH,
	               "%s: there is no project %s for this role; who owns the store can type `stile store grant ROLE`",
	               store->name, store->project);
}

enum status
postgres_owns(struct postgres *store, bool *out, struct buf *why)
{
	int64_t owned = 0;
	enum status status = postgres_number(store, OWNS, NULL, 0, 0, &owned, why);

	if (status == OK)
		*out = owned == 1;
	return status;
}

enum status
postgres_claim(struct postgres *store, struct buf *why)
{
	const char *const project[] = {store->project};
	bool owner;
	int64_t granted = 1;
	PGresult *done = NULL;
	enum status status = postgres_owns(store, &owner, why);

	if (status == OK && owner)
		status = postgres_look(store, CLAIM, project, 1, &done, why);
	else if (status == OK)
		status = postgres_number(store, "SELECT " POSTGRES_GRANTED, project, 1, 0, &granted, why);
	PQclear(done);
	if (str_equal(store->state, POSTGRES_FORBIDDEN) || (status == OK && granted == 0))
		return postgres_no_project(store, why);
	return status;
}

static enum status
give(struct postgres *store, const struct db_grant *ask, struct buf *why)
{
	PGresult *done;
	enum status status = postgres_look(store, GIVE, (const char *const[]){ask->project, ask->role}, 2, &done, why);

	if (status != OK)
		return status;
	PQclear(done);
	return postgres_give_rights(store, why);
}

static enum status
take(struct postgres *store, const struct db_grant *ask, struct buf *why)
{
	PGresult *done = NULL;
	int64_t taken = 0;
	enum status status = postgres_number(store, TAKE, (const char *const[]){ask->project, ask->role}, 2, 0, &taken, why);

	if (status == OK && taken == 0)
		return why_not(why, NO_SUCH, "the role %s has no grant of project %s; `stile store grant` lists who has one", ask->role,
		               ask->project);
	if (status == OK)
		status = postgres_look(store, LAST_RIGHTS, &ask->role, 1, &done, why);
	if (status == OK && PQntuples(done) == 1)
		status = postgres_do(store, PQgetvalue(done, 0, 0), why);
	PQclear(done);
	return status;
}

static enum status
check(struct postgres *store, const struct db_grant *ask, struct buf *why)
{
	bool owner;
	int64_t there = 1;
	enum status status = postgres_owns(store, &owner, why);

	if (status == OK && !owner)
		return why_not(why, NOT_ALLOWED, "%s: only the role that owns the store's tables gives and takes projects",
		               store->name);
	if (status == OK && ask->role != NULL)
		status = postgres_number(store, "SELECT count(*) FROM pg_roles WHERE rolname::text = $1", &ask->role, 1, 0, &there,
		                         why);
	if (status == OK && there == 0)
		return why_not(why, NO_SUCH,
		               "%s: the server has no role %s; make it with CREATE ROLE, and type its name as it was made", store->name,
		               ask->role);
	return status;
}

struct granting {
	const struct db_grant *ask;
	struct db_rows *out;
};

static enum status
grant(struct postgres *store, void *arg, struct buf *why)
{
	struct granting *granting = arg;
	const struct db_grant *ask = granting->ask;
	PGresult *found = NULL;
	enum status status = check(store, ask, why);

	if (status == OK && ask->role != NULL)
		status = postgres_do(store, FORGET_DROPPED, why);
	if (status == OK && ask->role != NULL)
		status = ask->revoke ? take(store, ask, why) : give(store, ask, why);
	if (status == OK)
		status = postgres_look(store, LIST, &ask->project, 1, &found, why);
	if (status == OK)
		status = postgres_copy_rows(found, granting->out, why);
	PQclear(found);
	return status;
}

enum status
postgres_grant(struct db *db, const struct db_grant *ask, struct db_rows *out, struct buf *why)
{
	struct postgres *store = (struct postgres *)db;
	struct db_rows rows = {0};
	struct granting granting = {ask, &rows};
	enum status status = postgres_migrate(store, false, why);

	if (status == OK)
		status = postgres_alone(store, grant, &granting, why);
	if (status == OK)
		*out = rows;
	else
		db_rows_release(&rows);
	return status;
}
