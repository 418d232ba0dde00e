#include "core/retention.h"
#include "os/clock.h"
#include "os/file.h"
#include "verbs/reap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define OLDER_MS 3600000 /* what was written later may be of a session that is about to be known */
#define KEEP_BYTES_MAX ((size_t)16 << 20)
#define UUID_LEN 36
#define ENDING ".jsonl"
#define SUBAGENTS "subagents"

struct sweep {
	struct call *call;
	char folder[PATH_SIZE];
	int fd; /* the folder's */
	int64_t older_ms;
	bool dry;
	json_t *found; /* ids */
	json_t *keep;  /* ids as keys, UUIDs in small letters */
	json_int_t active, young, deleted, errors;
};

static bool
is_uuid(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : strchr("0123456789abcdefABCDEF", text[i]) == NULL)
			return false;
	}
	return len == UUID_LEN;
}

/* A UUID is the same in letters of either case. */
static void
to_small(const char *id, char out[UUID_LEN + 1])
{
	size_t at = 0;

	for (; at < UUID_LEN; at++)
		out[at] = id[at] >= 'A' && id[at] <= 'F' ? (char)(id[at] - 'A' + 'a') : id[at];
	out[at] = '\0';
}

/* Each character that is no letter or digit becomes '-', two if it is one of those that have two halves in JavaScript. */
static void
flatten(char *path)
{
	char *to = path;

	for (const char *from = path; *from != '\0'; from++) {
		unsigned char byte = (unsigned char)*from;

		if ((byte & 0xc0) == 0x80)
			continue;
		*to++ = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", byte) == NULL ? '-' : *from;
		if (byte >= 0xf0)
			*to++ = '-';
	}
	*to = '\0';
}

/* As the client names the folder of those that were begun in `root`. */
static enum status
default_folder(const char *root, char out[PATH_SIZE], struct buf *why)
{
	const char *config = getenv("CLAUDE_CONFIG_DIR"), *home = getenv("HOME");
	int len = config != NULL && *config == '/'
	              ? snprintf(out, PATH_SIZE, "%s/projects/%s", config, root)
	              : snprintf(out, PATH_SIZE, "%s/.claude/projects/%s", home == NULL ? "" : home, root);

	if (len < 0 || len >= PATH_SIZE)
		return why_not(why, BAD_INPUT, "the path of the transcripts is too long; name their folder with --dir");
	flatten(out + (size_t)len - strlen(root));
	return OK;
}

/* *fd stays -1 when the default one isn't there: then there is nothing to sweep. */
static enum status
open_folder(struct sweep *sweep)
{
	struct call *call = sweep->call;
	const char *named = json_text(call->args, "dir", NULL);
	enum status status = named == NULL ? default_folder(call->context->place.root, sweep->folder, call->why)
	                                   : str_copy(sweep->folder, sizeof sweep->folder, named);

	if (status != OK)
		return named == NULL ? status : why_not(call->why, BAD_INPUT, "--dir: the path is too long");
	sweep->fd = open(sweep->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sweep->fd >= 0 || (errno == ENOENT && named == NULL))
		return OK;
	if (errno == ENOENT)
		return why_not(call->why, NO_SUCH, "%s: there is no such folder", sweep->folder);
	if (errno == ENOTDIR || errno == ELOOP)
		return why_not(call->why, BAD_INPUT, "%s: it is no folder, or a link", sweep->folder);
	return why_not(call->why, IO_FAILED, "%s: %s", sweep->folder, strerror(errno));
}

