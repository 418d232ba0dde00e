#include "verbs/lease_ask.h"
#include "verbs/payload.h"
#include "verbs/queue_hand.h"
#include "verbs/queue_wait.h"
#include "verbs/queue_work.h"
#include "verbs/tables.h"

#define LIST_MAX 10000

/* `queue put|take|ack|nack|renew|dead|redrive|list|stats|work`: items that are kept until they are done. */
struct work {
	struct call *call;
	struct caller caller;
	struct queue_put put;
	char line[QUEUE_LINE_SIZE];
	char digest[DIGEST_SIZE], apart[ID_SIZE];
	bool again, full;
	struct queue_item item;
	struct queue_failure failure;
	int64_t number;
	size_t count;
};

static const char *
arg(const struct work *work, const char *key)
{
	return json_text(work->call->args, key, NULL);
}

static enum status
find_actor(struct txn *txn, struct work *work, struct buf *why)
{
	enum status status = caller_find(txn, arg(work, "session"), &work->caller, why);

	if (status == OK)
		txn->actor = work->caller.actor;
	return status;
}

/* A group's line, else the session's that is named or asks; a person's item is of none. */
static enum status
rule_put(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	const char *group = arg(work, "group");
	enum status status = find_actor(txn, work, why);

	if (status != OK)
		return status;
	if (group != NULL)
		snprintf(work->line, sizeof work->line, QUEUE_GROUP "%s", group);
	else
		snprintf(work->line, sizeof work->line, "%s", work->caller.session);
	status = queue_put(txn, &work->put, &work->item, &work->again, why);
	work->full = status == BUSY;
	return status;
}

static enum status
read_put(struct work *work)
{
	const json_t *args = work->call->args, *payload = json_object_get(args, "payload");
	struct buf *why = work->call->why;
	const char *group = arg(work, "group");
	enum status status = OK;

	work->put = (struct queue_put){.queue = arg(work, "queue"),
	                               .line = work->line,
	                               .key = json_text(args, "key", ""),
	                               .slot = json_text(args, "until_bound", ""),
	                               .priority = json_whole(args, "priority", 0),
	                               .delay_ms = json_whole(args, "delay", 0),
	                               .payload = json_string_value(payload),
	                               .size = json_string_length(payload),
	                               .digest = work->digest,
	                               .apart = work->apart};
	if (payload == NULL)
		return why_not(why, USAGE, "queue put: the payload is missing");
	if (group != NULL)
		status = str_check_id("--group", group, ID_MAX, why);
	if (status == OK && group != NULL && work->put.slot[0] != '\0')
		status = why_not(why, USAGE, "either --group or --until-bound, which is a session's");
	if (work->put.key[0] != '\0')
		digest_make(work->digest, work->put.payload, work->put.size);
	return status;
}

static void
tell(const struct work *work)
{
	json_object_update_new(work->call->result, queue_json(&work->item, work->call->context->engine.db->now_ms));
}

static enum status
run_put(struct call *call)
{
	struct work work = {.call = call};
	struct context *context = call->context;
	enum status status = read_put(&work);

	if (status == OK)
		status = context_open(context, false, call->why);
	if (status == OK)
		status = payload_keep(context, work.put.payload, work.put.size, work.apart, call->why);
	if (status != OK)
		return status;
	status = engine_run(&context->engine, rule_put, &work, call->why);
	/* what may have been committed stays; if it wasn't nobody names it, and it goes with the next sweep */
	if (status != OUTCOME_UNKNOWN && (status != OK || work.again))
		payload_drop(context, work.apart);
	if (status == BUSY && work.full)
		json_object_set_new(call->result, "error", json_string("full"));
	if (status != OK)
		return status;
	tell(&work);
	json_object_set_new(call->result, "created", json_boolean(!work.again));
	return OK;
}

static enum status
run_take(struct call *call)
{
	json_t *items = json_array();
	struct queue_wait wait;
	enum status status;

	queue_wait_init(&wait, call->context);
	wait.ask = (struct queue_take){.queue = json_text(call->args, "queue", ""),
	                               .line = json_text(call->args, "session", NULL),
	                               .max = json_whole(call->args, "max", 1),
	                               .ttl_ms = json_whole(call->args, "lease", QUEUE_TTL_MS)};
	json_object_set_new(call->result, "items", items);
	status = ask_process(call, &wait.ask.process);
	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status == OK)
		status = queue_wait_take(&wait, json_whole(call->args, "wait", 0), call->why);
	if (status == BUSY && wait.empty)
		json_object_set_new(call->result, "error", json_string("empty"));
	if (status != OK)
		return status;
	status = queue_hand_out(call, wait.caller.actor, &wait.taken, items);
	queue_taken_release(&wait.taken);
	return status;
}

