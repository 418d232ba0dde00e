#include "os/tee.h"
#include "verbs/command_reply.h"
#include "verbs/turn.h"

#include <sys/stat.h>
#include <unistd.h>

#define HOLE "{resume}"

/* The command of one attempt. */
struct attempt {
	struct turn_work *work;
	char **words;
	struct tee out, err;
	struct buf printed, errors;
	const char *id_path;   /* NULL = none */
	struct stat id_before; /* what was there before; st_nlink 0 = nothing */
	char session[sizeof "STILE_SESSION=" + ID_SIZE], turn[sizeof "STILE_TURN=" + ID_SIZE];
	char resume[sizeof "STILE_RESUME=" + ID_MAX + 1];
};

/*
 * A word that is the id and nothing else takes along the option before it, or Codex's `resume`: without an id that would eat the
 * next word.
 */
static bool
is_option_for(const char *word, const char *next)
{
	return next != NULL && str_equal(next, HOLE) &&
	       ((word[0] == '-' && strchr(word, '=') == NULL) || str_equal(word, "resume"));
}

static char *
fill(const char *word, const char *resume)
{
	const char *hole = strstr(word, HOLE);
	struct buf text;

	buf_init(&text, (size_t)1 << 20);
	for (; hole != NULL; hole = strstr(word, HOLE)) {
		buf_add(&text, word, (size_t)(hole - word));
		buf_text(&text, resume);
		word = hole + strlen(HOLE);
	}
	buf_text(&text, word);
	buf_add(&text, "", 1);
	if (buf_status(&text) == OK)
		return text.data;
	buf_release(&text);
	return NULL;
}

static void
free_words(char **words)
{
	for (size_t i = 0; words != NULL && words[i] != NULL; i++)
		free(words[i]);
	free(words);
}

static char **
make_words(char *const *command, const char *resume)
{
	size_t count = 0, used = 0;
	char **words;

	while (command[count] != NULL)
		count++;
	words = calloc(count + 1, sizeof *words);
	for (size_t i = 0; words != NULL && i < count; i++) {
		if (*resume == '\0' && (strstr(command[i], HOLE) != NULL || is_option_for(command[i], command[i + 1])))
			continue;
		words[used] = fill(command[i], resume);
		if (words[used++] == NULL) {
			free_words(words);
			return NULL;
		}
	}
	return words;
}

static bool
in_child(void *arg)
{
	const struct attempt *attempt = arg;

	tee_child(&attempt->out);
	tee_child(&attempt->err);
	return true;
}

static void
started(void *arg)
{
	struct attempt *attempt = arg;

	tee_started(&attempt->out);
	tee_started(&attempt->err);
}

static void
attempt_release(struct attempt *attempt)
{
	free_words(attempt->words);
	buf_release(&attempt->printed);
	buf_release(&attempt->errors);
}

static void
tell_turn(struct attempt *attempt, struct kept_command *command)
{
	const struct turn *turn = &attempt->work->turn;

	snprintf(attempt->session, sizeof attempt->session, "STILE_SESSION=%s", turn->session);
	snprintf(attempt->turn, sizeof attempt->turn, "STILE_TURN=%s", turn->id);
	snprintf(attempt->resume, sizeof attempt->resume, "STILE_RESUME%s%s", turn->resume[0] == '\0' ? "" : "=", turn->resume);
	command->env[0] = attempt->session;
	command->env[1] = attempt->turn;
	command->env[2] = attempt->resume;
}

