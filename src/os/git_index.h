/*
 * What we ask of git's index: whether a path is in it.  Versions 2 to 4, as gitformat-index(5) has them.  Pure.
 */
#ifndef OS_GIT_INDEX_H
#define OS_GIT_INDEX_H

#include <stdbool.h>
#include <stddef.h>

#define GIT_INDEX_MAX ((size_t)256 << 20)

/* A git object's name in bytes: SHA-1's, and with extensions.objectFormat = sha256. */
#define GIT_SHA1_SIZE 20
#define GIT_SHA256_SIZE 32

/*
 * Whether `path` (as git writes it, from the worktree's root) is among the entries.  False also for what is no index, and for
 * an entry that git keeps elsewhere (a split index).
 */
bool git_index_has(const void *data, size_t len, size_t id_size, const char *path);

#endif
