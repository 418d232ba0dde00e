#include "core/copy.h"
#include "verbs/install.h"
#include "verbs/payload.h"
#include "verbs/tables.h"

#define FACTS_MAX ((size_t)64 << 10)
#define ROLE_MAX 63

static enum status
rule_nothing(struct txn *txn, void *data, struct buf *why)
{
	(void)txn;
	(void)data;
	(void)why;
	return OK;
}

/* The lines "key=value" that the engine tells of itself. */
static json_t *
facts_of(struct db *db)
{
	json_t *facts = json_array();
	char *line, *next, *equals;
	struct buf text;

	buf_init(&text, FACTS_MAX);
	db->ops->facts(db, &text);
	for (line = text.data; *line != '\0'; line = next) {
		next = line + strcspn(line, "\n");
		if (*next != '\0')
			*next++ = '\0';
		equals = strchr(line, '=');
		if (equals == NULL)
			continue;
		*equals = '\0';
		json_array_append_new(facts, json_pack("{ss ss}", "fact", line, "value", equals + 1));
	}
	buf_release(&text);
	return facts;
}

static const char *
fact(const json_t *facts, const char *name, const char *otherwise)
{
	const json_t *one;
	size_t i;

	json_array_foreach(facts, i, one) if (str_equal(json_text(one, "fact", ""), name)) return json_text(one, "value",
	                                                                                                    otherwise);
	return otherwise;
}

/* Opens it and begins a transaction, which brings older tables up to date whatever the engine is. */
static enum status
look(struct call *call, json_t **facts)
{
	struct context *context = call->context;
	enum status status = context_open(context, false, call->why);

	if (status == OK)
		status = engine_read(&context->engine, rule_nothing, NULL, call->why);
	if (status != OK)
		return status;
	*facts = facts_of(context->engine.db);
	json_object_set_new(call->result, "store", json_lossy(context_store_name(context), strlen(context_store_name(context))));
	json_object_set_new(call->result, "project", json_string(context->address.project));
	return OK;
}

static enum status
run_init(struct call *call)
{
	return install_guard(call->context, false, call->result, call->why);
}

static enum status
run_migrate(struct call *call)
{
	json_t *facts;
	enum status status = look(call, &facts);

	if (status != OK)
		return status;
	json_object_set_new(call->result, "schema", json_string(fact(facts, "schema", "")));
	json_decref(facts);
	return OK;
}

static enum status
judge(const struct call *call, const json_t *facts)
{
	static const char *const wanted[][2] = {{"quick_check", "ok"}, {"rights", "ok"}, {"row_security", "ok"}, {"fsync", "on"}};

	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		const char *found = fact(facts, wanted[i][0], wanted[i][1]);

		if (!str_equal(found, wanted[i][1]))
			return why_not(call->why, STORE_DOWN, "%s: %s is %s, where it must be %s", context_store_name(call->context),
			               wanted[i][0], found, wanted[i][1]);
	}
	return OK;
}

static enum status
run_check(struct call *call)
{
	json_t *facts;
	enum status status = look(call, &facts);

	if (status != OK)
		return status;
	status = judge(call, facts);
	json_object_set_new(call->result, "facts", facts);
	return status;
}

static enum status
grants_of(const struct db_rows *rows, json_t *result)
{
	json_t *grants = json_array();

	for (size_t i = 0; i < rows->count; i++)
		json_array_append_new(grants, json_pack("{ss ss}", "project", db_text(rows, i, 0), "role", db_text(rows, i, 1)));
	return json_object_set_new(result, "grants", grants) == 0 ? OK : NO_MEMORY;
}

static enum status
check_grant(const struct call *call, const struct db_grant *grant)
{
	const struct context *context = call->context;

	if (context->engine.db->ops->grant == NULL)
		return why_not(call->why, NOT_ALLOWED, "%s: a store on this machine is its folder's owner's; roles are a server's",
		               context_store_name(context));
	if (grant->role == NULL && grant->revoke)
		return why_not(call->why, USAGE, "--revoke needs the role whose grant is taken back");
	if (grant->role != NULL && str_check_id("the role", grant->role, ROLE_MAX, call->why) != OK)
		return BAD_INPUT;
	if (grant->project != NULL &&
	    str_check_id("the project", grant->project, sizeof context->address.project - 1, call->why) != OK)
		return BAD_INPUT;
	return OK;
}

