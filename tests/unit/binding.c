/*
 * Ids that others give: the first writer wins and the loser is told; one value belongs to one session; a rebinding adds a
 * generation; nothing is keyed by one.  Which session a client's id means is in arrival.c.
 *
 * Rows: R12 R14 R15 R28 R29 R30
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/audit.h"
#include "core/binding.h"
#include "core/checkpoint.h"
#include "core/metric.h"

#define T BENCH_START_MS

struct scene {
	struct bench bench;
	char a[ID_SIZE]; /* two sessions, by the client's ids "conversation-a" and "conversation-b" */
	char b[ID_SIZE];
};

static void
start(struct bench *bench, const char *client_session, char id[ID_SIZE])
{
	struct session_start ask = {.client = "claude",
	                            .client_session = client_session,
	                            .client_version = "",
	                            .parent = "",
	                            .cwd = "",
	                            .worktree = "",
	                            .branch = ""};
	struct arrived arrived;

	assert_int_equal(binding_arrive(&bench->txn, &ask, ARRIVAL_STARTUP, &arrived, &bench->why), OK);
	snprintf(id, ID_SIZE, "%s", arrived.session.id);
	session_list_release(&arrived.others);
}

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	bench_init(&scene->bench);
	start(&scene->bench, "conversation-a", scene->a);
	start(&scene->bench, "conversation-b", scene->b);
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	bench_release(&scene->bench);
	free(scene);
	return 0;
}

static enum status
bind(struct scene *scene, const char *session, const char *slot, const char *value, struct binding *out)
{
	struct binding_ask ask = {.session = session, .slot = slot, .value = value};

	return binding_set(&scene->bench.txn, &ask, out, &scene->bench.why);
}

static enum status
rebind(struct scene *scene, const char *session, const char *slot, const char *value, struct binding *out)
{
	struct binding_ask ask = {.session = session, .slot = slot, .value = value, .rebind = true};

	return binding_set(&scene->bench.txn, &ask, out, &scene->bench.why);
}

static enum status
bind_distinct(struct scene *scene, const char *session, const char *slot, const char *value)
{
	struct binding_ask ask = {.session = session, .slot = slot, .value = value, .distinct = true};
	struct binding out;

	return binding_set(&scene->bench.txn, &ask, &out, &scene->bench.why);
}

/* The newest row of the trail of that kind: "session|actor|slot|before|after". */
static void
assert_audited(struct scene *scene, const char *kind, const char *line)
{
	char *found = store_text(scene->bench.db,
	                         "SELECT session || '|' || actor || '|' || subject || '|' || before || '|' || after FROM audit"
	                         " WHERE kind = $1 ORDER BY seq DESC LIMIT 1",
	                         DB_TEXT(kind));

	assert_string_equal(found == NULL ? "(none)" : found, line);
	free(found);
}

/* Rows: R12 */
static void
a_session_is_there_and_usable_before_any_late_id(void **state)
{
	struct scene *scene = *state;
	struct binding out;
	struct session session;

	assert_int_equal(binding_get(&scene->bench.txn, scene->a, "memory", &out, &scene->bench.why), NO_SUCH);
	assert_non_null(strstr(scene->bench.why.data, "is not bound yet"));
	assert_int_equal(session_load(&scene->bench.txn, scene->a, &session, NULL), OK);
	metric_add(&scene->bench.txn, scene->a, "messages", 1);
	assert_int_equal(bind(scene, scene->a, "memory", "m1", &out), OK);
	assert_int_equal(store_number(scene->bench.db, "SELECT value FROM metric WHERE session = $1", DB_TEXT(scene->a)), 1);
}

/* Rows: R28 */
static void
the_first_writer_wins_and_the_loser_is_told_the_winners_value(void **state)
{
	struct scene *scene = *state;
	struct binding out = {0};
	char line[200];

	assert_int_equal(bind(scene, scene->a, "memory", "winner", &out), OK);
	assert_string_equal(out.value, "winner");
	assert_int_equal(out.generation, 1);
	assert_int_equal(out.bound_ms, T);
	bench_at(&scene->bench, T + 50);
	out = (struct binding){0};
	assert_int_equal(bind(scene, scene->a, "memory", "loser", &out), CONFLICT);
	assert_string_equal(out.value, "winner");
	assert_int_equal(out.generation, 1);
	assert_int_equal(out.bound_ms, T);
	assert_string_equal(scene->bench.why.data, "slot memory is bound to winner since generation 1; use it, or --rebind");
	/* the refusal stays, though it is a no */
	assert_true(scene->bench.txn.keep);
	snprintf(line, sizeof line, "%s|uid:7|memory|winner|loser", scene->a);
	assert_audited(scene, "binding.refused", line);
}

