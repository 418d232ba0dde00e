#include "core/checkpoint.h"

#include "core/audit.h"

enum status
checkpoint_percents(const struct config *config, int64_t out[CHECKPOINTS_MAX], size_t *count, struct buf *why)
{
	const char *text = config_get(config, "stile", "checkpoints");
	char field[8];

	*count = 0;
	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, " ,\t");

		if (len > 0) {
			snprintf(field, sizeof field, "%.*s", (int)len, text);
			if (*count == CHECKPOINTS_MAX || len >= sizeof field || str_integer(field, 1, 100, &out[*count]) != OK)
				return why_not(why, BAD_CONFIG, "config: [stile] checkpoints: up to %d percents from 1 to 100, as in \"25 50 75\"",
				               CHECKPOINTS_MAX);
			++*count;
		}
		text += len;
		text += strspn(text, " ,\t");
	}
	return OK;
}

enum status
checkpoint_check(const struct config *config, struct buf *why)
{
	int64_t percents[CHECKPOINTS_MAX];
	size_t count;

	return checkpoint_percents(config, percents, &count, why);
}

static bool
is_reached(int64_t percent, int64_t tokens, int64_t budget)
{
	/* in floating point: a token count that somebody made up must not overflow */
	return tokens >= 0 && (double)tokens * 100 >= (double)percent * (double)budget;
}

static bool
has_percent(const struct checkpoint_list *list, int64_t percent)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].percent == percent)
			return true;
	return false;
}

bool
checkpoint_reached(const struct config *config, int64_t tokens, int64_t budget)
{
	int64_t percents[CHECKPOINTS_MAX];
	size_t count;

	if (checkpoint_percents(config, percents, &count, NULL) != OK)
		return true;
	for (size_t i = 0; i < count; i++)
		if (is_reached(percents[i], tokens, budget))
			return true;
	return false;
}

/* Those of the session's present generation, and its context.  Both in one answer: one row per checkpoint, or one without. */
static enum status
read_fired(struct txn *txn, const struct session *session, struct checkpoint_list *out, int64_t *tokens, struct buf *why)
{
	struct db_rows rows;
	enum status status =
	    db_ask(txn->db, &rows, why,
	           "SELECT m.value, c.percent, c.tokens, c.budget, c.fired_ms, c.told_ms FROM metric m LEFT JOIN checkpoint c"
	           " ON c.project = m.project AND c.session = m.session AND c.generation = $1"
	           " WHERE m.project = $2 AND m.session = $3 AND m.name = 'context_tokens' ORDER BY c.percent LIMIT 20",
	           DB_INT(session->generation), DB_TEXT(txn->project), DB_TEXT(session->id));

	if (status != OK)
		return status;
	*out = (struct checkpoint_list){0};
	*tokens = rows.count > 0 ? db_int(&rows, 0, 0) : -1;
	for (size_t i = 0; i < rows.count && i < CHECKPOINTS_MAX && !db_is_null(&rows, i, 1); i++)
		out->items[out->count++] = (struct checkpoint){.percent = db_int(&rows, i, 1),
		                                               .tokens = db_int(&rows, i, 2),
		                                               .budget = db_int(&rows, i, 3),
		                                               .generation = session->generation,
		                                               .fired_ms = db_int(&rows, i, 4),
		                                               .told_ms = db_int(&rows, i, 5)};
	db_rows_release(&rows);
	return OK;
}

static void
fire(struct txn *txn, const struct session *session, const struct checkpoint *checkpoint)
{
	char subject[24], after[80];

	db_run(txn->db,
	       "INSERT INTO checkpoint (project, session, generation, percent, tokens, budget, fired_ms) VALUES ($1, $2, $3, $4, $5,"
	       " $6, $7) ON CONFLICT (project, session, generation, percent) DO NOTHING",
	       DB_TEXT(txn->project), DB_TEXT(session->id), DB_INT(checkpoint->generation), DB_INT(checkpoint->percent),
	       DB_INT(checkpoint->tokens), DB_INT(checkpoint->budget), DB_INT(checkpoint->fired_ms));
	snprintf(subject, sizeof subject, "%lld", (long long)checkpoint->percent);
	snprintf(after, sizeof after, "%lld of %lld tokens", (long long)checkpoint->tokens, (long long)checkpoint->budget);
	audit_add(txn, session->id, "checkpoint.fired", subject, "", after);
}

