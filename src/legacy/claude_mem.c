#include "legacy/claude_mem.h"

#include "base/json.h"
#include "base/str.h"

#define COLUMNS_MAX 4000

/* What is asked of pending_messages, in this order, after the session's columns. */
enum { OF_ID, OF_CONTENT, OF_PLATFORM, OF_ORPHAN, OF_STATUS, OF_CREATED, OF_RETRIES, OF_TOOL_USE, OF_TYPE };
static const struct {
	const char *column, *member; /* NULL: not in the payload */
	bool json;
} members[] = {
	{"message_type", "type", false},
	{"tool_name", "tool", false},
	{"tool_use_id", "tool_use", false},
	{"tool_input", "input", true},
	{"tool_response", "response", true},
	{"cwd", "cwd", false},
	{"agent_id", "agent", false},
	{"agent_type", "agent_type", false},
	{"prompt_number", "prompt_number", true},
	{"last_user_message", "user", false},
	{"last_assistant_message", "assistant", false},
};

static void
add_column(struct buf *sql, const struct buf *columns, const char *name)
{
	if (foreign_lists(columns, name))
		buf_printf(sql, ", p.%s", name);
	else
		buf_text(sql, ", NULL");
}

/*
 * A row whose session is gone may be of one that has its id again.  Those of no session come last, together for each id.
 */
static enum status
plan_pending(struct claude_mem *mem, const struct buf *columns, struct buf *why)
{
	bool named = foreign_lists(columns, mem->content);
	char content[LABEL_MAX];
	struct buf sql;

	if (!foreign_lists(columns, "id") || !foreign_lists(columns, "session_db_id") || !foreign_lists(columns, "status"))
		return why_not(why, BAD_INPUT, "its table pending_messages is of an era of claude-mem that isn't known here");
	snprintf(content, sizeof content, named ? "p.%s" : "NULL", mem->content);
	buf_init(&sql, sizeof mem->pending - 1);
	buf_printf(&sql, "SELECT p.id, COALESCE(s.%s, %s), %s, s.id IS NULL, p.status", mem->content, content,
	           mem->platform ? "s.platform_source" : "NULL");
	add_column(&sql, columns, "created_at_epoch");
	add_column(&sql, columns, "retry_count");
	add_column(&sql, columns, "tool_use_id");
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		add_column(&sql, columns, members[i].column);
	buf_printf(&sql,
	           " FROM pending_messages p LEFT JOIN sdk_sessions s ON s.id = COALESCE((SELECT a.id FROM sdk_sessions a"
	           " WHERE a.id = p.session_db_id), (SELECT min(c.id) FROM sdk_sessions c WHERE c.%s = %s))"
	           " WHERE ($1 IS NULL%s) ORDER BY s.id IS NULL, CASE WHEN s.id IS NULL THEN %s END, p.id",
	           mem->content, content, mem->project ? " OR s.project = $1" : "", content);
	if (buf_status(&sql) == OK)
		memcpy(mem->pending, sql.data, sql.len + 1);
	buf_release(&sql);
	return mem->pending[0] == '\0' ? why_not(why, NO_MEMORY, "out of memory") : OK;
}

static enum status
plan_sessions(struct claude_mem *mem, const struct buf *columns, struct buf *why)
{
	bool late = foreign_lists(columns, "content_session_id") && foreign_lists(columns, "memory_session_id");
	bool early = foreign_lists(columns, "claude_session_id") && foreign_lists(columns, "sdk_session_id");

	if (columns->len == 0)
		return why_not(why, BAD_INPUT, "is no database of claude-mem: it has no table sdk_sessions");
	if (!foreign_lists(columns, "id") || (!late && !early))
		return why_not(why, BAD_INPUT, "its table sdk_sessions is of an era of claude-mem that isn't known here");
	mem->content = late ? "content_session_id" : "claude_session_id";
	mem->memory = late ? "memory_session_id" : "sdk_session_id";
	mem->platform = foreign_lists(columns, "platform_source");
	mem->project = foreign_lists(columns, "project");
	mem->started = foreign_lists(columns, "started_at_epoch");
	return OK;
}

/* A number that a query answers with, 0 where there is no such table. */
static enum status
number(struct claude_mem *mem, const char *table, const char *what, int64_t *out, struct buf *why)
{
	char sql[200];
	struct buf columns;
	bool more = false;
	enum status status;

	buf_init(&columns, COLUMNS_MAX);
	status = foreign_columns(mem->foreign, table, &columns, why);
	snprintf(sql, sizeof sql, "SELECT %s FROM %s", what, table);
	if (status == OK && columns.len > 0) {
		status = foreign_ask(mem->foreign, sql, NULL, why);
		if (status == OK)
			status = foreign_next(mem->foreign, &more, why);
		if (status == OK && more)
			*out = foreign_int(mem->foreign, 0);
	}
	buf_release(&columns);
	return status;
}

