#include "base/digest.h"

#include <sodium/crypto_hash_sha256.h>

static void
write_digits(char out[DIGEST_SIZE], const unsigned char hash[crypto_hash_sha256_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < crypto_hash_sha256_BYTES; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	out[DIGEST_SIZE - 1] = '\0';
}

void
digest_make(char out[DIGEST_SIZE], const void *data, size_t len)
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, data, len);
	write_digits(out, hash);
}

void
digest_line(char plain[DIGEST_SIZE], char ended[DIGEST_SIZE], const void *data, size_t len)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state line, whole;

	crypto_hash_sha256_init(&line);
	crypto_hash_sha256_update(&line, data, len);
	whole = line;
	crypto_hash_sha256_final(&line, hash);
	write_digits(plain, hash);
	crypto_hash_sha256_update(&whole, (const unsigned char *)"\n", 1);
	crypto_hash_sha256_final(&whole, hash);
	write_digits(ended, hash);
}
