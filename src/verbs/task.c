#include "core/task.h"
#include "os/file.h"
#include "verbs/lease_ask.h"
#include "verbs/lease_hold.h"
#include "verbs/tables.h"

#define POINTER_MAX 4096 /* bytes of an old file that names the active task */

/* `task claim|renew|done|release|list|active`: work that one does, once. */
struct work {
	struct call *call;
	const char *name;
	char resource[RESOURCE_MAX + 1];
	struct caller caller;
	struct lease lease;
	struct buf result;
	char active[TASK_NAME_MAX + 1];
	int64_t set_ms;
	bool held;
};

static enum status
read_name(struct work *work)
{
	work->name = json_text(work->call->args, "name", "");
	return task_resource(work->name, work->resource, work->call->why);
}

static void
tell_lease(const struct work *work)
{
	json_t *result = work->call->result;

	json_object_set_new(result, "task", json_string(work->name));
	json_object_update_new(result, lease_json(&work->lease));
}

static enum status
rule_show(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	return task_show(txn, work->name, work->call->result, why);
}

/* Why it was refused, if because the task is done: that stays so, and may be read apart. */
static enum status
explain(struct work *work, enum status status)
{
	json_t *result = work->call->result;
	char at[40];

	if ((status != HELD && status != CONFLICT && status != BUSY) ||
	    engine_read(&work->call->context->engine, rule_show, work, NULL) != OK)
		return status;
	str_instant(at, sizeof at, json_whole(result, "done_ms", 0));
	return why_not(work->call->why, CONFLICT, "the task %s is done: by %s at %s, with fence %lld", work->name,
	               json_text(result, "done_by", ""), at, (long long)json_whole(result, "fence", 0));
}

static enum status
claim(struct work *work, struct lease_ask *ask)
{
	struct call *call = work->call;
	struct lease other = {0};
	struct hold hold;
	enum status status;

	hold_init(&hold, call->context, json_text(call->args, "session", NULL), json_text(call->args, "role", NULL));
	status = hold_take(&hold, ask, 1, json_whole(call->args, "wait", 0), false, &other, call->why);
	tell_holder(call->result, status, &other);
	if (status == OK)
		work->lease = hold.leases[0];
	return status;
}

static enum status
run_claim(struct call *call)
{
	struct work work = {.call = call};
	struct lease_ask ask = {.ttl_ms = json_whole(call->args, "ttl", HOLD_STEP_TTL_MS)};
	enum status status = read_name(&work);

	ask.resource = work.resource;
	if (status == OK)
		status = ask_process(call, &ask.process);
	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status != OK)
		return status;
	status = claim(&work, &ask);
	if (status == OK)
		tell_lease(&work);
	return explain(&work, status);
}

static enum status
find_actor(struct txn *txn, struct work *work, struct buf *why)
{
	enum status status = caller_find(txn, json_text(work->call->args, "session", NULL), &work->caller, why);

	if (status == OK)
		txn->actor = work->caller.actor;
	return status;
}

static int64_t
fence_of(const struct work *work)
{
	return json_whole(work->call->args, "fence", 0);
}

static enum status
rule_renew(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_actor(txn, work, why);

	return status == OK
	           ? lease_renew(txn, work->resource, fence_of(work), json_whole(work->call->args, "ttl", 0), &work->lease, why)
	           : status;
}

static enum status
rule_release(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_actor(txn, work, why);

	return status == OK ? lease_release(txn, work->resource, fence_of(work), why) : status;
}

static enum status
rule_done(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_actor(txn, work, why);

	return status == OK ? task_done(txn, work->name, fence_of(work), work->result.data, &work->lease, why) : status;
}

static enum status
change(struct work *work, rule_function *rule)
{
	struct call *call = work->call;
	enum status status = read_name(work);

	if (status == OK)
		status = context_open(call->context, false, call->why);
	return status == OK ? explain(work, engine_run(&call->context->engine, rule, work, call->why)) : status;
}

static enum status
run_renew(struct call *call)
{
	struct work work = {.call = call};
	enum status status = change(&work, rule_renew);

	if (status == OK)
		tell_lease(&work);
	return status;
}

static enum status
run_release(struct call *call)
{
	struct work work = {.call = call};
	enum status status = change(&work, rule_release);

	if (status == OK)
		json_object_set_new(call->result, "task", json_string(work.name));
	return status;
}

