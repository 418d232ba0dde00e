#include "core/instruction.h"

#include "core/audit.h"
#include "core/instruction_parts.h"

void
instruction_list_release(struct instruction_list *list)
{
	free(list->items);
	db_rows_release(&list->rows);
	*list = (struct instruction_list){0};
}

const struct instruction *
instruction_find(const struct instruction_list *list, const char *id)
{
	for (size_t i = 0; i < list->count; i++)
		if (str_equal(list->items[i].id, id))
			return &list->items[i];
	return NULL;
}

enum status
instruction_list_from(struct db_rows *rows, size_t column, struct instruction_list *out, struct buf *why)
{
	struct instruction_list list = {.items = calloc(rows->count + 1, sizeof *list.items), .rows = *rows};

	if (list.items == NULL) {
		db_rows_release(rows);
		return why_not(why, NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < rows->count; i++)
		if (!db_is_null(rows, i, column))
			list.items[list.count++] = (struct instruction){
				.id = db_text(rows, i, column),
				.version = db_int(rows, i, column + 1),
				.active = db_int(rows, i, column + 2) != 0,
				.text = db_text(rows, i, column + 3),
				.persistence = db_text(rows, i, column + 4),
				.priority = db_int(rows, i, column + 5),
				.parameters = db_text(rows, i, column + 6),
				.fields = db_text(rows, i, column + 7),
				.session = db_text(rows, i, column + 8),
				.actor = db_text(rows, i, column + 9),
				.at_ms = db_int(rows, i, column + 10),
				.epoch = db_int(rows, i, column + 11),
				.made_epoch = db_int(rows, i, column + 12),
			};
	*out = list;
	return OK;
}

enum status
instruction_list(struct txn *txn, bool all, struct instruction_list *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT " INSTRUCTION_COLUMNS " FROM instruction i WHERE project = $1 AND current = 1"
	                            " AND ($2 = 1 OR active = 1) ORDER BY made_epoch",
	                            DB_TEXT(txn->project), DB_INT(all));

	return status == OK ? instruction_list_from(&rows, 0, out, why) : status;
}

static enum status
one_of(struct db_rows *rows, const char *id, struct instruction_list *out, struct buf *why)
{
	enum status status = instruction_list_from(rows, 0, out, why);

	if (status == OK && out->count == 0) {
		instruction_list_release(out);
		status = why_not(why, NO_SUCH, "no instruction %s here; `stile instruction list --all` shows those there are", id);
	}
	return status;
}

enum status
instruction_load(struct txn *txn, const char *id, struct instruction_list *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT " INSTRUCTION_COLUMNS " FROM instruction i WHERE project = $1 AND instruction = $2"
	                            " AND current = 1",
	                            DB_TEXT(txn->project), DB_TEXT(id));

	return status == OK ? one_of(&rows, id, out, why) : status;
}

enum status
instruction_at(struct txn *txn, const char *id, int64_t version, struct instruction_list *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT " INSTRUCTION_COLUMNS " FROM instruction i WHERE project = $1 AND instruction = $2"
	                            " AND version = $3",
	                            DB_TEXT(txn->project), DB_TEXT(id), DB_INT(version));

	if (status == OK)
		status = one_of(&rows, id, out, why);
	return status == NO_SUCH ? why_not(why, NO_SUCH, "no version %lld of an instruction %s here", (long long)version, id)
	                         : status;
}

/* What the project says comes first in every row; there is one also when no instruction is. */
enum status
instruction_begin(struct instruction_book *book, struct txn *txn, const char *session, struct db_rows *rows, struct buf *why)
{
	struct instruction_book made = {.txn = txn, .session = session};
	enum status status;

	made.epoch = db_int(rows, 0, 0);
	made.number = db_int(rows, 0, 1);
	made.active = db_int(rows, 0, 2);
	status = instruction_list_from(rows, 3, &made.read, why);
	if (status == OK)
		*book = made;
	return status;
}

enum status
instruction_open(struct instruction_book *book, struct txn *txn, const char *session, const char *id, struct buf *why)
{
	struct db_rows rows;
	enum status status;

	if (id == NULL)
		status = db_ask(txn->db, &rows, why,
		                "SELECT p.epoch, p.instruction_number, p.instructions, " INSTRUCTION_COLUMNS
		                " FROM (SELECT 1 AS one) AS one"
		                " LEFT JOIN project p ON p.project = $1 LEFT JOIN instruction i ON i.project = $1 AND i.current = 1"
		                " ORDER BY made_epoch",
		                DB_TEXT(txn->project));
	else
		status =
			db_ask(txn->db, &rows, why,
		           "SELECT p.epoch, p.instruction_number, p.instructions, " INSTRUCTION_COLUMNS " FROM (SELECT 1 AS one) AS one"
		           " LEFT JOIN project p ON p.project = $1 LEFT JOIN instruction i ON i.project = $1 AND i.instruction = $2"
		           " AND i.current = 1",
		           DB_TEXT(txn->project), DB_TEXT(id));
	if (status == OK)
		status = instruction_begin(book, txn, session, &rows, why);
	if (status == OK)
		book->whole = id == NULL;
	return status;
}

