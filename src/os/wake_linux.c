#include "os/wake.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WORDS_AT 1024 /* of the page */

_Static_assert(WORDS_AT + WAKE_WORDS * sizeof(uint32_t) <= GATE_PAGE_LEN, "the words fit into the page");

static _Atomic uint32_t *
word_at(const struct gate *gate, unsigned word)
{
	return (_Atomic uint32_t *)(void *)(gate->page + WORDS_AT) + word % WAKE_WORDS;
}

uint32_t
wake_count(const struct gate *gate, unsigned word)
{
	return *word_at(gate, word);
}

void
wake_raise(const struct gate *gate, unsigned word)
{
	++*word_at(gate, word);
	syscall(SYS_futex, word_at(gate, word), FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void
wake_sleep(const struct gate *gate, unsigned word, uint32_t count, int64_t limit_ms)
{
	const struct timespec limit = {.tv_sec = (time_t)(limit_ms / 1000), .tv_nsec = (long)(limit_ms % 1000) * 1000000};

	syscall(SYS_futex, word_at(gate, word), FUTEX_WAIT, count, &limit, NULL, 0);
}
