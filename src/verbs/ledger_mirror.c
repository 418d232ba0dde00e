#include "verbs/ledger_mirror.h"

#include "core/ledger.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/gate.h"
#include "os/lines.h"
#include "os/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "mirrors" /* of the lock, in the store's */
#define SECTION "ledger "
#define LINE_MAX_BYTES ((size_t)8 << 20)  /* of an entry: each byte of a body may be six in JSON */
#define PAGE_TEXT_MAX ((size_t)128 << 20) /* of the lines of a page */
#define TAIL_STEP ((size_t)64 << 10)

struct mirror {
	struct context *context;
	const char *ledger;
	const char *path;
	struct gate lock;
	int fd;
	int64_t seq; /* of the last whole line, 0 = there is none */
	char hash[DIGEST_SIZE];
	struct buf torn; /* what stands behind it */
	struct ledger about;
	struct buf text; /* a page's lines */
	int64_t last;    /* entry in it; 0 = none */
	int64_t entries; /* so many */
	bool more;       /* entries may follow */
	int64_t written;
	struct buf *why;
};

static enum status
configured(struct context *context, const char *ledger, const char **path, struct buf *why)
{
	char section[sizeof SECTION + LEDGER_NAME_MAX];

	snprintf(section, sizeof section, SECTION "%s", ledger);
	*path = config_get(&context->engine.config, section, "mirror");
	if (*path != NULL && **path == '\0')
		*path = NULL;
	if (*path != NULL && (*path)[0] != '/')
		return why_not(why, BAD_CONFIG, "[%s] mirror = %s: is no absolute path", section, *path);
	return OK;
}

static enum status
take_lock(struct mirror *mirror)
{
	const struct context *context = mirror->context;
	struct buf *why = mirror->why;
	char folder[PATH_SIZE];
	enum status status = context_make_place(context, why);

	if (status == OK)
		status = swap_folder(context->address.folder, FOLDER, 0700, why);
	if (status == OK && paths_join(folder, sizeof folder, context->address.folder, FOLDER) != OK)
		status = why_not(why, IO_FAILED, "the path is too long: %s", context->address.folder);
	if (status == OK)
		status = gate_open(&mirror->lock, folder, true, why);
	if (status == OK)
		status = file_give(mirror->lock.path, why);
	return status == OK ? gate_take(&mirror->lock, context->wait_ms, why) : status;
}

static void
begin(struct mirror *mirror, struct context *context, const char *ledger, const char *path, struct buf *why)
{
	*mirror = (struct mirror){.context = context, .ledger = ledger, .path = path, .lock = {.fd = -1}, .fd = -1, .why = why};
	buf_init(&mirror->torn, LINE_MAX_BYTES * 2);
	buf_init(&mirror->text, PAGE_TEXT_MAX);
}

static void
end(struct mirror *mirror)
{
	if (mirror->fd >= 0)
		close(mirror->fd);
	gate_close(&mirror->lock);
	buf_release(&mirror->torn);
	buf_release(&mirror->text);
}

static enum status
failed(const struct mirror *mirror)
{
	return why_not(mirror->why, IO_FAILED, "%s: %s", mirror->path, strerror(errno));
}

/* Its lines are counted only now that somebody is to be told of one. */
static enum status
not_ours(const struct mirror *mirror, int64_t line, const char *what)
{
	struct lines lines;
	const char *text;
	size_t len;

	if (line == 0 && lines_open(&lines, mirror->path, LINE_MAX_BYTES, NULL) == OK) {
		while (lines_next(&lines, &text, &len, NULL) == OK)
			line = lines.number;
		lines_close(&lines);
	}
	return why_not(mirror->why, CONFLICT,
	               "%s: line %lld %s; nothing was written: `stile ledger mirror %s --rebuild` puts the store's entries in its "
	               "place",
	               mirror->path, (long long)line, what, mirror->ledger);
}

