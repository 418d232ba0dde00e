/*
 * One change of one file in halves, for a change that a fence protects: all that takes time is done before and after, and the
 * change itself is one call between two looks at nothing else.
 *
 *	file_change_replace(&change, ...)     or _create, _append: the content is beside the file and on disk, or the file is open
 *	file_change_make(&change)             one rename(2), link(2) or write(2)
 *	file_change_settle(&change)           it is on disk
 *	file_change_release(&change)          in any case: what was prepared and not made is gone
 *
 * Links are followed: what they lead to is changed.  Refused with one line (IO_FAILED): a folder or other thing that is no plain
 * file, another user's, one marked read-only, and one on a file system that isn't this kernel's own.
 */
#ifndef OS_FILE_CHANGE_H
#define OS_FILE_CHANGE_H

#include "os/file_parts.h"

enum file_change_kind { FILE_REPLACES, FILE_CREATES, FILE_APPENDS };

struct file_change {
	enum file_change_kind kind;
	struct file_target target;
	const char *data; /* the caller's */
	size_t len;
	int fd; /* of the file that is appended to, else -1 */
	bool prepared, made;
	bool there; /* what is there is not what was looked at: somebody else has made or replaced it */
	bool torn;  /* appended to: its last line was not whole, and is closed */
};

/* It will hold `data`, or be made with `mode` less the umask. */
enum status file_change_replace(struct file_change *change, const char *path, const void *data, size_t len, mode_t mode,
                                struct buf *why) MUST_CHECK;

/* The same, but it is made by one only: who comes later finds change->there. */
enum status file_change_create(struct file_change *change, const char *path, const void *data, size_t len, mode_t mode,
                               struct buf *why) MUST_CHECK;

/*
 * `data`, which is lines, each with its end, will stand at its end; one whose writer died in the middle is closed first, so that
 * it spoils no other.  The file is made if it isn't there.
 */
enum status file_change_append(struct file_change *change, const char *path, const void *data, size_t len, mode_t mode,
                               struct buf *why) MUST_CHECK;

/*
 * Does it.  CONFLICT with change->there: another file is there now than the one to be appended to; nothing was done, prepare
 * it anew.
 * One that was to be created and is there is OK: what it holds is looked at by file_change_settle.
 * IO_FAILED with `why`: nothing was done, or, where `why` says so, a part of the line.
 */
enum status file_change_make(struct file_change *change, struct buf *why) MUST_CHECK;

/* CONFLICT with `why` when somebody created it with another content.  IO_FAILED: done, but maybe not on disk. */
enum status file_change_settle(struct file_change *change, struct buf *why) MUST_CHECK;

void file_change_release(struct file_change *change);

#endif
