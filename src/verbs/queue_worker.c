#include "verbs/queue_worker.h"

#include "core/binding.h"
#include "os/clock.h"
#include "os/tee.h"
#include "verbs/command_reply.h"
#include "verbs/kept_run.h"
#include "verbs/payload.h"
#include "verbs/queue_wait.h"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOOK_AFTER_MS (LEASE_CHALLENGE_MS / 2) /* who is challenged has noticed and renewed in time */
#define RETRY_MS 1000

struct worker {
	struct call *call;
	struct queue_tally *tally;
	int stop;
	struct queue_wait wait;
	char id[QUEUE_ID_SIZE]; /* of the item that it is at */
	struct queue_item item;
	int64_t safe_boot_ms;  /* until which the claim is surely ours */
	int64_t renew_boot_ms; /* from which on it should be renewed */
	struct queue_failure failure;
	struct reply reply;
	struct binding bound;
	/* of the command */
	struct tee out, err;
	int input;
	struct buf printed, errors;
	bool unrunnable;
};

static const char *
arg(const struct worker *worker, const char *key)
{
	return json_text(worker->call->args, key, NULL);
}

/* Whether it is to stop; waits for that at most `wait_ms`. */
static bool
told_to_stop(const struct worker *worker, int64_t wait_ms)
{
	struct pollfd told = {.fd = worker->stop, .events = POLLIN};

	return poll(&told, 1, (int)wait_ms) > 0;
}

static bool
stop_now(void *arg)
{
	return told_to_stop(arg, 0);
}

static void
plan(struct worker *worker, int64_t asked_boot_ms)
{
	int64_t left_ms = worker->item.claim.expires_ms - worker->call->context->engine.db->now_ms;

	worker->safe_boot_ms = asked_boot_ms + left_ms;
	worker->renew_boot_ms = asked_boot_ms + left_ms / 3;
}

static enum status
rule_check(struct txn *txn, void *arg, struct buf *why)
{
	struct worker *worker = arg;
	struct queue_item now;
	enum status status;

	txn->actor = worker->wait.caller.actor;
	status = queue_check(txn, worker->id, worker->item.claim.fence, &now, why);
	if (status == OK)
		worker->item.claim.challenged_ms = now.claim.challenged_ms;
	return status;
}

static enum status
rule_renew(struct txn *txn, void *arg, struct buf *why)
{
	struct worker *worker = arg;

	txn->actor = worker->wait.caller.actor;
	return queue_renew(txn, worker->id, worker->item.claim.fence, 0, &worker->item, why);
}

/* Renews when it is time, and when somebody has found it overdue by the store's clock, which may have been set. */
static enum status
keep(void *arg, bool late, struct buf *why)
{
	struct worker *worker = arg;
	struct engine *engine = &worker->call->context->engine;
	int64_t asked_ms = clock_boot_ms(), before_ms = engine->wait_ms;
	enum status status = OK;

	engine->wait_ms = KEPT_LIMIT_MS;
	if (!late && asked_ms < worker->renew_boot_ms)
		status = engine_read(engine, rule_check, worker, why);
	if (status == OK && (late || asked_ms >= worker->renew_boot_ms || worker->item.claim.challenged_ms > 0)) {
		status = engine_run(engine, rule_renew, worker, why);
		if (status == OK)
			plan(worker, asked_ms);
	}
	engine->wait_ms = before_ms;
	return status;
}

static int64_t
left_ms(const void *arg)
{
	return ((const struct worker *)arg)->safe_boot_ms - clock_boot_ms();
}

static int64_t
next_ms(const void *arg)
{
	int64_t ms = ((const struct worker *)arg)->renew_boot_ms - clock_boot_ms();

	return ms < 1 ? 1 : ms < LOOK_AFTER_MS ? ms : LOOK_AFTER_MS;
}

static bool
in_child(void *arg)
{
	const struct worker *worker = arg;

	if (worker->out.into >= 0)
		tee_child(&worker->out);
	tee_child(&worker->err);
	return dup2(worker->input, STDIN_FILENO) >= 0;
}

