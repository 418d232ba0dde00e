#include "core/audit.h"
#include "core/checkpoint.h"
#include "core/metric.h"
#include "core/pressure.h"
#include "verbs/caller.h"
#include "verbs/tables.h"

/* `metric add|set|show`, `pressure`, `checkpoint list`: what a session's numbers are and say. */
struct work {
	struct call *call;
	const char *name;
	double amount;
	bool set;
	struct caller caller;
	struct session session; /* of the caller, where all of it is needed */
	struct checkpoint_list fired;
};

static bool
nears_checkpoint(const struct work *work)
{
	return str_equal(work->name, "context_tokens");
}

static enum status
change(struct txn *txn, struct work *work, struct buf *why)
{
	const struct metric_row *row = metric_find(work->name);
	const char *session = work->caller.session;
	struct checkpoint_list told;
	char after[40];

	if (row != NULL && work->amount < 0)
		return why_not(why, BAD_INPUT, "%s is never below 0", work->name);
	if (row != NULL && work->set && row->kind == METRIC_COUNTER)
		return why_not(why, BAD_INPUT, "%s is a counter; use `stile metric add`", work->name);
	if (row != NULL && !work->set && row->kind == METRIC_GAUGE)
		return why_not(why, BAD_INPUT, "%s is a gauge; use `stile metric set`", work->name);
	if (work->set)
		metric_set(txn, session, work->name, work->amount);
	else
		metric_add(txn, session, work->name, work->amount);
	snprintf(after, sizeof after, "%.17g", work->amount);
	audit_add(txn, session, work->set ? "metric.set" : "metric.add", work->name, "", after);
	return !nears_checkpoint(work) ? OK : checkpoint_report(txn, &work->session, false, &work->fired, &told, why);
}

static enum status
rule_change(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = caller_session(txn, json_text(work->call->args, "session", NULL), &work->caller,
	                                    nears_checkpoint(work) ? &work->session : NULL, why);

	if (status != OK)
		return status;
	txn->actor = work->caller.actor;
	return change(txn, work, why);
}

static enum status
run_change(struct call *call, bool set)
{
	struct work work = {.call = call,
	                    .name = json_text(call->args, "name", ""),
	                    .amount = json_real_of(call->args, "amount", 0),
	                    .set = set};
	json_t *fired = json_array();
	enum status status = str_check_id("the metric's name", work.name, LABEL_MAX, call->why);

	/* numbers that SQL, JSON and C all keep exactly; a counter of tokens will not pass 9e15 */
	if (status == OK && !(work.amount >= -9e15 && work.amount <= 9e15))
		status = why_not(call->why, BAD_INPUT, "%s: the number must be within 9e15", work.name);
	if (status == OK && !set && work.amount < 0)
		status = why_not(call->why, BAD_INPUT, "%s: a counter only grows; use `stile metric set` for a gauge", work.name);
	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status == OK)
		status = engine_run(&call->context->engine, rule_change, &work, call->why);
	for (size_t i = 0; status == OK && i < work.fired.count; i++)
		json_array_append_new(fired, checkpoint_json(work.caller.session, &work.fired.items[i]));
	if (status == OK)
		json_object_set_new(call->result, "session", json_string(work.caller.session));
	json_object_set_new(call->result, "checkpoints", fired);
	return status;
}

static enum status
run_add(struct call *call)
{
	return run_change(call, false);
}

static enum status
run_set(struct call *call)
{
	return run_change(call, true);
}

static enum status
rule_show(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	json_t *result = work->call->result, *metrics;
	struct metric_values values;
	enum status status;

	if (json_truth(work->call->args, "aggregate"))
		return metric_aggregate(txn, result, why);
	status = caller_session(txn, json_text(work->call->args, "session", NULL), &work->caller, NULL, why);
	if (status == OK)
		status = metric_load(txn, work->caller.session, &values, why);
	if (status != OK)
		return status;
	metrics = json_object();
	for (size_t i = 0; i < values.count; i++)
		json_object_set_new(metrics, values.items[i].name, json_number(values.items[i].life));
	metric_values_release(&values);
	json_object_set_new(result, "session", json_string(work->caller.session));
	json_object_set_new(result, "metrics", metrics);
	return OK;
}

