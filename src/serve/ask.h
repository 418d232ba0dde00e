/* How `stile` asks the resident of a store to do in its place what it was called for. */
#ifndef SERVE_ASK_H
#define SERVE_ASK_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#define SERVE_BEGIN_MS 50     /* for a worker to begin; after it the asker does it himself */
#define SERVE_LIMIT_S 60      /* that a worker may take for one request; then it ends */
#define SERVE_ANSWER_MS 75000 /* for the answer of one that has begun */

enum asked {
	ASKED_NOBODY, /* it is still to be done, by us */
	ASKED_DONE,   /* *exit_status is what to end with */
	ASKED_LOST,   /* a worker began and did not answer: it may have been done */
};

/*
 * `folder`: the store's on this machine; `program`: the path of stile-full.  Unless it is ASKED_DONE stdin is as it was, to be read
 * by whoever comes next; more than `max` bytes of it are counted, not kept.  Blocks for stdin, if there is a resident at all, and
 * then for the answer.
 */
enum asked serve_ask(const char *folder, const char *program, int count, char *const *words, int64_t began_boot_ms, size_t max,
                     int *exit_status) MUST_CHECK;

#endif
