/*
 * Round trips are counted per verb: a transaction costs at most three answers that are waited for, a hook's event four.  That
 * is what keeps a store on another machine usable.  Every verb of the table and every kind of event is tried.
 */
#include "lib/codebase.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"
#include "db/sqlite_store.h"
#include "os/clock.h"
#include "verbs/event.h"
#include "verbs/verb.h"

#include <unistd.h>

#define TRIPS_OF_A_VERB 3
#define TRIPS_OF_AN_END_THAT_BINDS 4 /* the turn's lease, the slot, and the slot read back */
#define TRIPS_OF_AN_EVENT 4

struct scene {
	struct codebase codebase;
	struct context context;
	struct buf why;
	char session[ID_SIZE];
	char turn[ID_SIZE]; /* in which events are; "" = none */
	int calls;          /* of tools, so far */
};

/* The engine's own calls, with a look at the counter wherever a transaction ends. */
static struct db_ops counting;
static const struct db_ops *counted;
static unsigned most, transactions;

static void
note(const struct db *db)
{
	most = db->trips > most ? db->trips : most;
	transactions++;
}

static enum status
commit(struct db *db, struct buf *why)
{
	note(db);
	return counted->commit(db, why);
}

static void
rollback(struct db *db)
{
	note(db);
	counted->rollback(db);
}

static enum status
open_store(const struct store_address *address, bool make, struct db **out, struct buf *why)
{
	(void)make;
	(void)why;
	*out = contract_store(contract_now, address->folder);
	counted = (*out)->ops;
	counting = *counted;
	counting.commit = commit;
	counting.rollback = rollback;
	(*out)->ops = &counting;
	return OK;
}

/* Runs a verb on the scene's store; its document is the caller's. */
static json_t *prepare(struct scene *scene, const char *verb, const char *format, ...) PRINTF_LIKE(3, 4);

static json_t *
prepare(struct scene *scene, const char *verb, const char *format, ...)
{
	struct call call = {.context = &scene->context, .result = json_object(), .why = &scene->why};
	char text[200];
	json_t *args;
	va_list list;
	enum status status;

	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	args = json_loads(text, 0, NULL);
	call.args = args;
	status = verb_run(verb_find(verb), &call);
	json_decref(args);
	if (status == OK)
		return call.result;
	fprintf(stderr, "trips: %s %s: %s\n", verb, text, scene->why.data);
	abort();
}

static void
fill_store(struct scene *scene)
{
	/* a codebase in use: what a verb costs must not grow with what is there */
	for (int i = 0; i < 20; i++) {
		json_t *started = prepare(scene, "session start", "{\"client\":\"claude\",\"client_session\":\"conversation-%d\"}", i);

		snprintf(scene->session, sizeof scene->session, "%s", json_text(started, "session", ""));
		json_decref(started);
	}
	/* and one with rules that contradict each other, which a start of a session tells */
	for (int i = 1; i <= 2; i++)
		json_decref(prepare(scene, "instruction add",
		                    "{\"text\":\"port %d\",\"persistence\":\"HIGH\",\"parameter\":[\"port=%d\"]}", i, i));
}

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	codebase_make(&scene->codebase);
	buf_init(&scene->why, WHY_MAX);
	scene->context.open_store = open_store;
	scene->context.wait_ms = 5000;
	*state = scene;
	if (context_find(&scene->context, scene->codebase.folder, &scene->why) != OK)
		return -1;
	fill_store(scene);
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	context_release(&scene->context, false);
	buf_release(&scene->why);
	codebase_remove(&scene->codebase);
	free(scene);
	return 0;
}