static void
started(void *arg)
{
	struct worker *worker = arg;

	if (worker->out.into >= 0)
		tee_started(&worker->out);
	tee_started(&worker->err);
}

/* What the command reads: a file in memory, so that nobody has to feed it. */
static enum status
make_input(struct worker *worker, const char *payload, struct buf *why)
{
	struct buf text;
	enum status status = OK;

	buf_init(&text, QUEUE_PAYLOAD_MAX);
	if (payload == NULL)
		status = payload_fetch(worker->call->context, &worker->item, &text, why);
	worker->input = status == OK ? memfd_create("payload", MFD_CLOEXEC) : -1;
	if (status == OK &&
	    (worker->input < 0 ||
	     write(worker->input, payload == NULL ? text.data : payload, (size_t)worker->item.size) != (ssize_t)worker->item.size ||
	     lseek(worker->input, 0, SEEK_SET) != 0))
		status = why_not(why, NO_MEMORY, "no room for the payload in memory");
	buf_release(&text);
	return status;
}

static bool
is_of_session(const struct worker *worker)
{
	return worker->item.line[0] != '\0' && !str_starts(worker->item.line, QUEUE_GROUP);
}

/* The id is looked for in what it prints, unless it writes it elsewhere. */
static bool
listens(const struct worker *worker)
{
	return arg(worker, "bind") != NULL && arg(worker, "id_file") == NULL;
}

static enum status
begin_tees(struct worker *worker, struct buf *why)
{
	enum status status = OK;

	worker->out.into = -1;
	if (listens(worker))
		status = tee_begin(&worker->out, STDOUT_FILENO, COMMAND_OUTPUT_MAX, why);
	if (status == OK && (status = tee_begin(&worker->err, STDERR_FILENO, COMMAND_ERRORS_MAX, why)) != OK && listens(worker)) {
		tee_started(&worker->out);
		tee_end(&worker->out, 0, &worker->printed);
	}
	return status;
}

static enum status
rule_bound(struct txn *txn, void *arg_, struct buf *why)
{
	struct worker *worker = arg_;

	return binding_get(txn, worker->item.line, arg(worker, "bind"), &worker->bound, why);
}

/* What the slot of --bind holds already, for the command to go on with.  Of a store that is away it goes without. */
static void
find_bound(struct worker *worker)
{
	worker->bound = (struct binding){0};
	if (is_of_session(worker) && arg(worker, "bind") != NULL &&
	    engine_read(&worker->call->context->engine, rule_bound, worker, NULL) != OK)
		worker->bound.value[0] = '\0';
}

/* The command's environment: what the item is, whose, and what its session is bound to. */
struct words {
	char item[QUEUE_ID_SIZE + 20], generation[60], queue[QUEUE_NAME_MAX + 20], session[QUEUE_LINE_SIZE + 20];
	char bound[ID_MAX + 20];
};

static void
tell_command(struct worker *worker, struct words *words, struct kept_command *command)
{
	bool session = is_of_session(worker), bound = worker->bound.value[0] != '\0';

	snprintf(words->item, sizeof words->item, "STILE_ITEM=%s", worker->id);
	snprintf(words->generation, sizeof words->generation, "STILE_GENERATION=%lld", (long long)worker->item.claim.fence);
	snprintf(words->queue, sizeof words->queue, "STILE_QUEUE=%s", worker->item.queue);
	snprintf(words->session, sizeof words->session, "STILE_ITEM_SESSION%s%s", session ? "=" : "",
	         session ? worker->item.line : "");
	snprintf(words->bound, sizeof words->bound, "STILE_BOUND%s%s", bound ? "=" : "", worker->bound.value);
	command->env[0] = words->item;
	command->env[1] = words->generation;
	command->env[2] = words->queue;
	command->env[3] = words->session;
	command->env[4] = words->bound;
}

