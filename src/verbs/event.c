#include "verbs/event.h"

#include "core/audit.h"
#include "verbs/mirror.h"
#include "verbs/observe.h"
#include "verbs/reap.h"

struct position {
	const struct event *event;
	struct transcript *main;
	struct transcript *lagging;
};

static enum status
rule_position(struct txn *txn, void *arg, struct buf *why)
{
	struct position *position = arg;

	return spend_position(txn, position->event->client, position->event->client_session, position->event->transcript,
	                      position->main, position->lagging, why);
}

enum status
event_positions(struct context *context, const struct event *event, struct transcript *main, struct transcript *lagging,
                struct buf *why)
{
	struct position position = {event, main, lagging};

	return engine_read(&context->engine, rule_position, &position, why);
}

struct handling {
	struct event *event;
	struct event_answer *answer;
};

static enum status
rule_apply(struct txn *txn, void *arg, struct buf *why)
{
	struct handling *handling = arg;

	return event_apply(txn, handling->event, handling->answer, why);
}

static enum status
rule_leave(struct txn *txn, void *sessions, struct buf *why)
{
	return lease_end_sessions(txn, sessions, why);
}

/* Its failure is not the event's: what is held ends with its process too, or at its deadline. */
static void
leave(struct context *context, struct event_answer *answer)
{
	if (answer->ended[0] != '\0' && engine_run(&context->engine, rule_leave, answer->ended, NULL) != OK)
		return;
}

enum status
event_handle(struct context *context, struct event *event, struct event_answer *answer, struct buf *why)
{
	struct handling handling = {event, answer};
	struct observation observation;
	enum status status;

	observation_make(context, event, &observation);
	status = engine_run(&context->engine, rule_apply, &handling, why);
	observation_end(context, &observation, status, answer->kept);
	if (status == OK)
		leave(context, answer);
	if (status == OK)
		ride_along(context, answer->reap_due);
	if (status == OK && event->kind == EVENT_TURN_ENDS)
		mirror_turn(context, answer->arrived.session.id);
	return status;
}

struct dropping {
	const char *client;
	const char *reason;
};

static enum status
rule_drop(struct txn *txn, void *arg, struct buf *why)
{
	struct dropping *dropping = arg;

	(void)why;
	audit_add(txn, "", "event.dropped", dropping->client, "", dropping->reason);
	return OK;
}

enum status
event_dropped(struct context *context, const char *client, const char *reason, struct buf *why)
{
	struct dropping dropping = {client, reason};

	return engine_run(&context->engine, rule_drop, &dropping, why);
}

size_t
event_peers(struct context *context, struct session_list *others, int64_t now_ms)
{
	int64_t phantom_ms;
	size_t kept = 0;

	if (config_duration(&context->engine.config, "stile", "phantom", &phantom_ms, NULL) != OK)
		phantom_ms = INT64_MAX;
	for (size_t i = 0; i < others->count; i++) {
		/* one of them may have been ended by this very event */
		if (!session_is_live(others->items[i].state) || session_is_phantom(&others->items[i], now_ms, phantom_ms) ||
		    context_liveness(context, &others->items[i].process) == LIVENESS_DEAD)
			continue;
		if (kept != i)
			others->items[kept] = others->items[i];
		kept++;
	}
	return others->count = kept;
}

struct standing {
	const struct session *session;
	struct pressure *pressure;
	struct session_list live;
	int64_t now_ms;
};

static enum status
rule_standing(struct txn *txn, void *arg, struct buf *why)
{
	struct standing *standing = arg;
	struct metric_values values;
	enum status status = metric_load(txn, standing->session->id, &values, why);

	if (status != OK)
		return status;
	status = pressure_of(txn->config, config_get(txn->config, "stile", "profile"), &values, standing->session->budget,
	                     standing->pressure, why);
	metric_values_release(&values);
	standing->now_ms = txn_now(txn);
	return status == OK ? session_list(txn, false, &standing->live, why) : status;
}

enum status
event_standing(struct context *context, const struct session *session, struct pressure *out, size_t *peers, struct buf *why)
{
	struct standing standing = {.session = session, .pressure = out};
	enum status status = engine_read(&context->engine, rule_standing, &standing, why);

	if (status != OK)
		return status;
	*peers = event_peers(context, &standing.live, standing.now_ms);
	for (size_t i = 0; i < standing.live.count; i++)
		if (str_equal(standing.live.items[i].id, session->id)) {
			--*peers;
			break;
		}
	session_list_release(&standing.live);
	return OK;
}
