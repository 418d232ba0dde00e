/* Signatures are those of RFC 8032, and hold for what was signed alone. */
#include "lib/test.h"

#include "base/signature.h"

#include <string.h>

/* Its test 2: one byte. */
#define SEED "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
#define PUBLIC_KEY "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define SIGNATURE \
	"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"

static void
they_are_those_of_the_standard(void **state)
{
	char public_key[PUBLIC_KEY_SIZE], signature[SIGNATURE_SIZE];
	uint8_t seed[SEED_BYTES];

	assert_true(hex_read(SEED, seed, sizeof seed));
	signature_public(seed, public_key);
	assert_string_equal(public_key, PUBLIC_KEY);
	signature_make(seed, "\x72", 1, signature);
	assert_string_equal(signature, SIGNATURE);
}

static void
one_holds_for_its_bytes_and_its_key_alone(void **state)
{
	char other[SIGNATURE_SIZE] = SIGNATURE;

	assert_true(signature_holds(PUBLIC_KEY, SIGNATURE, "\x72", 1));
	assert_false(signature_holds(PUBLIC_KEY, SIGNATURE, "\x73", 1));
	assert_false(signature_holds(PUBLIC_KEY, SIGNATURE, "\x72\x72", 2));
	other[10] = other[10] == '0' ? '1' : '0';
	assert_false(signature_holds(PUBLIC_KEY, other, "\x72", 1));
	assert_false(signature_holds("00000000000000000000000000000000000000000000000000000000000000ff", SIGNATURE, "\x72", 1));
}

static void
what_is_no_key_or_signature_never_holds(void **state)
{
	static const char *const keys[] = {"", "zz", PUBLIC_KEY "00", "3D4017C3E843895A92B70AA74D1B7EBC9C982CCF2EC4968CC0CD55F12AF4660C"};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		assert_false(signature_holds(keys[i], SIGNATURE, "\x72", 1));
		assert_false(signature_holds(PUBLIC_KEY, keys[i], "\x72", 1));
	}
}

TESTS(cmocka_unit_test(they_are_those_of_the_standard), cmocka_unit_test(one_holds_for_its_bytes_and_its_key_alone),
      cmocka_unit_test(what_is_no_key_or_signature_never_holds))
