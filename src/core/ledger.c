#include "core/ledger.h"

#define ENTRY_MAX ((size_t)64 << 20)    /* bytes that are hashed: more than an answer may have */
#define PAGE_BYTES ((int64_t)16 << 20) /* of bodies, at most */

enum status
ledger_check_name(const char *ledger, struct buf *why)
{
	enum status status = str_check_id("the ledger's name", ledger, LEDGER_NAME_MAX, why);

	if (status == OK && strstr(ledger, "..") != NULL)
		return why_not(why, BAD_INPUT, "the ledger's name: \"..\" can't be in it");
	return status;
}

static void
net_bytes(struct buf *out, const char *text, size_t len)
{
	buf_whole(out, (int64_t)len);
	buf_add(out, ":", 1);
	buf_add(out, text, len);
	buf_add(out, ",", 1);
}

void
ledger_net_text(struct buf *out, const char *text)
{
	net_bytes(out, text, strlen(text));
}

void
ledger_net_whole(struct buf *out, int64_t value)
{
	char text[24], *end = text + sizeof text, *at = end;
	uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;

	do
		*--at = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	if (value < 0)
		*--at = '-';
	net_bytes(out, at, (size_t)(end - at));
}

void
ledger_hashed_begin(struct buf *out, const char *ledger)
{
	ledger_net_text(out, "stile-ledger-1");
	ledger_net_text(out, ledger);
}

void
ledger_hashed(struct buf *out, const struct ledger_entry *entry)
{
	ledger_net_whole(out, entry->seq);
	ledger_net_whole(out, entry->at_ms);
	ledger_net_text(out, entry->session);
	ledger_net_text(out, entry->actor);
	ledger_net_text(out, entry->kind);
	ledger_net_text(out, entry->key);
	ledger_net_text(out, entry->prev);
	ledger_net_text(out, entry->body);
}

static enum status
check(const struct ledger_append *ask, struct buf *why)
{
	enum status status = ledger_check_name(ask->ledger, why);

	if (status == OK)
		status = str_check_text("the key", ask->key, ID_MAX, why);
	if (status == OK && ask->size > LEDGER_BODY_MAX)
		return why_not(why, BAD_INPUT, "the body has %zu bytes; at most %zu are taken", ask->size, LEDGER_BODY_MAX);
	return status == OK ? str_check_long("the body", ask->body, ask->size, why) : status;
}

static void
copy(char *out, size_t size, const struct db_rows *rows, size_t row, size_t column)
{
	snprintf(out, size, "%s", db_text(rows, row, column));
}

#define LEDGER_COLUMNS "l.ledger, l.last, l.head, l.largest, l.cut, l.cut_hash, l.cut_signed, l.signed"
#define AT_ENTRY 8 /* where other columns begin */

static void
from_row(const struct db_rows *rows, size_t row, struct ledger *out)
{
	*out = (struct ledger){
		.last = db_int(rows, row, 1), .largest = db_int(rows, row, 3), .cut = db_int(rows, row, 4)};
	copy(out->name, sizeof out->name, rows, row, 0);
	copy(out->head, sizeof out->head, rows, row, 2);
	copy(out->cut_hash, sizeof out->cut_hash, rows, row, 5);
	copy(out->cut_signed, sizeof out->cut_signed, rows, row, 6);
	copy(out->signed_head, sizeof out->signed_head, rows, row, 7);
}

/* The head; and the entry that has the key, in the columns after it, and whether its body is the same. */
static enum status
ask_facts(struct txn *txn, const struct ledger_append *ask, struct db_rows *rows, struct buf *why)
{
	return db_ask(txn->db, rows, why,
	              "SELECT " LEDGER_COLUMNS ", e.seq, e.at_ms, e.prev, e.hash, CASE WHEN e.body = $1 THEN 1 ELSE 0 END"
	              " FROM (SELECT 1 AS one) AS one LEFT JOIN ledger l ON l.project = $2 AND l.ledger = $3"
	              " LEFT JOIN ledger_entry e ON e.project = $2 AND e.ledger = $3 AND e.key = $4 AND e.key <> ''",
	              DB_TEXT(*ask->key == '\0' ? "" : ask->body), DB_TEXT(txn->project), DB_TEXT(ask->ledger), DB_TEXT(ask->key));
}

