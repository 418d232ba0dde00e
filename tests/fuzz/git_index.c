/*
 * Any bytes as git's index: nothing is read past their end, and a path that they don't hold is never found.
 */
#include "os/git_index.h"

#include "fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size == 0 ? 1 : size);

	must(copy != NULL);
	memcpy(copy, data, size);
	for (size_t id_size = GIT_SHA1_SIZE; id_size <= GIT_SHA256_SIZE; id_size += GIT_SHA256_SIZE - GIT_SHA1_SIZE) {
		bool found = git_index_has(copy, size, id_size, "qz");

		must(!found || (memchr(data, 'q', size) != NULL && memchr(data, 'z', size) != NULL));
	}
	free(copy);
	return 0;
}
