/*
 * What follows a change: where a folder is exported continuously, its files are brought up to date after the commit.  The change
 * stands whatever becomes of that; a failure is told beside its answer, and by `doctor`.
 */
#ifndef VERBS_MIRROR_H
#define VERBS_MIRROR_H

#include "verbs/verb.h"

/*
 * The instructions may have changed.  Adds to `result` (may be NULL) what a person must know: "export_failed", one line;
 * "export_notes"; "export_taken", the edits of the files that were taken in.  The store is open.
 */
void mirror_instructions(struct context *context, json_t *result);

/* A session's turn is over: its own files too. */
void mirror_turn(struct context *context, const char *session);

/* Tells what is to be known of each exported folder: `told` is called with its state (0 well, 1 worth a note) and a line. */
typedef void mirror_told(void *arg, int state, const char *line);
enum status mirror_findings(struct context *context, mirror_told *told, void *arg, struct buf *why) MUST_CHECK;

#endif
