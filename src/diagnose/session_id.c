#include "diagnose/targets.h"

/*
 * Tractatus' session-init.js: the id is the day and a constant "-001", so that all who start on one day are one session, and
 * no line of any log can be told apart.
 */
#define FILE_NAME "session-state.json"

static void
expect(struct trial *trial)
{
	snprintf(trial->expected, sizeof trial->expected, "%u ids", trial->writers);
}

static enum status
prepare(struct race *race, struct buf *why)
{
	(void)why;
	expect(race->trial);
	return OK;
}

static void
upstream_id(const struct trial *trial, char *out, size_t size)
{
	char instant[40];

	str_instant(instant, sizeof instant, trial->began_ms);
	snprintf(out, size, "%.10s-001", instant);
}

static enum status
start_by_date(struct race *race, struct buf *why)
{
	json_t *state;
	enum status status = trial_read_file(race, FILE_NAME, &state, NULL);

	/* whether there is a state decides if it is new or goes on; nobody has written one yet */
	if (status == OK)
		json_decref(state);
	else if (status != NO_SUCH)
		return why_not(why, status, "%s can't be read", FILE_NAME);
	status = trial_meet(race, why);
	if (status != OK)
		return status;
	upstream_id(race->trial, race->self->id, sizeof race->self->id);
	state = json_pack("{ss ss si}", "version", "1.0.0", "session_id", race->self->id, "message_count", 1);
	status = trial_write_file(race, FILE_NAME, state, why);
	json_decref(state);
	return status;
}

static enum status
look_at_ids(struct race *race, struct buf *why)
{
	struct finding *finding = race->finding;

	(void)why;
	finding->wanted = race->trial->writers;
	finding->kept = trial_distinct_ids(race->trial);
	if (finding->kept == 1)
		snprintf(finding->found, sizeof finding->found, "1 id, %.40s", race->trial->shared->writers[0].id);
	else
		snprintf(finding->found, sizeof finding->found, "%lld ids", (long long)finding->kept);
	return OK;
}

static enum status
start_session(struct race *race, struct buf *why)
{
	struct session_list there;
	struct session own;
	enum status status = session_list(race->txn, true, &there, why);

	if (status != OK)
		return status;
	race->self->seen = (int64_t)there.count;
	session_list_release(&there);
	status = trial_meet(race, why);
	if (status == OK)
		status = trial_own_session(race, ARRIVAL_STARTUP, &own, why);
	if (status == OK)
		memcpy(race->self->id, own.id, sizeof own.id);
	return status;
}

/* What the writers were told, and that the store has them all. */
static enum status
look_at_sessions(struct race *race, struct buf *why)
{
	struct session_list there;
	enum status status = session_list(race->txn, true, &there, why);

	if (status != OK)
		return status;
	race->finding->strange = there.count > race->trial->writers;
	status = look_at_ids(race, why);
	if ((int64_t)there.count < race->finding->kept) {
		race->finding->kept = (int64_t)there.count;
		snprintf(race->finding->found, sizeof race->finding->found, "%zu ids in the store", there.count);
	}
	session_list_release(&there);
	return status;
}

const struct target target_session_id = {
	"session-id",
	{.prepare = prepare, .write = start_by_date, .look = look_at_ids},
	{.prepare = prepare, .write = start_session, .look = look_at_sessions},
};
