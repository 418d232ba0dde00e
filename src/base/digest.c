#include "base/digest.h"

#include <sodium/crypto_hash_sha256.h>

void
digest_make(char out[DIGEST_SIZE], const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, data, len);
	for (size_t i = 0; i < sizeof hash; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	out[DIGEST_SIZE - 1] = '\0';
}
