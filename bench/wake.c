/*
 * How long one who is blocked takes to wake: `wake FOLDER ROUNDS`.  One process takes a lock of the codebase at FOLDER and gives it
 * back, another waits for it.  Prints for each round the nanoseconds from just before the releaser's COMMIT until the waiter runs
 * again, and until it knows that the lock is its own, on disk.
 */
#include "library.h"
#include "verbs/verb.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RESOURCE "lock/wake"
#define WAIT_MS 10000
#define SETTLE_NS 2000000 /* after which who is about to sleep sleeps */

struct common {
	_Atomic int held, queued, done; /* rounds */
	_Atomic int64_t committing_ns;
};

struct party {
	struct context context;
	struct common *common;
	struct lease lease;
	char address[WAKE_SIZE];
	bool waits, tend;
};

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void
wait_until(const _Atomic int *word, int value)
{
	const struct timespec pause = {.tv_nsec = 100000};

	while (*word < value)
		nanosleep(&pause, NULL);
}

static void
must(bool done, const struct buf *why)
{
	if (done)
		return;
	fprintf(stderr, "wake: %s\n", why->data);
	_exit(1);
}

static enum status
rule_take(struct txn *txn, void *arg, struct buf *why)
{
	struct party *party = arg;
	const struct lease_ask ask = {.resource = RESOURCE,
	                              .wait = party->waits,
	                              .ttl_ms = 60000,
	                              .session = "",
	                              .chain = "",
	                              .anchor = "",
	                              .wake = party->address};

	return lease_acquire(txn, &ask, &party->lease, why);
}

static enum status
rule_give(struct txn *txn, void *arg, struct buf *why)
{
	struct party *party = arg;
	enum status status = lease_release(txn, RESOURCE, party->lease.fence, why);

	party->common->committing_ns = now_ns();
	return status;
}

static enum status
rule_look(struct txn *txn, void *arg, struct buf *why)
{
	struct party *party = arg;

	return lease_look(txn, RESOURCE, party->lease.ticket, &party->lease, &party->tend, why);
}

static void
hold(struct party *party, int rounds, struct buf *why)
{
	const struct timespec settle = {.tv_nsec = SETTLE_NS};
	struct engine *engine = &party->context.engine;

	for (int i = 1; i <= rounds; i++) {
		must(engine_run(engine, rule_take, party, why) == OK, why);
		party->common->held = i;
		wait_until(&party->common->queued, i);
		nanosleep(&settle, NULL);
		must(engine_run(engine, rule_give, party, why) == OK, why);
		wait_until(&party->common->done, i);
	}
}

static void
queue(struct party *party, int rounds, struct buf *why)
{
	struct engine *engine = &party->context.engine;

	party->waits = true;
	for (int i = 1; i <= rounds; i++) {
		int64_t woken_ns, began_ns;

		wait_until(&party->common->held, i);
		must(engine->db->ops->listen(engine->db, party->address, why) == OK, why);
		must(engine_run(engine, rule_take, party, why) == QUEUED, why);
		party->common->queued = i;
		engine->db->ops->wait(engine->db, WAIT_MS);
		woken_ns = now_ns();
		must(engine_read(engine, rule_look, party, why) == OK, why);
		began_ns = party->common->committing_ns;
		printf("%lld %lld\n", (long long)(woken_ns - began_ns), (long long)(now_ns() - began_ns));
		must(engine_run(engine, rule_give, party, why) == OK, why);
		party->common->done = i;
	}
}

static int
play(void (*part)(struct party *, int, struct buf *), struct common *common, const char *folder, int rounds)
{
	static struct party party;
	struct buf why;

	buf_init(&why, WHY_MAX);
	party.common = common;
	party.context.open_store = library_open_store;
	party.context.wait_ms = WAIT_MS;
	must(context_find(&party.context, folder, &why) == OK && context_open(&party.context, false, &why) == OK, &why);
	part(&party, rounds, &why);
	context_release(&party.context, false);
	buf_release(&why);
	return 0;
}

int
main(int argc, char **argv)
{
	int rounds = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 0, status;
	/* cppcheck-suppress invalidFunctionArg ; no file */
	struct common *common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (rounds <= 0 || common == MAP_FAILED) {
		fprintf(stderr, "usage: wake FOLDER ROUNDS\n");
		return 64;
	}
	pid = fork();
	if (pid == 0)
		_exit(play(hold, common, argv[1], rounds));
	play(queue, common, argv[1], rounds);
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}
