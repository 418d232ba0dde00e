#include "core/checkpoint.h"
#include "core/metric.h"
#include "diagnose/targets.h"

/*
 * Tractatus' token-checkpoints.json: session-init.js writes it anew at every start, so another session's start takes away
 * what mine had passed.  Here session A has passed two of three, and every writer is another session that starts.
 */
#define FILE_NAME "token-checkpoints.json"
#define BUDGET 200000
#define PASSED_TOKENS 114414
#define PASSED 2
#define FRESH_TOKENS 1000
#define SESSION_A "session-a"

static void
expect(struct trial *trial)
{
	snprintf(trial->expected, sizeof trial->expected, "%d stay fired", PASSED);
}

static void
compare(struct race *race, int64_t kept)
{
	race->finding->wanted = PASSED;
	race->finding->kept = kept;
	snprintf(race->finding->found, sizeof race->finding->found, "%lld stay fired", (long long)kept);
}

/* The file with the first `passed` of its checkpoints completed. */
static json_t *
checkpoints_json(int passed)
{
	json_t *list = json_array();

	for (int i = 0; i < 3; i++)
		json_array_append_new(list, json_pack("{si si sb}", "percentage", 25 * (i + 1), "tokens", BUDGET / 4 * (i + 1),
		                                      "completed", i < passed));
	return json_pack("{ss si so si sb}", "version", "1.0.0", "budget", BUDGET, "checkpoints", list, "next_checkpoint",
	                 BUDGET / 4 * (passed + 1), "overdue", 0);
}

static enum status
prepare_file(struct race *race, struct buf *why)
{
	json_t *passed = checkpoints_json(PASSED);
	enum status status = trial_write_file(race, FILE_NAME, passed, why);

	expect(race->trial);
	json_decref(passed);
	return status;
}

static enum status
write_file(struct race *race, struct buf *why)
{
	json_t *there, *fresh;
	enum status status = trial_read_file(race, FILE_NAME, &there, why);

	if (status != OK)
		return status;
	json_decref(there);
	status = trial_meet(race, why);
	if (status != OK)
		return status;
	fresh = checkpoints_json(0);
	status = trial_write_file(race, FILE_NAME, fresh, why);
	json_decref(fresh);
	return status;
}

static enum status
look_at_file(struct race *race, struct buf *why)
{
	json_t *there, *one;
	int64_t kept = 0;
	size_t i;
	enum status status = trial_read_file(race, FILE_NAME, &there, why);

	if (status != OK)
		return status;
	json_array_foreach(json_object_get(there, "checkpoints"), i, one) kept += json_truth(one, "completed");
	compare(race, kept);
	json_decref(there);
	return OK;
}

/* Reports so many tokens of context for the session; *fired as many checkpoints. */
static enum status
report(struct race *race, const struct session *session, double tokens, size_t *fired, struct buf *why)
{
	struct checkpoint_list now, told;
	enum status status;

	metric_set(race->txn, session->id, "context_tokens", tokens);
	status = checkpoint_report(race->txn, session, false, &now, &told, why);
	if (status == OK)
		*fired = now.count;
	return status;
}

static enum status
prepare_session(struct race *race, struct buf *why)
{
	struct session session;
	size_t fired = 0;
	enum status status = trial_session(race, SESSION_A, ARRIVAL_STARTUP, &session, why);

	expect(race->trial);
	if (status == OK)
		status = report(race, &session, PASSED_TOKENS, &fired, why);
	if (status == OK && fired != PASSED)
		status = why_not(why, CONFLICT, "%zu checkpoints fired at %d of %d tokens", fired, PASSED_TOKENS, BUDGET);
	return status;
}

static enum status
start_session(struct race *race, struct buf *why)
{
	struct session_list there;
	struct session own;
	size_t fired;
	enum status status = session_list(race->txn, false, &there, why);

	if (status != OK)
		return status;
	race->self->seen = (int64_t)there.count;
	session_list_release(&there);
	status = trial_meet(race, why);
	if (status == OK)
		status = trial_own_session(race, ARRIVAL_STARTUP, &own, why);
	if (status == OK)
		status = report(race, &own, FRESH_TOKENS, &fired, why);
	return status;
}

/* A's are all there, and it is told of none a second time; nobody else has any. */
static enum status
look_at_sessions(struct race *race, struct buf *why)
{
	struct session session;
	json_t *all = json_array(), *one;
	int64_t kept = 0;
	size_t i, again = 0;
	enum status status = trial_session(race, SESSION_A, ARRIVAL_EVENT, &session, why);

	if (status == OK)
		status = report(race, &session, PASSED_TOKENS, &again, why);
	if (status == OK)
		status = checkpoint_all(race->txn, NULL, all, why);
	json_array_foreach(all, i, one) kept += str_equal(json_text(one, "session", ""), session.id);
	if (status == OK)
		compare(race, kept - (int64_t)again);
	if (status == OK)
		race->finding->strange = (int64_t)json_array_size(all) > kept;
	json_decref(all);
	return status;
}

const struct target target_checkpoints = {
	"checkpoints",
	{.prepare = prepare_file, .write = write_file, .look = look_at_file},
	{.prepare = prepare_session, .write = start_session, .look = look_at_sessions},
};