static void
the_same_value_again_is_no_new_generation(void **state)
{
	struct scene *scene = *state;
	struct binding out;
	int64_t audited;

	assert_int_equal(bind(scene, scene->a, "memory", "m", &out), OK);
	audited = store_number(scene->bench.db, "SELECT count(*) FROM audit WHERE project = $1", DB_TEXT(BENCH_PROJECT));
	bench_at(&scene->bench, T + 50);
	assert_int_equal(bind(scene, scene->a, "memory", "m", &out), OK);
	assert_int_equal(rebind(scene, scene->a, "memory", "m", &out), OK);
	assert_int_equal(out.generation, 1);
	assert_int_equal(out.bound_ms, T);
	assert_int_equal(store_number(scene->bench.db, "SELECT count(*) FROM audit WHERE project = $1", DB_TEXT(BENCH_PROJECT)),
	                 audited);
}

/* Rows: R15 */
static void
a_value_of_one_session_is_refused_to_every_other(void **state)
{
	struct scene *scene = *state;
	struct binding out;

	assert_int_equal(bind(scene, scene->a, "memory", "m", &out), OK);
	assert_int_equal(bind(scene, scene->b, "memory", "m", &out), CONFLICT);
	assert_non_null(strstr(scene->bench.why.data, scene->a));
	assert_int_equal(out.generation, 0);
	assert_int_equal(rebind(scene, scene->b, "memory", "m", &out), CONFLICT);
	/* for good, also when A has gone on to another */
	assert_int_equal(rebind(scene, scene->a, "memory", "m2", &out), OK);
	assert_int_equal(bind(scene, scene->b, "memory", "m", &out), CONFLICT);
	assert_int_equal(binding_get(&scene->bench.txn, scene->b, "memory", &out, NULL), NO_SUCH);
	/* in another slot it is another id */
	assert_int_equal(bind(scene, scene->b, "resume", "m", &out), OK);
	assert_int_equal(bind(scene, scene->b, SLOT_CONVERSATION, "conversation-a", &out), CONFLICT);
}

static void
a_session_may_come_back_to_a_value_of_its_own(void **state)
{
	struct scene *scene = *state;
	struct binding out;

	assert_int_equal(bind(scene, scene->a, "resume", "one", &out), OK);
	assert_int_equal(rebind(scene, scene->a, "resume", "two", &out), OK);
	assert_int_equal(rebind(scene, scene->a, "resume", "one", &out), OK);
	assert_int_equal(out.generation, 3);
	assert_string_equal(out.value, "one");
}

/* Rows: R14.  claude-mem #586: notes written into the user's own transcript. */
static void
a_distinct_slot_never_takes_a_clients_own_id(void **state)
{
	struct scene *scene = *state;
	struct binding out;

	assert_int_equal(bind_distinct(scene, scene->a, "memory", "conversation-a"), CONFLICT);
	assert_non_null(strstr(scene->bench.why.data, "is a client's own id"));
	/* declared once it holds for everybody, whoever's id it is */
	assert_int_equal(bind(scene, scene->a, "memory", "conversation-b", &out), CONFLICT);
	assert_int_equal(rebind(scene, scene->b, "memory", "conversation-b", &out), CONFLICT);
	assert_int_equal(binding_get(&scene->bench.txn, scene->a, "memory", &out, NULL), NO_SUCH);
	assert_int_equal(bind(scene, scene->a, "memory", "m", &out), OK);
	/* a slot that nobody declared takes it */
	assert_int_equal(bind(scene, scene->a, "resume", "conversation-a", &out), OK);
}

static void
what_was_bound_before_the_slot_was_declared_is_not_taken_again(void **state)
{
	struct scene *scene = *state;
	struct binding out;

	assert_int_equal(bind(scene, scene->a, "memory", "conversation-a", &out), OK);
	assert_int_equal(bind_distinct(scene, scene->a, "memory", "conversation-a"), CONFLICT);
	assert_int_equal(rebind(scene, scene->a, "memory", "m", &out), OK);
	assert_int_equal(rebind(scene, scene->a, "memory", "conversation-a", &out), CONFLICT);
	assert_string_equal(out.value, "m");
}

/* Rows: R30 */
static void
a_binding_is_read_back_and_recorded_with_the_old_value_and_the_new(void **state)
{
	struct scene *scene = *state;
	struct binding out, back;
	char line[200];

	scene->bench.txn.actor = "somebody";
	assert_int_equal(bind(scene, scene->a, "memory", "one", &out), OK);
	snprintf(line, sizeof line, "%s|somebody|memory||one", scene->a);
	assert_audited(scene, "binding.set", line);
	assert_int_equal(rebind(scene, scene->a, "memory", "two", &out), OK);
	snprintf(line, sizeof line, "%s|somebody|memory|one|two", scene->a);
	assert_audited(scene, "binding.set", line);
	assert_int_equal(binding_get(&scene->bench.txn, scene->a, "memory", &back, NULL), OK);
	assert_string_equal(back.value, out.value);
	assert_int_equal(back.generation, 2);
	assert_int_equal(bind(scene, scene->b, "memory", "one", &out), CONFLICT);
	snprintf(line, sizeof line, "%s|somebody|memory||one", scene->b);
	assert_audited(scene, "binding.refused", line);
}

