/*
 * A growing run of bytes with a mandatory maximum.
 *
 * Failure is sticky: after the first add that would pass the maximum (BAD_INPUT) or finds no memory (NO_MEMORY) every later
 * add does nothing, and buf_status tells which it was.  So a text is put together without looking at each step, and looked
 * at once.  `data` is always NUL-terminated after the first add; before it, it is "" .
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/status.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t max;
	enum status failed;
};

/* Longest message for a person: one line. */
#define WHY_MAX 1024

void buf_init(struct buf *buf, size_t max); /* allocates nothing */
void buf_release(struct buf *buf);          /* frees what is inside */
void buf_clear(struct buf *buf);            /* as new, the maximum kept */
enum status buf_status(const struct buf *buf) MUST_CHECK;

void buf_add(struct buf *buf, const void *data, size_t len);
void buf_text(struct buf *buf, const char *text);
void buf_whole(struct buf *buf, int64_t value); /* in decimal */
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *buf, const char *format, va_list args) PRINTF_LIKE(2, 0);

/* Room for `len` more bytes at the end, or NULL as for a failed add; buf_grew says how many were used. */
char *buf_room(struct buf *buf, size_t len);
void buf_grew(struct buf *buf, size_t len);

/*
 * Sets the one-line reason for an outcome and returns that outcome, so that a function can end with
 * `return why_not(why, BAD_INPUT, "...")`.  What `why` held before is replaced; a reason too long is cut, being for people.
 * `why` may be NULL.
 */
enum status why_not(struct buf *why, enum status status, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
