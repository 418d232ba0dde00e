#include "core/turn.h"

/* Their fences are below those of any lease, so they come first, in the order in which they are told. */
#define PAST_FENCE (-((int64_t)1 << 40))

struct known {
	int64_t fence; /* of the last there */
	bool told;     /* this one is there */
	bool answered;
};

static enum status
read_known(struct txn *txn, const struct turn_past *past, struct known *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(
		txn->db, &rows, why,
		"SELECT (SELECT max(t.fence) FROM turn t WHERE t.project = $1 AND t.session = $2 AND t.fence < 0), k.fence,"
		" CASE WHEN k.answer IS NULL THEN 0 ELSE 1 END FROM (SELECT 1 AS one) AS one LEFT JOIN turn k ON k.project = $1"
		" AND k.session = $2 AND k.fence < 0 AND k.turn = $3",
		DB_TEXT(txn->project), DB_TEXT(past->session), DB_TEXT(past->id));

	if (status != OK)
		return status;
	*out = (struct known){.fence = db_is_null(&rows, 0, 0) ? PAST_FENCE : db_int(&rows, 0, 0),
	                      .told = !db_is_null(&rows, 0, 1),
	                      .answered = db_int(&rows, 0, 2) != 0};
	db_rows_release(&rows);
	return OK;
}

static void
insert(struct txn *txn, const struct turn_past *past, int64_t fence)
{
	db_run(txn->db,
	       "INSERT INTO turn (project, session, fence, turn, state, actor, slot, resumed, bound, cold_retries, question, answer,"
	       " began_ms, ended_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', 0, $9, $10, $11, $12)",
	       DB_TEXT(txn->project), DB_TEXT(past->session), DB_INT(fence), DB_TEXT(past->id),
	       DB_TEXT(past->answer == NULL ? "lost" : "done"), DB_TEXT(txn->actor), DB_TEXT(SLOT_RESUME), DB_TEXT(past->ran_as),
	       DB_TEXT(past->question), DB_TEXT(past->answer), DB_INT(past->began_ms), DB_INT(past->ended_ms));
}

enum status
turn_take_past(struct txn *txn, const struct turn_past *past, bool look, size_t *added, struct buf *why)
{
	size_t texts = (size_t)(past->question != NULL) + (past->answer != NULL);
	struct known known = {0};
	enum status status = read_known(txn, past, &known, why);

	if (status != OK)
		return status;
	if (known.told)
		texts = past->answer != NULL && !known.answered;
	*added = texts;
	if (look || texts == 0)
		return OK;
	if (known.told)
		db_run(txn->db,
		       "UPDATE turn SET answer = $1, resumed = $2, state = 'done', ended_ms = $3 WHERE project = $4 AND session = $5"
		       " AND turn = $6 AND fence < 0",
		       DB_TEXT(past->answer), DB_TEXT(past->ran_as), DB_INT(past->ended_ms), DB_TEXT(txn->project),
		       DB_TEXT(past->session), DB_TEXT(past->id));
	else
		insert(txn, past, known.fence + 1);
	return OK;
}
