#include "os/paths.h"

#include "base/str.h"
#include "os/file.h"
#include "os/git_config.h"
#include "os/git_index.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define CONFIG_MAX ((size_t)4 << 20)

enum status
paths_join(char *out, size_t size, const char *folder, const char *name)
{
	size_t len = strlen(folder), name_len = strlen(name);

	while (len > 0 && folder[len - 1] == '/')
		len--;
	if (len + 1 + name_len >= size)
		return BAD_INPUT;
	memmove(out, folder, len);
	out[len] = '/';
	memcpy(out + len + 1, name, name_len);
	out[len + 1 + name_len] = '\0';
	return OK;
}

enum status
paths_parent(char *out, size_t size, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - path);

	if (len + 2 > size)
		return BAD_INPUT;
	if (len == 0)
		return str_copy(out, size, slash == NULL ? "." : "/");
	memmove(out, path, len);
	out[len] = '\0';
	return OK;
}

/* `path`, seen from `folder` if it is relative, with links resolved.  False when it leads nowhere. */
static bool
resolve(char out[PATH_SIZE], const char *folder, const char *path)
{
	char joined[PATH_SIZE];

	if (*path == '/')
		return realpath(path, out) != NULL;
	return paths_join(joined, sizeof joined, folder, path) == OK && realpath(joined, out) != NULL;
}

/* The one line that the file <folder>/<name> holds, without `prefix`.  False when it isn't there or isn't so. */
static bool
read_line(const char *folder, const char *name, const char *prefix, char out[PATH_SIZE])
{
	size_t skip = strlen(prefix);
	char path[PATH_SIZE];
	struct buf text;
	bool good;

	buf_init(&text, PATH_SIZE - 1);
	good = paths_join(path, sizeof path, folder, name) == OK && file_read(path, &text, NULL) == OK &&
	       str_starts(text.data, prefix);
	while (good && text.len > skip && strchr("\r\n", text.data[text.len - 1]) != NULL)
		text.data[--text.len] = '\0';
	good = good && text.len > skip && strlen(text.data) == text.len && str_copy(out, PATH_SIZE, text.data + skip) == OK;
	buf_release(&text);
	return good;
}

static bool
is_commit(const char *text)
{
	size_t len = strspn(text, "0123456789abcdef");

	return (len == 40 || len == 64) && text[len] == '\0';
}

/* A folder with a HEAD is a repository; what it says is the branch. */
static bool
read_head(const char *git, struct place *out)
{
	char head[PATH_SIZE];
	const char *name = head;

	out->branch[0] = '\0';
	if (!read_line(git, "HEAD", "", head))
		return false;
	if (str_starts(head, "ref: "))
		name = str_starts(head, "ref: refs/heads/") ? head + strlen("ref: refs/heads/") : head + strlen("ref: ");
	else if (!is_commit(head))
		return false;
	/* what it writes where branches are kept in another way than in files */
	if (str_equal(name, ".invalid") || str_copy(out->branch, sizeof out->branch, name) != OK)
		out->branch[0] = '\0';
	return true;
}

/* Fills in what the worktrees share, from the worktree's own git folder. */
static enum status
find_common(struct place *out, struct buf *why)
{
	char line[PATH_SIZE], folder[PATH_SIZE];
	const char *name;

	if (!read_line(out->git, "commondir", "", line))
		return str_copy(out->common, sizeof out->common, out->git);
	if (!resolve(out->common, out->git, line))
		return why_not(why, BAD_INPUT, "%s/commondir: leads nowhere (%s)", out->git, line);
	name = strrchr(out->git, '/') + 1;
	if (paths_join(folder, sizeof folder, out->common, "worktrees") != OK || !str_starts(out->git, folder) ||
	    out->git + strlen(folder) + 1 != name)
		return OK;
	if (str_copy(out->worktree, sizeof out->worktree, name) != OK)
		return why_not(why, BAD_INPUT, "%s: a worktree's name may have at most %d bytes", out->git, WORKTREE_SIZE - 1);
	return OK;
}

static enum status
look_for_git(const char *folder, struct place *out, struct buf *why)
{
	char path[PATH_SIZE], line[PATH_SIZE];
	struct stat there;

	if (paths_join(path, sizeof path, folder, ".git") != OK || stat(path, &there) != 0)
		return NO_SUCH;
	if (S_ISREG(there.st_mode)) {
		if (!read_line(folder, ".git", "gitdir: ", line))
			return why_not(why, BAD_INPUT, "%s: is a file that doesn't say where its git folder is", path);
		if (!resolve(out->git, folder, line) || !read_head(out->git, out))
			return why_not(why, BAD_INPUT, "%s: leads to %s, which is no git folder; `git worktree repair` may help", path,
			               line);
		return find_common(out, why);
	}
	if (!S_ISDIR(there.st_mode) || realpath(path, out->git) == NULL || !read_head(out->git, out)) {
		out->git[0] = '\0';
		return NO_SUCH;
	}
	return find_common(out, why);
}

