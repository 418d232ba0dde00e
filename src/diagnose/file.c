#include "diagnose/targets.h"
#include "os/file_change.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/*
 * ALAI's logs and documents.  A shell's `>>` writes a long line in pieces of 4096 bytes, between which another's comes.  The head of
 * a day's log is written by everybody who finds none.  A document that is derived by two is the last one's.
 */
#define LOG "log.jsonl"
#define DAY "2026-05-18.md"
#define HEAD "# 2026-05-18\n"
#define DOCUMENT "gotcha-task.md"
#define PIECE 4096
#define READ_MAX ((size_t)192 << 20)

static const size_t lengths[] = {400, 9000, (size_t)1 << 20};
#define LENGTHS (sizeof lengths / sizeof *lengths)

static enum status
path_of(const struct race *race, const char *name, char out[PATH_SIZE], struct buf *why)
{
	enum status status = paths_join(out, PATH_SIZE, race->trial->folder, name);

	return status == OK ? OK : why_not(why, status, "the path is too long");
}

/* A line that is one writer's from its first byte to its last; the caller frees it. */
static char *
make_line(unsigned writer, size_t len)
{
	char *line = malloc(len + 1);

	if (line == NULL)
		return NULL;
	memset(line, '0' + (int)(writer % 64), len);
	line[len - 1] = '\n';
	line[len] = '\0';
	return line;
}

static enum status
prepare_log(struct race *race, struct buf *why)
{
	(void)why;
	snprintf(race->trial->expected, sizeof race->trial->expected, "%zu lines, 0 broken", race->trial->writers * LENGTHS);
	return OK;
}

static enum status
one_rule(struct txn *txn, void *arg, struct buf *why)
{
	(void)txn;
	(void)arg;
	(void)why;
	return OK;
}

static enum status
make_change(void *arg, struct buf *why)
{
	return file_change_make(arg, why);
}

/* In a transaction of its own, as `stile file` does. */
static enum status
make(struct race *race, struct file_change *change, struct buf *why)
{
	enum status status = engine_run_with(race->engine, one_rule, make_change, change, why);

	if (status == OK)
		status = file_change_settle(change, why);
	file_change_release(change);
	return status;
}

static enum status
append_whole(struct race *race, const char *path, const char *line, size_t len, struct buf *why)
{
	struct file_change change;
	enum status status;

	do {
		status = file_change_append(&change, path, line, len, 0600, why);
		if (status == OK)
			status = make(race, &change, why);
	} while (status == CONFLICT && change.there);
	return status;
}

static enum status
append_lines(struct race *race, struct buf *why)
{
	char path[PATH_SIZE];
	enum status status = path_of(race, LOG, path, why);

	for (size_t i = 0; i < LENGTHS && status == OK; i++) {
		char *line = make_line(race->self->number, lengths[i]);

		if (line == NULL)
			return why_not(why, NO_MEMORY, "out of memory");
		status = race->trial->guarded ? append_whole(race, path, line, lengths[i], why)
		                              : trial_append_file(race, LOG, line, lengths[i], PIECE, why);
		free(line);
	}
	return status;
}

static bool
is_whole(const char *line, size_t len)
{
	bool known = false;

	for (size_t i = 0; i < LENGTHS; i++)
		known = known || len + 1 == lengths[i];
	for (size_t i = 0; known && i < len; i++)
		known = line[i] == line[0];
	return known;
}

static enum status
look_at_log(struct race *race, struct buf *why)
{
	unsigned whole = 0, broken = 0;
	char path[PATH_SIZE];
	struct buf text;
	enum status status = path_of(race, LOG, path, why);

	buf_init(&text, READ_MAX);
	if (status == OK)
		status = file_read(path, &text, why);
	for (const char *at = text.data, *end; status == OK && *at != '\0'; at = end + (*end == '\n')) {
		end = at + strcspn(at, "\n");
		if (*end == '\n' && is_whole(at, (size_t)(end - at)))
			whole++;
		else
			broken++;
	}
	buf_release(&text);
	race->finding->wanted = (int64_t)(race->trial->writers * LENGTHS);
	race->finding->kept = whole;
	race->finding->unreadable = broken > 0;
	snprintf(race->finding->found, sizeof race->finding->found, "%u lines, %u broken", whole, broken);
	return status;
}

static enum status
prepare_day(struct race *race, struct buf *why)
{
	(void)why;
	snprintf(race->trial->expected, sizeof race->trial->expected, "heads 1, entries %u", race->trial->writers);
	return OK;
}

static enum status
overwrite(const char *path, const char *text, struct buf *why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool done = fd >= 0 && file_write_all(fd, text, strlen(text));
	enum status status = done ? OK : why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));

	if (fd >= 0)
		close(fd);
	return status;
}

