#include "legacy/tractatus_backup.h"

#include "os/file.h"
#include "os/swap.h"

static enum status
write_one(const char *folder, const char *name, const struct buf *bytes, struct buf *why)
{
	char path[PATH_SIZE];

	if (paths_join(path, sizeof path, folder, name) != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", folder);
	return file_replace(path, bytes->data, bytes->len, 0600, why);
}

static enum status
write_store(const char *folder, const json_t *entries, struct buf *why)
{
	struct history history = {.top = json_pack("{ss}", "version", "1.0.0"), .entries = (json_t *)(uintptr_t)entries};
	struct buf text;
	enum status status;

	buf_init(&text, HISTORY_MAX * 4);
	history_render(&history, &text);
	status = buf_status(&text) == OK ? write_one(folder, "store-instructions.json", &text, why)
	                                 : why_not(why, NO_MEMORY, "out of memory");
	buf_release(&text);
	json_decref(history.top);
	return status;
}

/* Each level is a folder of ours and no link. */
static enum status
make_folder(const char *store_folder, const char *import, char path[PATH_SIZE], struct buf *why)
{
	char work[PATH_SIZE], name[ID_SIZE + 10];
	enum status status = swap_folder(store_folder, "tractatus", 0700, why);

	snprintf(name, sizeof name, "backup-%s", import);
	if (status == OK && (paths_join(work, sizeof work, store_folder, "tractatus") != OK ||
	                     paths_join(path, PATH_SIZE, work, name) != OK))
		status = why_not(why, IO_FAILED, "the path is too long: %s", store_folder);
	return status == OK ? swap_folder(work, name, 0700, why) : status;
}

enum status
tractatus_backup_make(const char *store_folder, const char *import, const struct tractatus_files *files, const json_t *store,
                      char path[PATH_SIZE], struct buf *why)
{
	char made[PATH_SIZE];
	enum status status = make_folder(store_folder, import, made, why);

	if (status != OK)
		return status;
	status = write_store(made, store, why);
	if (status == OK && files->history_there)
		status = write_one(made, TRACTATUS_HISTORY, &files->history, why);
	if (status == OK && files->state_bytes.len > 0)
		status = write_one(made, TRACTATUS_STATE, &files->state_bytes, why);
	if (status == OK && files->checkpoints_bytes.len > 0)
		status = write_one(made, TRACTATUS_CHECKPOINTS, &files->checkpoints_bytes, why);
	if (status == OK)
		memcpy(path, made, PATH_SIZE);
	else
		tractatus_backup_remove(made);
	return status;
}

void
tractatus_backup_remove(const char *path)
{
	if (file_remove_folder(path, NULL) != OK)
		return;
}