static enum status
run_command(struct worker *worker, const char *payload, int *exit, struct buf *why)
{
	const struct kept kept = {keep, next_ms, left_ms, worker, worker->wait.anchor.fd};
	struct kept_command command = {.words = worker->call->command, .in_child = in_child, .started = started, .arg = worker};
	struct words words;
	enum status status = make_input(worker, payload, why);

	if (status == OK)
		status = begin_tees(worker, why);
	if (status == OK) {
		find_bound(worker);
		tell_command(worker, &words, &command);
		status = kept_run(&kept, &command, exit, &worker->unrunnable, why);
		if (listens(worker))
			tee_end(&worker->out, COMMAND_REST_MS, &worker->printed);
		tee_end(&worker->err, COMMAND_REST_MS, &worker->errors);
	}
	if (worker->input >= 0)
		close(worker->input);
	return status;
}

/* Its id and its end in one transaction.  A session may come to another id: that is its next generation. */
static enum status
rule_done(struct txn *txn, void *arg_, struct buf *why)
{
	struct worker *worker = arg_;
	struct binding_ask ask = {.session = worker->item.line,
	                          .slot = arg(worker, "bind"),
	                          .value = worker->reply.id,
	                          .rebind = true};
	struct binding bound;
	enum status status = OK;

	txn->actor = worker->wait.caller.actor;
	if (worker->reply.id[0] != '\0')
		status = binding_set(txn, &ask, &bound, why);
	if (status != OK)
		return status;
	return queue_ack(txn, worker->id, worker->item.claim.fence, &worker->item, why);
}

static enum status
rule_failed(struct txn *txn, void *arg_, struct buf *why)
{
	struct worker *worker = arg_;

	txn->actor = worker->wait.caller.actor;
	return queue_nack(txn, worker->id, worker->item.claim.fence, &worker->failure, &worker->item, why);
}

/* A store that is away for a moment must not cost what was done: tried again while the claim is ours. */
static enum status
insist(struct worker *worker, rule_function *rule, struct buf *why)
{
	for (;;) {
		enum status status = engine_run(&worker->call->context->engine, rule, worker, why);

		if ((status != BUSY && status != STORE_DOWN && status != OUTCOME_UNKNOWN) || left_ms(worker) <= RETRY_MS)
			return status;
		(void)poll(NULL, 0, RETRY_MS);
	}
}

static void
say(const struct worker *worker, const char *what, const char *why)
{
	fprintf(stderr, "stile: %s: %s%s%s\n", worker->id, what, *why == '\0' ? "" : ": ", why);
}

/* What it said last, for people. */
static const char *
last_line(struct buf *errors)
{
	char *end, *line;

	if (errors->len == 0)
		return "";
	end = errors->data + errors->len;
	while (end > errors->data && strchr("\r\n", end[-1]) != NULL)
		*--end = '\0';
	line = strrchr(errors->data, '\n');
	return line == NULL ? errors->data : line + 1;
}

static void
fail(struct worker *worker, struct queue_failure failure)
{
	struct buf why;

	buf_init(&why, WHY_MAX);
	worker->failure = failure;
	if (insist(worker, rule_failed, &why) != OK)
		say(worker, "could not be given back, and comes back by itself", why.data);
	else
		say(worker, worker->item.state == QUEUE_DEAD ? "is dead" : "comes back", failure.reason);
	atomic_fetch_add(&worker->tally->failed, 1);
	buf_release(&why);
}

/* Which of its ids it is, "" where none is asked for or the item is of no session. */
static enum status
find_id(struct worker *worker, struct buf *why)
{
	enum status status;

	worker->reply = (struct reply){0};
	buf_init(&worker->reply.text, 1);
	if (arg(worker, "bind") == NULL || !is_of_session(worker))
		return OK;
	status = command_reply(&worker->printed, arg(worker, "id_file"), 1, &worker->reply, why);
	return status;
}

static void
succeed(struct worker *worker)
{
	struct buf why;
	enum status status;

	buf_init(&why, WHY_MAX);
	status = find_id(worker, &why);
	if (status == OK)
		status = insist(worker, rule_done, &why);
	buf_release(&worker->reply.text);
	if (status == OK) {
		payload_drop(worker->call->context, worker->item.apart);
		atomic_fetch_add(&worker->tally->done, 1);
	} else if (status == HELD) {
		say(worker, "was lost, and may be done again", why.data);
		atomic_fetch_add(&worker->tally->failed, 1);
	} else {
		fail(worker, (struct queue_failure){.reason = why.data, .delay_ms = -1});
	}
	buf_release(&why);
}

