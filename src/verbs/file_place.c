#include "verbs/file_place.h"

#include "os/clock.h"
#include "os/file_change.h"
#include "os/random.h"

#include <errno.h>

#define CLONE_FILE "clone"

/* FNV-1a. */
static uint64_t
number_of(const char *text)
{
	uint64_t number = 0xcbf29ce484222325;

	for (; *text != '\0'; text++)
		number = (number ^ (unsigned char)*text) * 0x100000001b3;
	return number;
}

static enum status
read_clone(const char *path, char out[ID_SIZE], struct buf *why)
{
	struct buf text;
	enum status status;

	buf_init(&text, ID_SIZE - 1);
	status = file_read(path, &text, why);
	if (status == OK && str_check_id(path, text.data, ID_SIZE - 1, why) != OK)
		status = IO_FAILED;
	if (status == OK)
		snprintf(out, ID_SIZE, "%s", text.data);
	buf_release(&text);
	return status;
}

static enum status
make_clone(const char *path, struct buf *why)
{
	struct file_change change;
	uint8_t random[10];
	char id[ID_SIZE];
	enum status status;

	if (random_bytes(random, sizeof random) != OK)
		return why_not(why, IO_FAILED, "the system has no randomness to give");
	id_make(id, clock_wall_ms(), random);
	status = file_change_create(&change, path, id, strlen(id), 0600, why);
	if (status == OK)
		status = file_change_make(&change, why);
	/* another's is as good */
	if (status == OK && !change.there)
		status = file_change_settle(&change, why);
	file_change_release(&change);
	return status;
}

static enum status
find_clone(const struct context *context, char out[ID_SIZE], struct buf *why)
{
	char path[PATH_SIZE];
	enum status status = paths_join(path, sizeof path, context->address.folder, CLONE_FILE);

	if (status != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", context->address.folder);
	status = read_clone(path, out, why);
	if (status != NO_SUCH)
		return status;
	status = context_make_place(context, why);
	if (status == OK)
		status = make_clone(path, why);
	return status == OK ? read_clone(path, out, why) : status;
}

/* Absolute, without links; the file itself need not be there. */
static enum status
resolve(const char *path, char folder[PATH_SIZE], char out[PATH_SIZE], struct buf *why)
{
	const char *slash = strrchr(path, '/');

	if (realpath(path, out) != NULL)
		return paths_parent(folder, PATH_SIZE, out);
	if (errno != ENOENT)
		return why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	if (paths_parent(out, PATH_SIZE, path) != OK || realpath(out, folder) == NULL)
		return why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	return paths_join(out, PATH_SIZE, folder, slash == NULL ? path : slash + 1);
}

enum status
file_resource(const struct context *context, const char *path, char out[RESOURCE_MAX + 1], struct buf *why)
{
	char folder[PATH_SIZE], whole[PATH_SIZE], clone[ID_SIZE];
	const char *worktree = "-", *inside = whole + 1, *common = context->place.common;
	struct place place;
	int len;
	enum status status = resolve(path, folder, whole, why);

	if (status == OK)
		status = find_clone(context, clone, why);
	if (status == OK)
		status = paths_find(folder, &place, why);
	if (status != OK)
		return status;
	if (str_equal(place.common, common) && (*common != '\0' || str_equal(place.root, context->place.root))) {
		worktree = place.worktree[0] == '\0' ? "." : place.worktree;
		inside = whole + strlen(place.root);
		inside += *inside == '/';
	}
	len = snprintf(out, RESOURCE_MAX + 1, "file/%s-%016llx/%s/%s", clone,
	               (unsigned long long)number_of(*common == '\0' ? context->place.root : common), worktree, inside);
	if (len > RESOURCE_MAX || str_check_id("the file", out, RESOURCE_MAX, NULL) != OK)
		snprintf(out, RESOURCE_MAX + 1, "file/%s-%016llx/%.100s/#%016llx", clone,
		         (unsigned long long)number_of(*common == '\0' ? context->place.root : common), worktree,
		         (unsigned long long)number_of(inside));
	return OK;
}
