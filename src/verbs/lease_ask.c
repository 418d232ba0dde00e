#include "verbs/lease_ask.h"

enum status
ask_process(const struct call *call, struct process *out)
{
	int64_t pid = json_whole(call->args, "pid", 0);

	*out = (struct process){0};
	if (!json_is_integer(json_object_get(call->args, "pid")))
		return OK;
	if (pid < 1 || process_read(pid, out, NULL, NULL) != OK)
		return why_not(call->why, BAD_INPUT, "--pid %lld: there is no such process here", (long long)pid);
	return OK;
}

void
tell_holder(json_t *result, enum status status, const struct lease *other)
{
	if ((status != HELD && status != BUSY && status != CONFLICT) || other->fence == 0)
		return;
	json_object_set_new(result, "resource", json_string(other->resource));
	json_object_set_new(result, "holder", json_string(other->actor));
	json_object_set_new(result, "since_ms", json_integer(other->since_ms));
	json_object_set_new(result, "until_ms", json_integer(other->expires_ms));
}
