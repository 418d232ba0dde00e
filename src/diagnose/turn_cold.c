#include "core/turn.h"
#include "diagnose/targets.h"
#include "os/clock.h"
#include "os/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Trinity #779: turns of one session, which has no id to resume by yet.  A turn reads the id, runs the agent, which begins a
 * transcript if it was given none, and keeps the id that it answered.
 *
 *   turn-cold          as the router had it: the lock's key is the id, so without one there is no lock
 *   turn-cold-to-warm  as the published fix has it: without an id the key is the session's, but the id is read before that
 *                      lock is taken and kept after it is given back.  Of three or more the last comes in between, reads
 *                      the first one's id, and has another key than those that still wait.
 */
#define STATE "session.json"
#define KEEPER "conversation" /* the session whose turns they are */
#define LATE_FROM 3
#define TTL_MS 60000

static enum status
path_of(const struct race *race, const char *name, char out[PATH_SIZE])
{
	return paths_join(out, PATH_SIZE, race->trial->folder, name);
}

static enum status
read_id(const struct race *race, char out[ID_MAX + 1], struct buf *why)
{
	json_t *state;
	enum status status = trial_read_file(race, STATE, &state, why);

	if (status != OK)
		return status;
	snprintf(out, ID_MAX + 1, "%s", json_text(state, "cached_claude_session_id", ""));
	json_decref(state);
	return OK;
}

/* In one step, as a row of the database that it is there. */
static enum status
keep_id(const struct race *race, const char *id, struct buf *why)
{
	char path[PATH_SIZE], text[ID_MAX + 60];
	int len = snprintf(text, sizeof text, "{\"cached_claude_session_id\": \"%s\"}", id);
	enum status status = path_of(race, STATE, path);

	if (status == OK)
		status = file_replace(path, text, (size_t)len, 0600, why);
	/* another has written it since */
	return status == CONFLICT ? OK : status;
}

/* The agent: one line in the transcript that it goes on with, or in a new one.  Its id is the writer's. */
static enum status
run_agent(struct race *race, const char *resume, struct buf *why)
{
	char name[ID_MAX + 10], path[PATH_SIZE], line[20];
	int fd = -1, len = snprintf(line, sizeof line, "turn %03u\n", race->self->number);
	bool well;

	if (*resume == '\0')
		snprintf(race->self->id, sizeof race->self->id, "id-%u", race->self->number);
	else
		snprintf(race->self->id, sizeof race->self->id, "%s", resume);
	snprintf(name, sizeof name, "%s.jsonl", race->self->id);
	if (path_of(race, name, path) == OK)
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	well = fd >= 0 && write(fd, line, (size_t)len) == len;
	if (fd >= 0)
		close(fd);
	return well ? OK : why_not(why, IO_FAILED, "%s could not be written", name);
}

/* The lines of an id's transcript, -1 when there is none. */
static int64_t
turns_in(const struct race *race, const char *id)
{
	char name[ID_MAX + 10], path[PATH_SIZE];
	struct stat info;

	snprintf(name, sizeof name, "%s.jsonl", id);
	if (*id == '\0' || path_of(race, name, path) != OK || stat(path, &info) != 0)
		return -1;
	return info.st_size / (int64_t)strlen("turn 000\n");
}

/* Short: it is a column of a table. */
static void
say(char out[TRIAL_TEXT], int64_t transcripts, int64_t turns, unsigned of)
{
	size_t len = (size_t)snprintf(out, TRIAL_TEXT, "%lld transcript%s, ", (long long)transcripts, transcripts == 1 ? "" : "s");

	if (turns == of)
		snprintf(out + len, TRIAL_TEXT - len, "all");
	else
		snprintf(out + len, TRIAL_TEXT - len, "%lld/%u", (long long)turns, of);
}

static void
compare(struct race *race, const char *id)
{
	struct finding *finding = race->finding;
	int64_t transcripts = 0;
	char other[40];

	for (unsigned i = 0; i < race->trial->writers; i++) {
		snprintf(other, sizeof other, "id-%u", i);
		transcripts += turns_in(race, other) >= 0;
	}
	finding->wanted = race->trial->writers;
	finding->kept = turns_in(race, id) < 0 ? 0 : turns_in(race, id);
	finding->strange = transcripts == 0;
	say(finding->found, transcripts, finding->kept, race->trial->writers);
}

static enum status
prepare_file(struct race *race, struct buf *why)
{
	say(race->trial->expected, 1, race->trial->writers, race->trial->writers);
	return keep_id(race, "", why);
}

static enum status
look_at_file(struct race *race, struct buf *why)
{
	char id[ID_MAX + 1];
	enum status status = read_id(race, id, why);

	if (status == OK)
		compare(race, id);
	return status;
}

static enum status
turn_without_lock(struct race *race, struct buf *why)
{
	char resume[ID_MAX + 1];
	enum status status = read_id(race, resume, why);

	if (status == OK)
		status = trial_meet(race, why);
	if (status == OK)
		status = run_agent(race, resume, why);
	return status == OK ? keep_id(race, race->self->id, why) : status;
}

static enum status
lock(const struct race *race, const char *key, int *fd, struct buf *why)
{
	char path[PATH_SIZE];
	enum status status = path_of(race, key, path);

	return status == OK ? file_lock(path, race->trial->limit_ms, fd, why) : status;
}