/* As compact JSON. */
static enum status
read_result(struct work *work)
{
	const char *given = json_text(work->call->args, "result", NULL);
	char *text = given == NULL ? NULL : strdup(given);
	json_t *value;
	enum status status;

	buf_init(&work->result, TASK_RESULT_MAX);
	if (given == NULL)
		return OK;
	if (text == NULL)
		return why_not(work->call->why, NO_MEMORY, "out of memory");
	status = json_parse(text, strlen(text), &value, work->call->why);
	free(text);
	if (status != OK)
		return status;
	json_write(&work->result, value);
	json_decref(value);
	status = buf_status(&work->result);
	return status == OK ? OK : why_not(work->call->why, status, "--result: at most %zu bytes", TASK_RESULT_MAX);
}

static enum status
run_done(struct call *call)
{
	struct work work = {.call = call};
	enum status status = read_result(&work);

	if (status == OK)
		status = change(&work, rule_done);
	if (status == OK) {
		json_object_set_new(call->result, "task", json_string(work.name));
		json_object_set_new(call->result, "state", json_string("done"));
		json_object_set_new(call->result, "fence", json_integer(work.lease.fence));
	}
	buf_release(&work.result);
	return status;
}

static enum status
rule_list(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	json_t *tasks = json_array();

	json_object_set_new(work->call->result, "tasks", tasks);
	return task_list(txn, json_truth(work->call->args, "all"), tasks, why);
}

static enum status
run_list(struct call *call)
{
	struct work work = {.call = call};
	enum status status = context_open(call->context, false, call->why);

	return status == OK ? engine_read(&call->context->engine, rule_list, &work, call->why) : status;
}

static enum status
find_session(struct txn *txn, struct work *work, struct buf *why)
{
	enum status status = caller_session(txn, json_text(work->call->args, "session", NULL), &work->caller, NULL, why);

	if (status == OK)
		txn->actor = work->caller.actor;
	return status;
}

static enum status
rule_set_active(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_session(txn, work, why);

	return status == OK ? task_set_active(txn, work->caller.session, work->name, why) : status;
}

static enum status
rule_clear_active(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_session(txn, work, why);

	if (status == OK)
		task_clear_active(txn, work->caller.session);
	return status;
}

static enum status
rule_active(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_session(txn, work, why);

	return status == OK ? task_active(txn, work->caller.session, work->active, &work->set_ms, &work->held, why) : status;
}

/* The session's own file beside the one that was for all. */
static enum status
write_own(struct work *work, const char *file)
{
	char path[PATH_SIZE], text[TASK_NAME_MAX + 2];
	int len = snprintf(path, sizeof path, "%s.%s", file, work->caller.session);
	enum status status;

	if (len < 0 || (size_t)len >= sizeof path)
		return why_not(work->call->why, BAD_INPUT, "--file: the path is too long");
	if (work->name == NULL) {
		status = file_remove(path, work->call->why);
		return status == NO_SUCH ? OK : status;
	}
	len = snprintf(text, sizeof text, "%s\n", work->name);
	json_object_set_new(work->call->result, "file", json_lossy(path, strlen(path)));
	return file_replace(path, text, (size_t)len, 0666, work->call->why);
}

/* What the file that is for all says, for a session that has no task of its own. */
static enum status
read_old(struct work *work, const char *file)
{
	json_t *result = work->call->result;
	struct buf text;
	enum status status;

	buf_init(&text, POINTER_MAX);
	status = file_read(file, &text, work->call->why);
	if (status == OK)
		text.data[strcspn(text.data, "\r\n")] = '\0';
	if (status == OK)
		status = str_check_id("the task that the file names", text.data, TASK_NAME_MAX, work->call->why);
	if (status == OK) {
		json_object_set_new(result, "task", json_string(text.data));
		json_object_set_new(result, "source", json_string("file"));
		json_object_set_new(result, "note",
		                    json_string(
								"DEPRECATION WARN: the file is one for all sessions; set your own: stile task active NAME"));
	}
	buf_release(&text);
	return status;
}

