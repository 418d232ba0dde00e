/*
 * The digest is SHA-256, as everybody's tools print it.
 *
 * Rows: R110
 */
#include "lib/test.h"

#include "base/digest.h"

/* The examples of FIPS 180-2. */
static void
it_is_what_the_standard_says(void **state)
{
	char digest[DIGEST_SIZE];

	digest_make(digest, "", 0);
	assert_string_equal(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digest_make(digest, "abc", 3);
	assert_string_equal(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void
every_byte_counts_a_nul_too(void **state)
{
	char one[DIGEST_SIZE], other[DIGEST_SIZE];

	digest_make(one, "a\0b", 3);
	digest_make(other, "a\0c", 3);
	assert_string_not_equal(one, other);
}

TESTS(cmocka_unit_test(it_is_what_the_standard_says), cmocka_unit_test(every_byte_counts_a_nul_too))
