/*
 * A lease is one holder's claim on a slot of a named resource, until it is released, its deadline passes, or its holder is
 * proven dead.  Every grant carries a fence that only grows: a holder that overslept is refused by it where its effect happens.
 *
 * Fair: who can't have it yet leaves a ticket, and whoever frees a slot grants it to the next.  Tickets go by number; one of
 * higher priority goes first, but nobody is passed more than LEASE_PASSED_MAX times.  Dead waiters are skipped.
 *
 *   holder     before its deadline   after it
 *   dead       free at once          free at once
 *   unknown    held                  free
 *   alive      held                  challenged: it has LEASE_CHALLENGE_MS to renew, on a clock that stops in suspend
 *
 * A maximum hold, where there is one, is a deadline that no renewal moves.
 * A resource can be closed: what it stood for is over, and nobody is ever granted it again.
 *
 * Called inside a write transaction unless it says otherwise; never blocks.  Times are ms on the store's clock.
 */
#ifndef CORE_LEASE_H
#define CORE_LEASE_H

#include "core/waiter.h"

#define RESOURCE_MAX 300
#define ANCHOR_MAX 160  /* bytes of an anchor's name, with the NUL */
#define LEASE_PROOF ';' /* in an anchor's name, before what the store gave as proof (db.h) */
#define LEASE_SLOTS_MAX 256
#define LEASE_PASSED_MAX 4
#define LEASE_CHALLENGE_MS 5000
#define LEASE_TTL_MAX_MS ((int64_t)7 * 24 * 3600 * 1000)

struct lease {
	char resource[RESOURCE_MAX + 1];
	int64_t ticket;
	int64_t fence; /* one more than the grant before it; 0 = it waits */
	int64_t slot;  /* 0 .. slots - 1 */
	bool shared;
	char actor[ACTOR_SIZE];
	char session[ID_SIZE]; /* "" = a person's */
	char chain[ACTOR_SIZE];
	char anchor[ANCHOR_MAX];
	bool anchored;          /* the anchor proves the holder, not only the waiter */
	struct process process; /* else this one does; pid 0 = nothing does */
	char wake[WAKE_SIZE];
	int64_t priority, passed;
	int64_t asked_ms;
	int64_t until_ms; /* it waits no longer; 0 = without end */
	int64_t since_ms;
	int64_t ttl_ms;
	int64_t max_ms;     /* 0 = no maximum */
	int64_t expires_ms; /* the first instant at which it is overdue */
	int64_t challenged_ms, challenged_awake_ms;
	char challenged_boot[BOOT_MAX];
};

struct lease_ask {
	const char *resource;
	int64_t slots;   /* 0 = as they are, or 1 */
	bool shared;     /* beside others that share; only where there is one slot */
	bool again;      /* what the session holds of it already is renewed */
	bool wait;       /* a ticket is taken if need be */
	int64_t wait_ms; /* 0 = without end */
	int64_t ttl_ms, max_ms;
	int64_t priority;
	const char *session; /* "" = the actor is a person */
	const char *chain;   /* all that is held and waited for under one name, or NAME/PART, ends together; "" = not known */
	bool first;          /* nothing is held under it yet: waiting closes no ring */
	const char *anchor;  /* "" = none */
	bool anchored;
	struct process process;
	const char *wake;
};

/*
 * OK        *out is the caller's lease
 * HELD      no slot is free and `ask->wait` is false; *out is the holder whose deadline is nearest
 * QUEUED    a ticket was taken; *out is it, and whoever frees a slot grants it
 * CONFLICT  waiting would close a ring, which `why` names; the resource is in use with another number of slots, or closed
 * BAD_INPUT a name, number of slots or duration that can't be
 */
enum status lease_acquire(struct txn *txn, const struct lease_ask *ask, struct lease *out, struct buf *why) MUST_CHECK;

/*
 * The caller's own lease with that fence ends, and the next in line have it.  HELD with `why` when it isn't the caller's any
 * more, or never was: who has it.  NOT_ALLOWED when it is another's.
 */
