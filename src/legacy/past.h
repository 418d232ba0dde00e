/*
 * What another system knows of sessions before us, brought into the store: the sessions, the ids that were bound to them, their work
 * that isn't done, their turns.
 *
 * Each step looks first, so what is there already is left as it is, and a step that is done again changes nothing.  It is a
 * transaction of its own, that others need not wait for a large import.  What an import puts is put by the actor SYSTEM/IMPORT, by
 * which it is taken back (past_undo).  While `looking`, steps only count what they would do.
 *
 * Statuses besides those told: BUSY, STORE_DOWN, OUTCOME_UNKNOWN, NO_MEMORY of the store.
 */
#ifndef LEGACY_PAST_H
#define LEGACY_PAST_H

#include "core/queue.h"
#include "core/turn.h"

#define PAST_STEPS_MAX 1000 /* told by name; more are only counted */

struct past_counts {
	size_t sessions; /* that it has */
	size_t created;  /* that weren't here */
	size_t bound;    /* of them with an id in the slot, */
	size_t bindings; /* that wasn't bound here before */
	size_t unbound;
	size_t conflicts; /* ids that can't be bound here */
	size_t refused;   /* rows that can't be taken as they are */
	size_t orphans;   /* rows whose session it has not */
	size_t rows;      /* items, or messages: that it has */
	size_t put;       /* that weren't here */
	size_t dead;      /* of these: that had failed there */
	size_t left;      /* that are done */
};

struct past {
	struct engine *engine;
	const char *source;     /* "claude-mem" */
	const char *slot;       /* that its ids are bound in */
	bool distinct;          /* the slot is */
	const char *only;       /* of this project or agent of its; NULL = all */
	const char *by;         /* who asks for it */
	/* Keeps a large payload apart and names it, or not ("", the payload goes with the rows); and when it isn't put. */
	enum status (*keep)(void *data, const char *payload, size_t len, char apart[ID_SIZE], struct buf *why);
	void (*drop)(void *data, const char *apart);
	void *data;

	bool looking;
	char actor[ACTOR_SIZE];
	char session[ID_SIZE]; /* whose line items are put into, found or made by the last step; "" = it is yet to be made */
	struct past_counts counts;
	json_t *steps; /* owned */
};

struct past_session {
	const char *client;
	const char *client_session;
	const char *value; /* in the slot; "" = never bound, NULL = it is no text */
	int64_t started_ms; /* 0 = not known */
	bool orphan;        /* it is known from what hung on it alone */
};

/* Gets or makes it, ended, and binds the value.  What can't be taken is told, and past->session is "". */
enum status past_session(struct past *past, const struct past_session *told, struct buf *why) MUST_CHECK;

/* Gets it alone. */
enum status past_find(struct past *past, const char *client, const char *client_session, struct buf *why) MUST_CHECK;

/* Puts an item into the line of past->session; with `dead`, for that reason, among the dead.  BUSY when the queue is full. */
enum status past_item(struct past *past, const struct queue_put *put, const char *dead, struct buf *why) MUST_CHECK;

/* Adds a turn, of the id it has there, to past->session. */
enum status past_turn(struct past *past, const struct turn_past *told, struct buf *why) MUST_CHECK;

/* Adds a line to what is told. */
void past_step(struct past *past, const char *action, const char *id, const char *was, const char *text);

/* Reads all that the other system has, step by step.  `data` is past->data. */
typedef enum status past_walk(struct past *past, void *foreign, struct buf *why);

/*
 * Looks at everything; then, unless `dry`, brings it in and looks again: CONFLICT when not all of it is there then.  Of an import
 * that fails everything is taken back.  What it came to is in past->counts and past->steps; *import is its id, "" if nothing changed.
 */
enum status past_import(struct past *past, past_walk *walk, void *foreign, bool dry, char import[ID_SIZE],
                        struct buf *why) MUST_CHECK;

/* What is changed, or would be. */
size_t past_changes(const struct past *past);

struct past_undone {
	char import[ID_SIZE];
	int64_t items, turns, bindings, sessions; /* that are gone */
	int64_t kept; /* that somebody has done something with since */
};

/* Takes the last import of the system back, but for what somebody has done something with since.  NO_SUCH. */
enum status past_undo(struct past *past, struct past_undone *out, struct buf *why) MUST_CHECK;

#endif
