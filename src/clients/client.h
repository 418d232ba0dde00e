/*
 * A foreign client's bytes to our words and back.  Pure: no file, no store, no clock.
 *
 * To add one: a file here with a `struct client`, and its row in client.c.
 */
#ifndef CLIENTS_CLIENT_H
#define CLIENTS_CLIENT_H

#include "base/json.h"
#include "core/event.h"

/* What a hook has to say, before it is in a client's words.  Texts "" = nothing. */
struct hook_answer {
	struct buf to_model;
	struct buf to_person;
	bool deny;
	struct buf reason; /* of the denial, one line */
};

struct client {
	const char *name;
	/* BAD_INPUT with `why` for a payload that can't be used.  Unknown events are EVENT_OTHER; unknown fields are ignored. */
	enum status (*parse)(const json_t *payload, struct event *out, struct buf *why);
	/* The status line's payload. */
	enum status (*parse_status_line)(const json_t *payload, struct event *out, struct buf *why);
	/*
	 * The answer on stdout (to `out`), on stderr (to `err`), and the exit status: 0, or 2 = blocked.  Nothing to say: nothing
	 * is written.
	 */
	int (*render)(const struct event *event, const struct hook_answer *answer, struct buf *out, struct buf *err);
	/* Reads whole lines of a transcript that starts at `offset` of its file. */
	enum status (*read_transcript)(char *text, size_t len, int64_t offset, const char *agent, struct usage_list *usages,
	                               int64_t *broken);
	const char *project_env; /* environment variable that names the codebase */
};

/* NULL when there is no such client. */
const struct client *client_find(const char *name);
const struct client *client_nth(size_t n);

/* The tool that is always denied and never counted: with it `doctor` proves that blocking blocks. */
#define SELFTEST_TOOL "stile-selftest"

extern const struct client client_claude;

#endif
