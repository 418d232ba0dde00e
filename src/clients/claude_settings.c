#include "clients/claude_settings.h"

#include "base/json.h"
#include "base/jsontext.h"
#include "base/str.h"

/*
 * WorktreeCreate is not here: a hook there would replace git's way.  Seconds, and far more than it takes: past them the client
 * goes on as if there were no hook.  A prompt may wait half a minute for the codebase.  SessionEnd's are short, since the person waits
 * for the client to be gone.
 */
static const struct wanted {
	const char *event;
	int timeout;
} events[] = {
	{"SessionStart", 10},       {"SessionEnd", 2},         {"UserPromptSubmit", 45}, {"PreToolUse", 10},  {"PostToolUse", 10},
	{"PostToolUseFailure", 10}, {"PermissionRequest", 10}, {"Notification", 10},     {"Stop", 10},        {"StopFailure", 10},
	{"SubagentStart", 10},      {"SubagentStop", 10},      {"PreCompact", 10},       {"PostCompact", 10}, {"CwdChanged", 10},
	{"Elicitation", 10},        {"ElicitationResult", 10}, {"PermissionDenied", 10},
};

#define EVENTS (sizeof events / sizeof *events)

const char *
claude_settings_event(size_t n)
{
	return n < EVENTS ? events[n].event : NULL;
}

/* An entry of ours, and the way to it. */
struct ours {
	struct json_piece group; /* {"matcher":..., "hooks":[...]} */
	struct json_piece hooks; /* the group's list */
	struct json_piece entry;
	struct json_piece command;
};

static bool
is_program(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL && (str_equal(slash, "/stile") || str_starts(slash, "/stile-"));
}

static bool
is_ours(const char *text, const struct json_piece *entry, struct json_piece *command)
{
	struct json_piece args, one, two, more;
	struct buf program;
	bool ours;

	if (!jsontext_member(text, entry, "args", &args) || !jsontext_child(text, &args, NULL, &one) ||
	    !jsontext_is(text, &one, "hook") || !jsontext_child(text, &args, &one, &two) || !jsontext_is(text, &two, "claude") ||
	    jsontext_child(text, &args, &two, &more))
		return false;
	if (!jsontext_member(text, entry, "command", command) || command->kind != JSON_PIECE_STRING)
		return false;
	buf_init(&program, CLAUDE_SETTINGS_MAX);
	jsontext_string(text, command, &program);
	ours = buf_status(&program) == OK && is_program(program.data);
	buf_release(&program);
	return ours;
}

/* The entry of ours in an event's list that comes after `skip` others. */
static bool
find_ours(const char *text, const struct json_piece *list, size_t skip, struct ours *out)
{
	struct json_piece group, hooks, entry;

	for (bool more = jsontext_child(text, list, NULL, &group); more; more = jsontext_child(text, list, &group, &group)) {
		if (!jsontext_member(text, &group, "hooks", &hooks))
			continue;
		for (bool other = jsontext_child(text, &hooks, NULL, &entry); other;
		     other = jsontext_child(text, &hooks, &entry, &entry)) {
			struct json_piece command;

			if (!is_ours(text, &entry, &command) || skip-- > 0)
				continue;
			*out = (struct ours){group, hooks, entry, command};
			return true;
		}
	}
	return false;
}

/* The settings, and `hooks` in them.  *has_hooks is false when they have none. */
static enum status
look(const struct buf *text, struct json_piece *root, struct json_piece *hooks, bool *has_hooks, struct buf *why)
{
	enum status status = jsontext_root(text->data, text->len, root, why);
	struct json_piece event;

	if (status != OK)
		return status;
	if (root->kind != JSON_PIECE_OBJECT)
		return why_not(why, BAD_INPUT, "not settings: there is no object");
	*has_hooks = jsontext_member(text->data, root, "hooks", hooks);
	if (!*has_hooks)
		return OK;
	if (hooks->kind != JSON_PIECE_OBJECT)
		return why_not(why, BAD_INPUT, "not settings: \"hooks\" is no object");
	for (bool more = jsontext_child(text->data, hooks, NULL, &event); more;
	     more = jsontext_child(text->data, hooks, &event, &event))
		if (event.kind != JSON_PIECE_ARRAY)
			return why_not(why, BAD_INPUT, "not settings: %.*s in \"hooks\" is no array", (int)(event.from - event.key),
			               text->data + event.key);
	return OK;
}

