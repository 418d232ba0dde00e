#include "legacy/tractatus_place.h"

#include "base/str.h"
#include "legacy/tractatus_merge.h"
#include "os/file.h"
#include "os/swap.h"

#include <errno.h>
#include <sys/stat.h>

#define FOLDER ".claude"
#define WORK "tractatus"

static bool
is_folder(const char *path)
{
	struct stat about;

	return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* The resolved folder of `named`, or of what isn't there yet the name itself. */
static enum status
resolve(const char *named, bool make, struct tractatus_place *out, struct buf *why)
{
	char parent[PATH_SIZE], resolved[PATH_SIZE];
	struct stat about;

	if (make && lstat(named, &about) == 0 && S_ISLNK(about.st_mode))
		return why_not(why, IO_FAILED, "%s: is a link, and nothing is written through one; name the folder itself", named);
	if (paths_parent(parent, sizeof parent, named) != OK)
		return why_not(why, BAD_INPUT, "the path is too long: %s", named);
	if (realpath(parent, resolved) == NULL)
		return why_not(why, NO_SUCH, "%s: %s", parent, strerror(errno));
	if (make && paths_join(out->folder, sizeof out->folder, resolved, FOLDER) != OK)
		return why_not(why, BAD_INPUT, "the path is too long: %s", named);
	if (!make && realpath(named, out->folder) == NULL)
		return why_not(why, NO_SUCH, "%s: %s", named, strerror(errno));
	return str_copy(out->root, sizeof out->root, resolved) == OK ? OK
	                                                             : why_not(why, BAD_INPUT, "the path is too long: %s", named);
}

enum status
tractatus_find(const char *path, bool make, struct tractatus_place *out, struct buf *why)
{
	char plain[PATH_SIZE], named[PATH_SIZE];
	const char *last;

	*out = (struct tractatus_place){0};
	if (*path == '\0' || str_check_text("the path", path, PATH_SIZE - 1, why) != OK ||
	    str_copy(plain, sizeof plain, path) != OK)
		return *path == '\0' ? why_not(why, BAD_INPUT, "the path is empty") : BAD_INPUT;
	for (size_t len = strlen(plain); len > 1 && plain[len - 1] == '/'; len--)
		plain[len - 1] = '\0';
	last = strrchr(plain, '/');
	last = last == NULL ? plain : last + 1;
	if (str_equal(last, FOLDER))
		memcpy(named, plain, sizeof named);
	else if (paths_join(named, sizeof named, plain, FOLDER) != OK)
		return why_not(why, BAD_INPUT, "the path is too long: %s", path);
	if (make ? !is_folder(plain) && !str_equal(last, FOLDER) : !is_folder(named))
		return why_not(why, NO_SUCH, "%s: no folder %s is there", path, make ? "of that name" : FOLDER);
	return resolve(named, make, out, why);
}

void
tractatus_place_release(struct tractatus_place *place)
{
	if (place->rows.values != NULL)
		db_rows_release(&place->rows);
	place->rows = (struct db_rows){0};
	place->base_count = 0;
	json_decref(place->seen);
	place->seen = NULL;
}

enum status
tractatus_place_load(struct txn *txn, struct tractatus_place *place, struct buf *why)
{
	enum status status;

	tractatus_place_release(place);
	status =
		db_ask(txn->db, &place->rows, why,
	           "SELECT p.place, p.continuous, b.seq, b.epoch, b.ours, b.text FROM tractatus_place p LEFT JOIN tractatus_base b"
	           " ON b.project = p.project AND b.place = p.place WHERE p.project = $1 AND p.folder = $2"
	           " ORDER BY b.seq DESC LIMIT $3",
	           DB_TEXT(txn->project), DB_TEXT(place->folder), DB_INT(TRACTATUS_BASES * 2));
	if (status != OK) {
		place->rows = (struct db_rows){0};
		return status;
	}
	for (size_t i = 0; i < place->rows.count; i++) {
		const char *text = db_text(&place->rows, i, 5);

		snprintf(place->id, sizeof place->id, "%s", db_text(&place->rows, i, 0));
		place->continuous = db_int(&place->rows, i, 1) != 0;
		if (!db_is_null(&place->rows, i, 2))
			place->bases[place->base_count++] = (struct tractatus_base){.seq = db_int(&place->rows, i, 2),
			                                                            .epoch = db_int(&place->rows, i, 3),
			                                                            .ours = db_int(&place->rows, i, 4) != 0,
			                                                            .text = text,
			                                                            .len = strlen(text)};
	}
	return OK;
}

enum status
tractatus_place_save(struct txn *txn, struct tractatus_place *place, struct buf *why)
{
	enum status status = place->id[0] == '\0' ? txn_id(txn, place->id, why) : OK;

	if (status == OK)
		db_run(txn->db,
		       "INSERT INTO tractatus_place (project, folder, place, continuous) VALUES ($1, $2, $3, $4)"
		       " ON CONFLICT (project, folder) DO UPDATE SET continuous = excluded.continuous",
		       DB_TEXT(txn->project), DB_TEXT(place->folder), DB_TEXT(place->id), DB_INT(place->continuous));
	return status;
}

enum status
tractatus_seen_load(struct txn *txn, struct tractatus_place *place, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT name, number, text FROM tractatus_seen WHERE project = $1 AND place = $2",
	                            DB_TEXT(txn->project), DB_TEXT(place->id));

	if (status != OK)
		return status;
	json_decref(place->seen);
	place->seen = json_object();
	for (size_t i = 0; i < rows.count; i++)
		json_object_set_new(place->seen, db_text(&rows, i, 0),
		                    json_pack("{sI ss}", "number", (json_int_t)db_int(&rows, i, 1), "text", db_text(&rows, i, 2)));
	if (json_object_size(place->seen) != rows.count)
		status = why_not(why, NO_MEMORY, "out of memory");
	db_rows_release(&rows);
	return status;
}