static enum status
run_once(struct attempt *attempt, int *exit, struct buf *why)
{
	struct turn_work *work = attempt->work;
	struct kept_command command = {.in_child = in_child, .started = started, .arg = attempt};
	enum status status;

	buf_init(&attempt->printed, COMMAND_OUTPUT_MAX);
	buf_init(&attempt->errors, COMMAND_ERRORS_MAX);
	attempt->words = make_words(work->call->command, work->turn.resume);
	if (attempt->words == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	command.words = attempt->words;
	tell_turn(attempt, &command);
	status = tee_begin(&attempt->out, STDOUT_FILENO, COMMAND_OUTPUT_MAX, why);
	if (status == OK && (status = tee_begin(&attempt->err, STDERR_FILENO, COMMAND_ERRORS_MAX, why)) != OK) {
		tee_started(&attempt->out);
		tee_end(&attempt->out, 0, &attempt->printed);
	}
	if (status != OK)
		return status;
	status = hold_command(&work->hold, &command, exit, why);
	tee_end(&attempt->out, COMMAND_REST_MS, &attempt->printed);
	tee_end(&attempt->err, COMMAND_REST_MS, &attempt->errors);
	return status;
}

static enum status
rule_go_cold(struct txn *txn, void *data, struct buf *why)
{
	struct turn_work *work = data;

	txn->actor = work->caller.actor;
	return turn_go_cold(txn, &work->turn, why);
}

/* An agent that worked on a question about such a failure, and then had another one, has its conversation. */
static bool
spoke(const struct attempt *attempt)
{
	struct reply reply;

	reply_read(attempt->printed.data, attempt->printed.len, 1, &reply);
	buf_release(&reply.text);
	return reply.spoke;
}

static bool
is_gone(const struct attempt *attempt, int exit)
{
	return exit != 0 && attempt->work->turn.resume[0] != '\0' &&
	       (reply_is_gone(attempt->errors.data, attempt->errors.len) ||
	        reply_is_gone(attempt->printed.data, attempt->printed.len)) &&
	       !spoke(attempt);
}

/* Once; and once more without what is to be resumed, if that is gone. */
static enum status
run_command(struct attempt *attempt, int *exit, struct buf *why)
{
	struct turn_work *work = attempt->work;
	enum status status = run_once(attempt, exit, why);

	if (status != OK || !is_gone(attempt, *exit))
		return status;
	status = engine_run(&work->call->context->engine, rule_go_cold, work, why);
	if (status != OK)
		return status;
	attempt_release(attempt);
	return run_once(attempt, exit, why);
}

static enum status
rule_bind(struct txn *txn, void *data, struct buf *why)
{
	struct turn_work *work = data;
	struct binding_ask ask = {.session = work->session, .slot = work->end.slot, .value = work->end.bind, .rebind = true};
	struct binding bound;

	txn->actor = work->caller.actor;
	return binding_set(txn, &ask, &bound, why);
}

/* An id that is another session's must not keep the answer from being kept: the turn ends without it, and that is told. */
static enum status
finish(struct turn_work *work, struct buf *why)
{
	enum status status = turn_finish(work, why), second;

	if (status != CONFLICT)
		return status;
	second = engine_run(&work->call->context->engine, rule_bind, work, why);
	work->end.bind = NULL;
	work->end.failed = true;
	status = turn_finish(work, second == CONFLICT ? NULL : why);
	return status == OK ? CONFLICT : status;
}

static void
note_id_file(struct attempt *attempt)
{
	attempt->id_path = json_text(attempt->work->call->args, "id_file", NULL);
	if (attempt->id_path == NULL || stat(attempt->id_path, &attempt->id_before) != 0)
		attempt->id_before.st_nlink = 0;
}

/* What some command before has left there may be any conversation's, unless it is the one that was resumed. */
static enum status
check_id_file(const struct attempt *attempt, struct reply *reply, struct buf *why)
{
	const struct stat *before = &attempt->id_before;
	struct stat now;

	if (attempt->id_path == NULL || before->st_nlink == 0 || str_equal(reply->id, attempt->work->turn.resume) ||
	    stat(attempt->id_path, &now) != 0 || now.st_ino != before->st_ino || now.st_size != before->st_size ||
	    now.st_mtim.tv_sec != before->st_mtim.tv_sec || now.st_mtim.tv_nsec != before->st_mtim.tv_nsec)
		return OK;
	reply->id[0] = '\0';
	return why_not(why, NO_SUCH, "%s: is as it was before the command, which left no id there", attempt->id_path);
}

static enum status
end_turn(struct attempt *attempt, int exit, struct buf *why)
{
	struct turn_work *work = attempt->work;
	struct reply reply;
	struct buf missing;
	enum status status, read;

	buf_init(&missing, WHY_MAX);
	read = command_reply(&attempt->printed, attempt->id_path, TURN_TEXT_MAX, &reply, &missing);
	if (read == OK)
		read = check_id_file(attempt, &reply, &missing);
	work->end = (struct turn_end){.session = work->session,
	                              .fence = work->turn.fence,
	                              .slot = work->turn.slot,
	                              .bind = reply.id[0] == '\0' || exit != 0 ? NULL : reply.id,
	                              .answer = exit != 0 && reply.text.len == 0 ? NULL : reply.text.data,
	                              .failed = exit != 0};
	status = finish(work, why);
	/* of a command that failed no id is expected */
	if (status == OK && read != OK && exit == 0)
		status = why_not(why, read, "%s", missing.data);
	buf_release(&missing);
	buf_release(&reply.text);
	return status;
}

/* Without an id the same program must run. */
static enum status
check_command(const struct call *call)
{
	if (strstr(call->command[0], HOLE) == NULL && !is_option_for(call->command[0], call->command[1]))
		return OK;
	return why_not(call->why, USAGE, "the command begins with " HOLE ", and without an id to resume by there would be none");
}

/* What is told, else what the command's last word says, unless it is no text. */
static void
find_question(struct turn_work *work)
{
	const struct call *call = work->call;
	const char *last = "";

	for (size_t i = 1; call->command[0] != NULL && call->command[i] != NULL; i++)
		last = call->command[i];
	if (*last == '\0' || strlen(last) > TURN_TEXT_MAX || str_check_long("", last, strlen(last), NULL) != OK)
		last = NULL;
	work->question = json_text(call->args, "message", last);
}

static enum status
run(struct turn_work *work)
{
	struct call *call = work->call;
	struct attempt attempt = {.work = work};
	enum status status = check_command(call), ended;
	struct buf why;

	find_question(work);
	if (status == OK)
		status = turn_find(work);
	if (status == OK)
		status = turn_take(work, HOLD_RUN_TTL_MS, true);
	if (status != OK)
		return status;
	buf_init(&why, WHY_MAX);
	note_id_file(&attempt);
	status = run_command(&attempt, &call->exit, call->why);
	/* whatever became of it the turn ends; when the lease was lost that is refused */
	ended = end_turn(&attempt, status == OK ? call->exit : 1, &why);
	if (status == OK && ended != OK) {
		status = why_not(call->why, ended, "%s", why.data);
		if (ended == HELD)
			call->exit = 123;
	}
	buf_release(&why);
	anchor_leave(&work->hold.anchor);
	attempt_release(&attempt);
	return status;
}

enum status
turn_run(struct call *call)
{
	int64_t ours = json_whole(call->args, "status", -1);
	struct turn_work work;
	enum status status;

	if (json_is_integer(json_object_get(call->args, "status")) && (ours < 1 || ours > 255))
		return why_not(call->why, BAD_INPUT, "--status: 1 to 255");
	turn_work_init(&work, call);
	status = run(&work);
	if (status != OK && ours > 0 && ours <= 255)
		call->exit = (int)ours;
	return status;
}
