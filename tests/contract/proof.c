/*
 * What proves a holder to others, on every engine: where the store proves connections, one is proven while it is there and by
 * nobody else's lock; where it doesn't, there is no proof, and none is believed.
 *
 * Rows: N11
 */
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"
#include "db/db.h"

static bool
is_proven(struct contract *contract, const char *proof)
{
	bool proven;

	assert_int_equal(db_begin(contract->other, false, 1000, &contract->why), OK);
	proven = contract->other->ops->proven(contract->other, proof);
	db_rollback(contract->other);
	return proven;
}

static void
a_connection_is_proven_as_long_as_it_is_there(void **state)
{
	struct contract *contract = *state;
	char proof[WAKE_SIZE], again[WAKE_SIZE];

	assert_int_equal(contract->db->ops->prove(contract->db, proof, &contract->why), OK);
	assert_int_equal(contract->db->ops->prove(contract->db, again, &contract->why), OK);
	assert_string_equal(proof, again);
	assert_true(is_proven(contract, proof) == (proof[0] != '\0'));
	assert_true((proof[0] != '\0') == str_equal(contract->db->ops->name, "postgresql"));
	contract_close(contract->db);
	contract->db = contract_store(contract_now, contract->folder);
	/* the server takes the end of a connection in by itself, a moment later */
	for (int i = 0; i < 10000 && is_proven(contract, proof); i++)
		;
	assert_false(is_proven(contract, proof));
}

static void
a_lock_of_that_key_by_another_proves_nothing(void **state)
{
	struct contract *contract = *state;
	char proof[WAKE_SIZE], forged[WAKE_SIZE + 20];

	assert_int_equal(contract->db->ops->prove(contract->db, proof, &contract->why), OK);
	if (proof[0] == '\0')
		return;
	snprintf(forged, sizeof forged, "1%s", strchr(proof, '.'));
	assert_false(is_proven(contract, forged));
	assert_false(is_proven(contract, "x"));
	assert_false(is_proven(contract, ""));
}

CONTRACT_TESTS(CONTRACT_TEST(a_connection_is_proven_as_long_as_it_is_there),
               CONTRACT_TEST(a_lock_of_that_key_by_another_proves_nothing))
