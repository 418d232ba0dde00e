#include "core/ledger_verify.h"

#define PLACES_TRIED 20000 /* where an entry that isn't in its place may be from */

const char *
ledger_damage_name(enum ledger_damage damage)
{
	static const char *const names[] = {"changed", "missing", "reordered", "cut off", "rewritten", "added"};

	return names[damage];
}

/* Its own form, and no more of what somebody else wrote there. */
static void
keep_hash(char out[DIGEST_SIZE], const char *hash)
{
	size_t len = strnlen(hash, DIGEST_SIZE - 1);

	memcpy(out, hash, len);
	out[len] = '\0';
}

void
ledger_verify_init(struct ledger_verify *verify, const char *name, int64_t from)
{
	*verify = (struct ledger_verify){.name = name, .first = from < 1 ? 1 : from, .linked = from <= 1};
	verify->next = verify->first;
	buf_init(&verify->bytes, (size_t)64 << 20);
	ledger_hashed_begin(&verify->bytes, name);
	verify->same = verify->bytes.len;
}

void
ledger_verify_release(struct ledger_verify *verify)
{
	buf_release(&verify->bytes);
}

void
ledger_verify_know(struct ledger_verify *verify, int64_t seq, const char *hash)
{
	struct ledger_known *known = &verify->known[verify->known_count++];

	*known = (struct ledger_known){.seq = seq};
	keep_hash(known->hash, hash);
}

static struct ledger_break *
add_break(struct ledger_verify *verify, enum ledger_damage damage, int64_t seq, int64_t until)
{
	static struct ledger_break over;
	struct ledger_break *broken = &over;

	if (verify->break_count < LEDGER_BREAKS_MAX)
		broken = &verify->breaks[verify->break_count++];
	else
		verify->more_breaks = verify->done = true;
	*broken = (struct ledger_break){.damage = damage, .seq = seq, .until = until};
	return broken;
}

/* What the entry hashes to, if it stood at `seq`. */
static void
hash_at(struct ledger_verify *verify, const struct ledger_entry *entry, int64_t seq, char out[DIGEST_SIZE])
{
	struct ledger_entry at = *entry;

	at.seq = seq;
	verify->bytes.len = verify->same;
	ledger_hashed(&verify->bytes, &at);
	digest_make(out, verify->bytes.data, verify->bytes.len);
}

/* Which entry it is by its own hash, looked for from its place outwards; 0 = none that we know of. */
static int64_t
place_of(struct ledger_verify *verify, const struct ledger_entry *entry)
{
	char hash[DIGEST_SIZE];

	for (int64_t tried = 2; tried < PLACES_TRIED; tried++) {
		int64_t seq = entry->seq + (tried % 2 == 0 ? tried / 2 : -(tried / 2));

		if (seq < 1 || seq > verify->ledger.last)
			continue;
		hash_at(verify, entry, seq, hash);
		if (strcmp(hash, entry->hash) == 0)
			return seq;
	}
	return 0;
}

/* Its bytes are not those of its hash. */
static void
tell_damage(struct ledger_verify *verify, const struct ledger_entry *entry, const char *found)
{
	/* what was changed where it stands still follows the one before it */
	int64_t is = verify->linked && strcmp(entry->prev, verify->prev) == 0 ? 0 : place_of(verify, entry);
	struct ledger_break *broken = add_break(verify, is > 0 ? LEDGER_REORDERED : LEDGER_CHANGED, entry->seq, entry->seq);

	broken->is = is;
	memcpy(broken->found, found, sizeof broken->found);
}

static void
check_known(struct ledger_verify *verify, const struct ledger_entry *entry)
{
	for (size_t i = 0; i < verify->known_count; i++)
		if (verify->known[i].seq == entry->seq && strcmp(verify->known[i].hash, entry->hash) != 0)
			keep_hash(add_break(verify, LEDGER_REWRITTEN, entry->seq, entry->seq)->found, entry->hash);
}

