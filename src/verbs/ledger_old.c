#include "verbs/ledger_old.h"

#include "core/ledger_anchor.h"
#include "verbs/ledger_key.h"

struct work {
	struct context *context;
	json_t *fronts;
	const char *ledger;
	int64_t before_ms, now_ms, count;
	uint8_t seed[SEED_BYTES];
};

static enum status
rule_look(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	work->now_ms = txn_now(txn);
	return ledger_fronts(txn, work->fronts, why);
}

static enum status
rule_cut(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	return ledger_cut(txn, work->ledger, work->before_ms, work->seed, &work->count, why);
}

static enum status
remove_from(struct work *work, const json_t *front, struct buf *why)
{
	struct engine *engine = &work->context->engine;
	int64_t keep_ms;
	enum status status;

	work->ledger = json_text(front, "ledger", "");
	status = ledger_keep(&engine->config, work->ledger, &keep_ms, why);
	work->before_ms = work->now_ms - keep_ms;
	if (status != OK || keep_ms == 0 || json_whole(front, "at_ms", 0) >= work->before_ms)
		return status;
	status = ledger_key(work->context, work->seed, why);
	return status == OK ? engine_run(engine, rule_cut, work, why) : status;
}

enum status
ledger_remove_old(struct context *context, struct buf *why)
{
	struct work work = {.context = context};
	enum status status;

	if (!ledger_keeps_some(&context->engine.config))
		return OK;
	work.fronts = json_array();
	status = engine_read(&context->engine, rule_look, &work, why);
	for (size_t i = 0; i < json_array_size(work.fronts) && status == OK; i++)
		status = remove_from(&work, json_array_get(work.fronts, i), why);
	json_decref(work.fronts);
	return status;
}
