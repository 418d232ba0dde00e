"""A program linked once more from the objects of its build, with an allocator that can fail before the real one."""
import os
import shlex
import subprocess

import stile_test

BUILD = os.path.dirname(stile_test.STILE)

# STILE_FAULT_MEMORY=N: the N-th allocation fails; N-: so do all after it.
STARVING = r"""
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

void *REAL(malloc)(size_t);
void *REAL(calloc)(size_t, size_t);
void *REAL(realloc)(void *, size_t);

static long first, last, seen;

__attribute__((constructor)) static void
start(void)
{
	const char *wanted = getenv("STILE_FAULT_MEMORY");
	char *end;

	if (wanted == NULL)
		return;
	first = strtol(wanted, &end, 10);
	last = *end == '-' ? 1L << 60 : first;
}

static int
fails(void)
{
	if (first == 0 || ++seen < first || seen > last)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *
malloc(size_t size)
{
	return fails() ? NULL : REAL(malloc)(size);
}

void *
calloc(size_t count, size_t size)
{
	return fails() ? NULL : REAL(calloc)(count, size);
}

void *
realloc(void *old, size_t size)
{
	return fails() ? NULL : REAL(realloc)(old, size);
}
"""

CHECKED = ["-fsanitize=address,undefined", "-DREAL(name)=__interceptor_##name"]
PLAIN = ["-DREAL(name)=__libc_##name"]


def link(folder, *main):
    """`main`, objects or sources, with the library and the allocator -> the program's path."""
    source, program = os.path.join(folder, "starving.c"), os.path.join(folder, "program")
    with open(source, "w", encoding="utf-8") as file:
        file.write(STARVING)
    libraries = subprocess.run(["pkg-config", "--libs", "sqlite3", "jansson", "inih", "libsodium"], check=True, capture_output=True, text=True).stdout
    done = subprocess.run(
        [os.environ.get("CC", "cc"), "-O1", "-no-pie", *(CHECKED if stile_test.FAULTS else PLAIN),
         "-I" + os.path.join(stile_test.TOP, "include"), "-o", program, source, *main, os.path.join(BUILD, "libstile.a"), *shlex.split(libraries), "-lm", "-lpthread"],
        capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError("it can't be linked anew:\n" + done.stderr)
    return program
