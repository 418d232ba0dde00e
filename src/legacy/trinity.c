#include "legacy/trinity.h"

#include "base/str.h"

#define COLUMNS_MAX 4000

enum { OF_ID, OF_SESSION, OF_ORPHAN, OF_ROLE, OF_TEXT, OF_TIME, OF_RAN_AS };

/* A question that waits for the next row, which may be its answer. */
struct held {
	char id[ID_MAX + 1];      /* "" = none */
	char session[ID_MAX + 1]; /* Trinity's, of the last row */
	char *text;
	int64_t at_ms;
};

/* Whether all of these are among a table's columns. */
static bool
has_all(const struct buf *columns, const char *const names[])
{
	for (size_t i = 0; names[i] != NULL; i++)
		if (!foreign_lists(columns, names[i]))
			return false;
	return true;
}

static enum status
look_at_sessions(struct trinity *trinity, struct buf *columns, struct buf *why)
{
	static const char *const needed[] = {"id", "cached_claude_session_id", NULL};
	enum status status = foreign_columns(trinity->foreign, "agent_sessions", columns, why);

	if (status == OK && columns->len == 0)
		return why_not(why, BAD_INPUT, "is no database of Trinity's: it has no table agent_sessions");
	if (status == OK && !has_all(columns, needed))
		return why_not(why, BAD_INPUT, "its table agent_sessions is of an era of Trinity that isn't known here");
	trinity->agent = foreign_lists(columns, "agent_name");
	trinity->started = foreign_lists(columns, "started_at");
	return status == OK ? foreign_check(trinity->foreign, "agent_sessions", why) : status;
}

static enum status
look_at_messages(struct trinity *trinity, struct buf *columns, struct buf *why)
{
	static const char *const needed[] = {"id", "session_id", "role", "content", "timestamp", NULL};
	enum status status = foreign_columns(trinity->foreign, "agent_session_messages", columns, why);

	if (status == OK && !has_all(columns, needed))
		return why_not(why, BAD_INPUT, "its table agent_session_messages isn't there, or of an era that isn't known here");
	trinity->ran_as = foreign_lists(columns, "claude_session_id");
	return status == OK ? foreign_check(trinity->foreign, "agent_session_messages", why) : status;
}

enum status
trinity_open(struct trinity *trinity, const char *path, struct buf *why)
{
	struct buf sessions, messages;
	enum status status;

	*trinity = (struct trinity){0};
	status = foreign_open(path, &trinity->foreign, why);
	if (status != OK)
		return status;
	buf_init(&sessions, COLUMNS_MAX);
	buf_init(&messages, COLUMNS_MAX);
	status = look_at_sessions(trinity, &sessions, why);
	if (status == OK)
		status = look_at_messages(trinity, &messages, why);
	buf_release(&sessions);
	buf_release(&messages);
	if (status != OK)
		trinity_close(trinity);
	return status == OK ? OK : foreign_named(path, status, why);
}

void
trinity_close(struct trinity *trinity)
{
	foreign_close(trinity->foreign);
	trinity->foreign = NULL;
}

static enum status
take_session(struct past *past, struct foreign *foreign, struct buf *why)
{
	const char *id = foreign_text(foreign, 0), *started = foreign_text(foreign, 2);
	const struct past_session told = {.client = TRINITY,
	                                  .client_session = id == NULL ? "" : id,
	                                  .value = foreign_text(foreign, 1),
	                                  .started_ms = started == NULL ? 0 : str_instant_ms(started)};

	return past_session(past, &told, why);
}

static enum status
walk_sessions(struct past *past, const struct trinity *trinity, struct buf *why)
{
	char sql[300];
	bool more;
	enum status status;

	snprintf(sql, sizeof sql, "SELECT id, cached_claude_session_id, %s FROM agent_sessions WHERE ($1 IS NULL%s) ORDER BY rowid",
	         trinity->started ? "started_at" : "NULL", trinity->agent ? " OR agent_name = $1" : "");
	status = foreign_ask(trinity->foreign, sql, past->only, why);
	while (status == OK && (status = foreign_next(trinity->foreign, &more, why)) == OK && more)
		status = take_session(past, trinity->foreign, why);
	return status;
}

static void
refuse(struct past *past, const char *id, const char *text)
{
	char name[ID_MAX + 40];

	snprintf(name, sizeof name, "agent_session_messages/%s", id == NULL ? "?" : id);
	past->counts.refused++;
	past_step(past, "refused", name, "", text);
}

static void
let_go(struct held *held)
{
	held->id[0] = '\0';
	free(held->text);
	held->text = NULL;
}

