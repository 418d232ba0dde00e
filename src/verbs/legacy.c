#include "legacy/tractatus_export.h"
#include "legacy/tractatus_import.h"
#include "verbs/caller.h"
#include "verbs/mirror.h"
#include "verbs/reap.h"
#include "verbs/tables.h"

/* `import tractatus`, `import conflicts`, `export tractatus`: the files of a system that knows nothing of us. */
static enum status
rule_who(struct txn *txn, void *data, struct buf *why)
{
	return caller_find(txn, NULL, data, why);
}

/* Who asks for it; one that can't be told apart is the user. */
static void
find_actor(struct context *context, char out[ACTOR_SIZE])
{
	struct caller caller;

	if (engine_read(&context->engine, rule_who, &caller, NULL) == OK && caller.actor[0] != '\0')
		memcpy(out, caller.actor, ACTOR_SIZE);
	else
		memcpy(out, context->engine.actor, ACTOR_SIZE);
}

static enum status
run_import(struct call *call)
{
	struct context *context = call->context;
	struct tractatus_import import = {.engine = &context->engine,
	                                  .store_folder = context->address.folder,
	                                  .dry = json_truth(call->args, "dry_run"),
	                                  .result = call->result};
	bool rollback = json_truth(call->args, "rollback");
	enum status status;

	if (rollback && import.dry)
		return why_not(call->why, USAGE, "import tractatus: --dry-run and --rollback don't go together");
	status = context_open(context, false, call->why);
	if (status == OK)
		status = tractatus_find(json_text(call->args, "path", ""), false, &import.place, call->why);
	if (status != OK)
		return status;
	find_actor(context, import.actor);
	status = rollback ? tractatus_import_undo(&import, call->why) : tractatus_import_run(&import, call->why);
	if (status == OK && !import.dry)
		mirror_instructions(context, call->result);
	return status;
}

static enum status
rule_conflicts(struct txn *txn, void *data, struct buf *why)
{
	return tractatus_conflicts(txn, data, why);
}

static enum status
run_conflicts(struct call *call)
{
	json_t *conflicts = json_array();
	enum status status = context_open(call->context, false, call->why);

	json_object_set_new(call->result, "conflicts", conflicts);
	return status == OK ? engine_read(&call->context->engine, rule_conflicts, conflicts, call->why) : status;
}

static enum status export(struct tractatus_export *export, const struct call *call) {
	const char *session = json_text(call->args, "session", NULL);
	bool on = json_truth(call->args, "continuous"), off = json_truth(call->args, "off");
	enum status status = on || off ? tractatus_export_continuous(export, on, call->why) : OK;

	if (status != OK || off) return status;
	if (session != NULL) return tractatus_export_session(export, session, call->why);
	status = tractatus_export_history(export, call->why);
	return status == OK ? tractatus_export_plain(export, call->why) : status;
}

static enum status
run_export(struct call *call)
{
	struct context *context = call->context;
	struct tractatus_export one = {.engine = &context->engine, .store_folder = context->address.folder};
	const char *session = json_text(call->args, "session", NULL);
	size_t lost;
	enum status status;

	if (json_truth(call->args, "continuous") && json_truth(call->args, "off"))
		return why_not(call->why, USAGE, "export tractatus: --continuous and --off don't go together");
	status = context_open(context, false, call->why);
	if (status == OK)
		status = tractatus_find(json_text(call->args, "path", ""), true, &one.place, call->why);
	if (status == OK && session != NULL)
		status = str_check_id("--session", session, ID_SIZE - 1, call->why);
	/* a dead one must not count as the second that lives; if it can't be done now the files wait */
	if (status == OK && reap(context, &lost, NULL, NULL) != OK)
		lost = 0;
	if (status != OK)
		return status;
	status = tractatus_export_begin(&one, call->why);
	if (status == OK)
		status = export(&one, call);
	if (status == OK) {
		json_object_set_new(call->result, "folder", json_string(one.place.folder));
		json_object_set_new(call->result, "continuous", json_boolean(one.place.continuous));
		json_object_set_new(call->result, "epoch", json_integer(one.epoch));
		json_object_set_new(call->result, "taken", json_integer((json_int_t)one.taken));
		json_object_set(call->result, "steps", one.steps);
		json_object_set(call->result, "written", one.written);
		json_object_set(call->result, "notes", one.notes);
	}
	tractatus_export_end(&one);
	if (status == OK && one.taken > 0)
		mirror_instructions(context, call->result);
	return status;
}

static const struct param import_params[] = {
	{"path", PARAM_TEXT, "PATH", "the project's folder, or its .claude", true, true, false},
	{"dry-run", PARAM_FLAG, NULL, "only tell what would be done", false, false, false},
	{"rollback", PARAM_FLAG, NULL, "take the last import from there back", false, false, false},
};
static const struct param export_params[] = {
	{"path", PARAM_TEXT, "PATH", "the project's folder, or its .claude", true, true, false},
	{"continuous", PARAM_FLAG, NULL, "and from now on after each change", false, false, false},
	{"off", PARAM_FLAG, NULL, "no longer after each change; writes nothing", false, false, false},
	{"session", PARAM_TEXT, "SESSION", "only this session's own files, sessions/SESSION/", false, false, false},
};

static const struct verb verbs[] = {
	{"import tractatus", "take in Tractatus' instructions, session numbers and decisions", DOES_WRITE | DOES_OPEN_PATH,
     "action id was text", PARAMS(import_params), run_import},
	{"import conflicts", "edits of imported or exported files that met another edit, both as they were", DOES_READ,
     "id text file_text found_ms folder", NULL, 0, run_conflicts},
	{"export tractatus", "write the files that Tractatus' scripts read", DOES_WRITE | DOES_OPEN_PATH, "action id was text",
     PARAMS(export_params), run_export},
};

const struct verb_table verbs_legacy = VERB_TABLE(verbs);
