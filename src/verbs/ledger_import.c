#include "verbs/ledger_import.h"

#include "core/ledger.h"
#include "os/lines.h"
#include "verbs/caller.h"

#define KEY "line/"
#define BATCH_LINES 100 /* appended in one transaction */
#define BATCH_BYTES ((size_t)1 << 20)

struct line {
	char key[sizeof KEY + DIGEST_SIZE];
	size_t from, len; /* in the batch's texts */
};

struct work {
	struct ledger_import *import;
	struct caller caller;
	struct lines lines;
	char digest[DIGEST_SIZE]; /* of all lines up to the one at hand */
	struct buf texts;
	struct line batch[BATCH_LINES];
	size_t count;
	int64_t present; /* of the batch */
};

static enum status
rule_caller(struct txn *txn, void *data, struct buf *why)
{
	return caller_find(txn, NULL, &((struct work *)data)->caller, why);
}

static enum status
check_line(const struct lines *lines, const char *text, size_t len, struct buf *why)
{
	if (!json_is_whole_object(text, len))
		return why_not(why, BAD_INPUT, "%s: line %lld is no JSON object; nothing was appended", lines->path,
		               (long long)lines->number);
	return OK;
}

static enum status
check_all(struct work *work, struct buf *why)
{
	struct lines *lines = &work->lines;
	const char *text;
	size_t len;
	enum status status;

	while ((status = lines_next(lines, &text, &len, why)) == OK) {
		if (!lines->whole) {
			work->import->torn = lines->number;
			break;
		}
		status = check_line(lines, text, len, why);
		if (status != OK)
			return status;
		work->import->lines++;
	}
	return status == NO_SUCH || status == OK ? lines_again(lines, why) : status;
}

static enum status
add_line(struct work *work, const char *text, size_t len)
{
	struct line *line = &work->batch[work->count++];
	struct buf bytes;
	enum status status;

	buf_init(&bytes, LEDGER_BODY_MAX + DIGEST_SIZE);
	buf_text(&bytes, work->digest);
	buf_add(&bytes, text, len);
	status = buf_status(&bytes);
	digest_make(work->digest, bytes.data, bytes.len);
	buf_release(&bytes);
	snprintf(line->key, sizeof line->key, KEY "%s", work->digest);
	line->from = work->texts.len;
	line->len = len;
	buf_add(&work->texts, text, len);
	buf_add(&work->texts, "", 1);
	return status == OK ? buf_status(&work->texts) : status;
}

/* No more than were looked at: what came since is for the next time. */
static enum status
read_batch(struct work *work, struct buf *why)
{
	enum status status = OK;
	const char *text;
	size_t len;

	buf_clear(&work->texts);
	work->count = 0;
	while (status == OK && work->count < BATCH_LINES && work->texts.len < BATCH_BYTES &&
	       work->lines.number < work->import->lines) {
		status = lines_next(&work->lines, &text, &len, why);
		if (status == OK)
			status = check_line(&work->lines, text, len, why);
		if (status == OK)
			status = add_line(work, text, len);
	}
	return status == NO_SUCH ? why_not(why, IO_FAILED, "%s: was cut while it was read", work->lines.path) : status;
}

static enum status
rule_batch(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = OK;

	txn->actor = work->caller.actor;
	work->present = 0;
	for (size_t i = 0; i < work->count && status == OK; i++) {
		const struct line *line = &work->batch[i];
		struct ledger_append ask = {.ledger = work->import->ledger,
		                            .key = line->key,
		                            .session = work->caller.session,
		                            .kind = "",
		                            .body = work->texts.data + line->from,
		                            .size = line->len};
		struct ledger_appended made;

		status = ledger_append(txn, &ask, &made, why);
		work->present += status == OK && made.again;
	}
	/* a lawful no is rolled back */
	return status == OK && work->import->dry ? HELD : status;
}

static enum status
append_all(struct context *context, struct work *work, struct buf *why)
{
	enum status status;

	do {
		status = read_batch(work, why);
		if (status != OK || work->count == 0)
			return status;
		status = engine_run(&context->engine, rule_batch, work, why);
		if (status == HELD && work->import->dry)
			status = why_not(why, OK, "%s", "");
		if (status == OK)
			work->import->present += work->present;
	} while (status == OK);
	return status;
}

enum status
ledger_import_run(struct context *context, struct ledger_import *import, struct buf *why)
{
	struct work *work = calloc(1, sizeof *work);
	enum status status;

	if (work == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	work->import = import;
	buf_init(&work->texts, BATCH_BYTES + LEDGER_BODY_MAX + BATCH_LINES);
	work->lines.fd = -1;
	status = engine_read(&context->engine, rule_caller, work, why);
	if (status == OK)
		status = lines_open(&work->lines, import->path, LEDGER_BODY_MAX, why);
	if (status == OK)
		status = check_all(work, why);
	if (status == OK)
		status = append_all(context, work, why);
	lines_close(&work->lines);
	buf_release(&work->texts);
	free(work);
	return status;
}