/* The file's end, from the beginning of its last whole line. */
static enum status
read_tail(struct mirror *mirror, struct buf *tail, size_t *from, size_t *whole)
{
	struct stat file;
	size_t size, step = TAIL_STEP;

	if (fstat(mirror->fd, &file) != 0)
		return failed(mirror);
	size = (size_t)file.st_size;
	for (;; step *= 4) {
		size_t len = step < size ? step : size;
		char *room;

		buf_clear(tail);
		room = buf_room(tail, len);
		if (room == NULL)
			return buf_status(tail) == BAD_INPUT ? not_ours(mirror, 0, "is longer than an entry's") : NO_MEMORY;
		if (pread(mirror->fd, room, len, (off_t)(size - len)) != (ssize_t)len)
			return failed(mirror);
		buf_grew(tail, len);
		for (*whole = len; *whole > 0 && tail->data[*whole - 1] != '\n';)
			--*whole;
		for (*from = *whole == 0 ? 0 : *whole - 1; *from > 0 && tail->data[*from - 1] != '\n';)
			--*from;
		if (len == size || *from > 0)
			return OK;
	}
}

static enum status
look_at_end(struct mirror *mirror)
{
	struct buf tail;
	size_t from = 0, whole = 0;
	json_t *entry = NULL;
	enum status status;

	buf_init(&tail, LINE_MAX_BYTES * 2);
	status = read_tail(mirror, &tail, &from, &whole);
	if (status == OK) {
		buf_add(&mirror->torn, tail.data + whole, tail.len - whole);
		status = buf_status(&mirror->torn);
	}
	if (status == OK && whole > 0) {
		if (json_parse(tail.data + from, whole - 1 - from, &entry, NULL) == OK)
			mirror->seq = json_whole(entry, "seq", 0);
		snprintf(mirror->hash, sizeof mirror->hash, "%s", json_text(entry, "hash", ""));
		json_decref(entry);
		if (mirror->seq < 1)
			status = not_ours(mirror, 0, "is no entry of a ledger");
	}
	buf_release(&tail);
	return status;
}

static enum status
open_file(struct mirror *mirror, const char *path, int flags)
{
	struct stat file;

	mirror->fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (mirror->fd < 0 || fstat(mirror->fd, &file) != 0)
		return failed(mirror);
	if (!S_ISREG(file.st_mode))
		return why_not(mirror->why, IO_FAILED, "%s: is not a file", mirror->path);
	return (flags & O_CREAT) != 0 ? file_give(path, mirror->why) : OK;
}

/* The entries from `seq` on as lines. */
static enum status
read_page(struct txn *txn, struct mirror *mirror, int64_t seq, struct buf *why)
{
	struct db_rows rows;
	enum status status = ledger_page(txn, &mirror->about, seq, LEDGER_PAGE_MAX, &rows, why);

	if (status != OK)
		return status;
	buf_clear(&mirror->text);
	for (size_t i = 0; i < rows.count; i++) {
		struct ledger_entry entry;
		json_t *json;

		ledger_entry_of(&rows, i, &entry);
		json = ledger_entry_json(&entry);
		json_write(&mirror->text, json);
		buf_add(&mirror->text, "\n", 1);
		json_decref(json);
		mirror->last = entry.seq;
	}
	mirror->more = rows.count > 0 && mirror->last < mirror->about.last;
	mirror->entries = (int64_t)rows.count;
	status = rows.count == 0 ? NO_SUCH : buf_status(&mirror->text);
	db_rows_release(&rows);
	return status == NO_SUCH ? why_not(why, OK, "%s", "") : status;
}

/* The last line is the store's entry of that seq. */
static bool
is_entry(const struct mirror *mirror, const struct db_rows *rows)
{
	return rows->count == 1 && db_int(rows, 0, 0) == mirror->seq && str_equal(db_text(rows, 0, 7), mirror->hash);
}

/* What follows the file's last line, which is looked for in the store first. */
static enum status
rule_first(struct txn *txn, void *data, struct buf *why)
{
	struct mirror *mirror = data;
	struct db_rows rows;
	bool ours = mirror->seq == 0;
	enum status status = ledger_load(txn, mirror->ledger, &mirror->about, why);

	if (status == OK && mirror->seq > 0 && mirror->seq == mirror->about.cut)
		ours = str_equal(mirror->hash, mirror->about.cut_hash);
	else if (status == OK && mirror->seq > 0) {
		status = ledger_page(txn, &mirror->about, mirror->seq, 1, &rows, why);
		ours = status == OK && is_entry(mirror, &rows);
		if (status == OK)
			db_rows_release(&rows);
	}
	if (status == OK && !ours)
		return CONFLICT;
	return status == OK ? read_page(txn, mirror, mirror->seq + 1, why) : status;
}

