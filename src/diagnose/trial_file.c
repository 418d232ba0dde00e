#include "diagnose/trial.h"

#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FILE_MAX ((size_t)64 << 10)

enum status
trial_read_text(const struct race *race, const char *name, struct buf *out, struct buf *why)
{
	char path[PATH_SIZE];
	enum status status = paths_join(path, sizeof path, race->trial->folder, name);

	return status == OK ? file_read(path, out, why) : why_not(why, status, "the path is too long");
}

enum status
trial_append_file(struct race *race, const char *name, const char *data, size_t len, size_t piece, struct buf *why)
{
	char path[PATH_SIZE];
	enum status status = paths_join(path, sizeof path, race->trial->folder, name);
	int fd = status == OK ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	for (size_t at = 0; status == OK && at < len; at += piece < len ? piece : len) {
		if (!file_write_all(fd, data + at, len - at < piece ? len - at : piece))
			status = why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
		else if (at == 0 && len > piece)
			status = trial_meet(race, why);
	}
	close(fd);
	return status;
}

enum status
trial_read_file(const struct race *race, const char *name, json_t **out, struct buf *why)
{
	struct buf text;
	enum status status;

	buf_init(&text, FILE_MAX);
	status = trial_read_text(race, name, &text, why);
	if (status == OK)
		status = json_parse(text.data, text.len, out, why);
	buf_release(&text);
	return status;
}

/* As writeFileSync does: no lock, no temporary file, the old content gone before the new one is there. */
static enum status
overwrite(const char *path, const struct buf *text, struct buf *why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t wrote = -1;

	if (fd < 0)
		return why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	do
		wrote = write(fd, text->data, text->len);
	while (wrote < 0 && errno == EINTR);
	if (close(fd) != 0 || wrote != (ssize_t)text->len)
		return why_not(why, IO_FAILED, "%s: could not be written whole", path);
	return OK;
}

enum status
trial_write_file(const struct race *race, const char *name, const json_t *value, struct buf *why)
{
	char path[PATH_SIZE];
	struct buf text;
	enum status status = paths_join(path, sizeof path, race->trial->folder, name);

	if (status != OK)
		return status;
	buf_init(&text, FILE_MAX);
	json_write(&text, value);
	status = value == NULL ? NO_MEMORY : buf_status(&text);
	if (status == OK)
		status = overwrite(path, &text, why);
	buf_release(&text);
	return status;
}
