/*
 * A turn is one exchange of a session with its model: a question, and an answer.  It is the lease `turn/<session>`, whose key
 * exists before the client has given any id, so that a first turn excludes a second as any other does.
 *
 * The id to resume by is read, and the new one bound, while the turn is held: nobody else can have changed it meanwhile
 * (Trinity #779 read it before its lock and wrote it after).  What was asked is kept even if no answer comes.
 */
#ifndef CORE_TURN_H
#define CORE_TURN_H

#include "core/binding.h"
#include "core/lease.h"

#define SLOT_RESUME "resume"
#define TURN_TEXT_MAX ((size_t)1 << 20)
#define TURN_KEY_MAX 300

struct turn {
	char id[ID_SIZE];
	char session[ID_SIZE];
	char slot[LABEL_MAX + 1];
	int64_t fence;
	char resume[ID_MAX + 1]; /* "" = cold */
};

/* The lease's name. */
void turn_resource(const char *session, char out[RESOURCE_MAX + 1]);

/*
 * The lease is held with `fence`: the turn begins, with what to resume by.  One that was running before is lost: its holder is
 * gone.  `question` may be NULL.  HELD when the lease isn't the caller's any more.
 */
enum status turn_open(struct txn *txn, const char *session, const char *slot, int64_t fence, const char *question,
                      struct turn *out, struct buf *why) MUST_CHECK;

/* What was to be resumed is gone: its slot is cleared, that is counted (metric resume_failures), and *turn is cold.  HELD. */
enum status turn_go_cold(struct txn *txn, struct turn *turn, struct buf *why) MUST_CHECK;

/* A running turn, to a client's event in whose environment it is named. */
struct turn_inside {
	struct session session; /* whose it is; id "" = there is no such turn, or none any more */
	char slot[LABEL_MAX + 1];
	int64_t fence;
	char conversation[ID_MAX + 1]; /* the client's that became the session's in it; "" = none yet */
	struct process own;            /* the session's as the turn began, which it is given back at its end */
};

/* Of an ended turn, another project's, or one whose holder is gone, *out is empty.  One round trip. */
enum status turn_named(struct txn *txn, const char *id, struct turn_inside *out, struct buf *why) MUST_CHECK;

/*
 * Whether a conversation of `client` that is new here becomes the session's: the turn's first, whose id goes where a session
 * is resumed by, and of a session that is not at work in a conversation of its own.
 */
bool turn_admits(const struct txn *txn, const struct turn_inside *inside, const char *client);

/* It has become so, and no other will in this turn.  Queued. */
void turn_joined(struct txn *txn, struct turn_inside *inside, const char *conversation);

/*
 * The sessions whose process is a client's that joined in a turn which still stands, each id followed by a blank: such a client may
 * be gone before its turn is ended, and the session isn't.  One round trip.
 */
enum status turn_hosting(struct txn *txn, struct buf *out, struct buf *why) MUST_CHECK;

struct turn_end {
	const char *session;
	int64_t fence;
	const char *slot;
	const char *bind;   /* NULL = no id came */
	const char *answer; /* NULL = none */
	bool failed;
};

/*
 * The turn ends: its id is bound, its answer stored, its lease given back, all or nothing.  HELD when the lease isn't the
 * caller's any more; CONFLICT when the id is another session's (see binding_set), the turn going on.
 */
enum status turn_close(struct txn *txn, const struct turn_end *end, struct buf *why) MUST_CHECK;

/* {"role","turn","text"} for each question and answer of the session, in order, added to `out`. */
enum status turn_log(struct txn *txn, const char *session, json_t *out, struct buf *why) MUST_CHECK;

/*
 * Another system's name for the session's turn, such as Trinity's "session_lock:cold:ID".  CONFLICT when it is another session's.
 * turn_key_find: NO_SUCH.
 */
enum status turn_key_set(struct txn *txn, const char *name, const char *session, struct buf *why) MUST_CHECK;
enum status turn_key_find(struct txn *txn, const char *name, char out[ID_SIZE], struct buf *why) MUST_CHECK;

/* An exchange that was had elsewhere, before the session came here. */
struct turn_past {
	const char *session;
	const char *id;       /* that it has there */
	const char *question; /* NULL = none */
	const char *answer;   /* NULL = none */
	const char *ran_as;   /* the id of the conversation that it was had in; "" = not known */
	int64_t began_ms, ended_ms;
};

/*
 * Puts it behind those of its kind, and before all turns that were had here.  *added: the texts of it that were not there, which it may be
 * called with again; with `look` they are only counted.  One answer.
 */
enum status turn_take_past(struct txn *txn, const struct turn_past *past, bool look, size_t *added, struct buf *why) MUST_CHECK;

#endif
