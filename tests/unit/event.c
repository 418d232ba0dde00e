/*
 * What follows from an event: whose it is, the session's state, its counters, its context and checkpoints, what is said back.
 *
 * Rows: R4 R69 R73 R75 N3 N9
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/event.h"
#include "core/metric.h"

#define T BENCH_START_MS

static const struct process agent = {.pid = 100, .start = 5, .space = 7, .boot = "b.1"};
static const struct process server = {.pid = 200, .start = 6, .space = 7, .boot = "b.1"};

struct scene {
	struct bench bench;
	struct event event;
	struct event_answer answer;
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	bench_init(&scene->bench);
	event_init(&scene->event);
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	event_answer_release(&scene->answer);
	event_release(&scene->event);
	bench_release(&scene->bench);
	free(scene);
	return 0;
}

/* scene->event becomes a new one of that kind, of conversation `client_session`, which began `at` ms after T. */
static struct event *
new_event(struct scene *scene, enum event_kind kind, const char *client_session, int64_t at)
{
	struct event *event = &scene->event;

	event_release(event);
	event_init(event);
	event->kind = kind;
	event->arrival = ARRIVAL_STARTUP;
	event->process = agent;
	event->began_ms = T + at;
	snprintf(event->client, sizeof event->client, "claude");
	snprintf(event->client_session, sizeof event->client_session, "%s", client_session);
	snprintf(event->cwd, sizeof event->cwd, "/home/dev/orchard");
	return event;
}

/* Applies it `at` ms after T. */
static struct session *
apply(struct scene *scene, int64_t at)
{
	event_answer_release(&scene->answer);
	scene->answer = (struct event_answer){0};
	bench_at(&scene->bench, T + at);
	assert_int_equal(event_apply(&scene->bench.txn, &scene->event, &scene->answer, &scene->bench.why), OK);
	return &scene->answer.arrived.session;
}

static struct session *
happens(struct scene *scene, enum event_kind kind, const char *client_session, int64_t at)
{
	new_event(scene, kind, client_session, at);
	return apply(scene, at);
}

static struct session
stored(struct scene *scene, const char *id)
{
	struct session session;

	assert_int_equal(session_load(&scene->bench.txn, id, &session, NULL), OK);
	return session;
}

static int64_t
metric(struct scene *scene, const char *session, const char *name)
{
	return store_number(scene->bench.db, "SELECT value FROM metric WHERE session = $1 AND name = $2", DB_TEXT(session),
	                    DB_TEXT(name));
}

static void
each_kind_moves_the_state_and_adds_to_its_counter(void **state)
{
	static const struct {
		enum event_kind kind;
		enum session_state to; /* from idle */
		const char *counter;
		int64_t events;
	} kinds[] = {
		{EVENT_OTHER, SESSION_IDLE, NULL, 1},
		{EVENT_START, SESSION_IDLE, NULL, 0},
		{EVENT_PROMPT, SESSION_ACTIVE, "messages", 1},
		{EVENT_TOOL, SESSION_ACTIVE, "tool_calls", 1},
		{EVENT_TOOL_DONE, SESSION_ACTIVE, NULL, 1},
		{EVENT_TOOL_FAILED, SESSION_ACTIVE, "errors", 1},
		{EVENT_ASKS, SESSION_WAITING, NULL, 1},
		{EVENT_TURN_ENDS, SESSION_IDLE, NULL, 1},
		{EVENT_SUB_STARTS, SESSION_ACTIVE, "subagents", 1},
		{EVENT_SUB_ENDS, SESSION_IDLE, NULL, 1},
		{EVENT_COMPACTED, SESSION_IDLE, NULL, 1},
		{EVENT_END, SESSION_ENDED, NULL, 1},
		{EVENT_METRICS, SESSION_IDLE, NULL, 0},
	};
	struct scene *scene = *state;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		char name[16];
		struct session session;

		snprintf(name, sizeof name, "c%zu", i);
		assert_int_equal(happens(scene, EVENT_TURN_ENDS, name, 10)->state, SESSION_IDLE);
		session = stored(scene, happens(scene, kinds[i].kind, name, 20)->id);
		assert_int_equal(session.state, kinds[i].to);
		assert_int_equal(session.events, 1 + kinds[i].events);
		assert_int_equal(session.event_ms, T + 20);
		for (const char *const *one = (const char *const[]){"messages", "tool_calls", "errors", "subagents", NULL};
		     *one != NULL; one++)
			assert_int_equal(metric(scene, session.id, *one),
			                 kinds[i].counter != NULL && strcmp(*one, kinds[i].counter) == 0 ? 1 : -1);
	}
}

