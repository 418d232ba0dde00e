#include "core/metric.h"
#include "diagnose/targets.h"

/*
 * ALAI's lightrag-ingest-health.json: every hook that feeds the index adds one to `fire_count`.  Four at once made it one
 * more, not four.
 */
#define FILE_NAME "lightrag-ingest-health.json"
#define FIRED_BEFORE 37
#define KEEPER "ingest" /* the session whose counter it is */

static void
expect(struct trial *trial)
{
	snprintf(trial->expected, sizeof trial->expected, "fire_count %u", FIRED_BEFORE + trial->writers);
}

static void
compare(struct race *race, int64_t count, int64_t acted)
{
	struct finding *finding = race->finding;

	finding->wanted = race->trial->writers;
	/* two that acted on the same reading did one thing twice, whatever the sum says */
	finding->kept = acted < count - FIRED_BEFORE ? acted : count - FIRED_BEFORE;
	finding->strange = count < FIRED_BEFORE || count > FIRED_BEFORE + finding->wanted;
	snprintf(finding->found, sizeof finding->found, "fire_count %lld", (long long)count);
}

static enum status
prepare_file(struct race *race, struct buf *why)
{
	json_t *health = json_pack("{ss si si}", "status", "ok", "fire_count", FIRED_BEFORE, "error_count", 0);
	enum status status = trial_write_file(race, FILE_NAME, health, why);

	expect(race->trial);
	json_decref(health);
	return status;
}

static enum status
write_file(struct race *race, struct buf *why)
{
	json_t *health;
	enum status status = trial_read_file(race, FILE_NAME, &health, why);

	if (status != OK)
		return status;
	race->self->seen = json_whole(health, "fire_count", 0);
	status = trial_meet(race, why);
	json_object_set_new(health, "fire_count", json_integer(race->self->seen + 1));
	if (status == OK)
		status = trial_write_file(race, FILE_NAME, health, why);
	json_decref(health);
	return status;
}

static enum status
look_at_file(struct race *race, struct buf *why)
{
	json_t *health;
	enum status status = trial_read_file(race, FILE_NAME, &health, why);

	if (status != OK)
		return status;
	compare(race, json_whole(health, "fire_count", 0), trial_distinct_seen(race->trial));
	json_decref(health);
	return OK;
}

static enum status
prepare_counter(struct race *race, struct buf *why)
{
	struct session keeper;
	enum status status = trial_session(race, KEEPER, ARRIVAL_STARTUP, &keeper, why);

	expect(race->trial);
	if (status == OK)
		metric_add(race->txn, keeper.id, "fire_count", FIRED_BEFORE);
	return status;
}

static enum status
read_counter(struct race *race, struct session *keeper, int64_t *out, struct buf *why)
{
	struct metric_values values;
	enum status status = trial_session(race, KEEPER, ARRIVAL_EVENT, keeper, why);

	if (status == OK)
		status = metric_load(race->txn, keeper->id, &values, why);
	if (status != OK)
		return status;
	*out = (int64_t)metric_life(&values, "fire_count");
	metric_values_release(&values);
	return OK;
}

static enum status
write_counter(struct race *race, struct buf *why)
{
	struct session keeper, own;
	enum status status = read_counter(race, &keeper, &race->self->seen, why);

	if (status == OK)
		status = trial_own_session(race, ARRIVAL_EVENT, &own, why);
	if (status == OK)
		status = trial_meet(race, why);
	if (status == OK)
		metric_add(race->txn, keeper.id, "fire_count", 1);
	return status;
}

static enum status
look_at_counter(struct race *race, struct buf *why)
{
	struct session keeper;
	int64_t count;
	enum status status = read_counter(race, &keeper, &count, why);

	if (status == OK)
		compare(race, count, trial_distinct_seen(race->trial));
	return status;
}

const struct target target_lightrag_health = {
	"lightrag-health",
	{.prepare = prepare_file, .write = write_file, .look = look_at_file},
	{.prepare = prepare_counter, .write = write_counter, .look = look_at_counter},
};
