#include "base/id.h"

void
id_make(char out[ID_SIZE], int64_t now_ms, const uint8_t random[10])
{
	static const char digits[] = "0123456789abcdef";
	uint64_t ms = (uint64_t)now_ms;
	uint8_t bytes[16];
	char *c = out;

	for (int i = 0; i < 6; i++)
		bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
	memcpy(bytes + 6, random, 10);
	bytes[6] = (uint8_t)(0x70 | (bytes[6] & 0x0f));
	bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*c++ = '-';
		*c++ = digits[bytes[i] >> 4];
		*c++ = digits[bytes[i] & 15];
	}
	*c = '\0';
}
