#include "clients/client.h"
#include "core/audit.h"
#include "core/queue.h"
#include "core/session.h"
#include "os/clock.h"
#include "os/command.h"
#include "os/file.h"
#include "os/gate.h"
#include "os/resident.h"
#include "verbs/install.h"
#include "verbs/ledger_mirror.h"
#include "verbs/mirror.h"
#include "verbs/observe.h"
#include "verbs/tables.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SKEW_MS 5000
#define SELFTEST_LIMIT_MS 10000
#define AGENTS_MAX 64
#define QUEUE_IDLE_MS ((int64_t)3600 * 1000)

/* `doctor`: looks at everything that coordination stands on, and says for each what is wrong and what to do. */
struct examination {
	struct call *call;
	json_t *checks;
	size_t bad;
	int64_t skew_ms;
	json_t *dropped, *unkept; /* events of the last day, and what was to be kept of them */
	struct session_list live;
};

enum finding { FINE, ODD, BAD };

static void PRINTF_LIKE(4, 5)
report(struct examination *exam, const char *check, enum finding finding, const char *format, ...)
{
	static const char *const names[] = {"ok", "note", "bad"};
	char text[WHY_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	exam->bad += finding == BAD;
	json_array_append_new(exam->checks, json_pack("{ss ss ss}", "check", check, "state", names[finding], "finding", text));
}

static enum status
rule_look(struct txn *txn, void *data, struct buf *why)
{
	struct examination *exam = data;
	struct audit_query query = {.kind = "event.dropped", .since_ms = txn_now(txn) - 86400000, .limit = 1000};
	enum status status = session_list(txn, false, &exam->live, why);

	exam->skew_ms = txn_now(txn) - clock_wall_ms();
	if (status == OK)
		status = audit_list(txn, &query, exam->dropped, why);
	query.kind = "observation.dropped";
	return status == OK ? audit_list(txn, &query, exam->unkept, why) : status;
}

/* The lines "key=value" that the engine told of itself. */
static void
report_facts(struct examination *exam)
{
	struct db *db = exam->call->context->engine.db;
	struct buf facts;
	char *line, *next;

	buf_init(&facts, (size_t)64 << 10);
	db->ops->facts(db, &facts);
	for (line = facts.data; *line != '\0'; line = next) {
		char *equals = strchr(line, '=');
		enum finding finding = FINE;

		next = line + strcspn(line, "\n");
		if (*next != '\0')
			*next++ = '\0';
		if (equals == NULL)
			continue;
		*equals = '\0';
		if ((str_equal(line, "quick_check") && strcmp(equals + 1, "ok") != 0) ||
		    (str_equal(line, "journal_mode") && strcmp(equals + 1, "wal") != 0) ||
		    (str_equal(line, "synchronous") && strcmp(equals + 1, "1") != 0 && strcmp(equals + 1, "2") != 0) ||
		    (str_equal(line, "fsync") && strcmp(equals + 1, "on") != 0) ||
		    (str_equal(line, "rights") && strcmp(equals + 1, "ok") != 0) ||
		    (str_equal(line, "row_security") && strcmp(equals + 1, "ok") != 0))
			finding = BAD;
		else if ((str_equal(line, "full_page_writes") && strcmp(equals + 1, "on") != 0) ||
		         (str_equal(line, "row_security_bypassed") && strcmp(equals + 1, "no") != 0))
			finding = ODD;
		report(exam, line, finding, "%s", equals + 1);
	}
	buf_release(&facts);
}

static void
check_gate(struct examination *exam)
{
	struct gate gate;
	struct buf why;
	enum status status;

	report(exam, "gate rule", FINE,
	       "every write and checkpoint passes the write gate, so this SQLite's WAL-reset bug (3.7.0 to 3.51.2) can't meet its "
	       "second party; look at the database with other tools only on a copy");
	buf_init(&why, WHY_MAX);
	status = gate_open(&gate, exam->call->context->address.folder, false, &why);
	if (status == OK && (status = gate_take(&gate, 1000, &why)) == OK)
		gate_leave(&gate);
	report(exam, "gate", status == OK ? FINE : BAD, "%s", status == OK ? "free, and taken within a second" : why.data);
	gate_close(&gate);
	buf_release(&why);
}

static void
check_clock(struct examination *exam)
{
	int64_t apart = exam->skew_ms < 0 ? -exam->skew_ms : exam->skew_ms;
	char text[40];

	str_ago(text, sizeof text, apart);
	if (apart <= SKEW_MS)
		report(exam, "clock", FINE, "the store's clock is within %s of the wall clock", text);
	else if (exam->call->context->address.url[0] != '\0')
		report(exam, "clock", ODD, "the server's clock is %s %s this machine's; set the wrong one right (NTP)", text,
		       exam->skew_ms > 0 ? "ahead of" : "behind");
	else
		report(exam, "clock", ODD,
		       "the store's clock is %s %s the wall clock; it never goes back, so nothing expires early; if the wall clock is "
		       "right, `stile init --purge` and `stile init` begin anew with it when no session lives",
		       text, exam->skew_ms > 0 ? "ahead of" : "behind");
}

static void
check_resident(struct examination *exam)
{
	const struct store_address *address = &exam->call->context->address;
	struct resident resident;
	char since[40];

	if (address->url[0] == '\0')
		return;
	if (!resident_find(address->folder, &resident)) {
		report(exam, "resident", FINE, "none; each hook connects");
		return;
	}
	str_instant(since, sizeof since, resident.since_ms);
	report(exam, "resident", FINE, "process %lld since %s", (long long)resident.pid, since);
}

static void
check_store(struct examination *exam)
{
	struct context *context = exam->call->context;
	bool embedded = context->address.url[0] == '\0';
	struct buf why;
	enum status status = OK;

	buf_init(&why, WHY_MAX);
	if (embedded)
		status = file_locks_are_local(context->address.folder, &why);
	if (embedded)
		report(exam, "file system", status == OK ? FINE : BAD, "%s", status == OK ? "its locks are this kernel's" : why.data);
	status = context_open(context, false, &why);
	if (status == OK)
		buf_clear(&why);
	if (status == OK && (status = context->engine.db->ops->mend(context->engine.db, &why)) == OK && why.len > 0)
		report(exam, "disk", ODD, "%s", why.data);
	if (status == OK)
		status = engine_read(&context->engine, rule_look, exam, &why);
	report(exam, "store", status == OK ? FINE : BAD, "%s", status == OK ? context->address.file : why.data);
	if (status == OK) {
		report_facts(exam);
		if (embedded)
			check_gate(exam);
		check_clock(exam);
		report(exam, "dropped events", json_array_size(exam->dropped) == 0 ? FINE : ODD,
		       "%zu in the last day; `stile audit list --kind event.dropped` tells why", json_array_size(exam->dropped));
	}
	buf_release(&why);
}

/* What hooks keep: whether they can, and whether they could. */
static void
check_observing(struct examination *exam)
{
	const struct config *config = &exam->call->context->engine.config;
	size_t unkept = json_array_size(exam->unkept);
	struct redactor redactor;
	struct buf why;

	if (!exam->call->context->engine_open)
		return;
	buf_init(&why, WHY_MAX);
	if (unkept > 0)
		report(exam, "dropped observations", ODD, "%zu in the last day; `stile audit list --kind observation.dropped` tells why",
		       unkept);
	if (observation_redactor(config, &redactor, &why) != OK)
		report(exam, "redaction", BAD, "%s; until it is mended nothing is kept", why.data);
	else if (redactor.count > 0)
		report(exam, "redaction", FINE, "%zu patterns of your own", redactor.count);
	redactor_release(&redactor);
	buf_release(&why);
}

static void
report_mirror(void *exam, int state, const char *line)
{
	report(exam, "export", state == 0 ? FINE : ODD, "%s", line);
}

static void
report_ledger(void *exam, int state, const char *line)
{
	report(exam, "ledger mirror", state == 0 ? FINE : ODD, "%s", line);
}

static void
check_mirrors(struct examination *exam)
{
	struct buf why;

	buf_init(&why, WHY_MAX);
	if (exam->call->context->engine_open && mirror_findings(exam->call->context, report_mirror, exam, &why) != OK)
		report(exam, "export", BAD, "%s", why.data);
	if (exam->call->context->engine_open)
		ledger_mirror_findings(exam->call->context, report_ledger, exam);
	buf_release(&why);
}

/* A queue that is full, or soon will be, or at which nobody works. */
static void
report_queue(struct examination *exam, const json_t *queue)
{
	int64_t items = json_whole(queue, "items", 0), bytes = json_whole(queue, "bytes", 0), dead = json_whole(queue, "dead", 0);
	int64_t items_max = json_whole(queue, "items_max", 0), bytes_max = json_whole(queue, "bytes_max", 0);
	int64_t age_max_ms = json_whole(queue, "age_max_ms", 0);
	int64_t age_ms = items == 0 ? 0 : clock_wall_ms() + exam->skew_ms - json_whole(queue, "oldest_ms", 0);
	bool full = (items_max > 0 && items >= items_max) || (bytes_max > 0 && bytes >= bytes_max) ||
	            (age_max_ms > 0 && age_ms > age_max_ms);
	bool filling = (items_max > 0 && items >= items_max / 10 * 8) || (bytes_max > 0 && bytes >= bytes_max / 10 * 8);
	bool idle = items > json_whole(queue, "held", 0) && json_whole(queue, "claimed", 0) == 0 && age_ms > QUEUE_IDLE_MS;
	char name[QUEUE_NAME_MAX + 20], age[40];

	snprintf(name, sizeof name, "queue %s", json_text(queue, "queue", ""));
	str_ago(age, sizeof age, age_ms);
	report(exam, name, full ? BAD : filling || idle || dead > 0 ? ODD : FINE,
	       "%lld items, the oldest of %s, %lld held, %lld dead%s", (long long)items, age,
	       (long long)json_whole(queue, "held", 0), (long long)dead,
	       full      ? "; it is full, and nothing more is taken in"
	       : filling ? "; it fills up"
	       : idle    ? "; nobody works on it: see `stile queue work`"
	       : dead > 0 ? "; see `stile queue dead`"
	                  : "");
}

static enum status
rule_queues(struct txn *txn, void *queues, struct buf *why)
{
	return queue_stats(txn, NULL, queues, why);
}

static void
check_queues(struct examination *exam)
{
	json_t *queues = json_array();
	const json_t *queue;
	struct buf why;
	size_t i;

	buf_init(&why, WHY_MAX);
	if (exam->call->context->engine_open && engine_read(&exam->call->context->engine, rule_queues, queues, &why) != OK)
		report(exam, "queues", BAD, "%s", why.data);
	json_array_foreach(queues, i, queue) report_queue(exam, queue);
	json_decref(queues);
	buf_release(&why);
}

/*
 * Sends the reserved tool through the command line as the client's settings have it, and looks at the form of the denial:
 * Claude Code blocks at status 2 with a reason on stderr and nothing on stdout, and at nothing else that we use.
 */
static void
check_denial(struct examination *exam, const char *root, const char *program)
{
	static const char payload[] = "{\"session_id\":\"stile-doctor\",\"hook_event_name\":\"PreToolUse\",\"tool_name\":\"" SELFTEST_TOOL
	                              "\",\"tool_input\":{}}";
	char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)"hook", (char *)(uintptr_t)"claude", NULL};
	struct command_result result = {0};
	struct buf why;

	buf_init(&why, WHY_MAX);
	buf_init(&result.out, WHY_MAX);
	buf_init(&result.err, WHY_MAX);
	if (command_run(argv, payload, SELFTEST_LIMIT_MS, &result, &why) != OK)
		report(exam, "self-test", BAD, "%s: %s", root, why.data);
	else if (result.exit == 2 && result.out.len == 0 && result.err.len > 0)
		report(exam, "self-test", FINE, "%s: %s blocks when it must", root, program);
	else
		report(exam, "self-test", BAD, "%s: %s does not block (status %d, %zu bytes on stdout, %zu on stderr); run `stile init`", root,
		       program, result.exit, result.out.len, result.err.len);
	buf_release(&result.out);
	buf_release(&result.err);
	buf_release(&why);
}

