#include "os/random.h"

#include <errno.h>
#include <sys/random.h>

enum status
random_bytes(void *out, size_t len)
{
	char *next = out;

	while (len > 0) {
		ssize_t got = getrandom(next, len, 0);

		if (got < 0 && errno != EINTR)
			return IO_FAILED;
		if (got > 0) {
			next += got;
			len -= (size_t)got;
		}
	}
	return OK;
}
