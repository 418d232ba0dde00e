/*
 * Files that other systems keep as a hash chain: JSON objects, one a line, of which each has in one of its fields the digest of
 * the line before (SHA-256, 64 hexadecimal digits).  They are only read.
 *
 * The digest is of the line's bytes, with or without its newline: `printf %s "$line" | sha256sum` and `tail -n 1 | sha256sum`.  With a field
 * of its own for it, it is of the line as it was before that member was put in, and stands there for the next line to have.
 *
 * Such a file proves nothing of its own last line, nor that no more followed: for that somebody must have kept its digest (`head`).
 */
#ifndef LEGACY_PREV_HASH_H
#define LEGACY_PREV_HASH_H

#include "base/buf.h"
#include "base/digest.h"

#include <stdint.h>

#define PREV_HASH_LINE_MAX ((size_t)16 << 20)

struct prev_hash_ask {
	const char *path;
	const char *prev_field; /* has the digest of the line before */
	const char *hash_field; /* has its own; NULL = none does */
	const char *after;      /* what the first line has there, where earlier ones were moved away; NULL: it begins the chain */
	const char *head;       /* the digest of a line that must be there; NULL = none */
};

struct prev_hash_found {
	int64_t lines;          /* that are as they must be, from the first on */
	char head[DIGEST_SIZE]; /* the last one's digest, without its newline; "" = there is none */
	int64_t bad;            /* the first that is not, 0 = all are */
	const char
		*wrong; /* how: "changed", "missing", "changed or missing", "reordered", "forked", "cut off", "torn", "unlinked" */
};

/*
 * Reads the file, a second time if something is wrong.  CONFLICT with `why` telling it; *out is filled then too.  NO_SUCH, IO_FAILED,
 * NO_MEMORY, BAD_INPUT (a line longer than PREV_HASH_LINE_MAX).
 */
enum status prev_hash_verify(const struct prev_hash_ask *ask, struct prev_hash_found *out, struct buf *why) MUST_CHECK;

#endif
