#include "verbs/install.h"
#include "verbs/tables.h"

#define FACTS_MAX ((size_t)64 << 10)

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
	static const char *const wanted[][2] = {{"quick_check", "ok"}, {"rights", "ok"}, {"fsync", "on"}};

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

static const struct verb verbs[] = {
	{"store init", "make the store where STILE_STORE says, and no hooks; one that is there is brought up to date",
     DOES_WRITE | DOES_INSTALL, NULL, NULL, 0, run_init},
	{"store migrate", "bring the store's tables to what this program knows, and tell their number", DOES_WRITE, NULL, NULL, 0,
     run_migrate},
	{"store check", "open the store, read from it, and tell the facts that its promises stand on", DOES_READ, "fact value",
     NULL, 0, run_check},
};

const struct verb_table verbs_store = VERB_TABLE(verbs);
