#include "core/binding.h"

#include "core/audit.h"
#include "core/waiter.h"

/* `clear` ends one conversation and begins the next within moments: an end longer ago has nothing to do with a start now. */
#define JUST_MS 60000

struct slot_facts {
	bool session_there;
	char client[LABEL_MAX + 1];
	struct binding bound; /* generation 0: nothing is */
	char owner[ID_SIZE];  /* "" : the value is nobody's */
	bool distinct;
	bool is_client_id;
};

static enum status
read_facts(struct txn *txn, const struct binding_ask *ask, struct slot_facts *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(
	    txn->db, &rows, why,
	    "SELECT client, (SELECT max(generation) FROM binding b WHERE b.project = $1 AND b.session = $2 AND b.slot = $3),"
	    " (SELECT value FROM binding b WHERE b.project = $1 AND b.session = $2 AND b.slot = $3 ORDER BY generation DESC LIMIT 1),"
	    " (SELECT max(bound_ms) FROM binding b WHERE b.project = $1 AND b.session = $2 AND b.slot = $3),"
	    " (SELECT o.session FROM binding_owner o WHERE o.project = $1 AND o.slot = $3 AND o.value = $4"
	    "  AND o.scope = CASE WHEN $3 = 'conversation' THEN s.client ELSE '' END),"
	    " (SELECT count(*) FROM binding_distinct d WHERE d.project = $1 AND d.slot = $3),"
	    " (SELECT count(*) FROM binding_owner o WHERE o.project = $1 AND o.slot = 'conversation' AND o.value = $4),"
	    " (SELECT placeholder FROM binding b WHERE b.project = $1 AND b.session = $2 AND b.slot = $3 ORDER BY generation DESC LIMIT 1)"
	    " FROM session s WHERE s.project = $1 AND s.session = $2",
	    DB_TEXT(txn->project), DB_TEXT(ask->session), DB_TEXT(ask->slot), DB_TEXT(ask->value));

	if (status != OK)
		return status;
	*out = (struct slot_facts){.session_there = rows.count > 0};
	if (rows.count > 0) {
		snprintf(out->client, sizeof out->client, "%s", db_text(&rows, 0, 0));
		out->bound.generation = db_int(&rows, 0, 1);
		snprintf(out->bound.value, sizeof out->bound.value, "%s", db_text(&rows, 0, 2));
		out->bound.bound_ms = db_int(&rows, 0, 3);
		snprintf(out->owner, sizeof out->owner, "%s", db_text(&rows, 0, 4));
		out->distinct = db_int(&rows, 0, 5) > 0;
		out->is_client_id = db_int(&rows, 0, 6) > 0;
		out->bound.placeholder = db_int(&rows, 0, 7) > 0;
	}
	db_rows_release(&rows);
	return OK;
}

/* Queued: one more generation, and whose the value is. */
static void
add_generation(struct txn *txn, const char *session, const char *slot, const char *scope, const char *value, bool placeholder)
{
	db_run(txn->db,
	       "INSERT INTO binding (project, session, slot, generation, value, bound_ms, bound_by, placeholder)"
	       " VALUES ($1, $2, $3, COALESCE((SELECT max(b.generation) FROM binding b WHERE b.project = $1 AND b.session = $2"
	       " AND b.slot = $3), 0) + 1, $4, $5, $6, $7)",
	       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(slot), DB_TEXT(value), DB_INT(txn_now(txn)), DB_TEXT(txn->actor),
	       DB_INT(placeholder));
	/* the same session may come back to an earlier value of its own; the key keeps it from being another's */
	db_run(txn->db,
	       "INSERT INTO binding_owner (project, slot, scope, value, session) VALUES ($1, $2, $3, $4, $5)"
	       " ON CONFLICT (project, slot, scope, value) DO UPDATE SET session = excluded.session"
	       " WHERE binding_owner.session = excluded.session",
	       DB_TEXT(txn->project), DB_TEXT(slot), DB_TEXT(scope), DB_TEXT(value), DB_TEXT(session));
}

