/* The library: include/stile.h over the verb table. */
#include "stile.h"

#include "library.h"
#include "verbs/verb.h"

#define RESULT_MAX ((size_t)256 << 20)
#define WAIT_MS 10000

struct stile {
	struct context context;
	struct buf result;
};

STILE_API enum stile_status
stile_open(const char *folder, struct stile **out, char *why, unsigned long size)
{
	struct stile *stile = calloc(1, sizeof *stile);
	enum status status;
	struct buf reason;

	*out = NULL;
	buf_init(&reason, WHY_MAX);
	if (stile == NULL) {
		status = why_not(&reason, NO_MEMORY, "out of memory");
	} else {
		buf_init(&stile->result, RESULT_MAX);
		stile->context.open_store = library_open_store;
		stile->context.wait_ms = WAIT_MS;
		status = context_find(&stile->context, folder, &reason);
		if (status == OK)
			status = context_open(&stile->context, false, &reason);
	}
	if (status == OK)
		*out = stile;
	else
		stile_close(stile);
	if (why != NULL && size > 0)
		snprintf(why, size, "%s", status == OK ? "" : reason.data);
	buf_release(&reason);
	return (enum stile_status)status;
}

static enum status
run(struct stile *stile, const char *name, const char *parameters, json_t *result, struct buf *why)
{
	const struct verb *verb = verb_find(name);
	struct call call = {.context = &stile->context, .result = result, .why = why};
	json_t *args = NULL;
	char *text;
	enum status status;

	if (verb == NULL || (verb->does & COMMAND_LINE_ONLY) != 0)
		return why_not(why, USAGE, "no verb \"%.100s\" here", name);
	text = strdup(parameters == NULL ? "{}" : parameters);
	if (text == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	status = json_parse(text, strlen(text), &args, why);
	free(text);
	if (status == OK && !json_is_object(args))
		status = why_not(why, BAD_INPUT, "the parameters must be a JSON object");
	call.args = args;
	if (status == OK)
		status = verb_run(verb, &call);
	json_decref(args);
	return status;
}

STILE_API enum stile_status
stile_call(struct stile *stile, const char *verb, const char *parameters, const char **result)
{
	json_t *document = json_object();
	enum status status;
	struct buf why;

	buf_init(&why, WHY_MAX);
	buf_clear(&stile->result);
	status = run(stile, verb, parameters, document, &why);
	if (status != OK)
		verb_refusal(document, status, &why);
	json_write(&stile->result, document);
	/* what was done is done, but the caller can't be told what it was */
	if (status == OK && buf_status(&stile->result) != OK)
		status = OUTCOME_UNKNOWN;
	if (result != NULL)
		*result = stile->result.data;
	json_decref(document);
	buf_release(&why);
	return (enum stile_status)status;
}

STILE_API enum stile_status
stile_wait(struct stile *stile, long timeout_ms, const char **result)
{
	(void)timeout_ms;
	buf_clear(&stile->result);
	buf_text(&stile->result, "{\"error\":\"no_such\",\"hint\":\"no call is queued\"}");
	if (result != NULL)
		*result = stile->result.data;
	return STILE_NO_SUCH;
}

STILE_API void
stile_close(struct stile *stile)
{
	if (stile == NULL)
		return;
	context_release(&stile->context, false);
	buf_release(&stile->result);
	free(stile);
}
