/*
 * The known collisions of agent sessions, each as a race that is really run: N processes change one thing at the same
 * instant, first as the systems do that had the accident (unguarded), then through Stile on a store of its own (guarded).
 * What is there afterwards is compared with what must be there, and from that alone comes the verdict.
 *
 * All of it happens in a scratch folder (0700, in $TMPDIR or /tmp) that is gone at the end; no other file is touched.
 * On a server it happens in projects of a name that nobody else has, which are gone too.
 */
#ifndef DIAGNOSE_DIAGNOSE_H
#define DIAGNOSE_DIAGNOSE_H

#include "diagnose/trial.h"

enum verdict {
	VERDICT_SAFE,             /* all that was written is there, and nothing else */
	VERDICT_LAST_WRITER_WINS, /* something that was written is gone: another wrote over it */
	VERDICT_TORN,             /* what is there can't be read: it is pieces of several writes */
	VERDICT_CORRUPT,          /* there is something that nobody wrote */
	VERDICT_INCONCLUSIVE,     /* not every writer did its part, or nobody could look: nothing can be said */
};

const char *verdict_name(enum verdict verdict);
enum verdict diagnose_verdict(const struct finding *finding);

/* The n-th target, NULL past the last; by its name, in which `_` may stand for `-`, NULL when there is none. */
const struct target *diagnose_nth(size_t n);
const struct target *diagnose_find(const char *name);

struct diagnose_ask {
	const struct target *const *targets;
	size_t count;
	unsigned writers; /* 2..TRIAL_WRITERS_MAX */
	int64_t limit_ms; /* for the writers of one trial: those that are late are killed */
	diagnose_open_store *open_store;
	const struct store_address *store; /* a server's, where the guarded half is tried; NULL: a store in the scratch folder */
};
#define DIAGNOSE_LIMIT_MS 30000

/* One line of the table. */
struct diagnosis {
	const struct target *target;
	bool guarded;
	unsigned writers;
	char expected[TRIAL_TEXT];
	char found[TRIAL_TEXT];
	enum verdict verdict;
};

/*
 * Runs every target, unguarded and then guarded: two rows each.  A trial that fails by itself is INCONCLUSIVE; IO_FAILED,
 * STORE_DOWN, NO_MEMORY with `why` when there is nothing to try it on.  Forks; may take limit_ms per row.  A signal that
 * asks this process to end is held back until the folder is removed.
 */
enum status diagnose_run(const struct diagnose_ask *ask, struct diagnosis *rows, struct buf *why) MUST_CHECK;

/* Whether it is as it should be: every unguarded row lost something and every guarded one is SAFE.  `why` names the first. */
bool diagnose_proves(const struct diagnosis *rows, size_t count, struct buf *why);

/* A resource that is known to be shared by sessions of such systems, and how it stands with Stile as it is today. */
struct resource {
	const char *id; /* of the seed that names it */
	const char *name;
	const char *state;  /* applied: Stile holds it; verified: it is safe as it is; deferred: not yet */
	const char *target; /* of diagnose that shows it, "" = none */
	const char *reason; /* how; or why not yet */
};

/* The n-th, NULL past the last. */
const struct resource *diagnose_resource(size_t n);

#endif