static void
any_first_event_makes_the_session(void **state)
{
	struct scene *scene = *state;
	struct session *session = happens(scene, EVENT_TOOL, "c", 5);

	assert_true(scene->answer.arrived.created);
	assert_int_equal(session->state, SESSION_ACTIVE);
	assert_true(process_same(&session->process, &agent));
	assert_int_equal(scene->answer.at_ms, T + 5);
}

/* It is drawn when the client likes, also before the start that makes or joins its session.  Rows: N3 */
static void
a_status_line_makes_no_session(void **state)
{
	struct scene *scene = *state;

	new_event(scene, EVENT_METRICS, "c", 5)->context = 110000;
	bench_at(&scene->bench, T + 5);
	assert_int_equal(event_apply(&scene->bench.txn, &scene->event, &scene->answer, &scene->bench.why), NO_SUCH);
	assert_int_equal(store_number(scene->bench.db, "SELECT count(*) FROM session WHERE project = $1", DB_TEXT(BENCH_PROJECT)),
	                 0);
}

/* Rows: N9 */
static void
a_late_notification_counts_and_leaves_no_waiting_behind(void **state)
{
	struct scene *scene = *state;
	struct session session;

	happens(scene, EVENT_PROMPT, "c", 10);
	happens(scene, EVENT_TOOL_DONE, "c", 30);
	snprintf(new_event(scene, EVENT_ASKS, "c", 20)->detail, 20, "permission");
	session = stored(scene, apply(scene, 40)->id);
	assert_int_equal(session.state, SESSION_ACTIVE);
	assert_int_equal(session.events, 3);
	assert_string_equal(session.waiting_for, "");
}

/* Rows: N9 */
static void
waiting_for_a_person_lasts_until_the_next_event(void **state)
{
	struct scene *scene = *state;
	struct session session;

	snprintf(new_event(scene, EVENT_ASKS, "c", 10)->detail, 20, "permission");
	session = stored(scene, apply(scene, 15)->id);
	assert_int_equal(session.state, SESSION_WAITING);
	assert_string_equal(session.waiting_for, "permission");
	assert_int_equal(session.state_ms, T + 10);
	/* the status line says nothing about what the agent does */
	happens(scene, EVENT_METRICS, "c", 20);
	assert_int_equal(stored(scene, session.id).state, SESSION_WAITING);
	happens(scene, EVENT_TOOL, "c", 30);
	assert_int_equal(stored(scene, session.id).state, SESSION_ACTIVE);
}

/* Rows: R4 */
static void
an_event_after_the_end_reopens(void **state)
{
	struct scene *scene = *state;
	struct session session;

	happens(scene, EVENT_PROMPT, "c", 10);
	session = *happens(scene, EVENT_END, "c", 20);
	assert_int_equal(stored(scene, session.id).state, SESSION_ENDED);
	/* began before it: a hook of the same moment */
	new_event(scene, EVENT_TOOL_DONE, "c", 19);
	apply(scene, 25);
	assert_int_equal(stored(scene, session.id).state, SESSION_ENDED);
	happens(scene, EVENT_PROMPT, "c", 30);
	assert_int_equal(stored(scene, session.id).state, SESSION_ACTIVE);
	assert_int_equal(stored(scene, session.id).ended_ms, 0);
}

static void
a_sub_agents_pause_is_not_its_sessions_but_its_question_is(void **state)
{
	struct scene *scene = *state;
	struct session *session = happens(scene, EVENT_PROMPT, "c", 10);

	snprintf(new_event(scene, EVENT_TURN_ENDS, "c", 20)->agent, 20, "worker");
	session = apply(scene, 20);
	assert_int_equal(session->state, SESSION_ACTIVE);
	snprintf(new_event(scene, EVENT_ASKS, "c", 30)->agent, 20, "worker");
	session = apply(scene, 30);
	assert_int_equal(session->state, SESSION_WAITING);
}

