/*
 * What an agent's command printed, recognised by its content: Claude Code's `--output-format json` and `stream-json`, Codex's
 * `exec --json`, or any other text.
 */
#ifndef CLIENTS_REPLY_H
#define CLIENTS_REPLY_H

#include "base/buf.h"
#include "base/str.h"

struct reply {
	char id[ID_MAX + 1]; /* to resume by; "" = none was found */
	struct buf text;     /* the answer: what the agent says; of any other output all of it.  At most the buffer's maximum */
	bool spoke;          /* the model said something: what was to be resumed was there */
};

/* `text_max`: of the answer.  The caller releases reply->text.  `output` may be changed. */
void reply_read(char *output, size_t len, size_t text_max, struct reply *reply);

/* Whether that output, of a command that failed, says that there is nothing to resume by that id. */
bool reply_is_gone(const char *output, size_t len);

#endif
