/* What bytes are known by: their SHA-256, as 64 hexadecimal digits in lower case. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>

#define DIGEST_SIZE 65 /* with the NUL */

void digest_make(char out[DIGEST_SIZE], const void *data, size_t len);

/* Of a line's bytes, without its newline and with it. */
void digest_line(char plain[DIGEST_SIZE], char ended[DIGEST_SIZE], const void *data, size_t len);

#endif