/* Without a role it lists: those of a project that is named, or all. */
static enum status
run_grant(struct call *call)
{
	struct context *context = call->context;
	struct db_grant grant = {.role = json_text(call->args, "role", NULL),
	                         .project = json_text(call->args, "project", NULL),
	                         .revoke = json_is_true(json_object_get(call->args, "revoke"))};
	struct db_rows rows;
	enum status status = context_open(context, false, call->why);

	if (grant.role != NULL && grant.project == NULL)
		grant.project = context->address.project;
	if (status == OK)
		status = check_grant(call, &grant);
	if (status == OK)
		status = context->engine.db->ops->grant(context->engine.db, &grant, &rows, call->why);
	if (status != OK)
		return status;
	if (grant.role != NULL) {
		json_object_set_new(call->result, "role", json_string(grant.role));
		json_object_set_new(call->result, "project", json_string(grant.project));
		json_object_set_new(call->result, "granted", json_boolean(!grant.revoke));
	}
	status = grants_of(&rows, call->result);
	db_rows_release(&rows);
	return status;
}

static const struct param grant_params[] = {
	{"role", PARAM_TEXT, "ROLE", "a user or group of the server; without one: who has what", true, false, false},
	{"project", PARAM_TEXT, "NAME", "default: the project here; without a role: all", false, false, false},
	{"revoke", PARAM_FLAG, NULL, "take it back", false, false, false},
};

/* Of a store and a project in it, for people. */
static void
describe(const struct context *context, char out[TEXT_MAX + 1])
{
	bool alone = str_equal(context->address.project, ".");

	snprintf(out, TEXT_MAX + 1, "%.3500s%s%s", context_store_name(context), alone ? "" : ", project ",
	         alone ? "" : context->address.project);
}

/* `default` is the place beside git's own files. */
static enum status
find_target(const struct call *call, const char *to, struct context *out)
{
	struct buf why;
	enum status status = paths_refuse_password("--to", to, call->why);

	if (status != OK)
		return status;
	out->place = call->context->place;
	out->wait_ms = call->context->wait_ms;
	out->open_store = call->context->open_store;
	memcpy(out->folder, call->context->folder, sizeof out->folder);
	memcpy(out->program, call->context->program, sizeof out->program);
	buf_init(&why, WHY_MAX);
	status = paths_store(&out->place, str_equal(to, "default") ? NULL : to, &out->address, &why);
	if (status != OK)
		status = why_not(call->why, BAD_INPUT, "--to%s",
		                 str_starts(why.data, "STILE_STORE") ? why.data + strlen("STILE_STORE") : why.data);
	buf_release(&why);
	if (status == OK && str_equal(context_store_name(out), context_store_name(call->context)) && out->address.url[0] == '\0')
		return why_not(call->why, BAD_INPUT, "--to: %s is the store that is to be copied", context_store_name(out));
	return status;
}

static void
tell_counts(json_t *result, const struct copy_count *counts)
{
	json_t *list = json_array();
	const struct copy_table *table;
	char digest[40];

	for (size_t i = 0; (table = copy_nth(i)) != NULL; i++) {
		snprintf(digest, sizeof digest, "%016llx%016llx", (unsigned long long)counts[i].digest[0],
		         (unsigned long long)counts[i].digest[1]);
		json_array_append_new(list, json_pack("{ss sI ss}", "table", table->name, "rows", (json_int_t)counts[i].rows, "digest",
		                                      digest));
	}
	json_object_set_new(result, "tables", list);
}