static void
where_a_sub_agent_works_is_not_where_its_session_does(void **state)
{
	struct scene *scene = *state;
	struct event *event;

	happens(scene, EVENT_PROMPT, "c", 10);
	event = new_event(scene, EVENT_TOOL, "c", 20);
	snprintf(event->agent, sizeof event->agent, "worker");
	snprintf(event->cwd, sizeof event->cwd, "/elsewhere");
	assert_string_equal(apply(scene, 20)->cwd, "/home/dev/orchard");
	event = new_event(scene, EVENT_TOOL, "c", 30);
	snprintf(event->cwd, sizeof event->cwd, "/elsewhere");
	snprintf(event->worktree, sizeof event->worktree, "side");
	snprintf(event->branch, sizeof event->branch, "topic");
	event->process = server;
	assert_string_equal(apply(scene, 30)->cwd, "/elsewhere");
	assert_string_equal(stored(scene, scene->answer.arrived.session.id).worktree, "side");
	assert_string_equal(stored(scene, scene->answer.arrived.session.id).branch, "topic");
	assert_int_equal(stored(scene, scene->answer.arrived.session.id).process.pid, server.pid);
	/* an event that tells neither leaves both */
	event = new_event(scene, EVENT_TOOL, "c", 40);
	event->cwd[0] = '\0';
	event->process = (struct process){0};
	assert_string_equal(apply(scene, 40)->cwd, "/elsewhere");
	assert_int_equal(stored(scene, scene->answer.arrived.session.id).process.pid, server.pid);
}

/* Rows: N3 */
static void
clear_opens_a_generation_of_the_same_session(void **state)
{
	struct scene *scene = *state;
	struct session first, next;

	new_event(scene, EVENT_PROMPT, "c1", 10)->context = 120000;
	first = *apply(scene, 10);
	snprintf(new_event(scene, EVENT_END, "c1", 20)->detail, 20, "clear");
	apply(scene, 20);
	new_event(scene, EVENT_START, "c2", 30)->arrival = ARRIVAL_CLEAR;
	next = *apply(scene, 30);
	assert_string_equal(next.id, first.id);
	assert_true(scene->answer.arrived.joined);
	assert_int_equal(next.generation, 2);
	assert_int_equal(next.state, SESSION_OPENING);
	assert_int_equal(metric(scene, first.id, "context_tokens"), 0);
	assert_int_equal(metric(scene, first.id, "messages"), 1);
	assert_int_equal(store_number(scene->bench.db, "SELECT base FROM metric WHERE session = $1 AND name = 'messages'",
	                              DB_TEXT(first.id)),
	                 1);
	assert_int_equal(stored(scene, first.id).generation, 2);
}

/* The client sends the end of the old conversation and the start of the new one at once. */
static void
the_end_of_a_conversation_that_clear_replaced_is_not_the_sessions(void **state)
{
	struct scene *scene = *state;
	struct session session;

	happens(scene, EVENT_PROMPT, "c1", 10);
	new_event(scene, EVENT_START, "c2", 30)->arrival = ARRIVAL_CLEAR;
	session = *apply(scene, 30);
	snprintf(new_event(scene, EVENT_END, "c1", 31)->detail, 20, "clear");
	apply(scene, 35);
	assert_string_equal(scene->answer.arrived.session.id, session.id);
	assert_int_equal(stored(scene, session.id).state, SESSION_ACTIVE);
	happens(scene, EVENT_END, "c2", 40);
	assert_int_equal(stored(scene, session.id).state, SESSION_ENDED);
}

/* A hook that was under way when the conversation was cleared.  Rows: N3 N4 */
static void
what_is_heard_late_of_a_cleared_conversation_is_spend_but_no_context(void **state)
{
	struct usage usage = {.message = "m", .request = "r", .input = 90000};
	struct scene *scene = *state;
	struct event *event;
	struct session session;

	happens(scene, EVENT_PROMPT, "c1", 10);
	new_event(scene, EVENT_START, "c2", 30)->arrival = ARRIVAL_CLEAR;
	session = *apply(scene, 30);
	event = new_event(scene, EVENT_TOOL_DONE, "c1", 29);
	event->context = 90000;
	event->look_count = 1;
	event->looks[0] = (struct transcript_look){.before = {.path = "/t"},
	                                           .after = {.path = "/t", .position = 9, .size = 9},
	                                           .context = 90000};
	assert_int_equal(usage_list_put(&event->looks[0].usages, &usage), OK);
	assert_string_equal(apply(scene, 40)->id, session.id);
	assert_int_equal(metric(scene, session.id, "context_tokens"), 0);
	assert_int_equal(metric(scene, session.id, "spent_tokens"), 90000);
	assert_int_equal(scene->answer.fired.count, 0);
}

