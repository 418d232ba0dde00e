#include "diagnose/trial.h"

#include "core/copy.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/random.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a guarded writer waits, inside its transaction, for others that can't come. */
#define ALONE_MS 100

/* A rule that is a step: the step's own outcome decides whether it is committed. */
struct guarded_step {
	race_step *step;
	struct race *race;
};

static enum status
run_rule(struct txn *txn, void *arg, struct buf *why)
{
	struct guarded_step *guarded = arg;

	guarded->race->txn = txn;
	return guarded->step(guarded->race, why);
}

static enum status
open_engine(const struct trial *trial, bool make, struct engine *out, struct buf *why)
{
	struct store_address address = {.project = "."};
	struct db *db;
	enum status status = OK;

	if (trial->store != NULL)
		address = *trial->store;
	else
		status = paths_join(address.folder, sizeof address.folder, trial->folder, "store");
	if (status == OK && trial->store == NULL)
		status = paths_join(address.file, sizeof address.file, address.folder, "stile.db");
	if (status == OK && make && trial->store == NULL)
		status = file_make_folder(address.folder, 0700, NULL, why);
	if (status == OK)
		status = trial->open_store(&address, make, &db, why);
	if (status != OK)
		return status;
	engine_init(out, db, address.project, "diagnose", random_bytes);
	out->wait_ms = trial->limit_ms;
	status = config_defaults(&out->config);
	if (status != OK)
		engine_release(out, false);
	return status;
}

static enum status
run_in(struct engine *engine, race_step *step, struct race *race, struct buf *why)
{
	struct guarded_step guarded = {step, race};

	return engine_run(engine, run_rule, &guarded, why);
}

/* A step of the parent: before the writers start, or after they have ended.  No connection lives on into a fork. */
static enum status
run_step(struct trial *trial, race_step *step, struct finding *finding, bool make, struct buf *why)
{
	struct race race = {.trial = trial, .finding = finding};
	struct engine engine;
	enum status status;

	if (!trial->guarded)
		return step(&race, why);
	status = open_engine(trial, make, &engine, why);
	if (status != OK)
		return status;
	status = run_in(&engine, step, &race, why);
	engine_release(&engine, false);
	return status;
}

enum status
trial_rule(struct race *race, race_step *step, struct buf *why)
{
	return run_in(race->engine, step, race, why);
}

/* One that is apart runs rules of its own. */
static enum status
write_guarded(struct engine *engine, const struct racer *racer, struct race *race, struct buf *why)
{
	race->engine = engine;
	return racer->apart ? racer->write(race, why) : run_in(engine, racer->write, race, why);
}

static enum status
write_as(struct trial *trial, const struct racer *racer, struct writer *self, struct buf *why)
{
	struct engine engine;
	struct race race = {.trial = trial, .self = self, .engine = &engine};
	enum status status = trial->guarded ? open_engine(trial, false, &engine, why) : OK;

	if (status != OK)
		return status;
	if (!barrier_meet(&trial->shared->ready, trial->limit_ms))
		return why_not(why, BUSY, "the writers didn't all start in time");
	return trial->guarded ? write_guarded(&engine, racer, &race, why) : racer->write(&race, why);
}

static _Noreturn void
be_writer(struct trial *trial, const struct racer *racer, struct writer *self, const sigset_t *signals)
{
	struct buf why;

	sigprocmask(SIG_SETMASK, signals, NULL);
	buf_init(&why, WHY_MAX);
	self->status = write_as(trial, racer, self, &why);
	if (self->status != OK) {
		barrier_give_up(&trial->shared->ready);
		barrier_give_up(&trial->shared->between);
	}
	snprintf(self->why, sizeof self->why, "%s", why.data);
	self->done = true;
	_exit(0);
}

static _Noreturn void
be_victim(struct trial *trial, const struct racer *racer, struct buf *why)
{
	struct race race = {.trial = trial};
	struct engine engine;

	if (trial->guarded && open_engine(trial, false, &engine, why) != OK)
		_exit(1);
	race.engine = &engine;
	if (racer->victim(&race, why) == OK)
		kill(getpid(), SIGKILL);
	_exit(1);
}