/* The question that was held, with its answer or without one. */
static enum status
end_held(struct past *past, struct held *held, const struct turn_past *answer, struct buf *why)
{
	struct turn_past turn = {.id = held->id,
	                         .question = held->text,
	                         .answer = answer == NULL ? NULL : answer->answer,
	                         .ran_as = answer == NULL ? "" : answer->ran_as,
	                         .began_ms = held->at_ms,
	                         .ended_ms = answer == NULL ? held->at_ms : answer->ended_ms};
	enum status status = held->id[0] == '\0' ? OK : past_turn(past, &turn, why);

	let_go(held);
	return status;
}

static enum status
hold(struct held *held, const char *id, const char *text, int64_t at_ms, struct buf *why)
{
	held->text = strdup(text);
	if (held->text == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	snprintf(held->id, sizeof held->id, "%s", id);
	held->at_ms = at_ms;
	return OK;
}

/* The session that the row's turn is of; it may be another than the last row's, whose question then has no answer. */
static enum status
enter_session(struct past *past, struct foreign *foreign, struct held *held, struct buf *why)
{
	const char *session = foreign_text(foreign, OF_SESSION);
	enum status status;

	if (str_equal(held->session, session))
		return OK;
	status = end_held(past, held, NULL, why);
	if (status != OK)
		return status;
	snprintf(held->session, sizeof held->session, "%s", session);
	if (foreign_int(foreign, OF_ORPHAN) == 0)
		return past_find(past, TRINITY, session, why);
	return past_session(
		past, &(struct past_session){.client = TRINITY, .client_session = session, .value = "", .orphan = true}, why);
}

/* What is wrong with the row, or NULL. */
static const char *
wrong_with(struct foreign *foreign)
{
	const char *id = foreign_text(foreign, OF_ID), *session = foreign_text(foreign, OF_SESSION);
	const char *role = foreign_text(foreign, OF_ROLE), *text = foreign_text(foreign, OF_TEXT);

	if (id == NULL || str_check_id("", id, ID_MAX, NULL) != OK)
		return "its id can't be one";
	if (session == NULL || str_check_id("", session, ID_MAX, NULL) != OK)
		return "its session has no id that can be one";
	if (role == NULL || (!str_equal(role, "user") && !str_equal(role, "assistant")))
		return "its role isn't known";
	if (text == NULL)
		return "it isn't UTF-8, or has a NUL in it";
	return strlen(text) > TURN_TEXT_MAX ? "is longer than 1 MiB" : NULL;
}

static enum status
take_message(struct past *past, struct foreign *foreign, struct held *held, struct buf *why)
{
	const char *id = foreign_text(foreign, OF_ID), *text = foreign_text(foreign, OF_TEXT), *wrong = wrong_with(foreign);
	const char *ran_as = foreign_text(foreign, OF_RAN_AS), *time = foreign_text(foreign, OF_TIME);
	int64_t at_ms = time == NULL ? 0 : str_instant_ms(time);
	struct turn_past answer = {.id = id, .answer = text, .ran_as = "", .began_ms = at_ms, .ended_ms = at_ms};
	enum status status;

	past->counts.rows++;
	past->counts.orphans += foreign_int(foreign, OF_ORPHAN) != 0;
	if (wrong != NULL) {
		refuse(past, id, wrong);
		return OK;
	}
	status = enter_session(past, foreign, held, why);
	if (status == OK && str_equal(foreign_text(foreign, OF_ROLE), "user")) {
		status = end_held(past, held, NULL, why);
		return status == OK ? hold(held, id, text, at_ms, why) : status;
	}
	if (ran_as != NULL && str_check_text("", ran_as, ID_MAX, NULL) == OK)
		answer.ran_as = ran_as;
	if (status == OK && held->id[0] != '\0')
		return end_held(past, held, &answer, why);
	return status == OK ? past_turn(past, &answer, why) : status;
}

static enum status
walk_messages(struct past *past, const struct trinity *trinity, struct buf *why)
{
	struct held held = {0};
	char sql[500];
	bool more;
	enum status status;

	snprintf(sql, sizeof sql,
	         "SELECT m.id, m.session_id, s.id IS NULL, m.role, m.content, m.timestamp, %s FROM agent_session_messages m"
	         " LEFT JOIN agent_sessions s ON s.id = m.session_id WHERE ($1 IS NULL%s)"
	         " ORDER BY m.session_id, m.timestamp, m.rowid",
	         trinity->ran_as ? "m.claude_session_id" : "NULL", trinity->agent ? " OR s.agent_name = $1" : "");
	status = foreign_ask(trinity->foreign, sql, past->only, why);
	while (status == OK && (status = foreign_next(trinity->foreign, &more, why)) == OK && more)
		status = take_message(past, trinity->foreign, &held, why);
	if (status == OK)
		status = end_held(past, &held, NULL, why);
	let_go(&held);
	return status;
}

enum status
trinity_walk(struct past *past, void *data, struct buf *why)
{
	const struct trinity *trinity = data;
	enum status status = walk_sessions(past, trinity, why);

	if (status == OK)
		status = walk_messages(past, trinity, why);
	return status == OK ? foreign_unchanged(trinity->foreign, why) : status;
}