/* How each verb is run; %s is the session.  Or why it isn't. */
static const struct {
	const char *verb;
	const char *args;
	const char *left_out;
} ways[] = {
	{"status", "{}", NULL},
	{"status", "{\"all\":true}", NULL},
	{"session start", "{\"client\":\"claude\",\"client_session\":\"new\"}", NULL},
	{"session start", "{\"client\":\"claude\",\"client_session\":\"conversation-3\",\"budget\":5}", NULL},
	{"session start", "{\"client\":\"claude\",\"client_session\":\"child\",\"parent\":\"%s\"}", NULL},
	{"session list", "{}", NULL},
	{"session list", "{\"all\":true}", NULL},
	{"session show", "{\"session\":\"%s\"}", NULL},
	{"session bind", "{\"session\":\"%s\",\"slot\":\"memory\",\"value\":\"m\"}", NULL},
	{"session bind", "{\"session\":\"%s\",\"slot\":\"memory\",\"value\":\"m2\",\"rebind\":true,\"distinct\":true}", NULL},
	{"session bind", "{\"session\":\"%s\",\"slot\":\"conversation\",\"value\":\"c2\",\"rebind\":true}", NULL},
	{"session bindings", "{\"session\":\"%s\"}", NULL},
	{"session heartbeat", "{\"session\":\"%s\"}", NULL},
	{"session reap", "{}", NULL},
	{"metric add", "{\"session\":\"%s\",\"name\":\"messages\",\"amount\":1}", NULL},
	{"metric add", "{\"session\":\"%s\",\"name\":\"errors\",\"amount\":1}", NULL},
	{"metric set", "{\"session\":\"%s\",\"name\":\"context_tokens\",\"amount\":160000}", NULL},
	{"metric show", "{\"session\":\"%s\"}", NULL},
	{"metric show", "{\"aggregate\":true}", NULL},
	{"pressure", "{\"session\":\"%s\"}", NULL},
	{"checkpoint list", "{\"session\":\"%s\"}", NULL},
	{"checkpoint list", "{}", NULL},
	{"instruction add", "{\"text\":\"a\",\"session\":\"%s\",\"persistence\":\"HIGH\",\"parameter\":[\"port=1\"]}", NULL},
	{"instruction add", "{\"text\":\"b\",\"session\":\"%s\",\"persistence\":\"HIGH\",\"parameter\":[\"port=2\"]}", NULL},
	{"instruction add", "{\"text\":\"b\"}", NULL},
	{"instruction edit", "{\"id\":\"inst_001\",\"text\":\"c\",\"version\":1,\"parameter\":[\"host=y\"]}", NULL},
	{"instruction list", "{}", NULL},
	{"instruction list", "{\"all\":true}", NULL},
	{"instruction show", "{\"id\":\"inst_002\"}", NULL},
	{"instruction history", "{}", NULL},
	{"instruction history", "{\"id\":\"inst_001\",\"session\":\"%s\"}", NULL},
	{"instruction conflicts", "{}", NULL},
	{"instruction conflicts", "{\"all\":true}", NULL},
	{"instruction checked", "{\"id\":\"inst_001\",\"session\":\"%s\",\"violated\":true}", NULL},
	{"instruction retire", "{\"id\":\"inst_002\",\"session\":\"%s\"}", NULL},
	{"status", "{}", NULL},
	{"lock acquire", "{\"name\":\"a\"}", NULL},
	{"lock acquire", "{\"name\":\"b\",\"session\":\"%s\",\"slots\":2,\"role\":\"night\"}", NULL},
	{"lock acquire", "{\"name\":\"c\",\"also\":[\"d\"],\"wait\":1000}", NULL},
	{"lock renew", "{\"name\":\"a\",\"fence\":1}", NULL},
	{"lock list", "{}", NULL},
	{"lock list", "{\"all\":true}", NULL},
	{"lock release", "{\"name\":\"a\",\"fence\":1}", NULL},
	{"lock break", "{\"name\":\"c\"}", NULL},
	{"lock role", "{\"role\":\"night\",\"priority\":5}", NULL},
	{"lock role", "{}", NULL},
	{"lock run", NULL, "runs a command between transactions that are those of acquire, renew and release"},
	{"audit list", "{}", NULL},
	{"audit list", "{\"session\":\"%s\",\"kind\":\"metric.\",\"limit\":5}", NULL},
	{"task claim", "{\"name\":\"t\",\"session\":\"%s\"}", NULL},
	{"task claim", "{\"name\":\"t2\",\"session\":\"%s\",\"wait\":1000}", NULL},
	{"task renew", "{\"name\":\"t\",\"session\":\"%s\",\"fence\":1}", NULL},
	{"task active", "{\"name\":\"t\",\"session\":\"%s\"}", NULL},
	{"task active", "{\"session\":\"%s\"}", NULL},
	{"task list", "{\"all\":true}", NULL},
	{"task done", "{\"name\":\"t\",\"session\":\"%s\",\"fence\":1,\"result\":\"{}\"}", NULL},
	{"task release", "{\"name\":\"t2\",\"session\":\"%s\",\"fence\":1}", NULL},
	{"token issue", "{\"name\":\"t\",\"session\":\"%s\",\"digest\":\"0123abcd\"}", NULL},
	{"token list", "{\"all\":true}", NULL},
	{"token consume", "{\"name\":\"t\",\"session\":\"%s\",\"digest\":\"0123abcd\"}", NULL},
	{"turn begin", "{\"session\":\"%s\",\"wait\":1000}", NULL},
	{"turn renew", "{\"session\":\"%s\",\"fence\":1}", NULL},
	{"turn list", "{}", NULL},
	{"turn end", "{\"session\":\"%s\",\"fence\":1}", NULL},
	{"turn begin", "{\"session\":\"%s\"}", NULL},
	{"turn end", "{\"session\":\"%s\",\"fence\":2,\"bind\":\"id\"}", NULL},
	{"turn list", "{\"all\":true}", NULL},
	{"turn log", "{\"session\":\"%s\"}", NULL},
	{"turn run", NULL, "runs a command between transactions of its own"},
	{"queue put", "{\"queue\":\"q\",\"session\":\"%s\",\"payload\":\"a\",\"key\":\"k\",\"until_bound\":\"memory\"}", NULL},
	{"queue put", "{\"queue\":\"q\",\"session\":\"%s\",\"payload\":\"b\"}", NULL},
	{"queue put", "{\"queue\":\"q\",\"group\":\"g\",\"payload\":\"c\"}", NULL},
	{"queue put", "{\"queue\":\"q\",\"payload\":\"d\"}", NULL},
	{"queue take", "{\"queue\":\"q\"}", NULL},
	{"queue renew", "{\"id\":\"q/1\",\"generation\":1}", NULL},
	{"queue ack", "{\"id\":\"q/1\",\"generation\":1}", NULL},
	{"queue take", "{\"queue\":\"q\",\"max\":3,\"wait\":1000}", NULL},
	{"queue nack", "{\"id\":\"q/2\",\"generation\":1,\"dead\":true}", NULL},
	{"queue dead", "{\"queue\":\"q\"}", NULL},
	{"queue redrive", "{\"queue\":\"q\"}", NULL},
	{"queue list", "{\"queue\":\"q\",\"state\":\"done\"}", NULL},
	{"queue stats", "{}", NULL},
	{"queue work", NULL, "runs commands between transactions that are those of take, renew and ack"},
	{"ledger append", "{\"ledger\":\"l\",\"body\":\"b\",\"key\":\"k\",\"lock\":\"b\",\"fence\":1,\"session\":\"%s\"}", NULL},
	{"ledger list", "{\"ledger\":\"l\"}", NULL},
	{"ledger head", "{\"ledger\":\"l\"}", NULL},
	{"ledger verify", "{\"ledger\":\"l\"}", NULL},
	{"ledger publish", NULL, "what sign does, and a file or a note"},
	{"ledger anchor", NULL, "wants a broken chain: contract/ledgers"},
	{"ledger sign", "{\"ledger\":\"l\"}", NULL},
	{"ledger mirror", NULL, "writes the file of the configuration"},
	{"ledger import", NULL, "reads a file that the caller names; each of its lines is appended as by ledger append"},
	{"session await", "{\"session\":\"%s\",\"slot\":\"memory\"}", NULL},
	{"session await", "{\"session\":\"%s\",\"slot\":\"memory\",\"tries\":2}", NULL},
	{"session exclusive", "{}", NULL},
	{"session end", "{\"session\":\"%s\"}", NULL},
	{"store migrate", "{}", NULL},
	{"store check", "{}", NULL},
	{"store copy", NULL, "takes two stores, and as many answers as there are pages of rows"},
	{"store init", NULL, "makes the store before a rule can run"},
	{"store grant", NULL, "changes rights on a server, in no transaction of a project"},
	{"init", NULL, "writes the client's settings in every worktree"},
	{"doctor", NULL, "runs the installed command line and looks at the machine"},
	{"import tractatus", NULL, "reads files that the caller names; what it wrote is read again before it counts"},
	{"import claude-mem", NULL, "reads a file that the caller names; its rules are those of sessions, bindings and queues"},
	{"import trinity", NULL, "reads a file that the caller names; its rules are those of sessions, bindings and turns"},
	{"import conflicts", "{}", NULL},
	{"export tractatus", NULL, "writes files that the caller names"},
	{"view tractatus", NULL, "runs a command between transactions of its own"},
	{"file write", NULL, "changes files that the caller names"},
	{"file append", NULL, "changes files that the caller names"},
	{"file create", NULL, "changes files that the caller names"},
	{"file update", NULL, "runs a command, and changes files that the caller names"},
	{"diagnose", NULL, "runs racing processes on scratch copies, not on this store"},
};
#define WAYS (sizeof ways / sizeof *ways)

