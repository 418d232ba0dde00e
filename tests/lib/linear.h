/*
 * Whether a history of many processes is linearizable: whether there is an order of its operations, each at an instant between its
 * call and its return, in which a simple model gives exactly these results.
 *
 * The search is Wing and Gong's with Lowe's memory: no pair of (operations done, state) is tried twice.  What is asked of
 * different resources is independent, and searched one resource at a time.
 * [J. M. Wing, C. Gong: Testing and verifying concurrent objects, 1993; G. Lowe: Testing for linearizability, 2017]
 */
#ifndef LIB_LINEAR_H
#define LIB_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LINEAR_NEVER INT64_MAX
#define LINEAR_STATE_MAX 128

enum linear_status { LINEAR_OK, LINEAR_HELD, LINEAR_CONFLICT, LINEAR_NO_SUCH, LINEAR_NOT_ALLOWED };

struct linear_op {
	int64_t called;   /* ns of a clock that all share */
	int64_t returned; /* LINEAR_NEVER: what became of it nobody knows: it may have been done at any time since, or never */
	uint32_t resource;
	uint32_t process;
	int kind; /* the model's */
	enum linear_status status;
	int64_t asked; /* a fence, an amount, a version: the model says what */
	int64_t wrote;
	int64_t got; /* a fence, a value, a version */
	int64_t slot;
	int64_t at_ms, until_ms; /* of a lease, on the store's clock */
};

struct linear_model {
	const char *name;
	size_t size;   /* of a state, at most LINEAR_STATE_MAX; all of it is compared */
	int64_t slots; /* of a resource that is leased */
	/*
	 * Whether the operation can be done in that state with those results (those of one whose outcome isn't known are to be
	 * ignored); the state becomes the one after it.  The first state is all zero.
	 */
	bool (*step)(const struct linear_model *model, void *state, const struct linear_op *op);
	const char *const *kinds; /* names, for people */
};

/* Named locks and semaphores: `slots` of them, fences from 1 on. */
enum { LEASE_ACQUIRE, LEASE_RENEW, LEASE_RELEASE, LEASE_DIE };
extern const struct linear_model linear_lock;
extern const struct linear_model linear_semaphore; /* of two slots */

/* A number that is added to (`asked`) and read (`got`). */
enum { COUNTER_ADD, COUNTER_READ };
extern const struct linear_model linear_counter;

/* A text (a number, `wrote`) that is changed if it stands at version `asked`, and read with its version (`slot` and `got`). */
enum { TEXT_EDIT, TEXT_READ };
extern const struct linear_model linear_instruction;

/*
 * Issued for a scope (`asked`), consumed once, for the same scope and before its deadline, and then or when it has expired issued
 * anew: `got` is the generation, `until_ms` the deadline, `at_ms` the instant at which it was issued or consumed.  HELD: consumed
 * before; CONFLICT: still armed, or expired; NO_SUCH: never issued; NOT_ALLOWED: of another scope.
 */
enum { TOKEN_ISSUE, TOKEN_CONSUME };
extern const struct linear_model linear_token;

/* Claimed by a lease, ends in done, which is final: CONFLICT from then on, with the fence of who did it (`got`). */
enum { TASK_CLAIM = LEASE_ACQUIRE, TASK_RENEW = LEASE_RENEW, TASK_RELEASE = LEASE_RELEASE, TASK_DIE = LEASE_DIE, TASK_DONE };
extern const struct linear_model linear_task;

/*
 * A queue of at most LINEAR_QUEUE_MAX items, more are refused (HELD): of one line, of which the first alone is to be had, or a heap
 * of items that wait for nobody.  A claim of `asked` has generation `wrote`; one is got as item `got` with generation `slot`, HELD when
 * there is nothing.  A look tells how many there are (`got`), and are claimed (`slot`).
 */
#define LINEAR_QUEUE_MAX 4
enum {
	QUEUE_TAKE = LEASE_ACQUIRE,
	QUEUE_RENEW = LEASE_RENEW,
	QUEUE_NACK = LEASE_RELEASE,
	QUEUE_DIE = LEASE_DIE,
	QUEUE_ACK = TASK_DONE,
	QUEUE_PUT,
	QUEUE_LOOK,
	QUEUE_ACK_AGAIN
};
extern const struct linear_model linear_line;
extern const struct linear_model linear_heap;

struct linear_verdict {
	bool good;
	size_t operations;
	size_t overlapping; /* with another on the same resource */
	size_t unknown;
	uint32_t resource; /* the first that is bad */
	size_t tried;      /* pairs that were remembered */
};

/* Sorts `ops`.  What is bad is told on `out` (may be NULL): the operations around the last that could be placed. */
void linear_check(const struct linear_model *model, struct linear_op *ops, size_t count, struct linear_verdict *verdict,
                  FILE *out);

#endif
