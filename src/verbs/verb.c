#include "verbs/verb.h"

#include "verbs/tables.h"

static const struct verb_table *const tables[] = {
    &verbs_init, &verbs_status, &verbs_doctor, &verbs_session, &verbs_metric,
    &verbs_instruction, &verbs_legacy, &verbs_audit, &verbs_diagnose, &verbs_view, &verbs_turn, &verbs_lock, &verbs_task,
    &verbs_token, &verbs_file, &verbs_queue, &verbs_ledger, &verbs_ledger_verify,
    &verbs_ledger_heads, &verbs_ledger_files, &verbs_store,
};

const struct verb *
verb_nth(size_t n)
{
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		if (n < tables[i]->count)
			return &tables[i]->verbs[n];
		n -= tables[i]->count;
	}
	return NULL;
}

const struct verb *
verb_find(const char *name)
{
	const struct verb *verb;

	for (size_t i = 0; (verb = verb_nth(i)) != NULL; i++)
		if (str_equal(verb->name, name))
			return verb;
	return NULL;
}

bool
param_is_long(const struct param *param)
{
	return param->type == PARAM_LONG || param->type == PARAM_BODY || param->type == PARAM_PAYLOAD;
}

size_t
param_limit(const struct param *param)
{
	return param->type == PARAM_LONG ? LONG_TEXT_MAX : param->type == PARAM_BODY ? BODY_MAX : PAYLOAD_MAX;
}

void
param_key(const struct param *param, char out[LABEL_MAX + 1])
{
	snprintf(out, LABEL_MAX + 1, "%s", param->name);
	for (char *c = out; *c != '\0'; c++)
		if (*c == '-')
			*c = '_';
}

const struct param *
param_find(const struct verb *verb, const char *key)
{
	char own[LABEL_MAX + 1];

	for (size_t i = 0; i < verb->param_count; i++) {
		param_key(&verb->params[i], own);
		if (str_equal(own, key))
			return &verb->params[i];
	}
	return NULL;
}

static enum status
check_type(const struct param *param, const json_t *value, struct buf *why)
{
	const char *wanted = NULL;

	if (param->many) {
		if (!json_is_array(value))
			wanted = "a list";
	} else if (param->type == PARAM_TEXT || param_is_long(param) || param->type == PARAM_PAIR) {
		if (!json_is_string(value))
			wanted = "a text";
		else if (strlen(json_string_value(value)) != json_string_length(value))
			wanted = "a text without a NUL byte";
		else if (param->type != PARAM_LONG && param_is_long(param) && json_string_length(value) > param_limit(param))
			return why_not(why, BAD_INPUT, "%s is longer than %zu bytes", param->name, param_limit(param));
	} else if (param->type == PARAM_WHOLE || param->type == PARAM_DURATION) {
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			wanted = param->type == PARAM_WHOLE ? "a whole number, 0 or more" : "a duration in milliseconds";
	} else if (param->type == PARAM_SPAN) {
		if (!json_is_integer(value) || json_integer_value(value) < 1)
			wanted = "a duration of 1 ms or more";
	} else if (param->type == PARAM_NUMBER) {
		if (!json_is_number(value))
			wanted = "a number";
	} else if (param->type == PARAM_COMMAND) {
		wanted = "the words after --";
	} else if (!json_is_boolean(value)) {
		wanted = "true or false";
	}
	return wanted == NULL ? OK : why_not(why, BAD_INPUT, "%s must be %s", param->name, wanted);
}

static enum status
check_args(const struct verb *verb, const struct call *call)
{
	const json_t *args = call->args;
	struct buf *why = call->why;
	char key[LABEL_MAX + 1];
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)args, name, value)
	{
		const struct param *param = param_find(verb, name);
		enum status status;

		if (param == NULL)
			return why_not(why, USAGE, "%s: no parameter %s; see `stile help %s`", verb->name, name, verb->name);
		status = check_type(param, value, why);
		if (status != OK)
			return status;
	}
	for (size_t i = 0; i < verb->param_count; i++) {
		param_key(&verb->params[i], key);
		if (verb->params[i].required && json_object_get(args, key) == NULL &&
		    (verb->params[i].type != PARAM_COMMAND || call->command == NULL))
			return why_not(why, USAGE, "%s: %s is missing; see `stile help %s`", verb->name,
			               verb->params[i].positional ? verb->params[i].placeholder : verb->params[i].name, verb->name);
	}
	return OK;
}

/* A list that was begun and came to nothing must not read as "there are none". */
static void
drop_empty_lists(json_t *result)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(result, next, key, value)
		if (json_is_array(value) && json_array_size(value) == 0)
			json_object_del(result, key);
}

enum status
verb_run(const struct verb *verb, struct call *call)
{
	enum status status;

	/* words that were lost on the way here would be asked for, or done without */
	if (json_starved())
		return why_not(call->why, NO_MEMORY, "out of memory");
	status = check_args(verb, call);
	if (status == OK)
		status = verb->run(call);
	/* an answer that lacks parts is none */
	if (status == OK && json_starved())
		status = (verb->does & DOES_READ) != 0
		             ? why_not(call->why, NO_MEMORY, "out of memory")
		             : why_not(call->why, OUTCOME_UNKNOWN, "out of memory for the answer; it is not known whether it was done");
	if (status != OK)
		drop_empty_lists(call->result);
	if (status != OK && call->why->len == 0)
		status = why_not(call->why, status, "%s: %s", verb->name, status_row(status)->sentence);
	return status;
}

void
verb_refusal(json_t *result, enum status status, const struct buf *why)
{
	if (json_object_get(result, "error") == NULL)
		json_object_set_new(result, "error", json_string(status_row(status)->word));
	json_object_set_new(result, "hint", json_lossy(why->data, why->len));
}
