#include "os/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>

#define PAGE ((uintptr_t)4096)
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older ones refuse it, and pages come one by one */
#endif

void
memory_begin(size_t len)
{
	uintptr_t from;
	char *data;

	/* large blocks from the same heap, so that one buffer after another has the same pages */
	mallopt(M_MMAP_THRESHOLD, 8 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	data = malloc(len);
	if (data == NULL)
		return;
	from = ((uintptr_t)data + PAGE - 1) & ~(PAGE - 1);
	(void)madvise((void *)from, ((uintptr_t)data + len - from) & ~(PAGE - 1), MADV_POPULATE_WRITE);
	free(data);
}
