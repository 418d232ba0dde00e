#include "legacy/tractatus_session.h"

#include "base/str.h"
#include "core/metric.h"
#include "os/swap.h"

#include <errno.h>
#include <unistd.h>

#define SEEN "session"

void
tractatus_files_init(struct tractatus_files *files)
{
	*files = (struct tractatus_files){0};
	buf_init(&files->history, HISTORY_MAX);
	buf_init(&files->state_bytes, STATE_MAX);
	buf_init(&files->checkpoints_bytes, STATE_MAX);
}

void
tractatus_files_release(struct tractatus_files *files)
{
	buf_release(&files->history);
	buf_release(&files->state_bytes);
	buf_release(&files->checkpoints_bytes);
	json_decref(files->state);
	json_decref(files->checkpoints);
	files->state = files->checkpoints = NULL;
}

/* OK also when it isn't there: *there says so. */
static enum status
read_one(const struct tractatus_place *place, const char *name, struct buf *out, bool *there, struct buf *why)
{
	char path[PATH_SIZE];
	enum status status;

	*there = false;
	if (paths_join(path, sizeof path, place->folder, name) != OK)
		return why_not(why, BAD_INPUT, "the path is too long: %s", place->folder);
	status = swap_read(path, TRACTATUS_WAIT_MS, out, NULL, why);
	*there = status == OK;
	return status == NO_SUCH ? OK : status;
}

static enum status
read_document(const struct tractatus_place *place, const char *name, struct buf *bytes, json_t **out, struct buf *why)
{
	char reason[WHY_MAX];
	struct buf inner;
	char *copy;
	bool there;
	enum status status = read_one(place, name, bytes, &there, why);

	if (status != OK || !there)
		return status;
	buf_init(&inner, WHY_MAX);
	copy = strdup(bytes->data);
	status = copy == NULL ? NO_MEMORY : json_parse(copy, strlen(copy), out, &inner);
	if (status == OK && strlen(copy) < bytes->len)
		status = why_not(&inner, BAD_INPUT, "not JSON: a NUL byte in it");
	snprintf(reason, sizeof reason, "%s", inner.data);
	buf_release(&inner);
	free(copy);
	if (status != OK)
		return why_not(why, status, "%s: %.900s", name, status == NO_MEMORY ? "out of memory" : reason);
	if (state_is_ours(*out)) {
		json_decref(*out);
		*out = NULL;
	}
	return OK;
}

enum status
tractatus_files_read(const struct tractatus_place *place, struct tractatus_files *out, struct buf *why)
{
	char logs[PATH_SIZE];
	enum status status = read_one(place, TRACTATUS_HISTORY, &out->history, &out->history_there, why);

	if (status == OK)
		status = read_document(place, TRACTATUS_STATE, &out->state_bytes, &out->state, why);
	if (status == OK)
		status = read_document(place, TRACTATUS_CHECKPOINTS, &out->checkpoints_bytes, &out->checkpoints, why);
	if (status == OK && !out->history_there && out->state_bytes.len == 0 && out->checkpoints_bytes.len == 0 &&
	    (paths_join(logs, sizeof logs, place->root, ".memory/audit") != OK || access(logs, F_OK) != 0))
		return why_not(why, NO_SUCH, "%s: holds none of Tractatus' files (%s, %s, %s), and no .memory/audit is beside it",
		               place->folder, TRACTATUS_HISTORY, TRACTATUS_STATE, TRACTATUS_CHECKPOINTS);
	return status;
}

/* What the files say, as it is remembered; the caller's. */
static char *
said(const struct tractatus_files *files)
{
	json_t *both = json_object();
	struct buf text;

	json_object_set(both, "state", files->state);
	json_object_set(both, "checkpoints", files->checkpoints);
	buf_init(&text, STATE_MAX * 4);
	json_write(&text, both);
	json_decref(both);
	if (buf_status(&text) == OK)
		return text.data;
	buf_release(&text);
	return NULL;
}

bool
tractatus_session_is_new(const struct tractatus_place *place, const struct tractatus_files *files)
{
	const json_t *seen = json_object_get(place->seen, SEEN);
	char *now = files->state == NULL && files->checkpoints == NULL ? NULL : said(files);
	bool is_new = now != NULL && strcmp(now, json_text(seen, "text", "")) != 0;

	free(now);
	return is_new;
}

