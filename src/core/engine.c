#include "core/engine.h"

enum status
txn_id(struct txn *txn, char out[ID_SIZE], struct buf *why)
{
	uint8_t random[10];

	if (txn->random(random, sizeof random) != OK)
		return why_not(why, IO_FAILED, "the system has no randomness to give");
	id_make(out, txn_now(txn), random);
	return OK;
}

void
engine_init(struct engine *engine, struct db *db, const char *project, const char *actor,
            enum status (*random)(void *out, size_t len))
{
	*engine = (struct engine){.db = db, .random = random, .wait_ms = 10000};
	config_init(&engine->config);
	snprintf(engine->project, sizeof engine->project, "%s", project);
	snprintf(engine->actor, sizeof engine->actor, "%s", actor);
}

void
engine_release(struct engine *engine, bool process_ends)
{
	if (engine->db != NULL)
		engine->db->ops->close(engine->db, process_ends);
	engine->db = NULL;
	if (!process_ends)
		config_release(&engine->config);
}

static enum status
not_confirmed(struct buf *why)
{
	char reason[WHY_MAX] = "";

	if (why != NULL)
		snprintf(reason, sizeof reason, "%s", why->data);
	return why_not(why, OUTCOME_UNKNOWN, "it was done, but whether it still was the caller's to do can't be told: %.900s", reason);
}

/* Who makes an effect outside of the store must be alone in it by then. */
static enum status
begin(struct engine *engine, bool write, bool effect, struct buf *why)
{
	return effect ? db_begin(engine->db, write, engine->wait_ms, why) : db_begin_ahead(engine->db, write, engine->wait_ms, why);
}

static enum status
run(struct engine *engine, bool write, rule_function *rule, effect_function *effect, void *arg, struct buf *why)
{
	enum status status = begin(engine, write, effect != NULL, why), committed;
	struct txn txn = {.db = engine->db,
	                  .project = engine->project,
	                  .actor = engine->actor,
	                  .config = &engine->config,
	                  .random = engine->random,
	                  .witness = engine->witness};

	if (status != OK)
		return status;
	if (engine->db->timed)
		txn.instant_ms = engine->db->now_ms;
	status = rule(&txn, arg, why);
	if (status == OK && effect != NULL && (status = effect(arg, why)) != OK)
		txn.keep = false;
	if (status == OK || txn.keep) {
		committed = db_commit(engine->db, why);
		if (committed != OK)
			status = status == OK && effect != NULL ? not_confirmed(why) : committed;
	} else {
		db_rollback(engine->db);
		if (engine->db->unsettled)
			status = why_not(why, STORE_DOWN, "the disk failed to keep what this would be refused for; run `stile doctor`");
	}
	engine->trips = engine->db->trips;
	return status;
}

enum status
engine_run(struct engine *engine, rule_function *rule, void *arg, struct buf *why)
{
	return run(engine, true, rule, NULL, arg, why);
}

enum status
engine_run_with(struct engine *engine, rule_function *rule, effect_function *effect, void *arg, struct buf *why)
{
	return run(engine, true, rule, effect, arg, why);
}

enum status
engine_read(struct engine *engine, rule_function *rule, void *arg, struct buf *why)
{
	return run(engine, false, rule, NULL, arg, why);
}