static enum status
run_victim(struct trial *trial, const struct racer *racer, struct buf *why)
{
	pid_t pid = fork();
	int how = 0;

	if (pid == 0)
		be_victim(trial, racer, why);
	while (pid > 0 && waitpid(pid, &how, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFSIGNALED(how) ? OK : why_not(why, IO_FAILED, "the process that was to be killed failed before");
}

/* Until no process holds the pipe's other end any more, or the limit is over. */
static void
wait_for_all(int fd, int64_t limit_ms)
{
	struct pollfd ends = {.fd = fd};
	int64_t until = clock_boot_ms() + limit_ms, left;

	while ((left = until - clock_boot_ms()) > 0)
		if (poll(&ends, 1, (int)left) >= 0 || errno != EINTR)
			return;
}

/* Starts all writers and waits until every one of them is gone. */
static enum status
run_writers(struct trial *trial, const struct racer *racer, struct buf *why)
{
	pid_t pids[TRIAL_WRITERS_MAX];
	sigset_t ending, before;
	unsigned started = 0;
	int alive[2];

	if (pipe2(alive, O_CLOEXEC) != 0)
		return why_not(why, IO_FAILED, "no pipe: %s", strerror(errno));
	fflush(NULL);
	/* diagnose_run holds signals back; a writer has nothing to tidy up, so they reach it */
	sigprocmask(SIG_SETMASK, NULL, &before);
	ending = before;
	sigdelset(&ending, SIGINT);
	sigdelset(&ending, SIGTERM);
	sigdelset(&ending, SIGHUP);
	for (; started < trial->writers; started++) {
		pids[started] = fork();
		if (pids[started] < 0)
			break;
		if (pids[started] == 0)
			be_writer(trial, racer, &trial->shared->writers[started], &ending);
	}
	close(alive[1]);
	wait_for_all(alive[0], started == trial->writers ? trial->limit_ms : 0);
	close(alive[0]);
	for (unsigned i = 0; i < started; i++) {
		/* ours and not yet waited for, so the number can't be another's */
		kill(pids[i], SIGKILL);
		while (waitpid(pids[i], NULL, 0) < 0 && errno == EINTR)
			;
	}
	return started == trial->writers ? OK : why_not(why, NO_MEMORY, "no more than %u processes could be started", started);
}

/* A reason for the table: without the scratch path that it may begin with, and short. */
static void
tell(const struct trial *trial, const char *why, char *out, size_t size)
{
	const char *path = str_starts(why, trial->folder) ? strstr(why, ": ") : NULL;

	snprintf(out, size, "%.60s", path == NULL ? why : path + 2);
}

/* The writer that failed; of several one that didn't just wait for another in vain.  NULL when none did. */
static const struct writer *
failed(const struct trial *trial)
{
	const struct writer *found = NULL;

	for (unsigned i = 0; i < trial->writers; i++) {
		const struct writer *writer = &trial->shared->writers[i];

		if (writer->done && writer->status != OK && (found == NULL || found->status == BUSY))
			found = writer;
	}
	return found;
}

/* Whether every writer did its part; else *out says what went wrong. */
static bool
all_done(const struct trial *trial, struct finding *out)
{
	const struct writer *bad = failed(trial);
	unsigned done = 0;

	for (unsigned i = 0; i < trial->writers; i++)
		done += trial->shared->writers[i].done;
	if (bad != NULL)
		tell(trial, bad->why, out->found, sizeof out->found);
	else if (done < trial->writers)
		snprintf(out->found, sizeof out->found, "%u of %u writers came to their end", done, trial->writers);
	return bad == NULL && done == trial->writers;
}

static void
look(struct trial *trial, const struct racer *racer, struct finding *out)
{
	struct finding found = {0};
	enum status status;
	struct buf why;

	buf_init(&why, WHY_MAX);
	status = run_step(trial, racer->look, &found, false, &why);
	if (status != OK) {
		found.unreadable = status == BAD_INPUT;
		found.unfinished = status != BAD_INPUT;
		tell(trial, why.data, found.found, sizeof found.found);
	}
	*out = found;
	buf_release(&why);
}

static enum status
share_memory(struct trial *trial, struct buf *why)
{
	/* cppcheck-suppress invalidFunctionArg; no file has no descriptor */
	void *memory = mmap(NULL, sizeof *trial->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return why_not(why, NO_MEMORY, "no memory to share: %s", strerror(errno));
	trial->shared = memory;
	for (unsigned i = 0; i < trial->writers; i++)
		trial->shared->writers[i].number = i;
	if (barrier_init(&trial->shared->ready, trial->writers) != OK ||
	    barrier_init(&trial->shared->between, trial->writers) != OK || barrier_init(&trial->shared->pair, 2) != OK)
		return why_not(why, IO_FAILED, "no locks that processes can share here");
	return OK;
}

static enum status
rule_forget(struct txn *txn, void *arg, struct buf *why)
{
	(void)arg;
	(void)why;
	copy_erase(txn);
	if (txn->db->ops->forget != NULL)
		txn->db->ops->forget(txn->db);
	return OK;
}

static enum status
forget(const struct trial *trial, struct buf *why)
{
	struct engine engine;
	enum status status = open_engine(trial, false, &engine, why);

	if (status != OK)
		return status;
	status = engine_run(&engine, rule_forget, NULL, why);
	engine_release(&engine, false);
	return status;
}

enum status
trial_run(struct trial *trial, const struct racer *racer, struct finding *out, struct buf *why)
{
	enum status status = share_memory(trial, why), forgotten = OK;

	if (status == OK)
		status = file_make_folder(trial->folder, 0700, NULL, why);
	trial->began_ms = clock_wall_ms();
	if (status == OK)
		status = run_step(trial, racer->prepare, NULL, true, why);
	if (status == OK && racer->victim != NULL)
		status = run_victim(trial, racer, why);
	if (status == OK)
		status = run_writers(trial, racer, why);
	*out = (struct finding){.unfinished = true};
	if (status == OK && all_done(trial, out))
		look(trial, racer, out);
	if (trial->guarded && trial->store != NULL)
		forgotten = forget(trial, status == OK ? why : NULL);
	if (trial->shared != NULL)
		munmap(trial->shared, sizeof *trial->shared);
	trial->shared = NULL;
	return status == OK ? forgotten : status;
}

enum status
trial_meet(struct race *race, struct buf *why)
{
	struct trial *trial = race->trial;

	if (trial->guarded) {
		/* that somebody else is inside too would show in what is found */
		barrier_meet(&trial->shared->between, ALONE_MS);
		return OK;
	}
	if (!barrier_meet(&trial->shared->between, trial->limit_ms))
		return why_not(why, BUSY, "the writers didn't all meet in time");
	return OK;
}

enum status
trial_session(struct race *race, const char *name, enum arrival arrival, struct session *out, struct buf *why)
{
	struct session_start start = {.client = "diagnose",
	                              .client_session = name,
	                              .client_version = "",
	                              .parent = "",
	                              .cwd = race->trial->folder,
	                              .worktree = "",
	                              .branch = ""};
	struct arrived arrived;
	enum status status = binding_arrive(race->txn, &start, arrival, &arrived, why);

	if (status != OK)
		return status;
	*out = arrived.session;
	session_list_release(&arrived.others);
	race->txn->actor = out->id;
	return OK;
}

enum status
trial_own_session(struct race *race, enum arrival arrival, struct session *out, struct buf *why)
{
	char name[40];

	snprintf(name, sizeof name, "writer-%u", race->self->number);
	return trial_session(race, name, arrival, out, why);
}

void
trial_one_may(struct race *race, unsigned may, const char *did)
{
	struct finding *finding = race->finding;

	finding->wanted = race->trial->writers;
	finding->kept = may == 0 ? 0 : finding->wanted - (may - 1);
	finding->strange = may == 0;
	snprintf(finding->found, sizeof finding->found, "%u %s", may, did);
}

unsigned
trial_distinct_ids(const struct trial *trial)
{
	const struct writer *writers = trial->shared->writers;
	unsigned distinct = 0;

	for (unsigned i = 0; i < trial->writers; i++) {
		unsigned before = 0;

		while (before < i && strcmp(writers[before].id, writers[i].id) != 0)
			before++;
		distinct += before == i;
	}
	return distinct;
}

unsigned
trial_distinct_seen(const struct trial *trial)
{
	const struct writer *writers = trial->shared->writers;
	unsigned distinct = 0;

	for (unsigned i = 0; i < trial->writers; i++) {
		unsigned before = 0;

		while (before < i && writers[before].seen != writers[i].seen)
			before++;
		distinct += before == i;
	}
	return distinct;
}
