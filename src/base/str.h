/* Small questions about text that come from outside, each answered the same way everywhere. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define ID_MAX 200    /* bytes of an id, ours or anybody's, without the NUL */
#define LABEL_MAX 100 /* of a slot, metric, profile or client name */
#define TEXT_MAX 4096 /* of a path, branch or other free text */

static inline bool
str_equal(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

bool str_starts(const char *text, const char *with);
bool str_ends(const char *text, const char *with);

/* Copies `text` whole into `out` of `size` bytes.  BAD_INPUT, with `out` untouched, when it does not fit. */
enum status str_copy(char *out, size_t size, const char *text) MUST_CHECK;

/* The length of the UTF-8 character at `text`, of which `left` bytes are there; 0 when there is none (RFC 3629). */
size_t str_char(const char *text, size_t left);

/*
 * Whether the character at `text`, valid UTF-8, is a control character, of ASCII or of Unicode (U+0080..U+009F: terminals obey
 * those too), or breaks or turns lines (U+2028..U+202E, U+2066..U+2069).
 */
bool str_is_control(const char *text);

/*
 * Whether `text` can be an id or name: 1..max bytes, no control characters, valid UTF-8.
 * BAD_INPUT with `why` = "<what> ..." naming the limit or the byte.
 */
enum status str_check_id(const char *what, const char *text, size_t max, struct buf *why) MUST_CHECK;

/* The same for free text: empty is allowed. */
enum status str_check_text(const char *what, const char *text, size_t max, struct buf *why) MUST_CHECK;

/* The same for a text of any length and of lines: only what isn't UTF-8, or a byte 0, is refused. */
enum status str_check_long(const char *what, const char *text, size_t len, struct buf *why) MUST_CHECK;

/* "250ms" "30s" "5m" "2h" "7d" -> milliseconds, 0 and up.  BAD_INPUT for anything else. */
enum status str_duration(const char *text, int64_t *ms) MUST_CHECK;

/* A whole decimal number in min..max.  BAD_INPUT for anything else. */
enum status str_integer(const char *text, int64_t min, int64_t max, int64_t *out) MUST_CHECK;

/* A finite decimal number.  BAD_INPUT for anything else. */
enum status str_number(const char *text, double *out) MUST_CHECK;

/* Copies what fits of a text for people, up to the end of a character, as one line: control characters become spaces. */
void str_one_line(char *out, size_t size, const char *text);

/* A duration for people: "850 ms", "12 s", "5 min", "3 h", "2 d". */
void str_ago(char *out, size_t size, int64_t ms);

/* An instant for people, UTC: "2026-11-20T10:52:03Z". */
void str_instant(char *out, size_t size, int64_t ms);

/* The other way, with a fraction or without: ms, 0 for anything else. */
int64_t str_instant_ms(const char *text);

/* In single quotes, as a POSIX shell reads it back to the same bytes. */
void str_shell_quote(struct buf *out, const char *text);

#endif
