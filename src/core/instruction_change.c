#include "core/audit.h"
#include "core/instruction_parts.h"
#include "core/metric.h"

/* FNV-1a. */
int64_t
instruction_digest(const char *text)
{
	uint64_t digest = UINT64_C(14695981039346656037);

	for (; *text != '\0'; text++)
		digest = (digest ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return (int64_t)digest;
}

static enum status
check_text(const char *text, struct buf *why)
{
	size_t len = strlen(text), step;

	if (len > INSTRUCTION_TEXT_MAX)
		return why_not(why, BAD_INPUT, "the text is %zu bytes long; the limit is %zu", len, INSTRUCTION_TEXT_MAX);
	if (text[strspn(text, " \t\r\n")] == '\0')
		return why_not(why, BAD_INPUT, "the text is empty");
	for (size_t at = 0; at < len; at += step) {
		step = str_char(text + at, len - at);
		if (step == 0)
			return why_not(why, BAD_INPUT, "the text is not valid UTF-8");
		/* those of more bytes order lines and words, as people's texts do; where it is told they are blanks */
		if (str_is_control(text + at) && step < 3 && strchr("\t\r\n", text[at]) == NULL)
			return why_not(why, BAD_INPUT, "the text holds a control character (0x%02x)", (unsigned char)text[at + step - 1]);
	}
	return OK;
}

static enum status
check_object(const char *what, const char *text, struct buf *why)
{
	size_t len = strlen(text);

	if (len > INSTRUCTION_OBJECT_MAX)
		return why_not(why, BAD_INPUT, "%s are %zu bytes long; the limit is %zu", what, len, INSTRUCTION_OBJECT_MAX);
	return json_is_whole_object(text, len) ? OK : why_not(why, BAD_INPUT, "%s are no JSON object", what);
}

enum status
instruction_check(const struct instruction_draft *draft, struct buf *why)
{
	enum status status = draft->text == NULL ? OK : check_text(draft->text, why);

	if (status == OK && draft->persistence != NULL)
		status = str_check_text("the persistence", draft->persistence, LABEL_MAX, why);
	if (status == OK && draft->priority != INSTRUCTION_SAME &&
	    (draft->priority < 0 || draft->priority > INSTRUCTION_PRIORITY_MAX))
		status = why_not(why, BAD_INPUT, "the priority is a whole number from 0 to %d", INSTRUCTION_PRIORITY_MAX);
	if (status == OK && draft->parameters != NULL)
		status = check_object("the parameters", draft->parameters, why);
	if (status == OK && draft->fields != NULL)
		status = check_object("the fields", draft->fields, why);
	return status;
}

/* Reads the instruction `id`, and the active ones that say `text`: those first. */
static enum status
open_by_text(struct instruction_book *book, struct txn *txn, const char *session, const char *id, const char *text,
             struct buf *why)
{
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "SELECT p.epoch, p.instruction_number, p.instructions, " INSTRUCTION_COLUMNS " FROM (SELECT 1 AS one) AS one"
	           " LEFT JOIN project p ON p.project = $1 LEFT JOIN instruction i ON i.project = $1"
	           " AND i.current = 1 AND i.instruction IN (SELECT t.instruction FROM instruction t WHERE t.project = $1"
	           " AND t.digest = $2 AND t.current = 1 AND t.active = 1 AND t.text = $3 UNION ALL SELECT $4) ORDER BY made_epoch",
	           DB_TEXT(txn->project), DB_INT(instruction_digest(text)), DB_TEXT(text), DB_TEXT(id));

	return status == OK ? instruction_begin(book, txn, session, &rows, why) : status;
}

/* What a change gives back: what it read is the caller's. */
static void
give_back(struct instruction_book *book, const char *id, int64_t version, struct instruction_outcome *out)
{
	out->list = book->read;
	out->version = version;
	out->epoch = book->epoch;
	snprintf(out->id, sizeof out->id, "%s", id);
}

/* HIGH, MEDIUM and LOW are the same word in any case. */
static bool
same_persistence(const char *one, const char *other)
{
	int64_t standing = instruction_standing(one);

	return standing == INSTRUCTION_OTHER_WORD ? str_equal(one, other) : standing == instruction_standing(other);
}

/* In any order. */
static enum status
same_object(const char *one, const char *other, bool *same, struct buf *why)
{
	json_t *objects[2] = {NULL, NULL};
	enum status status = instruction_object(one, &objects[0], why);

	if (status == OK)
		status = instruction_object(other, &objects[1], why);
	if (status == OK)
		*same = json_equal(objects[0], objects[1]);
	json_decref(objects[0]);
	json_decref(objects[1]);
	return status;
}

static enum status
says_otherwise(const struct instruction *stands, const struct instruction_draft *draft, bool *otherwise, struct buf *why)
{
	enum status status = OK;
	bool same = true;

	if (draft->parameters != NULL && !str_equal(draft->parameters, stands->parameters))
		status = same_object(draft->parameters, stands->parameters, &same, why);
	*otherwise = !same || (draft->persistence != NULL && !same_persistence(draft->persistence, stands->persistence)) ||
	             (draft->priority != INSTRUCTION_SAME && draft->priority != stands->priority);
	return status;
}

/* The text stands already: one instruction, one more author. */
static enum status
say_again(struct txn *txn, const char *session, const struct instruction *stands, const struct instruction_draft *draft,
          struct buf *why)
{
	struct db_rows rows;
	bool otherwise;
	enum status status = says_otherwise(stands, draft, &otherwise, why);