static int64_t
generation(const struct work *work)
{
	return json_whole(work->call->args, "generation", 0);
}

static enum status
rule_ack(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_actor(txn, work, why);

	return status == OK ? queue_ack(txn, arg(work, "id"), generation(work), &work->item, why) : status;
}

static enum status
rule_nack(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_actor(txn, work, why);

	return status == OK ? queue_nack(txn, arg(work, "id"), generation(work), &work->failure, &work->item, why) : status;
}

static enum status
rule_renew(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_actor(txn, work, why);

	return status == OK
	           ? queue_renew(txn, arg(work, "id"), generation(work), json_whole(work->call->args, "lease", 0), &work->item, why)
	           : status;
}

static enum status
end(struct work *work, rule_function *rule)
{
	struct call *call = work->call;
	enum status status = context_open(call->context, false, call->why);

	if (status == OK)
		status = engine_run(&call->context->engine, rule, work, call->why);
	if (status == OK)
		tell(work);
	return status;
}

static enum status
run_ack(struct call *call)
{
	struct work work = {.call = call};
	enum status status = end(&work, rule_ack);

	if (status == OK)
		payload_drop(call->context, work.item.apart);
	return status;
}

static enum status
run_nack(struct call *call)
{
	struct work work = {.call = call};
	enum status status;

	work.failure = (struct queue_failure){.reason = json_text(call->args, "reason", "not acknowledged"),
	                                      .delay_ms = json_whole(call->args, "delay", -1),
	                                      .untried = json_truth(call->args, "untried"),
	                                      .hopeless = json_truth(call->args, "dead")};
	status = str_check_text("--reason", work.failure.reason, QUEUE_REASON_MAX, call->why);
	if (status == OK && work.failure.untried && work.failure.hopeless)
		status = why_not(call->why, USAGE, "either --untried or --dead");
	return status == OK ? end(&work, rule_nack) : status;
}

static enum status
run_renew(struct call *call)
{
	struct work work = {.call = call};

	return end(&work, rule_renew);
}

static enum status
rule_dead(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	json_t *items = json_array();
	enum status status;

	json_object_set_new(work->call->result, "items", items);
	status = queue_known(txn, arg(work, "queue"), why);
	return status == OK
	           ? queue_list(txn, arg(work, "queue"), QUEUE_DEAD, json_whole(work->call->args, "after", 0), LIST_MAX, items, why)
	           : status;
}

static enum status
run_dead(struct call *call)
{
	struct work work = {.call = call};
	enum status status = queue_check_name(arg(&work, "queue"), call->why);

	if (status == OK)
		status = context_open(call->context, false, call->why);
	return status == OK ? engine_read(&call->context->engine, rule_dead, &work, call->why) : status;
}

static enum status
rule_who(struct txn *txn, void *data, struct buf *why)
{
	return caller_find(txn, NULL, &((struct work *)data)->caller, why);
}

static enum status
rule_redrive(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	txn->actor = work->caller.actor;
	return queue_redrive(txn, arg(work, "queue"), work->number, &work->count, why);
}

/* A part at a time: others come in between. */
static enum status
redrive_all(struct work *work)
{
	struct call *call = work->call;
	size_t all = 0;
	enum status status;

	do {
		status = engine_run(&call->context->engine, rule_redrive, work, call->why);
		if (status == OK)
			all += work->count;
	} while (status == OK && work->number == 0 && work->count == QUEUE_REDRIVE_MAX);
	work->count = all;
	return status;
}

