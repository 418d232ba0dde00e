#include "core/queue_claim.h"
#include "diagnose/targets.h"
#include "diagnose/witness.h"
#include "os/anchor.h"
#include "os/file.h"

#include <fcntl.h>
#include <unistd.h>

/*
 * claude-mem's observations, and the three ways in which they were lost: one that comes before the id under which it is to be stored
 * (#586) is thrown away; one that was claimed is gone with its worker, since a claim removes it; and those that wait in memory
 * are gone with the process (#4068: 1,297 of them).
 */
#define QUEUE "observations"
#define SLOT "memory"
#define SESSION_FILE "session.json"
#define EACH 5 /* observations that one writer brings before the id is there */
#define BACKLOG 1297
#define TTL_MS 600000
#define BATCH QUEUE_TAKE_MAX

static enum status
put(struct txn *txn, const char *line, const char *slot, const char *payload, struct buf *why)
{
	struct queue_put ask = {.queue = QUEUE,
	                        .line = line,
	                        .key = "",
	                        .slot = slot,
	                        .payload = payload,
	                        .size = strlen(payload),
	                        .digest = "",
	                        .apart = ""};
	struct queue_item item;
	bool again;

	return queue_put(txn, &ask, &item, &again, why);
}

/* What each writer has stored. */
static enum status
count_seen(struct race *race, unsigned wanted, struct buf *why)
{
	(void)why;
	race->finding->wanted = wanted;
	for (unsigned i = 0; i < race->trial->writers; i++)
		race->finding->kept += race->trial->shared->writers[i].seen;
	snprintf(race->finding->found, sizeof race->finding->found, "%lld stored", (long long)race->finding->kept);
	return OK;
}

/* pending-before-bind */

static enum status
prepare_unbound(struct race *race, struct buf *why)
{
	json_t *session = json_pack("{sn}", "memory_session_id");
	enum status status = trial_write_file(race, SESSION_FILE, session, why);

	json_decref(session);
	snprintf(race->trial->expected, sizeof race->trial->expected, "%u stored", race->trial->writers * EACH);
	return status;
}

/* Each looks whether the id is there, then one brings it, and only who has seen it stores what it has. */
static enum status
store_if_bound(struct race *race, struct buf *why)
{
	json_t *session;
	enum status status = trial_read_file(race, SESSION_FILE, &session, why);
	bool bound;

	if (status != OK)
		return status;
	bound = json_is_string(json_object_get(session, "memory_session_id"));
	json_decref(session);
	status = trial_meet(race, why);
	if (status == OK && race->self->number == 0) {
		session = json_pack("{ss}", "memory_session_id", "sdk-gen-abc123");
		status = trial_write_file(race, SESSION_FILE, session, why);
		json_decref(session);
	}
	race->self->seen = bound ? EACH : 0;
	return status;
}

static enum status
look_at_stored(struct race *race, struct buf *why)
{
	return count_seen(race, race->trial->writers * EACH, why);
}

static enum status
prepare_session(struct race *race, struct buf *why)
{
	struct session session;

	snprintf(race->trial->expected, sizeof race->trial->expected, "%u stored", race->trial->writers * EACH);
	return trial_session(race, "c1", ARRIVAL_STARTUP, &session, why);
}

static enum status
put_until_bound(struct race *race, struct buf *why)
{
	struct session session;
	struct binding_ask ask = {.session = session.id, .slot = SLOT, .value = "sdk-gen-abc123"};
	struct binding bound;
	enum status status = trial_session(race, "c1", ARRIVAL_EVENT, &session, why);

	for (int i = 0; i < EACH && status == OK; i++)
		status = put(race->txn, session.id, SLOT, "{}", why);
	if (status == OK)
		status = trial_meet(race, why);
	if (status == OK && race->self->number == 0)
		status = binding_set(race->txn, &ask, &bound, why);
	return status;
}