static enum status
refuse(struct txn *txn, const struct binding_ask *ask, const struct slot_facts *facts, struct buf *why)
{
	txn->keep = true;
	audit_add(txn, ask->session, "binding.refused", ask->slot, facts->bound.value, ask->value);
	if (facts->owner[0] != '\0' && strcmp(facts->owner, ask->session) != 0)
		return why_not(why, CONFLICT, "%s is already %s of session %s; one value belongs to one session", ask->value, ask->slot,
		               facts->owner);
	if (facts->distinct && facts->is_client_id)
		return why_not(why, CONFLICT, "%s is a client's own id, which slot %s must never hold; bind the other system's id", ask->value,
		               ask->slot);
	return why_not(why, CONFLICT, "slot %s is bound to %s since generation %lld; use it, or --rebind", ask->slot,
	               facts->bound.value, (long long)facts->bound.generation);
}

static bool
may_bind(const struct binding_ask *ask, const struct slot_facts *facts)
{
	if (facts->owner[0] != '\0' && strcmp(facts->owner, ask->session) != 0)
		return false;
	if (facts->distinct && facts->is_client_id)
		return false;
	return facts->bound.value[0] == '\0' || facts->bound.placeholder || ask->rebind;
}

/*
 * Reads back what is there, rather than believe what was written; and wakes who waits for it: for the slot itself all, and of those
 * who wait for an item of a queue in which the session's first one was held by it, one.
 */
static enum status
confirm(struct txn *txn, const struct binding_ask *ask, int64_t generation, struct binding *out, struct buf *why)
{
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "SELECT b.value, b.generation, b.bound_ms, " WAITER_COLUMNS " FROM (SELECT value, generation, bound_ms FROM binding"
	           " WHERE project = $1 AND session = $2 AND slot = $3 ORDER BY generation DESC LIMIT 1) AS b LEFT JOIN waiter w"
	           " ON w.project = $1 AND (w.topic = '" BINDING_TOPIC "' || $2 || '/' || $3 OR w.topic IN (SELECT 'queue/' || q.queue"
	           " FROM queue q WHERE q.project = $1 AND $3 = (SELECT i.slot FROM queue_item i WHERE i.project = $1"
	           " AND i.queue = q.queue AND i.item = (SELECT f.item FROM queue_item f WHERE f.project = $1 AND f.line = $2"
	           " AND f.line <> '' AND f.queue = q.queue AND f.state = 1 LIMIT 1)))) ORDER BY " WAITER_ORDER,
	           DB_TEXT(txn->project), DB_TEXT(ask->session), DB_TEXT(ask->slot));

	if (status != OK)
		return status;
	if (rows.count == 0 || strcmp(db_text(&rows, 0, 0), ask->value) != 0 || db_int(&rows, 0, 1) != generation) {
		status = why_not(why, STORE_DOWN, "slot %s reads back as %s after %s was bound", ask->slot,
		                 rows.count == 0 ? "" : db_text(&rows, 0, 0), ask->value);
	} else {
		snprintf(out->value, sizeof out->value, "%s", ask->value);
		out->generation = generation;
		out->bound_ms = db_int(&rows, 0, 2);
		out->placeholder = ask->placeholder;
		waiter_wake(txn, &rows, 3, BINDING_TOPIC, true);
		waiter_wake(txn, &rows, 3, "queue/", false);
	}
	db_rows_release(&rows);
	return status;
}

/* Queued. */
static void
remove_placeholder(struct txn *txn, const struct binding_ask *ask, const struct binding *bound)
{
	db_run(txn->db, "DELETE FROM binding WHERE project = $1 AND session = $2 AND slot = $3 AND generation = $4",
	       DB_TEXT(txn->project), DB_TEXT(ask->session), DB_TEXT(ask->slot), DB_INT(bound->generation));
	db_run(txn->db, "DELETE FROM binding_owner WHERE project = $1 AND slot = $2 AND scope = '' AND value = $3",
	       DB_TEXT(txn->project), DB_TEXT(ask->slot), DB_TEXT(bound->value));
}

