#include "verbs/lease_hold.h"

#include "core/lease_role.h"

#include "os/clock.h"

#define KEEP_LIMIT_MS 2000                     /* for the store, when what is held is renewed over a wait */
#define LOOK_AFTER_MS (LEASE_CHALLENGE_MS / 2) /* whoever is challenged has noticed and renewed in time */

struct attempt {
	struct hold *hold;
	struct lease_ask *ask;
	const char *resource;
	int64_t ticket, fence, ttl_ms;
	struct lease *lease;
	bool tend;
	bool lapsed;      /* the ticket was gone before the caller's time was over */
	enum status said; /* by the rule, whatever then became of its transaction */
};

void
hold_init(struct hold *hold, struct context *context, const char *session, const char *role)
{
	*hold = (struct hold){.context = context, .session = session, .role = role, .anchor = {.fd = -1}};
}

#define PART_AT 24 /* in an id, where its last random digits begin */

/* The command ends when all that it runs does; and what it runs at once ends each by itself. */
static enum status
name_part(struct txn *txn, struct hold *hold, const char *whole, struct buf *why)
{
	char id[ID_SIZE];
	enum status status = str_copy(hold->chain, sizeof hold->chain, whole);
	size_t len = strlen(whole);

	if (status == OK && hold->stays && len + 1 + ID_SIZE - PART_AT <= sizeof hold->chain) {
		status = txn_id(txn, id, why);
		if (status == OK)
			snprintf(hold->chain + len, sizeof hold->chain - len, "/%s", id + PART_AT);
	}
	return status;
}

/*
 * What a command runs waits while the command holds: a part of its chain.  The steps of one session are one.  Several people's
 * steps, and commands of one session beside each other, are free of each other.
 */
static enum status
name_chain(struct txn *txn, struct hold *hold, struct buf *why)
{
	const char *inherited = getenv("STILE_CHAIN");
	char id[ID_SIZE];
	enum status status;

	if (inherited != NULL && str_check_id("STILE_CHAIN", inherited, sizeof hold->chain - 1, NULL) == OK)
		return name_part(txn, hold, inherited, why);
	if (!hold->stays && !hold->apart && !hold->caller.person)
		return str_copy(hold->chain, sizeof hold->chain, hold->caller.session);
	hold->alone = true;
	status = txn_id(txn, id, why);
	if (status == OK)
		snprintf(hold->chain, sizeof hold->chain, "run/%s", id);
	return status;
}

static enum status
find_caller(struct txn *txn, struct hold *hold, struct buf *why)
{
	enum status status = caller_find(txn, hold->session, &hold->caller, why);

	if (status == OK)
		status = name_chain(txn, hold, why);
	hold->found = status == OK;
	return status;
}

/* The caller is found in the first one's transaction. */
static enum status
rule_acquire(struct txn *txn, void *arg, struct buf *why)
{
	struct attempt *attempt = arg;
	struct hold *hold = attempt->hold;
	struct lease_ask *ask = attempt->ask;
	enum status status = hold->found ? OK : find_caller(txn, hold, why);

	if (status != OK)
		return status;
	txn->actor = hold->caller.actor;
	ask->session = hold->caller.session;
	ask->chain = hold->chain;
	ask->first = hold->alone && hold->count == 0;
	/* a process that is gone already proves nothing of who asks now */
	if (ask->process.pid == 0 && !lease_process_is_gone(txn, &hold->caller.process))
		ask->process = hold->caller.process;
	status = lease_acquire(txn, ask, attempt->lease, why);
	/* a waiter is told nothing yet, and is gone as well if a power cut undoes its ticket */
	txn->db->unhurried = status == QUEUED;
	return status;
}

static enum status
rule_priority(struct txn *txn, void *arg, struct buf *why)
{
	struct attempt *attempt = arg;

	return lease_priority(txn, attempt->hold->role, &attempt->ask->priority, why);
}

/* As the caller that was found.  Without one the rule finds its own. */
static void
act(struct txn *txn, const struct attempt *attempt)
{
	if (attempt->hold->found)
		txn->actor = attempt->hold->caller.actor;
}

static enum status
rule_look(struct txn *txn, void *arg, struct buf *why)
{
	struct attempt *attempt = arg;

	act(txn, attempt);
	return lease_look(txn, attempt->resource, attempt->ticket, attempt->lease, &attempt->tend, why);
}

static enum status
rule_tend(struct txn *txn, void *arg, struct buf *why)
{
	struct attempt *attempt = arg;

	act(txn, attempt);
	return lease_tend(txn, attempt->resource, why);
}

static enum status
rule_give_up(struct txn *txn, void *arg, struct buf *why)
{
	struct attempt *attempt = arg;

	act(txn, attempt);
	attempt->said = lease_give_up(txn, attempt->resource, attempt->ticket, attempt->lease, why);
	return attempt->said;
}

