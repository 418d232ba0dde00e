#include "hook/tell.h"

#include "os/clock.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)24 << 10) /* bytes that one answer says to the model */

#define WAIT_END_MS 500 /* at SessionEnd the client gives all hooks together about 1.5 s */
#define WAIT_HOOK_MS 2000

/* The reason; there may have been no memory to write one down. */
static const char *
text_of(const struct buf *why)
{
	return why->len > 0 ? why->data : status_row(NO_MEMORY)->sentence;
}

enum status
hook_read(const struct client *client, bool status_line, struct event *event, struct buf *why)
{
	struct buf text;
	uint64_t dropped = 0;
	json_t *payload = NULL;
	enum status status;

	buf_init(&text, EVENT_BYTES_MAX);
	status = file_drain(STDIN_FILENO, &text, &dropped, why);
	if (status == OK && dropped > 0)
		status = why_not(why, BAD_INPUT, "an event of %llu bytes was dropped; the limit is %zu MiB",
		                 (unsigned long long)text.len + dropped, EVENT_BYTES_MAX >> 20);
	if (status == OK)
		status = json_parse(text.data, text.len, &payload, why);
	buf_release(&text);
	if (status == OK)
		status = (status_line ? client->parse_status_line : client->parse)(payload, event, why);
	json_decref(payload);
	return status;
}

enum status
hook_place(struct context *context, const struct client *client, struct event *event, struct buf *why)
{
	const char *named = client->project_env == NULL ? NULL : getenv(client->project_env);
	struct place works;
	enum status status = NO_SUCH;

	if (named != NULL && *named == '/')
		status = context_find(context, named, why);
	if (status == NO_SUCH && event->cwd[0] != '\0')
		status = context_find(context, event->cwd, why);
	if (status == NO_SUCH)
		status = context_find(context, ".", why);
	if (status != OK)
		return status;
	context->address.hurried = true;
	/* the codebase is the session's for good; the worktree is where it works now */
	works = context->place;
	if (event->cwd[0] != '\0' && !str_equal(event->cwd, works.root) && paths_find(event->cwd, &works, NULL) == OK &&
	    strcmp(works.common, context->place.common) != 0)
		works = context->place;
	snprintf(event->worktree, sizeof event->worktree, "%s", works.worktree);
	snprintf(event->branch, sizeof event->branch, "%s", works.branch);
	if (event->cwd[0] == '\0')
		snprintf(event->cwd, sizeof event->cwd, "%s", works.root);
	return OK;
}

/* Whether it is a folder of ours, made now or before. */
static bool
is_ours(const char *path)
{
	struct stat folder;

	/* a umask may take even the owner's rights */
	if (mkdir(path, 0700) == 0 ? chmod(path, 0700) != 0 : errno != EEXIST)
		return false;
	return lstat(path, &folder) == 0 && S_ISDIR(folder.st_mode) && folder.st_uid == getuid();
}

/* The folder for marks: ours, 0700.  False when there is none that we can trust. */
static bool
mark_folder(char out[PATH_SIZE])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int len = runtime == NULL ? 0 : snprintf(out, PATH_SIZE, "%s/stile", runtime);

	if (len > 0 && len < PATH_SIZE && *runtime == '/' && is_ours(out))
		return true;
	snprintf(out, PATH_SIZE, "/tmp/stile-%lu", (unsigned long)getuid());
	return is_ours(out);
}

bool
hook_first_time(const struct event *event, const char *what)
{
	char folder[PATH_SIZE], path[PATH_SIZE + ID_MAX * 2];
	size_t from;
	int fd;

	if (!mark_folder(folder))
		return true;
	from = strlen(folder) + 1;
	snprintf(path, sizeof path, "%s/%s-%s-%.200s", folder, what, event->client, event->client_session);
	for (char *c = path + from; *c != '\0'; c++)
		if (*c == '/')
			*c = '_';
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0 || errno != EEXIST;
}

/* Whether the file ends in mid-line.  One that isn't there is made: the client may only have named it. */
static bool
ends_in_line(const char *path)
{
	int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	char last = '\n';
	bool read_one;

	if (fd < 0)
		return false;
	read_one = lseek(fd, -1, SEEK_END) >= 0 && read(fd, &last, 1) == 1;
	close(fd);
	return read_one && last != '\n';
}

