/* Bytes from the kernel's generator. */
#ifndef OS_RANDOM_H
#define OS_RANDOM_H

#include "base/status.h"

#include <stddef.h>

/* Fills `out`.  IO_FAILED when the kernel has none to give; doesn't block once the system is up. */
enum status random_bytes(void *out, size_t len) MUST_CHECK;

#endif
