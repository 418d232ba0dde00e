#include "core/copy.h"

/* What names a project of a store to another store: the store's clone and the project. */
#define WHOSE_SIZE (ID_SIZE + 520)

struct copy {
	struct engine *target;
	const struct copy_ask *ask;
	struct copy_count *counts;
	struct txn *from, *to;
	char source[WHOSE_SIZE];
	char destination[WHOSE_SIZE];
	bool taken; /* the target has committed */
};

/* Of one table, page by page.  `rows` is released by the next call. */
struct reader {
	const struct copy_table *table;
	struct txn *txn;
	struct db_rows rows;
	bool begun;
};

static enum status
next_page(struct reader *reader, struct buf *why)
{
	struct db_value args[COPY_COLUMNS_MAX] = {DB_TEXT(reader->txn->project)};
	const struct db_rows *rows = &reader->rows;
	struct db_rows page = {0};
	enum status status = OK;

	if (reader->begun && rows->count == reader->table->page && reader->table->next != NULL) {
		memcpy(args + 1, db_at(rows, rows->count - 1, 1), reader->table->keys * sizeof *args);
		status = reader->txn->db->ops->ask(reader->txn->db, &page, reader->table->next, args, reader->table->keys + 1, why);
	} else if (!reader->begun) {
		status = reader->txn->db->ops->ask(reader->txn->db, &page, reader->table->first, args, 1, why);
	}
	reader->begun = true;
	db_rows_release(&reader->rows);
	reader->rows = page;
	if (status == OK && page.count > 0 && page.columns != reader->table->columns)
		return why_not(why, STORE_DOWN, "the table %s has %zu columns, not %zu", reader->table->name, page.columns,
		               reader->table->columns);
	return status;
}

static void
digest_bytes(uint64_t state[2], const void *data, size_t len)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++) {
		state[0] = (state[0] ^ bytes[i]) * 1099511628211u;
		state[1] = ((state[1] << 5 | state[1] >> 59) ^ bytes[i]) * 0x9e3779b97f4a7c15u;
	}
}

static void
digest_value(uint64_t state[2], const struct db_value *value)
{
	digest_bytes(state, &value->type, sizeof value->type);
	if (value->type == DB_TYPE_TEXT)
		digest_bytes(state, value->text, strlen(value->text) + 1);
	else if (value->type == DB_TYPE_INT)
		digest_bytes(state, &value->whole, sizeof value->whole);
	else if (value->type == DB_TYPE_REAL)
		digest_bytes(state, &value->real, sizeof value->real);
}

/* A sum, since two engines need not have the same order. */
static void
count_rows(struct copy_count *count, const struct db_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++) {
		uint64_t state[2] = {14695981039346656037u, 0x243f6a8885a308d3u};

		for (size_t j = 1; j < rows->columns; j++)
			digest_value(state, db_at(rows, i, j));
		count->digest[0] += state[0] ^ state[0] >> 29;
		count->digest[1] += state[1] ^ state[1] >> 32;
	}
	count->rows += (int64_t)rows->count;
}

static enum status
count_table(struct txn *txn, const struct copy_table *table, struct copy_count *count, struct buf *why)
{
	struct reader reader = {.table = table, .txn = txn};
	enum status status;

	*count = (struct copy_count){0};
	while ((status = next_page(&reader, why)) == OK && reader.rows.count > 0)
		count_rows(count, &reader.rows);
	db_rows_release(&reader.rows);
	return status;
}

/* So that what was queued fails now, and as little as a page waits. */
static enum status
settle(struct txn *txn, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why, "SELECT schema FROM store WHERE one = $1", DB_INT(1));

	if (status == OK)
		db_rows_release(&rows);
	return status;
}

static enum status
put_page(const struct copy *copy, const struct copy_table *table, const struct db_rows *rows, struct buf *why)
{
	struct db_value args[COPY_COLUMNS_MAX];

	for (size_t i = 0; i < rows->count; i++) {
		memcpy(args, db_at(rows, i, 0), table->columns * sizeof *args);
		args[0] = DB_TEXT(copy->to->project);
		copy->to->db->ops->run(copy->to->db, table->insert, args, table->columns);
	}
	return settle(copy->to, why);
}

static enum status
put_table(struct copy *copy, const struct copy_table *table, struct copy_count *count, struct buf *why)
{
	struct reader reader = {.table = table, .txn = copy->from};
	enum status status;

	*count = (struct copy_count){0};
	while ((status = next_page(&reader, why)) == OK && reader.rows.count > 0) {
		count_rows(count, &reader.rows);
		status = put_page(copy, table, &reader.rows, why);
		if (status != OK)
			break;
	}
	db_rows_release(&reader.rows);
	return status;
}

