#include "lib/viewing.h"

#include "base/str.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_MAX ((size_t)64 << 10)
#define DIGITS 8
#define ORDINARY 65534 /* a user that is nobody special */

static char last[256];

static _Noreturn void
give_up(const char *what)
{
	fprintf(stderr, "viewing: %s: %s\n", what, strerror(errno));
	abort();
}

static const char *
event_name(enum view_event event)
{
	static const char *const names[] = {"moved", "replaced", "removed", "stays", "kept", "left", "remains"};

	return names[event];
}

static enum status
take(void *arg, struct view_change *change, struct buf *why)
{
	struct viewing *viewing = arg;

	buf_printf(&viewing->taken, "%s %s %s>%s\n", change->label, change->name, change->was_there ? change->was.data : "-",
	           change->there ? change->now.data : "-");
	return viewing->takes == OK ? OK : why_not(why, viewing->takes, "not taken");
}

static void
tell(void *arg, enum view_event event, const char *name, const char *as)
{
	struct viewing *viewing = arg;
	size_t len = strlen(as);

	if (event == VIEW_LEFT || event == VIEW_REMAINS)
		as = "";
	else if (str_equal(name, as))
		as = "";
	else if (len > DIGITS && strspn(as + len - DIGITS, "0123456789abcdef") == DIGITS)
		len -= DIGITS;
	buf_printf(&viewing->told, "%s %s %.*s\n", event_name(event), name, (int)(*as == '\0' ? 0 : len), as);
}

static struct viewing *
make(const char *label, const char *one)
{
	struct viewing *viewing = calloc(1, sizeof *viewing);

	if (viewing == NULL)
		give_up("memory");
	viewing->label = label;
	viewing->files[0] = (struct view_file){"one", true, one, strlen(one)};
	viewing->files[1] = (struct view_file){"two", false, "", 0};
	buf_init(&viewing->why, WHY_MAX);
	buf_init(&viewing->taken, LOG_MAX);
	buf_init(&viewing->told, LOG_MAX);
	return viewing;
}

static void
release(struct viewing *viewing)
{
	buf_release(&viewing->why);
	buf_release(&viewing->taken);
	buf_release(&viewing->told);
	free(viewing);
}

struct viewing *
viewing_new(const char *one)
{
	struct viewing *viewing = make("label", one);
	char path[4096];

	viewing->top = scratch_folder();
	viewing->folder = scratch_path(viewing->top, "seen");
	viewing->place = scratch_path(viewing->top, "place");
	snprintf(path, sizeof path, "%s/sub", viewing->folder);
	if (mkdir(viewing->folder, 0755) != 0 || mkdir(path, 0755) != 0 || chdir(viewing->top) != 0)
		give_up(viewing->top);
	viewing_write(viewing, "known", "known");
	viewing_write(viewing, "one", "everybody's");
	return viewing;
}

void
viewing_free(struct viewing *viewing)
{
	if (chdir("/") != 0)
		give_up("/");
	free(viewing->folder);
	free(viewing->place);
	scratch_remove(viewing->top);
	release(viewing);
}

struct viewing *
viewing_other(const struct viewing *viewing, const char *label, const char *one)
{
	struct viewing *other = make(label, one);

	other->top = viewing->top;
	other->folder = viewing->folder;
	other->place = viewing->place;
	return other;
}

void
viewing_free_other(struct viewing *viewing)
{
	release(viewing);
}

static struct view
view_of(struct viewing *viewing)
{
	buf_clear(&viewing->why);
	buf_clear(&viewing->taken);
	buf_clear(&viewing->told);
	return (struct view){.folder = viewing->folder,
	                     .place = viewing->place,
	                     .label = viewing->label,
	                     .files = viewing->files,
	                     .count = 2,
	                     .take = take,
	                     .tell = tell,
	                     .arg = viewing};
}

void
viewing_run(struct viewing *viewing, char *const argv[])
{
	struct view view = view_of(viewing);

	viewing->status = view_run(&view, argv, &viewing->exit, &viewing->why);
}

void
viewing_script(struct viewing *viewing, const char *script)
{
	char *text = strdup(script);
	char *const argv[] = {"sh", "-c", text, NULL};

	if (text == NULL)
		give_up("memory");
	viewing_run(viewing, argv);
	free(text);
}

void
viewing_clear(struct viewing *viewing)
{
	struct view view = view_of(viewing);

	viewing->status = view_clear(&view, &viewing->why);
}

static unsigned
count_in(const char *folder, const char *beginning, char found[256])
{
	DIR *open = opendir(folder);
	struct dirent *entry;
	unsigned count = 0;

	while (open != NULL && (entry = readdir(open)) != NULL)
		if (entry->d_name[0] != '.' && str_starts(entry->d_name, beginning)) {
			snprintf(found, 256, "%s", entry->d_name);
			count++;
		}
	if (open != NULL)
		closedir(open);
	return count;
}

unsigned
viewing_left(const struct viewing *viewing)
{
	char found[256];

	return count_in(viewing->place, "", found) - count_in(viewing->place, "lock", found);
}

unsigned
viewing_count(const struct viewing *viewing, const char *beginning)
{
	char found[256];

	return count_in(viewing->folder, beginning, found);
}

const char *
viewing_text(const struct viewing *viewing, const char *name)
{
	char *path = scratch_path(viewing->folder, name);
	struct buf text;

	buf_init(&text, sizeof last - 1);
	snprintf(last, sizeof last, "%s", file_read(path, &text, NULL) == OK ? text.len > 0 ? text.data : "" : "(none)");
	buf_release(&text);
	free(path);
	return last;
}

const char *
viewing_beside(const struct viewing *viewing, const char *name)
{
	char beginning[200], found[256];

	snprintf(beginning, sizeof beginning, "%s.view-", name);
	return count_in(viewing->folder, beginning, found) == 1 ? viewing_text(viewing, found) : "(none)";
}

void
viewing_write(const struct viewing *viewing, const char *name, const char *text)
{
	char *path = scratch_path(viewing->folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		give_up(path);
	close(fd);
	free(path);
}

static void
become_ordinary(void)
{
	if (setgroups(0, NULL) != 0 || setgid(ORDINARY) != 0 || setuid(ORDINARY) != 0)
		give_up("an ordinary user");
	/* else our own files in /proc would not be ours */
	prctl(PR_SET_DUMPABLE, 1);
}

int
viewing_as_both(int (*run)(const char *who))
{
	int failed = run("as who runs it"), status = 0;
	pid_t pid;

	if (geteuid() != 0)
		return failed;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		become_ordinary();
		exit(run("as an ordinary user"));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		give_up("fork");
	return failed + (status != 0);
}

int
viewing_set_up(void **state)
{
	*state = viewing_new("mine");
	return 0;
}

int
viewing_tear_down(void **state)
{
	viewing_free(*state);
	return 0;
}

bool
viewing_ended(const struct viewing *viewing, int exit)
{
	unsigned left = viewing_left(viewing);
	bool well = viewing->status == OK && viewing->exit == exit && left == 0;

	if (!well)
		fprintf(stderr, "view: status %d, exit %d, %u left: %s\n", viewing->status, viewing->exit, left, viewing->why.data);
	return well;
}
