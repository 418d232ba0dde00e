/*
 * R18: many writers, the log copied back and emptied all the time, readers between, and one writer killed again and again.
 *
 * The anomaly: SQLite from 3.7.0 to 3.51.2 can damage a database when one connection commits while another empties the log.
 * A has read the log's header and is about to write its commit; B copies the log back and begins it anew; A's frames now stand
 * behind a header that doesn't know them, and what was answered is lost, or pages of two times are mixed.  Refuted here: every
 * commit and every checkpoint runs inside the gate, so B never is between A's look and A's write.
 *
 * The small share is so many commits of each writer; the whole is STILE_SOAK_SECONDS (600).
 * Time limit: 900 s
 */
#include "db/sqlite_store.h"
#include "lib/scratch.h"
#include "lib/store.h"
#include "lib/test.h"
#include "os/clock.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define WRITERS 6 /* the last one is the one that is killed */
#define READERS 2
#define COMMITS 250
#define SECONDS 600
#define REOPEN 25     /* commits, after which a writer closes the store and opens it again */
#define LOOKS_WHOLE 64 /* looks of a reader, after which it has the whole store checked */
#define LIMIT_MS 60000

struct scene {
	char *folder;
	int64_t deadline_ms; /* 0: so many commits */
	_Atomic int64_t done[WRITERS]; /* the last number whose commit was answered OK */
	_Atomic int64_t looks;
	_Atomic int64_t emptied; /* commits that found the log at its limit */
	_Atomic unsigned writing;
	struct scratch_barrier *barrier;
};

struct part {
	struct scene *scene;
	int number;
	bool for_ever; /* until it is killed */
};

static bool
goes_on(const struct scene *scene, int64_t commits)
{
	return scene->deadline_ms == 0 ? commits < COMMITS : clock_boot_ms() < scene->deadline_ms;
}

static struct db *
open_small(const struct part *part)
{
	struct db *db = contract_store(0, part->scene->folder);

	/* each of them another limit, from "after every commit" on */
	((struct sqlite *)db)->wal_limit = 1 + part->number * 7;
	return db;
}

/* The number that the next commit of this writer has. */
static int64_t
next_number(struct db *db, const char *name)
{
	struct buf why;
	int64_t next = -1;

	buf_init(&why, WHY_MAX);
	if (db_begin(db, false, LIMIT_MS, &why) == OK) {
		next = store_number(db, "SELECT count(*) FROM audit WHERE actor = $1", DB_TEXT(name)) + 1;
		if (db_commit(db, &why) != OK)
			next = -1;
	}
	buf_release(&why);
	return next;
}

/* One row more, and the number that stands for all of them. */
static enum status
commit_one(struct db *db, const char *name, int64_t number, struct buf *why)
{
	char filling[700];
	enum status status = db_begin(db, true, LIMIT_MS, why);

	if (status != OK)
		return status;
	/* long enough that pages fill, split and are freed */
	memset(filling, 'a' + (int)(number % 26), sizeof filling - 1);
	filling[sizeof filling - 1] = '\0';
	db_run(db,
	       "INSERT INTO audit (project, at_ms, session, actor, kind, subject, before, after, epoch)"
	       " VALUES ('.', $1, '', $2, 'soak', $3, '', '', 0)",
	       DB_INT(number), DB_TEXT(name), DB_TEXT(filling));
	db_run(db,
	       "INSERT INTO metric (project, session, name, value, base) VALUES ('.', $1, 'soak', 1, 0)"
	       " ON CONFLICT (project, session, name) DO UPDATE SET value = metric.value + 1",
	       DB_TEXT(name));
	db_run(db, "DELETE FROM transcript WHERE session = $1 AND position < $2", DB_TEXT(name), DB_INT(number - 8));
	db_run(db,
	       "INSERT INTO transcript (project, session, path, agent, position, inside, context_from, size, broken)"
	       " VALUES ('.', $1, $2, '', $3, 0, 0, 0, 0) ON CONFLICT (project, session, path) DO UPDATE SET position = $3",
	       DB_TEXT(name), DB_TEXT(filling), DB_INT(number));
	return db_commit(db, why);
}

