#include "os/clock.h"
#include "os/sidecar.h"
#include "verbs/lease_ask.h"
#include "core/lease_role.h"
#include "verbs/lease_hold.h"
#include "verbs/tables.h"

#define PREFIX "lock/"
#define NAME_MAX_BYTES 200
#define SIDECAR_RENEW_MS 2000

/* `lock run|acquire|renew|release|list|break|role`: named locks, and semaphores with --slots. */
struct work {
	struct call *call;
	char names[HOLD_MAX][RESOURCE_MAX + 1];
	struct lease_ask asks[HOLD_MAX];
	size_t count;
	struct caller caller;
	struct lease lease;
	size_t broken;
};

static const char *
arg(const struct call *call, const char *key)
{
	return json_text(call->args, key, NULL);
}

static enum status
add_name(struct work *work, const char *name, struct buf *why)
{
	enum status status = str_check_id("the lock's name", name, NAME_MAX_BYTES, why);

	if (status != OK)
		return status;
	/* names become parts of paths and of what people type */
	if (strstr(name, "..") != NULL)
		return why_not(why, BAD_INPUT, "the lock's name: \"..\" can't be in it");
	if (work->count == HOLD_MAX)
		return why_not(why, BAD_INPUT, "at most %d locks at a time", HOLD_MAX);
	snprintf(work->names[work->count++], RESOURCE_MAX + 1, PREFIX "%s", name);
	for (size_t i = 0; i + 1 < work->count; i++)
		if (str_equal(work->names[i], work->names[work->count - 1]))
			return why_not(why, BAD_INPUT, "the lock %s is named twice", name);
	return OK;
}

/* Its name, and those of --also. */
static enum status
read_names(struct work *work)
{
	struct call *call = work->call;
	const json_t *also;
	size_t i;
	enum status status = add_name(work, arg(call, "name"), call->why);

	json_array_foreach(json_object_get(call->args, "also"), i, also) if (status == OK)
		status = add_name(work, json_string_value(also), call->why);
	return status;
}

static enum status
read_asks(struct work *work, int64_t ttl_ms)
{
	struct call *call = work->call;
	struct lease_ask ask = {.slots = json_whole(call->args, "slots", 0),
	                        .shared = json_truth(call->args, "shared"),
	                        .ttl_ms = json_whole(call->args, "ttl", ttl_ms),
	                        .max_ms = json_whole(call->args, "max", 0)};
	enum status status = read_names(work);

	if (status == OK && json_is_integer(json_object_get(call->args, "slots")) && ask.slots < 1)
		status = why_not(call->why, BAD_INPUT, "--slots: 1 to %d", LEASE_SLOTS_MAX);
	if (status == OK)
		status = ask_process(call, &ask.process);
	for (size_t i = 0; i < work->count; i++) {
		work->asks[i] = ask;
		work->asks[i].resource = work->names[i];
	}
	return status;
}

static enum status
take(struct work *work, struct hold *hold, int64_t wait_ms, bool stays)
{
	struct call *call = work->call;
	struct lease other = {0};
	enum status status = context_open(call->context, false, call->why);

	hold_init(hold, call->context, arg(call, "session"), arg(call, "role"));
	if (status == OK)
		status = hold_take(hold, work->asks, work->count, json_whole(call->args, "wait", wait_ms), stays, &other, call->why);
	tell_holder(call->result, status, &other);
	return status;
}

static int64_t
renew_meanwhile(void *data)
{
	struct hold *hold = data;
	enum status status = hold_keep(hold, SIDECAR_RENEW_MS, NULL);

	/* what can't be renewed in time is lost */
	if ((status > OK && status != BUSY) || hold->safe_boot_ms <= clock_boot_ms())
		return -1;
	return hold_next_ms(hold);
}

/* The file's locks too, for programs that know nothing of us, within what is left of the wait. */
static enum status
take_sidecar(struct work *work, struct hold *hold, int64_t began_ms, struct sidecar *out)
{
	struct call *call = work->call;
	int64_t wait_ms = json_whole(call->args, "wait", HOLD_WAIT_MS);
	struct sidecar_tick tick = {renew_meanwhile, hold, hold_next_ms(hold)};
	enum status status = sidecar_take(out, arg(call, "sidecar"), began_ms + wait_ms, json_truth(call->args, "close"), &tick,
	                                  call->why);

	if (status == BUSY && wait_ms == 0)
		status = HELD;
	if (status != OK && hold_release(hold, NULL) != OK)
		return status;
	return status;
}

