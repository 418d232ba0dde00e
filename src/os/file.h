/*
 * Whole files, read with a bound and replaced in one step; folders; a lock among processes.
 *
 * What root makes belongs to the owner of the folder that it stands in; what was there keeps its owner.
 */
#ifndef OS_FILE_H
#define OS_FILE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Adds the whole file to `out`, whose maximum is the bound.  NO_SUCH, IO_FAILED, BAD_INPUT (too long), NO_MEMORY, with `why`.
 * What isn't a plain file (a pipe, a folder) is IO_FAILED and not waited for.
 */
enum status file_read(const char *path, struct buf *out, struct buf *why) MUST_CHECK;

/*
 * Replaces `path` by `data`, or makes it: temporary file beside it, sync, rename, sync of the folder, re-read.  A reader sees
 * the old file or the new one, whole.  The mode of a file that was there is kept, else it is `mode` less the umask, which takes nothing from
 * the owner.  A link is
 * followed, so that the file it leads to is replaced and not the link.
 *
 * IO_FAILED with `why`: the old file is as it was.  CONFLICT: re-read, it is not what was written; somebody else wrote too.
 */
enum status file_replace(const char *path, const void *data, size_t len, mode_t mode, struct buf *why) MUST_CHECK;

/* What a file held when it was looked at; `data` NULL = there was none. */
struct file_seen {
	const void *data;
	size_t len;
};

/* The same, but CONFLICT with nothing changed when the file, looked at once more just before the rename, isn't as it was seen. */
enum status file_replace_seen(const char *path, const struct file_seen *seen, const void *data, size_t len, mode_t mode,
                              struct buf *why) MUST_CHECK;

/*
 * Whether file_replace would be let: the folder, or the nearest one upwards that is there, can be written; a file that is
 * there is plain, ours (for root: its folder's owner's) and not marked read-only.  IO_FAILED with `why`.
 */
enum status file_may_replace(const char *path, struct buf *why) MUST_CHECK;

/*
 * Removes what a file_replace of `path` that was killed left beside it.  The caller sees to it that none is at work in that
 * folder.  Best effort.
 */
void file_sweep(const char *path);

/* Removes the file, not what a link leads to, for good.  NO_SUCH, IO_FAILED with `why`. */
enum status file_remove(const char *path, struct buf *why) MUST_CHECK;

/* Writes all of it, or false with errno. */
bool file_write_all(int fd, const char *data, size_t len);

/* Adds `data` in one write(2) at the end; the file must exist.  IO_FAILED with `why`. */
enum status file_append(const char *path, const void *data, size_t len, struct buf *why) MUST_CHECK;

/*
 * Makes the folder (`mode` less the umask, which takes nothing from the owner) if it isn't there; its parent must be.  *made
 * says whether it was; may be NULL.  IO_FAILED with `why`.
 */
enum status file_make_folder(const char *path, mode_t mode, bool *made, struct buf *why) MUST_CHECK;

/*
 * Whether `folder` is a folder, not a link, and holds no link: what somebody planted would be written through.  OK when it isn't
 * there; STORE_DOWN with `why` naming the link.
 */
enum status file_no_links(const char *folder, struct buf *why) MUST_CHECK;

/* Removes the folder with all that is in it; links are removed, not followed.  OK when it isn't there.  IO_FAILED. */
enum status file_remove_folder(const char *path, struct buf *why) MUST_CHECK;

/* When root asks: gives the file or folder to the owner of the folder that it stands in.  IO_FAILED with `why`. */
enum status file_give(const char *path, struct buf *why) MUST_CHECK;

/*
 * Adds what comes from `fd` to `out` up to its maximum; what comes after is read to its end, thrown away and counted in
 * *dropped.  Blocks until the end.  IO_FAILED, NO_MEMORY with `why`.
 */
enum status file_drain(int fd, struct buf *out, uint64_t *dropped, struct buf *why) MUST_CHECK;

/*
 * Whether locks on `path`'s file system are this kernel's own.  STORE_DOWN with `why` naming its type and what to do when
 * they are not (NFS, SMB, 9p, virtiofs, FUSE ...).
 */
enum status file_locks_are_local(const char *path, struct buf *why) MUST_CHECK;

/* The name of a file system whose locks are not this kernel's, by its magic number of statfs(2); NULL for any other. */
const char *file_system_foreign(int64_t magic);

/*
 * Takes the lock file `path` (0600), waiting at most `wait_ms`; *fd holds it until close, or until the process ends.
 * BUSY, NO_SUCH (its folder isn't there), IO_FAILED, with `why`.
 */
enum status file_lock(const char *path, int64_t wait_ms, int *fd, struct buf *why) MUST_CHECK;

#endif