static int
write_on(void *arg)
{
	const struct part *part = arg;
	struct scene *scene = part->scene;
	struct db *db = open_small(part);
	enum status status = OK;
	char name[16];
	struct buf why;

	buf_init(&why, WHY_MAX);
	snprintf(name, sizeof name, "w%d", part->number);
	for (int64_t number = next_number(db, name); status == OK && (part->for_ever || goes_on(scene, number - 1)); number++) {
		status = commit_one(db, name, number, &why);
		if (status != OK)
			fprintf(stderr, "%s: commit %lld: %s\n", name, (long long)number, why.data);
		else
			atomic_store(&scene->done[part->number], number);
		atomic_fetch_add(&scene->emptied, ((struct sqlite *)db)->wal_frames >= ((struct sqlite *)db)->wal_limit);
		if (number % REOPEN == 0) {
			contract_close(db);
			db = open_small(part);
		}
	}
	contract_close(db);
	buf_release(&why);
	return status == OK ? 0 : 1;
}

/* In one snapshot: each writer's rows are 1..n without a hole, its number says n, and n is not less than was answered before. */
static bool
sees_all(struct db *db, const int64_t *answered)
{
	bool right = true;

	for (int i = 0; i < WRITERS; i++) {
		char name[16];
		int64_t count, highest, value;

		snprintf(name, sizeof name, "w%d", i);
		count = store_number(db, "SELECT count(*) FROM audit WHERE actor = $1", DB_TEXT(name));
		highest = store_number(db, "SELECT coalesce(max(at_ms), 0) FROM audit WHERE actor = $1", DB_TEXT(name));
		value = store_number(db, "SELECT coalesce(sum(value), 0) FROM metric WHERE session = $1", DB_TEXT(name));
		if (count == highest && count == value && count >= answered[i])
			continue;
		fprintf(stderr, "%s: %lld rows, the highest %lld, its number %lld; answered %lld\n", name, (long long)count,
		        (long long)highest, (long long)value, (long long)answered[i]);
		right = false;
	}
	return right;
}

static bool
look(struct scene *scene, struct db *db)
{
	int64_t answered[WRITERS];
	struct buf why;
	bool right;

	buf_init(&why, WHY_MAX);
	for (int i = 0; i < WRITERS; i++)
		answered[i] = atomic_load(&scene->done[i]);
	right = db_begin(db, false, LIMIT_MS, &why) == OK && sees_all(db, answered) && db_commit(db, &why) == OK;
	if (why.len > 0)
		fprintf(stderr, "reader: %s\n", why.data);
	buf_release(&why);
	return right;
}

static int
read_on(void *arg)
{
	const struct part *part = arg;
	struct scene *scene = part->scene;
	struct db *db = contract_store(0, scene->folder);
	bool right = true;

	for (int64_t looks = 1; right && atomic_load(&scene->writing) > 0; looks++) {
		right = look(scene, db) && (looks % LOOKS_WHOLE != 0 || store_is_whole(db));
		atomic_fetch_add(&scene->looks, 1);
	}
	contract_close(db);
	return right ? 0 : 1;
}

/* Kills the last writer after every few milliseconds and begins it again, while the first one is still at work. */
static unsigned
kill_the_last(struct scene *scene)
{
	struct part part = {scene, WRITERS - 1, true};
	struct scratch_child child;
	unsigned killed = 0;

	while (goes_on(scene, atomic_load(&scene->done[0]))) {
		scratch_spawn(&child, write_on, &part);
		assert_int_equal(scratch_wait(&child, 15 + (int)(killed * 7 % 60)), SCRATCH_LATE);
		killed++;
	}
	return killed;
}

static void
set_length(struct scene *scene)
{
	const char *share = getenv("STILE_SHARE"), *seconds = getenv("STILE_SOAK_SECONDS");

	if (seconds != NULL)
		scene->deadline_ms = clock_boot_ms() + 1000 * strtoll(seconds, NULL, 10);
	else if (share != NULL && strcmp(share, "full") == 0)
		scene->deadline_ms = clock_boot_ms() + 1000 * (int64_t)SECONDS;
}

