#include "core/task.h"
#include "diagnose/targets.h"

/*
 * ALAI's tasks.  The marker that one was started is looked for and then written, so that two start it.  The task that a session is
 * at stands in one file for all, so that each is at the last one's.
 */
#define MARKER "hop-build-started"
#define POINTER "mc-active-task"
#define TTL_MS 600000

static enum status
prepare_start(struct race *race, struct buf *why)
{
	(void)why;
	snprintf(race->trial->expected, sizeof race->trial->expected, "1 started it");
	return OK;
}

static enum status
start_by_marker(struct race *race, struct buf *why)
{
	json_t *marker;
	enum status status = trial_read_file(race, MARKER, &marker, why);

	if (status == OK)
		json_decref(marker);
	race->self->seen = status == NO_SUCH;
	if (status != OK && status != NO_SUCH)
		return status;
	status = trial_meet(race, why);
	marker = json_pack("{si}", "started_by", (int)race->self->number);
	if (status == OK && race->self->seen == 1)
		status = trial_write_file(race, MARKER, marker, why);
	json_decref(marker);
	return status;
}

/* The writer is *own from here on. */
static enum status
claim(struct race *race, const char *name, struct session *own, struct lease *lease, struct buf *why)
{
	char resource[RESOURCE_MAX + 1];
	struct lease_ask ask = {.resource = resource, .ttl_ms = TTL_MS, .chain = "", .anchor = "", .wake = ""};
	enum status status = trial_own_session(race, ARRIVAL_EVENT, own, why);

	ask.session = own->id;
	if (status == OK)
		status = task_resource(name, resource, why);
	return status == OK ? lease_acquire(race->txn, &ask, lease, why) : status;
}

static enum status
start_by_claim(struct race *race, struct buf *why)
{
	struct lease lease = {0};
	struct session own;
	enum status status = trial_meet(race, why);

	if (status == OK)
		status = claim(race, "build", &own, &lease, why);
	race->self->seen = status == OK;
	return status == HELD && lease.actor[0] != '\0' ? OK : status;
}

static enum status
look_at_starts(struct race *race, struct buf *why)
{
	unsigned started = 0;

	(void)why;
	for (unsigned i = 0; i < race->trial->writers; i++)
		started += race->trial->shared->writers[i].seen == 1;
	trial_one_may(race, started, "started it");
	return OK;
}

static enum status
prepare_active(struct race *race, struct buf *why)
{
	(void)why;
	snprintf(race->trial->expected, sizeof race->trial->expected, "%u at their own", race->trial->writers);
	return OK;
}

static enum status
point_by_file(struct race *race, struct buf *why)
{
	json_t *own = json_pack("{si}", "task", 100 + (int)race->self->number); /* all of one length */
	enum status status = trial_write_file(race, POINTER, own, why);

	json_decref(own);
	return status == OK ? trial_meet(race, why) : status;
}

static enum status
look_at_file(struct race *race, struct buf *why)
{
	json_t *pointer;
	enum status status = trial_read_file(race, POINTER, &pointer, why);

	if (status != OK)
		return status;
	/* each reads the same: one of them finds its own */
	race->finding->wanted = race->trial->writers;
	race->finding->kept = 1;
	snprintf(race->finding->found, sizeof race->finding->found, "1 own, all at %lld",
	         (long long)json_whole(pointer, "task", -1));
	json_decref(pointer);
	return OK;
}

static enum status
point_by_session(struct race *race, struct buf *why)
{
	struct session own;
	struct lease lease;
	char name[40];
	enum status status;

	snprintf(name, sizeof name, "task-%u", race->self->number);
	status = claim(race, name, &own, &lease, why);
	if (status == OK)
		status = trial_meet(race, why);
	if (status == OK)
		status = task_set_active(race->txn, lease.session, name, why);
	snprintf(race->self->id, sizeof race->self->id, "%s", lease.session);
	return status;
}

static enum status
look_at_sessions(struct race *race, struct buf *why)
{
	struct finding *finding = race->finding;
	enum status status = OK;

	finding->wanted = race->trial->writers;
	for (unsigned i = 0; i < race->trial->writers && status == OK; i++) {
		char name[TASK_NAME_MAX + 1], own[40];
		int64_t set_ms;
		bool held = false;

		snprintf(own, sizeof own, "task-%u", i);
		status = task_active(race->txn, race->trial->shared->writers[i].id, name, &set_ms, &held, why);
		finding->kept += status == OK && held && str_equal(name, own);
	}
	snprintf(finding->found, sizeof finding->found, "%lld at their own", (long long)finding->kept);
	return status;
}

const struct target target_task_start = {
	"task-start",
	{.prepare = prepare_start, .write = start_by_marker, .look = look_at_starts},
	{.prepare = prepare_start, .write = start_by_claim, .look = look_at_starts},
};

const struct target target_active_task = {
	"active-task",
	{.prepare = prepare_active, .write = point_by_file, .look = look_at_file},
	{.prepare = prepare_active, .write = point_by_session, .look = look_at_sessions},
};
