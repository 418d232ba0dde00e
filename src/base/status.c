#include "base/status.h"

#include <stddef.h>

static const struct status_row rows[] = {
    {STORE_DOWN, 69, 503, "store", "the store can't be used"},
    {OK, 0, 200, "ok", "done"},
    {HELD, 1, 409, "held", "somebody else has it"},
    {CONFLICT, 1, 409, "conflict", "it is already something else"},
    {USAGE, 64, 400, "usage", "not a call we know; see --help"},
    {BAD_INPUT, 65, 400, "bad_input", "the input can't be used"},
    {NO_SUCH, 66, 404, "no_such", "there is no such thing"},
    {NO_MEMORY, 69, 503, "memory", "out of memory"},
    {IO_FAILED, 74, 500, "io", "a file could not be read or written"},
    {QUEUED, 75, 202, "queued", "it is waited for"},
    {BUSY, 75, 429, "busy", "a wait ended; try again"},
    {OUTCOME_UNKNOWN, 76, 500, "unknown", "it is not known whether it was done"},
    {NOT_ALLOWED, 77, 403, "not_allowed", "not allowed"},
    {BAD_CONFIG, 78, 500, "config", "the configuration can't be used"},
};

const struct status_row *
status_row(enum status status)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].status == status)
			return &rows[i];
	return &rows[0];
}

const struct status_row *
status_nth(unsigned n)
{
	return n < sizeof rows / sizeof *rows ? &rows[n] : NULL;
}