static enum status
plan(struct claude_mem *mem, const char *table, enum status (*take)(struct claude_mem *, const struct buf *, struct buf *),
     struct buf *why)
{
	struct buf columns;
	enum status status;

	buf_init(&columns, COLUMNS_MAX);
	status = foreign_columns(mem->foreign, table, &columns, why);
	if (status == OK && columns.len > 0)
		status = foreign_check(mem->foreign, table, why);
	if (status == OK && (columns.len > 0 || take == plan_sessions))
		status = take(mem, &columns, why);
	buf_release(&columns);
	return status;
}

static enum status
look_at(struct claude_mem *mem, struct buf *why)
{
	enum status status = plan(mem, "sdk_sessions", plan_sessions, why);

	if (status == OK)
		status = plan(mem, "pending_messages", plan_pending, why);
	if (status == OK)
		status = number(mem, "schema_versions", "max(version)", &mem->schema, why);
	if (status == OK)
		status = number(mem, "user_prompts", "count(*)", &mem->prompts, why);
	if (status == OK)
		status = number(mem, "observations", "count(*)", &mem->observations, why);
	return status == OK ? number(mem, "session_summaries", "count(*)", &mem->summaries, why) : status;
}

enum status
claude_mem_open(struct claude_mem *mem, const char *path, struct buf *why)
{
	enum status status;

	*mem = (struct claude_mem){0};
	status = foreign_open(path, &mem->foreign, why);
	if (status != OK)
		return status;
	status = look_at(mem, why);
	if (status == OK)
		return OK;
	claude_mem_close(mem);
	return foreign_named(path, status, why);
}

void
claude_mem_close(struct claude_mem *mem)
{
	foreign_close(mem->foreign);
	mem->foreign = NULL;
}

static const char *
or_claude(const char *platform)
{
	return platform == NULL || *platform == '\0' ? "claude" : platform;
}

static void
refuse(struct past *past, const char *table, int64_t id, const char *text)
{
	char name[60];

	snprintf(name, sizeof name, "%s/%lld", table, (long long)id);
	past->counts.refused++;
	past_step(past, "refused", name, "", text);
}

static enum status
take_session(struct past *past, struct claude_mem *mem, struct buf *why)
{
	const char *content = foreign_text(mem->foreign, 1);
	const struct past_session told = {.client = or_claude(foreign_text(mem->foreign, 3)),
	                                  .client_session = content == NULL ? "" : content,
	                                  .value = foreign_text(mem->foreign, 2),
	                                  .started_ms = foreign_int(mem->foreign, 4)};

	return past_session(past, &told, why);
}

static enum status
walk_sessions(struct past *past, struct claude_mem *mem, struct buf *why)
{
	char sql[400];
	bool more;
	enum status status;

	snprintf(sql, sizeof sql, "SELECT id, %s, %s, %s, %s FROM sdk_sessions WHERE ($1 IS NULL%s) ORDER BY id", mem->content,
	         mem->memory, mem->platform ? "platform_source" : "NULL", mem->started ? "started_at_epoch" : "0",
	         mem->project ? " OR project = $1" : "");
	status = foreign_ask(mem->foreign, sql, past->only, why);
	while (status == OK && (status = foreign_next(mem->foreign, &more, why)) == OK && more)
		status = take_session(past, mem, why);
	return status;
}

static void
write_text(const struct redactor *redactor, const char *text, struct buf *out)
{
	struct buf clean;

	buf_init(&clean, out->max);
	redact_text(redactor, text, strlen(text), &clean);
	json_write_bytes(out, clean.data, clean.len);
	if (out->failed == OK)
		out->failed = clean.failed;
	buf_release(&clean);
}

/* As the JSON that it is, else as a text. */
static void
write_value(const struct redactor *redactor, const char *text, struct buf *out)
{
	char *copy = strdup(text);
	json_t *parsed = NULL;

	if (copy != NULL && json_parse(copy, strlen(copy), &parsed, NULL) == OK)
		redact_json(redactor, parsed, out);
	else
		write_text(redactor, text, out);
	json_decref(parsed);
	free(copy);
}

/* What is wrong with the row's texts, or NULL. */
static const char *
write_payload(const struct claude_mem *mem, struct buf *out)
{
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		const char *text = foreign_text(mem->foreign, OF_TYPE + (int)i);

		if (text == NULL)
			return "a text of it isn't UTF-8, or has a NUL in it";
		if (*text == '\0')
			continue;
		buf_printf(out, "%s\"%s\":", out->len == 0 ? "{" : ",", members[i].member);
		if (members[i].json)
			write_value(mem->redactor, text, out);
		else
			write_text(mem->redactor, text, out);
	}
	buf_text(out, out->len == 0 ? "{}" : "}");
	return buf_status(out) == BAD_INPUT ? "is longer than 16 MiB" : NULL;
}

