#include "legacy/claude_mem.h"
#include "legacy/tractatus_export.h"
#include "legacy/tractatus_import.h"
#include "legacy/trinity.h"
#include "verbs/caller.h"
#include "verbs/mirror.h"
#include "verbs/observe.h"
#include "verbs/payload.h"
#include "verbs/reap.h"
#include "verbs/tables.h"

/* `import tractatus|claude-mem|trinity`, `import conflicts`, `export tractatus`: the files of systems that know nothing of us. */
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
keep(void *context, const char *payload, size_t len, char apart[ID_SIZE], struct buf *why)
{
	return payload_keep(context, payload, len, apart, why);
}

static void
drop(void *context, const char *apart)
{
	payload_drop(context, apart);
}

static void
set_whole(json_t *result, const char *key, size_t value)
{
	json_object_set_new(result, key, json_integer((json_int_t)value));
}

static void
tell_past(const struct call *call, const struct past *past, const char *rows, const char *import)
{
	json_t *result = call->result;
	const struct past_counts *counts = &past->counts;

	json_object_set_new(result, "dry_run", json_boolean(json_truth(call->args, "dry_run")));
	set_whole(result, "sessions", counts->sessions);
	set_whole(result, "created", counts->created);
	set_whole(result, "bound", counts->bound);
	set_whole(result, "bindings", counts->bindings);
	set_whole(result, "unbound", counts->unbound);
	set_whole(result, "conflicts", counts->conflicts);
	set_whole(result, rows, counts->rows);
	set_whole(result, "orphans", counts->orphans);
	set_whole(result, "put", counts->put);
	set_whole(result, "refused", counts->refused);
	set_whole(result, "changes", past_changes(past));
	if (*import != '\0')
		json_object_set_new(result, "import", json_string(import));
	json_object_set(result, "steps", past->steps);
}

static enum status
undo_past(struct call *call, struct past *past)
{
	struct past_undone undone;
	enum status status = past_undo(past, &undone, call->why);

	if (status == OK)
		json_object_update_new(call->result,
		                       json_pack("{ss sI sI sI sI sI}", "import", undone.import, "sessions", (json_int_t)undone.sessions,
		                                 "bindings", (json_int_t)undone.bindings, "items", (json_int_t)undone.items, "turns",
		                                 (json_int_t)undone.turns, "kept", (json_int_t)undone.kept));
	return status;
}

/* Before any import: the way back, or the path of what is read.  *done: that was all. */
static enum status
begin_past(struct call *call, struct past *past, char actor[ACTOR_SIZE], bool *done)
{
	bool rollback = json_truth(call->args, "rollback"), path = json_object_get(call->args, "path") != NULL;
	enum status status;

	past->engine = &call->context->engine;
	past->keep = keep;
	past->drop = drop;
	past->data = call->context;
	status = context_open(call->context, false, call->why);
	if (status == OK && rollback && (path || json_truth(call->args, "dry_run")))
		status = why_not(call->why, USAGE, "import %s: --rollback goes alone", past->source);
	if (status == OK && !rollback && !path)
		status = why_not(call->why, USAGE, "import %s: which file?", past->source);
	if (status != OK)
		return status;
	find_actor(call->context, actor);
	past->by = actor;
	*done = rollback;
	return rollback ? undo_past(call, past) : OK;
}

static enum status
run_claude_mem(struct call *call)
{
	char actor[ACTOR_SIZE], import[ID_SIZE];
	struct past past = {.source = CLAUDE_MEM,
	                    .slot = CLAUDE_MEM_SLOT,
	                    .distinct = true,
	                    .only = json_text(call->args, "project", NULL)};
	struct claude_mem mem = {0};
	struct redactor redactor;
	bool done = false;
	enum status status = begin_past(call, &past, actor, &done);

	if (status != OK || done)
		return status;
	status = observation_redactor(&call->context->engine.config, &redactor, call->why);
	if (status != OK)
		return status;
	status = claude_mem_open(&mem, json_text(call->args, "path", ""), call->why);
	mem.redactor = &redactor;
	if (status == OK)
		status = past_import(&past, claude_mem_walk, &mem, json_truth(call->args, "dry_run"), import, call->why);
	if (status == OK) {
		json_object_set_new(call->result, "schema", json_integer(mem.schema));
		tell_past(call, &past, "pending", import);
		set_whole(call->result, "dead", past.counts.dead);
		set_whole(call->result, "processed", past.counts.left);
		set_whole(call->result, "prompts", (size_t)mem.prompts);
		set_whole(call->result, "observations", (size_t)mem.observations);
		set_whole(call->result, "summaries", (size_t)mem.summaries);
	}
	json_decref(past.steps);
	claude_mem_close(&mem);
	redactor_release(&redactor);
	return status;
}

static enum status
run_trinity(struct call *call)
{
	char actor[ACTOR_SIZE], import[ID_SIZE];
	struct past past = {.source = TRINITY, .slot = SLOT_RESUME, .only = json_text(call->args, "agent", NULL)};
	struct trinity trinity = {0};
	bool done = false;
	enum status status = begin_past(call, &past, actor, &done);

	if (status == OK && !done)
		status = trinity_open(&trinity, json_text(call->args, "path", ""), call->why);
	if (status != OK || done)
		return status;
	status = past_import(&past, trinity_walk, &trinity, json_truth(call->args, "dry_run"), import, call->why);
	if (status == OK)
		tell_past(call, &past, "messages", import);
	json_decref(past.steps);
	trinity_close(&trinity);
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
static const struct param claude_mem_params[] = {
	{"path", PARAM_TEXT, "PATH", "its database, claude-mem.db", true, false, false},
	{"project", PARAM_TEXT, "NAME", "only the sessions of this project of its; default: all", false, false, false},
	{"dry-run", PARAM_FLAG, NULL, "only tell what would be done", false, false, false},
	{"rollback", PARAM_FLAG, NULL, "instead: take the last import back", false, false, false},
};
static const struct param trinity_params[] = {
	{"path", PARAM_TEXT, "PATH", "its database", true, false, false},
	{"agent", PARAM_TEXT, "NAME", "only the sessions of this agent; default: all", false, false, false},
	{"dry-run", PARAM_FLAG, NULL, "only tell what would be done", false, false, false},
	{"rollback", PARAM_FLAG, NULL, "instead: take the last import back", false, false, false},
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
	{"import claude-mem", "take in claude-mem's sessions, the ids of its agent, and what waits to be analysed",
     DOES_WRITE | DOES_OPEN_PATH, "action id was text", PARAMS(claude_mem_params), run_claude_mem},
	{"import trinity", "take in Trinity's sessions, the ids to resume them by, and their messages", DOES_WRITE | DOES_OPEN_PATH,
     "action id was text", PARAMS(trinity_params), run_trinity},
	{"import conflicts", "edits of imported or exported files that met another edit, both as they were", DOES_READ,
     "id text file_text found_ms folder", NULL, 0, run_conflicts},
	{"export tractatus", "write the files that Tractatus' scripts read", DOES_WRITE | DOES_OPEN_PATH, "action id was text",
     PARAMS(export_params), run_export},
};

const struct verb_table verbs_legacy = VERB_TABLE(verbs);
