/*
 * A session's id is made, not a constant and not a date: a UUID of version 7, which sorts by its instant.
 *
 * Rows: R1
 */
#include "lib/test.h"

#include "base/id.h"

static void
an_id_is_a_uuid_of_version_7(void **state)
{
	/* the example of RFC 9562, appendix A.6 */
	static const uint8_t random[10] = {0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f};
	char id[ID_SIZE];

	id_make(id, 0x017f22e279b0, random);
	assert_string_equal(id, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void
version_and_variant_stand_whatever_the_randomness_is(void **state)
{
	uint8_t random[10];
	char id[ID_SIZE];

	memset(random, 0xff, sizeof random);
	id_make(id, (1LL << 48) - 1, random);
	assert_string_equal(id, "ffffffff-ffff-7fff-bfff-ffffffffffff");
	memset(random, 0, sizeof random);
	id_make(id, 0, random);
	assert_string_equal(id, "00000000-0000-7000-8000-000000000000");
}

static void
a_later_id_sorts_behind_an_earlier_one(void **state)
{
	static const uint8_t high[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255}, low[10] = {0};
	char before[ID_SIZE], after[ID_SIZE];

	for (int64_t ms = 1; ms < 1LL << 47; ms *= 2) {
		id_make(before, ms - 1, high);
		id_make(after, ms, low);
		assert_true(strcmp(before, after) < 0);
	}
}

static void
two_ids_of_one_millisecond_differ(void **state)
{
	uint8_t random[10] = {0};
	char first[ID_SIZE], other[ID_SIZE];

	id_make(first, 1760000000000, random);
	/* version and variant take 6 of the 80 bits; each of the others tells two ids apart */
	for (unsigned bit = 0; bit < 80; bit++) {
		memset(random, 0, sizeof random);
		random[bit / 8] = (uint8_t)(0x80 >> bit % 8);
		id_make(other, 1760000000000, random);
		assert_int_equal(strcmp(first, other) != 0, !(bit < 4 || bit == 16 || bit == 17));
	}
}

TESTS(cmocka_unit_test(an_id_is_a_uuid_of_version_7), cmocka_unit_test(version_and_variant_stand_whatever_the_randomness_is),
      cmocka_unit_test(a_later_id_sorts_behind_an_earlier_one), cmocka_unit_test(two_ids_of_one_millisecond_differ))
