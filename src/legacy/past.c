#include "legacy/past.h"

#include "base/str.h"
#include "core/audit.h"
#include "core/queue_parts.h"
#include "os/clock.h"

/* What is here of a session. */
struct here {
	struct past *past;
	const struct past_session *told;
	char session[ID_SIZE]; /* "" = it isn't */
	bool created;
	char bound[ID_MAX + 1]; /* "" = nothing that would stay */
	char owner[ID_SIZE];    /* whose the value is; "" = nobody's */
	bool is_client_id;
	struct binding binding;
};

void
past_step(struct past *past, const char *action, const char *id, const char *was, const char *text)
{
	if (json_array_size(past->steps) < PAST_STEPS_MAX)
		json_array_append_new(past->steps,
		                      json_pack("{ss ss ss ss}", "action", action, "id", id, "was", was, "text", text));
}

static enum status
rule_look(struct txn *txn, void *data, struct buf *why)
{
	struct here *here = data;
	const struct past_session *told = here->told;
	struct db_rows rows;
	enum status status = db_ask(
		txn->db, &rows, why,
		"SELECT o.session, (SELECT CASE WHEN b.placeholder = 1 THEN '' ELSE b.value END FROM binding b WHERE b.project = $1"
		" AND b.session = o.session AND b.slot = $2 ORDER BY b.generation DESC LIMIT 1),"
		" (SELECT v.session FROM binding_owner v WHERE v.project = $1 AND v.slot = $2 AND v.scope = '' AND v.value = $3),"
		" (SELECT count(*) FROM binding_owner c WHERE c.project = $1 AND c.slot = 'conversation' AND c.scope = $4"
		" AND c.value = $3) FROM (SELECT 1 AS one) AS one LEFT JOIN binding_owner o ON o.project = $1"
		" AND o.slot = 'conversation' AND o.scope = $4 AND o.value = $5",
		DB_TEXT(txn->project), DB_TEXT(here->past->slot), DB_TEXT(told->value), DB_TEXT(told->client),
		DB_TEXT(told->client_session));

	txn->db->unhurried = true;
	if (status != OK)
		return status;
	snprintf(here->session, sizeof here->session, "%s", db_text(&rows, 0, 0));
	snprintf(here->bound, sizeof here->bound, "%s", db_text(&rows, 0, 1));
	snprintf(here->owner, sizeof here->owner, "%s", db_text(&rows, 0, 2));
	here->is_client_id = db_int(&rows, 0, 3) > 0;
	db_rows_release(&rows);
	return OK;
}

/* It is over: whoever goes on in it reopens it. */
static void
end(struct txn *txn, struct session *session, int64_t started_ms)
{
	session_move(txn, session, SESSION_ENDS, txn_now(txn), "imported");
	session_save(txn, session);
	if (started_ms > 0 && started_ms < txn_now(txn))
		db_run(txn->db, "UPDATE session SET started_ms = $1 WHERE project = $2 AND session = $3", DB_INT(started_ms),
		       DB_TEXT(txn->project), DB_TEXT(session->id));
}

static enum status
rule_make(struct txn *txn, void *data, struct buf *why)
{
	struct here *here = data;
	struct session_start start = {.client = here->told->client,
	                              .client_session = here->told->client_session,
	                              .client_version = "",
	                              .parent = "",
	                              .cwd = "",
	                              .worktree = "",
	                              .branch = ""};
	struct arrived arrived;
	enum status status;

	txn->db->unhurried = true;
	txn->actor = here->past->actor;
	status = binding_arrive(txn, &start, ARRIVAL_EVENT, &arrived, why);
	if (status != OK)
		return status;
	if (arrived.created)
		end(txn, &arrived.session, here->told->started_ms);
	here->created = arrived.created;
	memcpy(here->session, arrived.session.id, sizeof here->session);
	session_list_release(&arrived.others);
	return OK;
}

static enum status
rule_bind(struct txn *txn, void *data, struct buf *why)
{
	struct here *here = data;
	const struct binding_ask ask = {.session = here->session,
	                                .slot = here->past->slot,
	                                .value = here->told->value,
	                                .distinct = here->past->distinct};

	txn->db->unhurried = true;
	txn->actor = here->past->actor;
	return binding_set(txn, &ask, &here->binding, why);
}

static enum status
check_ids(const struct past_session *told, struct buf *why)
{
	enum status status = str_check_id("the client", told->client, LABEL_MAX, why);

	return status == OK ? str_check_id("the client's id", told->client_session, ID_MAX, why) : status;
}

static void
conflict(struct past *past, const struct here *here, const char *text)
{
	past->counts.conflicts++;
	past_step(past, "conflict", here->session, here->told->value, text);
}