/* What to set from here on. */
static void
tell_address(json_t *result, const char *to)
{
	struct buf text;

	buf_init(&text, PATH_SIZE * 4);
	buf_text(&text, str_equal(to, "default") ? "unset STILE_STORE" : "export STILE_STORE=");
	if (!str_equal(to, "default"))
		str_shell_quote(&text, to);
	json_object_set_new(result, "next", json_lossy(text.data, text.len));
	buf_release(&text);
}

static enum status
copy_between(struct call *call, struct context *target, const char *to)
{
	char source_name[TEXT_MAX + 1], target_name[TEXT_MAX + 1];
	struct copy_ask ask = {source_name, target_name, json_truth(call->args, "keep"), payload_gather, call->context};
	struct copy_count counts[COPY_TABLES_MAX];
	json_t *made = json_object();
	enum status status;

	describe(call->context, source_name);
	describe(target, target_name);
	/* as `stile store init` there */
	status = install_guard(target, false, made, call->why);
	json_decref(made);
	if (status == OK)
		status = copy_rows(&call->context->engine, &target->engine, &ask, counts, call->why);
	context_release(target, false);
	if (status != OK)
		return status;
	json_object_set_new(call->result, "from", json_lossy(source_name, strlen(source_name)));
	json_object_set_new(call->result, "to", json_lossy(target_name, strlen(target_name)));
	json_object_set_new(call->result, "moved", json_boolean(!ask.keep));
	if (!ask.keep)
		tell_address(call->result, to);
	tell_counts(call->result, counts);
	return OK;
}

static enum status
rule_back(struct txn *txn, void *data, struct buf *why)
{
	return copy_back(txn, data, why);
}

static enum status
go_on_here(struct call *call)
{
	char where[TEXT_MAX + 1];
	enum status status;

	call->context->engine.db->moved_too = true;
	status = engine_run(&call->context->engine, rule_back, where, call->why);
	if (status == OK)
		json_object_set_new(call->result, "was_moved_to", json_lossy(where, strlen(where)));
	return status;
}

static enum status
run_copy(struct call *call)
{
	const char *to = json_text(call->args, "to", "");
	bool back = json_truth(call->args, "back");
	struct context *target;
	enum status status;

	if (back == (*to != '\0') || (back && json_truth(call->args, "keep")))
		return why_not(call->why, USAGE, "store copy: give --to ADDRESS, and perhaps --keep, or --back");
	status = context_open(call->context, false, call->why);
	if (status != OK)
		return status;
	if (back)
		return go_on_here(call);
	target = calloc(1, sizeof *target); /* too large for the stack */
	if (target == NULL)
		return why_not(call->why, NO_MEMORY, "out of memory");
	status = find_target(call, to, target);
	if (status == OK)
		status = copy_between(call, target, to);
	free(target);
	return status;
}

static const struct param copy_params[] = {
	{"to", PARAM_TEXT, "ADDRESS", "as STILE_STORE takes it, or `default`: beside git's own files", false, false, false},
	{"keep", PARAM_FLAG, NULL, "the store here isn't marked as moved, and goes on for itself", false, false, false},
	{"back", PARAM_FLAG, NULL, "copy nothing: take the mark off the store here; what was written in the other isn't in it",
     false, false, false},
};

static const struct verb verbs[] = {
	{"store init", "make the store where STILE_STORE says, and no hooks; one that is there is brought up to date",
     DOES_WRITE | DOES_INSTALL, NULL, NULL, 0, run_init},
	{"store migrate", "bring the store's tables to what this program knows, and tell their number", DOES_WRITE, NULL, NULL, 0,
     run_migrate},
	{"store check", "open the store, read from it, and tell the facts that its promises stand on", DOES_READ, "fact value",
     NULL, 0, run_check},
	{"store grant", "let a role of the server use a project of the store; for the role that owns the tables",
     DOES_WRITE | DOES_INSTALL, "project role", PARAMS(grant_params), run_grant},
	{"store copy", "move this codebase's rows into another store, all or none, and mark this one as moved",
     DOES_WRITE | DOES_OPEN_PATH | DOES_INSTALL, "table rows", PARAMS(copy_params), run_copy},
};

const struct verb_table verbs_store = VERB_TABLE(verbs);