static enum status
bind_next(struct txn *txn, const struct binding_ask *ask, const struct slot_facts *facts, struct binding *out, struct buf *why)
{
	bool conversation = str_equal(ask->slot, SLOT_CONVERSATION), replaces = facts->bound.placeholder;

	if (replaces)
		remove_placeholder(txn, ask, &facts->bound);
	add_generation(txn, ask->session, ask->slot, conversation ? facts->client : "", ask->value, ask->placeholder);
	if (conversation)
		db_run(txn->db, "UPDATE session SET client_session = $1 WHERE project = $2 AND session = $3", DB_TEXT(ask->value),
		       DB_TEXT(txn->project), DB_TEXT(ask->session));
	/* the trail tells of a placeholder, and doesn't hold it */
	audit_add(txn, ask->session, ask->placeholder ? "binding.placeholder" : "binding.set", ask->slot,
	          replaces ? "" : facts->bound.value, ask->placeholder ? "" : ask->value);
	return confirm(txn, ask, facts->bound.generation + !replaces, out, why);
}

enum status
binding_set(struct txn *txn, const struct binding_ask *ask, struct binding *out, struct buf *why)
{
	struct slot_facts facts;
	enum status status = read_facts(txn, ask, &facts, why);

	if (status != OK)
		return status;
	if (!facts.session_there)
		return why_not(why, NO_SUCH, "no session %s here; `stile session list` shows those there are", ask->session);
	if (ask->distinct && !facts.distinct) {
		db_run(txn->db, "INSERT INTO binding_distinct (project, slot) VALUES ($1, $2) ON CONFLICT (project, slot) DO NOTHING",
		       DB_TEXT(txn->project), DB_TEXT(ask->slot));
		facts.distinct = true;
	}
	*out = facts.bound;
	if (facts.bound.generation > 0 && strcmp(facts.bound.value, ask->value) == 0 &&
	    facts.bound.placeholder == ask->placeholder && !(facts.distinct && facts.is_client_id))
		return OK;
	if (!may_bind(ask, &facts))
		return refuse(txn, ask, &facts, why);
	return bind_next(txn, ask, &facts, out, why);
}

enum status
binding_get(struct txn *txn, const char *session, const char *slot, struct binding *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT value, generation, bound_ms FROM binding WHERE project = $1 AND session = $2 AND slot = $3"
	                            " ORDER BY generation DESC LIMIT 1",
	                            DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(slot));

	if (status != OK)
		return status;
	if (rows.count == 0 || db_text(&rows, 0, 0)[0] == '\0') {
		status = why_not(why, NO_SUCH, "slot %s of session %s is not bound%s", slot, session,
		                 rows.count == 0 ? " yet" : " any more");
	} else {
		snprintf(out->value, sizeof out->value, "%s", db_text(&rows, 0, 0));
		out->generation = db_int(&rows, 0, 1);
		out->bound_ms = db_int(&rows, 0, 2);
	}
	db_rows_release(&rows);
	return status;
}

void
binding_clear(struct txn *txn, const char *session, const char *slot, const char *was)
{
	db_run(txn->db,
	       "INSERT INTO binding (project, session, slot, generation, value, bound_ms, bound_by) SELECT $1, $2, $3,"
	       " max(b.generation) + 1, '', $4, $5 FROM binding b WHERE b.project = $1 AND b.session = $2 AND b.slot = $3"
	       " HAVING max(b.generation) > 0",
	       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(slot), DB_INT(txn_now(txn)), DB_TEXT(txn->actor));
	audit_add(txn, session, "binding.cleared", slot, was, "");
}

enum status
binding_list(struct txn *txn, const char *session, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT slot, generation, value, bound_ms, bound_by, placeholder FROM binding WHERE project = $1"
	                            " AND session = $2 ORDER BY slot, generation",
	                            DB_TEXT(txn->project), DB_TEXT(session));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++) {
		json_t *one = json_pack("{ss sI ss sI ss}", "slot", db_text(&rows, i, 0), "generation", (json_int_t)db_int(&rows, i, 1),
		                        "value", db_text(&rows, i, 2), "bound_ms", (json_int_t)db_int(&rows, i, 3), "bound_by",
		                        db_text(&rows, i, 4));

		if (db_int(&rows, i, 5) > 0)
			json_object_set_new(one, "placeholder", json_true());
		json_array_append_new(out, one);
	}
	db_rows_release(&rows);
	return OK;
}

