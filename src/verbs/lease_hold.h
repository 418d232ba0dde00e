/*
 * Leases for a caller who may wait for them: one after another in the order of their names, all or none.  Blocks.
 */
#ifndef VERBS_LEASE_HOLD_H
#define VERBS_LEASE_HOLD_H

#include "os/anchor.h"
#include "verbs/caller.h"
#include "verbs/kept_run.h"

#define HOLD_MAX 16
#define HOLD_WAIT_MS 30000    /* of a `run` form without --wait */
#define HOLD_RUN_TTL_MS 30000 /* it renews */
#define HOLD_STEP_TTL_MS 600000
#define HELD_ENV_MAX 4

struct hold {
	struct context *context;
	const char *session; /* that the caller named; NULL = none */
	const char *role;    /* whose priority it has; NULL = none */
	bool stays;          /* as long as the anchor */
	bool apart;          /* from what else its session holds: several at once wait for one another */
	bool found;          /* the caller is */
	struct caller caller;
	char chain[ACTOR_SIZE];
	bool alone;           /* nobody else has that chain */
	struct anchor anchor; /* fd -1 = none */
	struct lease leases[HOLD_MAX];
	size_t count;
	int64_t asked_boot_ms; /* clock_boot_ms before the last look at the store */
	int64_t safe_boot_ms;  /* until which all are surely held */
	int64_t renew_boot_ms; /* from which on they should be renewed */
};

/* Of this context, for the caller that `session` (may be NULL) names or who is found.  Nothing is done yet. */
void hold_init(struct hold *hold, struct context *context, const char *session, const char *role);

/*
 * Takes what `asks` name (resource, slots, shared, ttl_ms, max_ms; process, or the caller's agent if its pid is 0), waiting
 * `wait_ms` in all; 0 = not at all.  What is held already is renewed meanwhile.  With `stays` they are held as long as
 * hold->anchor is; else by that process.  The statuses of lease_acquire and caller_find, with *other = who has what could not
 * be had; BUSY after a wait.  Those taken before it are given back: as hold_back_out.
 */
enum status hold_take(struct hold *hold, struct lease_ask *asks, size_t count, int64_t wait_ms, bool stays, struct lease *other,
                      struct buf *why) MUST_CHECK;

/* Renews all.  The first that fails.  At most `limit_ms` for the store. */
enum status hold_renew(struct hold *hold, int64_t limit_ms, struct buf *why) MUST_CHECK;

/*
 * To be called after each hold_next_ms while they are held: renews them when it is time, and when somebody has challenged one or it
 * is gone, which only a look at the store tells.  As hold_renew.
 */
enum status hold_keep(struct hold *hold, int64_t limit_ms, struct buf *why) MUST_CHECK;
int64_t hold_next_ms(const struct hold *hold);

/* Gives all back that is still held, newest first, and the anchor.  The first failure, except that it was lost before. */
enum status hold_release(struct hold *hold, struct buf *why) MUST_CHECK;

/*
 * What comes after it failed with `status` and `why`: gives all back.  `status`; OUTCOME_UNKNOWN when that fails too and no anchor
 * shows that nobody holds it.
 */
enum status hold_back_out(struct hold *hold, enum status status, struct buf *why) MUST_CHECK;

/*
 * Runs a command while they are held: kept_run.  Its environment says STILE_FENCE and STILE_SLOT of the first, and STILE_CHAIN; at
 * most HELD_ENV_MAX of its own.
 */
enum status hold_command(struct hold *hold, const struct kept_command *command, int *exit, struct buf *why) MUST_CHECK;

/* The same, and gives all back in the end. */
enum status hold_run(struct hold *hold, const struct kept_command *command, int *exit, struct buf *why) MUST_CHECK;

/* As hold_command, with the descriptors that it reads and writes. */
enum status hold_filter(struct hold *hold, char *const *command, int in, int out, int *exit, struct buf *why) MUST_CHECK;

#endif
