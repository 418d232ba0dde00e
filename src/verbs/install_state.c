#include "verbs/install.h"

#include "clients/claude_settings.h"
#include "os/file.h"

#include <unistd.h>

struct asking {
	const struct context *context;
	hooks_each *each;
	void *arg;
};

const char *
hooks_state_name(enum hooks_state state)
{
	static const char *const names[] = {"installed", "missing", "stale", "disabled", "unreadable"};

	return names[state];
}

static void
judge(struct hooks_look *look, enum hooks_state state, const char *note)
{
	look->state = state;
	snprintf(look->note, sizeof look->note, "%s", note);
}

/* The program of one event's hook, and whether there is one. */
static enum status
look_at_event(const struct buf *text, const char *event, char out[PATH_SIZE], struct buf *why)
{
	struct buf program;
	enum status status;

	buf_init(&program, PATH_SIZE - 1);
	status = claude_settings_find(text->data, text->len, event, &program, why);
	if (status == OK)
		status = str_copy(out, PATH_SIZE, program.data);
	buf_release(&program);
	return status;
}

static void
look_at_program(const struct context *context, struct hooks_look *look, const char *program)
{
	char note[WHY_MAX];

	if (str_equal(program, context->program) && access(program, X_OK) == 0)
		return;
	if (access(program, X_OK) == 0)
		snprintf(note, sizeof note, "the hooks call %.400s, not this program (%.400s); run `stile init`", program,
		         context->program);
	else
		snprintf(note, sizeof note, "the hooks call %.800s, which can't be run; run `stile init`", program);
	judge(look, HOOKS_STALE, note);
}

static void
look_at_text(const struct context *context, const struct buf *text, struct hooks_look *look)
{
	size_t found = 0, wanted = 0;
	char program[PATH_SIZE];
	struct buf why;

	buf_init(&why, WHY_MAX);
	for (const char *event; (event = claude_settings_event(wanted)) != NULL; wanted++) {
		enum status status = look_at_event(text, event, program, &why);

		if (status != OK && status != NO_SUCH) {
			judge(look, HOOKS_UNREADABLE, why.data);
			break;
		}
		if (status == OK) {
			found++;
			look_at_program(context, look, program);
			if (str_equal(event, "PreToolUse"))
				snprintf(look->program, sizeof look->program, "%s", program);
		}
	}
	buf_release(&why);
	if (look->state == HOOKS_UNREADABLE)
		return;
	if (found == 0)
		judge(look, HOOKS_MISSING, "no hooks of ours; run `stile init`");
	else if (found < wanted)
		judge(look, HOOKS_STALE, "some events have no hook of ours; run `stile init`");
	else if (claude_settings_disabled(text->data, text->len))
		judge(look, HOOKS_DISABLED, "disableAllHooks is set in the client's settings");
}

static enum status
look_at_worktree(void *arg, const char *name, const char *root)
{
	const struct asking *asking = arg;
	struct hooks_look look = {.worktree = name, .root = root};
	char path[PATH_SIZE];
	struct buf text, why;
	enum status status;

	buf_init(&text, CLAUDE_SETTINGS_MAX);
	buf_init(&why, WHY_MAX);
	status = paths_join(path, sizeof path, root, INSTALL_SETTINGS_NAME);
	if (status == OK)
		status = file_read(path, &text, &why);
	if (status == OK || status == NO_SUCH)
		look_at_text(asking->context, &text, &look);
	else
		judge(&look, HOOKS_UNREADABLE, why.data);
	buf_release(&text);
	buf_release(&why);
	look.tracked = look.program[0] != '\0' && paths_is_tracked(&asking->context->place, name, INSTALL_SETTINGS_NAME);
	return asking->each(asking->arg, &look);
}

enum status
install_state(const struct context *context, hooks_each *each, void *arg)
{
	struct asking asking = {context, each, arg};

	return paths_worktrees(&context->place, look_at_worktree, &asking);
}