/* Whether it is what it says, and follows the one before it. */
static void
check_entry(struct ledger_verify *verify, const struct ledger_entry *entry)
{
	char hash[DIGEST_SIZE];

	if (entry->seq > verify->next) {
		add_break(verify, LEDGER_MISSING, verify->next, entry->seq - 1);
		verify->linked = false;
	}
	hash_at(verify, entry, entry->seq, hash);
	if (strcmp(hash, entry->hash) != 0) {
		tell_damage(verify, entry, hash);
		verify->linked = false;
	} else {
		/* it vouches for what it says of the one before it, which so is not what it was */
		if (verify->linked && strcmp(entry->prev, verify->prev) != 0) {
			int64_t seq = verify->next > verify->first ? entry->seq - 1 : entry->seq;
			struct ledger_break *broken = add_break(verify, LEDGER_CHANGED, seq, seq);

			memcpy(broken->found, verify->next > verify->first ? verify->prev : hash, sizeof broken->found);
		}
		verify->linked = true;
	}
	check_known(verify, entry);
	keep_hash(verify->prev, entry->hash);
	verify->next = entry->seq + 1;
	verify->checked++;
}

/* Behind what was removed for its age, perhaps since the last page. */
static void
pass_cut(struct ledger_verify *verify)
{
	const struct ledger *ledger = &verify->ledger;

	verify->next = ledger->cut + 1;
	verify->linked = true;
	memcpy(verify->prev, ledger->cut_hash, sizeof verify->prev);
	if (verify->checked == 0)
		verify->first = verify->next;
	for (size_t i = 0; i < verify->known_count; i++)
		if (verify->known[i].seq == ledger->cut && strcmp(verify->known[i].hash, ledger->cut_hash) != 0)
			keep_hash(add_break(verify, LEDGER_REWRITTEN, ledger->cut, ledger->cut)->found, ledger->cut_hash);
}

static int64_t
furthest_known(const struct ledger_verify *verify)
{
	int64_t seq = verify->ledger.last;

	for (size_t i = 0; i < verify->known_count; i++)
		seq = verify->known[i].seq > seq ? verify->known[i].seq : seq;
	return seq;
}

/* A head that is signed there is known, and so must be what was removed. */
static enum status
read_signed(struct ledger_verify *verify, const char *text, const char *from, struct ledger_head *out, struct buf *why)
{
	enum status status = ledger_head_read(text, strlen(text), from, out, why);

	if (status == BAD_INPUT)
		return why_not(why, NOT_ALLOWED, "%s, %s: that is no signed head: it was changed", verify->name, from);
	return status == OK ? ledger_head_check(out, verify->name, verify->public_key, from, why) : status;
}

static enum status
begin_signed(struct ledger_verify *verify, struct buf *why)
{
	const struct ledger *ledger = &verify->ledger;
	struct ledger_head head;
	enum status status = OK;

	if (ledger->signed_head[0] != '\0') {
		status = read_signed(verify, ledger->signed_head, "the head signed in the store", &head, why);
		if (status == OK)
			ledger_verify_know(verify, head.seq, head.hash);
	} else if (verify->public_key != NULL) {
		status = why_not(why, NO_SUCH, "%s: no head of it was signed in the store", verify->name);
	}
	if (status == OK && ledger->cut > 0) {
		status = read_signed(verify, ledger->cut_signed, "what was removed, as signed in the store", &head, why);
		if (status == OK && (head.seq != ledger->cut || !str_equal(head.hash, ledger->cut_hash)))
			status = why_not(why, NOT_ALLOWED, "%s: up to entry %lld all is gone, and %lld is what was signed when it was removed",
			                 verify->name, (long long)ledger->cut, (long long)head.seq);
	}
	return status;
}

/* What is known of entries before those that are looked at. */
static enum status
check_before(struct txn *txn, struct ledger_verify *verify, struct buf *why)
{
	enum status status = OK;

	for (size_t i = 0; i < verify->known_count && status == OK; i++) {
		const struct ledger_known *known = &verify->known[i];
		char hash[DIGEST_SIZE];

		if (known->seq >= verify->first || known->seq <= verify->ledger.cut)
			continue;
		status = ledger_hash_of(txn, &verify->ledger, known->seq, hash, why);
		if (status == OK && !str_equal(hash, known->hash))
			keep_hash(add_break(verify, LEDGER_REWRITTEN, known->seq, known->seq)->found, hash);
		if (status == OK && known->seq == verify->first - 1) {
			keep_hash(verify->prev, known->hash);
			verify->linked = true;
		}
	}
	return status;
}

