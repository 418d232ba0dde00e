/* The PostgreSQL engine's tables: made and brought up to date, closed to whom a project isn't granted, and opened to whom it is. */
#ifndef DB_POSTGRES_RIGHTS_H
#define DB_POSTGRES_RIGHTS_H

#include "db/postgres_store.h"

/*
 * Makes the tables if there are none and `make`, and brings them to our schema: its owner alone can.  With `make` the owner is
 * granted the project.  STORE_DOWN, BUSY; NO_SUCH when `make` and the project isn't ours.
 */
enum status postgres_migrate(struct postgres *store, bool make, struct buf *why) MUST_CHECK;

/* The number of the schema that this program makes. */
int64_t postgres_newest(void);

/* STORE_DOWN unless this program knows the schema `number`.  *older: it must be brought up to date first. */
enum status postgres_known(const struct postgres *store, int64_t number, bool *older, struct buf *why) MUST_CHECK;

/*
 * Runs `job` in one transaction under an advisory lock, so that one at a time changes tables or rights, and outside pipeline mode.
 * What the job returns, or STORE_DOWN, BUSY, OUTCOME_UNKNOWN.
 */
typedef enum status postgres_job(struct postgres *store, void *arg, struct buf *why);
enum status postgres_alone(struct postgres *store, postgres_job *job, void *arg, struct buf *why) MUST_CHECK;

/* For jobs.  Statuses as postgres_why. */
enum status postgres_do(struct postgres *store, const char *sql, struct buf *why) MUST_CHECK;
enum status postgres_look(struct postgres *store, const char *sql, const char *const *texts, int count, PGresult **out,
                          struct buf *why) MUST_CHECK;
/* The first column of the first row as a number; `none` when there is no row or it is NULL. */
enum status postgres_number(struct postgres *store, const char *sql, const char *const *texts, int count, int64_t none,
                            int64_t *out, struct buf *why) MUST_CHECK;

/*
 * Jobs' parts: closes all tables with a project to whom it isn't granted; before a migration opens them to their owner, as whom
 * the job goes on until they are closed again.
 */
enum status postgres_guard(struct postgres *store, struct buf *why) MUST_CHECK;
enum status postgres_unguard(struct postgres *store, struct buf *why) MUST_CHECK;

/* Gives those who have a grant the rights on tables that it takes. */
enum status postgres_give_rights(struct postgres *store, struct buf *why) MUST_CHECK;

/* Whether we are the owner of the tables; false when there are none. */
enum status postgres_owns(struct postgres *store, bool *out, struct buf *why) MUST_CHECK;

/* A job's part: an owner is granted the project.  NO_SUCH when we are no owner and it isn't ours. */
enum status postgres_claim(struct postgres *store, struct buf *why) MUST_CHECK;

/* The tables that hold projects' things, `c`: those beside our own `store` that have a project, but for the list of grants. */
#define POSTGRES_TABLES \
	"FROM pg_class s JOIN pg_class c ON c.relnamespace = s.relnamespace AND c.relowner = s.relowner AND" \
	" c.relkind IN ('r', 'p') AND c.relname <> 'project_grant' JOIN pg_attribute a ON a.attrelid = c.oid AND" \
	" a.attname = 'project' AND NOT a.attisdropped WHERE s.oid = to_regclass('store')"

/* Whether the project $1 is ours, 1 or 0. */
#define POSTGRES_GRANTED \
	"(NOT row_security_active('project') OR EXISTS (SELECT 1 FROM project_grant g WHERE g.project = $1 AND" \
	" pg_has_role(g.role, 'USAGE')))::int"

/* NO_SUCH, in the same words whether the project is somebody else's or nobody's. */
enum status postgres_no_project(const struct postgres *store, struct buf *why);

/* For struct db_ops. */
enum status postgres_grant(struct db *db, const struct db_grant *ask, struct db_rows *out, struct buf *why) MUST_CHECK;

#endif
