/*
 * Fifty sessions soak a store for minutes, each a process that does all that sessions do, by the library and by the hooks of the real
 * program; some are killed in the middle of it (SIGKILL) and come back, and the store is checkpointed under them all the time.
 *
 * The anomalies refuted: what race/fifty.c names, over time; and
 *
 *   lost by a kill   A's commit is answered, A dies, and what it did is gone.
 *   twice by a kill  A dies after its commit and before it knows; whoever goes on in its name finds it half done, or done two times.
 *   a lasting lock   A dies while it has the store for itself; everybody else waits for it.
 *
 * Exact at the end: each session has just what it was answered, one thing more at most for each time that it was killed, which it had
 * then found; its trail tells of each once.
 *
 * The small share is some seconds on each engine; the whole is STILE_SOAK_SECONDS (600) on each.
 * Rows: R2 R83 R122 N11
 * Time limit: 1800 s
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/postgres.h"
#include "lib/store.h"
#include "lib/test.h"

#include "base/str.h"
#include "os/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#define SESSIONS 50
#define SECONDS 600
#define SECONDS_SMALL 5
#define KILLED_EACH 150     /* things that are done between two kills */
#define CHECKPOINT_EACH 400 /* and between two checkpoints */

enum kind { ADD, SET, BIND, BEAT, EDIT, PROMPT, LOOK, KINDS };

struct life {
	char id[40];
	char instruction[40];
	_Atomic int64_t done[KINDS]; /* that were answered */
	_Atomic int doing;           /* kind + 1 while one is under way */
	unsigned number;
};

struct soak {
	struct codebase codebase;
	struct life lives[SESSIONS];
	int told[2]; /* a byte for each thing that was done: whose */
	_Atomic bool over;
};

struct part {
	struct soak *soak;
	struct life *life;
	struct scratch_child child;
};

static bool
prompts(struct soak *soak, struct life *life)
{
	struct codebase codebase = soak->codebase;
	char payload[500];
	struct said said;

	snprintf(payload, sizeof payload,
	         "{\"session_id\":\"conversation-%u\",\"hook_event_name\":\"UserPromptSubmit\",\"prompt\":\"x\",\"cwd\":\"%s\"}",
	         life->number, codebase.folder);
	codebase.input = payload;
	codebase_run(&codebase, &said, "hook", "claude");
	if (said.status != 0 || said.err[0] != '\0')
		fprintf(stderr, "soak: a hook ended with %d: %s\n", said.status, said.err);
	return said.status == 0 && said.err[0] == '\0';
}

/* Its numbers as it is told them, by name. */
static bool
finds_its_own(struct stile *resident, struct life *life)
{
	json_t *said;
	enum stile_status status = resident_call(resident, &said, "metric show", "{\"session\":\"%s\"}", life->id);
	json_t *metrics = json_object_get(said, "metrics");
	bool well = status == STILE_OK && json_whole(metrics, "edits", 0) == life->done[ADD] &&
	            json_whole(metrics, "messages", 0) == life->done[PROMPT];

	json_decref(said);
	return well;
}

static bool
does(struct soak *soak, struct stile *resident, struct life *life, enum kind kind)
{
	const char *id = life->id;
	int64_t next = life->done[kind] + 1;

	switch (kind) {
	case ADD:
		return resident_call(resident, NULL, "metric add", "{\"session\":\"%s\",\"name\":\"edits\",\"amount\":1}", id) ==
		       STILE_OK;
	case SET:
		return resident_call(resident, NULL, "metric set", "{\"session\":\"%s\",\"name\":\"context_tokens\",\"amount\":%u}", id,
		                     (life->number + 1) * 4000) == STILE_OK;
	case BIND:
		return resident_call(resident, NULL, "session bind",
		                     "{\"session\":\"%s\",\"slot\":\"memory\",\"value\":\"%u-%lld\",\"rebind\":true}", id, life->number,
		                     (long long)next) == STILE_OK;
	case BEAT:
		return resident_call(resident, NULL, "session heartbeat", "{\"session\":\"%s\"}", id) == STILE_OK;
	case EDIT:
		return resident_call(resident, NULL, "instruction edit",
		                     "{\"id\":\"%s\",\"version\":%lld,\"text\":\"%u says %lld\",\"session\":\"%s\"}", life->instruction,
		                     (long long)next, life->number, (long long)next, id) == STILE_OK;
	case PROMPT:
		return prompts(soak, life);
	default:
		return finds_its_own(resident, life);
	}
}