static enum status
run_redrive(struct call *call)
{
	struct work work = {.call = call};
	char queue[QUEUE_NAME_MAX + 1];
	const char *id = arg(&work, "id");
	enum status status = queue_check_name(arg(&work, "queue"), call->why);

	if (status == OK && id != NULL)
		status = queue_id_parse(id, queue, &work.number, call->why);
	if (status == OK && id != NULL && !str_equal(queue, arg(&work, "queue")))
		status = why_not(call->why, BAD_INPUT, "%s is not an item of %s", id, arg(&work, "queue"));
	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status == OK)
		status = engine_read(&call->context->engine, rule_who, &work, call->why);
	if (status == OK)
		status = redrive_all(&work);
	if (status == OK && work.count == 0)
		return why_not(call->why, NO_SUCH, "of the queue %s nothing is dead", arg(&work, "queue"));
	if (status != OK && work.count == 0)
		return status;
	/* also of those that were put back before it failed */
	json_object_set_new(call->result, "queue", json_string(arg(&work, "queue")));
	json_object_set_new(call->result, "redriven", json_integer((json_int_t)work.count));
	return status;
}

static enum status
rule_stats(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	json_t *queues = json_array();

	json_object_set_new(work->call->result, "queues", queues);
	return queue_stats(txn, arg(work, "queue"), queues, why);
}

static enum status
run_stats(struct call *call)
{
	struct work work = {.call = call};
	enum status status = arg(&work, "queue") == NULL ? OK : queue_check_name(arg(&work, "queue"), call->why);

	if (status == OK)
		status = context_open(call->context, false, call->why);
	return status == OK ? engine_read(&call->context->engine, rule_stats, &work, call->why) : status;
}

static const struct {
	const char *name;
	enum queue_state state;
} states[] = {{"pending", QUEUE_FIRST}, {"claimed", QUEUE_CLAIMED}, {"dead", QUEUE_DEAD}, {"done", QUEUE_DONE}};

static enum status
rule_list(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	json_t *items = json_array();
	enum status status;

	json_object_set_new(work->call->result, "items", items);
	status = queue_known(txn, arg(work, "queue"), why);
	return status == OK ? queue_list(txn, arg(work, "queue"), states[work->number].state,
	                                 json_whole(work->call->args, "after", 0), LIST_MAX, items, why)
	                    : status;
}

static enum status
run_list(struct call *call)
{
	struct work work = {.call = call};
	const char *state = json_text(call->args, "state", "pending");
	enum status status = queue_check_name(arg(&work, "queue"), call->why);

	while (work.number < (int64_t)(sizeof states / sizeof *states) && !str_equal(states[work.number].name, state))
		work.number++;
	if (status == OK && work.number == (int64_t)(sizeof states / sizeof *states))
		status = why_not(call->why, BAD_INPUT, "--state: pending, claimed, dead or done");
	if (status == OK)
		status = context_open(call->context, false, call->why);
	return status == OK ? engine_read(&call->context->engine, rule_list, &work, call->why) : status;
}

#define QUEUE \
	{ \
		"queue", PARAM_TEXT, "QUEUE", "the queue", true, true, false \
	}
#define ITEM \
	{ \
		"id", PARAM_TEXT, "ID", "the item's, as `take` told it", true, true, false \
	}
#define GENERATION \
	{ \
		"generation", PARAM_WHOLE, "G", "of the claim", false, true, false \
	}
#define SESSION \
	{ \
		"session", PARAM_TEXT, "SESSION", "who asks; default: the caller", false, false, false \
	}
#define AFTER \
	{ \
		"after", PARAM_WHOLE, "N", "only items with a greater number; 10,000 are told at a time", false, false, false \
	}