void
tractatus_seen_save(struct txn *txn, const struct tractatus_place *place, const char *name, int64_t number, const char *text)
{
	db_run(txn->db,
	       "INSERT INTO tractatus_seen (project, place, name, number, text) VALUES ($1, $2, $3, $4, $5)"
	       " ON CONFLICT (project, place, name) DO UPDATE SET number = excluded.number, text = excluded.text",
	       DB_TEXT(txn->project), DB_TEXT(place->id), DB_TEXT(name), DB_INT(number), DB_TEXT(text));
}

/* FNV-1a. */
void
tractatus_digest(const char *bytes, size_t len, char out[TRACTATUS_DIGEST_SIZE])
{
	uint64_t digest = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < len; i++)
		digest = (digest ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211);
	snprintf(out, TRACTATUS_DIGEST_SIZE, "%016llx", (unsigned long long)digest);
}

int64_t
tractatus_next_base(const struct tractatus_place *place)
{
	return place->base_count == 0 ? 1 : place->bases[0].seq + 1;
}

void
tractatus_base_add(struct txn *txn, const struct tractatus_place *place, int64_t epoch, bool ours, const char *import,
                   const char *text)
{
	db_run(txn->db,
	       "INSERT INTO tractatus_base (project, place, seq, epoch, ours, import, text) VALUES ($1, $2, $3, $4, $5, $6, $7)",
	       DB_TEXT(txn->project), DB_TEXT(place->id), DB_INT(tractatus_next_base(place)), DB_INT(epoch), DB_INT(ours),
	       DB_TEXT(import), DB_TEXT(text));
	/* many edits must not push out what they began from */
	db_run(txn->db,
	       "DELETE FROM tractatus_base WHERE project = $1 AND place = $2 AND ours = $3 AND seq NOT IN (SELECT b.seq FROM"
	       " tractatus_base b WHERE b.project = $1 AND b.place = $2 AND b.ours = $3 ORDER BY b.seq DESC LIMIT $4)",
	       DB_TEXT(txn->project), DB_TEXT(place->id), DB_INT(ours), DB_INT(TRACTATUS_BASES));
}

bool
tractatus_is_base(const struct tractatus_place *place, const struct buf *text)
{
	for (size_t i = 0; i < place->base_count; i++)
		if (place->bases[i].len == text->len && memcmp(place->bases[i].text, text->data, text->len) == 0)
			return true;
	return false;
}

static enum status
parse_base(const struct tractatus_base *base, struct history *out, struct buf *why)
{
	char *copy = strdup(base->text);
	enum status status = copy == NULL ? NO_MEMORY : history_parse(copy, base->len, out, why);

	free(copy);
	return status;
}

