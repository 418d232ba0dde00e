#include "core/instruction_report.h"
#include "verbs/caller.h"
#include "verbs/mirror.h"
#include "verbs/rows.h"
#include "verbs/tables.h"

/* `instruction ...`: the shared rules of the codebase. */
#define ROWS_DEFAULT 1000
#define ROWS_MAX 100000

struct work {
	struct call *call;
	struct instruction_draft draft;
	json_t *parameters; /* of the draft; NULL = none are given */
	struct buf parameters_text;
	const char *id;
	int64_t version;
	struct caller caller;
	struct instruction_outcome outcome;
	json_t *conflicts;
};

static const char *
arg(const struct call *call, const char *key)
{
	return json_text(call->args, key, NULL);
}

/* Who calls is found in an answer of its own: processes are looked at before the store is taken. */
static enum status
rule_who(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	return caller_find(txn, arg(work->call, "session"), &work->caller, why);
}

static enum status
find_caller(struct work *work)
{
	struct call *call = work->call;
	enum status status = context_open(call->context, false, call->why);

	return status == OK ? engine_read(&call->context->engine, rule_who, work, call->why) : status;
}

/* "K=V" each, into one object. */
static enum status
take_parameters(struct work *work)
{
	const json_t *pairs = json_object_get(work->call->args, "parameter");
	char name[LABEL_MAX + 1];
	size_t i;
	json_t *pair;
	enum status status = OK;

	if (pairs == NULL)
		return OK;
	work->parameters = json_object();
	json_array_foreach((json_t *)(uintptr_t)pairs, i, pair)
	{
		const char *text = json_string_value(pair), *equals = text == NULL ? NULL : strchr(text, '=');

		if (text == NULL || strlen(text) != json_string_length(pair) || equals == NULL || equals == text)
			return why_not(work->call->why, BAD_INPUT, "--parameter %.100s: it is NAME=VALUE", text == NULL ? "" : text);
		if ((size_t)(equals - text) > LABEL_MAX)
			return why_not(work->call->why, BAD_INPUT, "--parameter: a name of more than %d bytes", LABEL_MAX);
		snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
		status = str_check_id("--parameter: the name", name, LABEL_MAX, work->call->why);
		if (status == OK)
			status = str_check_text("--parameter: the value", equals + 1, TEXT_MAX, work->call->why);
		if (status != OK)
			return status;
		if (json_object_get(work->parameters, name) != NULL)
			return why_not(work->call->why, BAD_INPUT, "--parameter %s: it is given twice", name);
		json_object_set_new(work->parameters, name, json_string(equals + 1));
	}
	json_write(&work->parameters_text, work->parameters);
	work->draft.parameters = work->parameters_text.data;
	return buf_status(&work->parameters_text) == OK ? OK : why_not(work->call->why, BAD_INPUT, "too many parameters");
}

static enum status
take_draft(struct work *work)
{
	struct call *call = work->call;
	enum status status;

	work->draft = (struct instruction_draft)INSTRUCTION_DRAFT;
	work->draft.text = arg(call, "text");
	work->draft.persistence = arg(call, "persistence");
	work->draft.priority = json_whole(call->args, "priority", INSTRUCTION_SAME);
	status = take_parameters(work);
	return status == OK ? instruction_check(&work->draft, call->why) : status;
}

static void
work_init(struct work *work, struct call *call)
{
	*work = (struct work){.call = call, .id = arg(call, "id"), .version = json_whole(call->args, "version", 0)};
	work->conflicts = json_array();
	buf_init(&work->parameters_text, INSTRUCTION_OBJECT_MAX);
}

static void
work_release(struct work *work)
{
	json_decref(work->parameters);
	json_decref(work->conflicts);
	buf_release(&work->parameters_text);
	instruction_list_release(&work->outcome.list);
}

static enum status
rule_add(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	txn->actor = work->caller.actor;
	return instruction_add(txn, work->caller.session, &work->draft, &work->outcome, work->conflicts, why);
}

static enum status
rule_edit(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	txn->actor = work->caller.actor;
	return instruction_edit(txn, work->caller.session, work->id, work->version, &work->draft, &work->outcome,
	                        work->conflicts, why);
}

static enum status
rule_retire(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	txn->actor = work->caller.actor;
	return instruction_retire(txn, work->caller.session, work->id, work->version, &work->outcome, work->conflicts, why);
}

/* What was done; to who is refused, what stands. */
static void
answer(struct work *work, enum status status)
{
	json_t *result = work->call->result;

	if (status == CONFLICT && work->outcome.list.count > 0)
		json_object_update_new(result, instruction_json(&work->outcome.list.items[0], true));
	if (status != OK)
		return;
	json_object_set_new(result, "id", json_string(work->outcome.id));
	json_object_set_new(result, "version", json_integer(work->outcome.version));
	json_object_set_new(result, "author", json_string(work->caller.actor));
	json_object_set_new(result, "epoch", json_integer(work->outcome.epoch));
	if (work->outcome.again) {
		json_object_set_new(result, "again", json_true());
		json_object_set_new(result, "first_author", json_string(work->outcome.list.items[0].actor));
		json_object_set_new(result, "note",
		                    json_sprintf("%s says that already; you are on its record as an author", work->outcome.id));
	}
	json_object_set(result, "conflicts", work->conflicts);
}

