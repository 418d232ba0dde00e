#include "diagnose/diagnose.h"
#include "os/random.h"
#include "verbs/tables.h"

#define WRITERS_DEFAULT 4
#define TARGETS_MAX 64

static enum status
unknown_target(const char *name, struct buf *why)
{
	char names[WHY_MAX / 2] = "";
	const struct target *target;
	size_t len = 0;

	for (size_t i = 0; (target = diagnose_nth(i)) != NULL && len < sizeof names; i++)
		len += (size_t)snprintf(names + len, sizeof names - len, " %s", target->name);
	return why_not(why, USAGE, "diagnose: no target \"%.100s\"; there are:%s", name, names);
}

static bool
is_chosen(const struct target *const *targets, size_t count, const struct target *target)
{
	for (size_t i = 0; i < count; i++)
		if (targets[i] == target)
			return true;
	return false;
}

static enum status
choose(const json_t *names, const struct target **targets, size_t *count, struct buf *why)
{
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
	{
		const struct target *target = json_is_string(name) ? diagnose_find(json_string_value(name)) : NULL;

		if (target == NULL)
			return unknown_target(json_is_string(name) ? json_string_value(name) : "", why);
		if (!is_chosen(targets, *count, target) && *count < TARGETS_MAX)
			targets[(*count)++] = target;
	}
	return OK;
}

static enum status
choose_targets(const struct call *call, const struct target **targets, size_t *count)
{
	const json_t *one = json_object_get(call->args, "target"), *list = json_object_get(call->args, "targets");
	const struct target *target;
	enum status status = choose(one, targets, count, call->why);

	if (status == OK)
		status = choose(list, targets, count, call->why);
	for (size_t i = 0; one == NULL && list == NULL && i < TARGETS_MAX && (target = diagnose_nth(i)) != NULL; i++)
		targets[(*count)++] = target;
	if (status == OK && *count == 0)
		return unknown_target("", call->why);
	return status;
}

static json_t *
row_json(const struct diagnosis *row)
{
	return json_pack("{ss ss si ss ss ss}", "target", row->target->name, "mode", row->guarded ? "guarded" : "unguarded",
	                 "writers", (int)row->writers, "expected", row->expected, "found", row->found, "verdict",
	                 verdict_name(row->verdict));
}

static enum status
rule_nothing(struct txn *txn, void *data, struct buf *why)
{
	(void)txn;
	(void)data;
	(void)why;
	return OK;
}

/* Its tables must be there: nothing is made that stays. */
static enum status
find_store(const struct call *call, const char *name, struct store_address *out)
{
	struct context *context = call->context;
	struct engine engine;
	struct db *db;
	enum status status;

	if (!paths_is_server(name))
		return why_not(call->why, BAD_INPUT, "diagnose: --store is a postgresql:// address; else it makes a store of its own");
	status = paths_refuse_password("diagnose: --store", name, call->why);
	if (status == OK)
		status = paths_store(&context->place, name, out, call->why);
	if (status == OK)
		status = context->open_store(out, false, &db, call->why);
	if (status != OK)
		return status;
	engine_init(&engine, db, out->project, "diagnose", random_bytes);
	status = engine_read(&engine, rule_nothing, NULL, call->why);
	engine_release(&engine, false);
	return status;
}

static enum status
collide(struct call *call, const struct target *const *targets, size_t count)
{
	const char *server = json_text(call->args, "store", NULL);
	struct store_address store = {0};
	struct diagnose_ask ask = {.targets = targets,
	                           .count = count,
	                           .writers = (unsigned)json_whole(call->args, "writers", WRITERS_DEFAULT),
	                           .limit_ms = DIAGNOSE_LIMIT_MS,
	                           .open_store = call->context->open_store,
	                           .store = server == NULL ? NULL : &store};
	struct diagnosis *rows = calloc(count * 2, sizeof *rows);
	json_t *list = json_array();
	enum status status = rows == NULL ? NO_MEMORY : server == NULL ? OK : find_store(call, server, &store);

	if (status == OK)
		status = diagnose_run(&ask, rows, call->why);
	for (size_t i = 0; status == OK && i < count * 2; i++)
		json_array_append_new(list, row_json(&rows[i]));
	if (status == OK) {
		json_object_set(call->result, "targets", list);
		status = diagnose_proves(rows, count * 2, call->why) ? OK : CONFLICT;
	}
	json_decref(list);
	free(rows);
	return status;
}

static enum status
list_resources(struct call *call)
{
	json_t *list = json_array();
	const struct resource *resource;

	for (size_t i = 0; (resource = diagnose_resource(i)) != NULL; i++)
		json_array_append_new(list, json_pack("{ss ss ss ss ss}", "id", resource->id, "resource", resource->name, "state",
		                                      resource->state, "target", resource->target, "reason", resource->reason));
	json_object_set_new(call->result, "resources", list);
	return OK;
}

static enum status
run_diagnose(struct call *call)
{
	const struct target *targets[TARGETS_MAX];
	int64_t writers = json_whole(call->args, "writers", WRITERS_DEFAULT);
	size_t count = 0;
	enum status status;

	if (writers < 2 || writers > TRIAL_WRITERS_MAX)
		return why_not(call->why, BAD_INPUT, "diagnose: --writers is 2 to %d", TRIAL_WRITERS_MAX);
	status = choose_targets(call, targets, &count);
	if (status != OK)
		return status;
	return json_truth(call->args, "list") ? list_resources(call) : collide(call, targets, count);
}

static const struct param params[] = {
	{"target", PARAM_TEXT, "TARGET", "only this one, by its name in the table", false, false, true},
	{"targets", PARAM_TEXT, "TARGET,...", "only these; _ may stand for -", false, false, true},
	{"writers", PARAM_WHOLE, "N", "processes that collide, 2 to 64; 4", false, false, false},
	{"store", PARAM_TEXT, "ADDRESS",
     "a server's, postgresql://...: the guarded half there, in projects that are gone afterwards", false, false, false},
	{"per-session-mode", PARAM_FLAG, NULL,
     "each writer is a session of its own: it is so in any case; taken for scripts that ask", false, false, false},
	{"list", PARAM_FLAG, NULL, "run nothing; list the resources known to be shared, with their state and why", false, false,
     false},
};

static const struct verb verbs[] = {
	{"diagnose", "let processes collide on scratch copies, without Stile and with it, and tell what was lost",
     DOES_READ | DOES_RUN, NULL, PARAMS(params), run_diagnose},
};

const struct verb_table verbs_diagnose = VERB_TABLE(verbs);