/* The key was there. */
static enum status
same_again(const struct ledger_append *ask, const struct db_rows *rows, struct ledger_appended *out, struct buf *why)
{
	*out = (struct ledger_appended){
		.seq = db_int(rows, 0, AT_ENTRY), .at_ms = db_int(rows, 0, AT_ENTRY + 1), .again = true};
	copy(out->prev, sizeof out->prev, rows, 0, AT_ENTRY + 2);
	copy(out->hash, sizeof out->hash, rows, 0, AT_ENTRY + 3);
	if (db_int(rows, 0, AT_ENTRY + 4) == 0)
		return why_not(why, CONFLICT, "the key %s is that of entry %lld of %s, whose body is another one", ask->key,
		               (long long)out->seq, ask->ledger);
	return OK;
}

enum status
ledger_hash(const char *ledger, const struct ledger_entry *entry, char out[DIGEST_SIZE], struct buf *why)
{
	struct buf bytes;
	enum status status;

	buf_init(&bytes, ENTRY_MAX);
	ledger_hashed_begin(&bytes, ledger);
	ledger_hashed(&bytes, entry);
	status = buf_status(&bytes);
	if (status == OK)
		digest_make(out, bytes.data, bytes.len);
	buf_release(&bytes);
	return status == OK ? OK : why_not(why, status, "no memory for the entry");
}

static void
insert(struct txn *txn, const struct ledger_append *ask, const struct ledger_entry *entry)
{
	db_run(txn->db,
	       "INSERT INTO ledger_entry (project, ledger, seq, at_ms, session, actor, kind, key, prev, hash, body)"
	       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
	       DB_TEXT(txn->project), DB_TEXT(ask->ledger), DB_INT(entry->seq), DB_INT(entry->at_ms), DB_TEXT(entry->session),
	       DB_TEXT(entry->actor), DB_TEXT(entry->kind), DB_TEXT(entry->key), DB_TEXT(entry->prev), DB_TEXT(entry->hash),
	       DB_TEXT(entry->body));
	db_run(txn->db,
	       "INSERT INTO ledger (project, ledger, last, head, largest, cut, cut_hash, cut_signed, signed)"
	       " VALUES ($1, $2, $3, $4, $5, 0, '', '', '') ON CONFLICT (project, ledger) DO UPDATE SET last = excluded.last,"
	       " head = excluded.head, largest = CASE WHEN excluded.largest > ledger.largest THEN excluded.largest ELSE"
	       " ledger.largest END",
	       DB_TEXT(txn->project), DB_TEXT(ask->ledger), DB_INT(entry->seq), DB_TEXT(entry->hash), DB_INT(ask->size));
}

static enum status
append(struct txn *txn, const struct ledger_append *ask, const struct ledger *ledger, struct ledger_appended *out,
       struct buf *why)
{
	struct ledger_appended made = {.seq = ledger->last + 1, .at_ms = txn_now(txn)};
	struct ledger_entry entry = {.seq = made.seq,
	                             .at_ms = made.at_ms,
	                             .session = ask->session,
	                             .actor = txn->actor,
	                             .kind = ask->kind,
	                             .key = ask->key,
	                             .prev = made.prev,
	                             .hash = made.hash,
	                             .body = ask->body};
	enum status status;

	memcpy(made.prev, ledger->head, sizeof made.prev);
	status = ledger_hash(ask->ledger, &entry, made.hash, why);
	if (status != OK)
		return status;
	insert(txn, ask, &entry);
	*out = made;
	return OK;
}

enum status
ledger_append(struct txn *txn, const struct ledger_append *ask, struct ledger_appended *out, struct buf *why)
{
	struct ledger ledger;
	struct db_rows rows;
	enum status status = check(ask, why);

	*out = (struct ledger_appended){0};
	if (status == OK)
		status = ask_facts(txn, ask, &rows, why);
	if (status != OK)
		return status;
	from_row(&rows, 0, &ledger);
	status = db_is_null(&rows, 0, AT_ENTRY) ? append(txn, ask, &ledger, out, why) : same_again(ask, &rows, out, why);
	db_rows_release(&rows);
	return status;
}

enum status
ledger_load(struct txn *txn, const char *name, struct ledger *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT " LEDGER_COLUMNS " FROM ledger l WHERE l.project = $1 AND l.ledger = $2",
	                            DB_TEXT(txn->project), DB_TEXT(name));

	if (status != OK)
		return status;
	if (rows.count > 0)
		from_row(&rows, 0, out);
	else
		status = why_not(why, NO_SUCH, "there is no ledger %s: nothing was ever appended to it", name);
	db_rows_release(&rows);
	return status;
}

