#include "core/session.h"

#include "core/audit.h"

#define SESSIONS_MAX 10000

/* A text of ours that fits by construction.  A folder or branch may be named in bytes that are no text: `?` stands for those. */
static void
copy_text(char *out, size_t size, const char *text)
{
	size_t left, step;

	snprintf(out, size, "%s", text);
	for (left = strlen(out); left > 0; out += step, left -= step) {
		step = str_char(out, left);
		if (step == 0) {
			*out = '?';
			step = 1;
		}
	}
}

static void
take_text(char *out, size_t size, const struct db_rows *rows, size_t row, size_t column)
{
	copy_text(out, size, db_text(rows, row, column));
}

void
session_from_row(const struct db_rows *rows, size_t row, struct session *out)
{
	*out = (struct session){
	    .state_ms = db_int(rows, row, 6),
	    .started_ms = db_int(rows, row, 8),
	    .event_ms = db_int(rows, row, 9),
	    .ended_ms = db_int(rows, row, 10),
	    .events = db_int(rows, row, 12),
	    .generation = db_int(rows, row, 13),
	    .generation_ms = db_int(rows, row, 14),
	    .told_epoch = db_int(rows, row, 24),
	    .budget = db_int(rows, row, 15),
	    .budget_given = db_int(rows, row, 16) != 0,
	    .process = {.pid = db_int(rows, row, 17), .start = db_int(rows, row, 18), .space = db_int(rows, row, 19)},
	};
	take_text(out->id, sizeof out->id, rows, row, 0);
	take_text(out->client, sizeof out->client, rows, row, 1);
	take_text(out->client_session, sizeof out->client_session, rows, row, 2);
	take_text(out->client_version, sizeof out->client_version, rows, row, 3);
	take_text(out->parent, sizeof out->parent, rows, row, 4);
	if (session_state_parse(db_text(rows, row, 5), &out->state) != OK)
		out->state = SESSION_LOST;
	take_text(out->waiting_for, sizeof out->waiting_for, rows, row, 7);
	take_text(out->end_reason, sizeof out->end_reason, rows, row, 11);
	take_text(out->process.boot, sizeof out->process.boot, rows, row, 20);
	take_text(out->cwd, sizeof out->cwd, rows, row, 21);
	take_text(out->worktree, sizeof out->worktree, rows, row, 22);
	take_text(out->branch, sizeof out->branch, rows, row, 23);
}

int64_t
session_began(struct txn *txn, const struct session_start *start)
{
	return start->began_ms == 0 && start->began_boot_ms != 0 ? txn_at_boot(txn, start->began_boot_ms) : start->began_ms;
}

static void
fill(struct txn *txn, const struct session_start *start, struct session *out)
{
	int64_t began_ms = session_began(txn, start);

	out->state = SESSION_OPENING;
	out->state_ms = began_ms > 0 ? began_ms : txn_now(txn);
	out->started_ms = out->event_ms = out->generation_ms = txn_now(txn);
	out->generation = 1;
	out->told_epoch = -1;
	out->budget = start->budget;
	out->budget_given = start->budget > 0;
	out->process = start->process;
	snprintf(out->client, sizeof out->client, "%s", start->client);
	snprintf(out->client_session, sizeof out->client_session, "%s", start->client_session);
	snprintf(out->client_version, sizeof out->client_version, "%s", start->client_version);
	snprintf(out->parent, sizeof out->parent, "%s", start->parent);
	copy_text(out->cwd, sizeof out->cwd, start->cwd);
	copy_text(out->worktree, sizeof out->worktree, start->worktree);
	copy_text(out->branch, sizeof out->branch, start->branch);
}