/* The newest of what is in the folder `name` of `at`, at least *newest_ms. */
static void
look_inside(int at, const char *name, int64_t *newest_ms)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	struct stat info;

	if (folder == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(folder)) != NULL) {
		int64_t changed_ms;

		if (str_equal(entry->d_name, "..") || fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		changed_ms = (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
		if (changed_ms > *newest_ms)
			*newest_ms = changed_ms;
		if (S_ISDIR(info.st_mode) && !str_equal(entry->d_name, "."))
			look_inside(fd, entry->d_name, newest_ms);
	}
	closedir(folder);
}

/* When it was last written to, its sub-agents' included.  False when it isn't a plain file. */
static bool
written(const struct sweep *sweep, const char *id, int64_t *at_ms)
{
	char name[UUID_LEN + sizeof ENDING], inside[UUID_LEN + sizeof "/" SUBAGENTS];
	struct stat info, folder;

	snprintf(name, sizeof name, "%s" ENDING, id);
	snprintf(inside, sizeof inside, "%s/" SUBAGENTS, id);
	if (fstatat(sweep->fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
		return false;
	*at_ms = (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
	if (fstatat(sweep->fd, id, &folder, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(folder.st_mode))
		look_inside(sweep->fd, inside, at_ms);
	return true;
}

static enum status
list_found(struct sweep *sweep)
{
	int fd = openat(sweep->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int64_t ignored;

	if (folder == NULL)
		return why_not(sweep->call->why, IO_FAILED, "%s: %s", sweep->folder, strerror(errno));
	for (errno = 0; (entry = readdir(folder)) != NULL; errno = 0) {
		char id[UUID_LEN + 1];

		if (strlen(entry->d_name) != UUID_LEN + strlen(ENDING) || !str_ends(entry->d_name, ENDING) ||
		    !is_uuid(entry->d_name, UUID_LEN))
			continue;
		snprintf(id, sizeof id, "%.*s", UUID_LEN, entry->d_name);
		if (written(sweep, id, &ignored))
			json_array_append_new(sweep->found, json_string(id));
	}
	if (errno != 0) {
		closedir(folder);
		return why_not(sweep->call->why, IO_FAILED, "%s: %s", sweep->folder, strerror(errno));
	}
	closedir(folder);
	return OK;
}

static bool
keep(struct sweep *sweep, const char *id)
{
	char small[UUID_LEN + 1];

	if (!is_uuid(id, strlen(id)))
		return json_object_set_new_nocheck(sweep->keep, id, json_true()) == 0;
	to_small(id, small);
	return json_object_set_new_nocheck(sweep->keep, small, json_true()) == 0;
}

static enum status
rule_known(struct txn *txn, void *arg, struct buf *why)
{
	json_t *known = json_object(), *value;
	const char *id;
	bool all = known != NULL;
	enum status status = retention_known_ids(txn, known, why);

	json_object_foreach(known, id, value) all = keep(arg, id) && all;
	json_decref(known);
	return status == OK && !all ? NO_MEMORY : status;
}

static enum status
add_line(struct sweep *sweep, const char *path, char *line)
{
	line[strcspn(line, "\r")] = '\0';
	if (*line == '\0')
		return OK;
	if (str_check_id("", line, ID_MAX, NULL) != OK)
		return why_not(sweep->call->why, BAD_INPUT, "%s: not one id a line; nothing was removed", path);
	return keep(sweep, line) ? OK : NO_MEMORY;
}

static enum status
read_keep_file(struct sweep *sweep, const char *path)
{
	struct buf text, reason;
	enum status status;
	char *line, *rest;

	buf_init(&text, KEEP_BYTES_MAX);
	buf_init(&reason, WHY_MAX);
	status = file_read(path, &text, &reason);
	if (status != OK)
		status = why_not(sweep->call->why, status, "what must be kept can't be read, so nothing was removed: %s", reason.data);
	else if (strlen(text.data) != text.len)
		status = why_not(sweep->call->why, BAD_INPUT, "%s: not one id a line; nothing was removed", path);
	for (line = status == OK ? strtok_r(text.data, "\n", &rest) : NULL; line != NULL && status == OK;
	     line = strtok_r(NULL, "\n", &rest))
		status = add_line(sweep, path, line);
	buf_release(&reason);
	buf_release(&text);
	return status;
}

/* All of it or nothing: a forgotten source has erased people's conversations. */
static enum status
read_keep(struct sweep *sweep)
{
	struct call *call = sweep->call;
	const json_t *path;
	size_t i;
	enum status status = engine_read(&call->context->engine, rule_known, sweep, call->why);

	json_array_foreach(json_object_get(call->args, "keep"), i, path) if (status == OK)
		status = read_keep_file(sweep, json_string_value(path));
	if (status == OK && json_starved())
		status = why_not(call->why, NO_MEMORY, "out of memory; nothing was removed");
	if (status == OK && json_object_size(sweep->keep) == 0)
		status =
			why_not(call->why, CONFLICT,
		            "this store knows of no session yet, so it can't tell whose transcripts these are; nothing was removed");
	return status;
}

static bool
is_kept(const struct sweep *sweep, const char *id)
{
	char small[UUID_LEN + 1];

	to_small(id, small);
	return json_object_get(sweep->keep, small) != NULL;
}

/* What its sub-agents wrote, and then itself: who is interrupted finds it again. */
static bool
remove_one(const struct sweep *sweep, const char *id)
{
	char name[UUID_LEN + sizeof ENDING], inside[64];
	int fd = openat(sweep->fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat info;
	bool removed = true;

	snprintf(name, sizeof name, "%s" ENDING, id);
	if (fd >= 0) {
		snprintf(inside, sizeof inside, "/proc/self/fd/%d/" SUBAGENTS, fd);
		if (fstatat(fd, SUBAGENTS, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode))
			removed = file_remove_folder(inside, NULL) == OK;
		close(fd);
		/* something else of it may be in there */
		if (removed && unlinkat(sweep->fd, id, AT_REMOVEDIR) != 0)
			removed = errno == ENOTEMPTY || errno == EEXIST;
	}
	return removed && (unlinkat(sweep->fd, name, 0) == 0 || errno == ENOENT);
}

/* Looked at once more: whoever resumes it now writes to it. */
static void
judge(struct sweep *sweep, const char *id)
{
	int64_t at_ms;

	if (!written(sweep, id, &at_ms))
		sweep->errors++;
	else if (is_kept(sweep, id))
		sweep->active++;
	else if (clock_wall_ms() - at_ms < sweep->older_ms)
		sweep->young++;
	else if (sweep->dry || remove_one(sweep, id))
		sweep->deleted++;
	else
		sweep->errors++;
}

static enum status
sweep_folder(struct sweep *sweep)
{
	const json_t *one;
	size_t i;
	enum status status = open_folder(sweep);

	/* first what is there, then what must be kept: what begins between the two is only in the second */
	if (status == OK && sweep->fd >= 0)
		status = list_found(sweep);
	if (status == OK)
		status = read_keep(sweep);
	if (status != OK)
		return status;
	json_array_foreach(sweep->found, i, one) judge(sweep, json_string_value(one));
	json_object_update_new(sweep->call->result,
	                       json_pack("{ss sb sI sI sI sI sI}", "folder", sweep->folder, "dry_run", sweep->dry, "found",
	                                 (json_int_t)json_array_size(sweep->found), "kept_active", sweep->active, "kept_too_young",
	                                 sweep->young, "deleted", sweep->deleted, "errors", sweep->errors));
	if (sweep->errors > 0)
		return why_not(sweep->call->why, IO_FAILED, "%s: %lld transcripts could not be removed, or were changed meanwhile",
		               sweep->folder, (long long)sweep->errors);
	return OK;
}

enum status
reap_transcripts(struct call *call)
{
	struct sweep sweep = {.call = call,
	                      .fd = -1,
	                      .older_ms = json_whole(call->args, "older", OLDER_MS),
	                      .dry = json_truth(call->args, "dry_run"),
	                      .found = json_array(),
	                      .keep = json_object()};
	enum status status = context_open(call->context, false, call->why);

	if (status == OK)
		status = sweep_folder(&sweep);
	if (sweep.fd >= 0)
		close(sweep.fd);
	json_decref(sweep.found);
	json_decref(sweep.keep);
	return status;
}