static enum status
check_worktree(void *arg, const struct hooks_look *look)
{
	struct examination *exam = arg;

	if (look->state == HOOKS_INSTALLED)
		report(exam, "hooks", FINE, "%s: installed", look->root);
	else
		report(exam, "hooks", BAD, "%s: %s: %s", look->root, hooks_state_name(look->state), look->note);
	if (look->tracked)
		report(exam, "settings", ODD, "%s/" INSTALL_SETTINGS_NAME ": " INSTALL_TRACKED, look->root);
	if (look->program[0] != '\0')
		check_denial(exam, look->root, look->program);
	return OK;
}

/* A client that was started before its hooks were has no session here. */
static void
check_agents(struct examination *exam)
{
	struct process *found = calloc(AGENTS_MAX, sizeof *found);
	size_t count = found == NULL ? 0 : process_named("claude", exam->call->context->place.root, found, AGENTS_MAX);

	for (size_t i = 0; i < count; i++) {
		size_t j = 0;

		while (j < exam->live.count && !process_same(&exam->live.items[j].process, &found[i]))
			j++;
		if (j == exam->live.count)
			report(exam, "agents", BAD, "process %lld (claude) works here without hooks: start it again", (long long)found[i].pid);
	}
	if (count == 0)
		report(exam, "agents", FINE, "no Claude Code process works here unseen");
	free(found);
}

