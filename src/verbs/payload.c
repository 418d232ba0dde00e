#include "verbs/payload.h"

#include "core/queue_claim.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/random.h"

#include <dirent.h>
#include <sys/stat.h>

#define FOLDER "payload"
#define ORPHAN_MS ((int64_t)3600 * 1000)

/* Of the folder, or of what is in it. */
static enum status
path_of(const struct context *context, const char *name, char out[PATH_SIZE], struct buf *why)
{
	int len = snprintf(out, PATH_SIZE, "%s/" FOLDER "%s%s", context->address.folder, *name == '\0' ? "" : "/", name);

	return len < 0 || len >= PATH_SIZE ? why_not(why, IO_FAILED, "the path of the payload is too long") : OK;
}

enum status
payload_keep(struct context *context, const char *data, size_t len, char apart[ID_SIZE], struct buf *why)
{
	char path[PATH_SIZE], name[ID_SIZE];
	uint8_t random[10];
	enum status status;

	apart[0] = '\0';
	if (len <= QUEUE_INLINE_MAX || context->address.url[0] != '\0')
		return OK;
	if (random_bytes(random, sizeof random) != OK)
		return why_not(why, IO_FAILED, "the system has no randomness to give");
	id_make(name, clock_wall_ms(), random);
	status = path_of(context, "", path, why);
	if (status == OK)
		status = file_make_folder(path, 0700, NULL, why);
	if (status == OK)
		status = path_of(context, name, path, why);
	if (status == OK)
		status = file_replace(path, data, len, 0600, why);
	if (status == OK)
		memcpy(apart, name, sizeof name);
	return status == CONFLICT ? IO_FAILED : status;
}

void
payload_drop(struct context *context, const char *apart)
{
	char path[PATH_SIZE];

	if (*apart != '\0' && path_of(context, apart, path, NULL) == OK && file_remove(path, NULL) != OK)
		return;
}

struct fetching {
	const struct queue_item *item;
	struct buf *out;
};

static enum status
rule_fetch(struct txn *txn, void *arg, struct buf *why)
{
	struct fetching *fetching = arg;
	struct db_rows rows;
	enum status status = queue_payload(txn, fetching->item, &rows, why);

	if (status != OK)
		return status;
	buf_text(fetching->out, db_text(&rows, 0, 0));
	db_rows_release(&rows);
	return buf_status(fetching->out);
}

/* The file as it is: no more and no less than what was put. */
static enum status
read_apart(struct context *context, const struct queue_item *item, struct buf *out, struct buf *why)
{
	char path[PATH_SIZE], id[QUEUE_ID_SIZE];
	size_t before = out->len;
	enum status status = path_of(context, item->apart, path, why);

	if (status == OK)
		status = file_read(path, out, why);
	queue_id(item, id);
	if (status == NO_SUCH || (status == OK && (int64_t)(out->len - before) != item->size))
		return why_not(why, IO_FAILED, "%s: its payload, %s, is %s", id, path, status == OK ? "not as it was put" : "gone");
	return status;
}

enum status
payload_fetch(struct context *context, const struct queue_item *item, struct buf *out, struct buf *why)
{
	struct fetching fetching = {item, out};

	if (item->apart[0] != '\0')
		return read_apart(context, item, out, why);
	return engine_read(&context->engine, rule_fetch, &fetching, why);
}

enum status
payload_gather(struct txn *txn, void *context, struct buf *why)
{
	json_t *names = json_object();
	const char *name;
	json_t *value;
	enum status status = queue_apart(txn, false, names, why);

	json_object_foreach(names, name, value)
	{
		char path[PATH_SIZE];
		struct buf text;

		buf_init(&text, QUEUE_PAYLOAD_MAX);
		if (status == OK)
			status = path_of(context, name, path, why);
		if (status == OK && (status = file_read(path, &text, why)) == NO_SUCH)
			status = why_not(why, IO_FAILED, "%s: the payload of an item is gone; see `stile queue list`", path);
		if (status == OK)
			queue_keep_here(txn, name, text.data);
		buf_release(&text);
	}
	json_decref(names);
	return status;
}

static enum status
rule_names(struct txn *txn, void *names, struct buf *why)
{
	return queue_apart(txn, true, names, why);
}

static bool
is_old(const char *path)
{
	struct stat there;

	return lstat(path, &there) == 0 && clock_wall_ms() - (int64_t)there.st_mtim.tv_sec * 1000 > ORPHAN_MS;
}

void
payload_sweep(struct context *context)
{
	char folder[PATH_SIZE], path[PATH_SIZE];
	const struct dirent *entry;
	json_t *names;
	DIR *dir;

	if (context->address.url[0] != '\0' || path_of(context, "", folder, NULL) != OK || (dir = opendir(folder)) == NULL)
		return;
	names = json_object();
	/* asked after the folder was opened: who is found in neither has been there for long */
	if (engine_read(&context->engine, rule_names, names, NULL) == OK)
		while ((entry = readdir(dir)) != NULL)
			if (entry->d_name[0] != '.' && json_object_get(names, entry->d_name) == NULL &&
			    path_of(context, entry->d_name, path, NULL) == OK && is_old(path))
				payload_drop(context, entry->d_name);
	json_decref(names);
	closedir(dir);
}