static void
a_rebound_conversation_is_the_sessions_own_from_then_on(void **state)
{
	struct scene *scene = *state;
	struct session session;
	struct binding out;
	char id[ID_SIZE];

	assert_int_equal(rebind(scene, scene->a, SLOT_CONVERSATION, "conversation-c", &out), OK);
	assert_int_equal(out.generation, 2);
	assert_int_equal(session_load(&scene->bench.txn, scene->a, &session, NULL), OK);
	assert_string_equal(session.client_session, "conversation-c");
	/* both lead to it */
	start(&scene->bench, "conversation-c", id);
	assert_string_equal(id, scene->a);
	start(&scene->bench, "conversation-a", id);
	assert_string_equal(id, scene->a);
}

static void
nobodys_binding_is_told_so(void **state)
{
	struct scene *scene = *state;
	struct binding out;

	assert_int_equal(bind(scene, "nobody", "memory", "m", &out), NO_SUCH);
	assert_int_equal(store_number(scene->bench.db, "SELECT count(*) FROM binding WHERE slot = $1", DB_TEXT("memory")), 0);
	assert_false(scene->bench.txn.keep);
}

static char *
all_that_hangs_on(struct scene *scene, const char *session)
{
	return store_text(
		scene->bench.db,
		"SELECT (SELECT group_concat(name || '=' || value || '-' || base) FROM metric m WHERE m.session = s.session)"
		" || '|' || (SELECT group_concat(generation || ':' || percent || ':' || tokens || ':' || fired_ms)"
		" FROM checkpoint c WHERE c.session = s.session) || '|' || (SELECT count(*) FROM audit a"
		" WHERE a.session = s.session AND kind NOT LIKE 'binding.%') || '|' || (SELECT count(*) FROM metric_recent r"
		" WHERE r.session = s.session) || '|' || state || generation || events || budget || started_ms"
		" FROM session s WHERE s.session = $1",
		DB_TEXT(session));
}

/*
 * claude-mem #2283, #3681, #3725: clearing the id in the parent's row went down into its children's.  Here nothing hangs on an
 * id that others gave.
 *
 * Rows: R29
 */
static void
a_hundred_rebindings_move_nothing_that_hangs_on_the_session(void **state)
{
	struct scene *scene = *state;
	struct checkpoint_list fired, told;
	struct session session;
	struct binding out;
	char value[40], *before, *after;
	json_t *list = json_array();

	metric_add(&scene->bench.txn, scene->a, "messages", 5);
	metric_add(&scene->bench.txn, scene->a, "errors", 2);
	metric_set(&scene->bench.txn, scene->a, "context_tokens", 110000);
	assert_int_equal(session_load(&scene->bench.txn, scene->a, &session, NULL), OK);
	assert_int_equal(checkpoint_report(&scene->bench.txn, &session, false, &fired, &told, NULL), OK);
	assert_int_equal(fired.count, 2);
	before = all_that_hangs_on(scene, scene->a);
	for (int i = 1; i <= 100; i++) {
		bench_at(&scene->bench, T + i);
		snprintf(value, sizeof value, "value-%d", i);
		assert_int_equal(rebind(scene, scene->a, "memory", value, &out), OK);
		assert_int_equal(out.generation, i);
		snprintf(value, sizeof value, "conversation-%d", i);
		assert_int_equal(rebind(scene, scene->a, SLOT_CONVERSATION, value, &out), OK);
	}
	after = all_that_hangs_on(scene, scene->a);
	assert_string_equal(after, before);
	assert_int_equal(binding_list(&scene->bench.txn, scene->a, list, NULL), OK);
	assert_int_equal(json_array_size(list), 201);
	assert_int_equal(store_number(scene->bench.db, "SELECT count(*) FROM binding WHERE value IS NULL OR session <> $1",
	                              DB_TEXT(scene->a)),
	                 1);
	json_decref(list);
	free(before);
	free(after);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(TEST(a_session_is_there_and_usable_before_any_late_id),
      TEST(the_first_writer_wins_and_the_loser_is_told_the_winners_value), TEST(the_same_value_again_is_no_new_generation),
      TEST(a_value_of_one_session_is_refused_to_every_other), TEST(a_session_may_come_back_to_a_value_of_its_own),
      TEST(a_distinct_slot_never_takes_a_clients_own_id), TEST(what_was_bound_before_the_slot_was_declared_is_not_taken_again),
      TEST(a_binding_is_read_back_and_recorded_with_the_old_value_and_the_new),
      TEST(a_rebound_conversation_is_the_sessions_own_from_then_on), TEST(nobodys_binding_is_told_so),
      TEST(a_hundred_rebindings_move_nothing_that_hangs_on_the_session))
