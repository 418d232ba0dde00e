/* UUID version 7 (RFC 9562): 48 bits of milliseconds, then 74 of randomness, as 36 characters. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdint.h>

#define ID_SIZE 37

/* `random` is 10 bytes from a good source.  Never fails. */
void id_make(char out[ID_SIZE], int64_t now_ms, const uint8_t random[10]);

#endif