/*
 * How other SQLite databases of the codebase are kept: read from the header (bytes 18 and 19: 2 = WAL), not through SQLite.
 * Never the store's own file: closing it would drop SQLite's locks.
 */
static void
check_database(struct examination *exam, const char *path)
{
	unsigned char head[100];
	struct stat there, ours;
	int fd;

	if (stat(path, &there) != 0) {
		report(exam, "database", BAD, "%s: can't be looked at", path);
		return;
	}
	if (stat(exam->call->context->address.file, &ours) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
		report(exam, "database", FINE, "%s: the store itself; see journal_mode", path);
		return;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || !S_ISREG(there.st_mode) || pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
	    memcmp(head, "SQLite format 3", 16) != 0)
		report(exam, "database", BAD, "%s: is not a SQLite database", path);
	else
		report(exam, "database", head[18] == 2 ? FINE : ODD, "%s: journal_mode %s; busy_timeout is each program's own", path,
		       head[18] == 2 ? "wal" : "is a rollback journal: one writer shuts out every reader");
	if (fd >= 0)
		close(fd);
}

static enum status
run_doctor(struct call *call)
{
	struct examination exam = {.call = call, .checks = json_array(), .dropped = json_array(), .unkept = json_array()};
	const json_t *databases = json_object_get(call->args, "database");
	json_t *path;
	size_t i;

	json_object_set_new(call->result, "checks", exam.checks);
	check_store(&exam);
	check_resident(&exam);
	check_observing(&exam);
	check_mirrors(&exam);
	check_queues(&exam);
	if (install_state(call->context, check_worktree, &exam) != OK)
		report(&exam, "worktrees", BAD, "%s: the worktrees can't be listed", call->context->place.root);
	check_agents(&exam);
	json_array_foreach(databases, i, path) check_database(&exam, json_string_value(path));
	session_list_release(&exam.live);
	json_decref(exam.dropped);
	json_decref(exam.unkept);
	return exam.bad == 0 ? OK : why_not(call->why, CONFLICT, "%zu of %zu checks found something bad", exam.bad,
	                                    json_array_size(exam.checks));
}

static const struct param params[] = {
    {"database", PARAM_TEXT, "FILE", "tell the journal mode of this SQLite database too", false, false, true},
};

static const struct verb verbs[] = {
    {"doctor", "what coordination stands on, and what is wrong with it", DOES_READ | DOES_RUN, "check state finding", PARAMS(params),
     run_doctor},
};

const struct verb_table verbs_doctor = VERB_TABLE(verbs);