/* Later commands of the session find it by its environment. */
static void
write_env_file(const struct event_answer *answer, struct buf *to_person)
{
	const char *path = getenv("CLAUDE_ENV_FILE");
	struct buf line;

	if (path == NULL || *path != '/')
		return;
	buf_init(&line, PATH_SIZE);
	buf_text(&line, ends_in_line(path) ? "\nexport STILE_SESSION=" : "export STILE_SESSION=");
	str_shell_quote(&line, answer->arrived.session.id);
	buf_text(&line, "\n");
	if (file_append(path, line.data, line.len, NULL) != OK)
		buf_printf(to_person, "stile: %s: STILE_SESSION could not be written", path);
	buf_release(&line);
}

/* Whether an answer could be put together whole. */
static bool
is_whole(const struct hook_answer *answer, const struct buf *out, const struct buf *err)
{
	return !json_starved() && buf_status(out) == OK && buf_status(err) == OK && buf_status(&answer->to_model) != NO_MEMORY &&
	       buf_status(&answer->to_person) != NO_MEMORY && buf_status(&answer->reason) != NO_MEMORY;
}

static int
render(const struct client *client, const struct event *event, const struct hook_answer *answer)
{
	struct buf out, err;
	int status;

	buf_init(&out, ANSWER_MAX * 8);
	buf_init(&err, ANSWER_MAX);
	(void)json_starved();
	status = client->render(event, answer, &out, &err);
	if (!is_whole(answer, &out, &err)) {
		buf_clear(&out);
		buf_clear(&err);
		fprintf(stderr, "stile: out of memory\n");
		status = status == 2 ? 2 : 1;
	}
	if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0)
		status = status == 2 ? 2 : 1;
	fwrite(err.data, 1, err.len, stderr);
	buf_release(&out);
	buf_release(&err);
	return status;
}

static void
answer_init(struct hook_answer *answer)
{
	*answer = (struct hook_answer){0};
	buf_init(&answer->to_model, ANSWER_MAX);
	buf_init(&answer->to_person, ANSWER_MAX);
	buf_init(&answer->reason, WHY_MAX);
}

static void
answer_release(struct hook_answer *answer)
{
	buf_release(&answer->to_model);
	buf_release(&answer->to_person);
	buf_release(&answer->reason);
}

static bool
fails_closed(const struct context *context)
{
	struct config config;
	enum status status;
	const char *fail;
	bool closed;

	config_init(&config);
	status = context_config(context, &config, NULL);
	fail = config_get(&config, "stile", "fail");
	/* who wrote `closed` meant it, also when another line is bad */
	closed = (status == OK || status == BAD_CONFIG || status == NO_MEMORY) && fail != NULL && str_equal(fail, "closed");
	config_release(&config);
	return closed;
}

/*
 * The store can't be used.  By the configuration's word the tool call is blocked; else the agent works on, and person and
 * model are told once.
 */
static int
without_store(struct context *context, const struct client *client, const struct event *event, const struct buf *why)
{
	struct hook_answer answer;
	int status = 1;

	answer_init(&answer);
	if (event->can_deny && fails_closed(context)) {
		answer.deny = true;
		buf_printf(&answer.reason, "stile: blocked, because fail = closed and the store can't be used: %s", why->data);
		status = render(client, event, &answer);
	} else if (event->can_speak && hook_first_time(event, "told")) {
		buf_printf(&answer.to_person, "stile: not coordinating this session: %s", why->data);
		buf_printf(&answer.to_model, "Stile can't coordinate this session with others for now: %s", why->data);
		status = render(client, event, &answer);
	} else {
		fprintf(stderr, "stile: %s\n", text_of(why));
	}
	answer_release(&answer);
	return status;
}

/* In a view a process that stays would keep it from being taken back. */
static bool
wants_resident(const struct context *context)
{
	return context->address.url[0] != '\0' && getenv("STILE_VIEW") == NULL &&
	       str_equal(config_get(&context->engine.config, "stile", "resident"), "yes");
}