static void
every_verb_of_the_table_is_tried_or_left_out_for_a_reason(void **state)
{
	const struct verb *verb;

	for (size_t i = 0; (verb = verb_nth(i)) != NULL; i++) {
		bool found = false;

		for (size_t way = 0; way < WAYS; way++)
			found = found || str_equal(ways[way].verb, verb->name);
		if (!found)
			fprintf(stderr, "trips: verb \"%s\" is not tried\n", verb->name);
		assert_true(found);
	}
	for (size_t way = 0; way < WAYS; way++) {
		assert_non_null(verb_find(ways[way].verb));
		assert_true((ways[way].args == NULL) == (ways[way].left_out != NULL));
	}
}

static unsigned
allowed(size_t way)
{
	return strstr(ways[way].args, "\"bind\"") == NULL ? TRIPS_OF_A_VERB : TRIPS_OF_AN_END_THAT_BINDS;
}

static void
run_way(struct scene *scene, size_t way)
{
	struct call call = {.context = &scene->context, .result = json_object(), .why = &scene->why};
	json_t *args = NULL;
	char text[400];
	enum status status;

	snprintf(text, sizeof text, "%s", ways[way].args);
	if (strstr(text, "%s") != NULL) {
		size_t at = (size_t)(strstr(text, "%s") - text);

		snprintf(text + at, sizeof text - at, "%s%s", scene->session, ways[way].args + at + 2);
	}
	args = json_loads(text, 0, NULL);
	call.args = args;
	assert_non_null(args);
	most = transactions = 0;
	buf_clear(&scene->why);
	status = verb_run(verb_find(ways[way].verb), &call);
	if (status != OK || most > allowed(way) || transactions == 0)
		fprintf(stderr, "trips: %s %s: status %d (%s), %u transactions, the dearest of %u round trips\n", ways[way].verb, text,
		        status, scene->why.data, transactions, most);
	assert_int_equal(status, OK);
	assert_true(transactions > 0);
	assert_true(most <= allowed(way));
	json_decref(args);
	json_decref(call.result);
}

