#include "verbs/ledger_key.h"

#include "os/file_change.h"
#include "os/random.h"

#include <sys/stat.h>

#define FILE_NAME "ledger.key"
#define TEXT_SIZE (2 * SEED_BYTES + 2) /* with a newline and the NUL */

static enum status
parse(const char *path, const struct buf *text, uint8_t out[SEED_BYTES], struct buf *why)
{
	char digits[TEXT_SIZE];

	snprintf(digits, sizeof digits, "%.*s", text->len > 0 && text->data[text->len - 1] == '\n' ? (int)text->len - 1 : (int)text->len,
	         text->data);
	if (text->len >= TEXT_SIZE || !hex_read(digits, out, SEED_BYTES))
		return why_not(why, BAD_INPUT, "%s: that is no key; restore it, or move it away and let heads be signed by a new one", path);
	return OK;
}

static enum status
read_key(const char *path, uint8_t out[SEED_BYTES], struct buf *why)
{
	struct stat there;
	struct buf text;
	enum status status;

	if (lstat(path, &there) == 0 && (there.st_mode & 077) != 0)
		return why_not(why, NOT_ALLOWED, "%s: others can read this key (mode %03o); chmod 600 it, or move it away for a new one", path,
		               (unsigned)there.st_mode & 0777);
	buf_init(&text, 4096);
	status = file_read(path, &text, why);
	if (status == OK)
		status = parse(path, &text, out, why);
	buf_release(&text);
	return status;
}

enum status
ledger_key_there(const struct context *context, uint8_t out[SEED_BYTES], struct buf *why)
{
	char path[PATH_SIZE];
	enum status status = paths_join(path, sizeof path, context->address.folder, FILE_NAME);

	return status == OK ? read_key(path, out, why) : status;
}

/* By whoever comes first; the others find that one. */
static enum status
make_key(const char *path, struct buf *why)
{
	struct file_change change = {.fd = -1};
	uint8_t seed[SEED_BYTES];
	char text[TEXT_SIZE];
	enum status status = random_bytes(seed, sizeof seed);

	if (status != OK)
		return why_not(why, IO_FAILED, "the system has no randomness to give");
	hex_write(seed, sizeof seed, text);
	text[TEXT_SIZE - 2] = '\n';
	text[TEXT_SIZE - 1] = '\0';
	status = file_change_create(&change, path, text, TEXT_SIZE - 1, 0600, why);
	if (status == OK)
		status = file_change_make(&change, why);
	if (status == OK)
		status = file_change_settle(&change, why);
	file_change_release(&change);
	return status == CONFLICT ? OK : status;
}

enum status
ledger_key(struct context *context, uint8_t out[SEED_BYTES], struct buf *why)
{
	char path[PATH_SIZE];
	enum status status = ledger_key_there(context, out, why);

	if (status != NO_SUCH)
		return status;
	status = context_make_place(context, why);
	if (status == OK)
		status = paths_join(path, sizeof path, context->address.folder, FILE_NAME);
	if (status == OK)
		status = make_key(path, why);
	if (status == OK)
		status = why_not(why, OK, "%s", "");
	return status == OK ? read_key(path, out, why) : status;
}
