#include "core/event.h"

#include "core/audit.h"

void
event_init(struct event *event)
{
	*event = (struct event){.kind = EVENT_OTHER, .context = -1};
}

void
event_release(struct event *event)
{
	for (size_t i = 0; i < event->look_count; i++)
		usage_list_release(&event->looks[i].usages);
	event->look_count = 0;
	json_decref(event->input);
	json_decref(event->response);
	event->input = event->response = NULL;
}

void
event_answer_release(struct event_answer *answer)
{
	session_list_release(&answer->arrived.others);
	instruction_news_release(&answer->news);
}

/* What each kind does to the session's state, and which counter it adds to. */
static const struct effect {
	enum event_kind kind;
	int move; /* -1 = none */
	const char *counter;
} effects[] = {
    {EVENT_OTHER, -1, NULL},
    {EVENT_START, SESSION_STARTS, NULL},
    {EVENT_PROMPT, SESSION_WORKS, "messages"},
    {EVENT_TOOL, SESSION_WORKS, "tool_calls"},
    {EVENT_TOOL_DONE, SESSION_WORKS, NULL},
    {EVENT_TOOL_FAILED, SESSION_WORKS, "errors"},
    {EVENT_ASKS, SESSION_WAITS, NULL},
    {EVENT_ANSWERED, SESSION_WORKS, NULL},
    {EVENT_TURN_ENDS, SESSION_RESTS, NULL},
    {EVENT_SUB_STARTS, SESSION_WORKS, "subagents"},
    {EVENT_SUB_ENDS, SESSION_WORKS, NULL},
    {EVENT_COMPACTED, -1, NULL},
    {EVENT_END, SESSION_ENDS, NULL},
    {EVENT_METRICS, -1, NULL},
};

static const struct effect *
effect_of(enum event_kind kind)
{
	for (size_t i = 0; i < sizeof effects / sizeof *effects; i++)
		if (effects[i].kind == kind)
			return &effects[i];
	return &effects[0];
}

/* Whose an id that is new here will be. */
static enum status
find_turn(struct txn *txn, const struct event *event, struct session_start *start, struct turn_inside *out, struct buf *why)
{
	const struct session *session = &out->session;
	enum status status = turn_named(txn, event->turn, out, why);

	if (status != OK || session->id[0] == '\0')
		return status;
	/* after `clear` the same client goes on */
	if (turn_admits(txn, out, event->client) ||
	    (event->kind == EVENT_START && event->arrival == ARRIVAL_CLEAR && out->conversation[0] != '\0' &&
	     event->process.pid > 0 && process_same(&session->process, &event->process)))
		start->joins = session;
	else
		start->parent = session->id;
	return OK;
}

static void
note_turn(struct txn *txn, const struct event *event, const struct arrived *arrived, struct turn_inside *inside)
{
	if (strcmp(inside->session.id, arrived->session.id) != 0)
		*inside = (struct turn_inside){0};
	else if (arrived->joined || turn_admits(txn, inside, event->client))
		turn_joined(txn, inside, event->client_session);
}

enum status
event_arrive(struct txn *txn, const struct event *event, struct arrived *out, struct turn_inside *inside, struct buf *why)
{
	struct session_start start = {
	    .client = event->client,
	    .client_session = event->client_session,
	    .client_version = event->client_version,
	    .parent = "",
	    .process = event->process,
	    .cwd = event->cwd,
	    .worktree = event->worktree,
	    .branch = event->branch,
	    .began_ms = event->began_ms,
	    .began_boot_ms = event->began_boot_ms,
	};
	enum arrival arrival = ARRIVAL_EVENT;
	enum status status = OK;

	*inside = (struct turn_inside){0};
	for (size_t i = 0; i < event->look_count; i++)
		start.transcripts[i] = event->looks[i].before.path;
	if (event->kind == EVENT_START)
		arrival = event->arrival;
	else if (event->kind == EVENT_METRICS)
		arrival = ARRIVAL_GLANCE;
	if (event->turn[0] != '\0')
		status = find_turn(txn, event, &start, inside, why);
	if (status == OK)
		status = binding_arrive(txn, &start, arrival, out, why);
	if (status == OK && inside->session.id[0] != '\0')
		note_turn(txn, event, out, inside);
	return status;
}

/* In a turn only if at its end the session's own can be given back. */
static bool
may_have_process(const struct txn *txn, const struct session *session, const struct turn_inside *inside)
{
	return inside->session.id[0] == '\0' || process_same(&session->process, &inside->own) ||
	       lease_process_is_gone(txn, &session->process);
}