/* All that can be claimed, one after another, is acknowledged; how many. */
static enum status
store_all(struct txn *txn, int64_t *count, struct buf *why)
{
	struct queue_take ask = {.queue = QUEUE, .max = BATCH, .ttl_ms = TTL_MS, .session = "", .anchor = "", .wake = ""};
	struct queue_taken taken;
	struct queue_item item;
	char id[QUEUE_ID_SIZE];
	enum status status;

	while ((status = queue_take(txn, &ask, &taken, why)) == OK) {
		for (size_t i = 0; i < taken.count && status == OK; i++) {
			queue_id(&taken.items[i], id);
			status = queue_ack(txn, id, taken.items[i].claim.fence, &item, why);
			*count += status == OK;
		}
		queue_taken_release(&taken);
		if (status != OK)
			return status;
	}
	return status == BUSY ? why_not(why, OK, "%s", "") : status;
}

static enum status
look_at_bound(struct race *race, struct buf *why)
{
	enum status status = store_all(race->txn, &race->finding->kept, why);

	race->finding->wanted = (int64_t)race->trial->writers * EACH;
	snprintf(race->finding->found, sizeof race->finding->found, "%lld stored", (long long)race->finding->kept);
	return status;
}

/* claim-then-crash and restart-with-backlog: so many wait, a process is killed, and the writers do what is left. */

static enum status
expect(struct race *race, unsigned count, struct buf *why)
{
	(void)why;
	snprintf(race->trial->expected, sizeof race->trial->expected, "%u stored", count);
	return OK;
}

/* An item for each, and one more for who is killed. */
static unsigned
items_of(const struct race *race)
{
	return race->trial->writers + 1;
}

static void
name_item(const struct race *race, unsigned number, char out[PATH_SIZE + 20])
{
	snprintf(out, PATH_SIZE + 20, "%s/item-%u", race->trial->folder, number);
}

static enum status
prepare_files(struct race *race, struct buf *why)
{
	char path[PATH_SIZE + 20];

	for (unsigned i = 0; i < items_of(race); i++) {
		int fd;

		name_item(race, i, path);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return why_not(why, IO_FAILED, "%s: could not be made", path);
		close(fd);
	}
	return expect(race, items_of(race), why);
}

/* A claim removes it: of several who try one succeeds. */
static bool
claim_file(const struct race *race)
{
	char path[PATH_SIZE + 20];

	for (unsigned i = 0; i < items_of(race); i++) {
		name_item(race, i, path);
		if (unlink(path) == 0)
			return true;
	}
	return false;
}

static enum status
claim_and_die(struct race *race, struct buf *why)
{
	return claim_file(race) ? OK : why_not(why, IO_FAILED, "there was nothing to claim");
}

static enum status
claim_files(struct race *race, struct buf *why)
{
	enum status status = trial_meet(race, why);

	while (status == OK && claim_file(race))
		race->self->seen++;
	return status;
}

static enum status
look_at_claims(struct race *race, struct buf *why)
{
	return count_seen(race, items_of(race), why);
}

static enum status
put_items(struct race *race, struct buf *why)
{
	enum status status = expect(race, items_of(race), why);

	for (unsigned i = 0; i < items_of(race) && status == OK; i++)
		status = put(race->txn, "", "", "{}", why);
	return status;
}

/* A worker with an anchor, for one rule after another. */
struct worker {
	char folder[PATH_SIZE];
	struct anchor anchor;
	struct witness witness;
	int64_t max;
	struct queue_taken taken;
	int64_t done;
};

static enum status
begin(struct race *race, struct worker *worker, struct buf *why)
{
	enum status status = paths_join(worker->folder, sizeof worker->folder, race->trial->folder, "anchors-of-workers");

	worker->witness = diagnose_witness(worker->folder);
	race->engine->witness = &worker->witness;
	if (status == OK)
		status = file_make_folder(worker->folder, 0700, NULL, why);
	return status == OK ? anchor_take(&worker->anchor, worker->folder, why) : status;
}

static enum status
rule_take(struct txn *txn, void *arg, struct buf *why)
{
	struct worker *worker = arg;
	struct queue_take ask = {.queue = QUEUE,
	                         .max = worker->max,
	                         .ttl_ms = TTL_MS,
	                         .session = "",
	                         .anchor = worker->anchor.name,
	                         .anchored = true,
	                         .wake = ""};

	return queue_take(txn, &ask, &worker->taken, why);
}

