#include "os/view_parts.h"

#include "base/str.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/random.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define ID_DIGITS 16
#define LOCK_WAIT_MS 10000
#define RECORD_MAX ((size_t)32 << 10)

bool
view_is_own(const struct view_private *private, const char *name)
{
	for (size_t i = 0; i < private->count; i++)
		if (str_equal(private->names[i], name))
			return true;
	return false;
}

enum status
view_place_lock(const char *place, int *fd, struct buf *why)
{
	char path[PATH_SIZE];

	if (paths_join(path, sizeof path, place, "lock") != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", place);
	return file_lock(path, LOCK_WAIT_MS, fd, why);
}

/* The paths of a private folder. */
static enum status
name_parts(struct view_private *private, const char *place, const char *id, struct buf *why)
{
	*private = (struct view_private){.lock = -1, .real_fd = -1, .cover_fd = -1};
	if (paths_join(private->path, sizeof private->path, place, id) != OK ||
	    paths_join(private->cover, sizeof private->cover, private->path, "cover") != OK ||
	    paths_join(private->beneath, sizeof private->beneath, private->path, "beneath") != OK ||
	    paths_join(private->was, sizeof private->was, private->path, "was") != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", place);
	return OK;
}

void
view_private_release(struct view_private *private)
{
	const int fds[] = {private->lock, private->real_fd, private->cover_fd};

	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(private->entries);
	private->lock = private->real_fd = private->cover_fd = -1;
	private->entries = NULL;
}

/* Opens what is to be covered; a link there would cover what somebody else chose. */
static enum status
open_real(struct view_private *private, bool make, struct buf *why)
{
	enum status status = OK;

	private->real_fd = open(private->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (private->real_fd < 0 && errno == ENOENT && make) {
		status = file_make_folder(private->folder, 0777, NULL, why);
		private->real_fd = open(private->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (private->real_fd >= 0 || status != OK)
		return status;
	if (errno == ELOOP || errno == ENOTDIR)
		return why_not(why, BAD_INPUT, "%s: is a link or no folder; a view covers only a folder itself", private->folder);
	return why_not(why, IO_FAILED, "%s: %s", private->folder, strerror(errno));
}

static bool
take_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* The record is there whole before anybody can be in the view. */
static enum status
write_record(struct view_private *private, struct buf *why)
{
	char path[PATH_SIZE + 8];
	struct buf text;
	bool done;

	snprintf(path, sizeof path, "%s/owner", private->path);
	buf_init(&text, RECORD_MAX);
	buf_printf(&text, "%s\n%s\n", private->label, private->folder);
	for (size_t i = 0; i < private->count; i++)
		buf_printf(&text, "%s\n", private->names[i]);
	buf_text(&text, "\n");
	private->lock = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	done = buf_status(&text) == OK && private->lock >= 0 && take_lock(private->lock) &&
	       file_write_all(private->lock, text.data, text.len);
	buf_release(&text);
	return done ? file_give(path, why) : why_not(why, IO_FAILED, "%s: can't be written: %s", path, strerror(errno));
}

/* One line of the record; false when there is none. */
static bool
take_line(const char **at, char *out, size_t size)
{
	size_t len = strcspn(*at, "\n");

	if ((*at)[len] != '\n' || len >= size)
		return false;
	memcpy(out, *at, len);
	out[len] = '\0';
	*at += len + 1;
	return true;
}

static bool
read_record(struct view_private *private, const char *text)
{
	char name[VIEW_NAME_SIZE];

	if (!take_line(&text, private->label, sizeof private->label) || !take_line(&text, private->folder, sizeof private->folder))
		return false;
	while (take_line(&text, name, sizeof name) && *name != '\0' && private->count < VIEW_FILES_MAX)
		memcpy(private->names[private->count++], name, sizeof name);
	/* the empty line says that it is whole */
	return *name == '\0' && private->folder[0] == '/';
}

enum status
view_private_adopt(const char *place, const char *id, struct view_private *private, struct buf *why)
{
	char path[PATH_SIZE + 8], space[PATH_SIZE + 8];
	enum status status = name_parts(private, place, id, why);
	struct buf text;

	if (status != OK)
		return status;
	snprintf(path, sizeof path, "%s/owner", private->path);
	private->lock = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (private->lock < 0)
		return errno == ENOENT ? BAD_INPUT : why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	if (!take_lock(private->lock) || view_space_lives(private->path))
		return NO_SUCH;
	snprintf(space, sizeof space, "%s/space", private->path);
	if (access(space, F_OK) != 0 && errno == ENOENT)
		return BAD_INPUT;
	buf_init(&text, RECORD_MAX);
	status = file_read(path, &text, why);
	if (status == OK && !read_record(private, text.data))
		status = BAD_INPUT;
	buf_release(&text);
	private->cover_fd = open(private->cover, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (status == OK && private->cover_fd < 0)
		status = BAD_INPUT;
	/* a folder that is gone takes nothing back; whether there is anything to bring is seen then */
	if (status == OK)
		(void)open_real(private, false, NULL);
	return status;
}

/* What it was is on disk, since changes are told by it; what the command sees is of no use without it. */
static enum status
write_own_file(struct view_private *private, const struct view_file *file, struct buf *why)
{
	char path[PATH_SIZE + VIEW_NAME_SIZE];
	enum status status;
	bool done;
	int fd;

	snprintf(path, sizeof path, "%s/%.255s", private->was, file->name);
	status = file_replace(path, file->data, file->len, 0600, why);
	if (status != OK)
		return status;
	snprintf(path, sizeof path, "%s/%.255s", private->cover, file->name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	fault_point(FAULT_VIEW_FILLS);
	done = fd >= 0 && file_write_all(fd, file->data, file->len);
	if (!done)
		why_not(why, IO_FAILED, "%s: can't be written: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return done ? file_give(path, why) : IO_FAILED;
}

static enum status
write_own(const struct view *view, struct view_private *private, struct buf *why)
{
	enum status status = OK;

	for (size_t i = 0; status == OK && i < view->count; i++)
		if (view->files[i].there)
			status = write_own_file(private, &view->files[i], why);
	return status;
}

bool
view_look(int folder, const char *name, struct statx *out)
{
	return statx(folder, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, out) == 0;
}

/* What stands in the cover for one entry of the real folder. */
static bool
stand_in(struct view_private *private, struct view_entry *entry)
{
	char text[PATH_SIZE + VIEW_NAME_SIZE];
	ssize_t len;

	if (!view_look(private->real_fd, entry->name, &entry->real))
		return false;
	if (S_ISDIR(entry->real.stx_mode)) {
		entry->kind = VIEW_BOUND;
		return mkdirat(private->cover_fd, entry->name, 0700) == 0;
	}
	entry->kind = S_ISLNK(entry->real.stx_mode) ? VIEW_COPIED : VIEW_LINKED;
	if (entry->kind == VIEW_LINKED) {
		snprintf(text, sizeof text, "%s/%s", private->beneath, entry->name);
	} else {
		/* the same text from the same path leads to the same place */
		len = readlinkat(private->real_fd, entry->name, text, sizeof text - 1);
		if (len < 0)
			return false;
		text[len] = '\0';
	}
	return symlinkat(text, private->cover_fd, entry->name) == 0;
}

static enum status
add_entry(struct view_private *private, const char *name, struct buf *why)
{
	struct view_entry *entry = &private->entries[private->entry_count];

	if (private->entry_count == VIEW_ENTRIES_MAX)
		return why_not(why, BAD_INPUT, "%s: has more than %d entries", private->folder, VIEW_ENTRIES_MAX);
	*entry = (struct view_entry){0};
	snprintf(entry->name, sizeof entry->name, "%s", name);
	if (stand_in(private, entry))
	private->entry_count++;
	else if (errno != ENOENT) /* else it was removed just now */
		return why_not(why, IO_FAILED, "%s/%s: %s", private->folder, name, strerror(errno));
	return OK;
}

static enum status
fill_cover(struct view_private *private, struct buf *why)
{
	int fd = openat(private->real_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *real = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	enum status status = OK;

	private->entries = calloc(VIEW_ENTRIES_MAX, sizeof *private->entries);
	private->known = true;
	if (private->entries == NULL)
		status = why_not(why, NO_MEMORY, "out of memory");
	else if (real == NULL)
		status = why_not(why, IO_FAILED, "%s: %s", private->folder, strerror(errno));
	while (status == OK && real != NULL && (errno = 0, entry = readdir(real)) != NULL)
		if (!str_equal(entry->d_name, ".") && !str_equal(entry->d_name, "..") && !view_is_own(private, entry->d_name))
			status = add_entry(private, entry->d_name, why);
	if (status == OK && errno != 0)
		status = why_not(why, IO_FAILED, "%s: %s", private->folder, strerror(errno));
	if (real != NULL)
		closedir(real);
	else if (fd >= 0)
		close(fd);
	return status;
}

/* As the real folder to look at, save that we can write in it. */
static enum status
make_cover(struct view_private *private, struct buf *why)
{
	struct stat real;
	enum status status = file_make_folder(private->cover, 0700, NULL, why);

	if (status != OK)
		return status;
	private->cover_fd = open(private->cover, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (private->cover_fd < 0 || fstat(private->real_fd, &real) != 0 ||
	    (geteuid() == 0 && fchown(private->cover_fd, real.st_uid, real.st_gid) != 0) ||
	    fchmod(private->cover_fd, (real.st_mode & 07777) | S_IRWXU) != 0)
		return why_not(why, IO_FAILED, "%s: %s", private->cover, strerror(errno));
	return OK;
}

static enum status
note_names(const struct view *view, struct view_private *private, struct buf *why)
{
	if (view->count > VIEW_FILES_MAX || strchr(view->label, '\n') != NULL || strchr(view->folder, '\n') != NULL ||
	    str_copy(private->label, sizeof private->label, view->label) != OK ||
	    str_copy(private->folder, sizeof private->folder, view->folder) != OK)
		return why_not(why, BAD_INPUT, "%s: can't be covered: its path is too long or has a line end in it", view->folder);
	for (size_t i = 0; i < view->count; i++)
		snprintf(private->names[private->count++], VIEW_NAME_SIZE, "%s", view->files[i].name);
	return OK;
}

/* The folder with its locked record: nobody takes it for one that was left. */
static enum status
make_owned(const struct view *view, struct view_private *private, struct buf *why)
{
	enum status status = file_make_folder(view->place, 0700, NULL, why);
	int lock;

	if (status == OK)
		status = view_place_lock(view->place, &lock, why);
	if (status != OK)
		return status;
	status = file_make_folder(private->path, 0700, NULL, why);
	if (status == OK)
		status = write_record(private, why);
	close(lock);
	return status;
}

enum status
view_private_make(const struct view *view, struct view_private *private, struct buf *why)
{
	char id[ID_DIGITS + 1];
	uint64_t random = 0;
	enum status status = random_bytes(&random, sizeof random);

	*private = (struct view_private){.lock = -1, .real_fd = -1, .cover_fd = -1};
	snprintf(id, sizeof id, "%0*llx", ID_DIGITS, (unsigned long long)random);
	if (status == OK)
		status = name_parts(private, view->place, id, why);
	else
		status = why_not(why, IO_FAILED, "the system has no randomness to give");
	if (status == OK)
		status = note_names(view, private, why);
	if (status == OK)
		status = open_real(private, true, why);
	if (status == OK)
		status = make_owned(view, private, why);
	if (status == OK)
		status = file_make_folder(private->was, 0700, NULL, why);
	if (status == OK)
		status = file_make_folder(private->beneath, 0700, NULL, why);
	if (status == OK)
		status = make_cover(private, why);
	if (status == OK)
		status = write_own(view, private, why);
	return status == OK ? fill_cover(private, why) : status;
}
