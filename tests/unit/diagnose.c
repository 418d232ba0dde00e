/*
 * What diagnose says of what it found: numbers in, a verdict out.  R123, R126.
 */
#include "diagnose/diagnose.h"
#include "lib/test.h"

static enum verdict
of(int64_t wanted, int64_t kept)
{
	struct finding finding = {.wanted = wanted, .kept = kept};

	return diagnose_verdict(&finding);
}

/* R123 */
static void
all_that_was_written_is_safe_and_less_is_a_loss(void **state)
{
	assert_int_equal(of(4, 4), VERDICT_SAFE);
	assert_int_equal(of(4, 3), VERDICT_LAST_WRITER_WINS);
	assert_int_equal(of(4, 0), VERDICT_LAST_WRITER_WINS);
	assert_int_equal(of(64, 63), VERDICT_LAST_WRITER_WINS);
}

/* R123 */
static void
more_than_was_written_is_corrupt(void **state)
{
	struct finding strange = {.wanted = 4, .kept = 4, .strange = true};

	assert_int_equal(of(4, 5), VERDICT_CORRUPT);
	assert_int_equal(diagnose_verdict(&strange), VERDICT_CORRUPT);
}

/* R123 */
static void
what_can_not_be_read_is_torn(void **state)
{
	struct finding finding = {.wanted = 4, .kept = 4, .unreadable = true};

	assert_int_equal(diagnose_verdict(&finding), VERDICT_TORN);
}

/* R123 */
static void
a_race_that_did_not_take_place_shows_nothing(void **state)
{
	struct finding finding = {.wanted = 4, .kept = 4, .unfinished = true};

	assert_int_equal(diagnose_verdict(&finding), VERDICT_INCONCLUSIVE);
	finding.unreadable = finding.strange = true;
	assert_int_equal(diagnose_verdict(&finding), VERDICT_INCONCLUSIVE);
	assert_int_equal(of(0, 0), VERDICT_INCONCLUSIVE);
}

static bool
proves(enum verdict unguarded, enum verdict guarded, struct buf *why)
{
	struct diagnosis rows[4] = {{0}};

	for (int i = 0; i < 4; i++) {
		rows[i].target = diagnose_nth(0);
		rows[i].guarded = i % 2 == 1;
		rows[i].verdict = rows[i].guarded ? VERDICT_SAFE : VERDICT_LAST_WRITER_WINS;
	}
	rows[2].verdict = unguarded;
	rows[3].verdict = guarded;
	return diagnose_proves(rows, 4, why);
}

/* R123 */
static void
it_is_proven_only_if_every_unguarded_row_lost_and_every_guarded_one_is_safe(void **state)
{
	struct buf why;

	buf_init(&why, WHY_MAX);
	for (int unguarded = VERDICT_SAFE; unguarded <= VERDICT_INCONCLUSIVE; unguarded++)
		for (int guarded = VERDICT_SAFE; guarded <= VERDICT_INCONCLUSIVE; guarded++) {
			bool lost = unguarded != VERDICT_SAFE && unguarded != VERDICT_INCONCLUSIVE;

			assert_int_equal(proves((enum verdict)unguarded, (enum verdict)guarded, &why), lost && guarded == VERDICT_SAFE);
		}
	assert_false(proves(VERDICT_TORN, VERDICT_TORN, &why));
	assert_string_equal(why.data, "session-state, guarded: TORN, where SAFE was to be shown");
	assert_false(proves(VERDICT_SAFE, VERDICT_SAFE, &why));
	assert_string_equal(why.data, "session-state, unguarded: SAFE, where a loss was to be shown");
	buf_release(&why);
}

static void
a_target_is_found_with_either_stroke(void **state)
{
	assert_ptr_equal(diagnose_find("lightrag_health"), diagnose_find("lightrag-health"));
	assert_non_null(diagnose_find("session_id"));
	assert_null(diagnose_find("session"));
	assert_null(diagnose_find(""));
}

static bool
is_listed(const char *id)
{
	const struct resource *one;

	for (size_t i = 0; (one = diagnose_resource(i)) != NULL; i++)
		if (str_equal(one->id, id))
			return true;
	return false;
}

/* R126 */
static void
the_inventory_has_every_resource_of_the_sweep_with_a_state_and_a_reason(void **state)
{
	const struct resource *one;
	char id[20];

	for (size_t i = 0; (one = diagnose_resource(i)) != NULL; i++) {
		assert_true(str_equal(one->state, "applied") || str_equal(one->state, "verified") || str_equal(one->state, "deferred"));
		assert_true(strlen(one->reason) > 10);
		if (one->target[0] != '\0')
			assert_non_null(diagnose_find(one->target));
	}
	for (int i = 1; i <= 13; i++) {
		snprintf(id, sizeof id, "ALAI P1-%d", i);
		assert_true(is_listed(id));
	}
	for (int i = 1; i <= 8; i++) {
		snprintf(id, sizeof id, "ALAI P2-%d", i);
		assert_true(is_listed(id));
	}
}

/* R126 */
static void
every_target_shows_a_resource_of_the_inventory(void **state)
{
	const struct target *target;
	const struct resource *one;

	for (size_t i = 0; (target = diagnose_nth(i)) != NULL; i++) {
		size_t j = 0;

		while ((one = diagnose_resource(j)) != NULL && strcmp(one->target, target->name) != 0)
			j++;
		assert_non_null(one);
		assert_string_equal(one->state, "applied");
	}
}

TESTS(cmocka_unit_test(all_that_was_written_is_safe_and_less_is_a_loss), cmocka_unit_test(more_than_was_written_is_corrupt),
      cmocka_unit_test(what_can_not_be_read_is_torn), cmocka_unit_test(a_race_that_did_not_take_place_shows_nothing),
      cmocka_unit_test(it_is_proven_only_if_every_unguarded_row_lost_and_every_guarded_one_is_safe),
      cmocka_unit_test(a_target_is_found_with_either_stroke),
      cmocka_unit_test(the_inventory_has_every_resource_of_the_sweep_with_a_state_and_a_reason),
      cmocka_unit_test(every_target_shows_a_resource_of_the_inventory))
