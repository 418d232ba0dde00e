#include "os/file.h"
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)16 << 20)

const char *
grouped(int64_t number)
{
	static char places[8][32];
	static unsigned next;
	char plain[24], *out = places[next++ % 8], *c = out;
	int len = snprintf(plain, sizeof plain, "%lld", (long long)number);

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*c++ = ',';
		*c++ = plain[i];
	}
	*c = '\0';
	return out;
}

/* Runs stile with these words; its document, NULL when it gives none.  The caller's. */
static json_t *
ask(const struct setting *setting, const char *const words[])
{
	json_t *document = NULL;
	uint64_t dropped;
	struct buf text;
	int output[2];
	pid_t pid;

	if (pipe2(output, O_CLOEXEC) != 0 || (pid = fork()) < 0)
		return NULL;
	if (pid == 0) {
		if (dup2(output[1], STDOUT_FILENO) >= 0)
			execv(setting->program, (char *const *)(uintptr_t)words);
		_exit(127);
	}
	close(output[1]);
	buf_init(&text, OUTPUT_MAX);
	if (file_drain(output[0], &text, &dropped, NULL) == OK && json_parse(text.data, text.len, &document, NULL) != OK)
		document = NULL;
	close(output[0]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	buf_release(&text);
	return document;
}

/* Everything that stile says of one session. */
struct said {
	const json_t *session; /* of `status` */
	json_t *metrics;       /* of `metric show`, owned */
	json_t *checkpoints;   /* of `checkpoint list`, owned */
};

static void
said_release(struct said *said)
{
	json_decref(said->metrics);
	json_decref(said->checkpoints);
}

/* The session whose conversation is the last one of the recording. */
static const json_t *
find(const json_t *status, const json_t *expected)
{
	const json_t *ids = json_object_get(expected, "conversations"), *session;
	const char *last = json_string_value(json_array_get(ids, json_array_size(ids) - 1));
	size_t i;

	json_array_foreach(json_object_get(status, "sessions"), i, session)
	{
		if (last != NULL && str_equal(json_text(session, "client_session", ""), last))
			return session;
	}
	return NULL;
}

static void
differ(const struct stream *stream, const char *what, const char *is, const char *wanted, size_t *wrong)
{
	++*wrong;
	fprintf(stderr, "replay: session %s: %s is %s, expected %s\n", stream->name, what, is, wanted);
}

static void
compare_number(const struct stream *stream, const char *what, double is, double wanted, size_t *wrong)
{
	char texts[2][32];

	/* a share is worked out to six places */
	if (fabs(is - wanted) < 1e-6)
		return;
	snprintf(texts[0], sizeof texts[0], "%.10g", is);
	snprintf(texts[1], sizeof texts[1], "%.10g", wanted);
	differ(stream, what, texts[0], texts[1], wrong);
}

static void
compare_text(const struct stream *stream, const char *key, const json_t *session, size_t *wrong)
{
	const char *is = json_text(session, key, ""), *wanted = json_text(stream->expected, key, "");

	if (strcmp(is, wanted) != 0)
		differ(stream, key, is, wanted, wrong);
}

static void
compare_checkpoints(const struct stream *stream, const json_t *is, size_t *wrong)
{
	static const char *const keys[] = {"generation", "percent", "tokens", "budget"};
	const json_t *wanted = json_object_get(stream->expected, "checkpoints"), *one;
	size_t i;

	compare_number(stream, "the number of checkpoints", (double)json_array_size(is), (double)json_array_size(wanted), wrong);
	json_array_foreach(wanted, i, one)
	{
		const json_t *fired = json_array_get(is, i);

		for (size_t j = 0; j < sizeof keys / sizeof *keys && fired != NULL; j++)
			compare_number(stream, keys[j], json_real_of(fired, keys[j], -1), json_real_of(one, keys[j], -1), wrong);
	}
}

static int64_t
starts_in(const struct stream *stream)
{
	int64_t starts = 0;
	bool status_line;

	for (size_t i = 0; i < stream->count; i++)
		starts += str_equal(json_text(line_payload(stream->lines[i], &status_line), "hook_event_name", ""), "SessionStart");
	return starts;
}

static void
compare(const struct stream *stream, const struct said *said, size_t *wrong)
{
	const json_t *metrics = json_object_get(stream->expected, "metrics"), *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)metrics, name, value)
		compare_number(stream, name, json_real_of(json_object_get(said->metrics, "metrics"), name, 0), json_number_value(value),
	                   wrong);
	compare_number(stream, "generation", json_real_of(said->session, "generation", -1),
	               json_real_of(stream->expected, "generation", 0), wrong);
	compare_number(stream, "budget", json_real_of(said->session, "budget", -1), json_real_of(stream->expected, "budget", 0),
	               wrong);
	compare_number(stream, "score", json_real_of(said->session, "score", -1), json_real_of(stream->expected, "score", 0),
	               wrong);
	/* stile counts the events after a start */
	compare_number(stream, "events", json_real_of(said->session, "events", -1),
	               (double)(json_whole(stream->expected, "events", 0) - starts_in(stream)), wrong);
	compare_text(stream, "state", said->session, wrong);
	compare_text(stream, "level", said->session, wrong);
	compare_checkpoints(stream, json_object_get(said->checkpoints, "checkpoints"), wrong);
}

