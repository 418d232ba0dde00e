/*
 * Edits of JSON as text, in place: every byte that an edit is not about stays as it was, be it white space, the order of keys,
 * a key we don't know or one that stands there twice.  What is put in is laid out as its neighbours are.
 *
 * jsontext_root checks the whole text; the pieces it and the others give are places in exactly that text, so after an edit
 * one begins again from the root of what came out.  Taking out what was just put in gives back the bytes from before.
 *
 * Every function that adds to `out` may fail as a buf does: ask buf_status afterwards.
 */
#ifndef BASE_JSONTEXT_H
#define BASE_JSONTEXT_H

#include "base/buf.h"

#include <stdbool.h>

enum json_kind { JSON_PIECE_OBJECT, JSON_PIECE_ARRAY, JSON_PIECE_STRING, JSON_PIECE_NUMBER, JSON_PIECE_WORD };

/* One value in a text. */
struct json_piece {
	enum json_kind kind;
	size_t from; /* its first byte */
	size_t to;   /* behind its last one */
	size_t key;  /* of a member: the first byte of its key; else as `from` */
};

/*
 * The value that the text is.  A byte order mark may stand before it, white space around it.  BAD_INPUT with `why` naming line
 * and column when it isn't JSON, or nested deeper than 512.
 */
enum status jsontext_root(const char *text, size_t len, struct json_piece *out, struct buf *why) MUST_CHECK;

/* The first child of `in`, or the one after `before`.  False when there is none. */
bool jsontext_child(const char *text, const struct json_piece *in, const struct json_piece *before, struct json_piece *out);

/* The member of `object` with that key, escapes in it read; of several the last, as readers have it.  False when there is none. */
bool jsontext_member(const char *text, const struct json_piece *object, const char *key, struct json_piece *out);

/* Adds what the key or the string stands for, in UTF-8. */
void jsontext_key(const char *text, const struct json_piece *member, struct buf *out);
void jsontext_string(const char *text, const struct json_piece *string, struct buf *out);

/* Whether it is a string that stands for `text_wanted`. */
bool jsontext_is(const char *text, const struct json_piece *piece, const char *wanted);

/*
 * Adds the text with `value`, valid JSON without white space, as the last child of `in`: under `key` (without quotes; in need
 * of no escape) if it is an object.
 */
void jsontext_insert(const char *text, size_t len, const struct json_piece *in, const char *key, const char *value,
                     struct buf *out);

/* Adds the text with `value` in place of `piece`. */
void jsontext_replace(const char *text, size_t len, const struct json_piece *piece, const char *value, struct buf *out);

/* Adds the text without `piece`, which is a child of `in`. */
void jsontext_remove(const char *text, size_t len, const struct json_piece *in, const struct json_piece *piece,
                     struct buf *out);

#endif
