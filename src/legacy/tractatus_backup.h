/*
 * What an import may change, copied into a folder of its own beside the store before it does: the instructions as the store has
 * them (in Tractatus' form, so that they can be imported), and the files that are imported.  Folder 0700, files 0600.
 */
#ifndef LEGACY_TRACTATUS_BACKUP_H
#define LEGACY_TRACTATUS_BACKUP_H

#include "legacy/tractatus_session.h"

/* Fills `path` with the folder.  IO_FAILED with `why`; then nothing is left. */
enum status tractatus_backup_make(const char *store_folder, const char *import, const struct tractatus_files *files,
                                  const json_t *store, char path[PATH_SIZE], struct buf *why) MUST_CHECK;

/* Best effort. */
void tractatus_backup_remove(const char *path);

#endif
