/* Memory of a short process: most of what it needs, in one request instead of a page fault for each page. */
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

#include <stddef.h>

/* Called first, once.  The first `len` bytes that malloc gives are there already; nothing is given back until the end. */
void memory_begin(size_t len);

#endif