static enum status
rule_next(struct txn *txn, void *data, struct buf *why)
{
	struct mirror *mirror = data;
	enum status status = ledger_load(txn, mirror->ledger, &mirror->about, why);

	return status == OK ? read_page(txn, mirror, mirror->last + 1, why) : status;
}

static enum status
write_page(struct mirror *mirror)
{
	const struct buf *text = &mirror->text, *torn = &mirror->torn;
	size_t there = torn->len;

	if (there > text->len || memcmp(torn->data, text->data, there) != 0)
		return not_ours(mirror, 0, "is not the beginning of the next entry");
	if (text->len == 0)
		return OK;
	fault_point(FAULT_MIRRORS);
	if (!file_write_all(mirror->fd, text->data + there, text->len - there))
		return failed(mirror);
	mirror->torn.len = 0;
	mirror->written += mirror->entries;
	mirror->seq = mirror->last;
	return OK;
}

/* All that the store has and the file hasn't. */
static enum status
write_on(struct mirror *mirror)
{
	struct engine *engine = &mirror->context->engine;
	enum status status;

	mirror->last = mirror->seq;
	mirror->more = false;
	status = engine_read(engine, rule_first, mirror, mirror->why);
	if (status == CONFLICT)
		return not_ours(mirror, 0, "is not what the store has as that entry");
	if (status == OK)
		status = write_page(mirror);
	while (status == OK && mirror->more) {
		status = engine_read(engine, rule_next, mirror, mirror->why);
		if (status == OK)
			status = write_page(mirror);
	}
	return status;
}

static enum status
bring_up(struct mirror *mirror)
{
	enum status status = open_file(mirror, mirror->path, O_RDWR | O_APPEND | O_CREAT);

	if (status == OK)
		status = look_at_end(mirror);
	return status == OK ? write_on(mirror) : status;
}

void
ledger_mirror(struct context *context, const char *ledger, json_t *result)
{
	struct mirror mirror;
	const char *path;
	struct buf why;
	enum status status;

	buf_init(&why, WHY_MAX);
	status = configured(context, ledger, &path, &why);
	if (status == OK && path != NULL) {
		begin(&mirror, context, ledger, path, &why);
		status = take_lock(&mirror);
		if (status == OK)
			status = bring_up(&mirror);
		end(&mirror);
	}
	if (status != OK)
		json_object_set_new(result, "mirror_failed", json_lossy(why.data, why.len));
	buf_release(&why);
}

/* Whether the line is the next of the page, which is read on if need be. */
static enum status
compare_line(struct mirror *mirror, const char *text, size_t len, size_t *at, bool *same)
{
	enum status status = OK;
	const char *line;

	if (*at == mirror->text.len) {
		status = engine_read(&mirror->context->engine, rule_next, mirror, mirror->why);
		*at = 0;
	}
	line = mirror->text.data + *at;
	*same = status == OK && mirror->text.len - *at > len && memcmp(line, text, len) == 0 && line[len] == '\n';
	*at += *same ? len + 1 : 0;
	return status;
}

/* Lines of entries that the store hasn't any more are passed. */
static bool
is_removed(const struct mirror *mirror, const char *text, size_t len)
{
	json_t *entry = json_loadb(text, len, 0, NULL);
	int64_t seq = json_whole(entry, "seq", 0);

	json_decref(entry);
	return seq > 0 && seq <= mirror->about.cut;
}

static enum status
rule_about(struct txn *txn, void *data, struct buf *why)
{
	struct mirror *mirror = data;

	return ledger_load(txn, mirror->ledger, &mirror->about, why);
}