static enum status
begin_day(struct race *race, const char *path, struct buf *why)
{
	race->self->seen = access(path, F_OK) != 0;
	if (trial_meet(race, why) != OK)
		return BUSY;
	return race->self->seen == 1 ? overwrite(path, HEAD, why) : OK;
}

static enum status
begin_day_once(struct race *race, const char *path, struct buf *why)
{
	struct file_change change;
	enum status status = file_change_create(&change, path, HEAD, strlen(HEAD), 0600, why);

	if (status == OK)
		status = make(race, &change, why);
	race->self->seen = status == OK && !change.there;
	/* another's entry stands below the same head by now */
	return status == CONFLICT && change.there ? OK : status;
}

static enum status
log_entry(struct race *race, struct buf *why)
{
	char path[PATH_SIZE], entry[40];
	enum status status = path_of(race, DAY, path, why);

	snprintf(entry, sizeof entry, "- entry of %u\n", race->self->number);
	if (race->trial->guarded) {
		if (status == OK)
			status = begin_day_once(race, path, why);
		return status == OK ? append_whole(race, path, entry, strlen(entry), why) : status;
	}
	if (status == OK)
		status = begin_day(race, path, why);
	return status == OK ? trial_append_file(race, DAY, entry, strlen(entry), PIECE, why) : status;
}

static enum status
look_at_day(struct race *race, struct buf *why)
{
	unsigned heads = 0, entries = 0;
	char path[PATH_SIZE];
	struct buf text;
	enum status status = path_of(race, DAY, path, why);

	buf_init(&text, READ_MAX);
	if (status == OK)
		status = file_read(path, &text, why);
	for (const char *at = text.data; status == OK && (at = strstr(at, "- entry of ")) != NULL; at++)
		entries++;
	buf_release(&text);
	for (unsigned i = 0; i < race->trial->writers; i++)
		heads += race->trial->shared->writers[i].seen == 1;
	trial_one_may(race, heads, "wrote the head");
	if (entries < race->trial->writers && race->finding->kept == race->finding->wanted)
		race->finding->kept = entries;
	snprintf(race->finding->found, sizeof race->finding->found, "heads %u, entries %u", heads, entries);
	return status;
}

static enum status
prepare_document(struct race *race, struct buf *why)
{
	(void)why;
	snprintf(race->trial->expected, sizeof race->trial->expected, "1 written, %u told", race->trial->writers - 1);
	return OK;
}

static enum status
write_document(struct race *race, struct buf *why)
{
	char path[PATH_SIZE], text[60];
	struct file_change change;
	enum status status = path_of(race, DOCUMENT, path, why);

	snprintf(text, sizeof text, "# task, as writer %02u derived it\n", race->self->number);
	snprintf(race->self->id, sizeof race->self->id, "%s", text);
	if (!race->trial->guarded) {
		if (status == OK)
			status = trial_meet(race, why);
		return status == OK ? overwrite(path, text, why) : status;
	}
	if (status == OK)
		status = file_change_create(&change, path, text, strlen(text), 0600, why);
	if (status == OK)
		status = make(race, &change, why);
	race->self->seen = status == CONFLICT;
	return status == CONFLICT ? OK : status;
}

static enum status
look_at_document(struct race *race, struct buf *why)
{
	unsigned written = 0, told = 0;
	char path[PATH_SIZE];
	struct buf text;
	enum status status = path_of(race, DOCUMENT, path, why);

	buf_init(&text, READ_MAX);
	if (status == OK)
		status = file_read(path, &text, why);
	for (unsigned i = 0; i < race->trial->writers; i++) {
		const struct writer *writer = &race->trial->shared->writers[i];

		written += str_equal(writer->id, text.data);
		told += writer->seen == 1 && !str_equal(writer->id, text.data);
	}
	buf_release(&text);
	race->finding->wanted = race->trial->writers;
	race->finding->kept = written + told;
	race->finding->unreadable = written == 0;
	snprintf(race->finding->found, sizeof race->finding->found, "%u written, %u told", written, told);
	return status;
}

const struct target target_file_append = {
	"file-append",
	{.prepare = prepare_log, .write = append_lines, .look = look_at_log},
	{.prepare = prepare_log, .write = append_lines, .look = look_at_log, .apart = true},
};

const struct target target_daily_header = {
	"daily-header",
	{.prepare = prepare_day, .write = log_entry, .look = look_at_day},
	{.prepare = prepare_day, .write = log_entry, .look = look_at_day, .apart = true},
};

const struct target target_derived_doc = {
	"derived-doc",
	{.prepare = prepare_document, .write = write_document, .look = look_at_document},
	{.prepare = prepare_document, .write = write_document, .look = look_at_document, .apart = true},
};