static void
no_rule_of_a_verb_waits_for_more_than_three_answers(void **state)
{
	struct scene *scene = *state;

	for (size_t way = 0; way < WAYS; way++)
		if (ways[way].args != NULL)
			run_way(scene, way);
}

/* Without --session the caller is looked for among the processes; the session found costs no trip of its own. */
static void
finding_out_who_calls_costs_no_more(void **state)
{
	struct scene *scene = *state;

	setenv("STILE_SESSION", scene->session, 1);
	for (size_t way = 0; way < WAYS; way++) {
		struct call call = {.context = &scene->context, .result = json_object(), .why = &scene->why};
		json_t *args = ways[way].args == NULL ? NULL : json_loads(ways[way].args, 0, NULL);

		call.args = args;
		if (args != NULL && json_object_get(args, "session") != NULL && !str_equal(ways[way].verb, "session bind") &&
		    !str_equal(ways[way].verb, "session await") && !str_equal(ways[way].verb, "checkpoint list") &&
		    !str_equal(ways[way].verb, "audit list")) {
			json_object_del(args, "session");
			most = 0;
			assert_int_equal(verb_run(verb_find(ways[way].verb), &call), OK);
			if (most > allowed(way))
				fprintf(stderr, "trips: %s: %u round trips\n", ways[way].verb, most);
			assert_true(most <= allowed(way));
		}
		json_decref(args);
		json_decref(call.result);
	}
	unsetenv("STILE_SESSION");
}