/*
 * What the store has of the session, counted while nobody else has it for himself: one who was killed has then done what he still
 * could.
 */
static bool
count(const struct soak *soak, const struct life *life, int64_t found[KINDS])
{
	struct db *db = contract_store(contract_now, soak->codebase.store);
	struct db_rows rows;
	struct buf why;
	bool well;

	buf_init(&why, WHY_MAX);
	well = db_begin(db, true, CODEBASE_LIMIT_MS, &why) == OK &&
	       db_ask(db, &rows, &why,
	              "SELECT (SELECT count(*) FROM audit a WHERE a.session = s.session AND a.kind = 'metric.add'),"
	              " (SELECT count(*) FROM audit a WHERE a.session = s.session AND a.kind = 'metric.set'),"
	              " (SELECT count(*) FROM binding b WHERE b.session = s.session AND b.slot = 'memory'),"
	              " s.events - coalesce((SELECT m.value FROM metric m WHERE m.session = s.session AND m.name = 'messages'), 0),"
	              " (SELECT max(i.version) - 1 FROM instruction i WHERE i.instruction = $1),"
	              " coalesce((SELECT m.value FROM metric m WHERE m.session = s.session AND m.name = 'messages'), 0)"
	              " FROM session s WHERE s.session = $2",
	              DB_TEXT(life->instruction), DB_TEXT(life->id)) == OK;
	for (size_t i = 0; i < LOOK && well && rows.count == 1; i++)
		found[i] = db_int(&rows, 0, i);
	if (well)
		db_rows_release(&rows);
	else
		fprintf(stderr, "soak: %s\n", why.data);
	db_rollback(db);
	contract_close(db);
	buf_release(&why);
	return well;
}

/* What was under way when it was killed is done or it isn't; all else is as it was answered. */
static bool
takes_up(const struct soak *soak, struct life *life)
{
	int64_t found[KINDS];
	int was_doing = atomic_load(&life->doing);

	if (!count(soak, life, found))
		return false;
	for (int i = 0; i < LOOK; i++) {
		if (found[i] != life->done[i] && !(i + 1 == was_doing && found[i] == life->done[i] + 1)) {
			fprintf(stderr, "soak: of kind %d %lld were answered, %lld are there; kind %d was under way\n", i,
			        (long long)life->done[i], (long long)found[i], was_doing - 1);
			return false;
		}
		atomic_store(&life->done[i], found[i]);
	}
	atomic_store(&life->doing, 0);
	return true;
}

static int
lives(void *arg)
{
	static const enum kind order[] = {ADD, SET, BIND, ADD, BEAT, EDIT, ADD, LOOK, BIND, ADD, BEAT, PROMPT};
	struct part *part = arg;
	struct soak *soak = part->soak;
	struct life *life = part->life;
	unsigned char number = (unsigned char)life->number;
	struct stile *resident = codebase_resident(&soak->codebase);
	char name[40], id[ID_SIZE];
	bool well;

	snprintf(name, sizeof name, "conversation-%u", life->number);
	resident_start(resident, name, id);
	well = str_equal(id, life->id) && takes_up(soak, life);
	/* each begins elsewhere, so that all kinds meet all kinds */
	for (unsigned i = life->number; well && !atomic_load(&soak->over); i++) {
		enum kind kind = order[i % (sizeof order / sizeof *order)];

		atomic_store(&life->doing, (int)kind + 1);
		well = does(soak, resident, life, kind);
		if (well) {
			atomic_fetch_add(&life->done[kind], 1);
			atomic_store(&life->doing, 0);
			/* full means that nobody needs to know */
			well = write(soak->told[1], &number, 1) == 1 || errno == EAGAIN;
		}
	}
	stile_close(resident);
	return well ? 0 : 2;
}

static struct soak *
open_soak(void)
{
	struct soak *soak = scratch_shared(sizeof *soak);
	struct stile *resident;
	char name[40];

	codebase_make(&soak->codebase);
	assert_int_equal(pipe2(soak->told, O_CLOEXEC | O_NONBLOCK), 0);
	resident = codebase_resident(&soak->codebase);
	for (unsigned i = 0; i < SESSIONS; i++) {
		struct life *life = &soak->lives[i];
		json_t *said;

		life->number = i;
		snprintf(name, sizeof name, "conversation-%u", i);
		resident_start(resident, name, life->id);
		assert_int_equal(resident_call(resident, &said, "instruction add", "{\"text\":\"%u says 0\",\"session\":\"%s\"}", i,
		                               life->id),
		                 STILE_OK);
		snprintf(life->instruction, sizeof life->instruction, "%s", json_text(said, "id", ""));
		json_decref(said);
	}
	stile_close(resident);
	return soak;
}