/* NO_SUCH when `folder` holds no git worktree; when memory ran out that is not known. */
static enum status
try_git(const char *folder, struct place *out, struct buf *why)
{
	enum status status;

	errno = 0;
	status = look_for_git(folder, out, why);
	return status != OK && errno == ENOMEM ? why_not(why, NO_MEMORY, "out of memory") : status;
}

static bool
holds_store(const char *folder)
{
	char path[PATH_SIZE];
	struct stat there;

	return paths_join(path, sizeof path, folder, ".stile") == OK && stat(path, &there) == 0 && S_ISDIR(there.st_mode);
}

enum status
paths_find(const char *folder, struct place *out, struct buf *why)
{
	char start[PATH_SIZE], at[PATH_SIZE];
	struct stat there;
	enum status status;

	if (realpath(folder, start) == NULL || stat(start, &there) != 0)
		return why_not(why, NO_SUCH, "%s: %s", folder, strerror(errno));
	if (!S_ISDIR(there.st_mode))
		return why_not(why, NO_SUCH, "%s: is not a folder", folder);
	*out = (struct place){0};
	snprintf(at, sizeof at, "%s", start);
	for (;;) {
		status = try_git(at, out, why);
		if (status == OK || (status == NO_SUCH && holds_store(at)))
			return str_copy(out->root, sizeof out->root, at);
		if (status != NO_SUCH)
			return status;
		if (str_equal(at, "/"))
			return str_copy(out->root, sizeof out->root, start);
		if (paths_parent(at, sizeof at, at) != OK)
			return BAD_INPUT;
	}
}

/* One value of the repository's configuration; what it says of this checkout alone stands in a second file. */
static bool
git_value(const char *common, const char *section, const char *subsection, const char *key, char out[PATH_SIZE])
{
	static const char *const names[] = {"config", "config.worktree"};
	char path[PATH_SIZE];
	struct buf text;
	bool found = false;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		buf_init(&text, CONFIG_MAX);
		if (paths_join(path, sizeof path, common, names[i]) == OK && file_read(path, &text, NULL) == OK &&
		    git_config_get(text.data, section, subsection, key, out, PATH_SIZE))
			found = true;
		buf_release(&text);
	}
	return found;
}

/* False when there is none: the repository is bare, or doesn't say where its checkout is. */
static bool
main_worktree(const struct place *place, char out[PATH_SIZE])
{
	char value[PATH_SIZE];

	if (place->common[0] == '\0')
		return str_copy(out, PATH_SIZE, place->root) == OK;
	if (git_value(place->common, "core", NULL, "bare", value) && str_equal(value, "true"))
		return false;
	if (place->worktree[0] == '\0')
		return str_copy(out, PATH_SIZE, place->root) == OK;
	if (git_value(place->common, "core", NULL, "worktree", value))
		return resolve(out, place->common, value);
	return str_ends(place->common, "/.git") && paths_parent(out, PATH_SIZE, place->common) == OK;
}

/* The root of the worktree `name`, if it is there and still this repository's. */
static bool
linked_worktree(const char *worktrees, const char *name, char out[PATH_SIZE])
{
	char own[PATH_SIZE], line[PATH_SIZE], back[PATH_SIZE];

	if (paths_join(own, sizeof own, worktrees, name) != OK || !read_line(own, "gitdir", "", line) || !str_ends(line, "/.git"))
		return false;
	line[strlen(line) - strlen("/.git")] = '\0';
	if (!resolve(out, own, *line == '\0' ? "/" : line) || !read_line(out, ".git", "gitdir: ", line))
		return false;
	return resolve(back, out, line) && resolve(line, "/", own) && str_equal(back, line);
}

static enum status
each_linked(const char *worktrees, struct dirent *const *names, int count, paths_each *each, void *arg)
{
	char root[PATH_SIZE];
	enum status status = OK;

	for (int i = 0; i < count && status == OK; i++) {
		const char *name = names[i]->d_name;

		if (name[0] != '.' && strlen(name) < WORKTREE_SIZE && linked_worktree(worktrees, name, root))
			status = each(arg, name, root);
	}
	return status;
}