enum status lease_release(struct txn *txn, const char *resource, int64_t fence, struct buf *why) MUST_CHECK;

/* The caller's own lease with that fence ends, and the resource is closed: who waits for it waits in vain.  As lease_check. */
enum status lease_close(struct txn *txn, const char *resource, int64_t fence, struct lease *out, struct buf *why) MUST_CHECK;

/* Its deadline moves on by its ttl, or by `ttl_ms` if that isn't 0.  As lease_release; HELD also past the maximum. */
enum status lease_renew(struct txn *txn, const char *resource, int64_t fence, int64_t ttl_ms, struct lease *out,
                        struct buf *why) MUST_CHECK;

/* At an effect: OK if the caller holds it with that fence now.  As lease_release.  May be called in a read transaction. */
enum status lease_check(struct txn *txn, const char *resource, int64_t fence, struct lease *out, struct buf *why) MUST_CHECK;

/* The one that the caller holds it by.  HELD by another only, NO_SUCH by nobody. */
enum status lease_holder(struct txn *txn, const char *resource, struct lease *out, struct buf *why) MUST_CHECK;

/*
 * Of a ticket: OK when it was granted (*out), QUEUED, NO_SUCH when it is gone: its time was over, or its waiter seemed dead.
 * *tend: somebody should call lease_tend, since a holder is dead or overdue.  For a read transaction.
 */
enum status lease_look(struct txn *txn, const char *resource, int64_t ticket, struct lease *out, bool *tend,
                       struct buf *why) MUST_CHECK;

/* Frees what is dead or overdue, challenges, and grants. */
enum status lease_tend(struct txn *txn, const char *resource, struct buf *why) MUST_CHECK;

/*
 * A waiter's time is over.  OK when it was granted meanwhile: it has the lease (*out).  BUSY with `why`: who holds it (*out, if
 * anybody does).  CONFLICT: it is closed.
 */
enum status lease_give_up(struct txn *txn, const char *resource, int64_t ticket, struct lease *out, struct buf *why) MUST_CHECK;

/* Ends the lease with that fence, or all of the resource if 0, whoever's it is: by a person who knows.  NO_SUCH when nothing is held. */
enum status lease_break(struct txn *txn, const char *resource, int64_t fence, size_t *count, struct buf *why) MUST_CHECK;

/*
 * Ends all that sessions hold or wait for, save what an anchor proves: a command that is still at work.  `sessions` are their
 * ids, each followed by a blank.
 */
enum status lease_end_sessions(struct txn *txn, const char *sessions, struct buf *why) MUST_CHECK;
enum status lease_end_session(struct txn *txn, const char *session, struct buf *why) MUST_CHECK;

/* Renews what the session holds of the resource.  NO_SUCH when that is nothing. */
enum status lease_renew_session(struct txn *txn, const char *resource, const char *session, struct buf *why) MUST_CHECK;

/*
 * Everything under `prefix` ("lock/") that is held or waited for, and with `all` also what isn't, as JSON objects added to `out`:
 * resource, slots, holders, waiters, and p50 and p99 of waits and holds, each an upper bound within a factor of 1.5.  Who is dead
 * or overdue is not in it, though nobody has ended that yet.
 */
enum status lease_list(struct txn *txn, const char *prefix, bool all, json_t *out, struct buf *why) MUST_CHECK;

/*
 * Judges a holder by the table above: NULL while it stays so, else why it doesn't.  One that is overdue and alive is challenged:
 * *changed, and the caller saves that.  Of a lease in its own row, or in anybody's columns.
 */
const char *lease_over(struct txn *txn, struct lease *lease, bool *changed);

/* Whether it is the caller's own: a session's are also its sub-agents' and its shells', which can't be told apart. */
bool lease_is_callers(const struct txn *txn, const struct lease *lease);
bool lease_process_is_gone(const struct txn *txn, const struct process *process); /* proven so */
json_t *lease_json(const struct lease *lease);
void lease_describe(const struct lease *lease, int64_t now_ms, struct buf *out); /* "held by A since T until U" */

#endif
