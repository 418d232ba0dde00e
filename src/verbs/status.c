#include "core/instruction_report.h"
#include "core/metric.h"
#include "core/pressure.h"
#include "core/session.h"
#include "os/resident.h"
#include "verbs/reap.h"
#include "verbs/tables.h"

#define CONFLICTS_SHOWN 20

/* `status`: who is here, in what state, how full, and whom they wait for. */
struct work {
	struct call *call;
	struct session_list list;
	json_t *sessions;
	bool all;
};

static enum status
add_session(const struct context *context, struct txn *txn, const struct session *session, const struct metric_values *all,
            json_t *out, struct buf *why)
{
	struct metric_values values = metric_values_of(all, session->id);
	struct pressure pressure;
	char text[40];
	json_t *object;
	enum status status = pressure_of(txn->config, config_get(txn->config, "stile", "profile"), &values, session->budget,
	                                 &pressure, why);

	if (status == OK) {
		object = session_json(session, context_liveness(context, &session->process));
		json_object_set_new(object, "level", json_string(pressure.level));
		json_object_set_new(object, "score", json_real(pressure.score));
		json_object_set_new(object, "context_tokens", json_number(metric_now(&values, "context_tokens")));
		str_ago(text, sizeof text, txn_now(txn) - session->started_ms);
		json_object_set_new(object, "age", json_string(text));
		if (session->state == SESSION_WAITING) {
			str_ago(text, sizeof text, txn_now(txn) - session->state_ms);
			json_object_set_new(object, "waiting_since_ms", json_integer(session->state_ms));
			json_object_set_new(object, "waiting", json_sprintf("%s, for %s", session->waiting_for, text));
		}
		json_array_append_new(out, object);
	}
	return status;
}

static enum status
rule_status(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	struct metric_values values = {0};
	int64_t phantom_ms;
	enum status status = config_duration(txn->config, "stile", "phantom", &phantom_ms, why);

	if (status == OK)
		status = session_list(txn, work->all, &work->list, why);
	if (status == OK)
		status = metric_load_all(txn, work->all, &values, why);
	for (size_t i = 0; status == OK && i < work->list.count; i++)
		if (work->all || !session_is_phantom(&work->list.items[i], txn_now(txn), phantom_ms))
			status = add_session(work->call->context, txn, &work->list.items[i], &values, work->sessions, why);
	metric_values_release(&values);
	return status;
}

/* The instructions' contradictions, an answer of their own; the key is there only when there are any. */
static enum status
rule_conflicts(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	json_t *conflicts = json_array();
	enum status status = instruction_conflicts(txn, false, CONFLICTS_SHOWN, conflicts, why);

	if (json_array_size(conflicts) > 0)
		json_object_set(work->call->result, "conflicts", conflicts);
	json_decref(conflicts);
	return status;
}

/* Told only where one lives. */
static void
add_resident(const struct context *context, json_t *result)
{
	struct resident resident;

	if (context->address.url[0] == '\0' || !resident_find(context->address.folder, &resident))
		return;
	json_object_set_new(result, "resident", json_integer(resident.pid));
	json_object_set_new(result, "resident_since_ms", json_integer(resident.since_ms));
}

static enum status
run_status(struct call *call)
{
	struct work work = {.call = call, .sessions = json_array(), .all = json_truth(call->args, "all")};
	size_t reaped;
	enum status status = context_open(call->context, false, call->why);

	json_object_set_new(call->result, "sessions", work.sessions);
	if (status == OK && reap(call->context, &reaped, NULL, NULL) != OK)
		reaped = 0;
	if (status == OK)
		status = engine_read(&call->context->engine, rule_status, &work, call->why);
	if (status == OK)
		status = engine_read(&call->context->engine, rule_conflicts, &work, call->why);
	add_resident(call->context, call->result);
	session_list_release(&work.list);
	return status;
}

static const struct param params[] = {
    {"all", PARAM_FLAG, NULL, "ended, lost and phantom ones too", false, false, false},
};

static const struct verb verbs[] = {
    {"status", "who is here, how full their contexts are, and who waits for a person", DOES_READ,
     "session client state age level context_tokens waiting worktree", PARAMS(params), run_status},
};

const struct verb_table verbs_status = VERB_TABLE(verbs);