/* N of an id inst_N, else 0: what is given later must be past it, however it is written. */
static int64_t
number_of(const char *id)
{
	int64_t number = 0;

	if (!str_starts(id, "inst_") || str_integer(id + 5, 0, INT64_C(999999999999999999), &number) != OK)
		return 0;
	return number;
}

static void
write_version(const struct instruction_book *book, const char *action, const struct instruction *now)
{
	const struct txn *txn = book->txn;

	if (now->version > 1)
		db_run(txn->db, "UPDATE instruction SET current = 0 WHERE project = $1 AND instruction = $2 AND version = $3",
		       DB_TEXT(txn->project), DB_TEXT(now->id), DB_INT(now->version - 1));
	db_run(txn->db,
	       "INSERT INTO instruction (project, instruction, version, current, active, action, text, digest, persistence, "
	       "standing,"
	       " priority, parameters, fields, session, actor, at_ms, epoch, made_epoch) VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8,"
	       " $9, $10, $11, $12, $13, $14, $15, $16, $17)",
	       DB_TEXT(txn->project), DB_TEXT(now->id), DB_INT(now->version), DB_INT(now->active), DB_TEXT(action),
	       DB_TEXT(now->text), DB_INT(instruction_digest(now->text)), DB_TEXT(now->persistence),
	       DB_INT(instruction_standing(now->persistence)), DB_INT(now->priority), DB_TEXT(now->parameters),
	       DB_TEXT(now->fields), DB_TEXT(now->session), DB_TEXT(now->actor), DB_INT(now->at_ms), DB_INT(now->epoch),
	       DB_INT(now->made_epoch));
}

static void
write_project(const struct instruction_book *book)
{
	const struct txn *txn = book->txn;

	db_run(txn->db,
	       "INSERT INTO project (project, created_ms, reaped_ms, epoch, instruction_number, instructions)"
	       " VALUES ($1, $2, 0, $3, $4, $5) ON CONFLICT (project) DO UPDATE SET epoch = excluded.epoch,"
	       " instruction_number = excluded.instruction_number, instructions = excluded.instructions",
	       DB_TEXT(txn->project), DB_INT(txn_now(txn)), DB_INT(book->epoch), DB_INT(book->number), DB_INT(book->active));
}

/* What the next version is: what the draft doesn't say stays. */
static struct instruction
next_version(const struct instruction_book *book, const struct instruction *before, const struct instruction_draft *draft)
{
	struct instruction now = {.active = true,
	                          .text = "",
	                          .persistence = "",
	                          .priority = INSTRUCTION_PRIORITY,
	                          .parameters = "{}",
	                          .fields = "{}",
	                          .made_epoch = book->epoch + 1};

	if (before != NULL)
		now = *before;
	now.version++;
	now.session = book->session;
	now.actor = book->txn->actor;
	now.at_ms = txn_now(book->txn);
	now.epoch = book->epoch + 1;
	if (draft->text != NULL)
		now.text = draft->text;
	if (draft->persistence != NULL)
		now.persistence = draft->persistence;
	if (draft->priority != INSTRUCTION_SAME)
		now.priority = draft->priority;
	if (draft->parameters != NULL)
		now.parameters = draft->parameters;
	if (draft->fields != NULL)
		now.fields = draft->fields;
	if (draft->active >= 0)
		now.active = draft->active != 0;
	return now;
}

static enum status
give_id(struct instruction_book *book, const char *id, char out[ID_MAX + 1], struct buf *why)
{
	enum status status = OK;

	if (*id == '\0')
		snprintf(out, ID_MAX + 1, "inst_%03lld", (long long)book->number + 1);
	else if ((status = str_check_id("the instruction's id", id, ID_MAX, why)) == OK)
		snprintf(out, ID_MAX + 1, "%s", id);
	if (status == OK && number_of(out) > book->number)
		book->number = number_of(out);
	return status;
}

enum status
instruction_put(struct instruction_book *book, const struct instruction *before, const char *id, const char *action,
                const struct instruction_draft *draft, char id_out[ID_MAX + 1], struct buf *why)
{
	struct instruction now = next_version(book, before, draft);
	char given[ID_MAX + 1], kind[40], was[24] = "", is[24];
	enum status status;

	if (before != NULL)
		snprintf(given, sizeof given, "%s", before->id);
	else if ((status = give_id(book, id, given, why)) != OK)
		return status;
	now.id = given;
	status = instruction_set(book, before, &now, why);
	if (status != OK)
		return status;
	write_version(book, action, &now);
	book->epoch++;
	book->puts++;
	book->active += (int64_t)now.active - (before != NULL && before->active);
	write_project(book);
	snprintf(kind, sizeof kind, "instruction.%.20s", action);
	if (before != NULL)
		snprintf(was, sizeof was, "version %lld", (long long)before->version);
	snprintf(is, sizeof is, "version %lld", (long long)now.version);
	audit_add(book->txn, book->session, kind, now.id, was, is);
	if (id_out != NULL)
		memcpy(id_out, given, sizeof given);
	return OK;
}