static enum status
run_show(struct call *call)
{
	struct work work = {.call = call};
	enum status status = context_open(call->context, false, call->why);

	return status == OK ? engine_read(&call->context->engine, rule_show, &work, call->why) : status;
}

static enum status
rule_pressure(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	const char *profile = json_text(work->call->args, "profile", config_get(txn->config, "stile", "profile"));
	struct metric_values values;
	struct pressure pressure;
	const struct session *session = &work->session;
	enum status status = caller_session(txn, json_text(work->call->args, "session", NULL), &work->caller, &work->session, why);

	if (status == OK)
		status = pressure_check(txn, session, profile, &values, &pressure, why);
	if (status != OK)
		return status;
	json_object_set_new(work->call->result, "session", json_string(session->id));
	json_object_update_new(work->call->result, pressure_json(&pressure));
	json_object_set_new(work->call->result, "context_tokens", json_number(metric_now(&values, "context_tokens")));
	json_object_set_new(work->call->result, "budget", json_integer(session->budget));
	metric_values_release(&values);
	return OK;
}

static enum status
run_pressure(struct call *call)
{
	struct work work = {.call = call};
	enum status status = context_open(call->context, false, call->why);

	return status == OK ? engine_run(&call->context->engine, rule_pressure, &work, call->why) : status;
}

static enum status
rule_checkpoints(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	const char *session = json_text(work->call->args, "session", NULL);
	json_t *list = json_array();
	enum status status = OK;

	json_object_set_new(work->call->result, "checkpoints", list);
	if (session != NULL)
		status = caller_session(txn, session, &work->caller, NULL, why);
	return status == OK ? checkpoint_all(txn, session, list, why) : status;
}

static enum status
run_checkpoints(struct call *call)
{
	struct work work = {.call = call};
	enum status status = context_open(call->context, false, call->why);

	return status == OK ? engine_read(&call->context->engine, rule_checkpoints, &work, call->why) : status;
}

static const struct param change_params[] = {
	{"name", PARAM_TEXT, "NAME", "messages, context_tokens, complexity, ... or one of your own", true, true, false},
	{"amount", PARAM_NUMBER, "N", "how much", true, true, false},
	{"session", PARAM_TEXT, "SESSION", "whose; default: the caller's own", false, false, false},
};
static const struct param show_params[] = {
	{"session", PARAM_TEXT, "SESSION", "whose; default: the caller's own", false, false, false},
	{"aggregate", PARAM_FLAG, NULL, "over all sessions, for metrics that declare a meaning for it", false, false, false},
};
static const struct param pressure_params[] = {
	{"session", PARAM_TEXT, "SESSION", "whose; default: the caller's own", false, false, false},
	{"profile", PARAM_TEXT, "PROFILE", "token-ratio, tractatus-v1 or one of the config's", false, false, false},
};
static const struct param checkpoint_params[] = {
	{"session", PARAM_TEXT, "SESSION", "whose; default: everybody's", false, false, false},
};

static const struct verb verbs[] = {
	{"metric add", "add to a counter of a session; answers with the checkpoints it fired", DOES_WRITE, NULL,
     PARAMS(change_params), run_add},
	{"metric set", "set a gauge of a session; answers with the checkpoints it fired", DOES_WRITE, NULL, PARAMS(change_params),
     run_set},
	{"metric show", "a session's numbers over its life", DOES_READ, NULL, PARAMS(show_params), run_show},
	{"pressure", "how full and strained a session's context is, and where that goes", DOES_WRITE, NULL, PARAMS(pressure_params),
     run_pressure},
	{"checkpoint list", "the checkpoints that fired, each once", DOES_READ,
     "session generation percent tokens budget fired_ms told_ms", PARAMS(checkpoint_params), run_checkpoints},
};

const struct verb_table verbs_metric = VERB_TABLE(verbs);