/* `next`, an edit of `text`, takes its place. */
static enum status
adopt(struct buf *text, struct buf *next, struct buf *why)
{
	enum status status = buf_status(next);

	if (status != OK) {
		buf_release(next);
		return why_not(why, status, status == NO_MEMORY ? "out of memory" : "the settings would be longer than %zu bytes",
		               CLAUDE_SETTINGS_MAX);
	}
	buf_release(text);
	*text = *next;
	return OK;
}

static enum status
begin(struct buf *out, const char *text, size_t len, struct buf *why)
{
	buf_init(out, CLAUDE_SETTINGS_MAX);
	buf_add(out, text, len);
	return buf_status(out) == OK ? OK
	                             : why_not(why, buf_status(out), "the settings are longer than %zu bytes", CLAUDE_SETTINGS_MAX);
}

/* Our group for one event. */
static json_t *
make_group(const struct wanted *event, const char *program)
{
	return json_pack("{s:[{s:s, s:s, s:[s, s], s:i}]}", "hooks", "type", "command", "command", program, "args", "hook",
	                 "claude", "timeout", event->timeout);
}

/* The whole of `hooks`. */
static json_t *
make_hooks(const char *program)
{
	json_t *hooks = json_object();

	for (size_t i = 0; i < EVENTS; i++)
		json_object_set_new(hooks, events[i].event, json_pack("[o]", make_group(&events[i], program)));
	return hooks;
}

/* Takes over `value`. */
static enum status
insert(struct buf *text, const struct json_piece *in, const char *key, json_t *value, struct buf *why)
{
	struct buf compact, next;

	buf_init(&compact, CLAUDE_SETTINGS_MAX);
	buf_init(&next, CLAUDE_SETTINGS_MAX);
	json_write(&compact, value);
	json_decref(value);
	jsontext_insert(text->data, text->len, in, key, compact.data, &next);
	buf_release(&compact);
	return adopt(text, &next, why);
}

static enum status
change_program(struct buf *text, const struct json_piece *command, const char *program, struct buf *why)
{
	json_t *value = json_string(program);
	struct buf quoted, next;

	buf_init(&quoted, CLAUDE_SETTINGS_MAX);
	buf_init(&next, CLAUDE_SETTINGS_MAX);
	json_write(&quoted, value);
	json_decref(value);
	jsontext_replace(text->data, text->len, command, quoted.data, &next);
	buf_release(&quoted);
	return adopt(text, &next, why);
}

static enum status
take_out(struct buf *text, const struct json_piece *in, const struct json_piece *piece, struct buf *why)
{
	struct buf next;

	buf_init(&next, CLAUDE_SETTINGS_MAX);
	jsontext_remove(text->data, text->len, in, piece, &next);
	return adopt(text, &next, why);
}

static bool
is_only_child(const char *text, const struct json_piece *in, const struct json_piece *piece)
{
	struct json_piece first, more;

	return jsontext_child(text, in, NULL, &first) && first.key == piece->key && !jsontext_child(text, in, piece, &more);
}

/* Whether the text from before had that event, or with NULL `hooks` at all. */
static bool
was_there(const struct buf *before, const char *text, const struct json_piece *event)
{
	struct json_piece root, hooks, same;
	struct buf name;
	bool there;

	if (before == NULL || jsontext_root(before->data, before->len, &root, NULL) != OK ||
	    !jsontext_member(before->data, &root, "hooks", &hooks))
		return false;
	if (event == NULL)
		return true;
	buf_init(&name, CLAUDE_SETTINGS_MAX);
	jsontext_key(text, event, &name);
	there = buf_status(&name) == OK && jsontext_member(before->data, &hooks, name.data, &same);
	buf_release(&name);
	return there;
}

/* Takes out one entry, and upwards what holds nothing else. */
static enum status
take_out_ours(struct buf *text, const struct json_piece *root, const struct json_piece *hooks, const struct json_piece *event,
              const struct ours *ours, const struct buf *before, struct buf *why)
{
	struct json_piece settings_hooks;

	if (!is_only_child(text->data, &ours->hooks, &ours->entry))
		return take_out(text, &ours->hooks, &ours->entry, why);
	if (!is_only_child(text->data, event, &ours->group) || was_there(before, text->data, event))
		return take_out(text, event, &ours->group, why);
	if (!is_only_child(text->data, hooks, event) || was_there(before, text->data, NULL))
		return take_out(text, hooks, event, why);
	if (!jsontext_member(text->data, root, "hooks", &settings_hooks))
		return BAD_INPUT;
	return take_out(text, root, &settings_hooks, why);
}

