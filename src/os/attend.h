/*
 * Being the parent of one command that stands in our place: what is sent to us reaches it, it stops and goes on with us, and what
 * it leaves running can be waited for.  For a process of one thread that has no other children.
 *
 *	attend_begin(&attend);                      before the fork
 *	fork; in the child attend_child(&attend)    last before the exec
 *	status = attend_wait(pid);
 *	attend_rest(2000);
 *	attend_end(&attend);
 */
#ifndef OS_ATTEND_H
#define OS_ATTEND_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct attend {
	sigset_t before;
};

/* From now on signals wait, and what a child leaves running becomes our child when that one ends. */
void attend_begin(struct attend *attend);

/* In the child: signals as they were for us, and a closed pipe kills it as it does everybody. */
void attend_child(const struct attend *attend);

/*
 * Blocks until the child `pid` has ended: its status, or 128 + the signal that ended it.  A signal that a process sent us is sent
 * on to it; one that the terminal sent it has already.  When it stops so do we.
 */
int attend_wait(pid_t pid);

/*
 * The same, and calls `tick` after `first_ms`, then each time after as many ms as it returned, none when that is 0.  Sleep of the
 * machine counts.
 */
typedef int64_t attend_tick(void *arg, pid_t pid);
int attend_wait_ticking(pid_t pid, int64_t first_ms, attend_tick *tick, void *arg);

/*
 * Waits at most `limit_ms` for all that was left running to end; cut short by a signal that would end us.  Whether nothing is
 * left.
 */
bool attend_rest(int64_t limit_ms);

/* Signals are ours again.  What came meanwhile and was not sent on takes effect now. */
void attend_end(const struct attend *attend);

#endif
