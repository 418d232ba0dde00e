/* What os/file.h and os/file_change.h do alike to replace a file; nobody else includes this. */
#ifndef OS_FILE_PARTS_H
#define OS_FILE_PARTS_H

#include "os/file.h"
#include "os/paths.h"

#include <sys/stat.h>

/* A file that is to be replaced: links resolved, and how it and its folder are now. */
struct file_target {
	char path[PATH_SIZE];
	char folder[PATH_SIZE];
	char temporary[PATH_SIZE];
	bool there;
	struct stat file;
	struct stat parent;
};

enum status target_resolve(const char *path, struct file_target *target, struct buf *why) MUST_CHECK;

/* A name beside it that nobody has. */
enum status target_name_temporary(struct file_target *target, struct buf *why) MUST_CHECK;

/* Synced, with the mode and owner that the new file must have. */
enum status target_write_temporary(const struct file_target *target, const void *data, size_t len, mode_t mode,
                                   struct buf *why) MUST_CHECK;

/* Plain, ours and not marked read-only. */
enum status target_check_file(const struct file_target *target, struct buf *why) MUST_CHECK;

/* CONFLICT when the file doesn't hold exactly `data`, or is there although `data` is NULL. */
enum status target_compare(const char *path, const void *data, size_t len, struct buf *why) MUST_CHECK;

bool target_sync_folder(const char *folder);

#endif