enum status
binding_keep_unbound(struct txn *txn, const char *slot, struct session_list *list, struct buf *why)
{
	json_t *bound = json_object();
	struct db_rows rows;
	size_t kept = 0;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT b.session FROM binding b WHERE b.project = $1 AND b.slot = $2 AND b.value <> ''"
	                            " AND b.placeholder = 0 AND NOT EXISTS (SELECT 1 FROM binding n WHERE n.project = $1"
	                            " AND n.session = b.session AND n.slot = $2 AND n.generation > b.generation)",
	                            DB_TEXT(txn->project), DB_TEXT(slot));

	if (status == OK) {
		for (size_t i = 0; i < rows.count; i++)
			json_object_set_new(bound, db_text(&rows, i, 0), json_true());
		for (size_t i = 0; i < list->count; i++)
			if (json_object_get(bound, list->items[i].id) == NULL)
				list->items[kept++] = list->items[i];
		list->count = kept;
		db_rows_release(&rows);
	}
	json_decref(bound);
	return status;
}

#define READING(path) \
	" (SELECT " TRANSCRIPT_READING " FROM transcript t WHERE t.project = $1 AND t.session = s.session AND t.path = " path ")"

/*
 * The session of the client's id (the column after its own is 1), and for a start every other that may matter: what is live, and
 * what a known process ended just before the last that did, so that nobody has to know what the time is first.  What the project says stands in each row, and there is one also when no session is.
 */
static enum status
ask_known(struct txn *txn, const struct session_start *start, bool roster, struct db_rows *rows, struct buf *why)
{
	const char *first = start->transcripts[0] == NULL ? "" : start->transcripts[0];
	const char *second = start->transcripts[1] == NULL ? "" : start->transcripts[1];

	if (!roster)
		return db_ask(txn->db, rows, why,
		              "SELECT " SESSION_COLUMNS ", 1, reaped_ms, epoch, instructions, instruction_conflicts," READING("$2") ", " READING("$3")
		              " FROM (SELECT 1 AS one) AS one LEFT JOIN project p ON p.project = $1 LEFT JOIN session s ON s.project = $1"
		              " AND s.session = (SELECT o.session FROM binding_owner o WHERE o.project = $1"
		              " AND o.slot = 'conversation' AND o.scope = $4 AND o.value = $5)",
		              DB_TEXT(txn->project), DB_TEXT(first), DB_TEXT(second), DB_TEXT(start->client), DB_TEXT(start->client_session));
	return db_ask(txn->db, rows, why,
	              "SELECT " SESSION_COLUMNS ", CASE WHEN session = (SELECT o.session FROM binding_owner o WHERE o.project = $1"
	              " AND o.slot = 'conversation' AND o.scope = $2 AND o.value = $3) THEN 1 ELSE 0 END AS known, reaped_ms, epoch,"
	              " instructions, instruction_conflicts," READING("$4") "," READING("$5")
	              " FROM (SELECT 1 AS one) AS one LEFT JOIN project p ON p.project = $1 LEFT JOIN session s ON s.project = $1"
	              " AND (state NOT IN ('ended', 'lost') OR (state = 'ended' AND pid > 0 AND ended_ms >= (SELECT max(e.ended_ms) - $6 FROM session e"
	              " WHERE e.project = $1 AND e.ended_ms IS NOT NULL))"
	              " OR session = (SELECT o.session FROM binding_owner o WHERE o.project = $1 AND o.slot = 'conversation'"
	              " AND o.scope = $2 AND o.value = $3)) ORDER BY started_ms, session LIMIT 10000",
	              DB_TEXT(txn->project), DB_TEXT(start->client), DB_TEXT(start->client_session), DB_TEXT(first), DB_TEXT(second),
	              DB_INT(JUST_MS));
}

/* After `clear`: of all that were found the one that goes on, or NULL. */
static const struct session *
continued_by_clear(const struct session_start *start, const struct session_list *found, int64_t now_ms)
{
	const struct session *ended = NULL, *live = NULL;
	size_t ended_count = 0, live_count = 0;

	if (start->process.pid <= 0)
		return NULL;
	for (size_t i = 0; i < found->count; i++) {
		const struct session *one = &found->items[i];

		if (!process_same(&one->process, &start->process) || strcmp(one->client, start->client) != 0)
			continue;
		if (session_is_live(one->state)) {
			live = one;
			live_count++;
		} else if (one->state == SESSION_ENDED && one->ended_ms >= now_ms - JUST_MS && str_equal(one->end_reason, "clear")) {
			ended = one;
			ended_count++;
		}
	}
	if (ended_count == 1)
		return ended;
	return ended_count == 0 && live_count == 1 ? live : NULL;
}