enum status
ledger_hash_of(struct txn *txn, const struct ledger *ledger, int64_t seq, char out[DIGEST_SIZE], struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT hash FROM ledger_entry WHERE project = $1 AND ledger = $2 AND seq = $3",
	                            DB_TEXT(txn->project), DB_TEXT(ledger->name), DB_INT(seq));

	if (status != OK)
		return status;
	out[0] = '\0';
	if (rows.count > 0)
		copy(out, DIGEST_SIZE, &rows, 0, 0);
	db_rows_release(&rows);
	return OK;
}

enum status
ledger_hash_at(struct txn *txn, const char *name, int64_t seq, char out[DIGEST_SIZE], struct buf *why)
{
	struct ledger ledger;
	char hash[DIGEST_SIZE] = "";
	enum status status = ledger_load(txn, name, &ledger, why);

	if (status == OK && seq <= ledger.cut) {
		snprintf(out, DIGEST_SIZE, "%s", seq == ledger.cut ? ledger.cut_hash : "");
		return OK;
	}
	if (status == OK)
		status = ledger_hash_of(txn, &ledger, seq, hash, why);
	if (status == OK && hash[0] == '\0')
		status = why_not(why, NO_SUCH, "%s has no entry %lld", name, (long long)seq);
	if (status == OK)
		memcpy(out, hash, sizeof hash);
	return status;
}

json_t *
ledger_json(const struct ledger *ledger)
{
	json_t *object = json_pack("{ss sI ss}", "ledger", ledger->name, "seq", (json_int_t)ledger->last, "hash", ledger->head);

	if (ledger->cut > 0)
		json_object_set_new(object, "removed", json_integer(ledger->cut));
	return object;
}

enum status
ledger_all(struct txn *txn, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT " LEDGER_COLUMNS " FROM ledger l WHERE l.project = $1 ORDER BY l.ledger",
	                            DB_TEXT(txn->project));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++) {
		struct ledger ledger;

		from_row(&rows, i, &ledger);
		json_array_append_new(out, ledger_json(&ledger));
	}
	db_rows_release(&rows);
	return OK;
}

int64_t
ledger_page_size(const struct ledger *ledger)
{
	/* whatever somebody wrote there */
	int64_t largest = ledger->largest < 0 ? 0 : ledger->largest < PAGE_BYTES ? ledger->largest : PAGE_BYTES;
	int64_t fit = PAGE_BYTES / (largest + 1);

	return fit < 1 ? 1 : fit < LEDGER_PAGE_MAX ? fit : LEDGER_PAGE_MAX;
}

enum status
ledger_page(struct txn *txn, const struct ledger *ledger, int64_t seq, int64_t limit, struct db_rows *rows, struct buf *why)
{
	int64_t most = ledger_page_size(ledger);

	return db_ask(txn->db, rows, why,
	              "SELECT e.seq, e.at_ms, e.session, e.actor, e.kind, e.key, e.prev, e.hash, e.body FROM ledger_entry e"
	              " WHERE e.project = $1 AND e.ledger = $2 AND e.seq >= $3 ORDER BY e.seq LIMIT $4",
	              DB_TEXT(txn->project), DB_TEXT(ledger->name), DB_INT(seq), DB_INT(limit < most ? limit : most));
}

void
ledger_entry_of(const struct db_rows *rows, size_t row, struct ledger_entry *out)
{
	*out = (struct ledger_entry){.seq = db_int(rows, row, 0),
	                             .at_ms = db_int(rows, row, 1),
	                             .session = db_text(rows, row, 2),
	                             .actor = db_text(rows, row, 3),
	                             .kind = db_text(rows, row, 4),
	                             .key = db_text(rows, row, 5),
	                             .prev = db_text(rows, row, 6),
	                             .hash = db_text(rows, row, 7),
	                             .body = db_text(rows, row, 8)};
}

json_t *
ledger_entry_json(const struct ledger_entry *entry)
{
	json_t *object = json_pack("{sI sI ss ss ss ss ss ss ss}", "seq", (json_int_t)entry->seq, "at_ms", (json_int_t)entry->at_ms,
	                           "session", entry->session, "actor", entry->actor, "kind", entry->kind, "key", entry->key, "prev",
	                           entry->prev, "hash", entry->hash, "body", entry->body);

	return object;
}
