#include "db/postgres_store.h"

/*
 * Others may be drawing numbers at this moment, so the sequence is never set to where it may have been already: it is drawn from
 * until it is there, or set so far ahead that nobody comes there in the meantime.
 */
void
postgres_catch_up(struct db *db, int64_t now_ms, const char *table, const char *column, int64_t last)
{
	struct postgres *store = (struct postgres *)db;

	db_run(db, "UPDATE project SET seen_ms = greatest(seen_ms, $1) WHERE project = $2", DB_INT(now_ms),
	       DB_TEXT(store->project));
	db_run(db,
	       "SELECT CASE WHEN $3 - s.at > 1000000 THEN setval(pg_get_serial_sequence($1, $2), $3)"
	       " ELSE (SELECT max(nextval(pg_get_serial_sequence($1, $2))) FROM generate_series(1, $3 - s.at)) END"
	       " FROM (SELECT nextval(pg_get_serial_sequence($1, $2)) AS at) s",
	       DB_TEXT(table), DB_TEXT(column), DB_INT(last));
}

void
postgres_forget_project(struct db *db)
{
	const char *project = ((struct postgres *)db)->project;

	db_run(db, "DELETE FROM operation WHERE project = $1", DB_TEXT(project));
	db_run(db, "DELETE FROM project_grant WHERE project = $1", DB_TEXT(project));
}
