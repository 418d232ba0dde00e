/*
 * Stile: the coordination of coding agents on one codebase, as a library.
 *
 * Four calls.  Every operation of the `stile` command that is not bound to the command line is a verb here too, with the same
 * parameters and the same result document (see stile(1)): `stile metric add messages 1 --session S` is
 *
 *	stile_call(stile, "metric add", "{\"name\":\"messages\",\"amount\":1,\"session\":\"S\"}", &result)
 *
 * A struct stile belongs to one thread at a time; a process may have several.  It must not be used across fork().  Nothing here
 * prints, exits or changes the locale.  While a call waits for the write gate it uses the signal SIGRTMIN+5 of its thread.
 */
#ifndef STILE_H
#define STILE_H

#ifdef __cplusplus
extern "C" {
#endif

#define STILE_API __attribute__((visibility("default")))

struct stile;

/*
 * Outcomes.  0 is yes, positive a lawful no, negative a failure; the numbers are part of the interface.
 */
enum stile_status {
	STILE_OK = 0,
	STILE_HELD = 1,             /* somebody else has it */
	STILE_CONFLICT = 2,         /* it is already something else */
	STILE_BUSY = 3,             /* a wait ended; try again */
	STILE_NO_SUCH = 4,          /* there is no such thing */
	STILE_USAGE = -1,           /* no such verb or parameter */
	STILE_BAD_INPUT = -2,       /* malformed, too long, of the wrong type */
	STILE_BAD_CONFIG = -3,
	STILE_NOT_ALLOWED = -4,
	STILE_STORE_DOWN = -5,      /* away, foreign, newer, read-only, full or damaged */
	STILE_IO_FAILED = -6,
	STILE_OUTCOME_UNKNOWN = -7, /* it is not known whether it was done */
	STILE_NO_MEMORY = -8
};

/*
 * Opens the store of the codebase that `folder` lies in (STILE_STORE overrides).  It must have been made by `stile init`.
 * STILE_OK: *out is the caller's, to be closed by stile_close.  Else *out is NULL, and if `why` is not NULL it gets the reason
 * in one line, cut to `size` bytes with its NUL.  Waits at most 10 s.
 */
STILE_API enum stile_status stile_open(const char *folder, struct stile **out, char *why, unsigned long size);

/*
 * Runs one verb.  `parameters` is the text of a JSON object, NULL for none.  *result, if not NULL, gets the text of a JSON
 * object: the verb's document, or {"error":...,"hint":...} with what is known of a holder; it belongs to `stile` and holds until
 * the next call.  What was answered STILE_OK is on disk.  Waits at most 10 s for other writers; a verb with the parameter `wait` also
 * so long for what others hold (`turn begin`: 30 s where it isn't given).
 */
STILE_API enum stile_status stile_call(struct stile *stile, const char *verb, const char *parameters, const char **result);

/*
 * Waits, at most timeout_ms, until what the last call was queued for is decided.  No verb of this version queues, so there is
 * never anything to wait for: STILE_NO_SUCH, at once.
 */
STILE_API enum stile_status stile_wait(struct stile *stile, long timeout_ms, const char **result);

/* Ends it; NULL is fine. */
STILE_API void stile_close(struct stile *stile);

#ifdef __cplusplus
}
#endif

#endif
