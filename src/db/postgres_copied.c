#include "db/postgres_store.h"

#define SEQUENCE "pg_get_serial_sequence('audit', 'seq')"
#define HAS_RIGHT "has_sequence_privilege(" SEQUENCE ", 'UPDATE')"

/*
 * Who has no right to the sequence, which would tell how much others write, draws from it all the same with each row that he writes:
 * with so many as he needs at most, those whose number he has already being none.
 */
#define DRAWN_MAX "1000000"
#define DRAWN "copy.number"

static void
draw_by_rows(struct db *db, const char *project, int64_t last)
{
	db_run(db,
	       "INSERT INTO audit (project, at_ms, session, actor, kind, subject, before, after, epoch)"
	       " SELECT $1, 0, '', '', '" DRAWN "', '', '', '', 0 FROM generate_series(1,"
	       " CASE WHEN " HAS_RIGHT " OR $2::bigint > " DRAWN_MAX " THEN 0 ELSE $2 END) ON CONFLICT DO NOTHING",
	       DB_TEXT(project), DB_INT(last));
	db_run(db, "DELETE FROM audit WHERE project = $1 AND kind = '" DRAWN "'", DB_TEXT(project));
}

/*
 * Others may be drawing numbers at this moment, so the sequence is never set to where it may have been already: it is drawn from
 * until it is there, or set so far ahead that nobody comes there in the meantime.
 */
void
postgres_catch_up(struct db *db, int64_t now_ms, int64_t last)
{
	const char *project = ((struct postgres *)db)->project;

	db_run(db, "UPDATE project SET seen_ms = greatest(seen_ms, $1) WHERE project = $2", DB_INT(now_ms), DB_TEXT(project));
	draw_by_rows(db, project, last);
	db_run(db,
	       "SELECT CASE WHEN $1 - s.at > " DRAWN_MAX " THEN setval(" SEQUENCE ", $1)"
	       " ELSE (SELECT max(nextval(" SEQUENCE ")) FROM generate_series(1, $1 - s.at)) END"
	       " FROM (SELECT nextval(" SEQUENCE ") AS at WHERE " HAS_RIGHT " OR $1::bigint > " DRAWN_MAX ") s",
	       DB_INT(last));
}

void
postgres_forget_project(struct db *db)
{
	const char *project = ((struct postgres *)db)->project;

	db_run(db, "DELETE FROM operation WHERE project = $1", DB_TEXT(project));
	db_run(db, "DELETE FROM project_grant WHERE project = $1", DB_TEXT(project));
}
