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

enum status
ask_fence(const struct call *call, char lock[RESOURCE_MAX + 1], int64_t *fence, struct buf *why)
{
	const char *name = json_text(call->args, "lock", NULL);
	bool fenced = json_is_integer(json_object_get(call->args, "fence"));

	lock[0] = '\0';
	if ((name != NULL) != fenced)
		return why_not(why, USAGE, "--lock and --fence go together: the lease and its fence");
	if (name == NULL)
		return OK;
	*fence = json_whole(call->args, "fence", 0);
	snprintf(lock, RESOURCE_MAX + 1, "%s%s",
	         str_starts(name, "task/") || str_starts(name, "turn/") || str_starts(name, "lock/") ? "" : "lock/", name);
	return str_check_id("--lock", name, RESOURCE_MAX - 5, why);
}