static enum status
show_active(struct work *work, const char *file)
{
	struct call *call = work->call;
	enum status status = engine_read(&call->context->engine, rule_active, work, call->why);

	if (status != OK)
		return status;
	json_object_set_new(call->result, "session", json_string(work->caller.session));
	if (work->active[0] == '\0' && file != NULL)
		return read_old(work, file);
	if (work->active[0] == '\0')
		return why_not(call->why, NO_SUCH, "the session %s is at no task; say at which: stile task active NAME",
		               work->caller.session);
	json_object_set_new(call->result, "task", json_string(work->active));
	json_object_set_new(call->result, "source", json_string("session"));
	json_object_set_new(call->result, "set_ms", json_integer(work->set_ms));
	json_object_set_new(call->result, "held", json_boolean(work->held));
	return OK;
}

static enum status
run_active(struct call *call)
{
	struct work work = {.call = call};
	const char *file = json_text(call->args, "file", NULL);
	bool clears = json_truth(call->args, "clear"), sets = json_text(call->args, "name", NULL) != NULL;
	enum status status = sets ? read_name(&work) : OK;

	if (status == OK && clears && sets)
		status = why_not(call->why, USAGE, "either a task or --clear");
	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status != OK || (!clears && !sets))
		return status == OK ? show_active(&work, file) : status;
	status = engine_run(&call->context->engine, sets ? rule_set_active : rule_clear_active, &work, call->why);
	if (status != OK)
		return status;
	json_object_set_new(call->result, "session", json_string(work.caller.session));
	json_object_set_new(call->result, "task", sets ? json_string(work.name) : json_null());
	return file == NULL ? OK : write_own(&work, file);
}

#define NAME \
	{ \
		"name", PARAM_TEXT, "NAME", "the task", true, true, false \
	}
#define FENCE \
	{ \
		"fence", PARAM_WHOLE, "F", "of the claim", false, true, false \
	}
#define SESSION \
	{ \
		"session", PARAM_TEXT, "SESSION", "who asks; default: the caller", false, false, false \
	}

static const struct param claim_params[] = {
	NAME,
	{"wait", PARAM_DURATION, "D", "for whoever has it; default: not at all", false, false, false},
	{"ttl", PARAM_SPAN, "D", "how long it is the caller's unless it is renewed; default 10m", false, false, false},
	{"pid", PARAM_WHOLE, "PID", "the process that does it: free when that is gone; default: the session's agent", false, false,
     false},
	{"role", PARAM_TEXT, "ROLE", "its priority counts (see `stile lock role`)", false, false, false},
	SESSION,
};
static const struct param renew_params[] = {
	NAME,
	FENCE,
	{"ttl", PARAM_SPAN, "D", "from now on; default: as before", false, false, false},
	SESSION,
};
static const struct param done_params[] = {
	NAME,
	FENCE,
	{"result", PARAM_LONG, "JSON", "what came of it; whoever claims it later is told", false, false, false},
	SESSION,
};
static const struct param release_params[] = {NAME, FENCE, SESSION};
static const struct param list_params[] = {
	{"all", PARAM_FLAG, NULL, "also those that are done", false, false, false},
};
static const struct param active_params[] = {
	{"name", PARAM_TEXT, "NAME", "the task that the session is at from now on, which it holds; default: tells it", true, false,
     false},
	{"clear", PARAM_FLAG, NULL, "the session is at none", false, false, false},
	{"file", PARAM_TEXT, "PATH",
     "an old file that is one for all sessions: told from it while the session has none of its own; what is set is also "
     "written "
     "to PATH.SESSION",
     false, false, false},
	SESSION,
};

static const struct verb verbs[] = {
	{"task claim", "be the one who does it; refused with who has it, or with who did it when, and what came of it", DOES_WRITE,
     NULL, PARAMS(claim_params), run_claim},
	{"task renew", "go on with it for longer", DOES_WRITE, NULL, PARAMS(renew_params), run_renew},
	{"task done", "it is done, for good; refused when another has taken it over", DOES_WRITE, NULL, PARAMS(done_params),
     run_done},
	{"task release", "give it back undone; the next in line has it at once", DOES_WRITE, NULL, PARAMS(release_params),
     run_release},
	{"task list", "which are claimed, by whom until when, and who waits", DOES_READ,
     "task state holder session fence since_ms expires_ms done_by done_ms", PARAMS(list_params), run_list},
	{"task active", "the task that the calling session is at: each has its own", DOES_READ | DOES_WRITE | DOES_OPEN_PATH, NULL,
     PARAMS(active_params), run_active},
};

const struct verb_table verbs_task = VERB_TABLE(verbs);
