#include "core/ledger_anchor.h"

#include "core/audit.h"

#define ANCHORS_MAX 1000
#define KEEP_LEAST_MS ((int64_t)3600 * 1000)

static bool
is_same(const json_t *recorded, const struct ledger_break *broken)
{
	return str_equal(json_text(recorded, "what", ""), ledger_damage_name(broken->damage)) &&
	       json_whole(recorded, "seq", 0) == broken->seq && json_whole(recorded, "until", broken->seq) == broken->until &&
	       str_equal(json_text(recorded, "found", ""), broken->found);
}

static void
mark(struct ledger_verify *verify, const char *body, int64_t anchor)
{
	char *copy = strdup(body);
	json_t *document = NULL, *recorded;
	size_t at;

	if (copy != NULL && json_parse(copy, strlen(copy), &document, NULL) == OK)
		json_array_foreach(json_object_get(document, "breaks"), at, recorded)
			for (size_t i = 0; i < verify->break_count; i++)
				if (is_same(recorded, &verify->breaks[i]))
					verify->breaks[i].anchor = anchor;
	json_decref(document);
	free(copy);
}

enum status
ledger_recorded(struct txn *txn, struct ledger_verify *verify, struct buf *why)
{
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "SELECT seq, body FROM ledger_entry WHERE project = $1 AND ledger = $2 AND kind = $3 ORDER BY seq DESC LIMIT $4",
	           DB_TEXT(txn->project), DB_TEXT(verify->name), DB_TEXT(LEDGER_ANCHOR), DB_INT(ANCHORS_MAX));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++)
		mark(verify, db_text(&rows, i, 1), db_int(&rows, i, 0));
	db_rows_release(&rows);
	return OK;
}

/* What is cut off now is missing once the anchor follows it. */
static enum status
add_breaks(const struct ledger_verify *verify, json_t *out, struct buf *why)
{
	if (verify->more_breaks)
		return why_not(why, CONFLICT, "%s has more than %d breaks: restore it from a copy", verify->name, LEDGER_BREAKS_MAX);
	for (size_t i = 0; i < verify->break_count; i++) {
		struct ledger_break broken = verify->breaks[i];

		if (broken.anchor > 0)
			continue;
		if (broken.damage == LEDGER_ADDED)
			return why_not(why, CONFLICT, "%s has entries beyond its head, which nobody appended: remove them, or restore it from a copy",
			               verify->name);
		if (broken.damage == LEDGER_CUT_OFF && broken.seq <= verify->ledger.last) {
			broken.damage = LEDGER_MISSING;
			broken.until = verify->ledger.last;
		}
		json_array_append_new(out, ledger_break_json(&broken));
	}
	return json_array_size(out) > 0 ? OK : why_not(why, CONFLICT, "%s: nothing is broken that isn't on record", verify->name);
}

enum status
ledger_anchor(struct txn *txn, const struct ledger_verify *verify, const char *session, const char *reason,
              const uint8_t seed[SEED_BYTES], struct ledger_appended *out, struct buf *why)
{
	json_t *breaks = json_array(), *object = json_pack("{ss so ss}", "reason", reason, "breaks", breaks, "signed_before",
	                                                   verify->ledger.signed_head);
	struct ledger_append ask = {.ledger = verify->name, .key = "", .session = session, .kind = LEDGER_ANCHOR};
	struct ledger_head head;
	struct buf body;
	enum status status = add_breaks(verify, breaks, why);

	buf_init(&body, LEDGER_BODY_MAX);
	json_write(&body, object);
	json_decref(object);
	ask.body = body.data;
	ask.size = body.len;
	if (status == OK && buf_status(&body) != OK)
		status = why_not(why, NO_MEMORY, "out of memory");
	if (status == OK)
		status = ledger_append(txn, &ask, out, why);
	if (status == OK)
		status = ledger_sign(txn, verify->name, seed, true, &head, why);
	if (status == OK)
		audit_add(txn, session, "ledger.anchored", verify->name, "", reason);
	buf_release(&body);
	return status;
}