/* How many entries differ. */
static enum status
distance(const json_t *base, const json_t *entries, size_t *out)
{
	struct merge merge;
	enum status status = merge_three(base, base, entries, true, &merge);

	if (status != OK)
		return status;
	*out = merge.count;
	merge_release(&merge);
	return OK;
}

/* Leaves in `base` only what `edit` has too, or `other`.  NO_MEMORY. */
static enum status
keep_common(json_t *base, const json_t *edit, const json_t *other)
{
	json_t *known = json_object(), *entry;
	bool well = known != NULL;
	size_t i;

	json_array_foreach(edit, i, entry) well = well && json_object_set(known, json_text(entry, "id", ""), entry) == 0;
	json_array_foreach(other, i, entry) well = well && json_object_set(known, json_text(entry, "id", ""), entry) == 0;
	for (i = json_array_size(base); i-- > 0 && well;)
		if (json_object_get(known, json_text(json_array_get(base, i), "id", "")) == NULL)
			json_array_remove(base, i);
	json_decref(known);
	return well ? OK : NO_MEMORY;
}

static enum status
parse_bases(const struct tractatus_place *place, struct history *out, struct buf *why)
{
	enum status status = OK;

	for (size_t i = 0; i < place->base_count && status == OK; i++)
		status = parse_base(&place->bases[i], &out[i], why);
	return status;
}

static enum status
nearest(const struct tractatus_place *place, const struct history *edit, json_t **out, struct buf *why)
{
	struct history bases[TRACTATUS_BASES * 2] = {0};
	size_t least = SIZE_MAX, differ = 0;
	const json_t *found = NULL;
	enum status status = parse_bases(place, bases, why);

	for (size_t i = 0; i < place->base_count && status == OK; i++) {
		status = distance(bases[i].entries, edit->entries, &differ);
		if (status == OK && differ < least) {
			least = differ;
			found = bases[i].entries;
		}
	}
	if (status == OK && found != NULL)
		*out = json_copy((json_t *)(uintptr_t)found);
	for (size_t i = 0; i < place->base_count; i++) {
		if (status == OK && found != NULL)
			status = keep_common(*out, edit->entries, bases[i].entries);
		history_release(&bases[i]);
	}
	return status;
}

/* What we wrote at that epoch.  NO_SUCH when it is not kept any more. */
static enum status
named_base(const struct tractatus_place *place, int64_t epoch, json_t **out, struct buf *why)
{
	struct history base = {0};
	enum status status = NO_SUCH;

	for (size_t i = 0; i < place->base_count && status == NO_SUCH; i++)
		if (place->bases[i].ours && place->bases[i].epoch == epoch)
			status = parse_base(&place->bases[i], &base, why);
	if (status == OK)
		*out = json_incref(base.entries);
	history_release(&base);
	return status;
}

enum status
tractatus_base_of(const struct tractatus_place *place, const struct history *edit, json_t **base, bool *whole, struct buf *why)
{
	enum status status = NO_SUCH;

	*base = NULL;
	*whole = true;
	if (edit->place[0] != '\0' && str_equal(edit->place, place->id))
		status = named_base(place, edit->epoch, base, why);
	if (status != NO_SUCH)
		return status;
	*whole = edit->place[0] == '\0';
	return nearest(place, edit, base, why);
}

enum status
tractatus_continuous(struct txn *txn, json_t *folders, struct buf *why)
{
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "SELECT folder FROM tractatus_place WHERE project = $1 AND continuous = 1 ORDER BY folder LIMIT 1000",
	           DB_TEXT(txn->project));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++)
		json_array_append_new(folders, json_string(db_text(&rows, i, 0)));
	db_rows_release(&rows);
	return OK;
}

enum status
tractatus_lock(const char *store_folder, int64_t wait_ms, struct gate *lock, struct buf *why)
{
	char folder[PATH_SIZE];
	enum status status = swap_folder(store_folder, WORK, 0700, why);

	lock->fd = -1;
	lock->held = false;
	if (status == OK && paths_join(folder, sizeof folder, store_folder, WORK) != OK)
		status = why_not(why, IO_FAILED, "the path is too long: %s", store_folder);
	if (status == OK)
		status = gate_open(lock, folder, true, why);
	if (status == OK)
		status = file_give(lock->path, why);
	if (status == OK)
		status = gate_take(lock, wait_ms, why);
	if (status != OK)
		tractatus_unlock(lock);
	return status;
}

void
tractatus_unlock(struct gate *lock)
{
	gate_close(lock);
}
