#include "legacy/tractatus_log.h"

#include "base/str.h"
#include "core/audit.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>

#define FOLDER ".memory/audit"
#define SHAPE "decisions-dddd-dd-dd.jsonl"

static int
is_log(const struct dirent *entry)
{
	const char *name = entry->d_name;

	if (strlen(name) != sizeof SHAPE - 1)
		return 0;
	for (size_t i = 0; i < sizeof SHAPE - 1; i++)
		if (SHAPE[i] == 'd' && i > 9 && i < 20 ? name[i] < '0' || name[i] > '9' : name[i] != SHAPE[i])
			return 0;
	return 1;
}

static enum status
read_line(char *line, size_t len, struct tractatus_log *log)
{
	json_t *decision = NULL;
	enum status status;

	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len == 0)
		return OK;
	status = len > LOG_LINE_MAX ? BAD_INPUT : json_parse(line, len, &decision, NULL);
	if (status == OK && json_is_object(decision))
		return json_array_append_new(log->decisions, decision) == 0 ? OK : NO_MEMORY;
	json_decref(decision);
	log->broken++;
	return OK;
}

/* What follows the `from` bytes that were read before. */
static enum status
read_lines(struct buf *text, int64_t from, struct tractatus_log *log)
{
	size_t at = (size_t)from;
	enum status status = OK;
	char *end;

	while (status == OK && at < text->len && (end = memchr(text->data + at, '\n', text->len - at)) != NULL) {
		size_t next = (size_t)(end - text->data) + 1;

		/* json_parse may mend the line, so the digest is taken first */
		status = read_line(text->data + at, next - 1 - at, log);
		at = next;
	}
	return status;
}

static int64_t
whole_lines(const struct buf *text)
{
	size_t len = text->len;

	while (len > 0 && text->data[len - 1] != '\n')
		len--;
	return (int64_t)len;
}

static enum status
read_log(const struct tractatus_place *place, const char *path, struct tractatus_log *log, struct buf *why)
{
	char name[60], digest[TRACTATUS_DIGEST_SIZE];
	const json_t *seen;
	struct buf text;
	int64_t from;
	enum status status;

	snprintf(name, sizeof name, "log/%s", log->name);
	seen = json_object_get(place->seen, name);
	from = json_whole(seen, "number", 0);
	buf_init(&text, LOG_BYTES_MAX);
	status = file_read(path, &text, why);
	if (status == OK && from > 0) {
		tractatus_digest(text.data, (int64_t)text.len < from ? text.len : (size_t)from, digest);
		log->changed = (int64_t)text.len < from || strcmp(digest, json_text(seen, "text", "")) != 0;
	}
	log->to = from;
	if (status == OK && !log->changed) {
		log->to = whole_lines(&text);
		tractatus_digest(text.data, (size_t)log->to, log->digest);
		log->decisions = json_array();
		status = log->decisions == NULL ? NO_MEMORY : read_lines(&text, from, log);
	}
	buf_release(&text);
	if (status == OK && !log->changed && log->to == from)
		status = NO_SUCH;
	return status == NO_MEMORY ? why_not(why, NO_MEMORY, "out of memory") : status;
}

static enum status
read_each(const struct tractatus_place *place, const char *folder, struct dirent **names, int count, struct tractatus_logs *out,
          struct buf *why)
{
	enum status status = OK;

	for (int i = 0; i < count && status == OK; i++) {
		struct tractatus_log *log = &out->items[out->count];
		char path[PATH_SIZE];

		*log = (struct tractatus_log){0};
		snprintf(log->name, sizeof log->name, "%.39s", names[i]->d_name);
		if (paths_join(path, sizeof path, folder, log->name) != OK)
			return why_not(why, BAD_INPUT, "the path is too long: %s", folder);
		status = read_log(place, path, log, why);
		out->count++;
		if (status == NO_SUCH) {
			json_decref(log->decisions);
			out->count--;
			status = OK;
		}
	}
	return status;
}

enum status
tractatus_logs_read(const struct tractatus_place *place, struct tractatus_logs *out, struct buf *why)
{
	char folder[PATH_SIZE];
	struct dirent **names;
	enum status status = OK;
	int count;

	*out = (struct tractatus_logs){0};
	if (paths_join(folder, sizeof folder, place->root, FOLDER) != OK)
		return why_not(why, BAD_INPUT, "the path is too long: %s", place->root);
	count = scandir(folder, &names, is_log, alphasort);
	if (count < 0)
		return errno == ENOENT || errno == ENOTDIR ? OK : why_not(why, IO_FAILED, "%s: %s", folder, strerror(errno));
	if (count > LOG_FILES_MAX)
		status = why_not(why, BAD_INPUT, "%s: holds more than %d logs", folder, LOG_FILES_MAX);
	else if ((out->items = calloc((size_t)count + 1, sizeof *out->items)) == NULL)
		status = why_not(why, NO_MEMORY, "out of memory");
	if (status == OK)
		status = read_each(place, folder, names, count, out, why);
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	if (status != OK)
		tractatus_logs_release(out);
	return status;
}

void
tractatus_logs_release(struct tractatus_logs *logs)
{
	for (size_t i = 0; i < logs->count; i++)
		json_decref(logs->items[i].decisions);
	free(logs->items);
	*logs = (struct tractatus_logs){0};
}

static enum status
save_decision(struct txn *txn, const json_t *decision)
{
	struct buf text;
	enum status status;

	buf_init(&text, LOG_LINE_MAX * 8);
	json_write(&text, decision);
	status = buf_status(&text);
	if (status == OK)
		audit_add(txn, "", "tractatus.decision", json_text(decision, "action", ""), "", text.data);
	buf_release(&text);
	return status;
}

enum status
tractatus_logs_save(struct txn *txn, const struct tractatus_place *place, const struct tractatus_logs *logs)
{
	const char *actor = txn->actor;
	enum status status = OK;

	txn->actor = "imported";
	for (size_t i = 0; i < logs->count && status == OK; i++) {
		const struct tractatus_log *log = &logs->items[i];
		char name[60];
		json_t *decision;
		size_t j;

		json_array_foreach(log->decisions, j, decision) if (status == OK) status = save_decision(txn, decision);
		snprintf(name, sizeof name, "log/%s", log->name);
		if (!log->changed)
			tractatus_seen_save(txn, place, name, log->to, log->digest);
	}
	txn->actor = actor;
	return status;
}

size_t
tractatus_logs_decisions(const struct tractatus_logs *logs)
{
	size_t count = 0;

	for (size_t i = 0; i < logs->count; i++)
		count += json_array_size(logs->items[i].decisions);
	return count;
}