static const struct param put_params[] = {
	QUEUE,
	{"payload", PARAM_PAYLOAD, "TEXT", "what it is, UTF-8 of at most 16 MiB; default: stdin", false, false, false},
	{"session", PARAM_TEXT, "SESSION", "whose it is; its items are taken one after another; default: the caller's", false,
     false, false},
	{"group", PARAM_TEXT, "G", "instead of a session: those of one group are taken one after another", false, false, false},
	{"key", PARAM_TEXT, "K", "put once: again with the same payload is no item more, with another it is refused", false, false,
     false},
	{"until-bound", PARAM_TEXT, "SLOT", "held until that slot of the session is bound", false, false, false},
	{"priority", PARAM_WHOLE, "N", "higher ones first, among sessions and groups", false, false, false},
	{"delay", PARAM_DURATION, "D", "not to be taken before", false, false, false},
};
static const struct param take_params[] = {
	QUEUE,
	{"session", PARAM_TEXT, "SESSION", "only that session's", false, false, false},
	{"max", PARAM_WHOLE, "N", "at most so many, up to 100; default 1", false, false, false},
	{"wait", PARAM_DURATION, "D", "for something to take; default: not at all", false, false, false},
	{"lease", PARAM_SPAN, "D", "how long they are the caller's unless they are renewed; default 60s", false, false, false},
	{"pid", PARAM_WHOLE, "PID", "the process that does them: free when that is gone; default: the session's agent", false,
     false, false},
};
static const struct param ack_params[] = {ITEM, GENERATION, SESSION};
static const struct param nack_params[] = {
	ITEM,
	GENERATION,
	{"delay", PARAM_DURATION, "D", "before it is tried again; default: the queue's back-off", false, false, false},
	{"reason", PARAM_TEXT, "T", "why, for people", false, false, false},
	{"untried", PARAM_FLAG, NULL, "it was not tried: this claim doesn't count as an attempt", false, false, false},
	{"dead", PARAM_FLAG, NULL, "it can't be done: no further attempt", false, false, false},
	SESSION,
};
static const struct param renew_params[] = {
	ITEM,
	GENERATION,
	{"lease", PARAM_SPAN, "D", "from now on; default: as before", false, false, false},
	SESSION,
};
static const struct param dead_params[] = {QUEUE, AFTER};
static const struct param redrive_params[] = {
	QUEUE,
	{"id", PARAM_TEXT, "ID", "only this item; default: all that are dead", true, false, false},
};
static const struct param list_params[] = {
	QUEUE,
	{"state", PARAM_TEXT, "STATE", "pending, claimed, dead or done; default pending", false, false, false},
	AFTER,
};
static const struct param stats_params[] = {
	{"queue", PARAM_TEXT, "QUEUE", "only this one", true, false, false},
};
static const struct param work_params[] = {
	QUEUE,
	{"session", PARAM_TEXT, "SESSION", "only that session's", false, false, false},
	{"concurrency", PARAM_WHOLE, "N", "so many commands at a time, up to 64; default 1", false, false, false},
	{"lease", PARAM_SPAN, "D", "a claim's, renewed at a third; default 60s", false, false, false},
	{"bind", PARAM_TEXT, "SLOT", "the id that the command tells becomes that slot of the item's session", false, false, false},
	{"id-file", PARAM_TEXT, "F", "the command writes the id to this file; default: it is found in what it prints", false, false,
     false},
	{"drain", PARAM_FLAG, NULL, "end when there is nothing to take", false, false, false},
	{"command", PARAM_COMMAND, "CMD...", "gets the payload on stdin; done if it ends with 0", true, true, false},
};

static const struct verb verbs[] = {
	{"queue put", "keep an item until it is done; on disk when answered", DOES_WRITE, NULL, PARAMS(put_params), run_put},
	{"queue take", "claim the next items; nobody else has them unless the claim ends", DOES_WRITE,
     "id generation session group attempts expires_ms payload", PARAMS(take_params), run_take},
	{"queue ack", "a claimed item is done; refused when the claim was over and another has it", DOES_WRITE, NULL,
     PARAMS(ack_params), run_ack},
	{"queue nack", "a claimed item was not done: it comes back after a while, or is dead after too many attempts", DOES_WRITE,
     NULL, PARAMS(nack_params), run_nack},
	{"queue renew", "go on with a claimed item for longer", DOES_WRITE, NULL, PARAMS(renew_params), run_renew},
	{"queue dead", "items that failed too often, with the reason", DOES_READ, "id session group attempts reason ended_ms",
     PARAMS(dead_params), run_dead},
	{"queue redrive", "have dead items tried again, in their old places", DOES_WRITE, NULL, PARAMS(redrive_params),
     run_redrive},
	{"queue list", "items in one state, oldest first", DOES_READ,
     "id session group priority attempts put_ms holder expires_ms reason", PARAMS(list_params), run_list},
	{"queue stats", "how much each queue holds, how old, and its limits", DOES_READ,
     "queue items bytes claimed held dead done dropped oldest_ms items_max bytes_max", PARAMS(stats_params), run_stats},
	{"queue work", "run a command for each item, until told to stop", DOES_WRITE | DOES_RUN, NULL, PARAMS(work_params),
     queue_work_run},
};

const struct verb_table verbs_queue = VERB_TABLE(verbs);
