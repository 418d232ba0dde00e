#include "legacy/tractatus_state.h"

#include "base/str.h"

#include <math.h>

#define LABEL "stile"
#define INSTANT_MAX 40
#define NUMBER_MAX 9e15

static int64_t
instant_of(const json_t *object, const char *key)
{
	return str_instant_ms(json_text(object, key, ""));
}

/* The first of two names that is there; *out is untouched when neither is. */
static enum status
number_of(const json_t *object, const char *key, const char *other, double *out, struct buf *why)
{
	const json_t *value = json_object_get(object, key);

	if (value == NULL && other != NULL) {
		value = json_object_get(object, other);
		key = other;
	}
	if (value == NULL || json_is_null(value))
		return OK;
	if (!json_is_number(value) || !(json_number_value(value) >= 0 && json_number_value(value) <= NUMBER_MAX))
		return why_not(why, BAD_INPUT, "%s is no number from 0 on", key);
	*out = json_number_value(value);
	return OK;
}

static enum status
take_metric(const json_t *object, const char *key, const char *other, const char *name, struct state_read *out, struct buf *why)
{
	double value = -1;
	enum status status = number_of(object, key, other, &value, why);

	if (status == OK && value >= 0)
		out->metrics[out->metric_count++] = (struct state_metric){name, floor(value)};
	return status;
}

static enum status
read_state(const json_t *state, struct state_read *out, struct buf *why)
{
	static const char *const activities[] = {"pressure_checks", "instructions_added", "validations_run",
	                                         "boundary_enforcements"};
	const json_t *activity = json_object_get(state, "framework_activity");
	double budget = 0;
	enum status status;

	if (!json_is_object(state))
		return why_not(why, BAD_INPUT, "is no object");
	if (str_copy(out->session_id, sizeof out->session_id, json_text(state, "session_id", "")) != OK ||
	    str_check_text("session_id", out->session_id, ID_MAX, why) != OK)
		return why_not(why, BAD_INPUT, "its session_id is too long or no text");
	out->started_ms = instant_of(state, "started");
	if (out->started_ms == 0)
		out->started_ms = instant_of(state, "created_at");
	status = number_of(state, "token_budget", NULL, &budget, why);
	out->budget = (int64_t)budget;
	if (status == OK)
		status = take_metric(state, "message_count", "messages", "messages", out, why);
	if (status == OK)
		status = take_metric(state, "token_estimate", "tokens_used", "context_tokens", out, why);
	for (size_t i = 0; i < sizeof activities / sizeof *activities && status == OK; i++)
		status = take_metric(activity, activities[i], NULL, activities[i], out, why);
	return status;
}

static enum status
read_checkpoint(const json_t *item, struct state_read *out, struct buf *why)
{
	double percent = 0, tokens = 0;
	enum status status = number_of(item, "percentage", NULL, &percent, why);

	if (status == OK)
		status = number_of(item, "tokens", NULL, &tokens, why);
	if (status != OK || !json_truth(item, "completed"))
		return status;
	if (percent < 1 || percent > 100 || out->checkpoints.count == CHECKPOINTS_MAX)
		return why_not(why, BAD_INPUT, "has more than %d checkpoints, or one that is no percentage", CHECKPOINTS_MAX);
	for (size_t i = 0; i < out->checkpoints.count; i++)
		if (out->checkpoints.items[i].percent == (int64_t)percent)
			return why_not(why, BAD_INPUT, "has the checkpoint %lld twice", (long long)percent);
	out->checkpoints.items[out->checkpoints.count++] = (struct checkpoint){.percent = (int64_t)percent,
	                                                                       .tokens = (int64_t)tokens,
	                                                                       .generation = 1,
	                                                                       .fired_ms = instant_of(item, "timestamp")};
	return OK;
}

static enum status
read_checkpoints(const json_t *checkpoints, struct state_read *out, struct buf *why)
{
	const json_t *list = json_object_get(checkpoints, "checkpoints");
	double budget = (double)out->budget;
	enum status status;
	json_t *item;
	size_t i;

	if (!json_is_object(checkpoints) || !json_is_array(list))
		return why_not(why, BAD_INPUT, "holds no list of checkpoints");
	status = number_of(checkpoints, "budget", NULL, &budget, why);
	if (out->budget == 0)
		out->budget = (int64_t)budget;
	json_array_foreach(list, i, item) if (status == OK) status = read_checkpoint(item, out, why);
	return status;
}

enum status
state_read(const json_t *state, const json_t *checkpoints, struct state_read *out, struct buf *why)
{
	struct state_read found = {0};
	enum status status = state == NULL ? OK : read_state(state, &found, why);

	if (status == OK && checkpoints != NULL)
		status = read_checkpoints(checkpoints, &found, why);
	if (status == OK)
		*out = found;
	return status;
}

static json_t *
instant(int64_t ms)
{
	char text[INSTANT_MAX];

	str_instant(text, sizeof text, ms);
	return json_string(text);
}

