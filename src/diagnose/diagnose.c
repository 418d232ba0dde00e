#include "diagnose/diagnose.h"

#include "diagnose/targets.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/random.h"

#include <errno.h>
#include <signal.h>

static const struct target *const targets[] = {
    &target_session_state,
    &target_checkpoints,
    &target_session_id,
    &target_lightrag_health,
    &target_instruction_history,
    &target_token_opus,
    &target_token_bash,
    &target_lightrag_slots,
    &target_task_start,
    &target_active_task,
    &target_file_append,
    &target_daily_header,
    &target_derived_doc,
    &target_turn_cold,
    &target_turn_cold_to_warm,
    &target_pending_before_bind,
    &target_claim_then_crash,
    &target_restart_with_backlog,
    &target_memory_writer,
    &target_evidence_ledger,
    &target_evidence_index,
    &target_verdict_ledger,
    &target_blueprint_ledger,
    &target_audit_log,
    &target_message_log,
};

const struct target *
diagnose_nth(size_t n)
{
	return n < sizeof targets / sizeof *targets ? targets[n] : NULL;
}

const struct target *
diagnose_find(const char *name)
{
	char wanted[LABEL_MAX + 1];
	const struct target *target;

	if (str_copy(wanted, sizeof wanted, name) != OK)
		return NULL;
	for (char *c = wanted; *c != '\0'; c++)
		if (*c == '_')
			*c = '-';
	for (size_t i = 0; (target = diagnose_nth(i)) != NULL; i++)
		if (str_equal(target->name, wanted))
			return target;
	return NULL;
}

const char *
verdict_name(enum verdict verdict)
{
	static const char *const names[] = {"SAFE", "LAST_WRITER_WINS", "TORN", "CORRUPT", "INCONCLUSIVE"};

	return names[verdict];
}

enum verdict
diagnose_verdict(const struct finding *finding)
{
	if (finding->unfinished)
		return VERDICT_INCONCLUSIVE;
	if (finding->unreadable)
		return VERDICT_TORN;
	if (finding->strange || finding->kept > finding->wanted)
		return VERDICT_CORRUPT;
	if (finding->kept < finding->wanted)
		return VERDICT_LAST_WRITER_WINS;
	/* where nothing was to be kept nothing is shown */
	return finding->wanted > 0 ? VERDICT_SAFE : VERDICT_INCONCLUSIVE;
}

static enum status
make_scratch(char out[PATH_SIZE], struct buf *why)
{
	const char *top = getenv("TMPDIR");
	enum status status = paths_join(out, PATH_SIZE, top == NULL || *top == '\0' ? "/tmp" : top, "stile-diagnose-XXXXXX");

	if (status != OK)
		return why_not(why, status, "TMPDIR is too long");
	if (mkdtemp(out) == NULL)
		return why_not(why, IO_FAILED, "%s: %s; set TMPDIR to a folder that can be written", out, strerror(errno));
	return OK;
}

/* One that no codebase has, nor another diagnosis. */
static enum status
name_project(char *out, size_t size, const struct target *target, struct buf *why)
{
	uint8_t random[10];
	char id[ID_SIZE];

	if (random_bytes(random, sizeof random) != OK)
		return why_not(why, IO_FAILED, "the system has no randomness to give");
	id_make(id, clock_wall_ms(), random);
	snprintf(out, size, "stile-diagnose/%s/%s", id, target->name);
	return OK;
}

static enum status
try_target(const struct diagnose_ask *ask, const char *scratch, const struct target *target, bool guarded,
           struct diagnosis *row, struct buf *why)
{
	struct store_address store;
	struct trial trial = {.writers = ask->writers,
	                      .guarded = guarded,
	                      .limit_ms = ask->limit_ms,
	                      .open_store = ask->open_store};
	char name[LABEL_MAX * 2];
	struct finding finding;
	enum status status;

	snprintf(name, sizeof name, "%s-%s", target->name, guarded ? "guarded" : "unguarded");
	status = paths_join(trial.folder, sizeof trial.folder, scratch, name);
	if (status == OK && guarded && ask->store != NULL) {
		trial.store = &store;
		store = *ask->store;
		status = name_project(store.project, sizeof store.project, target, why);
	}
	if (status == OK)
		status = trial_run(&trial, guarded ? &target->guarded : &target->unguarded, &finding, why);
	if (status != OK)
		return status;
	*row = (struct diagnosis){.target = target,
	                          .guarded = guarded,
	                          .writers = ask->writers,
	                          .verdict = diagnose_verdict(&finding)};
	memcpy(row->expected, trial.expected, sizeof row->expected);
	memcpy(row->found, finding.found, sizeof row->found);
	return OK;
}

/* Whether a signal that would end us is waiting: then no further trial begins. */
static bool
asked_to_end(const sigset_t *held)
{
	sigset_t pending;

	sigpending(&pending);
	sigandset(&pending, &pending, held);
	return sigisemptyset(&pending) == 0;
}

enum status
diagnose_run(const struct diagnose_ask *ask, struct diagnosis *rows, struct buf *why)
{
	char scratch[PATH_SIZE];
	sigset_t held, before;
	enum status status = make_scratch(scratch, why), removed;

	if (status != OK)
		return status;
	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGHUP);
	sigprocmask(SIG_BLOCK, &held, &before);
	for (size_t i = 0; i < ask->count * 2 && status == OK; i++) {
		status = try_target(ask, scratch, ask->targets[i / 2], i % 2 == 1, &rows[i], why);
		if (asked_to_end(&held))
			status = why_not(why, BUSY, "it was interrupted");
	}
	removed = file_remove_folder(scratch, status == OK ? why : NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status == OK ? removed : status;
}

bool
diagnose_proves(const struct diagnosis *rows, size_t count, struct buf *why)
{
	for (size_t i = 0; i < count; i++) {
		bool lost = rows[i].verdict != VERDICT_SAFE && rows[i].verdict != VERDICT_INCONCLUSIVE;

		if (rows[i].guarded ? rows[i].verdict == VERDICT_SAFE : lost)
			continue;
		why_not(why, CONFLICT, "%s, %s: %s, where %s was to be shown", rows[i].target->name,
		        rows[i].guarded ? "guarded" : "unguarded", verdict_name(rows[i].verdict), rows[i].guarded ? "SAFE" : "a loss");
		return false;
	}
	return true;
}
