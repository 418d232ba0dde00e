/*
 * `stile hook CLIENT`: one event of an agent's client on stdin, the client's answer on stdout.  Ends with 0, 1 (our failure,
 * bad input and usage included) or 2 (blocked) and nothing else, since clients read other statuses as they please.
 */
#ifndef HOOK_HOOK_H
#define HOOK_HOOK_H

#include "clients/client.h"
#include "verbs/event.h"
#include "verbs/exclusive.h"

#define EVENT_BYTES_MAX ((size_t)16 << 20)

/* `began_boot_ms` is when this process began, by clock_boot_ms. */
int hook_run(struct context *context, const char *client_name, int64_t began_boot_ms);

/* `stile statusline`: one line that says how it stands, also when the store can't be used. */
int statusline_run(struct context *context, int64_t began_boot_ms);

/* Reads one payload from stdin into `event`: BAD_INPUT, NO_MEMORY with `why`.  `status_line` tells which kind. */
enum status hook_read(const struct client *client, bool status_line, struct event *event, struct buf *why) MUST_CHECK;

/* Where the event happened: the codebase (into context), and the worktree it works in.  Statuses as context_find. */
enum status hook_place(struct context *context, const struct client *client, struct event *event, struct buf *why) MUST_CHECK;

/* Reads on in the transcripts: fills event->looks.  What can't be read is left for the next event. */
void hook_look(struct context *context, const struct client *client, struct event *event);

/* Once per session for each `what` (a mark in $XDG_RUNTIME_DIR/stile): true the first time. */
bool hook_first_time(const struct event *event, const char *what);

#endif