/* Binds the value if it can be, and tells if it can't. */
static enum status
bind(struct past *past, struct here *here, struct buf *why)
{
	const struct past_session *told = here->told;
	char text[2 * ID_MAX + 100];
	enum status status = OK;

	if (here->owner[0] != '\0' && !str_equal(here->owner, here->session)) {
		snprintf(text, sizeof text, "its id is session %s's", here->owner);
		conflict(past, here, text);
	} else if (past->distinct && (here->is_client_id || str_equal(told->value, told->client_session))) {
		conflict(past, here, "its id is a client's own, which this slot never holds");
	} else if (here->bound[0] != '\0' && !str_equal(here->bound, told->value)) {
		snprintf(text, sizeof text, "is bound to %s here, which stays", here->bound);
		conflict(past, here, text);
	} else {
		past->counts.bound++;
		past->counts.bindings += here->bound[0] == '\0';
		if (here->bound[0] == '\0' && !past->looking)
			status = engine_run(past->engine, rule_bind, here, why);
	}
	return status;
}

static void
unbound(struct past *past, const struct here *here)
{
	char text[ID_SIZE + LABEL_MAX + 60];

	past->counts.unbound++;
	snprintf(text, sizeof text, "stile session bind %s %s ID", here->session[0] == '\0' ? "SESSION" : here->session, past->slot);
	past_step(past, "unbound", here->session, here->told->client_session, text);
}

/* What there is to bind; what can't be an id is told. */
static enum status
bind_told(struct past *past, struct here *here, const char *value, struct buf *why)
{
	if (value == NULL || str_check_text("", value, ID_MAX, NULL) != OK) {
		conflict(past, here, "what is bound to it there is no id");
		return OK;
	}
	if (*value != '\0')
		return bind(past, here, why);
	if (here->bound[0] == '\0')
		unbound(past, here);
	else
		past->counts.bound++;
	return OK;
}

enum status
past_session(struct past *past, const struct past_session *ask, struct buf *why)
{
	bool fits = ask->value != NULL && str_check_text("", ask->value, ID_MAX, NULL) == OK;
	struct past_session told = *ask;
	struct here here = {.past = past, .told = &told};
	enum status status = OK;

	told.value = fits ? ask->value : "";
	past->counts.sessions += !told.orphan;
	past->session[0] = '\0';
	if (check_ids(&told, why) != OK) {
		past->counts.refused++;
		past_step(past, "refused", "", "", why->data);
		return OK;
	}
	status = engine_read(past->engine, rule_look, &here, why);
	here.created = here.session[0] == '\0';
	if (status == OK && here.created && !past->looking)
		status = engine_run(past->engine, rule_make, &here, why);
	if (status != OK)
		return status;
	past->counts.created += here.created;
	memcpy(past->session, here.session, sizeof past->session);
	return bind_told(past, &here, ask->value, why);
}

enum status
past_find(struct past *past, const char *client, const char *client_session, struct buf *why)
{
	const struct past_session told = {.client = client, .client_session = client_session, .value = ""};
	struct here here = {.past = past, .told = &told};
	enum status status = engine_read(past->engine, rule_look, &here, why);

	if (status == OK)
		memcpy(past->session, here.session, sizeof past->session);
	return status;
}

struct putting {
	struct past *past;
	struct queue_put put;
	const char *dead; /* NULL = it isn't */
	bool known;
	struct queue_item item;
	char digest[DIGEST_SIZE], apart[ID_SIZE];
};

static enum status
rule_known(struct txn *txn, void *data, struct buf *why)
{
	struct putting *putting = data;
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT item FROM queue_item WHERE project = $1 AND queue = $2 AND line = $3 AND key = $4"
	                            " AND key <> ''",
	                            DB_TEXT(txn->project), DB_TEXT(putting->put.queue), DB_TEXT(putting->put.line),
	                            DB_TEXT(putting->put.key));

	txn->db->unhurried = true;
	if (status != OK)
		return status;
	putting->known = rows.count > 0;
	db_rows_release(&rows);
	return OK;
}

static enum status
rule_put(struct txn *txn, void *data, struct buf *why)
{
	struct putting *putting = data;
	const struct queue_failure failure = {.reason = putting->dead, .hopeless = true};
	enum status status;

	txn->db->unhurried = true;
	txn->actor = putting->past->actor;
	status = queue_put(txn, &putting->put, &putting->item, &putting->known, why);
	/* somebody else has put it meanwhile, in his own words */
	if (status == CONFLICT)
		return why_not(why, putting->known ? OK : CONFLICT, "%s", putting->known ? "" : why->data);
	return status == OK && putting->dead != NULL && !putting->known ? queue_fail(txn, &putting->item, &failure, why) : status;
}

static enum status
put(struct past *past, struct putting *putting, struct buf *why)
{
	enum status status = past->keep(past->data, putting->put.payload, putting->put.size, putting->apart, why);

	if (status != OK)
		return status;
	digest_make(putting->digest, putting->put.payload, putting->put.size);
	putting->put.digest = putting->digest;
	putting->put.apart = putting->apart;
	status = engine_run(past->engine, rule_put, putting, why);
	if (status != OUTCOME_UNKNOWN && (status != OK || putting->known))
		past->drop(past->data, putting->apart);
	return status;
}

