/*
 * Many clients start at the same instant in the command of one turn, as an agent does that starts others.
 *
 * The anomaly refuted: A finds that no conversation has joined the turn's session yet; B finds the same; A's becomes the session's, and
 * then B's does.  The session goes on as B, whatever A says counts as said in a conversation that is over, and the answer that A gives
 * stands in a session that resumes B.
 *
 * Rows: R12 R40
 * Time limit: 300 s
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"

#include <stdio.h>
#include <unistd.h>

#define CLIENTS 12
#define ROUNDS 2

struct scene {
	struct codebase codebase;
	struct stile *stile;
	char one[ID_SIZE];
};

static void
open_scene(struct scene *scene)
{
	codebase_make(&scene->codebase);
	scene->stile = codebase_resident(&scene->codebase);
	resident_start(scene->stile, "one", scene->one);
}

static void
close_scene(struct scene *scene)
{
	stile_close(scene->stile);
	assert_true(codebase_is_whole(&scene->codebase));
	codebase_remove(&scene->codebase);
}

/* The clients' hooks, all at once in that turn; each must end well. */
static void
start_clients(struct scene *scene, const char *turn, int round)
{
	struct running running[CLIENTS];
	char env[60], payload[CLIENTS][200];
	struct said said;

	snprintf(env, sizeof env, "STILE_TURN=%s", turn);
	scene->codebase.env[0] = env;
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(payload[i], sizeof payload[i],
		         "{\"session_id\":\"c-%d-%d\",\"hook_event_name\":\"%s\",\"source\":\"startup\",\"prompt\":\"go\"}", round, i,
		         i % 3 == 2 ? "UserPromptSubmit" : "SessionStart");
		scene->codebase.input = payload[i];
		codebase_start(&scene->codebase, &running[i], (const char *const[]){"hook", "claude", NULL});
	}
	for (int i = 0; i < CLIENTS; i++) {
		codebase_finish(&running[i], &said);
		assert_int_equal(said.status, 0);
		assert_string_equal(said.err, "");
	}
}

static void
of_many_that_start_in_one_turn_one_is_its_session_and_all_others_are_its_children(void **state)
{
	struct scene scene = {0};
	json_t *begun;

	(void)state;
	open_scene(&scene);
	for (int round = 0; round < ROUNDS; round++) {
		assert_int_equal(resident_call(scene.stile, &begun, "turn begin", "{\"session\":\"%s\"}", scene.one), STILE_OK);
		start_clients(&scene, json_text(begun, "turn", ""), round);
		assert_int_equal(resident_call(scene.stile, NULL, "turn end", "{\"session\":\"%s\",\"fence\":%lld}", scene.one,
		                               (long long)json_whole(begun, "fence", 0)),
		                 STILE_OK);
		json_decref(begun);
		/* its own name, and one more in each turn */
		assert_int_equal(codebase_number(&scene.codebase,
		                                 "SELECT count(*) FROM binding WHERE project = $1 AND session = $2"
		                                 " AND slot = 'conversation'",
		                                 DB_TEXT("."), DB_TEXT(scene.one)),
		                 round + 2);
		assert_int_equal(codebase_number(&scene.codebase, "SELECT count(*) FROM session WHERE project = $1 AND parent = $2",
		                                 DB_TEXT("."), DB_TEXT(scene.one)),
		                 (round + 1) * (CLIENTS - 1));
	}
	assert_int_equal(codebase_number(&scene.codebase, "SELECT count(*) FROM session WHERE project = $1", DB_TEXT(".")),
	                 1 + ROUNDS * (CLIENTS - 1));
	close_scene(&scene);
}

CONTRACT_TESTS(cmocka_unit_test(of_many_that_start_in_one_turn_one_is_its_session_and_all_others_are_its_children))