enum status
session_create(struct txn *txn, const struct session_start *start, struct session *out, struct buf *why)
{
	const char *actor = txn->actor;
	struct session made = {0};
	enum status status = txn_id(txn, made.id, why);

	fill(txn, start, &made);
	if (status == OK && made.budget <= 0)
		status = config_whole(txn->config, "stile", "budget", &made.budget, why);
	if (status != OK)
		return status;
	db_run(txn->db,
	       "INSERT INTO session (project, session, client, client_session, client_version, parent, state, state_ms, waiting_for,"
	       " started_ms, event_ms, end_reason, events, generation, generation_ms, budget, budget_given, pid, pid_start,"
	       " pid_space, pid_boot, cwd, worktree, branch) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', $9, $10, '', 0, 1, $11,"
	       " $12, $13, $14, $15, $16, $17, $18, $19, $20)",
	       DB_TEXT(txn->project), DB_TEXT(made.id), DB_TEXT(made.client), DB_TEXT(made.client_session),
	       DB_TEXT(made.client_version), DB_TEXT(made.parent), DB_TEXT(session_state_name(made.state)), DB_INT(made.state_ms),
	       DB_INT(made.started_ms), DB_INT(made.event_ms), DB_INT(made.generation_ms), DB_INT(made.budget),
	       DB_INT(made.budget_given), DB_INT(made.process.pid), DB_INT(made.process.start), DB_INT(made.process.space),
	       DB_TEXT(made.process.boot), DB_TEXT(made.cwd), DB_TEXT(made.worktree), DB_TEXT(made.branch));
	txn->actor = made.id; /* a session starts itself, whoever asked for it */
	audit_add(txn, made.id, "session.start", made.client, "", made.client_session);
	txn->actor = actor;
	*out = made;
	return OK;
}

enum status
session_unknown(const char *id, struct buf *why)
{
	return why_not(why, NO_SUCH, "no session %s here; `stile session list` shows those there are", id);
}

enum status
session_load(struct txn *txn, const char *id, struct session *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why, "SELECT " SESSION_COLUMNS " FROM session WHERE project = $1 AND session = $2",
	                            DB_TEXT(txn->project), DB_TEXT(id));

	if (status != OK)
		return status;
	if (rows.count == 0)
		status = session_unknown(id, why);
	else
		session_from_row(&rows, 0, out);
	db_rows_release(&rows);
	return status;
}

void
session_save(struct txn *txn, const struct session *session)
{
	db_run(txn->db,
	       "UPDATE session SET client_session = $1, client_version = $2, state = $3, state_ms = $4, waiting_for = $5,"
	       " event_ms = $6, ended_ms = $7, end_reason = $8, events = $9, generation = $10, generation_ms = $11, budget = $12,"
	       " budget_given = $13, pid = $14, pid_start = $15, pid_space = $16, pid_boot = $17, cwd = $18, worktree = $19,"
	       " branch = $20, told_epoch = $21 WHERE project = $22 AND session = $23",
	       DB_TEXT(session->client_session), DB_TEXT(session->client_version), DB_TEXT(session_state_name(session->state)),
	       DB_INT(session->state_ms), DB_TEXT(session->waiting_for), DB_INT(session->event_ms),
	       session->ended_ms == 0 ? DB_NULL : DB_INT(session->ended_ms), DB_TEXT(session->end_reason), DB_INT(session->events),
	       DB_INT(session->generation), DB_INT(session->generation_ms), DB_INT(session->budget), DB_INT(session->budget_given),
	       DB_INT(session->process.pid), DB_INT(session->process.start), DB_INT(session->process.space),
	       DB_TEXT(session->process.boot), DB_TEXT(session->cwd), DB_TEXT(session->worktree), DB_TEXT(session->branch),
	       DB_INT(session->told_epoch), DB_TEXT(txn->project), DB_TEXT(session->id));
}

static const struct session_move_row *
find_move(enum session_state from, enum session_event event)
{
	const struct session_move_row *row;

	for (size_t i = 0; (row = session_move_nth(i)) != NULL; i++)
		if (row->from == from && row->event == event)
			return row;
	return NULL;
}