static void
close_soak(struct soak *soak)
{
	close(soak->told[0]);
	close(soak->told[1]);
	codebase_remove(&soak->codebase);
	scratch_unshare(soak, sizeof *soak);
}

static void
checkpoint(void)
{
	char url[POSTGRES_URL_SIZE];

	/* the other engine does it by itself, every so many pages */
	if (!str_equal(contract_engine(contract_now), "postgresql"))
		return;
	postgres_address("postgres", url);
	postgres_execute(url, "CHECKPOINT");
}

static bool
each_has_done_all(const struct soak *soak)
{
	for (unsigned i = 0; i < SESSIONS; i++)
		for (int kind = 0; kind < KINDS; kind++)
			if (soak->lives[i].done[kind] == 0)
				return false;
	return true;
}

/* Waits until something was done; none may end by itself meanwhile. */
static void
await_one(const struct soak *soak, const struct part *parts)
{
	struct pollfd there[SESSIONS + 1];

	for (unsigned i = 0; i < SESSIONS; i++)
		there[i] = (struct pollfd){.fd = parts[i].child.pidfd, .events = POLLIN};
	there[SESSIONS] = (struct pollfd){.fd = soak->told[0], .events = POLLIN};
	assert_true(poll(there, SESSIONS + 1, CODEBASE_LIMIT_MS) > 0);
	for (unsigned i = 0; i < SESSIONS; i++)
		assert_int_equal(there[i].revents, 0);
	assert_int_equal(there[SESSIONS].revents, POLLIN);
}

/* Until the time is over; who has just done something, and so is at the next thing, is the one to be killed.  How many were. */
static unsigned
disturb(struct soak *soak, struct part *parts, int64_t until_ms)
{
	unsigned killed = 0, done = 0;
	unsigned char number;

	while (clock_boot_ms() < until_ms || !each_has_done_all(soak)) {
		await_one(soak, parts);
		assert_int_equal(read(soak->told[0], &number, 1), 1);
		done++;
		if (done % CHECKPOINT_EACH == 0)
			checkpoint();
		if (done % KILLED_EACH != 0)
			continue;
		kill(parts[number].child.pid, SIGKILL);
		assert_int_equal(scratch_wait(&parts[number].child, CODEBASE_LIMIT_MS), 128 + SIGKILL);
		scratch_spawn(&parts[number].child, lives, &parts[number]);
		killed++;
	}
	return killed;
}

static int64_t
number_of(const struct soak *soak, const char *sql, const char *arg)
{
	return codebase_number(&soak->codebase, sql, DB_TEXT(arg));
}

static void
assert_exact(const struct soak *soak, const struct life *life, int64_t all[KINDS])
{
	unsigned tokens = (life->number + 1) * 4000;
	int fired = (tokens >= 50000) + (tokens >= 100000) + (tokens >= 150000);
	int64_t found[KINDS];
	char own[20];

	assert_true(count(soak, life, found));
	for (int i = 0; i < LOOK; i++) {
		assert_int_equal(found[i], life->done[i]);
		assert_true(found[i] > 0);
		all[i] += found[i];
	}
	assert_int_equal(number_of(soak, "SELECT value FROM metric WHERE name = 'edits' AND session = $1", life->id), found[ADD]);
	assert_int_equal(number_of(soak, "SELECT value FROM metric WHERE name = 'context_tokens' AND session = $1", life->id),
	                 tokens);
	assert_int_equal(number_of(soak,
	                           "SELECT count(*) FROM audit WHERE kind = 'binding.set' AND subject = 'memory' AND session = $1",
	                           life->id),
	                 found[BIND]);
	assert_int_equal(number_of(soak, "SELECT count(*) FROM audit WHERE kind = 'instruction.edit' AND subject = $1",
	                           life->instruction),
	                 found[EDIT]);
	assert_int_equal(number_of(soak, "SELECT count(*) FROM checkpoint WHERE session = $1", life->id), fired);
	assert_int_equal(number_of(soak, "SELECT count(*) FROM audit WHERE kind = 'checkpoint.fired' AND session = $1", life->id),
	                 fired);
	/* nobody else's: neither as a value, nor in the trail */
	snprintf(own, sizeof own, "%u-", life->number);
	assert_int_equal(codebase_number(&soak->codebase,
	                                 "SELECT count(*) FROM binding WHERE session = $1 AND slot = 'memory' AND"
	                                 " substr(value, 1, length($2)) <> $2",
	                                 DB_TEXT(life->id), DB_TEXT(own)),
	                 0);
	assert_int_equal(codebase_number(&soak->codebase,
	                                 "SELECT count(*) FROM instruction WHERE instruction = $1 AND session <> $2",
	                                 DB_TEXT(life->instruction), DB_TEXT(life->id)),
	                 0);
	/* each move begins where the one before it ended */
	assert_int_equal(number_of(soak,
	                           "SELECT count(*) FROM (SELECT before, lag(after, 1, before) OVER (ORDER BY seq) AS expected "
	                           "FROM audit"
	                           " WHERE kind = 'session.state' AND session = $1) AS t WHERE before <> expected",
	                           life->id),
	                 0);
}

