#include "core/spend.h"

void
usage_list_release(struct usage_list *list)
{
	free(list->items);
	*list = (struct usage_list){0};
}

enum status
usage_list_put(struct usage_list *list, const struct usage *usage)
{
	/* lines of one response stand close together: looking from the end finds it at once */
	for (size_t i = list->count; i-- > 0;)
		if (str_equal(list->items[i].message, usage->message) && str_equal(list->items[i].request, usage->request)) {
			list->items[i] = *usage;
			return OK;
		}
	if (list->count == list->cap) {
		size_t cap = list->cap == 0 ? 16 : list->cap * 2;
		struct usage *items = realloc(list->items, cap * sizeof *items);

		if (items == NULL)
			return NO_MEMORY;
		list->items = items;
		list->cap = cap;
	}
	list->items[list->count++] = *usage;
	return OK;
}

static void
from_row(const struct db_rows *rows, size_t row, struct transcript *out)
{
	*out = (struct transcript){
	    .position = db_int(rows, row, 2),
	    .inside = db_int(rows, row, 3) != 0,
	    .context_from = db_int(rows, row, 4),
	    .size = db_int(rows, row, 5),
	    .broken = db_int(rows, row, 6),
	};
	snprintf(out->path, sizeof out->path, "%s", db_text(rows, row, 0));
	snprintf(out->agent, sizeof out->agent, "%s", db_text(rows, row, 1));
}

enum status
spend_position(struct txn *txn, const char *client, const char *client_session, const char *path, struct transcript *out,
               struct transcript *lagging, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT path, agent, position, inside, context_from, size, broken FROM transcript"
	                            " WHERE project = $1 AND session = (SELECT o.session FROM binding_owner o WHERE o.project = $1"
	                            " AND o.slot = 'conversation' AND o.scope = $2 AND o.value = $3)"
	                            " AND (path = $4 OR position < size) ORDER BY path LIMIT 100",
	                            DB_TEXT(txn->project), DB_TEXT(client), DB_TEXT(client_session), DB_TEXT(path));

	if (status != OK)
		return status;
	*out = (struct transcript){0};
	*lagging = (struct transcript){0};
	snprintf(out->path, sizeof out->path, "%s", path);
	for (size_t i = 0; i < rows.count; i++)
		from_row(&rows, i, str_equal(db_text(&rows, i, 0), path) ? out : lagging);
	db_rows_release(&rows);
	return OK;
}

static void
take_usage(struct txn *txn, const char *session, const struct usage *usage)
{
	int64_t total = usage->input + usage->cache_write + usage->cache_read + usage->output;

	/* what the response counted for so far goes, what it counts for now comes */
	db_run(txn->db,
	       "INSERT INTO metric (project, session, name, value, base) VALUES ($1, $2, $3, $4 - coalesce((SELECT s.input +"
	       " s.cache_write + s.cache_read + s.output FROM spend s WHERE s.project = $1 AND s.session = $2 AND s.message = $5"
	       " AND s.request = $6), 0), 0) ON CONFLICT (project, session, name) DO UPDATE SET value = metric.value + excluded.value",
	       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(usage->agent[0] == '\0' ? "spent_tokens" : "subagent_tokens"),
	       DB_INT(total), DB_TEXT(usage->message), DB_TEXT(usage->request));
	db_run(txn->db,
	       "INSERT INTO spend (project, session, message, request, agent, input, cache_write, cache_read, output)"
	       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
	       " ON CONFLICT (project, session, message, request) DO UPDATE SET input = excluded.input,"
	       " cache_write = excluded.cache_write, cache_read = excluded.cache_read, output = excluded.output",
	       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(usage->message), DB_TEXT(usage->request), DB_TEXT(usage->agent),
	       DB_INT(usage->input), DB_INT(usage->cache_write), DB_INT(usage->cache_read), DB_INT(usage->output));
}

static void
move_on(struct txn *txn, const char *session, const struct transcript_look *look)
{
	const struct transcript *before = &look->before, *after = &look->after;

	db_run(txn->db,
	       "UPDATE transcript SET position = $1, inside = $2, size = $3, broken = $4, context_from = $5 WHERE project = $6"
	       " AND session = $7 AND path = $8",
	       DB_INT(after->position), DB_INT(after->inside), DB_INT(after->size), DB_INT(after->broken),
	       DB_INT(after->context_from), DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(before->path));
}

/* Whether the transcript still stands where the look began. */
static bool
stands(const struct transcript *before, const char *reading)
{
	char here[READING_SIZE];

	snprintf(here, sizeof here, "%lld %lld %d", (long long)before->position, (long long)before->context_from, before->inside);
	return str_equal(here, reading[0] == '\0' ? "0 0 0" : reading);
}

void
spend_take(struct txn *txn, const char *session, const struct transcript_look *look, const char *reading)
{
	if (!stands(&look->before, reading))
		return;
	if (reading[0] == '\0')
		db_run(txn->db,
		       "INSERT INTO transcript (project, session, path, agent, position, inside, context_from, size, broken)"
		       " VALUES ($1, $2, $3, $4, 0, 0, 0, 0, 0) ON CONFLICT (project, session, path) DO NOTHING",
		       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(look->before.path), DB_TEXT(look->after.agent));
	for (size_t i = 0; i < look->usages.count; i++)
		take_usage(txn, session, &look->usages.items[i]);
	if (look->context >= 0)
		metric_set(txn, session, "context_tokens", (double)look->context);
	move_on(txn, session, look);
}

void
spend_open_generation(struct txn *txn, const char *session, const char *path, int64_t size)
{
	if (*path == '\0')
		return;
	db_run(txn->db,
	       "INSERT INTO transcript (project, session, path, agent, position, inside, context_from, size, broken)"
	       " VALUES ($1, $2, $3, '', 0, 0, $4, 0, 0)"
	       " ON CONFLICT (project, session, path) DO UPDATE SET context_from = excluded.context_from",
	       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(path), DB_INT(size));
}
