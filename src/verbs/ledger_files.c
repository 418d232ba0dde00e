#include "verbs/ledger_files.h"

#include "core/ledger.h"
#include "legacy/prev_hash.h"
#include "verbs/ledger_import.h"
#include "verbs/ledger_mirror.h"
#include "verbs/tables.h"

/* `ledger mirror|import`, and `ledger verify --file`. */
static const char *
arg(const struct call *call, const char *key)
{
	return json_text(call->args, key, NULL);
}

enum status
ledger_verify_file(struct call *call)
{
	struct prev_hash_ask ask = {.path = arg(call, "file"),
	                            .prev_field = json_text(call->args, "prev_field", "prev_hash"),
	                            .hash_field = arg(call, "hash_field"),
	                            .after = arg(call, "hash"),
	                            .head = arg(call, "head")};
	struct prev_hash_found found;
	enum status status;

	if (!call->by_hand)
		return why_not(call->why, NOT_ALLOWED, "ledger verify: --file opens a path; that is done from the command line only");
	if (arg(call, "ledger") != NULL || json_object_get(call->args, "from") != NULL)
		return why_not(call->why, USAGE, "ledger verify: either a ledger or --file");
	status = prev_hash_verify(&ask, &found, call->why);
	if (status != OK && status != CONFLICT)
		return status;
	json_object_set_new(call->result, "file", json_lossy(ask.path, strlen(ask.path)));
	json_object_set_new(call->result, "lines", json_integer(found.lines));
	json_object_set_new(call->result, "hash", json_string(found.head));
	if (status == OK)
		return OK;
	json_object_set_new(call->result, "error", json_string("broken"));
	json_object_set_new(call->result, "line", json_integer(found.bad));
	json_object_set_new(call->result, "what", json_string(found.wrong));
	return CONFLICT;
}

static enum status
run_mirror(struct call *call)
{
	struct ledger_mirrored done = {0};
	const char *ledger = arg(call, "ledger");
	enum status status = ledger_check_name(ledger, call->why);

	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status == OK)
		status = ledger_mirror_check(call->context, ledger, json_truth(call->args, "rebuild"), &done, call->why);
	if (status != OK)
		return status;
	json_object_set_new(call->result, "ledger", json_string(ledger));
	json_object_set_new(call->result, "mirror", json_lossy(done.path, strlen(done.path)));
	json_object_set_new(call->result, "seq", json_integer(done.seq));
	json_object_set_new(call->result, "written", json_integer(done.written));
	return OK;
}

static enum status
run_import(struct call *call)
{
	struct ledger_import import = {.ledger = arg(call, "ledger"),
	                               .path = arg(call, "file"),
	                               .dry = json_truth(call->args, "dry_run")};
	enum status status = ledger_check_name(import.ledger, call->why);

	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status == OK)
		status = ledger_import_run(call->context, &import, call->why);
	if (status != OK)
		return status;
	json_object_set_new(call->result, "ledger", json_string(import.ledger));
	json_object_set_new(call->result, "lines", json_integer(import.lines));
	json_object_set_new(call->result, "present", json_integer(import.present));
	json_object_set_new(call->result, import.dry ? "new" : "appended", json_integer(import.lines - import.present));
	if (import.torn > 0)
		json_object_set_new(call->result, "torn_line", json_integer(import.torn));
	if (!import.dry && import.lines > 0)
		ledger_mirror(call->context, import.ledger, call->result);
	return OK;
}

#define LEDGER \
	{ \
		"ledger", PARAM_TEXT, "CHAIN", "the ledger", true, true, false \
	}

static const struct param mirror_params[] = {
	LEDGER,
	{"rebuild", PARAM_FLAG, NULL, "put a new file of all entries in its place", false, false, false},
};
static const struct param import_params[] = {
	LEDGER,
	{"file", PARAM_TEXT, "FILE", "of JSON objects, one a line", true, true, false},
	{"dry-run", PARAM_FLAG, NULL, "only tell how many lines are new", false, false, false},
};

static const struct verb verbs[] = {
	{"ledger mirror", "compare a chain's mirror with the store and write what is missing in it", DOES_READ, NULL,
     PARAMS(mirror_params), run_mirror},
	{"ledger import", "append the lines of a file, each once, however often it is imported", DOES_WRITE | DOES_OPEN_PATH, NULL,
     PARAMS(import_params), run_import},
};

const struct verb_table verbs_ledger_files = VERB_TABLE(verbs);
