#include "core/audit.h"
#include "verbs/tables.h"

#define ROWS_DEFAULT 1000
#define ROWS_MAX 100000

static enum status
rule_list(struct txn *txn, void *data, struct buf *why)
{
	struct call *call = data;
	struct audit_query query = {.session = json_text(call->args, "session", NULL),
	                            .kind = json_text(call->args, "kind", NULL),
	                            .since_ms = txn_now(txn) - json_whole(call->args, "since", txn_now(txn)),
	                            .after_seq = json_whole(call->args, "after", 0),
	                            .limit = json_whole(call->args, "limit", ROWS_DEFAULT)};
	json_t *rows = json_array();

	json_object_set_new(call->result, "audit", rows);
	return audit_list(txn, &query, rows, why);
}

static enum status
run_list(struct call *call)
{
	enum status status;

	if (json_whole(call->args, "limit", 1) > ROWS_MAX)
		return why_not(call->why, BAD_INPUT, "--limit: at most %d rows; page with --after SEQ", ROWS_MAX);
	status = context_open(call->context, false, call->why);
	return status == OK ? engine_read(&call->context->engine, rule_list, call, call->why) : status;
}

static const struct param list_params[] = {
    {"session", PARAM_TEXT, "SESSION", "only what changed of this session", false, false, false},
    {"since", PARAM_DURATION, "DURATION", "only the last so long: 10m, 2h, 7d", false, false, false},
    {"kind", PARAM_TEXT, "KIND", "only this kind, or all that begin so: session.", false, false, false},
    {"after", PARAM_WHOLE, "SEQ", "only rows after this one", false, false, false},
    {"limit", PARAM_WHOLE, "N", "the newest so many; 1000", false, false, false},
};

static const struct verb verbs[] = {
    {"audit list", "who changed what, when: oldest first", DOES_READ, "seq at_ms actor kind subject before after",
     PARAMS(list_params), run_list},
};

const struct verb_table verbs_audit = VERB_TABLE(verbs);