enum status
ledger_keep(const struct config *config, const char *ledger, int64_t *ms, struct buf *why)
{
	char section[LEDGER_NAME_MAX + sizeof "ledger "];
	enum status status;

	snprintf(section, sizeof section, "ledger %s", ledger);
	status = config_duration(config, config_get(config, section, "keep") != NULL ? section : "ledger", "keep", ms, why);
	if (status == OK && *ms != 0 && *ms < KEEP_LEAST_MS)
		return why_not(why, BAD_CONFIG, "config: [ledger] keep is at least 1h, or 0s: for ever");
	return status;
}

bool
ledger_keeps_some(const struct config *config)
{
	for (size_t i = 0; i < config->count; i++) {
		const struct config_item *item = &config->items[i];
		int64_t ms;

		if ((str_equal(item->section, "ledger") || str_starts(item->section, "ledger ")) && str_equal(item->key, "keep") &&
		    str_duration(item->value, &ms) == OK && ms > 0)
			return true;
	}
	return false;
}

enum status
ledger_fronts(struct txn *txn, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT l.ledger, (SELECT e.at_ms FROM ledger_entry e WHERE e.project = $1 AND e.ledger = l.ledger"
	                            " AND e.seq > l.cut ORDER BY e.seq LIMIT 1) FROM ledger l WHERE l.project = $1 ORDER BY l.ledger",
	                            DB_TEXT(txn->project));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++)
		json_array_append_new(out, json_pack("{ss sI}", "ledger", db_text(&rows, i, 0), "at_ms",
		                                     (json_int_t)(db_is_null(&rows, i, 1) ? txn_now(txn) : db_int(&rows, i, 1))));
	db_rows_release(&rows);
	return OK;
}

/* How many of the page may go; *hash is the last one's. */
static size_t
count_old(const struct ledger *ledger, const struct db_rows *rows, int64_t before_ms, const char **hash)
{
	const char *prev = ledger->cut_hash;
	size_t count = 0;

	for (; count < rows->count; count++) {
		struct ledger_entry entry;
		char found[DIGEST_SIZE];

		ledger_entry_of(rows, count, &entry);
		if (entry.at_ms >= before_ms || entry.seq >= ledger->last || entry.seq != ledger->cut + 1 + (int64_t)count ||
		    !str_equal(entry.prev, prev) || ledger_hash(ledger->name, &entry, found, NULL) != OK || !str_equal(entry.hash, found))
			break;
		prev = *hash = entry.hash;
	}
	return count;
}

static void
cut(struct txn *txn, const struct ledger *ledger, int64_t seq, const char *hash, const uint8_t seed[SEED_BYTES])
{
	struct ledger_head head = {.seq = seq, .at_ms = txn_now(txn)};
	char text[LEDGER_SIGNED_MAX], count[24];

	memcpy(head.ledger, ledger->name, sizeof head.ledger);
	snprintf(head.hash, sizeof head.hash, "%s", hash);
	ledger_head_sign(&head, seed);
	ledger_head_write(&head, text);
	db_run(txn->db, "DELETE FROM ledger_entry WHERE project = $1 AND ledger = $2 AND seq <= $3", DB_TEXT(txn->project),
	       DB_TEXT(ledger->name), DB_INT(seq));
	db_run(txn->db, "UPDATE ledger SET cut = $1, cut_hash = $2, cut_signed = $3 WHERE project = $4 AND ledger = $5", DB_INT(seq),
	       DB_TEXT(hash), DB_TEXT(text), DB_TEXT(txn->project), DB_TEXT(ledger->name));
	snprintf(count, sizeof count, "%lld", (long long)seq);
	audit_add(txn, "", "ledger.cut", ledger->name, count, hash);
}

enum status
ledger_cut(struct txn *txn, const char *name, int64_t before_ms, const uint8_t seed[SEED_BYTES], int64_t *count, struct buf *why)
{
	struct ledger ledger;
	struct db_rows rows;
	const char *hash = "";
	size_t old;
	enum status status = ledger_load(txn, name, &ledger, why);

	*count = 0;
	if (status == OK)
		status = ledger_page(txn, &ledger, ledger.cut + 1, LEDGER_PAGE_MAX, &rows, why);
	if (status != OK)
		return status;
	old = count_old(&ledger, &rows, before_ms, &hash);
	if (old > 0)
		cut(txn, &ledger, ledger.cut + (int64_t)old, hash, seed);
	*count = (int64_t)old;
	db_rows_release(&rows);
	return OK;
}