static enum status
run_change(struct work *work, rule_function *rule)
{
	struct call *call = work->call;
	enum status status = find_caller(work);

	if (status == OK)
		status = engine_run(&call->context->engine, rule, work, call->why);
	answer(work, status);
	if (status == OK)
		mirror_instructions(call->context, call->result);
	return status;
}

static enum status
run_add(struct call *call)
{
	struct work work;
	enum status status;

	work_init(&work, call);
	status = take_draft(&work);
	if (status == OK)
		status = run_change(&work, rule_add);
	work_release(&work);
	return status;
}

static enum status
run_edit(struct call *call)
{
	struct work work;
	enum status status;

	work_init(&work, call);
	status = str_check_id("the instruction's id", work.id, ID_MAX, call->why);
	if (status == OK)
		status = take_draft(&work);
	if (status == OK && work.version == 0)
		status = why_not(call->why, BAD_INPUT,
		                 "--version: versions begin at 1; `stile instruction show %s` tells the present one", work.id);
	if (status == OK)
		status = run_change(&work, rule_edit);
	work_release(&work);
	return status;
}

static enum status
run_retire(struct call *call)
{
	struct work work;
	enum status status;

	work_init(&work, call);
	status = str_check_id("the instruction's id", work.id, ID_MAX, call->why);
	if (status == OK && work.version == 0 && json_object_get(call->args, "version") != NULL)
		status = why_not(call->why, BAD_INPUT, "--version: versions begin at 1");
	if (status == OK)
		status = run_change(&work, rule_retire);
	work_release(&work);
	return status;
}

static enum status
rule_list(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	return instruction_list(txn, json_truth(work->call->args, "all"), &work->outcome.list, why);
}

/* What instruction_json says of each, as columns of the rows that a list has. */
static const struct rows_column listed[] = {
	{"id", 0, ROWS_TEXT, NULL},          {"version", 1, ROWS_WHOLE, NULL},  {"active", 2, ROWS_FLAG, "true"},
	{"persistence", 4, ROWS_TEXT, NULL}, {"priority", 5, ROWS_WHOLE, NULL}, {"author", 9, ROWS_TEXT, NULL},
	{"at_ms", 10, ROWS_WHOLE, NULL},     {"text", 3, ROWS_TEXT, NULL},      {"parameters", 6, ROWS_JSON, "{}"},
};

static enum status
run_list(struct call *call)
{
	struct work work = {.call = call};
	json_t *list;
	enum status status = context_open(call->context, false, call->why);

	if (status == OK)
		status = engine_read(&call->context->engine, rule_list, &work, call->why);
	if (status == OK && call->rows != NULL) {
		*call->rows = (struct rows){"instructions", listed, sizeof listed / sizeof *listed, work.outcome.list.rows};
		work.outcome.list.rows = (struct db_rows){0};
		instruction_list_release(&work.outcome.list);
		return OK;
	}
	list = json_array();
	json_object_set_new(call->result, "instructions", list);
	for (size_t i = 0; status == OK && i < work.outcome.list.count; i++)
		json_array_append_new(list, instruction_json(&work.outcome.list.items[i], false));
	instruction_list_release(&work.outcome.list);
	return status;
}

static enum status
rule_show(struct txn *txn, void *data, struct buf *why)
{
	struct call *call = data;

	return instruction_show(txn, arg(call, "id"), call->result, why);
}

static enum status
run_show(struct call *call)
{
	enum status status = str_check_id("the instruction's id", arg(call, "id"), ID_MAX, call->why);

	if (status == OK)
		status = context_open(call->context, false, call->why);
	return status == OK ? engine_read(&call->context->engine, rule_show, call, call->why) : status;
}

static enum status
rule_history(struct txn *txn, void *data, struct buf *why)
{
	struct call *call = data;
	struct instruction_query query = {.id = arg(call, "id"),
	                                  .session = arg(call, "session"),
	                                  .actor = arg(call, "author"),
	                                  .since_ms = txn_now(txn) - json_whole(call->args, "since", txn_now(txn)),
	                                  .limit = json_whole(call->args, "limit", ROWS_DEFAULT)};
	struct instruction_list there;
	json_t *rows = json_array();
	enum status status;

	json_object_set_new(call->result, "versions", rows);
	status = instruction_history(txn, &query, rows, why);
	if (status == OK && json_array_size(rows) == 0 && query.id != NULL) {
		status = instruction_load(txn, query.id, &there, why);
		if (status == OK)
			instruction_list_release(&there);
	}
	return status;
}

static enum status
run_history(struct call *call)
{
	enum status status;

	if (json_whole(call->args, "limit", 1) > ROWS_MAX)
		return why_not(call->why, BAD_INPUT, "--limit: at most %d rows", ROWS_MAX);
	status = context_open(call->context, false, call->why);
	return status == OK ? engine_read(&call->context->engine, rule_history, call, call->why) : status;
}

