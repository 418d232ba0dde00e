/*
 * Our hooks in Claude Code's settings (settings.json and its kin), put in and taken out as text: what isn't ours stays to the
 * byte.  Pure.
 *
 * An entry is ours if its program is named stile, or stile-..., and its arguments are exactly "hook" "claude".
 *
 * Wherever `text` is read: BAD_INPUT with `why` when it isn't JSON, or the settings, `hooks` or an event in it isn't of the
 * type that the client wants; NO_MEMORY.  `out` is made here and, whatever came of it, released
 * by the caller.
 */
#ifndef CLIENTS_CLAUDE_SETTINGS_H
#define CLIENTS_CLAUDE_SETTINGS_H

#include "base/buf.h"

#include <stdbool.h>

#define CLAUDE_SETTINGS_MAX ((size_t)4 << 20)

/* The name of the n-th event that we listen to, NULL past the last. */
const char *claude_settings_event(size_t n);

/*
 * The text with one entry of ours for each event, which calls `program`, an absolute path.  A blank text becomes a whole one.
 * An entry with another program is changed in its place; one too many, or of an event that we no longer want, is taken out.
 * So doing it again changes nothing.  BAD_INPUT also for a program whose entries we would not know again.
 */
enum status claude_settings_install(const char *text, size_t len, const char *program, struct buf *out,
                                    struct buf *why) MUST_CHECK;

/*
 * The text without our entries, and without what is empty then unless `before`, the text as it was before ours came, had it
 * too; NULL when that is not known.
 */
enum status claude_settings_remove(const char *text, size_t len, const struct buf *before, struct buf *out,
                                   struct buf *why) MUST_CHECK;

/* The program of our entry for `event`.  NO_SUCH when there is none. */
enum status claude_settings_find(const char *text, size_t len, const char *event, struct buf *program,
                                 struct buf *why) MUST_CHECK;

/* Whether all hooks, ours too, are switched off (`disableAllHooks`).  False for a text that can't be read. */
bool claude_settings_disabled(const char *text, size_t len);

/* Whether it is an object without members. */
bool claude_settings_empty(const char *text, size_t len);

#endif