	if (status != OK)
		return status;
	if (otherwise)
		return why_not(why, CONFLICT,
		               "%s says the same with another persistence, priority or parameters; change it with `stile instruction "
		               "edit"
		               " %s ... --version %lld`",
		               stands->id, stands->id, (long long)stands->version);
	if (str_equal(stands->actor, txn->actor))
		return OK;
	status = db_ask(txn->db, &rows, why,
	                "INSERT INTO instruction_mark (project, instruction, version, kind, actor, session, at_ms, count)"
	                " VALUES ($1, $2, $3, 'author', $4, $5, $6, 1) ON CONFLICT (project, instruction, version, kind, actor)"
	                " DO NOTHING RETURNING actor",
	                DB_TEXT(txn->project), DB_TEXT(stands->id), DB_INT(stands->version), DB_TEXT(txn->actor), DB_TEXT(session),
	                DB_INT(txn_now(txn)));
	if (status != OK)
		return status;
	if (rows.count > 0)
		audit_add(txn, session, "instruction.author", stands->id, stands->actor, txn->actor);
	db_rows_release(&rows);
	return OK;
}

static enum status
add_new(struct instruction_book *book, const struct instruction_draft *draft, struct instruction_outcome *out,
        json_t *conflicts, struct buf *why)
{
	enum status status = instruction_put(book, NULL, "", "add", draft, out->id, why);

	if (status == OK)
		status = instruction_close(book, conflicts, why);
	if (status == OK && *book->session != '\0')
		metric_add(book->txn, book->session, "instructions_added", 1);
	out->version = 1;
	out->epoch = book->epoch;
	return status;
}

enum status
instruction_add(struct txn *txn, const char *session, const struct instruction_draft *draft, struct instruction_outcome *out,
                json_t *conflicts, struct buf *why)
{
	struct instruction_book book;
	enum status status;

	*out = (struct instruction_outcome){0};
	status = open_by_text(&book, txn, session, "", draft->text, why);
	if (status != OK)
		return status;
	out->list = book.read;
	if (book.read.count == 0)
		return add_new(&book, draft, out, conflicts, why);
	out->again = true;
	give_back(&book, book.read.items[0].id, book.read.items[0].version, out);
	return say_again(txn, session, &book.read.items[0], draft, why);
}

/* Leaves only `one` in what was read: what is said back is of that. */
static void
keep_one(struct instruction_list *list, const struct instruction *one)
{
	list->items[0] = *one;
	list->count = 1;
}

static enum status
refuse_stale(const struct instruction *now, int64_t version, struct buf *why)
{
	char when[40], line[600];
	size_t len = strlen(now->text);

	str_instant(when, sizeof when, now->at_ms);
	if (len < sizeof line)
		str_one_line(line, sizeof line, now->text);
	else
		snprintf(line, sizeof line, "(%zu bytes; `stile instruction show %s`)", len, now->id);
	if (!now->active)
		return why_not(why, CONFLICT, "%s was retired by %s at %s; add it anew if it is to hold again", now->id, now->actor,
		               when);
	return why_not(why, CONFLICT, "%s is at version %lld, not %lld, by %s at %s; edit that one: %s", now->id,
	               (long long)now->version, (long long)version, now->actor, when, line);
}

static enum status
change(struct instruction_book *book, const char *id, int64_t version, const char *action,
       const struct instruction_draft *draft, struct instruction_outcome *out, json_t *conflicts, struct buf *why)
{
	const struct instruction *before = instruction_find(&book->read, id);
	enum status status;

	if (before == NULL)
		return why_not(why, NO_SUCH, "no instruction %s here; `stile instruction list --all` shows those there are", id);
	if (!before->active || (version != 0 && version != before->version)) {
		keep_one(&out->list, before);
		return refuse_stale(&out->list.items[0], version, why);
	}
	for (size_t i = 0; draft->text != NULL && i < book->read.count; i++)
		if (&book->read.items[i] != before && str_equal(book->read.items[i].text, draft->text))
			return why_not(why, CONFLICT, "%s says exactly that already; retire %s if one is to go", book->read.items[i].id,
			               id);
	status = instruction_put(book, before, before->id, action, draft, NULL, why);
	if (status == OK)
		status = instruction_close(book, conflicts, why);
	out->version = before->version + 1;
	out->epoch = book->epoch;
	return status;
}

enum status
instruction_edit(struct txn *txn, const char *session, const char *id, int64_t version, const struct instruction_draft *draft,
                 struct instruction_outcome *out, json_t *conflicts, struct buf *why)
{
	struct instruction_book book;
	enum status status;

	*out = (struct instruction_outcome){0};
	status = draft->text == NULL ? instruction_open(&book, txn, session, id, why)
	                             : open_by_text(&book, txn, session, id, draft->text, why);
	if (status != OK)
		return status;
	give_back(&book, id, 0, out);
	return change(&book, id, version, "edit", draft, out, conflicts, why);
}

enum status
instruction_retire(struct txn *txn, const char *session, const char *id, int64_t version, struct instruction_outcome *out,
                   json_t *conflicts, struct buf *why)
{
	struct instruction_draft draft = INSTRUCTION_DRAFT;
	struct instruction_book book;
	enum status status;

	*out = (struct instruction_outcome){0};
	draft.active = 0;
	status = instruction_open(&book, txn, session, id, why);
	if (status != OK)
		return status;
	give_back(&book, id, 0, out);
	return change(&book, id, version, "retire", &draft, out, conflicts, why);
}