static int
speak(struct context *context, const struct client *client, struct event *event, struct event_answer *found,
      const struct buf *refusal)
{
	struct hook_answer answer;
	int status;

	answer_init(&answer);
	if (event->kind == EVENT_START) {
		event_peers(context, &found->arrived.others, found->at_ms);
		write_env_file(found, &answer.to_person);
		context->wants_resident = wants_resident(context);
		if (event->can_speak)
			tell_peers(found, &answer.to_model);
	}
	if (refusal->len > 0)
		tell_refusal(event, refusal->data, &answer);
	tell_checkpoints(found, &answer);
	if (found->dropped[0] != '\0' && event->can_speak && hook_first_time(event, "dropped"))
		tell_dropped(event, found, &answer.to_person);
	tell_instructions(&context->engine.config, found, &answer.to_model);
	status = render(client, event, &answer);
	answer_release(&answer);
	return status;
}

static int
bad_input(struct context *context, const struct client *client, struct event *event, const struct buf *why)
{
	struct buf ignored;

	buf_init(&ignored, WHY_MAX);
	/* counted if the store can be had; said in any case */
	if (hook_place(context, client, event, &ignored) == OK && context_open(context, false, &ignored) == OK &&
	    event_dropped(context, client->name, why->data, &ignored) == OK)
		fprintf(stderr, "stile: %s (counted as dropped)\n", text_of(why));
	else
		fprintf(stderr, "stile: %s\n", text_of(why));
	buf_release(&ignored);
	return 1;
}

/* The turn in whose command the client runs.  What isn't the name of one is no reason to fail. */
static void
name_turn(struct event *event)
{
	const char *named = getenv("STILE_TURN");

	if (named != NULL && str_check_id("STILE_TURN", named, sizeof event->turn - 1, NULL) == OK)
		snprintf(event->turn, sizeof event->turn, "%s", named);
}

static int
handle(struct context *context, const struct client *client, struct event *event, struct buf *why)
{
	struct event_answer found = {0};
	struct buf refusal;
	enum status status;
	int exit_status;

	buf_init(&refusal, WHY_MAX);
	context->wait_ms = event->kind == EVENT_END ? WAIT_END_MS : WAIT_HOOK_MS;
	status = hook_place(context, client, event, why);
	if (status == OK)
		status = context_open(context, false, why);
	if (status == OK) {
		if (process_agent(&event->process) != OK)
			event->process = (struct process){0};
		name_turn(event);
		hook_look(context, client, event);
		status = exclusive_before(context, event, &refusal, why);
	}
	if (status == OK)
		status = event_handle(context, event, &found, why);
	if (status == OK)
		status = exclusive_after(context, event, &found.arrived.session, &refusal, why);
	exit_status = status == OK ? speak(context, client, event, &found, &refusal) : without_store(context, client, event, why);
	event_answer_release(&found);
	buf_release(&refusal);
	return exit_status;
}

static int
deny_selftest(const struct client *client, const struct event *event)
{
	struct hook_answer answer;
	int status;

	answer_init(&answer);
	answer.deny = true;
	buf_text(&answer.reason, "stile: self-test: this tool is always denied");
	status = render(client, event, &answer);
	answer_release(&answer);
	return status;
}

int
hook_run(struct context *context, const char *client_name, int64_t began_boot_ms)
{
	const struct client *client = client_find(client_name);
	struct event *event = malloc(sizeof *event);
	struct buf why;
	int exit_status;

	buf_init(&why, WHY_MAX);
	if (client == NULL || event == NULL) {
		if (why_not(&why, USAGE, client == NULL ? "no client \"%.100s\"; there is claude" : "%.100s: out of memory",
		            client_name) != OK)
			fprintf(stderr, "stile: %s\n", text_of(&why));
		buf_release(&why);
		free(event);
		return 1;
	}
	event_init(event);
	context->wait_ms = WAIT_HOOK_MS;
	if (hook_read(client, false, event, &why) != OK) {
		exit_status = bad_input(context, client, event, &why);
	} else if (event->kind == EVENT_TOOL && str_equal(event->tool, SELFTEST_TOOL)) {
		exit_status = deny_selftest(client, event);
	} else {
		event->began_boot_ms = began_boot_ms;
		exit_status = handle(context, client, event, &why);
	}
	event_release(event);
	free(event);
	buf_release(&why);
	return exit_status;
}
