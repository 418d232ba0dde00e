/*
 * One trial: a thing, N writer processes that change it at the same instant, and a look at what is there afterwards.
 *
 * A target says how: prepare the thing, one writer's change (read, trial_meet, write), and the look.  Unguarded these are
 * plain functions on files of the trial's folder.  Guarded each is one rule, run in one transaction (`race->txn`) of a store
 * of the trial's own, or in a project of its own: of the writers one can be inside, so their meeting ends by its limit, and each
 * goes on alone.  A change that is more than one rule (`apart`) runs its own transactions, on
 * `race->engine` or by trial_rule.
 *
 * To add a target: a file here with a `struct target`, and its row in diagnose.c.
 */
#ifndef DIAGNOSE_TRIAL_H
#define DIAGNOSE_TRIAL_H

#include "core/binding.h"
#include "diagnose/barrier.h"
#include "os/paths.h"

#define TRIAL_WRITERS_MAX 64
#define TRIAL_TEXT 160 /* of what a row of the table says */

/* Opens a store as main.c does, which alone knows the engines. */
typedef enum status diagnose_open_store(const struct store_address *address, bool make, struct db **out, struct buf *why);

/* What one writer leaves behind, in memory that all share. */
struct writer {
	unsigned number; /* from 0 */
	bool done;       /* it came to its end with `status` */
	enum status status;
	int64_t seen; /* a number that it read before it wrote */
	char id[ID_MAX + 1];
	char why[TRIAL_TEXT];
};

struct trial_shared {
	struct barrier ready;   /* all are there and have what they need */
	struct barrier between; /* after their read, before their write */
	struct barrier pair;    /* the first two that are inside of something at once */
	unsigned inside, peak;  /* how many are, and were at most; guarded by the compiler's atomics */
	struct writer writers[TRIAL_WRITERS_MAX];
};

struct trial {
	unsigned writers;
	bool guarded;
	int64_t limit_ms;
	int64_t began_ms;       /* by the wall clock: one instant for all writers */
	char folder[PATH_SIZE]; /* its own */
	diagnose_open_store *open_store;
	const struct store_address
		*store; /* guarded: a server's, and a project of the trial's own in it; NULL: a store in `folder` */
	struct trial_shared *shared;
	char expected[TRIAL_TEXT]; /* filled by prepare */
};

/* What a look found, counted: the verdict comes from this alone. */
struct finding {
	int64_t wanted;  /* how many things are there when nothing is lost */
	int64_t kept;    /* how many of them are */
	bool unreadable; /* it can't be read as what it is */
	bool strange;    /* there is something that nobody wrote */
	bool unfinished; /* not every writer did its part, or the look failed */
	char found[TRIAL_TEXT];
};

/* What a step of a target is given. */
struct race {
	struct trial *trial;
	struct txn *txn;         /* guarded only, and not of a writer that is apart */
	struct engine *engine;   /* of such a one only */
	struct writer *self;     /* of a writer only */
	struct finding *finding; /* of a look only */
};

typedef enum status race_step(struct race *race, struct buf *why);

struct racer {
	race_step *prepare;
	race_step *write;
	race_step *look;   /* BAD_INPUT: what is there can't be read */
	bool apart;        /* write runs its own transactions */
	race_step *victim; /* done before them by a process that is then killed; NULL = none */
};

struct target {
	const char *name;
	struct racer unguarded;
	struct racer guarded;
};

/*
 * Runs it in trial->folder, which is made, or in the project trial->store->project, which is gone afterwards, and fills *out.  What goes wrong among the writers or in the look is `unfinished`.
 * Statuses other than OK: nothing could be prepared.
 */
enum status trial_run(struct trial *trial, const struct racer *racer, struct finding *out, struct buf *why) MUST_CHECK;

/* For a writer between its read and its write.  BUSY when unguarded ones don't all come: then nothing is shown. */
enum status trial_meet(struct race *race, struct buf *why) MUST_CHECK;

/* Runs a step of a long writer as a rule. */
enum status trial_rule(struct race *race, race_step *step, struct buf *why) MUST_CHECK;

/* The session of that name, made if need be; the transaction is its from here on. */
enum status trial_session(struct race *race, const char *name, enum arrival arrival, struct session *out,
                          struct buf *why) MUST_CHECK;
/* The same for the writer's own. */
enum status trial_own_session(struct race *race, enum arrival arrival, struct session *out, struct buf *why) MUST_CHECK;

/*
 * A JSON file as those systems read and write it: whole, without a lock, cut to nothing before it is written.  *out is the
 * caller's.  NO_SUCH, BAD_INPUT, IO_FAILED.
 */
enum status trial_read_file(const struct race *race, const char *name, json_t **out, struct buf *why) MUST_CHECK;
enum status trial_write_file(const struct race *race, const char *name, const json_t *value, struct buf *why) MUST_CHECK;

/*
 * The text of a file, added to `out`; and lines at its end as shells write them, in pieces of `piece` bytes, after the first of which others
 * are met if there are more.  NO_SUCH, IO_FAILED.
 */
enum status trial_read_text(const struct race *race, const char *name, struct buf *out, struct buf *why) MUST_CHECK;
enum status trial_append_file(struct race *race, const char *name, const char *data, size_t len, size_t piece,
                              struct buf *why) MUST_CHECK;

/* A look at what only one may do, and `may` did: so many were told wrongly that they may. */
void trial_one_may(struct race *race, unsigned may, const char *did);

/* How many different ids, or numbers seen, the writers left. */
unsigned trial_distinct_ids(const struct trial *trial);
unsigned trial_distinct_seen(const struct trial *trial);

#endif
