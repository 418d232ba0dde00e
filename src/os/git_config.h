/*
 * What we ask of git's configuration: one value, without includes, and a remote's address in a form that is the same for
 * every way to write it.  Pure.
 */
#ifndef OS_GIT_CONFIG_H
#define OS_GIT_CONFIG_H

#include "base/buf.h"

#include <stdbool.h>

/*
 * The last value of [section "subsection"] key in `text`, with quotes, escapes and comments taken out.  `subsection` NULL for
 * a section without one.  A key without `=` is "true".  False, with `out` untouched, when there is none that fits `size`.
 */
bool git_config_get(const char *text, const char *section, const char *subsection, const char *key, char *out, size_t size);

/*
 * host/path: without scheme, user, the scheme's own port, a final slash and .git; the host in lower case.  An address that is
 * a path stays one.  BAD_INPUT when it does not fit, or nothing is left.
 */
enum status git_url_normalise(const char *url, char *out, size_t size) MUST_CHECK;

#endif
