#include "lib/leasing.h"

#include "base/str.h"

static enum liveness
of_anchor(void *arg, const char *name)
{
	const struct leasing *leasing = arg;

	for (size_t i = 0; i < LEASING_KNOWN; i++)
		if (leasing->known[i].anchor != NULL && str_equal(leasing->known[i].anchor, name))
			return leasing->known[i].is;
	return LIVENESS_UNKNOWN;
}

static enum liveness
of_process(void *arg, const struct process *process)
{
	const struct leasing *leasing = arg;

	for (size_t i = 0; i < LEASING_KNOWN; i++)
		if (leasing->known[i].anchor == NULL && leasing->known[i].pid == process->pid)
			return leasing->known[i].is;
	return LIVENESS_UNKNOWN;
}

static int64_t
awake(void *arg, char boot[BOOT_MAX])
{
	const struct leasing *leasing = arg;

	snprintf(boot, BOOT_MAX, "%s", leasing->boot);
	return leasing->awake_ms;
}

static struct txn *
act(struct leasing *leasing, const char *actor)
{
	struct txn *txn = &leasing->bench.txn;

	snprintf(leasing->actor, sizeof leasing->actor, "%s", actor);
	txn->actor = leasing->actor;
	txn->witness = &leasing->witness;
	buf_clear(&leasing->bench.why);
	return txn;
}

void
leasing_init(struct leasing *leasing)
{
	leasing->boot = "this-boot";
	leasing->witness = (struct witness){of_anchor, of_process, awake, leasing};
}

int
leasing_set_up(void **state)
{
	struct leasing *leasing = calloc(1, sizeof *leasing);

	if (leasing == NULL)
		return -1;
	bench_init(&leasing->bench);
	leasing_init(leasing);
	*state = leasing;
	return 0;
}

int
leasing_tear_down(void **state)
{
	struct leasing *leasing = *state;

	bench_release(&leasing->bench);
	free(leasing);
	return 0;
}

void
leasing_at(struct leasing *leasing, int64_t ms)
{
	bench_at(&leasing->bench, BENCH_START_MS + ms);
}

static void
know(struct leasing *leasing, const char *anchor, int64_t pid, enum liveness is)
{
	for (size_t i = 0; i < LEASING_KNOWN; i++) {
		bool same = anchor == NULL ? leasing->known[i].anchor == NULL && leasing->known[i].pid == pid
		                           : leasing->known[i].anchor != NULL && str_equal(leasing->known[i].anchor, anchor);

		if (!same && (leasing->known[i].anchor != NULL || leasing->known[i].pid != 0))
			continue;
		leasing->known[i].anchor = anchor;
		leasing->known[i].pid = pid;
		leasing->known[i].is = is;
		return;
	}
	abort();
}

void
leasing_anchor(struct leasing *leasing, const char *anchor, enum liveness is)
{
	know(leasing, anchor, 0, is);
}

void
leasing_process(struct leasing *leasing, int64_t pid, enum liveness is)
{
	know(leasing, NULL, pid, is);
}

struct lease_ask
leasing_ask(const char *resource)
{
	return (struct lease_ask){.resource = resource,
	                          .wait = true,
	                          .ttl_ms = LEASING_TTL_MS,
	                          .session = "",
	                          .chain = "",
	                          .anchor = "",
	                          .wake = ""};
}

enum status
leasing_acquire(struct leasing *leasing, const char *actor, const struct lease_ask *ask)
{
	return lease_acquire(act(leasing, actor), ask, &leasing->lease, &leasing->bench.why);
}

enum status
leasing_release(struct leasing *leasing, const char *actor, const char *resource, int64_t fence)
{
	return lease_release(act(leasing, actor), resource, fence, &leasing->bench.why);
}

enum status
leasing_renew(struct leasing *leasing, const char *actor, const char *resource, int64_t fence, int64_t ttl_ms)
{
	return lease_renew(act(leasing, actor), resource, fence, ttl_ms, &leasing->lease, &leasing->bench.why);
}

enum status
leasing_check(struct leasing *leasing, const char *actor, const char *resource, int64_t fence)
{
	return lease_check(act(leasing, actor), resource, fence, &leasing->lease, &leasing->bench.why);
}

enum status
leasing_look(struct leasing *leasing, const char *resource, int64_t ticket)
{
	return lease_look(act(leasing, "uid:0"), resource, ticket, &leasing->lease, &leasing->tend, &leasing->bench.why);
}

enum status
leasing_tend(struct leasing *leasing, const char *resource)
{
	return lease_tend(act(leasing, "uid:0"), resource, &leasing->bench.why);
}

enum status
leasing_give_up(struct leasing *leasing, const char *resource, int64_t ticket)
{
	return lease_give_up(act(leasing, "uid:0"), resource, ticket, &leasing->lease, &leasing->bench.why);
}

int64_t
leasing_take(struct leasing *leasing, const char *actor, const char *resource)
{
	struct lease_ask ask = leasing_ask(resource);
	enum status status = leasing_acquire(leasing, actor, &ask);

	return status == OK || status == QUEUED ? leasing->lease.fence : -1;
}

const char *
leasing_holder(struct leasing *leasing, const char *resource, int64_t fence)
{
	static char holder[ACTOR_SIZE];
	char *found = store_text(leasing->bench.db, "SELECT actor FROM lease WHERE resource = $1 AND fence = $2", DB_TEXT(resource),
	                         DB_INT(fence));

	if (found == NULL)
		return NULL;
	snprintf(holder, sizeof holder, "%s", found);
	free(found);
	return holder;
}

int64_t
leasing_holders(struct leasing *leasing, const char *resource)
{
	return store_number(leasing->bench.db, "SELECT count(*) FROM lease WHERE resource = $1 AND fence > 0", DB_TEXT(resource));
}

int64_t
leasing_waiters(struct leasing *leasing, const char *resource)
{
	return store_number(leasing->bench.db, "SELECT count(*) FROM lease WHERE resource = $1 AND fence = 0", DB_TEXT(resource));
}

bool
leasing_said(const struct leasing *leasing, const char *text)
{
	return strstr(leasing->bench.why.data, text) != NULL;
}
