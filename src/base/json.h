/*
 * JSON by jansson, within a budget of memory, and the questions we ask of a parsed document.
 *
 * Getters never fail: a member that is absent or of another type gives the default.  Where a wrong type must be refused, the
 * caller asks json_typeof.  Texts belong to the document.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* What parsing one document may allocate: an event over it is dropped, never fatal. */
#define JSON_BUDGET ((size_t)64 << 20)

/*
 * Gives jansson an allocator that keeps the budget.  A program that reads what strangers send calls it first of all; a library
 * must not, since the allocator is the whole process's.  Without it there is no budget.
 */
void json_begin(void);

/*
 * Parses one whole document.  Nested deeper than 2048, malformed, or not UTF-8: BAD_INPUT.  Past JSON_BUDGET, or out of memory: NO_MEMORY.
 * `why` says what is wrong and where.  A lone surrogate escape, which Node's JSON.stringify writes when a text was cut in
 * mid-character, is read as U+FFFD; `text` may be changed for that.  If one whole number needs more than 64 bits, all of the
 * document are reals.  The caller owns *out (json_decref).
 */
enum status json_parse(char *text, size_t len, json_t **out, struct buf *why) MUST_CHECK;

/*
 * Whether `text` is one whole JSON object and nothing else, as json_parse would find, at a tenth of its cost.  Numbers of any
 * size count as whole.
 */
bool json_is_whole_object(const char *text, size_t len) MUST_CHECK;

const char *json_text(const json_t *object, const char *key, const char *otherwise);
int64_t json_whole(const json_t *object, const char *key, int64_t otherwise); /* a real is cut to its whole part */
double json_real_of(const json_t *object, const char *key, double otherwise);
bool json_truth(const json_t *object, const char *key);

/* Whether an allocation for JSON has failed in this thread since it was last asked; a document made meanwhile may lack parts. */
bool json_starved(void);

/* Adds the compact text of `value`, on one line, keys in the order they were set. */
void json_write(struct buf *out, const json_t *value);

/* Adds `text`, valid UTF-8, as a JSON text with its quotes. */
void json_write_text(struct buf *out, const char *text);
void json_write_bytes(struct buf *out, const char *text, size_t len); /* which may have a NUL in it */

/* A text for people, of bytes that may be none (a path, a branch): what isn't UTF-8 becomes '?'.  NULL without memory. */
json_t *json_lossy(const char *text, size_t len);

/* A number as JSON: whole if it is whole. */
json_t *json_number(double value);

#endif
