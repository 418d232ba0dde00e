/*
 * Files that others write too, by programs that know nothing of us: read only when they stand still, and replaced so that
 * what stood there is not lost but handed over.  No link is followed in writing.
 */
#ifndef OS_SWAP_H
#define OS_SWAP_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A file as stat(2) tells it: what has another look has been touched. */
struct swap_look {
	uint64_t device;
	uint64_t inode; /* 0 = there is no file */
	int64_t size;
	int64_t modified_ns;
};

/* How it looks now; all 0 when it isn't there.  IO_FAILED with `why`, also for what isn't a plain file. */
enum status swap_look(const char *path, struct swap_look *out, struct buf *why) MUST_CHECK;
bool swap_same_look(const struct swap_look *a, const struct swap_look *b);

/*
 * Adds the file to `out`, whose maximum is the bound, as it was at one moment: it looks the same before and after, and no other
 * process has it open for writing, or opens it so meanwhile: that waits for us.  One that has it open is waited for, at most
 * `wait_ms` in all.  Of a file that is another user's only root can tell who writes it.  *look may be NULL.
 *
 * NO_SUCH   it isn't there
 * BUSY      it changes all the time, or stays open for writing; nothing is in `out`
 * BAD_INPUT (too long), IO_FAILED, NO_MEMORY with `why`
 */
enum status swap_read(const char *path, int64_t wait_ms, struct buf *out, struct swap_look *look, struct buf *why) MUST_CHECK;

/* IO_FAILED with `why` when `path` is a link: what is to be written must not be read through one either. */
enum status swap_no_link(const char *path, struct buf *why) MUST_CHECK;

/* Whether a file of folder `a` can be renamed into folder `b`: they are of one mount. */
bool swap_can(const char *a, const char *b);

/*
 * Puts the file `fresh`, which is synced, in the place of `name` in `folder`, in one step; `fresh` is gone afterwards.  What
 * stood there is `replaced` afterwards: the same inode, so who has it open writes into that.  If nothing stood there, nothing is.
 * All are of one mount.  Mode and owner are those of what stood there, else the mode of `fresh` and the folder's owner.
 *
 * IO_FAILED with `why`: the folder or `name` is a link or no plain file; or it can't be written.  Nothing was changed then,
 * unless `why` says that it may not be on disk.
 */
enum status swap_in(const char *fresh, const char *folder, const char *name, const char *replaced, struct buf *why) MUST_CHECK;

/* The folder `name` in `folder`, made if it isn't there (`mode` less the umask).  IO_FAILED when it is a link, or no folder. */
enum status swap_folder(const char *folder, const char *name, mode_t mode, struct buf *why) MUST_CHECK;

#endif