static enum status
rule_ack(struct txn *txn, void *arg, struct buf *why)
{
	struct worker *worker = arg;
	struct queue_item item;
	char id[QUEUE_ID_SIZE];
	enum status status = OK;

	for (size_t i = 0; i < worker->taken.count && status == OK; i++) {
		queue_id(&worker->taken.items[i], id);
		status = queue_ack(txn, id, worker->taken.items[i].claim.fence, &item, why);
	}
	return status;
}

static enum status
take_and_die(struct race *race, struct buf *why)
{
	struct worker worker = {.anchor = {.fd = -1}, .max = 1};
	enum status status = begin(race, &worker, why);

	return status == OK ? engine_run(race->engine, rule_take, &worker, why) : status;
}

static enum status
work(struct race *race, int64_t max, struct buf *why)
{
	struct worker worker = {.anchor = {.fd = -1}, .max = max};
	enum status status = begin(race, &worker, why);

	while (status == OK && (status = engine_run(race->engine, rule_take, &worker, why)) == OK) {
		status = engine_run(race->engine, rule_ack, &worker, why);
		race->self->seen += status == OK ? (int64_t)worker.taken.count : 0;
		queue_taken_release(&worker.taken);
	}
	race->engine->witness = NULL;
	anchor_leave(&worker.anchor);
	return status == BUSY ? why_not(why, OK, "%s", "") : status;
}

static enum status
work_on_items(struct race *race, struct buf *why)
{
	enum status status = trial_meet(race, why);

	return status == OK ? work(race, 1, why) : status;
}

static enum status
expect_backlog(struct race *race, struct buf *why)
{
	return expect(race, BACKLOG, why);
}

/* Whoever brought them was told that they were taken: they are in memory. */
static enum status
remember_and_die(struct race *race, struct buf *why)
{
	json_t *buffer = json_array();

	(void)race;
	for (unsigned i = 0; i < BACKLOG; i++)
		json_array_append_new(buffer, json_pack("{si}", "observation", (int)i));
	return json_array_size(buffer) == BACKLOG ? OK : why_not(why, NO_MEMORY, "out of memory");
}

/* After the restart each looks for what there is. */
static enum status
work_on_memory(struct race *race, struct buf *why)
{
	json_t *buffer = NULL;
	enum status status = trial_read_file(race, QUEUE, &buffer, why);

	race->self->seen = status == OK ? (int64_t)json_array_size(buffer) : 0;
	json_decref(buffer);
	return status == NO_SUCH || status == OK ? trial_meet(race, why) : status;
}

static enum status
put_backlog(struct race *race, struct buf *why)
{
	enum status status = OK;

	for (unsigned i = 0; i < BACKLOG && status == OK; i++)
		status = put(race->txn, "", "", "{}", why);
	return status;
}

static enum status
put_and_die(struct race *race, struct buf *why)
{
	return trial_rule(race, put_backlog, why);
}

static enum status
work_on_backlog(struct race *race, struct buf *why)
{
	enum status status = trial_meet(race, why);

	return status == OK ? work(race, BATCH, why) : status;
}

static enum status
look_at_backlog(struct race *race, struct buf *why)
{
	return count_seen(race, BACKLOG, why);
}

const struct target target_pending_before_bind = {
	"pending-before-bind",
	{.prepare = prepare_unbound, .write = store_if_bound, .look = look_at_stored},
	{.prepare = prepare_session, .write = put_until_bound, .look = look_at_bound},
};

const struct target target_claim_then_crash = {
	"claim-then-crash",
	{.prepare = prepare_files, .write = claim_files, .look = look_at_claims, .victim = claim_and_die},
	{.prepare = put_items, .write = work_on_items, .look = look_at_claims, .apart = true, .victim = take_and_die},
};

const struct target target_restart_with_backlog = {
	"restart-with-backlog",
	{.prepare = expect_backlog, .write = work_on_memory, .look = look_at_backlog, .victim = remember_and_die},
	{.prepare = expect_backlog, .write = work_on_backlog, .look = look_at_backlog, .apart = true, .victim = put_and_die},
};
