#include "core/instruction_parts.h"
#include "core/instruction_report.h"

void
instruction_news_release(struct instruction_news *news)
{
	instruction_list_release(&news->list);
}

enum status
instruction_config(const struct config *config, int64_t *count, int64_t *bytes, struct buf *why)
{
	enum status status = config_whole(config, "stile", "instructions_told", count, why);

	if (status == OK)
		status = config_whole(config, "stile", "instructions_bytes", bytes, why);
	if (status == OK && (*count < 0 || *count > INSTRUCTIONS_TOLD_MAX))
		return why_not(why, BAD_CONFIG, "config: [stile] instructions_told: a number from 0 to %d", INSTRUCTIONS_TOLD_MAX);
	if (status == OK && (*bytes < 0 || *bytes > INSTRUCTION_BYTES_MAX))
		return why_not(why, BAD_CONFIG, "config: [stile] instructions_bytes: a number from 0 to %d", INSTRUCTION_BYTES_MAX);
	return status;
}

/* A list's columns without what nobody is told. */
#define TOLD \
	"i.instruction AS instruction, i.version AS version, i.active AS active, i.text AS text, i.persistence AS persistence," \
	" i.priority AS priority, '' AS parameters, '' AS fields, i.session AS session, i.actor AS actor, i.at_ms AS at_ms," \
	" i.epoch AS epoch, i.made_epoch AS made_epoch, i.standing AS standing"

/*
 * After the instructions one row without an id, for what is told of all: how many there are (version), how many contradictions
 * (at_ms), and the newest of these in the texts.
 */
#define SUMMARY(instructions, conflicts) \
	" UNION ALL SELECT NULL, (SELECT count(*) FROM instruction i WHERE " instructions "), 0, b.parameter, b.chosen, 0," \
	" b.chosen_value, b.other, b.other_value, b.decided_by, (SELECT count(*) FROM instruction_conflict c WHERE " conflicts \
	"), 0, 0, 0 FROM (SELECT 1 AS one) AS one LEFT JOIN (SELECT * FROM instruction_conflict c WHERE " conflicts \
	" ORDER BY c.found_epoch DESC, c.parameter, c.other LIMIT 1) AS b ON 1 = 1"

#define STANDING "i.project = $1 AND i.current = 1 AND i.active = 1"
#define CHANGED "i.project = $1 AND i.epoch > $2 AND i.current = 1 AND i.session <> $3"
#define OPEN "c.project = $1 AND c.resolved_epoch = 0"
#define FOUND \
	OPEN " AND c.found_epoch > $2 AND NOT EXISTS (SELECT 1 FROM instruction v WHERE v.project = $1" \
		 " AND v.epoch = c.found_epoch AND v.session = $3)"

/* The usual case, that nothing contradicts, has a statement of its own: every start of a session pays for it. */
static enum status
ask_standing(struct txn *txn, const struct rulebook *rulebook, int64_t count, struct db_rows *rows, struct buf *why)
{
	if (rulebook->conflicts == 0)
		return db_ask(txn->db, rows, why,
		              "SELECT " TOLD " FROM instruction i WHERE " STANDING
		              " ORDER BY i.priority DESC, i.standing, i.made_epoch LIMIT $2",
		              DB_TEXT(txn->project), DB_INT(count));
	return db_ask(txn->db, rows, why,
	              "SELECT * FROM (SELECT " TOLD " FROM instruction i WHERE " STANDING
	              " ORDER BY i.priority DESC, i.standing, i.made_epoch LIMIT $2) AS a" SUMMARY(
					  STANDING, OPEN) " ORDER BY priority DESC, standing, made_epoch",
	              DB_TEXT(txn->project), DB_INT(count));
}

static enum status
ask_changed(struct txn *txn, const struct session *session, int64_t count, struct db_rows *rows, struct buf *why)
{
	return db_ask(txn->db, rows, why,
	              "SELECT * FROM (SELECT " TOLD " FROM instruction i WHERE " CHANGED
	              " ORDER BY i.epoch LIMIT $4) AS a" SUMMARY(CHANGED, FOUND) " ORDER BY epoch",
	              DB_TEXT(txn->project), DB_INT(session->told_epoch), DB_TEXT(session->id), DB_INT(count));
}

static void
take_summary(const struct db_rows *rows, struct instruction_news *out)
{
	for (size_t i = 0; i < rows->count; i++) {
		if (!db_is_null(rows, i, 0))
			continue;
		out->more = db_int(rows, i, 1) - (int64_t)out->list.count;
		out->conflicts = db_int(rows, i, 10);
		out->conflict.parameter = db_text(rows, i, 3);
		out->conflict.chosen = db_text(rows, i, 4);
		out->conflict.chosen_value = db_text(rows, i, 6);
		out->conflict.other = db_text(rows, i, 7);
		out->conflict.other_value = db_text(rows, i, 8);
		out->conflict.decided_by = db_text(rows, i, 9);
	}
}

static enum status
read_news(struct txn *txn, const struct session *session, const struct rulebook *rulebook, int64_t count,
          struct instruction_news *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = out->changes ? ask_changed(txn, session, count, &rows, why)
	                                  : ask_standing(txn, rulebook, count, &rows, why);

	if (status == OK)
		status = instruction_list_from(&rows, 0, &out->list, why);
	if (status != OK)
		return status;
	out->more = out->changes ? 0 : rulebook->active - (int64_t)out->list.count;
	take_summary(&out->list.rows, out);
	return OK;
}

enum status
instruction_tell(struct txn *txn, struct session *session, const struct rulebook *rulebook, bool anew,
                 struct instruction_news *out, struct buf *why)
{
	/* where none stands any more it is told what it was told once, and holds no longer */
	struct instruction_news news = {.changes = session->told_epoch >= 0 && (!anew || rulebook->active == 0)};
	int64_t count, bytes;
	enum status status = instruction_config(txn->config, &count, &bytes, why);

	*out = (struct instruction_news){0};
	news.asked = news.changes ? session->told_epoch != rulebook->epoch : rulebook->active > 0;
	if (status == OK && news.asked)
		status = read_news(txn, session, rulebook, count, &news, why);
	if (status != OK)
		return status;
	session->told_epoch = rulebook->epoch;
	*out = news;
	return OK;
}
