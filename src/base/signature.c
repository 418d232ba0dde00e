#include "base/signature.h"

#include <sodium/crypto_sign_ed25519.h>
#include <sodium/utils.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

bool
hex_read(const char *text, uint8_t *out, size_t len)
{
	if (strlen(text) != 2 * len || strspn(text, digits) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 | (strchr(digits, text[2 * i + 1]) - digits));
	return true;
}

void
hex_write(const uint8_t *data, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * len] = '\0';
}

void
signature_public(const uint8_t seed[SEED_BYTES], char out[PUBLIC_KEY_SIZE])
{
	unsigned char public_key[crypto_sign_ed25519_PUBLICKEYBYTES], secret[crypto_sign_ed25519_SECRETKEYBYTES];

	crypto_sign_ed25519_seed_keypair(public_key, secret, seed);
	sodium_memzero(secret, sizeof secret);
	hex_write(public_key, sizeof public_key, out);
}

void
signature_make(const uint8_t seed[SEED_BYTES], const void *data, size_t len, char out[SIGNATURE_SIZE])
{
	unsigned char public_key[crypto_sign_ed25519_PUBLICKEYBYTES], secret[crypto_sign_ed25519_SECRETKEYBYTES];
	unsigned char signature[crypto_sign_ed25519_BYTES];

	crypto_sign_ed25519_seed_keypair(public_key, secret, seed);
	crypto_sign_ed25519_detached(signature, NULL, data, len, secret);
	sodium_memzero(secret, sizeof secret);
	hex_write(signature, sizeof signature, out);
}

bool
signature_holds(const char *public_key, const char *signature, const void *data, size_t len)
{
	unsigned char key[crypto_sign_ed25519_PUBLICKEYBYTES], bytes[crypto_sign_ed25519_BYTES];

	return hex_read(public_key, key, sizeof key) && hex_read(signature, bytes, sizeof bytes) &&
	       crypto_sign_ed25519_verify_detached(bytes, data, len, key) == 0;
}