enum status
paths_worktrees(const struct place *place, paths_each *each, void *arg)
{
	char root[PATH_SIZE], worktrees[PATH_SIZE];
	struct dirent **names = NULL;
	enum status status = OK;
	int count;

	if (main_worktree(place, root))
		status = each(arg, "", root);
	if (status != OK || place->common[0] == '\0' || paths_join(worktrees, sizeof worktrees, place->common, "worktrees") != OK)
		return status;
	count = scandir(worktrees, &names, NULL, alphasort);
	if (count < 0)
		return errno == ENOENT ? OK : errno == ENOMEM ? NO_MEMORY : IO_FAILED;
	status = each_linked(worktrees, names, count, each, arg);
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return status;
}

bool
paths_is_tracked(const struct place *place, const char *name, const char *path)
{
	char index[PATH_SIZE], format[PATH_SIZE];
	bool sha256, tracked = false;
	struct buf bytes;
	int len = snprintf(index, sizeof index, *name == '\0' ? "%s/%sindex" : "%s/worktrees/%s/index", place->common, name);

	if (place->common[0] == '\0' || len < 0 || (size_t)len >= sizeof index)
		return false;
	sha256 = git_value(place->common, "extensions", NULL, "objectformat", format) && str_equal(format, "sha256");
	buf_init(&bytes, GIT_INDEX_MAX);
	if (file_read(index, &bytes, NULL) == OK)
		tracked = git_index_has(bytes.data, bytes.len, sha256 ? GIT_SHA256_SIZE : GIT_SHA1_SIZE, path);
	buf_release(&bytes);
	return tracked;
}

static enum status
default_store(const struct place *place, struct store_address *out, struct buf *why)
{
	bool git = place->common[0] != '\0';

	if (paths_join(out->folder, sizeof out->folder, git ? place->common : place->root, git ? "stile" : ".stile") != OK ||
	    paths_join(out->file, sizeof out->file, out->folder, "stile.db") != OK)
		return why_not(why, BAD_CONFIG, "%s: the path is too long for a store", place->root);
	return str_copy(out->project, sizeof out->project, ".");
}

/* A name for the codebase that is the same in every clone of it, if it comes from somewhere. */
static enum status
name_project(const struct place *place, struct store_address *out, struct buf *why)
{
	char url[PATH_SIZE], root[PATH_SIZE];
	const char *slash;
	size_t len;

	if (place->common[0] != '\0' && git_value(place->common, "remote", "origin", "url", url) &&
	    git_url_normalise(url, out->project, sizeof out->project) == OK)
		return str_check_id("the project's name (from the remote origin)", out->project, sizeof out->project - 1, why);
	if (!main_worktree(place, root) && str_copy(root, sizeof root, place->common) != OK)
		return BAD_CONFIG;
	slash = strrchr(root, '/');
	if (slash == NULL || slash[1] == '\0')
		return why_not(why, BAD_CONFIG, "STILE_STORE needs ?project=NAME here: %s gives no name", root);
	len = strlen(slash + 1);
	if (len > 4 && str_ends(root, ".git"))
		len -= 4;
	if (snprintf(out->project, sizeof out->project, "%.*s", (int)len, slash + 1) >= (int)sizeof out->project)
		return why_not(why, BAD_CONFIG, "STILE_STORE needs ?project=NAME here: %s is too long a name", slash + 1);
	return OK;
}

static enum status
named_store(const char *path, struct store_address *out, struct buf *why)
{
	char clean[PATH_SIZE];
	size_t len = strlen(path);

	if (str_copy(clean, sizeof clean, path) != OK)
		return why_not(why, BAD_CONFIG, "STILE_STORE: a path has at most %d bytes", PATH_SIZE - 1);
	while (len > 1 && clean[len - 1] == '/')
		clean[--len] = '\0';
	if (str_ends(clean, ".db") && !str_ends(clean, "/.db"))
		return paths_parent(out->folder, sizeof out->folder, clean) == OK ? str_copy(out->file, sizeof out->file, clean)
		                                                                  : BAD_CONFIG;
	if (str_copy(out->folder, sizeof out->folder, clean) != OK)
		return BAD_CONFIG;
	return paths_join(out->file, sizeof out->file, clean, "stile.db");
}

bool
paths_is_server(const char *stile_store)
{
	return str_starts(stile_store, "postgresql://") || str_starts(stile_store, "postgres://");
}