/* The event with all that one can bring: two transcripts with responses, a context, an answer that can speak. */
static void
fill(struct event *event, enum event_kind kind, const char *client_session)
{
	event_init(event);
	event->kind = kind;
	event->began_boot_ms = clock_boot_ms();
	event->context = 160000;
	event->budget = 200000;
	event->can_speak = true;
	snprintf(event->client, sizeof event->client, "claude");
	snprintf(event->client_session, sizeof event->client_session, "%s", client_session);
	snprintf(event->transcript, sizeof event->transcript, "/t/main");
	event->look_count = kind == EVENT_START ? 0 : 2;
	for (size_t i = 0; i < event->look_count; i++) {
		struct usage usage = {.message = "m", .request = "r", .input = 10};

		event->looks[i] = (struct transcript_look){.after = {.position = 100, .size = 100}, .context = 1000};
		snprintf(event->looks[i].before.path, sizeof event->looks[i].before.path, "/t/%zu", i);
		event->looks[i].after = event->looks[i].before;
		event->looks[i].after.position = 100;
		assert_int_equal(usage_list_put(&event->looks[i].usages, &usage), OK);
	}
}

/* Something new each time, if the configuration says that it is to be kept. */
static void
fill_kept(struct scene *scene, struct event *event)
{
	snprintf(event->tool, sizeof event->tool, "Bash");
	snprintf(event->tool_use, sizeof event->tool_use, "toolu_%d", scene->calls++);
	snprintf(event->prompt_id, sizeof event->prompt_id, "%s", event->tool_use);
	event->input = json_string("go");
}

static void
try_event(struct scene *scene, enum event_kind kind, enum arrival arrival, const char *client_session)
{
	struct event *event = malloc(sizeof *event);
	struct event_answer answer = {0};
	struct transcript main, lagging;
	enum status status;

	assert_non_null(event);
	fill(event, kind, client_session);
	event->arrival = arrival;
	snprintf(event->turn, sizeof event->turn, "%s", scene->turn);
	fill_kept(scene, event);
	assert_int_equal(process_agent(&event->process), OK);
	most = transactions = 0;
	assert_int_equal(event_positions(&scene->context, event, &main, &lagging, &scene->why), OK);
	assert_true(most == 1);
	most = 0;
	status = event_handle(&scene->context, event, &answer, &scene->why);
	if (status != OK || most > TRIPS_OF_AN_EVENT)
		fprintf(stderr, "trips: event %d, arrival %d, %s: status %d (%s), %u round trips\n", kind, arrival, client_session,
		        status, scene->why.data, most);
	assert_int_equal(status, OK);
	assert_true(transactions >= 2);
	assert_true(most <= TRIPS_OF_AN_EVENT);
	event_answer_release(&answer);
	event_release(event);
	free(event);
}

