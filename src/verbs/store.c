#include "verbs/install.h"
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

static const struct verb verbs[] = {
	{"store init", "make the store where STILE_STORE says, and no hooks; one that is there is brought up to date",
     DOES_WRITE | DOES_INSTALL, NULL, NULL, 0, run_init},
	{"store migrate", "bring the store's tables to what this program knows, and tell their number", DOES_WRITE, NULL, NULL, 0,
     run_migrate},
	{"store check", "open the store, read from it, and tell the facts that its promises stand on", DOES_READ, "fact value",
     NULL, 0, run_check},
	{"store grant", "let a role of the server use a project of the store; for the role that owns the tables",
     DOES_WRITE | DOES_INSTALL, "project role", PARAMS(grant_params), run_grant},
};

const struct verb_table verbs_store = VERB_TABLE(verbs);
