#include "os/view.h"

#include "base/str.h"
#include "os/attend.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/view_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEFT_MAX 1024 /* private folders that one view_clear looks at */

static enum status
not_entered(const struct view *view, const struct view_report *report, struct buf *why)
{
	const char *reason = strerror(report->error);

	if (report->stage == VIEW_STAGE_SPACE || (report->stage == VIEW_STAGE_MOUNT && report->error != ENOENT))
		return why_not(why, NOT_ALLOWED, "this system lets us mount nothing over %s (%s); nothing was run", view->folder,
		               reason);
	if (report->stage == VIEW_STAGE_REPLACED || report->stage == VIEW_STAGE_MOUNT)
		return why_not(why, CONFLICT, "%s: was replaced at the same moment; nothing was run, try again", view->folder);
	return why_not(why, IO_FAILED, "%s: can't be covered: %s; nothing was run", view->folder, reason);
}

/* Whether the child became the command; if not, why it didn't is in *report. */
static bool
became(int fd, struct view_report *report)
{
	ssize_t got;

	do
		got = read(fd, report, sizeof *report);
	while (got < 0 && errno == EINTR);
	return got == 0;
}

/* Until the command has ended.  *rest: nothing of it is left running. */
static enum status
run_inside(const struct view *view, struct view_private *private, char *const argv[], int *exit, bool *rest, struct buf *why)
{
	struct view_report report;
	struct attend attend;
	enum status status = OK;
	int fds[2], ended;
	pid_t pid, parent = getpid();

	if (why != NULL)
		buf_clear(why);
	if (pipe2(fds, O_CLOEXEC) != 0)
		return why_not(why, IO_FAILED, "no pipe: %s", strerror(errno));
	attend_begin(&attend);
	pid = fork();
	if (pid == 0)
		view_enter(private, argv, &attend, parent, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		status = why_not(why, IO_FAILED, "no process could be made: %s", strerror(errno));
	} else {
		bool did = became(fds[0], &report);

		ended = attend_wait(pid);
		*rest = attend_rest(VIEW_LINGER_MS);
		if (did)
			*exit = ended;
		else if (report.stage == VIEW_STAGE_RUN)
			*exit = report.error == ENOENT || report.error == ENOTDIR ? 127 : 126;
		else
			status = not_entered(view, &report, why);
		if (status == OK && !did)
			why_not(why, OK, "%s: %s", argv[0], strerror(report.error));
	}
	close(fds[0]);
	attend_end(&attend);
	return status;
}

/* Of two outcomes the first that is none is told, with its reason. */
static enum status
first_of(enum status status, enum status next, struct buf *why, struct buf *reason)
{
	if (status == OK && next != OK)
		status = why_not(why, next, "%s", reason->data);
	buf_release(reason);
	return status;
}

/* What is in it goes where it belongs, and then it goes itself, if all did and nobody is in it. */
static enum status
finish(const struct view *view, struct view_private *private, bool stays, struct buf *why)
{
	struct buf reason;
	enum status status = view_settle_links(view, private, why);

	buf_init(&reason, WHY_MAX);
	status = first_of(status, view_take_back(view, private, &reason), why, &reason);
	fault_point(FAULT_VIEW_TAKEN);
	buf_init(&reason, WHY_MAX);
	status = first_of(status, view_bring_back(view, private, stays, &reason), why, &reason);
	if (stays)
		view->tell(view->arg, VIEW_REMAINS, "", private->path);
	if (!stays && !private->left) {
		buf_init(&reason, WHY_MAX);
		status = first_of(status, file_remove_folder(private->path, &reason), why, &reason);
	}
	return status;
}

enum status
view_run(const struct view *view, char *const argv[], int *exit, struct buf *why)
{
	struct view_private private;
	bool rest = true, made;
	struct buf reason;
	enum status status;

	*exit = -1;
	buf_init(&reason, WHY_MAX);
	status = view_private_make(view, &private, why);
	made = private.lock >= 0;
	if (status == OK)
		status = run_inside(view, &private, argv, exit, &rest, why);
	if (status == OK) {
		status = first_of(status, finish(view, &private, !rest, &reason), why, &reason);
	} else if (made) {
		status = first_of(status, file_remove_folder(private.path, &reason), why, &reason);
	}
	view_private_release(&private);
	return status;
}

static enum status
clear_one(const struct view *view, const char *id, struct buf *why)
{
	struct view_private private;
	enum status status;
	int lock;

	status = view_place_lock(view->place, &lock, why);
	if (status != OK)
		return status;
	status = view_private_adopt(view->place, id, &private, why);
	close(lock);
	if (status == OK)
		status = finish(view, &private, false, why);
	else if (status == BAD_INPUT)
		status = file_remove_folder(private.path, why);
	view_private_release(&private);
	return status == NO_SUCH ? OK : status;
}

static int
is_private(const struct dirent *entry)
{
	return strspn(entry->d_name, "0123456789abcdef") == 16 && entry->d_name[16] == '\0';
}

enum status
view_clear(const struct view *view, struct buf *why)
{
	struct dirent **names;
	int count = scandir(view->place, &names, is_private, alphasort);
	enum status status = OK;

	if (count < 0)
		return errno == ENOENT ? OK : why_not(why, IO_FAILED, "%s: %s", view->place, strerror(errno));
	for (int i = 0; i < count; i++) {
		struct buf reason;

		buf_init(&reason, WHY_MAX);
		status = first_of(status, i < LEFT_MAX ? clear_one(view, names[i]->d_name, &reason) : OK, why, &reason);
		free(names[i]);
	}
	free(names);
	return status;
}
