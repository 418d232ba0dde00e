#include "db/postgres_rights.h"
#include "db/postgres_store.h"

/* Which roles may use which project.  The tables' owner alone writes it; a role sees its own. */
#define MAKE_GRANTS \
	"CREATE TABLE IF NOT EXISTS project_grant (project TEXT COLLATE \"C\" NOT NULL, role REGROLE NOT NULL," \
	" PRIMARY KEY (project, role))"
#define CLOSE_GRANTS \
	"ALTER TABLE project_grant ENABLE ROW LEVEL SECURITY; DROP POLICY IF EXISTS own ON project_grant;" \
	" CREATE POLICY own ON project_grant FOR SELECT USING (pg_has_role(role, 'USAGE'))"

/* A number of our own tells nobody of others, and rows that were brought from elsewhere keep theirs. */
#define KEYS \
	"SELECT format('ALTER TABLE %s ADD PRIMARY KEY (project, %I)', c.oid::regclass, i.attname)" \
	" FROM pg_attribute i, (SELECT c.oid " POSTGRES_TABLES ") c WHERE i.attrelid = c.oid AND i.attidentity <> ''" \
	" AND NOT EXISTS (SELECT 1 FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary)"

/* What is granted is found once for a statement, not for each row: it depends on no column of the table. */
#define POLICIES \
	"SELECT format('ALTER TABLE %1$s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;" \
	" DROP POLICY IF EXISTS granted ON %1$s; CREATE POLICY granted ON %1$s USING (project = ANY (ARRAY(" \
	"SELECT g.project FROM project_grant g WHERE pg_has_role(g.role, ''USAGE''))))', c.oid::regclass) " POSTGRES_TABLES

/* What a member of the owner's group or a superuser makes would be his, and in a schema of his. */
#define BECOME_OWNER \
	"SELECT format('SET LOCAL ROLE %s; SET LOCAL search_path TO %s', relowner::regrole, relnamespace::regnamespace)" \
	" FROM pg_class WHERE oid = to_regclass('store')"

#define OPEN_TO_OWNER \
	"SELECT format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', c.oid::regclass) " POSTGRES_TABLES " AND " \
	"c.relforcerowsecurity"

/* No right on sequences: a column's own is used without one, and it would tell how much others write. */
#define RIGHTS \
	"SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON %1$s TO %2$s; GRANT SELECT ON store, project_grant TO %2$s'," \
	" t.tables, g.role) FROM (SELECT string_agg(c.oid::regclass::text, ', ') AS tables, c.relowner AS owner " POSTGRES_TABLES \
	" GROUP BY c.relowner) t, (SELECT DISTINCT role FROM project_grant) g JOIN pg_roles r ON r.oid = g.role" \
	" WHERE NOT pg_has_role(g.role, t.owner, 'USAGE')"

/* One who can't even look into the schema would find nothing there. */
#define RIGHTS_OF_SCHEMA \
	"SELECT DISTINCT format('GRANT USAGE ON SCHEMA %s TO %s', s.relnamespace::regnamespace, g.role) FROM pg_class s," \
	" project_grant g JOIN pg_roles r ON r.oid = g.role WHERE s.oid = to_regclass('store') AND" \
	" NOT has_schema_privilege(g.role, s.relnamespace, 'USAGE')"

/* Runs each of the statements that a query gives. */
static enum status
do_each(struct postgres *store, const char *query, struct buf *why)
{
	PGresult *found;
	enum status status = postgres_look(store, query, NULL, 0, &found, why);

	if (status != OK)
		return status;
	for (int i = 0; i < PQntuples(found) && status == OK; i++)
		status = postgres_do(store, PQgetvalue(found, i, 0), why);
	PQclear(found);
	return status;
}

enum status
postgres_give_rights(struct postgres *store, struct buf *why)
{
	enum status status = do_each(store, RIGHTS, why);

	return status == OK ? do_each(store, RIGHTS_OF_SCHEMA, why) : status;
}

enum status
postgres_guard(struct postgres *store, struct buf *why)
{
	enum status status = postgres_do(store, MAKE_GRANTS, why);

	if (status == OK)
		status = postgres_do(store, CLOSE_GRANTS, why);
	if (status == OK)
		status = do_each(store, KEYS, why);
	if (status == OK)
		status = do_each(store, POLICIES, why);
	if (status == OK)
		status = postgres_give_rights(store, why);
	return status == OK ? postgres_do(store, "RESET ROLE", why) : status;
}

enum status
postgres_unguard(struct postgres *store, struct buf *why)
{
	enum status status = do_each(store, BECOME_OWNER, why);

	return status == OK ? do_each(store, OPEN_TO_OWNER, why) : status;
}
