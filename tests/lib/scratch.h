/*
 * What tests need around the thing they test: a folder of their own, processes that race, a barrier at which they meet.
 * Nothing here sleeps: every wait is for an event and has a limit.  What fails here is the test's surroundings, not what it
 * tests: it is told on stderr and the program aborts.
 */
#ifndef LIB_SCRATCH_H
#define LIB_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A new, empty folder in $TMPDIR or /tmp.  The caller owns the name: scratch_remove takes both away. */
char *scratch_folder(void);
void scratch_remove(char *folder);

/* "folder/name"; the caller frees it. */
char *scratch_path(const char *folder, const char *name);

/* Memory that children made later share, zeroed. */
void *scratch_shared(size_t size);
void scratch_unshare(void *memory, size_t size);

struct scratch_child {
	pid_t pid;
	int pidfd;
};

/*
 * A child that does `run(arg)` and ends with what it returns (0..125); it dies with its parent.  No cmocka assertion in
 * there: the child tells by its status or through shared memory, and the parent asserts.
 */
void scratch_spawn(struct scratch_child *child, int (*run)(void *arg), void *arg);

/* A child that is the program argv[0], looked for in PATH; 127 when it can't be run. */
void scratch_spawn_program(struct scratch_child *child, char *const argv[]);

#define SCRATCH_LATE (-1)

/*
 * Waits until the child has ended.  Its status, 128 + the signal that ended it, or SCRATCH_LATE after `limit_ms`: it is
 * then killed.  Either way it is gone afterwards.
 */
int scratch_wait(struct scratch_child *child, int limit_ms);

/* Waits until the child has stopped (SIGSTOP).  Whether it did before the limit. */
bool scratch_wait_stopped(struct scratch_child *child, int limit_ms);

/* A place at which `parties` processes meet; each goes on when the last has come.  It can be used again and again. */
struct scratch_barrier;
struct scratch_barrier *scratch_barrier_new(unsigned parties);
void scratch_barrier_free(struct scratch_barrier *barrier);

/* Whether all came before the limit.  After one false it is broken, and every wait answers false at once. */
bool scratch_barrier_meet(struct scratch_barrier *barrier, int limit_ms);

#endif