static bool
is_wanted(const char *text, const struct json_piece *event)
{
	struct json_piece name = {.kind = JSON_PIECE_STRING, .from = event->key};

	for (size_t i = 0; i < EVENTS; i++)
		if (jsontext_is(text, &name, events[i].event))
			return true;
	return false;
}

/* Takes out one entry: any; or, with `extra_only`, one too many or of an event that isn't wanted.  NO_SUCH when there is none. */
static enum status
take_out_next(struct buf *text, bool extra_only, const struct buf *before, struct buf *why)
{
	struct json_piece root, hooks, event;
	struct ours ours;
	bool has_hooks = false;
	enum status status = look(text, &root, &hooks, &has_hooks, why);

	if (status != OK || !has_hooks)
		return status == OK ? NO_SUCH : status;
	for (bool more = jsontext_child(text->data, &hooks, NULL, &event); more;
	     more = jsontext_child(text->data, &hooks, &event, &event)) {
		size_t skip = extra_only && is_wanted(text->data, &event) ? 1 : 0;

		if (find_ours(text->data, &event, skip, &ours))
			return take_out_ours(text, &root, &hooks, &event, &ours, before, why);
	}
	return NO_SUCH;
}

static enum status
take_out_all(struct buf *text, bool extra_only, const struct buf *before, struct buf *why)
{
	enum status status;

	do
		status = take_out_next(text, extra_only, before, why);
	while (status == OK);
	return status == NO_SUCH ? OK : status;
}

static enum status
install_event(struct buf *text, const struct wanted *event, const char *program, struct buf *why)
{
	struct json_piece root, hooks, list;
	struct ours ours;
	bool has_hooks = false;
	enum status status = look(text, &root, &hooks, &has_hooks, why);

	if (status != OK)
		return status;
	if (!has_hooks)
		return insert(text, &root, "hooks", make_hooks(program), why);
	if (!jsontext_member(text->data, &hooks, event->event, &list))
		return insert(text, &hooks, event->event, json_pack("[o]", make_group(event, program)), why);
	if (!find_ours(text->data, &list, 0, &ours))
		return insert(text, &list, NULL, make_group(event, program), why);
	return jsontext_is(text->data, &ours.command, program) ? OK : change_program(text, &ours.command, program, why);
}

static bool
is_blank(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
			return false;
	return true;
}

enum status
claude_settings_install(const char *text, size_t len, const char *program, struct buf *out, struct buf *why)
{
	bool blank = is_blank(text, len);
	enum status status;

	if (!is_program(program) || str_check_text("the program's path", program, TEXT_MAX, why) != OK)
		return why_not(why, BAD_INPUT, "%s: only a program named stile, with a path in UTF-8, can be put into settings",
		               program);
	status = begin(out, blank ? "{}\n" : text, blank ? 3 : len, why);
	for (size_t i = 0; i < EVENTS && status == OK; i++)
		status = install_event(out, &events[i], program, why);
	return status == OK ? take_out_all(out, true, NULL, why) : status;
}

enum status
claude_settings_remove(const char *text, size_t len, const struct buf *before, struct buf *out, struct buf *why)
{
	enum status status = begin(out, text, len, why);

	if (status != OK || is_blank(text, len))
		return status;
	return take_out_all(out, false, before, why);
}

enum status
claude_settings_find(const char *text, size_t len, const char *event, struct buf *program, struct buf *why)
{
	struct json_piece root, hooks, list;
	struct ours ours;
	struct buf copy;
	bool has_hooks = false;
	enum status status;

	if (is_blank(text, len))
		return NO_SUCH;
	status = begin(&copy, text, len, why);
	if (status == OK)
		status = look(&copy, &root, &hooks, &has_hooks, why);
	if (status == OK &&
	    (!has_hooks || !jsontext_member(copy.data, &hooks, event, &list) || !find_ours(copy.data, &list, 0, &ours)))
		status = NO_SUCH;
	if (status == OK) {
		jsontext_string(copy.data, &ours.command, program);
		status = buf_status(program);
	}
	buf_release(&copy);
	return status;
}

bool
claude_settings_disabled(const char *text, size_t len)
{
	struct json_piece root, value;

	return jsontext_root(text, len, &root, NULL) == OK && jsontext_member(text, &root, "disableAllHooks", &value) &&
	       value.kind == JSON_PIECE_WORD && text[value.from] == 't';
}

bool
claude_settings_empty(const char *text, size_t len)
{
	struct json_piece root, child;

	return jsontext_root(text, len, &root, NULL) == OK && root.kind == JSON_PIECE_OBJECT &&
	       !jsontext_child(text, &root, NULL, &child);
}
