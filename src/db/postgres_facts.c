#include "db/postgres_rights.h"
#include "db/postgres_store.h"

static void
fact(struct postgres *store, struct buf *out, const char *name, const char *sql)
{
	PGresult *last;

	postgres_send(store, sql, NULL, 0);
	if (postgres_answers(store, &last, NULL) != OK)
		return;
	if (PQntuples(last) == 1)
		buf_printf(out, "%s=%s\n", name, PQgetvalue(last, 0, 0));
	PQclear(last);
}

void
postgres_facts(struct db *db, struct buf *out)
{
	struct postgres *store = (struct postgres *)db;

	if (store->conn == NULL)
		return;
	buf_printf(out, "engine=PostgreSQL %s\n", PQparameterStatus(store->conn, "server_version"));
	buf_printf(out, "project=%s\n", store->project);
	fact(store, out, "schema", "SELECT schema FROM store");
	fact(store, out, "clone", "SELECT clone FROM store");
	fact(store, out, "rights",
	     "SELECT coalesce('missing on ' || string_agg(c.relname, ', '), 'ok') " POSTGRES_TABLES
	     " AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')"
	     " AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))");
	fact(store, out, "row_security",
	     "SELECT coalesce('not forced on ' || string_agg(c.relname, ', '), 'ok') " POSTGRES_TABLES
	     " AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = "
	     "c.oid))");
	fact(store, out, "row_security_bypassed",
	     "SELECT CASE WHEN row_security_active('project') THEN 'no' ELSE"
	     " 'yes: this role sees all projects, as a superuser or with BYPASSRLS' END");
	fact(store, out, "fsync", "SHOW fsync");
	fact(store, out, "full_page_writes", "SHOW full_page_writes");
	fact(store, out, "synchronous_commit",
	     "SELECT CASE WHEN current_setting('synchronous_commit') = 'remote_apply' THEN 'remote_apply' ELSE 'on, set by us' "
	     "END");
	fact(store, out, "synchronous_standby_names", "SHOW synchronous_standby_names");
	fact(store, out, "size_bytes", "SELECT pg_database_size(current_database())");
	buf_printf(out, "tls=%s\n", PQsslInUse(store->conn) ? "yes" : "no");
	buf_printf(out, "pooler=%s\n", store->pooled ? "yes, nothing is prepared by name" : "no");
}