/* Its tool's call, by which a hook would have put it too; or what it has always been called there. */
static void
make_key(struct foreign *foreign, char out[ID_MAX + 1])
{
	const char *tool_use = foreign_text(foreign, OF_TOOL_USE);

	if (tool_use != NULL && str_check_id("", tool_use, ID_MAX, NULL) == OK)
		snprintf(out, ID_MAX + 1, "%s", tool_use);
	else
		snprintf(out, ID_MAX + 1, CLAUDE_MEM "/%lld/%lld", (long long)foreign_int(foreign, OF_ID),
		         (long long)foreign_int(foreign, OF_CREATED));
}

static enum status
take_item(struct past *past, const struct claude_mem *mem, const char *dead, struct buf *why)
{
	char key[ID_MAX + 1];
	struct queue_put put = {.queue = CLAUDE_MEM_QUEUE, .key = key, .slot = CLAUDE_MEM_SLOT};
	struct buf payload;
	const char *wrong;
	enum status status = OK;

	buf_init(&payload, QUEUE_PAYLOAD_MAX);
	wrong = write_payload(mem, &payload);
	if (wrong != NULL)
		refuse(past, "pending_messages", foreign_int(mem->foreign, OF_ID), wrong);
	else if (buf_status(&payload) != OK)
		status = why_not(why, NO_MEMORY, "out of memory");
	if (wrong == NULL && status == OK) {
		make_key(mem->foreign, key);
		put.payload = payload.data;
		put.size = payload.len;
		status = past_item(past, &put, dead, why);
	}
	buf_release(&payload);
	return status;
}

/* Whose line it goes into.  `last` is the last id of a session that isn't there, which is made once. */
static enum status
find_session(struct past *past, struct foreign *foreign, char last[ID_MAX + 1], bool *fits, struct buf *why)
{
	const char *content = foreign_text(foreign, OF_CONTENT), *client = or_claude(foreign_text(foreign, OF_PLATFORM));
	bool orphan = foreign_int(foreign, OF_ORPHAN) != 0;

	*fits = content != NULL && str_check_id("", content, ID_MAX, NULL) == OK && str_check_id("", client, LABEL_MAX, NULL) == OK;
	if (!*fits)
		refuse(past, "pending_messages", foreign_int(foreign, OF_ID), "its session has no id that can be one");
	if (!*fits || !orphan)
		return *fits ? past_find(past, client, content, why) : OK;
	past->counts.orphans++;
	if (str_equal(content, last))
		return past_find(past, client, content, why);
	snprintf(last, ID_MAX + 1, "%s", content);
	return past_session(past, &(struct past_session){.client = client, .client_session = content, .value = "", .orphan = true},
	                    why);
}

static enum status
take_pending(struct past *past, const struct claude_mem *mem, char last[ID_MAX + 1], struct buf *why)
{
	struct foreign *foreign = mem->foreign;
	const char *state = foreign_text(foreign, OF_STATUS);
	char dead[60];
	bool fits, failed;
	enum status status;

	past->counts.rows++;
	if (state != NULL && str_equal(state, "processed")) {
		past->counts.left++;
		return OK;
	}
	failed = state != NULL && str_equal(state, "failed");
	if (!failed && (state == NULL || (!str_equal(state, "pending") && !str_equal(state, "processing")))) {
		refuse(past, "pending_messages", foreign_int(foreign, OF_ID), "its status isn't known");
		return OK;
	}
	snprintf(dead, sizeof dead, "failed in claude-mem after %lld tries", (long long)foreign_int(foreign, OF_RETRIES));
	status = find_session(past, foreign, last, &fits, why);
	return status == OK && fits ? take_item(past, mem, failed ? dead : NULL, why) : status;
}

enum status
claude_mem_walk(struct past *past, void *data, struct buf *why)
{
	struct claude_mem *mem = data;
	char last[ID_MAX + 1] = "";
	bool more;
	enum status status = walk_sessions(past, mem, why);

	if (status == OK && mem->pending[0] != '\0')
		status = foreign_ask(mem->foreign, mem->pending, past->only, why);
	while (status == OK && mem->pending[0] != '\0' && (status = foreign_next(mem->foreign, &more, why)) == OK && more)
		status = take_pending(past, mem, last, why);
	return status == OK ? foreign_unchanged(mem->foreign, why) : status;
}
