#include "core/lease.h"
#include "diagnose/targets.h"
#include "diagnose/witness.h"
#include "os/anchor.h"
#include "os/file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * ALAI's two slots for what feeds the index.  As folders, made to take one and removed to give it back, they let in two; but one
 * whose holder was killed stays taken.  Here both were, before anybody comes.
 */
#define SLOTS 2
#define RESOURCE "lock/lightrag"
#define TTL_MS 600000

static void
expect(struct trial *trial)
{
	snprintf(trial->expected, sizeof trial->expected, "%u let in, peak %d", trial->writers, SLOTS);
}

static void
name_slot(const struct race *race, int slot, char out[PATH_SIZE + 20])
{
	snprintf(out, PATH_SIZE + 20, "%s/slot-%d", race->trial->folder, slot);
}

static enum status
prepare(struct race *race, struct buf *why)
{
	(void)why;
	expect(race->trial);
	return OK;
}

static enum status
take_folders(struct race *race, struct buf *why)
{
	char path[PATH_SIZE + 20];

	for (int slot = 0; slot < SLOTS; slot++) {
		name_slot(race, slot, path);
		if (mkdir(path, 0700) != 0)
			return why_not(why, IO_FAILED, "%s: %s", path, strerror(errno));
	}
	return OK;
}

/* Inside: how many there are at once, seen by whoever comes in.  The first waits for the second, who is sure to come. */
static void
work(struct race *race)
{
	struct trial_shared *shared = race->trial->shared;
	unsigned now = __atomic_add_fetch(&shared->inside, 1, __ATOMIC_SEQ_CST), peak = shared->peak;

	while (now > peak && !__atomic_compare_exchange_n(&shared->peak, &peak, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	barrier_meet(&shared->pair, race->trial->limit_ms);
	__atomic_sub_fetch(&shared->inside, 1, __ATOMIC_SEQ_CST);
	race->self->seen = 1;
}

static enum status
enter_by_folder(struct race *race, struct buf *why)
{
	char path[PATH_SIZE + 20];
	enum status status = trial_meet(race, why);

	for (int slot = 0; status == OK && slot < SLOTS; slot++) {
		name_slot(race, slot, path);
		if (mkdir(path, 0700) != 0)
			continue;
		work(race);
		rmdir(path);
		break;
	}
	return status;
}

static enum status
look(struct race *race, struct buf *why)
{
	struct finding *finding = race->finding;
	unsigned peak = race->trial->shared->peak;

	(void)why;
	finding->wanted = race->trial->writers;
	for (unsigned i = 0; i < race->trial->writers; i++)
		finding->kept += race->trial->shared->writers[i].seen == 1;
	finding->strange = peak > SLOTS || (finding->kept == finding->wanted && peak < SLOTS);
	snprintf(finding->found, sizeof finding->found, "%lld let in, peak %u", (long long)finding->kept, peak);
	return OK;
}

/* One writer's way to a slot. */
struct way {
	struct race *race;
	struct anchor anchor;
	char folder[PATH_SIZE];
	struct witness witness;
	char wake[WAKE_SIZE];
	struct lease lease;
	bool tend;
};

static enum status
acquire(struct txn *txn, void *arg, struct buf *why)
{
	struct way *way = arg;
	struct lease_ask ask = {.resource = RESOURCE,
	                        .slots = SLOTS,
	                        .wait = true,
	                        .wait_ms = way->race->trial->limit_ms,
	                        .ttl_ms = TTL_MS,
	                        .session = "",
	                        .chain = "",
	                        .anchor = way->anchor.name,
	                        .anchored = true,
	                        .wake = way->wake};

	return lease_acquire(txn, &ask, &way->lease, why);
}

static enum status
see(struct txn *txn, void *arg, struct buf *why)
{
	struct way *way = arg;

	return lease_look(txn, RESOURCE, way->lease.ticket, &way->lease, &way->tend, why);
}

static enum status
tend(struct txn *txn, void *arg, struct buf *why)
{
	(void)arg;
	return lease_tend(txn, RESOURCE, why);
}

static enum status
release(struct txn *txn, void *arg, struct buf *why)
{
	const struct way *way = arg;

	return lease_release(txn, RESOURCE, way->lease.fence, why);
}

static enum status
take_slot(struct engine *engine, struct way *way, struct buf *why)
{
	enum status status = paths_join(way->folder, sizeof way->folder, way->race->trial->folder, "store");

	way->witness = diagnose_witness(way->folder);
	engine->witness = &way->witness;
	/* with a server's store there is none of the trial's own */
	if (status == OK)
		status = file_make_folder(way->folder, 0700, NULL, why);
	if (status == OK)
		status = anchor_take(&way->anchor, way->folder, why);
	if (status == OK)
		status = engine->db->ops->listen(engine->db, way->wake, why);
	if (status == OK)
		status = engine_run(engine, acquire, way, why);
	while (status == QUEUED) {
		engine->db->ops->wait(engine->db, WAKE_RECHECK_MS);
		status = engine_read(engine, see, way, why);
		if (status == QUEUED && way->tend && engine_run(engine, tend, way, why) != OK)
			break;
	}
	engine->witness = NULL;
	return status;
}

static enum status
enter_by_lease(struct race *race, struct buf *why)
{
	struct way way = {.race = race, .anchor = {.fd = -1}};
	enum status status = trial_meet(race, why);

	if (status == OK)
		status = take_slot(race->engine, &way, why);
	if (status == OK) {
		work(race);
		status = engine_run(race->engine, release, &way, why);
	}
	anchor_leave(&way.anchor);
	return status;
}

static enum status
take_leases(struct race *race, struct buf *why)
{
	struct way ways[SLOTS];
	enum status status = OK;

	for (int slot = 0; slot < SLOTS && status == OK; slot++) {
		ways[slot] = (struct way){.race = race, .anchor = {.fd = -1}};
		status = take_slot(race->engine, &ways[slot], why);
	}
	return status;
}

const struct target target_lightrag_slots = {
	"lightrag-slots",
	{.prepare = prepare, .write = enter_by_folder, .look = look, .victim = take_folders},
	{.prepare = prepare, .write = enter_by_lease, .look = look, .apart = true, .victim = take_leases},
};
