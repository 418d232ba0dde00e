/* Recorded and made-up inputs: files of tests/fixtures, and those beside the source folder, which not every machine has. */
#ifndef LIB_FIXTURE_H
#define LIB_FIXTURE_H

#include <stddef.h>

/*
 * The whole of tests/fixtures/`name`, followed by a NUL; the caller frees it.  Tests run in the source folder: a fixture that
 * isn't there ends the program.
 */
char *fixture_read(const char *name, size_t *len);

/* The same for fixtures/`name` of the folder $STILE_SHARED, else ../shared; NULL if it isn't there. */
char *fixture_read_shared(const char *name, size_t *len);

#endif
