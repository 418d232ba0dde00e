/*
 * A place is a folder `.claude` that holds Tractatus' files: where it is, and what the store remembers of it.  Rows of a place
 * change only under its lock (tractatus_lock), so what was read under it still holds in a later transaction.
 */
#ifndef LEGACY_TRACTATUS_PLACE_H
#define LEGACY_TRACTATUS_PLACE_H

#include "core/engine.h"
#include "legacy/tractatus_history.h"
#include "os/gate.h"
#include "os/paths.h"

#define TRACTATUS_HISTORY "instruction-history.json"
#define TRACTATUS_STATE "session-state.json"
#define TRACTATUS_CHECKPOINTS "token-checkpoints.json"
#define TRACTATUS_BASES 8 /* kept of each place: so many that we wrote, and so many that were taken in */
#define TRACTATUS_DIGEST_SIZE 17
#define TRACTATUS_WAIT_MS 250 /* for another program that is writing a file */

struct tractatus_base {
	int64_t seq;
	int64_t epoch;
	bool ours; /* we wrote it */
	const char *text;
	size_t len;
};

struct tractatus_place {
	char folder[PATH_SIZE]; /* the .claude, links resolved */
	char root[PATH_SIZE];   /* that it stands in */
	char id[ID_SIZE];       /* "" = the store doesn't know it yet */
	bool continuous;
	struct tractatus_base bases[TRACTATUS_BASES * 2]; /* newest first */
	size_t base_count;
	struct db_rows rows; /* that their texts belong to */
	json_t *seen;        /* {"name":{"number","text"}}; NULL until it is loaded */
};

/*
 * Finds the folder that `path` means: itself if it is called .claude, else the one in it.  Fills folder and root alone.  NO_SUCH
 * with `why`: there is neither.  With `make` it needn't be there yet; IO_FAILED when it is a link.
 */
enum status tractatus_find(const char *path, bool make, struct tractatus_place *out, struct buf *why) MUST_CHECK;

/* What the store remembers of place->folder, inside a transaction.  One round trip.  The caller releases it. */
enum status tractatus_place_load(struct txn *txn, struct tractatus_place *place, struct buf *why) MUST_CHECK;
void tractatus_place_release(struct tractatus_place *place);

/* Fills place->seen: how far its other files were taken in, and what a rollback retired.  One round trip. */
enum status tractatus_seen_load(struct txn *txn, struct tractatus_place *place, struct buf *why) MUST_CHECK;
void tractatus_seen_save(struct txn *txn, const struct tractatus_place *place, const char *name, int64_t number,
                         const char *text); /* queued */

/* Tells bytes that were taken in before from others; no proof against who wants them to be taken for the same. */
void tractatus_digest(const char *bytes, size_t len, char out[TRACTATUS_DIGEST_SIZE]);

/* Gives it an id if it has none, and writes its row: queued. */
enum status tractatus_place_save(struct txn *txn, struct tractatus_place *place, struct buf *why) MUST_CHECK;

/* The number that the next base gets. */
int64_t tractatus_next_base(const struct tractatus_place *place);

/* `text` is what file and store agree on from now on; the oldest that are too many are forgotten.  Queued. */
void tractatus_base_add(struct txn *txn, const struct tractatus_place *place, int64_t epoch, bool ours, const char *import,
                        const char *text);

/* Whether these bytes are one of its bases. */
bool tractatus_is_base(const struct tractatus_place *place, const struct buf *text);

/*
 * The base that an edit began from: what we wrote at the epoch that it names, else the one nearest to it.  *base is NULL when
 * there is none, else the caller's.  *whole says whether what isn't in `edit` was taken out of it.
 *
 * Without a name of ours nobody can tell an entry that was taken out from one that the writer never saw: what isn't in every base
 * is then left out of *base.
 */
enum status tractatus_base_of(const struct tractatus_place *place, const struct history *edit, json_t **base, bool *whole,
                              struct buf *why) MUST_CHECK;

/* The continuous ones of the project, by folder: paths in a JSON array.  One round trip. */
enum status tractatus_continuous(struct txn *txn, json_t *folders, struct buf *why) MUST_CHECK;

/*
 * The lock of everything that reads or writes Tractatus' files for one store: a gate of its own (os/gate.h) in the store's folder
 * `tractatus`, which is made.  Taken before the write gate, never inside it.  STORE_DOWN, BUSY, IO_FAILED with `why`.
 */
enum status tractatus_lock(const char *store_folder, int64_t wait_ms, struct gate *lock, struct buf *why) MUST_CHECK;
void tractatus_unlock(struct gate *lock);

#endif
