/*
 * A binding is an id that somebody else gave to a session: (session, slot) -> value, in generations that are only added.
 * Nothing is keyed by one.  The first writer wins; one value belongs to one session for good.
 *
 * The slot `conversation` holds the client's own ids; whose they are is told apart by client.  A slot declared distinct never
 * takes a value that is some client's id (claude-mem #586: it would write its notes into the user's transcript).
 */
#ifndef CORE_BINDING_H
#define CORE_BINDING_H

#include "core/session.h"

#define SLOT_CONVERSATION "conversation"
#define BINDING_TOPIC "bound/" /* SESSION/SLOT: what waits for it (waiter.h) */

struct binding {
	char value[ID_MAX + 1];
	int64_t generation; /* from 1 */
	int64_t bound_ms;
	bool placeholder; /* for an id that isn't known yet */
};

struct binding_ask {
	const char *session;
	const char *slot;
	const char *value;
	bool rebind;   /* a bound slot gets the value as its next generation */
	bool distinct; /* declare the slot distinct, from now on and for every session */
	bool placeholder; /* whatever is bound next takes its place, without a trace of it (claude-mem #586, solution B) */
};

/*
 * OK        *out is what is bound now: the caller's value, newly or already
 * CONFLICT  the slot has another value (*out) and `rebind` is false; or the value belongs to another session; or the slot is
 *           distinct and the value is a client's id.  `why` tells which.
 *           The attempt is audited and so kept, though it is a no (see engine.h).
 * NO_SUCH   there is no such session
 */
enum status binding_set(struct txn *txn, const struct binding_ask *ask, struct binding *out, struct buf *why) MUST_CHECK;

/* What is bound now.  NO_SUCH when nothing is. */
enum status binding_get(struct txn *txn, const char *session, const char *slot, struct binding *out, struct buf *why) MUST_CHECK;

/* What was bound is gone where it came from: a generation without a value, as if nothing were bound.  Queued. */
void binding_clear(struct txn *txn, const char *session, const char *slot, const char *was);

/* All generations of all slots of a session, as a JSON array the caller owns. */
enum status binding_list(struct txn *txn, const char *session, json_t *out, struct buf *why) MUST_CHECK;

/* Takes out of the list whoever has an id in that slot; one that is a placeholder is none. */
enum status binding_keep_unbound(struct txn *txn, const char *slot, struct session_list *list, struct buf *why) MUST_CHECK;

/* How a client announced it. */
enum arrival { ARRIVAL_EVENT, ARRIVAL_GLANCE, ARRIVAL_STARTUP, ARRIVAL_RESUME, ARRIVAL_CLEAR, ARRIVAL_COMPACT, ARRIVAL_FORK };

/* What binding_arrive found.  `others` is for the caller to release. */
struct arrived {
	struct session session;
	bool created;
	bool joined;                /* an id that is new here became the session's next conversation */
	struct session_list others; /* of a start: the live sessions there are besides */
	char readings[TRANSCRIPTS_READ][READING_SIZE]; /* of the transcripts asked for; "" = never read */
	int64_t reaped_ms;          /* when dead agents were last looked for */
	struct rulebook rulebook;   /* of the codebase's instructions */
};

/*
 * The session that a client's id means, made if need be: get-or-create, the same under any race.  Which one continues: the
 * same id is the same session; after `clear` also the one session that the same process has just ended by clear or hosts,
 * which gets the id as its next conversation; else the one that it is said to join; otherwise it is a new one.  (By its transcript none is recognised yet.)
 * Moves no state.  One round trip.
 *
 * ARRIVAL_GLANCE (a status line, drawn when the client likes) makes none: NO_SUCH.  One made from it would keep the id from
 * the session that is about to go on with it after `clear`.
 */
enum status binding_arrive(struct txn *txn, const struct session_start *start, enum arrival arrival, struct arrived *out,
                           struct buf *why) MUST_CHECK;

#endif
