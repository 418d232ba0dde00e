/*
 * What a file's own lock is called: file/<clone>/<worktree>/<path inside it>, links resolved.  Two clones or two worktrees never
 * deny one another.
 *
 *   clone     a random id, made once beside the store, and which of the clones that share that folder
 *   worktree  git's name for it; "." for the main one; "-" for a file that is in none of this codebase, whose path is then whole
 *
 * A path that is too long for a name, or no text, stands in it by a number made from it.
 */
#ifndef VERBS_FILE_PLACE_H
#define VERBS_FILE_PLACE_H

#include "verbs/verb.h"

/* IO_FAILED with `why` when its folder isn't there, or the clone's id can't be made or read. */
enum status file_resource(const struct context *context, const char *path, char out[RESOURCE_MAX + 1],
                          struct buf *why) MUST_CHECK;

#endif
