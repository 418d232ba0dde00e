/*
 * Wakes one waiting process: words in the gate's file, mapped by all, on which the kernel lets processes sleep.
 *
 * A waiter picks a word at random and has its number written where the one who frees finds it.  Nothing is left by one that is
 * killed, and nothing is to be cleaned.  Two may pick the same word: then both wake, and one sleeps again.
 */
#ifndef OS_WAKE_H
#define OS_WAKE_H

#include "os/gate.h"

#include <stdint.h>

#define WAKE_WORDS 768

/* How often word `word` (below WAKE_WORDS) has been raised.  It is read before the rows that say whether there is a need to wait. */
uint32_t wake_count(const struct gate *gate, unsigned word);

/* Raises it and wakes who sleeps there. */
void wake_raise(const struct gate *gate, unsigned word);

/* Sleeps until the word was raised more often than `count`, for `limit_ms` at most, or until a signal comes. */
void wake_sleep(const struct gate *gate, unsigned word, uint32_t count, int64_t limit_ms);

#endif