/* Where it works and by which process, as the event says: a resumed session may be in another process and folder. */
static void
note_whereabouts(struct txn *txn, const struct event *event, struct event_answer *answer)
{
	struct session *session = &answer->arrived.session;

	/* lost was said of the process it had: a start in another is later than that, however long its hook took to get here */
	if (event->kind == EVENT_START && session->state == SESSION_LOST && event->began_ms < session->state_ms &&
	    event->process.pid > 0 && !process_same(&session->process, &event->process))
		session->state_ms = event->began_ms;
	if (event->process.pid > 0 && may_have_process(txn, session, &answer->inside))
		session->process = event->process;
	if (event->client_version[0] != '\0')
		snprintf(session->client_version, sizeof session->client_version, "%s", event->client_version);
	if (event->cwd[0] == '\0' || event->agent[0] != '\0')
		return;
	snprintf(session->cwd, sizeof session->cwd, "%s", event->cwd);
	snprintf(session->worktree, sizeof session->worktree, "%s", event->worktree);
	snprintf(session->branch, sizeof session->branch, "%s", event->branch);
}

/* Clear and compact open a generation of the context; resume and restart don't. */
static void
open_generation(struct txn *txn, const struct event *event, struct event_answer *answer)
{
	struct session *session = &answer->arrived.session;
	/* a conversation that joins in a turn begins as empty as a cleared one */
	bool cleared = answer->arrived.joined &&
	               (event->arrival == ARRIVAL_CLEAR || (event->arrival == ARRIVAL_STARTUP && session->events > 0));

	if (event->kind != EVENT_START || (!cleared && (event->arrival != ARRIVAL_COMPACT || answer->arrived.created)))
		return;
	answer->opened = true;
	session_open_generation(txn, session, cleared ? "clear" : "compact");
	metric_open_generation(txn, session->id);
	metric_set(txn, session->id, "context_tokens", 0);
	spend_open_generation(txn, session->id, event->transcript, event->transcript_size);
}

static void
note_end(struct event_answer *answer, const struct session *session)
{
	size_t len = strlen(answer->ended);

	snprintf(answer->ended + len, sizeof answer->ended - len, "%s ", session->id);
}

/*
 * A process that announces another conversation has left the one it had.  Told apart only if it hosts exactly one: a server
 * may host many at once.
 */
static void
end_superseded(struct txn *txn, const struct event *event, struct event_answer *answer)
{
	struct session_list *others = &answer->arrived.others;
	struct session *left = NULL;

	if (event->kind != EVENT_START || event->arrival != ARRIVAL_RESUME || event->process.pid <= 0)
		return;
	for (size_t i = 0; i < others->count; i++)
		if (process_same(&others->items[i].process, &event->process)) {
			if (left != NULL)
				return;
			left = &others->items[i];
		}
	if (left == NULL || !session_move(txn, left, SESSION_ENDS, event->began_ms, "resume"))
		return;
	session_save(txn, left);
	note_end(answer, left);
}

/* Whether the event's conversation is the session's of now. */
static bool
is_current(const struct event *event, const struct event_answer *answer)
{
	return str_equal(answer->arrived.session.client_session, event->client_session) ||
	       str_equal(answer->inside.conversation, event->client_session);
}

/* Whether it is of those that move the session's state. */
static bool
may_move(const struct event *event, const struct event_answer *answer)
{
	const struct session *session = &answer->arrived.session;

	/* the end of a conversation that `clear` already replaced is not the session's */
	if (event->kind == EVENT_END && !is_current(event, answer))
		return false;
	/* a sub-agent's question is its session's, but a sub-agent's pause is not */
	if (event->kind == EVENT_TURN_ENDS && event->agent[0] != '\0')
		return false;
	/* a sub-agent that ends when the turn, or the session, is over begins nothing */
	return event->kind != EVENT_SUB_ENDS || (session->state != SESSION_IDLE && session->state != SESSION_ENDED);
}

static void
move(struct txn *txn, const struct event *event, struct event_answer *answer)
{
	struct session *session = &answer->arrived.session;
	const struct effect *effect = effect_of(event->kind);
	/* the client that ran in a turn ends with it; the session goes on with the next */
	bool rests = event->kind == EVENT_END && answer->inside.session.id[0] != '\0';

	if (effect->move < 0 || !may_move(event, answer))
		return;
	if (session_move(txn, session, rests ? SESSION_RESTS : (enum session_event)effect->move, event->began_ms, event->detail) &&
	    event->kind == EVENT_END && !rests)
		note_end(answer, session);
}