static enum status
rule_release(struct txn *txn, void *arg, struct buf *why)
{
	struct attempt *attempt = arg;

	act(txn, attempt);
	/* undone by a power cut it would be held by an anchor that is free then */
	txn->db->unhurried = attempt->hold->stays;
	return lease_release(txn, attempt->resource, attempt->fence, why);
}

static enum status
rule_renew(struct txn *txn, void *arg, struct buf *why)
{
	struct attempt *attempt = arg;

	act(txn, attempt);
	return lease_renew(txn, attempt->resource, attempt->fence, attempt->ttl_ms, attempt->lease, why);
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void
plan_renewal(struct hold *hold)
{
	int64_t now_ms = clock_boot_ms(), left_ms = hold->safe_boot_ms - now_ms;

	hold->renew_boot_ms = now_ms + (left_ms < 3 ? 1 : left_ms / 3);
}

/* Somebody finds it overdue, or it is gone.  By our own clock it is in time; the store's may have been set. */
static bool
is_challenged(struct hold *hold)
{
	for (size_t i = 0; i < hold->count; i++) {
		struct lease now = {0};
		struct attempt attempt = {.hold = hold,
		                          .resource = hold->leases[i].resource,
		                          .ticket = hold->leases[i].ticket,
		                          .lease = &now};
		enum status status = engine_read(&hold->context->engine, rule_look, &attempt, NULL);

		if (status == NO_SUCH || (status == OK && now.challenged_ms > 0))
			return true;
	}
	return false;
}

enum status
hold_keep(struct hold *hold, int64_t limit_ms, struct buf *why)
{
	if (hold->count == 0 || (clock_boot_ms() < hold->renew_boot_ms && !is_challenged(hold)))
		return OK;
	return hold_renew(hold, limit_ms, why);
}

int64_t
hold_next_ms(const struct hold *hold)
{
	int64_t left_ms = hold->renew_boot_ms - clock_boot_ms();

	return left_ms < 1 ? 1 : least(left_ms, LOOK_AFTER_MS);
}

/* What is held already must not be lost over the wait for the next: renewed in time.  HELD when it was lost. */
static enum status
keep_held(struct hold *hold, struct buf *why)
{
	enum status status = hold_keep(hold, KEEP_LIMIT_MS, why);

	if (status != OK && status != HELD && clock_boot_ms() < hold->safe_boot_ms)
		return OK;
	return status;
}

static enum status
left_behind(const char *resource, struct buf *why)
{
	char reason[WHY_MAX] = "";

	if (why != NULL)
		snprintf(reason, sizeof reason, "%s", why->data);
	return why_not(why, OUTCOME_UNKNOWN, "%s: it may be held for you until its deadline; look before trying again: %.900s",
	               resource, reason);
}

/*
 * Who can't be taken out of the line may have been let in, or be so yet.  Without an anchor the lease would then be held by one
 * who was told that he has it not.
 */
static enum status
give_up(struct engine *engine, struct attempt *attempt, struct buf *why)
{
	enum status status = OK;

	for (int time = 0; time < 2; time++) {
		attempt->said = OUTCOME_UNKNOWN;
		status = engine_run(engine, rule_give_up, attempt, why);
		if (status == attempt->said)
			return status;
	}
	return attempt->hold->stays ? status : left_behind(attempt->resource, why);
}

/* A store that is away for a moment is no answer: whoever waits looks again. */
static enum status
wait_for(struct engine *engine, struct attempt *attempt, int64_t until_ms, struct buf *why)
{
	struct hold *hold = attempt->hold;

	for (;;) {
		int64_t now_ms = clock_boot_ms(), left_ms = until_ms - now_ms, doze_ms = least(left_ms, WAKE_RECHECK_MS);
		enum status status;

		if (hold->count > 0)
			doze_ms = least(doze_ms, hold->renew_boot_ms - now_ms);
		if (left_ms <= 0 || keep_held(hold, why) == HELD)
			return give_up(engine, attempt, why);
		if (doze_ms > 0)
			engine->db->ops->wait(engine->db, doze_ms);
		hold->asked_boot_ms = clock_boot_ms();
		status = engine_read(engine, rule_look, attempt, why);
		attempt->lapsed = status == NO_SUCH;
		if (attempt->lapsed)
			return give_up(engine, attempt, why);
		if (status == OK || status == NO_MEMORY)
			return status;
		if (status == QUEUED && attempt->tend && engine_run(engine, rule_tend, attempt, why) == NO_MEMORY)
			return NO_MEMORY;
	}
}

/* Its place in the line is lost when the store's clock is set ahead over its limit; what is left of that it waits at the end. */
static enum status
line_up(struct attempt *attempt, int64_t until_ms, struct buf *why)
{
	struct hold *hold = attempt->hold;
	struct engine *engine = &hold->context->engine;
	enum status status;

	do {
		attempt->lapsed = false;
		hold->asked_boot_ms = clock_boot_ms();
		attempt->ask->wait_ms = attempt->ask->wait ? most(until_ms - hold->asked_boot_ms, 1) : 0;
		status = engine_run(engine, rule_acquire, attempt, why);
		attempt->ticket = attempt->lease->ticket;
		if (status == QUEUED)
			status = wait_for(engine, attempt, until_ms, why);
	} while (status == BUSY && attempt->lapsed && clock_boot_ms() < until_ms);
	/* what went wrong on the way does not matter any more */
	return status == OK ? why_not(why, OK, "%s", "") : status;
}

static enum status
take_one(struct hold *hold, struct lease_ask *ask, int64_t until_ms, struct lease *out, struct buf *why)
{
	struct engine *engine = &hold->context->engine;
	struct attempt attempt = {.hold = hold, .ask = ask, .resource = ask->resource, .lease = out};
	char address[WAKE_SIZE] = "";
	enum status status = OK;

	if (hold->role != NULL)
		status = engine_read(engine, rule_priority, &attempt, why);
	if (status == OK && ask->wait)
		status = engine->db->ops->listen(engine->db, address, why);
	ask->wake = address;
	return status == OK ? line_up(&attempt, until_ms, why) : status;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct lease_ask *)a)->resource, ((const struct lease_ask *)b)->resource);
}