static bool
is_same(const struct copy_count *a, const struct copy_count *b)
{
	return a->rows == b->rows && a->digest[0] == b->digest[0] && a->digest[1] == b->digest[1];
}

/* CONFLICT with *differs, the first table in which the two do. */
static enum status
compare(struct txn *txn, const struct copy_count *counts, const char **differs, struct buf *why)
{
	const struct copy_table *table;
	struct copy_count there;

	for (size_t i = 0; (table = copy_nth(i)) != NULL; i++) {
		enum status status = count_table(txn, table, &there, why);

		if (status != OK)
			return status;
		if (!is_same(&there, &counts[i]))
			*differs = table->name;
		if (!is_same(&there, &counts[i]))
			return CONFLICT;
	}
	return OK;
}

static enum status
read_whose(struct txn *txn, char out[WHOSE_SIZE], struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why, "SELECT clone FROM store WHERE one = $1", DB_INT(1));

	if (status != OK)
		return status;
	snprintf(out, WHOSE_SIZE, "%s/%s", rows.count > 0 ? db_text(&rows, 0, 0) : "", txn->project);
	db_rows_release(&rows);
	return OK;
}

/* *table: the first that has rows of the project, besides `project` itself; NULL for none. */
static enum status
find_rows(struct txn *txn, const char **table, struct buf *why)
{
	const struct copy_table *one;
	enum status status = OK;

	*table = NULL;
	for (size_t i = 0; status == OK && *table == NULL && (one = copy_nth(i)) != NULL && one->next != NULL; i++) {
		struct reader reader = {.table = one, .txn = txn};

		status = next_page(&reader, why);
		if (status == OK && reader.rows.count > 0)
			*table = one->name;
		db_rows_release(&reader.rows);
	}
	return status;
}

static enum status
read_mark(struct txn *txn, char where[TEXT_MAX + 1], char whose[WHOSE_SIZE], struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why, "SELECT moved, moved_to FROM project WHERE project = $1",
	                            DB_TEXT(txn->project));

	*where = *whose = '\0';
	if (status != OK)
		return status;
	if (rows.count > 0) {
		snprintf(where, TEXT_MAX + 1, "%s", db_text(&rows, 0, 0));
		snprintf(whose, WHOSE_SIZE, "%s", db_text(&rows, 0, 1));
	}
	db_rows_release(&rows);
	return OK;
}

/* In one SQLite file all projects draw their numbers from one row of them. */
static enum status
check_numbers(struct copy *copy, struct buf *why)
{
	struct db_rows rows;
	int64_t first, last;
	bool taken;
	enum status status;

	if (!str_equal(copy->to->db->ops->name, "sqlite"))
		return OK;
	status = db_ask(copy->from->db, &rows, why, "SELECT min(seq), max(seq) FROM audit WHERE project = $1",
	                DB_TEXT(copy->from->project));
	if (status != OK)
		return status;
	first = db_int(&rows, 0, 0);
	last = db_int(&rows, 0, 1);
	db_rows_release(&rows);
	status = db_ask(copy->to->db, &rows, why, "SELECT seq FROM audit WHERE project <> $1 AND seq BETWEEN $2 AND $3 LIMIT 1",
	                DB_TEXT(copy->to->project), DB_INT(first), DB_INT(last));
	if (status != OK)
		return status;
	taken = rows.count > 0;
	db_rows_release(&rows);
	return taken ? why_not(why, CONFLICT,
	                       "%s: another project has numbers there that these rows have; give them a store of their own",
	                       copy->ask->target_name)
	             : OK;
}

static enum status
put_all(struct copy *copy, struct buf *why)
{
	struct txn *to = copy->to;
	int64_t from_ms = txn_now(copy->from), to_ms = txn_now(to), now_ms = from_ms > to_ms ? from_ms : to_ms;
	const struct copy_table *table;
	const char *differs;
	struct db_rows rows;
	enum status status = check_numbers(copy, why);

	for (size_t i = 0; status == OK && (table = copy_nth(i)) != NULL; i++)
		status = put_table(copy, table, &copy->counts[i], why);
	if (status == OK)
		status = db_ask(to->db, &rows, why, "SELECT coalesce(max(seq), 0) FROM audit WHERE project = $1", DB_TEXT(to->project));
	if (status != OK)
		return status;
	to->db->ops->catch_up(to->db, now_ms, db_int(&rows, 0, 0));
	db_rows_release(&rows);
	status = compare(to, copy->counts, &differs, why);
	if (status == CONFLICT)
		return why_not(why, STORE_DOWN, "%s: the table %s was not read back as it was written; nothing is kept",
		               copy->ask->target_name, differs);
	return status;
}

