/*
 * The outcome of every operation in Stile.  0 is yes; a positive value is a lawful no (the store works, the answer is no);
 * a negative one is our failure or the caller's mistake.  What a no is about (who, since when, what to do) comes beside it.
 *
 * One table, status.c, gives each outcome its exit status, HTTP code, word and sentence.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

enum status {
	OK = 0,
	HELD,            /* somebody else has it */
	CONFLICT,        /* it is already something else */
	BUSY,            /* a wait ended without a decision; trying again is right */
	NO_SUCH,         /* there is no such thing */
	QUEUED,          /* a ticket was taken; it is to be waited for */
	USAGE = -1,      /* the command line or call is not one we know */
	BAD_INPUT = -2,  /* what was handed in is malformed, too long or of the wrong type */
	BAD_CONFIG = -3, /* a configuration file says something we can't follow */
	NOT_ALLOWED = -4,
	STORE_DOWN = -5, /* the store is away, foreign, newer, read-only, full or damaged */
	IO_FAILED = -6,  /* a file other than the store's could not be read or written */
	OUTCOME_UNKNOWN = -7,
	NO_MEMORY = -8,
};

struct status_row {
	enum status status;
	int exit;             /* of a command */
	int http;
	const char *word;     /* in {"error":...} */
	const char *sentence; /* when nothing more exact is known */
};

/* The row of `status`; never NULL: a value outside the table has the row of STORE_DOWN. */
const struct status_row *status_row(enum status status);

/* The n-th row, or NULL past the last: for documents made from the table. */
const struct status_row *status_nth(unsigned n);

#endif