/* %xx are the bytes they stand for. */
static void
decode(const char *text, char *out, size_t size)
{
	char *end = out + size - 1;

	for (; *text != '\0' && out < end; text++) {
		unsigned byte;

		if (*text == '%' && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2]) &&
		    sscanf(text + 1, "%2x", &byte) == 1 && byte != 0) {
			*out++ = (char)byte;
			text += 2;
		} else {
			*out++ = *text;
		}
	}
	*out = '\0';
}

static bool
has_password(const char *address)
{
	char plain[PATH_SIZE];
	const char *user = paths_is_server(address) ? strstr(address, "://") + 3 : "";
	size_t len = strcspn(user, "@/");

	decode(address, plain, sizeof plain);
	return strstr(plain, "password=") != NULL || (user[len] == '@' && memchr(user, ':', len) != NULL);
}

enum status
paths_refuse_password(const char *what, const char *address, struct buf *why)
{
	return has_password(address)
	           ? why_not(why, BAD_INPUT,
	                     "%s: a password on a command line can be read by others; use a password file (PGPASSFILE)", what)
	           : OK;
}

/* The address without who it is for and how: it may stand in errors.  Where that is in doubt nothing is left. */
static void
name_server(const char *url, char *out, size_t size)
{
	const char *begin = strstr(url, "://") + 3, *at;
	size_t len = strcspn(begin, "?#");

	if (strchr(begin + len, '@') != NULL)
		len = 0;
	for (at = begin + len; at > begin && at[-1] != '@';)
		at--;
	snprintf(out, size, "postgresql://%.*s", (int)(len - (size_t)(at - begin)), at);
}

/* Takes "project=NAME" out of the parameters of out->url. */
static enum status
take_project(struct store_address *out, struct buf *why)
{
	char *at = strchr(out->url, '?'), *end;

	while (at != NULL && !str_starts(at + 1, "project="))
		at = strchr(at + 1, '&');
	if (at == NULL)
		return NO_SUCH;
	end = at + 1 + strcspn(at + 1, "&");
	if (snprintf(out->project, sizeof out->project, "%.*s", (int)(end - at) - (int)sizeof "project=", at + sizeof "project=") >=
	        (int)sizeof out->project ||
	    str_check_id("STILE_STORE: the project's name", out->project, sizeof out->project - 1, why) != OK)
		return why_not(why, BAD_CONFIG, "STILE_STORE: the project's name has 1 to %zu bytes and no control characters",
		               sizeof out->project - 1);
	if (*end == '\0')
		*at = '\0';
	else
		memmove(at + 1, end + 1, strlen(end + 1) + 1);
	return OK;
}

static enum status
server_store(const struct place *place, const char *stile_store, struct store_address *out, struct buf *why)
{
	enum status status = default_store(place, out, why);

	if (status == OK && str_copy(out->url, sizeof out->url, stile_store) != OK)
		status = why_not(why, BAD_CONFIG, "STILE_STORE: an address has at most %d bytes", PATH_SIZE - 1);
	if (status == OK)
		status = take_project(out, why);
	if (status == NO_SUCH)
		status = name_project(place, out, why);
	name_server(stile_store, out->file, sizeof out->file);
	return status;
}

enum status
paths_store(const struct place *place, const char *stile_store, struct store_address *out, struct buf *why)
{
	const char *question;
	char path[PATH_SIZE];
	enum status status;

	if (stile_store == NULL || *stile_store == '\0')
		return default_store(place, out, why);
	if (paths_is_server(stile_store))
		return server_store(place, stile_store, out, why);
	if (strstr(stile_store, "://") != NULL)
		return why_not(why, BAD_CONFIG, "STILE_STORE: give an absolute path or a postgresql:// address");
	if (*stile_store != '/')
		return why_not(why, BAD_CONFIG, "STILE_STORE: is neither an absolute path nor a postgresql:// address");
	question = strchr(stile_store, '?');
	if (question != NULL && !str_starts(question, "?project="))
		return why_not(why, BAD_CONFIG, "STILE_STORE: only ?project=NAME may follow the path");
	if (snprintf(path, sizeof path, "%.*s", (int)strcspn(stile_store, "?"), stile_store) >= (int)sizeof path)
		return why_not(why, BAD_CONFIG, "STILE_STORE: a path has at most %d bytes", PATH_SIZE - 1);
	status = named_store(path, out, why);
	if (status != OK || question == NULL)
		return status == OK ? name_project(place, out, why) : status;
	question += strlen("?project=");
	if (str_check_id("STILE_STORE: the project's name", question, sizeof out->project - 1, why) != OK)
		return BAD_CONFIG;
	return str_copy(out->project, sizeof out->project, question);
}