/* Queued. */
static void
join(struct txn *txn, const struct session_start *start, struct arrived *out)
{
	const char *actor = txn->actor;
	int64_t began_ms = session_began(txn, start);

	txn->actor = out->session.id;
	add_generation(txn, out->session.id, SLOT_CONVERSATION, start->client, start->client_session, false);
	audit_add(txn, out->session.id, "binding.set", SLOT_CONVERSATION, out->session.client_session, start->client_session);
	txn->actor = actor;
	/* who made it goes on calling it as before, whatever another client calls the conversation */
	if (str_equal(out->session.client, start->client))
		snprintf(out->session.client_session, sizeof out->session.client_session, "%s", start->client_session);
	/* it began before the end that it undoes was told */
	if (out->session.state == SESSION_ENDED && began_ms > 0 && began_ms < out->session.state_ms)
		out->session.state_ms = began_ms;
	out->joined = true;
}

static enum status
make(struct txn *txn, const struct session_start *start, struct arrived *out, struct buf *why)
{
	enum status status = session_create(txn, start, &out->session, why);

	if (status != OK)
		return status;
	add_generation(txn, out->session.id, SLOT_CONVERSATION, start->client, start->client_session, false);
	out->created = true;
	return OK;
}

/* Takes the rows apart: whether the id is known (into out->session), and all the others. */
static enum status
sort_out(const struct db_rows *rows, struct arrived *out, bool *known, struct buf *why)
{
	*known = false;
	out->others.items = rows->count == 0 ? NULL : calloc(rows->count, sizeof *out->others.items);
	if (rows->count > 0 && out->others.items == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	for (size_t i = 0; i < rows->count; i++) {
		out->reaped_ms = db_int(rows, i, SESSION_COLUMN_COUNT + 1);
		out->rulebook = (struct rulebook){db_int(rows, i, SESSION_COLUMN_COUNT + 2), db_int(rows, i, SESSION_COLUMN_COUNT + 3),
		                                  db_int(rows, i, SESSION_COLUMN_COUNT + 4)};
		if (db_is_null(rows, i, 0))
			continue;
		if (db_int(rows, i, SESSION_COLUMN_COUNT) == 1) {
			session_from_row(rows, i, &out->session);
			for (size_t n = 0; n < TRANSCRIPTS_READ; n++)
				snprintf(out->readings[n], READING_SIZE, "%s", db_text(rows, i, SESSION_COLUMN_COUNT + 5 + n));
			*known = true;
		} else {
			session_from_row(rows, i, &out->others.items[out->others.count++]);
		}
	}
	return OK;
}

/* Leaves the live ones, without the session itself. */
static void
keep_live(struct arrived *out)
{
	size_t kept = 0;

	for (size_t i = 0; i < out->others.count; i++)
		if (session_is_live(out->others.items[i].state) && strcmp(out->others.items[i].id, out->session.id) != 0) {
			if (kept != i)
				out->others.items[kept] = out->others.items[i];
			kept++;
		}
	out->others.count = kept;
}

enum status
binding_arrive(struct txn *txn, const struct session_start *start, enum arrival arrival, struct arrived *out, struct buf *why)
{
	const struct session *goes_on = NULL;
	struct arrived found = {0};
	struct db_rows rows;
	enum status status = ask_known(txn, start, arrival > ARRIVAL_GLANCE, &rows, why);
	bool known;

	if (status != OK)
		return status;
	status = sort_out(&rows, &found, &known, why);
	db_rows_release(&rows);
	if (status == OK && !known && arrival == ARRIVAL_CLEAR)
		goes_on = continued_by_clear(start, &found.others, txn_now(txn));
	if (status == OK && !known && goes_on == NULL && arrival != ARRIVAL_GLANCE)
		goes_on = start->joins;
	if (goes_on != NULL) {
		found.session = *goes_on;
		join(txn, start, &found);
	} else if (status == OK && !known && arrival == ARRIVAL_GLANCE) {
		status = why_not(why, NO_SUCH, "no event of this session has come yet");
	} else if (status == OK && !known) {
		status = make(txn, start, &found, why);
	}
	if (status != OK) {
		session_list_release(&found.others);
		return status;
	}
	keep_live(&found);
	*out = found;
	return OK;
}
