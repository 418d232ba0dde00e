/*
 * Tractatus' decision logs, .memory/audit/decisions-YYYY-MM-DD.jsonl: one JSON object a line, only ever appended to.  What comes
 * after what was read before is read; a last line without its newline is left for the next time.
 */
#ifndef LEGACY_TRACTATUS_LOG_H
#define LEGACY_TRACTATUS_LOG_H

#include "base/json.h"
#include "legacy/tractatus_place.h"

#define LOG_BYTES_MAX ((size_t)64 << 20) /* of one file */
#define LOG_LINE_MAX ((size_t)64 << 10)  /* of one decision, as compact JSON */
#define LOG_FILES_MAX 2000

struct tractatus_log {
	char name[40];
	int64_t to;                         /* bytes that are read then */
	char digest[TRACTATUS_DIGEST_SIZE]; /* of them */
	json_t *decisions;                  /* an array of objects: the new ones */
	size_t broken;                      /* new lines that are no JSON object, or too long */
	bool changed;                       /* what was read before is not as it was: nothing of it is read */
};

struct tractatus_logs {
	struct tractatus_log *items;
	size_t count;
};

/*
 * Reads those of `place`, whose `seen` is loaded, that have something new; by name.  BAD_INPUT (too many, too long), IO_FAILED,
 * NO_MEMORY with `why`.  The caller releases *out.
 */
enum status tractatus_logs_read(const struct tractatus_place *place, struct tractatus_logs *out, struct buf *why) MUST_CHECK;
void tractatus_logs_release(struct tractatus_logs *logs);

/* Adds the decisions to the trail and remembers how far each log was read: queued.  NO_MEMORY. */
enum status tractatus_logs_save(struct txn *txn, const struct tractatus_place *place,
                                const struct tractatus_logs *logs) MUST_CHECK;

size_t tractatus_logs_decisions(const struct tractatus_logs *logs);

#endif