static void
tell_all(struct txn *txn, const struct session *session, struct checkpoint_list *known, struct checkpoint_list *told)
{
	for (size_t i = 0; i < known->count; i++)
		if (known->items[i].told_ms == 0) {
			known->items[i].told_ms = txn_now(txn);
			told->items[told->count++] = known->items[i];
		}
	if (told->count == 0)
		return;
	db_run(txn->db,
	       "UPDATE checkpoint SET told_ms = $1 WHERE project = $2 AND session = $3 AND generation = $4 AND told_ms IS NULL",
	       DB_INT(txn_now(txn)), DB_TEXT(txn->project), DB_TEXT(session->id), DB_INT(session->generation));
	audit_add(txn, session->id, "checkpoint.told", "", "", "");
}

enum status
checkpoint_report(struct txn *txn, const struct session *session, bool tell, struct checkpoint_list *fired,
                  struct checkpoint_list *told, struct buf *why)
{
	int64_t percents[CHECKPOINTS_MAX], tokens;
	struct checkpoint_list known;
	size_t count;
	enum status status = checkpoint_percents(txn->config, percents, &count, why);

	*fired = *told = (struct checkpoint_list){0};
	if (status == OK)
		status = read_fired(txn, session, &known, &tokens, why);
	if (status != OK)
		return status;
	for (size_t i = 0; i < count && known.count < CHECKPOINTS_MAX; i++) {
		struct checkpoint due = {.percent = percents[i],
		                         .tokens = tokens,
		                         .budget = session->budget,
		                         .generation = session->generation,
		                         .fired_ms = txn_now(txn)};

		if (!is_reached(due.percent, tokens, session->budget) || has_percent(&known, due.percent))
			continue;
		fire(txn, session, &due);
		fired->items[fired->count++] = known.items[known.count++] = due;
	}
	if (tell)
		tell_all(txn, session, &known, told);
	return OK;
}

json_t *
checkpoint_json(const char *session, const struct checkpoint *checkpoint)
{
	json_t *object = json_pack("{ss sI sI sI sI sI}", "session", session, "generation", (json_int_t)checkpoint->generation,
	                           "percent", (json_int_t)checkpoint->percent, "tokens", (json_int_t)checkpoint->tokens, "budget",
	                           (json_int_t)checkpoint->budget, "fired_ms", (json_int_t)checkpoint->fired_ms);

	if (object != NULL)
		json_object_set_new(object, "told_ms", checkpoint->told_ms > 0 ? json_integer(checkpoint->told_ms) : json_null());
	return object;
}

enum status
checkpoint_all(struct txn *txn, const char *session, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT session, generation, percent, tokens, budget, fired_ms, told_ms FROM checkpoint"
	                            " WHERE project = $1 AND ($2 = '' OR session = $2) ORDER BY session, generation, percent LIMIT 10000",
	                            DB_TEXT(txn->project), DB_TEXT(session == NULL ? "" : session));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++) {
		struct checkpoint one = {.generation = db_int(&rows, i, 1),
		                         .percent = db_int(&rows, i, 2),
		                         .tokens = db_int(&rows, i, 3),
		                         .budget = db_int(&rows, i, 4),
		                         .fired_ms = db_int(&rows, i, 5),
		                         .told_ms = db_int(&rows, i, 6)};

		json_array_append_new(out, checkpoint_json(db_text(&rows, i, 0), &one));
	}
	db_rows_release(&rows);
	return OK;
}