/* The item that was taken.  Whether the command can be run at all. */
static bool
handle(struct worker *worker, const char *payload, int *exit)
{
	char reason[QUEUE_REASON_MAX + 1];
	struct buf why;
	enum status status;
	int ended = -1;

	buf_init(&why, WHY_MAX);
	buf_init(&worker->printed, COMMAND_OUTPUT_MAX);
	buf_init(&worker->errors, COMMAND_ERRORS_MAX);
	worker->unrunnable = false;
	status = run_command(worker, payload, &ended, &why);
	if (status == HELD) {
		say(worker, "was lost, and may be done again", why.data);
		atomic_fetch_add(&worker->tally->failed, 1);
	} else if (status != OK) {
		fail(worker, (struct queue_failure){.reason = why.data, .delay_ms = -1});
	} else if (worker->unrunnable) {
		*exit = ended;
		fail(worker, (struct queue_failure){.reason = "the command can't be run", .untried = true});
	} else if (ended == 0) {
		succeed(worker);
	} else {
		snprintf(reason, sizeof reason, "ended with %d%s%.900s", ended, worker->errors.len == 0 ? "" : ": ",
		         last_line(&worker->errors));
		fail(worker, (struct queue_failure){.reason = reason, .delay_ms = -1});
	}
	buf_release(&worker->printed);
	buf_release(&worker->errors);
	buf_release(&why);
	return !worker->unrunnable;
}

/* The next item; BUSY when it is told to stop, and where there is none to drain. */
static enum status
take_next(struct worker *worker, struct buf *why)
{
	int64_t wait_ms = json_truth(worker->call->args, "drain") ? 0 : -1;

	for (;;) {
		enum status status = queue_wait_take(&worker->wait, wait_ms, why);

		/* once it has found the store, one that is away or busy is waited for */
		if (!worker->wait.found || worker->wait.empty || (status != STORE_DOWN && status != OUTCOME_UNKNOWN && status != BUSY))
			return status;
		if (told_to_stop(worker, RETRY_MS))
			return BUSY;
	}
}

static enum status
work(struct worker *worker, int *exit)
{
	struct buf why;
	enum status status;
	bool goes_on = true;

	buf_init(&why, WHY_MAX);
	do {
		status = told_to_stop(worker, 0) ? BUSY : take_next(worker, &why);
		if (status != OK)
			break;
		worker->item = worker->wait.taken.items[0];
		queue_id(&worker->item, worker->id);
		plan(worker, worker->wait.asked_boot_ms);
		goes_on = handle(worker, worker->wait.taken.payloads[0], exit);
		queue_taken_release(&worker->wait.taken);
	} while (goes_on);
	if (status == BUSY && worker->wait.found)
		status = OK; /* told to stop, or nothing left */
	if (status != OK)
		fprintf(stderr, "stile: %s\n", why.data);
	buf_release(&why);
	return status;
}

enum status
queue_worker_run(struct call *call, struct queue_tally *tally, int stop, int *exit)
{
	struct worker worker = {.call = call, .tally = tally, .stop = stop, .input = -1};
	struct buf why;
	enum status status;

	buf_init(&why, WHY_MAX);
	status = context_open(call->context, false, &why);
	if (status != OK)
		fprintf(stderr, "stile: %s\n", why.data);
	buf_release(&why);
	if (status != OK)
		return status;
	queue_wait_init(&worker.wait, call->context);
	worker.wait.ask = (struct queue_take){.queue = json_text(call->args, "queue", ""),
	                                      .line = json_text(call->args, "session", NULL),
	                                      .max = 1,
	                                      .ttl_ms = json_whole(call->args, "lease", QUEUE_TTL_MS)};
	worker.wait.stays = true;
	worker.wait.stop = stop_now;
	worker.wait.arg = &worker;
	status = work(&worker, exit);
	queue_wait_end(&worker.wait);
	context_release(call->context, true);
	return status;
}
