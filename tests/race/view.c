/*
 * Eight sessions' commands at once on one folder, each in a view of its own.
 *
 * The anomalies refuted:
 *
 *   a state overwritten   A reads session-state.json and has its numbers; B writes its own there; A reads B's, or writes over them
 *                         and B's are gone (Tractatus: last writer wins).
 *   a new file lost       A and B both make a file of one name, each in its view; A's is brought to the folder, then B's over it.
 *   a new folder lost     A and B both make a folder of one name; B's can't be brought since A's is there, and goes with all in it.
 *   another's left taken  A looks for what dead views left while B's is being made, and takes B's for one.
 *
 * Rows: R3 R122
 */
#include "lib/crowd.h"
#include "lib/test.h"
#include "lib/viewing.h"

#include "base/str.h"

#define SESSIONS 8
#define ROUNDS 4

/* Writes its own state again and again while the others do, and looks that nobody else's comes in. */
static const char script[] =
	"for i in 1 2 3 4 5 6 7 8 9; do"
	" test \"$(cat seen/one)\" = \"$1\" || exit 31;"
	" printf %s \"$1\" >seen/one; printf %s \"$1\" >seen/tmp; mv seen/tmp seen/one; done;"
	" printf %s \"$1-end\" >seen/one; printf %s \"$1\" >seen/two;"
	" printf %s \"$1\" >\"seen/of-$1\"; printf %s \"$1\" >seen/same;"
	" mkdir -p seen/shared/deep && printf %s \"$1\" >\"seen/shared/deep/of-$1\"; echo \"$1\" >>seen/known";

static int
views_its_own(const struct member *member)
{
	const struct viewing *shared = member->arg;
	char label[20], wanted[200];

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct viewing *viewing;
		bool as_it_should;

		snprintf(label, sizeof label, "%u-%u", member->index, round);
		snprintf(wanted, sizeof wanted, "%s one %s>%s-end\n%s two ->%s\n", label, label, label, label, label);
		viewing = viewing_other(shared, label, label);
		if (!crowd_together(member))
			return 1;
		viewing_clear(viewing);
		if (viewing->status != OK || viewing->taken.len > 0)
			return 2;
		viewing_run(viewing, (char *[]){"sh", "-c", (char *)(uintptr_t)script, "sh", label, NULL});
		as_it_should = viewing->status == OK && viewing->exit == 0 && str_equal(viewing->taken.data, wanted);
		if (!as_it_should)
			fprintf(stderr, "view %s: status %d, exit %d: %s %s\n", label, viewing->status, viewing->exit, viewing->why.data,
			        viewing->taken.data);
		viewing_free_other(viewing);
		if (!as_it_should)
			return 3;
	}
	return 0;
}

static bool
all_arrived(const struct viewing *viewing)
{
	char name[60], text[20];

	for (unsigned i = 0; i < SESSIONS * ROUNDS; i++) {
		snprintf(text, sizeof text, "%u-%u", i % SESSIONS, i / SESSIONS);
		snprintf(name, sizeof name, "of-%s", text);
		if (!str_equal(viewing_text(viewing, name), text))
			return false;
		snprintf(name, sizeof name, "shared/deep/of-%s", text);
		if (!str_equal(viewing_text(viewing, name), text))
			return false;
	}
	return true;
}

static int
run_race(const char *who)
{
	struct viewing *viewing = viewing_new("nobody's");
	bool good = crowd_run(SESSIONS, views_its_own, viewing), arrived = all_arrived(viewing);
	/* `same` is there once, and again beside it for each that came in the same round; in later rounds it is known and replaced */
	unsigned same = viewing_count(viewing, "same");
	bool untouched = str_equal(viewing_text(viewing, "one"), "everybody's");
	unsigned left = viewing_left(viewing);

	if (!good || !arrived || same < SESSIONS || !untouched || left > 0)
		fprintf(stderr, "%s: good %d, arrived %d, same %u, untouched %d, left %u\n", who, good, arrived, same, untouched, left);
	viewing_free(viewing);
	return good && arrived && same >= SESSIONS && untouched && left == 0 ? 0 : 1;
}

static void
eight_at_once_each_see_their_own_and_nothing_is_lost(void **state)
{
	assert_int_equal(viewing_as_both(run_race), 0);
}

TESTS(cmocka_unit_test(eight_at_once_each_see_their_own_and_nothing_is_lost))