static void
print_session(const struct stream *stream, const struct said *said)
{
	const json_t *metrics = json_object_get(said->metrics, "metrics"), *one;
	int64_t generation = 1;
	size_t i;

	printf("%-7s  %-7s  %8s  %5s  %6s  %9s  %9s  %5.1f %%  %-8s ", stream->name, json_text(said->session, "state", ""),
	       grouped(json_whole(metrics, "messages", 0)), grouped(json_whole(metrics, "tool_calls", 0)),
	       grouped(json_whole(metrics, "errors", 0)), grouped(json_whole(said->session, "context_tokens", 0)),
	       grouped(json_whole(said->session, "budget", 0)), json_real_of(said->session, "score", 0) * 100,
	       json_text(said->session, "level", ""));
	json_array_foreach(json_object_get(said->checkpoints, "checkpoints"), i, one)
	{
		/* a stroke where the context was cleared or compacted */
		printf("%s %lld", json_whole(one, "generation", 1) > generation ? " |" : "", (long long)json_whole(one, "percent", 0));
		generation = json_whole(one, "generation", 1);
	}
	printf("%s\n", i == 0 ? " none" : "");
}

static enum status
report_one(const struct replay *replay, const struct stream *stream, const json_t *status, size_t *wrong, struct buf *why)
{
	struct said said = {.session = find(status, stream->expected)};
	const char *id = json_text(said.session, "session", "");
	const char *const show[] = {"stile", "metric", "show", "--session", id, "--json", NULL};
	const char *const list[] = {"stile", "checkpoint", "list", "--session", id, "--json", NULL};

	if (said.session == NULL) {
		differ(stream, "it", "not there", "there", wrong);
		return OK;
	}
	said.metrics = ask(&replay->setting, show);
	said.checkpoints = ask(&replay->setting, list);
	if (said.metrics != NULL && said.checkpoints != NULL) {
		print_session(stream, &said);
		compare(stream, &said, wrong);
	}
	said_release(&said);
	return said.metrics != NULL && said.checkpoints != NULL ? OK : why_not(why, IO_FAILED, "stile says nothing of %s", id);
}

enum status
report_sessions(const struct replay *replay, size_t *wrong, struct buf *why)
{
	const char *const words[] = {"stile", "status", "--all", "--json", NULL};
	json_t *said = ask(&replay->setting, words);
	size_t there = json_array_size(json_object_get(said, "sessions"));
	enum status status = said == NULL ? why_not(why, IO_FAILED, "stile status says nothing") : OK;

	printf("session  state    messages  tools  errors    context     budget    share  level     checkpoints\n");
	for (size_t i = 0; i < replay->count && status == OK; i++)
		status = report_one(replay, &replay->streams[i], said, wrong, why);
	if (status == OK && there != replay->count) {
		fprintf(stderr, "replay: stile knows %zu sessions, expected %zu\n", there, replay->count);
		++*wrong;
	}
	json_decref(said);
	return status;
}