static void
nothing_answered_is_lost_and_the_store_is_whole(void **state)
{
	struct scene *scene = scratch_shared(sizeof *scene);
	struct scratch_child children[WRITERS - 1 + READERS];
	struct part parts[WRITERS - 1 + READERS];
	const int limit_ms = (SECONDS + 3000) * 1000;
	struct db *db;
	unsigned killed;

	scene->folder = scratch_folder();
	contract_close(contract_store(0, scene->folder));
	set_length(scene);
	atomic_store(&scene->writing, 1);
	for (int i = 0; i < WRITERS - 1 + READERS; i++) {
		parts[i] = (struct part){scene, i, false};
		scratch_spawn(&children[i], i < WRITERS - 1 ? write_on : read_on, &parts[i]);
	}
	killed = kill_the_last(scene);
	for (int i = 0; i < WRITERS - 1 + READERS; i++) {
		if (i == WRITERS - 1)
			atomic_store(&scene->writing, 0);
		assert_int_equal(scratch_wait(&children[i], limit_ms), 0);
	}
	db = contract_store(0, scene->folder);
	assert_true(store_is_whole(db));
	assert_true(look(scene, db));
	for (int i = 0; i < WRITERS; i++)
		assert_true(atomic_load(&scene->done[i]) > 0);
	/* else it was no meeting place */
	assert_true(killed > 3);
	assert_true(atomic_load(&scene->looks) > 10);
	assert_true(atomic_load(&scene->emptied) > COMMITS);
	contract_close(db);
	scratch_remove(scene->folder);
	scratch_unshare(scene, sizeof *scene);
}

static bool impatient;

static int
wait_on(void *unused, int times)
{
	sched_yield();
	return !impatient && times < 1000000;
}

/* Found before SQLite's own: it waits as long, until somebody is impatient. */
int
sqlite3_busy_timeout(sqlite3 *handle, int wait_ms)
{
	return sqlite3_busy_handler(handle, wait_ms > 0 ? wait_on : NULL, NULL);
}

/* A writer that waits for nothing but the gate. */
static int
write_unlocked(void *arg)
{
	const struct part *part = arg;
	struct scene *scene = part->scene;
	struct db *db = open_small(part);
	enum status status = OK;
	char name[16];
	struct buf why;

	buf_init(&why, WHY_MAX);
	snprintf(name, sizeof name, "w%d", part->number);
	if (!scratch_barrier_meet(scene->barrier, LIMIT_MS))
		return 2;
	impatient = true;
	for (int64_t number = 1; status == OK && number <= COMMITS; number++)
		status = commit_one(db, name, number, &why);
	if (status != OK)
		fprintf(stderr, "%s: %s\n", name, why.data);
	/* closing is no write of ours: nobody does it while others still look for locks */
	if (!scratch_barrier_meet(scene->barrier, LIMIT_MS))
		return 2;
	contract_close(db);
	buf_release(&why);
	return status == OK ? 0 : 1;
}

/*
 * A commit or a checkpoint outside the gate meets one inside it sooner or later, and finds SQLite's own lock taken.  That lock
 * would be waited for; here nobody waits, so it shows.
 */
static void
inside_the_gate_nobody_ever_finds_the_database_locked(void **state)
{
	struct scene *scene = scratch_shared(sizeof *scene);
	struct scratch_child children[WRITERS];
	struct part parts[WRITERS];
	struct db *db;

	scene->folder = scratch_folder();
	scene->barrier = scratch_barrier_new(WRITERS);
	contract_close(contract_store(0, scene->folder));
	for (int i = 0; i < WRITERS; i++) {
		parts[i] = (struct part){scene, i, false};
		scratch_spawn(&children[i], write_unlocked, &parts[i]);
	}
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(scratch_wait(&children[i], 2 * LIMIT_MS), 0);
	db = contract_store(0, scene->folder);
	assert_true(store_is_whole(db));
	contract_close(db);
	scratch_barrier_free(scene->barrier);
	scratch_remove(scene->folder);
	scratch_unshare(scene, sizeof *scene);
}

TESTS(cmocka_unit_test(nothing_answered_is_lost_and_the_store_is_whole),
      cmocka_unit_test(inside_the_gate_nobody_ever_finds_the_database_locked))