static enum status
run_run(struct call *call)
{
	struct sidecar sidecar = {-1, -1};
	int64_t began_ms = clock_boot_ms();
	struct work work = {.call = call};
	struct kept_command command;
	struct hold hold;
	int64_t ours = json_whole(call->args, "status", -1);
	enum status status = read_asks(&work, HOLD_RUN_TTL_MS);

	if (status == OK && json_is_integer(json_object_get(call->args, "status")) && (ours < 1 || ours > 255))
		status = why_not(call->why, BAD_INPUT, "--status: 1 to 255");
	if (status == OK)
		status = take(&work, &hold, HOLD_WAIT_MS, true);
	if (status == OK && arg(call, "sidecar") != NULL)
		status = take_sidecar(&work, &hold, began_ms, &sidecar);
	command = (struct kept_command){.words = call->command, .alone = json_truth(call->args, "close")};
	if (status == OK)
		status = hold_run(&hold, &command, &call->exit, call->why);
	sidecar_leave(&sidecar);
	if (status != OK && ours > 0 && ours <= 255)
		call->exit = (int)ours;
	return status;
}

static enum status
run_acquire(struct call *call)
{
	struct work work = {.call = call};
	struct hold hold;
	json_t *locks = json_array();
	enum status status = read_asks(&work, HOLD_STEP_TTL_MS);

	if (status == OK)
		status = take(&work, &hold, 0, false);
	for (size_t i = 0; status == OK && i < hold.count; i++)
		json_array_append_new(locks, lease_json(&hold.leases[i]));
	if (status == OK && hold.count == 1)
		json_object_update(call->result, json_array_get(locks, 0));
	else if (status == OK)
		json_object_set(call->result, "locks", locks);
	json_decref(locks);
	return status;
}

static enum status
find_actor(struct txn *txn, struct work *work, struct buf *why)
{
	enum status status = caller_find(txn, arg(work->call, "session"), &work->caller, why);

	if (status == OK)
		txn->actor = work->caller.actor;
	return status;
}

static enum status
rule_renew(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	const json_t *args = work->call->args;
	enum status status = find_actor(txn, work, why);

	return status == OK
	           ? lease_renew(txn, work->names[0], json_whole(args, "fence", 0), json_whole(args, "ttl", 0), &work->lease, why)
	           : status;
}

static enum status
rule_release(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_actor(txn, work, why);

	return status == OK ? lease_release(txn, work->names[0], json_whole(work->call->args, "fence", 0), why) : status;
}

static enum status
rule_break(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_actor(txn, work, why);

	if (status == OK && !work->caller.person)
		status = why_not(why, NOT_ALLOWED,
		                 "only a person breaks a lock; wait for it, or ask the person to run `stile lock break`");
	return status == OK ? lease_break(txn, work->names[0], json_whole(work->call->args, "fence", 0), &work->broken, why)
	                    : status;
}

static enum status
change(struct call *call, struct work *work, rule_function *rule)
{
	enum status status = add_name(work, arg(call, "name"), call->why);

	if (status == OK)
		status = context_open(call->context, false, call->why);
	return status == OK ? engine_run(&call->context->engine, rule, work, call->why) : status;
}

static enum status
run_renew(struct call *call)
{
	struct work work = {.call = call};
	enum status status = change(call, &work, rule_renew);

	if (status == OK)
		json_object_update_new(call->result, lease_json(&work.lease));
	return status;
}

static enum status
run_release(struct call *call)
{
	struct work work = {.call = call};
	enum status status = change(call, &work, rule_release);

	if (status == OK)
		json_object_set_new(call->result, "resource", json_string(work.names[0]));
	return status;
}

static enum status
run_break(struct call *call)
{
	struct work work = {.call = call};
	enum status status = change(call, &work, rule_break);

	if (status == OK)
		json_object_set_new(call->result, "broken", json_integer((json_int_t)work.broken));
	return status;
}

static enum status
rule_list(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	json_t *locks = json_array();

	json_object_set_new(work->call->result, "locks", locks);
	return lease_list(txn, PREFIX, json_truth(work->call->args, "all"), locks, why);
}

static enum status
run_list(struct call *call)
{
	struct work work = {.call = call};
	enum status status = context_open(call->context, false, call->why);

	return status == OK ? engine_read(&call->context->engine, rule_list, &work, call->why) : status;
}

static enum status
rule_roles(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	json_t *roles = json_array();

	json_object_set_new(work->call->result, "roles", roles);
	return lease_roles(txn, roles, why);
}

static enum status
rule_role(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_actor(txn, work, why);

	if (status == OK)
		status = lease_set_priority(txn, arg(work->call, "role"), json_whole(work->call->args, "priority", 0), why);
	return status;
}

