#include "verbs/exclusive.h"

static bool
mode_is(const struct config *config, const char *mode)
{
	const char *set = config_get(config, "stile", "exclusive");

	return set != NULL && str_equal(set, mode);
}

bool
exclusive_is_on(const struct config *config)
{
	return mode_is(config, "refuse") || mode_is(config, "wait");
}

int64_t
exclusive_wait_ms(const struct config *config)
{
	return mode_is(config, "wait") ? HOLD_WAIT_MS : 0;
}

static enum status
refuse(enum status status, const struct lease *holder, int64_t now_ms, struct buf *why)
{
	struct buf text;

	buf_init(&text, WHY_MAX);
	lease_describe(holder, now_ms, &text);
	status = why_not(why, status,
	                 "one session at a time works on this codebase, and it is %s; try again when that has ended, or a person "
	                 "runs `stile session exclusive --break`",
	                 text.data);
	buf_release(&text);
	return status;
}

enum status
exclusive_enter(struct context *context, const struct session *session, int64_t wait_ms, struct lease *holder, struct buf *why)
{
	struct lease_ask ask = {.resource = CODEBASE, .again = true, .ttl_ms = EXCLUSIVE_TTL_MS};
	struct hold hold;
	enum status status;

	hold_init(&hold, context, session->id, NULL);
	hold.found = true;
	caller_is(session->id, &session->process, &hold.caller);
	/* what else the session waits for, it waits for while it holds this */
	snprintf(hold.chain, sizeof hold.chain, "%s", session->id);
	*holder = (struct lease){0};
	status = hold_take(&hold, &ask, 1, wait_ms, false, holder, why);
	if ((status != HELD && status != BUSY) || holder->fence == 0)
		return status;
	return refuse(status, holder, context->engine.db->now_ms, why);
}

static enum status
follow(struct context *context, const struct session *session, int64_t wait_ms, struct buf *refusal, struct buf *why)
{
	struct lease holder;
	struct buf reason;
	enum status status;

	buf_init(&reason, WHY_MAX);
	status = exclusive_enter(context, session, wait_ms, &holder, &reason);
	if (status == HELD || status == BUSY || status == CONFLICT) {
		buf_text(refusal, reason.data);
		status = OK;
	} else if (status != OK) {
		status = why_not(why, status, "%s", reason.data);
	}
	buf_release(&reason);
	return status;
}

struct arriving {
	const struct event *event;
	struct session session;
};

static enum status
rule_arrive(struct txn *txn, void *arg, struct buf *why)
{
	struct arriving *arriving = arg;
	struct turn_inside inside;
	struct arrived arrived;
	enum status status = event_arrive(txn, arriving->event, &arrived, &inside, why);

	if (status != OK)
		return status;
	arriving->session = arrived.session;
	if (arriving->event->process.pid > 0)
		arriving->session.process = arriving->event->process;
	session_list_release(&arrived.others);
	return OK;
}

enum status
exclusive_before(struct context *context, struct event *event, struct buf *refusal, struct buf *why)
{
	struct arriving arriving = {.event = event};
	int64_t wait_ms = event->kind == EVENT_PROMPT ? exclusive_wait_ms(&context->engine.config) : 0;
	enum status status;

	if ((event->kind != EVENT_PROMPT && event->kind != EVENT_TOOL) || !exclusive_is_on(&context->engine.config))
		return OK;
	status = engine_run(&context->engine, rule_arrive, &arriving, why);
	if (status == OK)
		status = follow(context, &arriving.session, wait_ms, refusal, why);
	/* what a refusal can't carry is told with the next answer */
	if (refusal->len > 0)
		event->can_speak = false;
	return status;
}

static enum status
rule_push(struct txn *txn, void *session, struct buf *why)
{
	return lease_renew_session(txn, CODEBASE, session, why);
}

enum status
exclusive_after(struct context *context, const struct event *event, const struct session *session, struct buf *refusal,
                struct buf *why)
{
	char id[ID_SIZE];
	enum status status;

	if (event->kind == EVENT_PROMPT || event->kind == EVENT_TOOL || event->kind == EVENT_END ||
	    !exclusive_is_on(&context->engine.config))
		return OK;
	if (event->kind == EVENT_START)
		return follow(context, session, 0, refusal, why);
	memcpy(id, session->id, sizeof id);
	status = engine_run(&context->engine, rule_push, id, NULL);
	/* who doesn't have it has nothing to push on */
	if (status == OK || status == NO_SUCH)
		return OK;
	return why_not(why, status, "the codebase's lease could not be renewed");
}