static enum status
begin(struct txn *txn, struct ledger_verify *verify, struct buf *why)
{
	bool first = !verify->begun;
	const struct ledger *ledger = &verify->ledger;
	enum status status = verify->begun ? OK : begin_signed(verify, why);

	if (status != OK)
		return status;
	verify->begun = true;

	if (verify->checked == 0 && verify->first > furthest_known(verify))
		return why_not(why, NO_SUCH, "%s has no entry %lld: its last is %lld", ledger->name, (long long)verify->first,
		               (long long)ledger->last);
	if (verify->checked == 0 && verify->first > 1 && verify->first < ledger->cut)
		return why_not(why, NO_SUCH, "%s: its entries up to %lld were removed, being old; verify from there", ledger->name,
		               (long long)ledger->cut);
	if (verify->checked == 0 && verify->first > ledger->last)
		verify->next = ledger->last + 1;
	if (verify->next <= ledger->cut)
		pass_cut(verify);
	return first ? check_before(txn, verify, why) : OK;
}

/* All that are there have been looked at. */
static void
finish(struct ledger_verify *verify)
{
	int64_t last = verify->ledger.last, known = furthest_known(verify);

	verify->done = true;
	if (verify->next > last + 1)
		add_break(verify, LEDGER_ADDED, last + 1, verify->next - 1);
	else if (verify->next <= known)
		add_break(verify, LEDGER_CUT_OFF, verify->next, known);
	else if (verify->linked && strcmp(verify->prev, verify->ledger.head) != 0)
		keep_hash(add_break(verify, LEDGER_CHANGED, last, last)->found, verify->prev);
}

enum status
ledger_verify_page(struct txn *txn, struct ledger_verify *verify, struct buf *why)
{
	struct db_rows rows;
	enum status status = ledger_load(txn, verify->name, &verify->ledger, why);

	if (status == OK)
		status = begin(txn, verify, why);
	if (status == OK)
		status = ledger_page(txn, &verify->ledger, verify->next, LEDGER_PAGE_MAX, &rows, why);
	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count && !verify->done; i++) {
		struct ledger_entry entry;

		ledger_entry_of(&rows, i, &entry);
		check_entry(verify, &entry);
	}
	if (!verify->done && (int64_t)rows.count < ledger_page_size(&verify->ledger))
		finish(verify);
	db_rows_release(&rows);
	return buf_status(&verify->bytes) == OK ? OK : why_not(why, NO_MEMORY, "no memory for an entry");
}

void
ledger_break_describe(const struct ledger_verify *verify, const struct ledger_break *broken, struct buf *out)
{
	static const char *const sentences[] = {"its bytes are not those of its hash, or the one after it knows it by another",
	                                        "not there, though later ones are",
	                                        "another entry stands in its place",
	                                        "not there, though they were appended",
	                                        "its hash is another than was known: it or one before it was changed",
	                                        "beyond the head: nobody appended it"};

	buf_printf(out, "%s, entry %lld", verify->name, (long long)broken->seq);
	if (broken->until > broken->seq)
		buf_printf(out, " to %lld", (long long)broken->until);
	buf_printf(out, ": %s: %s", ledger_damage_name(broken->damage), sentences[broken->damage]);
	if (broken->is > 0)
		buf_printf(out, ", which is entry %lld", (long long)broken->is);
}

json_t *
ledger_break_json(const struct ledger_break *broken)
{
	json_t *object = json_pack("{ss sI}", "what", ledger_damage_name(broken->damage), "seq", (json_int_t)broken->seq);

	if (broken->until > broken->seq)
		json_object_set_new(object, "until", json_integer(broken->until));
	if (broken->is > 0)
		json_object_set_new(object, "is", json_integer(broken->is));
	if (broken->found[0] != '\0')
		json_object_set_new(object, "found", json_string(broken->found));
	if (broken->anchor > 0)
		json_object_set_new(object, "anchor", json_integer(broken->anchor));
	return object;
}
