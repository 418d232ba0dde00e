#include "core/ledger_head.h"

#include "core/audit.h"

json_t *
ledger_head_json(const struct ledger_head *head)
{
	return json_pack("{ss sI ss sI ss ss}", "ledger", head->ledger, "seq", (json_int_t)head->seq, "hash", head->hash, "at_ms",
	                 (json_int_t)head->at_ms, "public_key", head->public_key, "signature", head->signature);
}

void
ledger_head_write(const struct ledger_head *head, char out[LEDGER_SIGNED_MAX])
{
	json_t *object = ledger_head_json(head);
	struct buf text;

	buf_init(&text, LEDGER_SIGNED_MAX - 1);
	json_write(&text, object);
	snprintf(out, LEDGER_SIGNED_MAX, "%s", text.data);
	buf_release(&text);
	json_decref(object);
}

static bool
take_text(const json_t *object, const char *key, char *out, size_t size)
{
	return str_copy(out, size, json_text(object, key, "")) == OK && *out != '\0';
}

enum status
ledger_head_read(const char *text, size_t len, const char *from, struct ledger_head *out, struct buf *why)
{
	struct ledger_head head = {0};
	json_t *object = NULL;
	char *copy = strndup(text, len);
	enum status status = copy == NULL ? NO_MEMORY : json_parse(copy, len, &object, NULL);
	bool whole = status == OK && take_text(object, "ledger", head.ledger, sizeof head.ledger) &&
	             take_text(object, "hash", head.hash, sizeof head.hash) &&
	             take_text(object, "public_key", head.public_key, sizeof head.public_key) &&
	             take_text(object, "signature", head.signature, sizeof head.signature);

	free(copy);
	head.seq = json_whole(object, "seq", 0);
	head.at_ms = json_whole(object, "at_ms", 0);
	json_decref(object);
	if (status == NO_MEMORY)
		return why_not(why, NO_MEMORY, "out of memory");
	if (!whole)
		return why_not(why, BAD_INPUT, "%s: that is no signed head", from);
	*out = head;
	return OK;
}

static void
signed_bytes(const struct ledger_head *head, struct buf *out)
{
	ledger_net_text(out, "stile-ledger-head-1");
	ledger_net_text(out, head->ledger);
	ledger_net_whole(out, head->seq);
	ledger_net_text(out, head->hash);
	ledger_net_whole(out, head->at_ms);
}

void
ledger_head_sign(struct ledger_head *head, const uint8_t seed[SEED_BYTES])
{
	struct buf bytes;

	buf_init(&bytes, LEDGER_SIGNED_MAX);
	signed_bytes(head, &bytes);
	signature_public(seed, head->public_key);
	signature_make(seed, bytes.data, bytes.len, head->signature);
	buf_release(&bytes);
}

enum status
ledger_head_check(const struct ledger_head *head, const char *ledger, const char *public_key, const char *from, struct buf *why)
{
	struct buf bytes;
	bool holds;

	if (!str_equal(head->ledger, ledger))
		return why_not(why, BAD_INPUT, "%s: that is a head of the ledger %s, not of %s", from, head->ledger, ledger);
	if (public_key != NULL && !str_equal(head->public_key, public_key))
		return why_not(why, NOT_ALLOWED, "%s: signed by another key, %s", from, head->public_key);
	buf_init(&bytes, LEDGER_SIGNED_MAX);
	signed_bytes(head, &bytes);
	holds = buf_status(&bytes) == OK && signature_holds(head->public_key, head->signature, bytes.data, bytes.len);
	buf_release(&bytes);
	return holds ? OK : why_not(why, NOT_ALLOWED, "%s: its signature doesn't hold: it was changed, or never signed", from);
}

/* The head that was signed before: what is signed now must go on from it, or a rewritten tail would be as good as signed. */
static enum status
still_has(struct txn *txn, const struct ledger *ledger, struct buf *why)
{
	struct ledger_head before;
	char hash[DIGEST_SIZE];
	enum status status;

	if (ledger->signed_head[0] == '\0' ||
	    ledger_head_read(ledger->signed_head, strlen(ledger->signed_head), "the head signed before", &before, NULL) != OK)
		return OK;
	if (before.seq > ledger->last)
		return why_not(why, CONFLICT, "%s has %lld entries, and had %lld when its head was signed; see `stile ledger verify %s`",
		               ledger->name, (long long)ledger->last, (long long)before.seq, ledger->name);
	if (before.seq <= ledger->cut)
		return OK;
	status = ledger_hash_of(txn, ledger, before.seq, hash, why);
	if (status == OK && !str_equal(hash, before.hash))
		return why_not(why, CONFLICT, "%s, entry %lld: is not the one that was signed as its head; see `stile ledger verify %s`",
		               ledger->name, (long long)before.seq, ledger->name);
	return status;
}

enum status
ledger_sign(struct txn *txn, const char *name, const uint8_t seed[SEED_BYTES], bool anew, struct ledger_head *out, struct buf *why)
{
	struct ledger ledger;
	enum status status = ledger_load(txn, name, &ledger, why);

	if (status == OK && !anew)
		status = still_has(txn, &ledger, why);
	if (status != OK)
		return status;
	*out = (struct ledger_head){.seq = ledger.last, .at_ms = txn_now(txn)};
	memcpy(out->ledger, ledger.name, sizeof out->ledger);
	memcpy(out->hash, ledger.head, sizeof out->hash);
	ledger_head_sign(out, seed);
	ledger_head_write(out, ledger.signed_head);
	db_run(txn->db, "UPDATE ledger SET signed = $1 WHERE project = $2 AND ledger = $3", DB_TEXT(ledger.signed_head),
	       DB_TEXT(txn->project), DB_TEXT(name));
	audit_add(txn, "", "ledger.signed", name, "", out->hash);
	return OK;
}