/* The one at hold->count was granted. */
static void
add_held(struct hold *hold)
{
	const struct lease *lease = &hold->leases[hold->count];
	int64_t until_ms = hold->asked_boot_ms + lease->expires_ms - hold->context->engine.db->now_ms;

	hold->safe_boot_ms = hold->count == 0 ? until_ms : least(hold->safe_boot_ms, until_ms);
	hold->count++;
	plan_renewal(hold);
}

enum status
hold_take(struct hold *hold, struct lease_ask *asks, size_t count, int64_t wait_ms, bool stays, struct lease *other,
          struct buf *why)
{
	int64_t began_ms = clock_boot_ms();
	enum status status = OK;

	hold->stays = stays;
	if (count > HOLD_MAX)
		return why_not(why, BAD_INPUT, "at most %d at a time", HOLD_MAX);
	if (stays || wait_ms > 0)
		status = context_anchor(hold->context, stays, &hold->anchor, why);
	/* everybody in the same order: nobody holds what another waits for who holds what he waits for */
	qsort(asks, count, sizeof *asks, by_name);
	for (size_t i = 0; i < count && status == OK; i++) {
		struct lease *lease = &hold->leases[hold->count];

		asks[i].anchor = hold->anchor.fd >= 0 ? hold->anchor.name : "";
		asks[i].anchored = stays;
		/* also when the time is used up already: who would have waited is told "busy", not "held" */
		asks[i].wait = wait_ms > 0;
		status = take_one(hold, &asks[i], began_ms + wait_ms, lease, why);
		if (status == OK)
			add_held(hold);
		else
			*other = *lease;
	}
	/* without a look: that is for those who held it for longer */
	if (status == OK && clock_boot_ms() >= hold->renew_boot_ms)
		status = keep_held(hold, why);
	if (status != OK)
		return hold_back_out(hold, status, why);
	if (!stays)
		anchor_leave(&hold->anchor);
	return OK;
}

enum status
hold_renew(struct hold *hold, int64_t limit_ms, struct buf *why)
{
	struct engine *engine = &hold->context->engine;
	int64_t before_ms = engine->wait_ms, now_ms = clock_boot_ms(), least_ms = LEASE_TTL_MAX_MS;
	enum status status = OK;

	engine->wait_ms = limit_ms;
	for (size_t i = 0; i < hold->count && status == OK; i++) {
		struct lease *lease = &hold->leases[i];
		struct attempt attempt = {.hold = hold, .resource = lease->resource, .fence = lease->fence, .lease = lease};

		status = engine_run(engine, rule_renew, &attempt, why);
		least_ms = least(least_ms, lease->expires_ms - engine->db->now_ms);
	}
	engine->wait_ms = before_ms;
	if (status == OK)
		hold->safe_boot_ms = now_ms + least_ms;
	plan_renewal(hold);
	return status;
}

enum status
hold_release(struct hold *hold, struct buf *why)
{
	enum status first = OK;

	while (hold->count > 0) {
		struct lease *lease = &hold->leases[--hold->count];
		struct attempt attempt = {.hold = hold, .resource = lease->resource, .fence = lease->fence};
		enum status status = engine_run(&hold->context->engine, rule_release, &attempt, first == OK ? why : NULL);

		if (status != OK && first == OK)
			first = status;
	}
	anchor_leave(&hold->anchor);
	return first;
}

enum status
hold_back_out(struct hold *hold, enum status status, struct buf *why)
{
	bool stays = hold->stays;
	enum status released = hold_release(hold, NULL);

	if (stays || released == OK || (released > OK && released != BUSY) || status == OUTCOME_UNKNOWN)
		return status;
	return left_behind(hold->leases[0].resource, why);
}
