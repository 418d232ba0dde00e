#include "verbs/install.h"
#include "verbs/tables.h"

static enum status
run_init(struct call *call)
{
	const char *client = json_text(call->args, "client", "claude");
	bool none = str_equal(client, "none");

	if (!none && !str_equal(client, "claude"))
		return why_not(call->why, USAGE, "init: no client %s; it is claude, or none for the store alone", client);
	if (json_truth(call->args, "purge"))
		return install_purge(call->context, call->result, call->why);
	if (json_truth(call->args, "undo"))
		return install_undo(call->context, call->result, call->why);
	return install_guard(call->context, !none, call->result, call->why);
}

static const struct param params[] = {
	{"undo", PARAM_FLAG, NULL, "give every file back as it was; the store is kept", false, false, false},
	{"purge", PARAM_FLAG, NULL, "the same, and remove the store; not while a session lives", false, false, false},
	{"client", PARAM_TEXT, "NAME", "whose hooks: claude (default), or none for the store alone", false, false, false},
};

static const struct verb verbs[] = {
	{"init", "guard this codebase: make its store, put hooks into the client's settings of every worktree",
     DOES_WRITE | DOES_INSTALL, NULL, PARAMS(params), run_init},
};

const struct verb_table verbs_init = VERB_TABLE(verbs);