static void
assert_all_exact(struct soak *soak, unsigned killed)
{
	int64_t all[KINDS] = {0};

	for (unsigned i = 0; i < SESSIONS; i++)
		assert_exact(soak, &soak->lives[i], all);
	print_message("# %s: %lld metrics, %lld bindings, %lld signs of life, %lld edits, %lld prompts; %u killed\n",
	              contract_engine(contract_now), (long long)(all[ADD] + all[SET]), (long long)all[BIND], (long long)all[BEAT],
	              (long long)all[EDIT], (long long)all[PROMPT], killed);
	assert_int_equal(number_of(soak, "SELECT count(*) FROM session WHERE project = $1", "."), SESSIONS);
	assert_int_equal(number_of(soak, "SELECT epoch FROM project WHERE project = $1", "."), SESSIONS + all[EDIT]);
	assert_int_equal(number_of(soak, "SELECT count(DISTINCT epoch) FROM instruction WHERE project = $1", "."),
	                 SESSIONS + all[EDIT]);
	/* none did anything in another's name; a person may, and who finds that another is gone says so */
	assert_int_equal(number_of(soak,
	                           "SELECT count(*) FROM audit a WHERE a.project = $1 AND (a.session = '' OR (a.actor <> a.session "
	                           "AND"
	                           " a.after <> 'lost' AND a.actor IN (SELECT s.session FROM session s)))",
	                           "."),
	                 0);
	/* time goes on from line to line of the trail */
	assert_int_equal(number_of(soak,
	                           "SELECT count(*) FROM (SELECT at_ms, lag(at_ms, 1, 0) OVER (ORDER BY seq) AS former FROM audit"
	                           " WHERE project = $1) AS t WHERE at_ms < former",
	                           "."),
	                 0);
}

static int64_t
seconds(void)
{
	const char *given = getenv("STILE_SOAK_SECONDS");

	return given != NULL ? strtoll(given, NULL, 10) : share_is_full() ? SECONDS : SECONDS_SMALL;
}

/* Rows: R83 */
static void
fifty_sessions_of_which_some_are_killed_lose_nothing_and_do_nothing_twice(void **state)
{
	struct soak *soak = open_soak();
	struct part parts[SESSIONS];
	unsigned killed;

	for (unsigned i = 0; i < SESSIONS; i++) {
		parts[i] = (struct part){.soak = soak, .life = &soak->lives[i]};
		scratch_spawn(&parts[i].child, lives, &parts[i]);
	}
	killed = disturb(soak, parts, clock_boot_ms() + 1000 * seconds());
	atomic_store(&soak->over, true);
	for (unsigned i = 0; i < SESSIONS; i++)
		assert_int_equal(scratch_wait(&parts[i].child, CODEBASE_LIMIT_MS), 0);
	assert_true(killed > 3);
	assert_all_exact(soak, killed);
	assert_true(codebase_is_whole(&soak->codebase));
	close_soak(soak);
}

CONTRACT_TESTS(cmocka_unit_test(fifty_sessions_of_which_some_are_killed_lose_nothing_and_do_nothing_twice))