/* A copy that ended between the two commits has left the same rows here: then the mark alone is to be made. */
static enum status
is_there_already(struct copy *copy, const char *rows_in, struct buf *why)
{
	const struct copy_table *table;
	const char *differs;
	enum status status = OK;

	for (size_t i = 0; status == OK && (table = copy_nth(i)) != NULL; i++)
		status = count_table(copy->from, table, &copy->counts[i], why);
	if (status == OK)
		status = compare(copy->to, copy->counts, &differs, why);
	if (status == CONFLICT)
		return why_not(why, CONFLICT, "%s: project %s has rows there already (%s); name another with ?project=NAME",
		               copy->ask->target_name, copy->to->project, rows_in);
	return status;
}

static enum status
rule_take(struct txn *txn, void *data, struct buf *why)
{
	struct copy *copy = data;
	char where[TEXT_MAX + 1], whose[WHOSE_SIZE];
	const struct copy_table *table;
	const char *rows_in;
	enum status status = read_mark(txn, where, whose, why);

	copy->to = txn;
	if (status == OK)
		status = find_rows(txn, &rows_in, why);
	if (status != OK)
		return status;
	if (*where != '\0' && !str_equal(whose, copy->source))
		return why_not(why, CONFLICT, "%s: project %s has moved from there to %s, and not to %s", copy->ask->target_name,
		               txn->project, where, copy->ask->source_name);
	if (*where == '\0' && rows_in != NULL)
		return is_there_already(copy, rows_in, why);
	for (size_t i = 0; (table = copy_nth(i)) != NULL && table->next != NULL; i++)
		db_run(txn->db, table->erase, DB_TEXT(txn->project));
	return put_all(copy, why);
}

static enum status
rule_give(struct txn *txn, void *data, struct buf *why)
{
	struct copy *copy = data;
	const char *rows_in;
	enum status status = find_rows(txn, &rows_in, why);

	if (status == OK && rows_in == NULL)
		return why_not(why, NO_SUCH, "%s: project %s has no rows there", copy->ask->source_name, txn->project);
	copy->from = txn;
	/* it bears the mark, and on a server it is there once somebody has written */
	db_run(txn->db, "INSERT INTO project (project, created_ms, reaped_ms) VALUES ($1, $2, 0) ON CONFLICT (project) DO NOTHING",
	       DB_TEXT(txn->project), DB_INT(txn_now(txn)));
	if (status == OK && copy->ask->gather != NULL)
		status = copy->ask->gather(txn, copy->ask->arg, why);
	if (status == OK)
		status = engine_run(copy->target, rule_take, copy, why);
	copy->taken = status == OK;
	if (status == OK && !copy->ask->keep)
		db_run(txn->db, "UPDATE project SET moved = $1, moved_to = $2 WHERE project = $3", DB_TEXT(copy->ask->target_name),
		       DB_TEXT(copy->destination), DB_TEXT(txn->project));
	return status;
}

static enum status
rule_whose(struct txn *txn, void *data, struct buf *why)
{
	return read_whose(txn, data, why);
}

enum status
copy_rows(struct engine *source, struct engine *target, const struct copy_ask *ask, struct copy_count counts[COPY_TABLES_MAX],
          struct buf *why)
{
	struct copy copy = {.target = target, .ask = ask, .counts = counts};
	enum status status = engine_read(source, rule_whose, copy.source, why);

	target->db->moved_too = true;
	if (status == OK)
		status = engine_read(target, rule_whose, copy.destination, why);
	if (status == OK && str_equal(copy.source, copy.destination))
		return why_not(why, BAD_INPUT, "%s: is the store that is to be copied", ask->target_name);
	if (status == OK)
		status = engine_run(source, rule_give, &copy, why);
	if (status != OK && copy.taken)
		return why_not(why, OUTCOME_UNKNOWN, "the rows are in %s, but %s may not be marked as moved; copy once more",
		               ask->target_name, ask->source_name);
	return status;
}

enum status
copy_back(struct txn *txn, char where[TEXT_MAX + 1], struct buf *why)
{
	char whose[WHOSE_SIZE];
	enum status status = read_mark(txn, where, whose, why);

	if (status == OK && *where == '\0')
		return why_not(why, NO_SUCH, "project %s has not moved", txn->project);
	if (status == OK)
		db_run(txn->db, "UPDATE project SET moved = '', moved_to = '' WHERE project = $1", DB_TEXT(txn->project));
	return status;
}

void
copy_erase(struct txn *txn)
{
	const struct copy_table *table;

	for (size_t i = 0; (table = copy_nth(i)) != NULL; i++)
		db_run(txn->db, table->erase, DB_TEXT(txn->project));
}