/* Rows: N3 */
static void
compact_opens_a_generation_and_resume_does_not(void **state)
{
	static const struct {
		enum arrival arrival;
		int64_t generation;
	} starts[] = {{ARRIVAL_STARTUP, 1}, {ARRIVAL_RESUME, 1},  {ARRIVAL_COMPACT, 2},
	              {ARRIVAL_RESUME, 2},  {ARRIVAL_COMPACT, 3}, {ARRIVAL_CLEAR, 3}};
	struct scene *scene = *state;

	happens(scene, EVENT_PROMPT, "c", 1);
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
		new_event(scene, EVENT_START, "c", 10 * (int64_t)i + 10)->arrival = starts[i].arrival;
		assert_int_equal(apply(scene, 10 * (int64_t)i + 10)->generation, starts[i].generation);
	}
	/* what is seen for the first time has no context that could have been compacted */
	new_event(scene, EVENT_START, "new", 100)->arrival = ARRIVAL_COMPACT;
	assert_int_equal(apply(scene, 100)->generation, 1);
}

static void
resume_in_one_process_ends_the_conversation_that_it_left(void **state)
{
	struct scene *scene = *state;
	struct session first, other;

	first = *happens(scene, EVENT_PROMPT, "c1", 10);
	new_event(scene, EVENT_PROMPT, "c9", 11)->process = server;
	other = *apply(scene, 11);
	new_event(scene, EVENT_START, "c2", 20)->arrival = ARRIVAL_RESUME;
	assert_string_not_equal(apply(scene, 20)->id, first.id);
	assert_int_equal(stored(scene, first.id).state, SESSION_ENDED);
	assert_string_equal(stored(scene, first.id).end_reason, "resume");
	assert_int_equal(stored(scene, other.id).state, SESSION_ACTIVE);
}

static void
a_process_that_hosts_several_has_not_left_any(void **state)
{
	struct scene *scene = *state;
	char ids[2][ID_SIZE];

	for (int i = 0; i < 2; i++)
		snprintf(ids[i], ID_SIZE, "%s", happens(scene, EVENT_PROMPT, i == 0 ? "c1" : "c2", 10)->id);
	new_event(scene, EVENT_START, "c3", 20)->arrival = ARRIVAL_RESUME;
	apply(scene, 20);
	for (int i = 0; i < 2; i++)
		assert_int_equal(stored(scene, ids[i]).state, SESSION_ACTIVE);
}

/* Rows: R73 R80 */
static void
a_checkpoint_is_told_by_the_first_event_whose_answer_can_speak(void **state)
{
	struct scene *scene = *state;

	happens(scene, EVENT_PROMPT, "c", 5);
	new_event(scene, EVENT_METRICS, "c", 10)->context = 110000;
	apply(scene, 10);
	assert_int_equal(scene->answer.fired.count, 2);
	assert_int_equal(scene->answer.told.count, 0);
	happens(scene, EVENT_TOOL, "c", 20);
	assert_int_equal(scene->answer.told.count, 0);
	new_event(scene, EVENT_START, "other", 25)->can_speak = true;
	apply(scene, 25);
	assert_int_equal(scene->answer.told.count, 0);
	new_event(scene, EVENT_TOOL_DONE, "c", 30)->can_speak = true;
	apply(scene, 30);
	assert_int_equal(scene->answer.fired.count, 0);
	assert_int_equal(scene->answer.told.count, 2);
	new_event(scene, EVENT_TOOL_DONE, "c", 40)->can_speak = true;
	apply(scene, 40);
	assert_int_equal(scene->answer.told.count, 0);
}

static void
the_clients_word_sets_the_budget_unless_a_person_did(void **state)
{
	struct scene *scene = *state;
	struct session session;

	happens(scene, EVENT_PROMPT, "c", 5);
	new_event(scene, EVENT_METRICS, "c", 10)->budget = 1000000;
	session = *apply(scene, 10);
	assert_int_equal(stored(scene, session.id).budget, 1000000);
	session.budget = 5000;
	session.budget_given = true;
	session_save(&scene->bench.txn, &session);
	new_event(scene, EVENT_METRICS, "c", 20)->budget = 200000;
	apply(scene, 20);
	assert_int_equal(stored(scene, session.id).budget, 5000);
}

