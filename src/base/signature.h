/* Ed25519 (RFC 8032): what only the holder of a seed can have said.  Keys and signatures are hexadecimal digits in lower case. */
#ifndef BASE_SIGNATURE_H
#define BASE_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEED_BYTES 32
#define PUBLIC_KEY_SIZE 65 /* with the NUL */
#define SIGNATURE_SIZE 129

void signature_public(const uint8_t seed[SEED_BYTES], char out[PUBLIC_KEY_SIZE]);
void signature_make(const uint8_t seed[SEED_BYTES], const void *data, size_t len, char out[SIGNATURE_SIZE]);

/* False also for what is no key, or no signature. */
bool signature_holds(const char *public_key, const char *signature, const void *data, size_t len);

/* As many bytes as hexadecimal digits in lower case, exactly.  False, with `out` in part written, when it isn't that. */
bool hex_read(const char *text, uint8_t *out, size_t len);
void hex_write(const uint8_t *data, size_t len, char *out);

#endif
