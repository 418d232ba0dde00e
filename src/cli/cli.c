#include "cli/cli.h"

#include "verbs/reap.h"

#include <errno.h>
#include <unistd.h>

/* Longest document that a verb may print. */
#define OUTPUT_MAX ((size_t)256 << 20)

/* The verb that the first one or two words name; *used words. */
static const struct verb *
find(int count, char **words, int *used)
{
	char name[LABEL_MAX * 2 + 2];
	const struct verb *verb;

	if (count > 1) {
		snprintf(name, sizeof name, "%.100s %.100s", words[0], words[1]);
		*used = 2;
		verb = verb_find(name);
		if (verb != NULL)
			return verb;
	}
	*used = 1;
	return verb_find(words[0]);
}

static enum status
say(int fd, const struct buf *text)
{
	size_t done = 0;

	while (done < text->len) {
		ssize_t wrote = write(fd, text->data + done, text->len - done);

		if (wrote < 0 && errno != EINTR)
			return IO_FAILED;
		done += wrote > 0 ? (size_t)wrote : 0;
	}
	return OK;
}

static int
answer(const struct verb *verb, enum status status, json_t *result, const struct rows *rows, const struct buf *why, bool json)
{
	struct buf out;

	buf_init(&out, OUTPUT_MAX);
	if (status == OK && rows->noun != NULL) {
		if (json)
			rows_json(rows, &out);
		else
			cli_print_rows(verb, rows, &out);
		buf_text(&out, json ? "\n" : "");
	} else if (json) {
		if (status != OK)
			verb_refusal(result, status, why);
		json_write(&out, result);
		buf_text(&out, "\n");
	} else {
		/* a no whose answer is a table is still looked at */
		if (status == OK || (status > OK && json_is_array(json_object_iter_value(json_object_iter(result)))))
			cli_print(verb, result, &out);
	}
	if (!json && status != OK) {
		fprintf(stderr, "stile: %s\n", why->len > 0 ? why->data : status_row(status)->sentence);
	}
	if (buf_status(&out) != OK || say(STDOUT_FILENO, &out) != OK) {
		fprintf(stderr, "stile: %s: the answer could not be written: %s\n", verb->name,
		        buf_status(&out) == NO_MEMORY ? status_row(NO_MEMORY)->sentence : strerror(errno));
		status = status == OK ? IO_FAILED : status;
	}
	buf_release(&out);
	return status_row(status)->exit;
}

/* What became of a verb that ran a command: stdout is the command's, so all goes to stderr. */
static void
tell_command(enum status status, json_t *result, const struct buf *why, bool json)
{
	const json_t *note;
	struct buf out;
	size_t i;

	if (json) {
		buf_init(&out, OUTPUT_MAX);
		if (status != OK)
			verb_refusal(result, status, why);
		json_write(&out, result);
		fprintf(stderr, "%s\n", out.data);
		buf_release(&out);
		return;
	}
	json_array_foreach(json_object_get(result, "notes"), i, note) fprintf(stderr, "stile: %s\n", json_string_value(note));
	if (status != OK || why->len > 0)
		fprintf(stderr, "stile: %s\n", why->len > 0 ? why->data : status_row(status)->sentence);
}

/* Statuses that hardly any command has itself: whoever reads one knows that it is ours. */
static int
command_refused(enum status status)
{
	switch (status) {
	case USAGE:
		return status_row(status)->exit;
	case BUSY:
		return 122;
	case BAD_CONFIG:
	case STORE_DOWN:
	case IO_FAILED:
	case OUTCOME_UNKNOWN:
	case NO_MEMORY:
		return 124;
	default:
		return 121;
	}
}

/* The status of a verb that takes a command: the command's own, unless we failed and it didn't. */
static int
end_command(const struct verb *verb, enum status status, const struct call *call, bool json)
{
	if (call->exit < 0) {
		answer(verb, status, call->result, call->rows, call->why, json);
		return command_refused(status);
	}
	tell_command(status, call->result, call->why, json);
	return status != OK && call->exit == 0 ? command_refused(status) : call->exit;
}

static int
run_verb(struct context *context, const struct verb *verb, int count, char **words)
{
	json_t *args = json_object(), *result = json_object();
	struct buf why;
	bool json = false;
	int exit_status;
	enum status status;
	struct rows rows = {0};
	struct call call = {.context = context, .args = args, .by_hand = true, .exit = -1, .result = result, .why = &why, .rows = &rows};

	buf_init(&why, WHY_MAX);
	status = cli_parse(verb, count, words, args, &call.command, &json, &why);
	/* what is missing then was lost, not left out */
	if (json_starved())
		status = why_not(&why, NO_MEMORY, "out of memory");
	if (status == OK)
		status = context_find(context, ".", &why);
	if (status == OK)
		status = verb_run(verb, &call);
	/* what installs and uninstalls looks to every worktree itself */
	if (context->engine_open && (verb->does & DOES_INSTALL) == 0)
		ride_along(context, false);
	exit_status = cli_takes_command(verb) ? end_command(verb, status, &call, json)
	                                      : answer(verb, status, result, &rows, &why, json);
	rows_release(&rows);
	json_decref(args);
	json_decref(result);
	buf_release(&why);
	return exit_status;
}

static int
no_verb(int count, char **words)
{
	const struct verb nothing = {.name = "stile"};
	bool two = count > 1 && words[1][0] != '-';
	json_t *result = json_object();
	const struct rows rows = {0};
	struct buf why;
	int exit_status;

	buf_init(&why, WHY_MAX);
	exit_status = answer(&nothing,
	                     why_not(&why, USAGE, "no verb \"%.100s%s%.100s\"; `stile help` lists them", words[0], two ? " " : "",
	                             two ? words[1] : ""),
	                     result, &rows, &why, cli_wants_json(count, words));
	json_decref(result);
	buf_release(&why);
	return exit_status;
}

int
cli_run(struct context *context, int count, char **words)
{
	const struct verb *verb;
	int used;

	if (count == 0) {
		cli_help(0, NULL);
		return 64;
	}
	if (str_equal(words[0], "help") || str_equal(words[0], "--help") || str_equal(words[0], "-h"))
		return cli_help(count - 1, words + 1);
	if (str_equal(words[0], "version") || str_equal(words[0], "--version")) {
		printf("stile " STILE_VERSION "\n");
		return 0;
	}
	if (str_equal(words[0], "completions"))
		return cli_completions(count - 1, words + 1);
	verb = find(count, words, &used);
	if (verb == NULL)
		return no_verb(count, words);
	for (int i = used; i < count && strcmp(words[i], "--") != 0; i++)
		if (str_equal(words[i], "--help"))
			return cli_help(used, words);
	return run_verb(context, verb, count - used, words + used);
}
