/*
 * A codebase to work on: a scratch folder with a store in it, reached as people reach it (the real `stile`, built beside this
 * test) and as a resident does (stile.h).
 *
 * What fails here is the test's surroundings, not what it tests: it is told on stderr and the program aborts.
 */
#ifndef LIB_CODEBASE_H
#define LIB_CODEBASE_H

#include "base/id.h"
#include "base/json.h"
#include "db/db.h"
#include "lib/scratch.h"
#include "stile.h"

#define CODEBASE_LIMIT_MS 60000 /* that one command may take */

struct codebase {
	char *folder;
	char *store; /* folder/.stile, in which stile.db and gate are */
	char *file;  /* the database */
	char *program;
	/* for the programs that are run next */
	const char *env[4]; /* "NAME=value"; the first NULL ends it */
	const char *input;  /* on stdin; NULL = none */
};

void codebase_make(struct codebase *codebase);
void codebase_remove(struct codebase *codebase);

/* A codebase without a store. */
void codebase_make_bare(struct codebase *codebase);

/* The settings of whoever runs programs and residents from now on. */
void codebase_configure(const struct codebase *codebase, const char *text);

struct said {
	int status; /* as scratch_wait tells it */
	char out[32768];
	char err[4096];
};

/* Runs `stile WORD...` in the codebase's folder. */
#define codebase_run(codebase, said, ...) codebase_run_words((codebase), (said), (const char *const[]){__VA_ARGS__, NULL})
void codebase_run_words(const struct codebase *codebase, struct said *said, const char *const *words);

struct running {
	struct scratch_child child;
	int out;
	int err;
};

/* The same in two steps. */
void codebase_start(const struct codebase *codebase, struct running *running, const char *const *words);
void codebase_finish(struct running *running, struct said *said);

/* The last program's document; the caller owns it.  NULL when it said none. */
json_t *said_document(const struct said *said);

/* Whether it failed as documented: this status, nothing on stdout, one line on stderr that begins with "stile: ". */
bool said_one_line(const struct said *said, int status);

/* A resident's own connection. */
struct stile *codebase_resident(const struct codebase *codebase);

/*
 * One verb, its parameters as JSON by printf's rules.  *document (may be NULL) is the caller's.  No assertion is in here, so
 * that children may use it.
 */
enum stile_status resident_call(struct stile *resident, json_t **document, const char *verb, const char *format, ...)
	PRINTF_LIKE(4, 5);

/* Starts a session; its id, "" if it failed. */
void resident_start(struct stile *resident, const char *client_session, char id[ID_SIZE]);

/* What the rows say, over a connection of its own. */
#define codebase_number(codebase, sql, ...) codebase_number_of((codebase), (sql), DB_ARGS(__VA_ARGS__))
int64_t codebase_number_of(const struct codebase *codebase, const char *sql, const struct db_value *args, size_t count);

/* Whether the store finds itself whole. */
bool codebase_is_whole(const struct codebase *codebase);

/* STILE_SHARE: all of a long test, or the part of it that every `make check` runs. */
bool share_is_full(void);

#endif