static enum status
compare(struct mirror *mirror)
{
	struct lines lines;
	const char *text;
	size_t len, at = 0;
	bool same = true, begun = false;
	enum status status = lines_open(&lines, mirror->path, LINE_MAX_BYTES, mirror->why);

	mirror->last = mirror->about.cut;
	while (status == OK && (status = lines_next(&lines, &text, &len, mirror->why)) == OK && lines.whole) {
		if (!begun && is_removed(mirror, text, len))
			continue;
		begun = true;
		status = compare_line(mirror, text, len, &at, &same);
		if (status == OK && !same)
			status = not_ours(mirror, lines.number, "is not the entry that belongs there");
	}
	lines_close(&lines);
	return status == NO_SUCH ? OK : status;
}

/* The new file has another name until it is whole. */
static enum status
rebuild(struct mirror *mirror)
{
	char fresh[PATH_SIZE + 8];
	enum status status = swap_no_link(mirror->path, mirror->why);

	snprintf(fresh, sizeof fresh, "%s.stile", mirror->path);
	if (status == OK)
		status = open_file(mirror, fresh, O_RDWR | O_APPEND | O_CREAT | O_TRUNC);
	mirror->seq = mirror->about.cut;
	memcpy(mirror->hash, mirror->about.cut_hash, sizeof mirror->hash);
	if (status == OK)
		status = write_on(mirror);
	if (status == OK && (fsync(mirror->fd) != 0 || rename(fresh, mirror->path) != 0))
		status = failed(mirror);
	if (status != OK)
		unlink(fresh);
	return status;
}

enum status
ledger_mirror_check(struct context *context, const char *ledger, bool anew, struct ledger_mirrored *out, struct buf *why)
{
	struct mirror mirror;
	const char *path = NULL;
	enum status status;

	begin(&mirror, context, ledger, NULL, why);
	status = engine_read(&context->engine, rule_about, &mirror, why);
	if (status == OK)
		status = configured(context, ledger, &path, why);
	if (status == OK && path == NULL)
		status = why_not(why, NO_SUCH,
		                 "the ledger %s has no mirror: [" SECTION "%s] mirror = PATH in the configuration gives it one", ledger,
		                 ledger);
	mirror.path = path;
	if (status == OK)
		status = take_lock(&mirror);
	if (status == OK && anew)
		status = rebuild(&mirror);
	else if (status == OK && (access(path, F_OK) != 0 || (status = compare(&mirror)) == OK))
		status = bring_up(&mirror);
	*out = (struct ledger_mirrored){.path = path, .seq = mirror.seq, .written = mirror.written};
	end(&mirror);
	return status;
}

static void
find_one(struct context *context, const char *ledger, void (*told)(void *arg, int state, const char *line), void *arg)
{
	char line[PATH_SIZE + 300];
	struct mirror mirror;
	const char *path;
	struct buf why;
	enum status status;

	buf_init(&why, WHY_MAX);
	status = configured(context, ledger, &path, &why);
	begin(&mirror, context, ledger, path, &why);
	if (status == OK)
		status = engine_read(&context->engine, rule_about, &mirror, &why);
	if (status == OK && (status = open_file(&mirror, path, O_RDONLY)) == OK)
		status = look_at_end(&mirror);
	if (status != OK)
		snprintf(line, sizeof line, "%s: %.1000s", ledger, why.data);
	else if (mirror.seq == mirror.about.last && str_equal(mirror.hash, mirror.about.head) && mirror.torn.len == 0)
		snprintf(line, sizeof line, "%s: ends as the ledger %s does", path, ledger);
	else
		snprintf(line, sizeof line,
		         "%s: doesn't end as the ledger %s does; `stile ledger mirror %s` brings it up to date, or tells why not", path,
		         ledger, ledger);
	/* of a ledger to which nothing was appended there is nothing to mirror */
	if (status != NO_SUCH)
		told(arg, status != OK || strstr(line, ": ends as") == NULL, line);
	end(&mirror);
	buf_release(&why);
}

void
ledger_mirror_findings(struct context *context, void (*told)(void *arg, int state, const char *line), void *arg)
{
	const struct config *config = &context->engine.config;

	for (size_t i = 0; i < config->count; i++) {
		const struct config_item *item = &config->items[i];

		if (str_starts(item->section, SECTION) && str_equal(item->key, "mirror") && *item->value != '\0')
			find_one(context, item->section + strlen(SECTION), told, arg);
	}
}