static void
no_event_waits_for_more_than_four_answers(void **state)
{
	static const enum arrival arrivals[] = {ARRIVAL_STARTUP, ARRIVAL_RESUME, ARRIVAL_CLEAR, ARRIVAL_COMPACT, ARRIVAL_FORK};
	struct scene *scene = *state;
	char name[30];

	assert_int_equal(context_open(&scene->context, false, &scene->why), OK);
	for (int kind = 0; kind <= EVENT_METRICS; kind++) {
		if (kind == EVENT_START)
			continue;
		/* of a session that is not known yet, which only a status line may not be; and of one that is */
		snprintf(name, sizeof name, "new-%d", kind);
		if (kind != EVENT_METRICS)
			try_event(scene, (enum event_kind)kind, ARRIVAL_EVENT, name);
		try_event(scene, (enum event_kind)kind, ARRIVAL_EVENT, "conversation-1");
	}
	for (size_t i = 0; i < sizeof arrivals / sizeof *arrivals; i++) {
		snprintf(name, sizeof name, "started-%zu", i);
		try_event(scene, EVENT_START, arrivals[i], name);
		try_event(scene, EVENT_START, arrivals[i], "conversation-2");
	}
}

/* Of the client that is the turn's session, of a child, and of one that is neither. */
static void
nor_does_one_in_a_turn(void **state)
{
	struct scene *scene = *state;
	json_t *begun = prepare(scene, "turn begin", "{\"session\":\"%s\"}", scene->session);

	snprintf(scene->turn, sizeof scene->turn, "%s", json_text(begun, "turn", ""));
	json_decref(begun);
	for (int kind = 0; kind < EVENT_METRICS; kind++) {
		try_event(scene, (enum event_kind)kind, kind == EVENT_START ? ARRIVAL_STARTUP : ARRIVAL_EVENT, "inside");
		try_event(scene, (enum event_kind)kind, kind == EVENT_START ? ARRIVAL_CLEAR : ARRIVAL_EVENT, "beside");
		try_event(scene, (enum event_kind)kind, kind == EVENT_START ? ARRIVAL_RESUME : ARRIVAL_EVENT, "conversation-1");
	}
}

/* R105 */
static void
nor_does_one_that_is_kept_in_a_queue(void **state)
{
	static const char keep_all[] = "[observe]\ntools = *\nprompts = yes\nuntil_bound = memory\n";
	struct scene *scene = *state;

	assert_int_equal(context_open(&scene->context, false, &scene->why), OK);
	assert_int_equal(config_add(&scene->context.engine.config, "test", keep_all, &scene->why), OK);
	for (int i = 0; i < 8; i++)
		try_event(scene, i % 2 == 0 ? EVENT_PROMPT : EVENT_TOOL_DONE, ARRIVAL_EVENT, i < 2 ? "new" : "conversation-1");
	json_decref(prepare(scene, "queue list", "{\"queue\":\"observations\"}"));
	json_decref(prepare(scene, "queue list", "{\"queue\":\"prompts\"}"));
	nor_does_one_in_a_turn(state);
}

static void
a_status_line_and_a_dropped_event_cost_as_little(void **state)
{
	struct scene *scene = *state;
	struct session session = {0};
	struct pressure pressure;
	size_t peers;

	assert_int_equal(context_open(&scene->context, false, &scene->why), OK);
	snprintf(session.id, sizeof session.id, "%s", scene->session);
	session.budget = 200000;
	most = 0;
	assert_int_equal(event_standing(&scene->context, &session, &pressure, &peers, &scene->why), OK);
	assert_int_equal(event_dropped(&scene->context, "claude", "not JSON", &scene->why), OK);
	assert_true(most <= TRIPS_OF_A_VERB);
	assert_int_equal(peers, 19);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

CONTRACT_TESTS(TEST(every_verb_of_the_table_is_tried_or_left_out_for_a_reason),
               TEST(no_rule_of_a_verb_waits_for_more_than_three_answers), TEST(finding_out_who_calls_costs_no_more),
               TEST(no_event_waits_for_more_than_four_answers), TEST(nor_does_one_in_a_turn),
               TEST(nor_does_one_that_is_kept_in_a_queue), TEST(a_status_line_and_a_dropped_event_cost_as_little))