static void
save_numbers(struct txn *txn, const struct session *session, const struct state_read *numbers)
{
	for (size_t i = 0; i < numbers->metric_count; i++)
		metric_set(txn, session->id, numbers->metrics[i].name, numbers->metrics[i].value);
	for (size_t i = 0; i < numbers->checkpoints.count; i++) {
		const struct checkpoint *one = &numbers->checkpoints.items[i];
		int64_t fired_ms = one->fired_ms > 0 ? one->fired_ms : txn_now(txn);

		db_run(txn->db,
		       "INSERT INTO checkpoint (project, session, generation, percent, tokens, budget, fired_ms, told_ms)"
		       " VALUES ($1, $2, 1, $3, $4, $5, $6, $7)",
		       DB_TEXT(txn->project), DB_TEXT(session->id), DB_INT(one->percent), DB_INT(one->tokens), DB_INT(session->budget),
		       DB_INT(fired_ms), DB_INT(fired_ms));
	}
	if (numbers->started_ms > 0)
		db_run(txn->db, "UPDATE session SET started_ms = $1 WHERE project = $2 AND session = $3", DB_INT(numbers->started_ms),
		       DB_TEXT(txn->project), DB_TEXT(session->id));
}

/* So that it can be taken back. */
static void
remember(struct txn *txn, const struct tractatus_place *place, const char *import, const char *session)
{
	const json_t *before = json_object_get(place->seen, SEEN);

	db_run(txn->db,
	       "INSERT INTO tractatus_imported (project, import, kind, item, version, was) VALUES ($1, $2, 'session', $3, 0, '')",
	       DB_TEXT(txn->project), DB_TEXT(import), DB_TEXT(session));
	db_run(txn->db,
	       "INSERT INTO tractatus_imported (project, import, kind, item, version, was) VALUES ($1, $2, 'seen', $3, 0, $4)",
	       DB_TEXT(txn->project), DB_TEXT(import), DB_TEXT(SEEN), DB_TEXT(json_text(before, "text", "")));
}

enum status
tractatus_session_save(struct txn *txn, const struct tractatus_place *place, const struct tractatus_files *files,
                       const struct state_read *numbers, const char *import, char out[ID_SIZE], struct buf *why)
{
	struct session_start start = {.client = "tractatus",
	                              .client_session = numbers->session_id[0] == '\0' ? "imported" : numbers->session_id,
	                              .client_version = "",
	                              .parent = "",
	                              .budget = numbers->budget,
	                              .cwd = place->root,
	                              .worktree = "",
	                              .branch = ""};
	struct session session;
	char *text = said(files);
	enum status status = text == NULL ? why_not(why, NO_MEMORY, "out of memory") : OK;

	if (status == OK)
		status = session_create(txn, &start, &session, why);
	if (status == OK) {
		session_move(txn, &session, SESSION_ENDS, txn_now(txn), "imported");
		session_save(txn, &session);
		save_numbers(txn, &session, numbers);
		tractatus_seen_save(txn, place, SEEN, 0, text);
		remember(txn, place, import, session.id);
		memcpy(out, session.id, ID_SIZE);
	}
	free(text);
	return status;
}

static bool
has_number(const struct db_rows *rows, const struct state_metric *wanted)
{
	for (size_t i = 0; i < rows->count; i++)
		if (str_equal(db_text(rows, i, 0), wanted->name) && db_real(rows, i, 1) == wanted->value)
			return true;
	return false;
}

enum status
tractatus_session_verify(struct txn *txn, const struct state_read *numbers, const char *session, size_t decisions,
                         struct buf *why)
{
	size_t right = 0, wanted = *session == '\0' ? 0 : numbers->metric_count;
	struct db_rows rows;
	enum status status;

	if (*session == '\0' && decisions == 0)
		return OK;
	status =
		db_ask(txn->db, &rows, why,
	           "SELECT name, value FROM metric WHERE project = $1 AND session = $2 UNION ALL SELECT '', count(*) FROM audit"
	           " WHERE project = $1 AND kind = 'tractatus.decision' AND at_ms = $3",
	           DB_TEXT(txn->project), DB_TEXT(session), DB_INT(txn_now(txn)));
	if (status != OK)
		return status;
	for (size_t i = 0; i < wanted; i++)
		right += has_number(&rows, &numbers->metrics[i]);
	if (right != wanted || rows.count != wanted + 1 || !has_number(&rows, &(struct state_metric){"", (double)decisions}))
		status = why_not(why, CONFLICT,
		                 "the store has not the session's numbers and decisions as they were read; nothing was changed");
	db_rows_release(&rows);
	return status;
}

void
tractatus_session_remove(struct txn *txn, const char *session)
{
	db_run(txn->db, "DELETE FROM checkpoint WHERE project = $1 AND session = $2", DB_TEXT(txn->project), DB_TEXT(session));
	db_run(txn->db, "DELETE FROM metric WHERE project = $1 AND session = $2", DB_TEXT(txn->project), DB_TEXT(session));
	db_run(txn->db, "DELETE FROM session WHERE project = $1 AND session = $2 AND client = 'tractatus' AND state = 'ended'",
	       DB_TEXT(txn->project), DB_TEXT(session));
}