enum status
past_item(struct past *past, const struct queue_put *ask, const char *dead, struct buf *why)
{
	struct putting putting = {.past = past, .put = *ask, .dead = dead};
	enum status status = OK;

	putting.put.line = past->session;
	if (past->session[0] != '\0')
		status = engine_read(past->engine, rule_known, &putting, why);
	if (status == OK && !putting.known && !past->looking)
		status = put(past, &putting, why);
	if (status != OK || putting.known)
		return status;
	past->counts.put++;
	past->counts.dead += dead != NULL;
	return OK;
}

struct taking {
	struct past *past;
	struct turn_past turn;
	bool look;
	size_t added;
};

static enum status
rule_turn(struct txn *txn, void *data, struct buf *why)
{
	struct taking *taking = data;

	txn->db->unhurried = true;
	txn->actor = taking->past->actor;
	return turn_take_past(txn, &taking->turn, taking->look, &taking->added, why);
}

enum status
past_turn(struct past *past, const struct turn_past *told, struct buf *why)
{
	struct taking taking = {.past = past, .turn = *told, .look = true};
	enum status status = OK;

	taking.turn.session = past->session;
	taking.added = (size_t)(told->question != NULL) + (told->answer != NULL);
	if (past->session[0] != '\0')
		status = engine_read(past->engine, rule_turn, &taking, why);
	taking.look = false;
	if (status == OK && taking.added > 0 && !past->looking)
		status = engine_run(past->engine, rule_turn, &taking, why);
	if (status == OK)
		past->counts.put += taking.added;
	return status;
}

size_t
past_changes(const struct past *past)
{
	return past->counts.created + past->counts.bindings + past->counts.put;
}

/* No step is waited for, and neither is what it saw; this is, with all that was before. */
static enum status
rule_settle(struct txn *txn, void *data, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why, "SELECT reaped_ms FROM project WHERE project = $1", DB_TEXT(txn->project));

	(void)data;
	if (status == OK)
		db_rows_release(&rows);
	return status;
}

static enum status
walk_once(struct past *past, past_walk *walk, void *foreign, bool looking, struct buf *why)
{
	past->looking = looking;
	past->counts = (struct past_counts){0};
	json_decref(past->steps);
	past->steps = json_array();
	return walk(past, foreign, why);
}

static enum status
rule_sign(struct txn *txn, void *data, struct buf *why)
{
	struct past *past = data;
	const struct past_counts *counts = &past->counts;
	char kind[LABEL_MAX], what[300];

	(void)why;
	snprintf(kind, sizeof kind, "%s.import", past->source);
	snprintf(what, sizeof what, "sessions %zu, bindings %zu, put %zu, dead %zu", counts->created, counts->bindings, counts->put,
	         counts->dead);
	txn->actor = past->by;
	audit_add(txn, "", kind, strchr(past->actor, '/') + 1, "", what);
	return OK;
}

/* What was brought in is all there when another look finds nothing to bring. */
static enum status
verify(struct past *past, past_walk *walk, void *foreign, struct buf *why)
{
	struct past seen = *past;
	enum status status;

	seen.steps = NULL;
	status = walk_once(&seen, walk, foreign, true, why);
	json_decref(seen.steps);
	if (status == OK && (past_changes(&seen) > 0 || seen.counts.sessions != past->counts.sessions ||
	                     seen.counts.rows != past->counts.rows))
		return why_not(why, CONFLICT, "%zu of the things that were imported are not there afterwards", past_changes(&seen));
	return status;
}

static enum status
take_back(struct past *past, enum status status, struct buf *why)
{
	char reason[WHY_MAX];
	struct past_undone undone;
	bool done;

	snprintf(reason, sizeof reason, "%s", why->data);
	done = past_undo(past, &undone, why) == OK;
	return why_not(why, status, "%.800s; %s", reason,
	               done ? "what had been imported was taken back" : "nothing was imported, or --rollback takes it back");
}

enum status
past_import(struct past *past, past_walk *walk, void *foreign, bool dry, char import[ID_SIZE], struct buf *why)
{
	uint8_t random[10];
	enum status status = walk_once(past, walk, foreign, true, why);

	import[0] = '\0';
	if (status == OK && (dry || past_changes(past) == 0))
		return engine_read(past->engine, rule_settle, NULL, why);
	if (status != OK)
		return status;
	if (past->engine->random(random, sizeof random) != OK)
		return why_not(why, IO_FAILED, "the system has no randomness to give");
	id_make(import, clock_wall_ms(), random);
	snprintf(past->actor, sizeof past->actor, "%s/%s", past->source, import);
	status = walk_once(past, walk, foreign, false, why);
	if (status == OK)
		status = verify(past, walk, foreign, why);
	if (status == OK)
		status = engine_run(past->engine, rule_sign, past, why);
	return status == OK ? OK : take_back(past, status, why);
}