static void
count(struct txn *txn, const struct event *event, struct event_answer *answer)
{
	struct session *session = &answer->arrived.session;
	const struct effect *effect = effect_of(event->kind);
	/* of a conversation that was cleared, or a context that was compacted, since: it is spend, but no context of now */
	bool over = !is_current(event, answer) ||
	            (event->kind != EVENT_START && event->began_ms < session->generation_ms && session->generation > 1);

	if (event->kind != EVENT_START && event->kind != EVENT_METRICS)
		session->events++;
	if (effect->counter != NULL)
		metric_add(txn, session->id, effect->counter, 1);
	if (event->kind == EVENT_SUB_STARTS || event->kind == EVENT_SUB_ENDS)
		audit_add(txn, session->id, event->kind == EVENT_SUB_STARTS ? "subagent.start" : "subagent.end", event->agent, "", "");
	if (event->budget > 0 && !session->budget_given)
		session->budget = event->budget;
	/* a look that began before the generation did would bring the old context back */
	for (size_t i = 0; i < event->look_count && !answer->opened; i++) {
		struct transcript_look look = event->looks[i];

		if (over)
			look.context = -1;
		spend_take(txn, session->id, &look, answer->arrived.readings[i]);
	}
	if (event->context >= 0 && !over)
		metric_set(txn, session->id, "context_tokens", (double)event->context);
}

/* Whether a put's outcome is about what was put, and not about the store. */
static bool
is_about_item(enum status status)
{
	return status > OK || status == BAD_INPUT || status == BAD_CONFIG;
}

/* What can't be kept is no reason to fail: it is counted, on record, and told. */
static enum status
keep(struct txn *txn, const struct event *event, struct event_answer *answer, struct buf *why)
{
	const char *session = answer->arrived.session.id, *reason = event->keep.reason;
	char name[QUEUE_NAME_MAX + sizeof "_dropped"];
	struct queue_put put;
	struct queue_item item;
	bool again = false;
	enum status status = BAD_INPUT;

	if (event->keep.queue == NULL)
		return OK;
	if (event->keep.put != NULL) {
		put = *event->keep.put;
		put.line = session;
		status = queue_put(txn, &put, &item, &again, why);
		reason = why->data;
	}
	answer->kept = status == OK && !again;
	if (!is_about_item(status))
		return status;
	snprintf(answer->dropped, sizeof answer->dropped, "%s", reason);
	snprintf(name, sizeof name, "%s_dropped", event->keep.queue);
	metric_add(txn, session, name, 1);
	audit_add(txn, session, "observation.dropped", event->keep.queue, "", answer->dropped);
	return why_not(why, OK, "%s", "");
}

/* Once per interval, and only by one of all that come by. */
static void
note_reaping(struct txn *txn, struct event_answer *answer)
{
	int64_t every;

	if (config_duration(txn->config, "stile", "reap", &every, NULL) != OK || txn_now(txn) - answer->arrived.reaped_ms < every)
		return;
	answer->reap_due = true;
	db_run(txn->db,
	       "INSERT INTO project (project, created_ms, reaped_ms) VALUES ($1, $2, $2)"
	       " ON CONFLICT (project) DO UPDATE SET reaped_ms = excluded.reaped_ms",
	       DB_TEXT(txn->project), DB_INT(txn_now(txn)));
}

/* Whether a checkpoint may have become due, or may be told. */
static bool
may_report(struct txn *txn, const struct event *event, const struct event_answer *answer)
{
	const struct session *session = &answer->arrived.session;

	if (event->can_speak || event->context >= 0 || event->budget > 0)
		return true;
	for (size_t i = 0; i < event->look_count; i++)
		if (checkpoint_reached(txn->config, event->looks[i].context, session->budget))
			return true;
	return false;
}

/*
 * Of the four answers that an event waits for, what is left beside its session, its commit and what it keeps.  What can't be told
 * for want of one is told by the next.
 */
static int
spare_answers(const struct event *event)
{
	return 2 - (event->turn[0] != '\0') - (event->keep.put != NULL);
}

enum status
event_apply(struct txn *txn, struct event *event, struct event_answer *answer, struct buf *why)
{
	struct session *session = &answer->arrived.session;
	char actor[ACTOR_SIZE];
	int spare = spare_answers(event);
	enum status status = event_arrive(txn, event, &answer->arrived, &answer->inside, why);

	if (status != OK)
		return status;
	/* only now: before the first answer the store's clock would have to be waited for */
	if (event->began_ms == 0)
		event->began_ms = txn_at_boot(txn, event->began_boot_ms);
	snprintf(actor, sizeof actor, event->agent[0] == '\0' ? "%s" : "%s/%s", session->id, event->agent);
	txn->actor = actor;
	answer->at_ms = txn_now(txn);
	note_whereabouts(txn, event, answer);
	move(txn, event, answer);
	open_generation(txn, event, answer);
	end_superseded(txn, event, answer);
	session->event_ms = txn_now(txn);
	count(txn, event, answer);
	note_reaping(txn, answer);
	status = keep(txn, event, answer, why);
	if (status == OK && event->can_speak && spare > 0)
		status = instruction_tell(txn, session, &answer->arrived.rulebook, event->kind == EVENT_START, &answer->news, why);
	session_save(txn, session);
	spare -= answer->news.asked;
	if (status == OK && spare > 0 && may_report(txn, event, answer))
		status = checkpoint_report(txn, session, event->can_speak, &answer->fired, &answer->told, why);
	if (status != OK)
		event_answer_release(answer);
	return status;
}
