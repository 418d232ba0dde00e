/* What a command that was run told: an id, found in what it printed or written to a file, and its answer. */
#ifndef VERBS_COMMAND_REPLY_H
#define VERBS_COMMAND_REPLY_H

#include "clients/reply.h"

#define COMMAND_OUTPUT_MAX ((size_t)64 << 20) /* searched for the id */
#define COMMAND_ERRORS_MAX ((size_t)1 << 20)
#define COMMAND_REST_MS 2000 /* for what it left running to stop printing */

/*
 * Reads `printed`, and the id from `id_file` instead if that isn't NULL: a failure of that is the status, with no id.  The caller
 * releases reply->text in any case.
 */
enum status command_reply(struct buf *printed, const char *id_file, size_t text_max, struct reply *reply,
                          struct buf *why) MUST_CHECK;

#endif