static enum status
rule_conflicts(struct txn *txn, void *data, struct buf *why)
{
	struct call *call = data;
	json_t *list = json_array();

	json_object_set_new(call->result, "conflicts", list);
	return instruction_conflicts(txn, json_truth(call->args, "all"), ROWS_MAX, list, why);
}

static enum status
run_conflicts(struct call *call)
{
	enum status status = context_open(call->context, false, call->why);

	return status == OK ? engine_read(&call->context->engine, rule_conflicts, call, call->why) : status;
}

static enum status
rule_checked(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	struct call *call = work->call;

	txn->actor = work->caller.actor;
	return instruction_checked(txn, work->caller.session, arg(call, "id"), json_truth(call->args, "violated"), call->result,
	                           why);
}

static enum status
run_checked(struct call *call)
{
	struct work work = {.call = call};
	enum status status = str_check_id("the instruction's id", arg(call, "id"), ID_MAX, call->why);

	if (status == OK)
		status = find_caller(&work);
	return status == OK ? engine_run(&call->context->engine, rule_checked, &work, call->why) : status;
}

#define ID \
	{ \
		"id", PARAM_TEXT, "ID", "which: inst_001, ...", true, true, false \
	}
#define TEXT \
	{ \
		"text", PARAM_LONG, "TEXT", "what it says, up to 64 KiB", true, true, false \
	}
#define AUTHOR \
	{ \
		"session", PARAM_TEXT, "SESSION", "who says so; default: the caller's own, or a person", false, false, false \
	}

static const struct param add_params[] = {
	TEXT,
	{"parameter", PARAM_PAIR, "NAME=VALUE", "a parameter that it sets", false, false, true},
	{"persistence", PARAM_TEXT, "WORD", "HIGH, MEDIUM, LOW, or a word of your own", false, false, false},
	{"priority", PARAM_WHOLE, "N", "the higher counts more; 50", false, false, false},
	AUTHOR,
};
static const struct param edit_params[] = {
	ID,
	TEXT,
	{"version", PARAM_WHOLE, "V", "the version that you have read; another is refused", false, true, false},
	{"parameter", PARAM_PAIR, "NAME=VALUE", "a parameter that it sets, instead of all that it did", false, false, true},
	{"persistence", PARAM_TEXT, "WORD", "HIGH, MEDIUM, LOW, or a word of your own; as it was", false, false, false},
	{"priority", PARAM_WHOLE, "N", "the higher counts more; as it was", false, false, false},
	AUTHOR,
};
static const struct param retire_params[] = {
	ID,
	{"version", PARAM_WHOLE, "V", "only if it stands at that version", false, false, false},
	AUTHOR,
};
static const struct param all_params[] = {
	{"all", PARAM_FLAG, NULL, "those that hold no longer too", false, false, false},
};
static const struct param show_params[] = {ID};
static const struct param history_params[] = {
	{"id", PARAM_TEXT, "ID", "only of this one", true, false, false},
	{"session", PARAM_TEXT, "SESSION", "only what this session said", false, false, false},
	{"author", PARAM_TEXT, "ACTOR", "only what this actor said: a session, session/sub-agent, uid:N", false, false, false},
	{"since", PARAM_DURATION, "DURATION", "only the last so long: 10m, 2h, 7d", false, false, false},
	{"limit", PARAM_WHOLE, "N", "the newest so many; 1000", false, false, false},
};
static const struct param checked_params[] = {
	ID,
	{"violated", PARAM_FLAG, NULL, "and it was violated", false, false, false},
	AUTHOR,
};

static const struct verb verbs[] = {
	{"instruction add", "add a rule for all sessions; it gets the next id", DOES_WRITE, NULL, PARAMS(add_params), run_add},
	{"instruction edit", "make its next version, if it stands at the one you have read", DOES_WRITE, NULL, PARAMS(edit_params),
     run_edit},
	{"instruction retire", "it holds no longer; nothing is deleted", DOES_WRITE, NULL, PARAMS(retire_params), run_retire},
	{"instruction list", "the instructions that hold, oldest first", DOES_READ, "id version persistence priority author text",
     PARAMS(all_params), run_list},
	{"instruction show", "one of them, with its authors and how it fares", DOES_READ, NULL, PARAMS(show_params), run_show},
	{"instruction history", "every version: who said what, when", DOES_READ, "at_ms id version action actor priority text",
     PARAMS(history_params), run_history},
	{"instruction conflicts", "which contradict each other, and which of them holds", DOES_READ,
     "parameter chosen chosen_value other other_value decided_by found_ms found_by", PARAMS(all_params), run_conflicts},
	{"instruction checked", "count that somebody checked one, and whether it was violated", DOES_WRITE, NULL,
     PARAMS(checked_params), run_checked},
};

const struct verb_table verbs_instruction = VERB_TABLE(verbs);