static void
a_look_at_the_transcript_comes_in_with_its_event(void **state)
{
	struct scene *scene = *state;
	struct event *event = new_event(scene, EVENT_TURN_ENDS, "c", 10);
	struct usage usage = {.message = "m", .request = "r", .input = 70000, .output = 5};
	struct session session;

	event->look_count = 1;
	event->looks[0] = (struct transcript_look){.before = {.path = "/t"},
	                                           .after = {.path = "/t", .position = 90, .size = 90},
	                                           .context = 70005};
	assert_int_equal(usage_list_put(&event->looks[0].usages, &usage), OK);
	session = *apply(scene, 10);
	assert_int_equal(metric(scene, session.id, "spent_tokens"), 70005);
	assert_int_equal(metric(scene, session.id, "context_tokens"), 70005);
	assert_int_equal(scene->answer.fired.count, 1);
}

/* Rows: R4 */
static void
looking_for_the_dead_is_due_once_an_interval(void **state)
{
	static const struct {
		int64_t at;
		bool due;
	} steps[] = {{2, false}, {30000, false}, {30001, true}, {30002, false}, {60000, false}, {90000, true}};
	struct scene *scene = *state;

	happens(scene, EVENT_TOOL, "c1", 1);
	assert_true(scene->answer.reap_due);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		happens(scene, EVENT_TOOL, i % 2 == 0 ? "c1" : "c2", steps[i].at);
		assert_int_equal(scene->answer.reap_due, steps[i].due);
	}
}

static void
a_sub_agents_deeds_are_audited_as_its_own(void **state)
{
	struct scene *scene = *state;
	char *actor, expected[100];

	snprintf(new_event(scene, EVENT_SUB_STARTS, "c", 10)->agent, 20, "worker");
	snprintf(expected, sizeof expected, "%s/worker", apply(scene, 10)->id);
	actor = store_text(scene->bench.db, "SELECT actor FROM audit WHERE kind = $1", DB_TEXT("subagent.start"));
	assert_string_equal(actor, expected);
	free(actor);
}

static void
an_event_that_cant_be_followed_leaves_nothing_to_release(void **state)
{
	struct scene *scene = *state;
	struct event_answer answer = {0};

	bench_config(&scene->bench, "[stile]\ncheckpoints = nonsense\n");
	new_event(scene, EVENT_START, "c", 10)->can_speak = true;
	assert_int_equal(event_apply(&scene->bench.txn, &scene->event, &answer, &scene->bench.why), BAD_CONFIG);
	assert_null(answer.arrived.others.items);
	bench_undo(&scene->bench);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(TEST(each_kind_moves_the_state_and_adds_to_its_counter), TEST(any_first_event_makes_the_session),
      TEST(a_status_line_makes_no_session), TEST(a_late_notification_counts_and_leaves_no_waiting_behind),
      TEST(waiting_for_a_person_lasts_until_the_next_event), TEST(an_event_after_the_end_reopens),
      TEST(a_sub_agents_pause_is_not_its_sessions_but_its_question_is),
      TEST(where_a_sub_agent_works_is_not_where_its_session_does), TEST(clear_opens_a_generation_of_the_same_session),
      TEST(the_end_of_a_conversation_that_clear_replaced_is_not_the_sessions),
      TEST(what_is_heard_late_of_a_cleared_conversation_is_spend_but_no_context),
      TEST(compact_opens_a_generation_and_resume_does_not), TEST(resume_in_one_process_ends_the_conversation_that_it_left),
      TEST(a_process_that_hosts_several_has_not_left_any), TEST(a_checkpoint_is_told_by_the_first_event_whose_answer_can_speak),
      TEST(the_clients_word_sets_the_budget_unless_a_person_did), TEST(a_look_at_the_transcript_comes_in_with_its_event),
      TEST(looking_for_the_dead_is_due_once_an_interval), TEST(a_sub_agents_deeds_are_audited_as_its_own),
      TEST(an_event_that_cant_be_followed_leaves_nothing_to_release))