static enum status
turn_in_fixed_lock(struct race *race, const char *resume, struct buf *why)
{
	char key[ID_MAX + 10];
	int fd;
	enum status status;

	snprintf(key, sizeof key, "lock-%s", *resume == '\0' ? "cold" : resume);
	status = lock(race, key, &fd, why);
	if (status != OK)
		return status;
	status = run_agent(race, resume, why);
	close(fd);
	return status == OK ? keep_id(race, race->self->id, why) : status;
}

/* `gap` is held by the first until its id is kept: whoever has it after that comes in between. */
static enum status
turn_with_published_fix(struct race *race, struct buf *why)
{
	bool first = race->self->number == 0;
	bool late = race->trial->writers >= LATE_FROM && race->self->number == race->trial->writers - 1;
	char resume[ID_MAX + 1] = "";
	int gap = -1;
	enum status status = first ? lock(race, "gap", &gap, why) : OK;

	if (status == OK && !late)
		status = read_id(race, resume, why);
	if (status == OK)
		status = trial_meet(race, why);
	if (status == OK && late)
		status = lock(race, "gap", &gap, why);
	if (status == OK && late)
		status = read_id(race, resume, why);
	if (status == OK)
		status = turn_in_fixed_lock(race, resume, why);
	if (gap >= 0)
		close(gap);
	return status;
}

static enum status
find_session(struct race *race, char out[ID_SIZE], struct buf *why)
{
	struct session session;
	enum status status = trial_session(race, KEEPER, ARRIVAL_EVENT, &session, why);

	if (status == OK)
		memcpy(out, session.id, ID_SIZE);
	return status;
}

static enum status
prepare_session(struct race *race, struct buf *why)
{
	char session[ID_SIZE];

	say(race->trial->expected, 1, race->trial->writers, race->trial->writers);
	return find_session(race, session, why);
}

/* What a long writer carries from rule to rule; each writer is a process of its own. */
static struct {
	char session[ID_SIZE], resource[RESOURCE_MAX + 1], wake[WAKE_SIZE];
	struct lease lease;
	struct turn turn;
} own;

static enum status
ask(struct race *race, struct buf *why)
{
	struct lease_ask wanted = {.resource = own.resource,
	                           .wait = true,
	                           .wait_ms = race->trial->limit_ms,
	                           .ttl_ms = TTL_MS,
	                           .session = own.session,
	                           .chain = "",
	                           .anchor = "",
	                           .wake = own.wake};
	char actor[ACTOR_SIZE];
	enum status status = find_session(race, own.session, why);

	/* as several shells of one session */
	snprintf(actor, sizeof actor, "%s/%u", own.session, race->self->number);
	race->txn->actor = actor;
	turn_resource(own.session, own.resource);
	return status == OK ? lease_acquire(race->txn, &wanted, &own.lease, why) : status;
}

static enum status
look_for_grant(struct race *race, struct buf *why)
{
	bool tend;

	return lease_look(race->txn, own.resource, own.lease.ticket, &own.lease, &tend, why);
}

static enum status
open_turn(struct race *race, struct buf *why)
{
	race->txn->actor = own.session;
	return turn_open(race->txn, own.session, SLOT_RESUME, own.lease.fence, NULL, &own.turn, why);
}

static enum status
close_turn(struct race *race, struct buf *why)
{
	struct turn_end end = {.session = own.session, .fence = own.lease.fence, .slot = SLOT_RESUME, .bind = race->self->id};

	race->txn->actor = own.session;
	return turn_close(race->txn, &end, why);
}

static enum status
wait_for_turn(struct race *race, struct buf *why)
{
	struct db *db = race->engine->db;
	int64_t until_ms = clock_boot_ms() + race->trial->limit_ms;
	enum status status = db->ops->listen(db, own.wake, why);

	if (status == OK)
		status = trial_rule(race, ask, why);
	while (status == QUEUED && clock_boot_ms() < until_ms) {
		db->ops->wait(db, WAKE_RECHECK_MS);
		status = trial_rule(race, look_for_grant, why);
	}
	return status == QUEUED ? why_not(why, BUSY, "the turn was waited for in vain") : status;
}

static enum status
turn_as_lease(struct race *race, struct buf *why)
{
	enum status status = wait_for_turn(race, why);

	if (status == OK)
		status = trial_rule(race, open_turn, why);
	if (status == OK)
		status = trial_meet(race, why);
	if (status == OK)
		status = run_agent(race, own.turn.resume, why);
	return status == OK ? trial_rule(race, close_turn, why) : status;
}

static enum status
look_at_session(struct race *race, struct buf *why)
{
	char session[ID_SIZE];
	struct binding binding;
	enum status status = find_session(race, session, why);

	if (status == OK)
		status = binding_get(race->txn, session, SLOT_RESUME, &binding, why);
	if (status == OK)
		compare(race, binding.value);
	return status;
}

const struct target target_turn_cold = {
	"turn-cold",
	{.prepare = prepare_file, .write = turn_without_lock, .look = look_at_file},
	{.prepare = prepare_session, .write = turn_as_lease, .look = look_at_session, .apart = true},
};

const struct target target_turn_cold_to_warm = {
	"turn-cold-to-warm",
	{.prepare = prepare_file, .write = turn_with_published_fix, .look = look_at_file},
	{.prepare = prepare_session, .write = turn_as_lease, .look = look_at_session, .apart = true},
};