static enum status
run_role(struct call *call)
{
	struct work work = {.call = call};
	bool sets = arg(call, "role") != NULL;
	enum status status = context_open(call->context, false, call->why);

	if (status == OK && sets != json_is_integer(json_object_get(call->args, "priority")))
		status = why_not(call->why, USAGE, "a role and its --priority, or neither for the list");
	if (status != OK)
		return status;
	if (sets)
		status = engine_run(&call->context->engine, rule_role, &work, call->why);
	return status == OK ? engine_read(&call->context->engine, rule_roles, &work, call->why) : status;
}

#define NAME \
	{ \
		"name", PARAM_TEXT, "NAME", "the lock", true, true, false \
	}
#define SESSION \
	{ \
		"session", PARAM_TEXT, "SESSION", "who asks; default: the caller", false, false, false \
	}
#define SHAPE \
	{"also", PARAM_TEXT, "NAME", "one more; all are taken, in the order of their names, or none", false, false, true}, \
		{"slots", PARAM_WHOLE, "N", "how many may hold it at once: a semaphore", false, false, false}, \
		{"shared", PARAM_FLAG, NULL, "beside others that hold it shared", false, false, false}, \
		{"max", PARAM_SPAN, "D", "ends after D in all, renewed or not", false, false, false}, \
	{ \
		"role", PARAM_TEXT, "ROLE", "its priority counts (see `stile lock role`)", false, false, false \
	}

static const struct param run_params[] = {
	NAME,
	SHAPE,
	{"wait", PARAM_DURATION, "D", "for whoever holds it; default 30s, 0s = not at all", false, false, false},
	{"ttl", PARAM_SPAN, "D", "how long it is held without a sign of life; default 30s, renewed at a third", false, false,
     false},
	{"status", PARAM_WHOLE, "N", "ends with N instead of 121 to 124 when stile refuses or fails", false, false, false},
	{"sidecar", PARAM_TEXT, "FILE", "also hold flock and lockf of FILE, which programs take that don't come through stile",
     false, false, false},
	{"close", PARAM_FLAG, NULL, "what the command leaves running doesn't hold it", false, false, false},
	SESSION,
	{"command", PARAM_COMMAND, "CMD...", "the command and its words, run without a shell; its exit status is this one's", true,
     true, false},
};
static const struct param acquire_params[] = {
	NAME,
	SHAPE,
	{"wait", PARAM_DURATION, "D", "for whoever holds it; default: not at all", false, false, false},
	{"ttl", PARAM_SPAN, "D", "how long it is held unless it is renewed; default 10m", false, false, false},
	{"pid", PARAM_WHOLE, "PID", "the process that holds it: free when that is gone; default: the session's agent", false, false,
     false},
	SESSION,
};
static const struct param renew_params[] = {
	NAME,
	{"fence", PARAM_WHOLE, "F", "of the lease", false, true, false},
	{"ttl", PARAM_SPAN, "D", "from now on; default: as before", false, false, false},
	SESSION,
};
static const struct param release_params[] = {
	NAME,
	{"fence", PARAM_WHOLE, "F", "of the lease", false, true, false},
	SESSION,
};
static const struct param break_params[] = {
	NAME,
	{"fence", PARAM_WHOLE, "F", "only the one with this fence", false, false, false},
};
static const struct param list_params[] = {
	{"all", PARAM_FLAG, NULL, "also those that nobody holds or waits for", false, false, false},
};
static const struct param role_params[] = {
	{"role", PARAM_TEXT, "ROLE", "the role; default: lists all", true, false, false},
	{"priority", PARAM_WHOLE, "N", "0 to 1000; everybody has 0", false, false, false},
};

static const struct verb verbs[] = {
	{"lock run",
     "run a command while a lock is held; 121 refused, 122 busy, 123 lease lost, 124 store: it was not run to its end",
     DOES_WRITE | DOES_RUN | DOES_OPEN_PATH, NULL, PARAMS(run_params), run_run},
	{"lock acquire", "take a lock and answer with its fence", DOES_WRITE, NULL, PARAMS(acquire_params), run_acquire},
	{"lock renew", "hold a lock for longer", DOES_WRITE, NULL, PARAMS(renew_params), run_renew},
	{"lock release", "give a lock back; the next in line has it at once", DOES_WRITE, NULL, PARAMS(release_params),
     run_release},
	{"lock list", "who holds what until when, who waits, and how long that takes", DOES_READ,
     "resource slots fence holders waiters waits holds", PARAMS(list_params), run_list},
	{"lock break", "end another's lease, as a person who knows that it is over", DOES_WRITE, NULL, PARAMS(break_params),
     run_break},
	{"lock role", "whose tickets go first; nobody is passed more than four times", DOES_WRITE, "role priority",
     PARAMS(role_params), run_role},
};

const struct verb_table verbs_lock = VERB_TABLE(verbs);
