/* What every fuzz target has: it begins as our program does, and ends where something does not hold. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/json.h"

int LLVMFuzzerInitialize(int *count, char ***words);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *count, char ***words)
{
	(void)count;
	(void)words;
	json_begin();
	return 0;
}

static void
must(bool holds)
{
	if (!holds)
		abort();
}

#endif