/* What its components did last: theirs is kept; of the pressure we know more. */
static json_t *
activity(const struct state_numbers *numbers, const json_t *before)
{
	static const struct {
		const char *component;
		const char *last;
	} components[] = {{"ContextPressureMonitor", "last_level"},
	                  {"InstructionPersistenceClassifier", "last_classification"},
	                  {"CrossReferenceValidator", "last_validation"},
	                  {"BoundaryEnforcer", "last_check"},
	                  {"MetacognitiveVerifier", "last_verification"}};
	json_t *all = json_object(), *known = json_object_get(before, "last_framework_activity");

	for (size_t i = 0; i < sizeof components / sizeof *components; i++) {
		json_t *was = json_object_get(known, components[i].component);

		if (i == 0)
			json_object_set_new(all, components[i].component,
			                    json_pack("{sI sI so ss sf}", "message", (json_int_t)numbers->messages, "tokens",
			                              (json_int_t)numbers->tokens, "timestamp", instant(numbers->session->event_ms),
			                              "last_level", numbers->pressure.level, "last_score", numbers->pressure.score));
		else if (!json_is_object(was))
			json_object_set_new(all, components[i].component,
			                    json_pack("{si si sn sn}", "message", 0, "tokens", 0, "timestamp", components[i].last));
		json_object_update_missing(json_object_get(all, components[i].component), was);
	}
	json_object_update_missing(all, known);
	return all;
}

json_t *
state_document(const struct state_numbers *numbers, const json_t *before)
{
	const struct session *session = numbers->session;
	json_t *document = json_object(), *alerts = json_object_get(before, "alerts");
	json_t *stale = json_object_get(before, "staleness_thresholds");

	json_object_set_new(document, "version", json_string("1.0.0"));
	json_object_set_new(document, "session_id", json_string(session->id));
	json_object_set_new(document, "started", instant(session->started_ms));
	json_object_set_new(document, "message_count", json_integer(numbers->messages));
	json_object_set_new(document, "token_estimate", json_integer(numbers->tokens));
	json_object_set_new(document, "token_budget", json_integer(session->budget));
	json_object_set_new(document, "last_framework_activity", activity(numbers, before));
	json_object_set_new(document, "staleness_thresholds",
	                    json_is_object(stale) ? json_incref(stale) : json_pack("{si si}", "messages", 20, "tokens", 30000));
	json_object_set_new(document, "alerts", json_is_array(alerts) ? json_incref(alerts) : json_array());
	json_object_set_new(document, "last_updated", instant(session->event_ms));
	json_object_set_new(document, "initialized", json_true());
	json_object_update_missing(document, (json_t *)(uintptr_t)before);
	json_object_set_new(document, LABEL, json_pack("{ss}", "session", session->id));
	return document;
}

static const struct checkpoint *
fired(const struct state_numbers *numbers, int64_t percent)
{
	for (size_t i = 0; i < numbers->checkpoints.count; i++)
		if (numbers->checkpoints.items[i].percent == percent)
			return &numbers->checkpoints.items[i];
	return NULL;
}

/* The one of that percentage that stood there; NULL if none did. */
static json_t *
checkpoint_before(const json_t *before, int64_t percent)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(before, "checkpoints"), i, item) if (json_whole(item, "percentage", 0) == percent)
	{
		return item;
	}
	return NULL;
}

static json_t *
checkpoint_item(int64_t percent, int64_t tokens, const struct checkpoint *fired, json_t *before)
{
	json_t *item = json_pack("{sI sI sb so}", "percentage", (json_int_t)percent, "tokens", (json_int_t)tokens, "completed",
	                         fired != NULL, "timestamp", fired == NULL ? json_null() : instant(fired->fired_ms));

	json_object_update_missing(item, before);
	return item;
}

json_t *
state_checkpoints(const struct state_numbers *numbers, const json_t *before)
{
	json_t *list = json_array(), *document;
	int64_t budget = numbers->session->budget, next = budget;
	bool overdue = false;

	for (size_t i = 0; i < numbers->percent_count; i++) {
		int64_t percent = numbers->percents[i], tokens = (int64_t)((double)budget * (double)percent / 100);
		const struct checkpoint *one = fired(numbers, percent);

		if (one == NULL && tokens < next)
			next = tokens;
		overdue = overdue || (one != NULL && one->told_ms == 0);
		json_array_append_new(list, checkpoint_item(percent, tokens, one, checkpoint_before(before, percent)));
	}
	document = json_pack("{ss sI so sI sb so}", "version", "1.0.0", "budget", (json_int_t)budget, "checkpoints", list,
	                     "next_checkpoint", (json_int_t)next, "overdue", (int)overdue, "last_check",
	                     instant(numbers->session->event_ms));
	if (document == NULL)
		return NULL;
	json_object_update_missing(document, (json_t *)(uintptr_t)before);
	json_object_set_new(document, LABEL, json_pack("{ss}", "session", numbers->session->id));
	return document;
}

bool
state_is_ours(const json_t *document)
{
	return json_is_object(json_object_get(document, LABEL));
}
