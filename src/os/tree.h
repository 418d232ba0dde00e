/*
 * A file, link or folder with all that is in it, moved or removed by descriptor, so that no path can be led elsewhere meanwhile.
 * Links are never followed.  All fail with errno set.
 */
#ifndef OS_TREE_H
#define OS_TREE_H

#include <stdbool.h>

#define TREE_DEPTH_MAX 64 /* ELOOP below that */

/*
 * Moves `name` of the folder `from` to `as` of the folder `to`, which nothing has yet.  Between file systems it is copied, with
 * mode, times and, for root, owner, synced, and then removed.  False: it is where it was, and `as` may be there in part only if
 * even that could not be taken away again.  A socket or device can't be copied: EOPNOTSUPP.
 */
bool tree_move(int from, const char *name, int to, const char *as);

/* Removes it for good. */
bool tree_remove(int folder, const char *name);

#endif
