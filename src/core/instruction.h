/*
 * An instruction is a rule that all sessions of a codebase share.  It has an id for good (inst_001, inst_002, ... in sequence;
 * imported ones may have ids of any form), and versions that are only added, each with who and when.  Nothing is ever deleted:
 * a retired one is no longer active.
 *
 * The project's epoch is one more after each version of any instruction; it stands on every audit row.
 *
 * Two active instructions of persistence HIGH (in any case) that set one parameter to different values contradict each other:
 * a conflict of the one that holds (higher priority, then older) with each that says otherwise, found and resolved in the
 * transaction of the change that caused it.  Only texts, numbers and truth values set a parameter; lists and objects describe.
 *
 * A change is: instruction_open, which reads; then puts, which are queued; then instruction_close, once.  Called inside a write
 * transaction whose actor is the author; nothing here blocks otherwise.  JSON is passed as compact text.
 */
#ifndef CORE_INSTRUCTION_H
#define CORE_INSTRUCTION_H

#include "base/json.h"
#include "core/session.h"

#define INSTRUCTION_TEXT_MAX ((size_t)64 << 10)   /* bytes of a text */
#define INSTRUCTION_OBJECT_MAX ((size_t)64 << 10) /* of parameters, and of fields, as compact JSON */
#define INSTRUCTION_PRIORITY 50                   /* of one that doesn't say; the higher counts more */
#define INSTRUCTION_PRIORITY_MAX 1000000
#define INSTRUCTION_SAME INT64_MIN

struct instruction {
	const char *id;
	int64_t version; /* from 1 */
	bool active;
	const char *text;
	const char *persistence; /* an open word: HIGH, MEDIUM, LOW, ...; "" = not said */
	int64_t priority;
	const char *parameters; /* a JSON object */
	/*
	 * A JSON object: what else it says (quadrant, temporal_scope, ...), or the entry as it was imported, whole.  Members named
	 * as those above (and "id") only keep their place in it: what stands above is what holds.
	 */
	const char *fields;
	const char *session; /* author of this version; "" = a person */
	const char *actor;
	int64_t at_ms;      /* when this version was made */
	int64_t epoch;      /* that it made */
	int64_t made_epoch; /* that its first version made: the smaller is the older */
};

/* Texts belong to the list. */
struct instruction_list {
	struct instruction *items;
	size_t count;
	struct db_rows rows;
};
void instruction_list_release(struct instruction_list *list);
const struct instruction *instruction_find(const struct instruction_list *list, const char *id); /* NULL; a linear search */

/* What a new version says; what is NULL, INSTRUCTION_SAME or -1 stays as it was, or for a new one is the default. */
struct instruction_draft {
	const char *text;        /* a new one needs it */
	const char *persistence; /* "" */
	int64_t priority;        /* INSTRUCTION_PRIORITY */
	const char *parameters;  /* {} */
	const char *fields;      /* {} */
	int active;              /* true */
};
#define INSTRUCTION_DRAFT \
	{ \
		.priority = INSTRUCTION_SAME, .active = -1 \
	}

/*
 * Whether it can be written.  BAD_INPUT with `why`: a text that is empty, over the maximum, no UTF-8 or with control
 * characters other than tab, newline and return; a persistence over LABEL_MAX; a priority out of 0..INSTRUCTION_PRIORITY_MAX;
 * parameters or fields that are no JSON object or over the maximum.
 */
enum status instruction_check(const struct instruction_draft *draft, struct buf *why) MUST_CHECK;

/* A change of instructions under way.  Filled by instruction_open. */
struct instruction_book {
	struct txn *txn;
	const char *session; /* the author's; "" = a person */
	int64_t epoch;       /* of the last put */
	int64_t number;      /* the highest N of any inst_N */
	int64_t active;      /* how many are */
	size_t puts;
	bool whole;                   /* it read all of them: contradictions are looked for once, at the close */
	struct instruction_list read; /* what was asked for, as it stood */
};

/*
 * Begins, and reads the instruction `id`, none if "", all (retired ones too, oldest first) if NULL.  One round trip.  The
 * caller releases book->read.
 */
enum status instruction_open(struct instruction_book *book, struct txn *txn, const char *session, const char *id,
                             struct buf *why) MUST_CHECK;

/*
 * Queued: the next version of `before` (of book->read), or if NULL a new instruction, with the id `id`, or the next inst_N if
 * that is "".  The caller has checked the draft, and that no other has that id (the commit fails else).  `action` is import
 * for whoever imports.  *id_out gets the id, when it isn't NULL.  BAD_INPUT (id), NO_MEMORY.
 */
enum status instruction_put(struct instruction_book *book, const struct instruction *before, const char *id, const char *action,
                            const struct instruction_draft *draft, char id_out[ID_MAX + 1], struct buf *why) MUST_CHECK;

/*
 * Settles epoch, numbers and contradictions, and audits what was found and resolved: adds these conflicts to `conflicts` (a
 * JSON array the caller owns; may be NULL).  Without puts nothing.  One round trip.
 */
enum status instruction_close(struct instruction_book *book, json_t *conflicts, struct buf *why) MUST_CHECK;

/* What a change did.  `now` belongs to `list`, which the caller releases whatever the status. */
struct instruction_outcome {
	struct instruction_list list;
	char id[ID_MAX + 1];
	int64_t version;
	int64_t epoch;
	bool again; /* the text stood already: its author is on the record, nothing else changed */
};

/*
 * Adds one, with the next id.  The very text of an active one again: that one, with one more author (out->again); CONFLICT if
 * the draft says another persistence, priority or parameters than it has.  Two round trips.
 */
enum status instruction_add(struct txn *txn, const char *session, const struct instruction_draft *draft,
                            struct instruction_outcome *out, json_t *conflicts, struct buf *why) MUST_CHECK;

/*
 * The next version of `id`, if it stands at `version`.  CONFLICT: it doesn't, or it is retired; out->list has it as it stands.
 * NO_SUCH.  Two round trips.
 */
enum status instruction_edit(struct txn *txn, const char *session, const char *id, int64_t version,
                             const struct instruction_draft *draft, struct instruction_outcome *out, json_t *conflicts,
                             struct buf *why) MUST_CHECK;

/* The same, to be active no longer; `version` 0 = whatever it stands at. */
enum status instruction_retire(struct txn *txn, const char *session, const char *id, int64_t version,
                               struct instruction_outcome *out, json_t *conflicts, struct buf *why) MUST_CHECK;

/* All active ones, with `all` the retired too: oldest first, in one answer. */
enum status instruction_list(struct txn *txn, bool all, struct instruction_list *out, struct buf *why) MUST_CHECK;

/* One, as it stands; NO_SUCH. */
enum status instruction_load(struct txn *txn, const char *id, struct instruction_list *out, struct buf *why) MUST_CHECK;

/* One, as it was at `version`; NO_SUCH. */
enum status instruction_at(struct txn *txn, const char *id, int64_t version, struct instruction_list *out,
                           struct buf *why) MUST_CHECK;

#endif
