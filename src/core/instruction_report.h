/*
 * What is told of instructions: to people their history, contradictions and how they fare; to a session's model those that
 * stand and what has changed since it was last told.
 */
#ifndef CORE_INSTRUCTION_REPORT_H
#define CORE_INSTRUCTION_REPORT_H

#include "core/instruction.h"

/* The contradictions that stand, with `all` the resolved ones too: newest first, as a JSON array the caller owns. */
enum status instruction_conflicts(struct txn *txn, bool all, int64_t limit, json_t *out, struct buf *why) MUST_CHECK;

struct instruction_query {
	const char *id;      /* NULL = any */
	const char *session; /* NULL = any */
	const char *actor;   /* NULL = any */
	int64_t since_ms;    /* from this instant on */
	int64_t limit;       /* newest that many, given oldest first */
};

/* Adds the versions, and who else said a version's text (action "author"), to `out`, a JSON array the caller owns. */
enum status instruction_history(struct txn *txn, const struct instruction_query *query, json_t *out,
                                struct buf *why) MUST_CHECK;

/* One as it stands, with its authors and how it fares: its members are added to `out`, an object.  NO_SUCH.  Two round trips. */
enum status instruction_show(struct txn *txn, const char *id, json_t *out, struct buf *why) MUST_CHECK;

/* As a document; without `whole` what a list says of one. */
json_t *instruction_json(const struct instruction *one, bool whole);

/*
 * Counts that somebody checked it, and found it violated: over all sessions, so what `out` (an object) gets is labelled as an
 * aggregate.  NO_SUCH.  One round trip.
 */
enum status instruction_checked(struct txn *txn, const char *session, const char *id, bool violated, json_t *out,
                                struct buf *why) MUST_CHECK;

#define INSTRUCTIONS_TOLD_MAX 100
#define INSTRUCTION_BYTES_MAX 8000 /* of what one answer tells: clients cut what is longer than about 10,000 */

/* What a session's model is to be told: those that stand, or those that changed since it was told.  Texts belong to `rows`. */
struct instruction_news {
	bool asked;   /* there was something to ask the store for */
	bool changes; /* only what changed: items may be retired */
	struct instruction_list list;
	int64_t more;      /* so many besides those in the list */
	int64_t conflicts; /* that stand */
	struct {
		const char *parameter, *chosen, *chosen_value, *other, *other_value, *decided_by;
	} conflict; /* the newest, if there is one */
};
void instruction_news_release(struct instruction_news *news);

/* Whether the configured bounds can be followed.  BAD_CONFIG with `why`. */
enum status instruction_config(const struct config *config, int64_t *count, int64_t *bytes, struct buf *why) MUST_CHECK;

/*
 * Fills *out with what the session is to be told as things stand, and sets its told_epoch, which the caller saves.  `anew`: all
 * that stand, whatever it was told.  One round trip, none if it was told all.  BAD_CONFIG.
 */
enum status instruction_tell(struct txn *txn, struct session *session, const struct rulebook *rulebook, bool anew,
                             struct instruction_news *out, struct buf *why) MUST_CHECK;

#endif