bool
session_move(struct txn *txn, struct session *session, enum session_event event, int64_t began_ms, const char *detail)
{
	const struct session_move_row *row = find_move(session->state, event);
	enum session_state before = session->state;

	/* what is older than the state moves it not; but one that has worked is no longer opening, in whatever order we hear of it */
	if (began_ms < session->state_ms && !(session->state == SESSION_OPENING && event == SESSION_WORKS))
		return false;
	/* an event that moves nothing is as new as one that does: what is older than it must not move the state later */
	if (session->state_ms < began_ms)
		session->state_ms = began_ms;
	if (row == NULL)
		return false;
	session->state = row->to;
	session->ended_ms = session_is_live(row->to) ? 0 : txn_now(txn);
	snprintf(session->waiting_for, sizeof session->waiting_for, "%s", row->to == SESSION_WAITING ? detail : "");
	snprintf(session->end_reason, sizeof session->end_reason, "%s", session_is_live(row->to) ? "" : detail);
	if (before != row->to)
		audit_add(txn, session->id, "session.state", detail, session_state_name(before), session_state_name(row->to));
	return true;
}

void
session_open_generation(struct txn *txn, struct session *session, const char *reason)
{
	char before[24], after[24];

	snprintf(before, sizeof before, "%lld", (long long)session->generation);
	session->generation++;
	session->generation_ms = txn_now(txn);
	snprintf(after, sizeof after, "%lld", (long long)session->generation);
	audit_add(txn, session->id, "session.generation", reason, before, after);
}

enum status
session_list(struct txn *txn, bool all, struct session_list *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT " SESSION_COLUMNS " FROM session WHERE project = $1"
	                            " AND ($2 = 1 OR state NOT IN ('ended', 'lost')) ORDER BY session DESC LIMIT $3",
	                            DB_TEXT(txn->project), DB_INT(all), DB_INT(SESSIONS_MAX));

	if (status != OK)
		return status;
	*out = (struct session_list){.items = calloc(rows.count + 1, sizeof *out->items)};
	if (out->items == NULL)
		status = why_not(why, NO_MEMORY, "out of memory");
	for (size_t i = rows.count; i-- > 0 && status == OK;)
		session_from_row(&rows, i, &out->items[out->count++]);
	db_rows_release(&rows);
	return status;
}

void
session_list_release(struct session_list *list)
{
	free(list->items);
	*list = (struct session_list){0};
}

bool
session_is_phantom(const struct session *session, int64_t now_ms, int64_t phantom_ms)
{
	return session->events == 0 && now_ms - session->started_ms >= phantom_ms;
}

json_t *
session_json(const struct session *session, enum liveness liveness)
{
	json_t *object = json_pack(
	    "{ss ss ss ss ss ss sI sI sI sI sI sI sb ss ss ss ss}", "session", session->id, "client", session->client,
	    "client_session", session->client_session, "client_version", session->client_version, "state",
	    session_state_name(session->state), "liveness", liveness_name(liveness), "started_ms", (json_int_t)session->started_ms,
	    "event_ms", (json_int_t)session->event_ms, "state_ms", (json_int_t)session->state_ms, "events",
	    (json_int_t)session->events, "generation", (json_int_t)session->generation, "budget", (json_int_t)session->budget,
	    "budget_given", (int)session->budget_given, "cwd", session->cwd, "worktree", session->worktree, "branch",
	    session->branch, "parent", session->parent);

	if (object != NULL && session->process.pid > 0)
		json_object_set_new(object, "pid", json_integer(session->process.pid));
	if (object != NULL && session->state == SESSION_WAITING)
		json_object_set_new(object, "waiting_for", json_string(session->waiting_for));
	if (object != NULL && session->ended_ms > 0) {
		json_object_set_new(object, "ended_ms", json_integer(session->ended_ms));
		json_object_set_new(object, "end_reason", json_string(session->end_reason));
	}
	return object;
}
