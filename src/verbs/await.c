#include "verbs/await.h"

#include "core/binding.h"
#include "core/waiter.h"
#include "os/clock.h"

#define PENDING_RETRY_MS 500 /* what one who doesn't wait is told to (claude-mem's #586, solution D) */
#define TRY_MS 100           /* after the first try, and twice as long after each further one (#586, solution A) */
#define TRIES_MAX 20

struct waiting {
	const char *session, *slot;
	char topic[TOPIC_MAX];
	struct anchor anchor;
	char wake[WAKE_SIZE];
	struct binding binding;
	bool said; /* NO_SUCH is the slot's: the session is there */
};

static enum status
rule_get(struct txn *txn, void *arg, struct buf *why)
{
	struct waiting *waiting = arg;
	struct session session;
	enum status status = session_load(txn, waiting->session, &session, why);

	waiting->said = status == OK;
	return status == OK ? binding_get(txn, waiting->session, waiting->slot, &waiting->binding, why) : status;
}

static enum status
rule_stand(struct txn *txn, void *arg, struct buf *why)
{
	struct waiting *waiting = arg;

	(void)why;
	waiter_add(txn, waiting->topic, waiting->anchor.name, waiting->wake);
	return OK;
}

static enum status
rule_leave(struct txn *txn, void *arg, struct buf *why)
{
	struct waiting *waiting = arg;

	(void)why;
	waiter_remove(txn, waiting->topic, waiting->anchor.name);
	return OK;
}

/* Looked at once it stands in line: whoever bound it before that woke nobody. */
static enum status
wait_for(struct context *context, struct waiting *waiting, int64_t until_ms, struct buf *why)
{
	struct engine *engine = &context->engine;
	enum status status = engine_run(engine, rule_stand, waiting, why);

	while (status == OK && (status = engine_read(engine, rule_get, waiting, why)) == NO_SUCH && waiting->said) {
		int64_t left_ms = until_ms - clock_boot_ms();

		if (left_ms <= 0)
			break;
		engine->db->ops->wait(engine->db, left_ms < WAKE_RECHECK_MS ? left_ms : WAKE_RECHECK_MS);
		status = OK;
	}
	/* if that fails the place is skipped by whoever comes to it */
	(void)!engine_run(engine, rule_leave, waiting, NULL);
	return status;
}

static enum status
wait_from(struct context *context, struct waiting *waiting, int64_t until_ms, struct buf *why)
{
	struct db *db = context->engine.db;
	enum status status = context_anchor(context, false, &waiting->anchor, why);

	if (status != OK)
		return status;
	status = db->ops->listen(db, waiting->wake, why);
	if (status == OK)
		status = wait_for(context, waiting, until_ms, why);
	anchor_leave(&waiting->anchor);
	return status;
}

static enum status
not_bound(struct call *call, const struct waiting *waiting, int64_t tries)
{
	if (tries > 0) {
		json_object_set_new(call->result, "error", json_string("never_bound"));
		return why_not(call->why, CONFLICT,
		               "slot %s of session %s was not bound in %lld tries; bind it by hand: stile session bind", waiting->slot,
		               waiting->session, (long long)tries);
	}
	json_object_set_new(call->result, "error", json_string("pending"));
	json_object_set_new(call->result, "retry_ms", json_integer(PENDING_RETRY_MS));
	return why_not(call->why, BUSY, "slot %s of session %s is not bound yet; try again in %d ms", waiting->slot,
	               waiting->session, PENDING_RETRY_MS);
}

static enum status
check(struct call *call, struct waiting *waiting, int64_t tries)
{
	enum status status;

	waiting->session = json_text(call->args, "session", "");
	waiting->slot = json_text(call->args, "slot", "");
	status = str_check_id("the session's id", waiting->session, ID_SIZE - 1, call->why);
	if (status == OK)
		status = str_check_id("the slot's name", waiting->slot, LABEL_MAX, call->why);
	if (status == OK && tries >= 0 && (tries < 1 || tries > TRIES_MAX))
		return why_not(call->why, BAD_INPUT, "--tries: 1 to %d", TRIES_MAX);
	if (status == OK && tries >= 0 && json_object_get(call->args, "wait") != NULL)
		return why_not(call->why, USAGE, "either --wait or --tries");
	snprintf(waiting->topic, sizeof waiting->topic, BINDING_TOPIC "%s/%s", waiting->session, waiting->slot);
	return status;
}

enum status
await_run(struct call *call)
{
	struct waiting waiting = {.anchor = {.fd = -1}};
	int64_t tries = json_whole(call->args, "tries", -1), wait_ms = json_whole(call->args, "wait", 0);
	int64_t began_ms = clock_boot_ms();
	enum status status = check(call, &waiting, tries);

	if (tries > 0)
		wait_ms = TRY_MS * (((int64_t)1 << tries) - 1);
	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status == OK)
		status = engine_read(&call->context->engine, rule_get, &waiting, call->why);
	if (status == NO_SUCH && waiting.said && wait_ms > 0)
		status = wait_from(call->context, &waiting, began_ms + wait_ms, call->why);
	if (status == NO_SUCH && waiting.said)
		return not_bound(call, &waiting, tries);
	if (status != OK)
		return status;
	json_object_set_new(call->result, "session", json_string(waiting.session));
	json_object_set_new(call->result, "slot", json_string(waiting.slot));
	json_object_set_new(call->result, "value", json_string(waiting.binding.value));
	json_object_set_new(call->result, "generation", json_integer(waiting.binding.generation));
	json_object_set_new(call->result, "bound_ms", json_integer(waiting.binding.bound_ms));
	return why_not(call->why, OK, "%s", "");
}
