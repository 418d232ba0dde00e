/*
 * Leases on a bench: actors who ask, holders of whom the test says whether they live, and clocks that it sets.
 */
#ifndef LIB_LEASING_H
#define LIB_LEASING_H

#include "core/lease.h"
#include "lib/store.h"

#define LEASING_TTL_MS 10000
#define LEASING_KNOWN 16

struct leasing {
	struct bench bench; /* first: a struct leasing is one */
	struct lease lease; /* the last answer's */
	bool tend;          /* the last look's */
	char actor[ACTOR_SIZE];
	struct witness witness;
	int64_t awake_ms;
	const char *boot;
	struct {
		const char *anchor; /* NULL: of the process */
		int64_t pid;
		enum liveness is;
	} known[LEASING_KNOWN]; /* whoever isn't in here is unknown */
};

/* On a bench that is there already: nobody is known. */
void leasing_init(struct leasing *leasing);

/* For cmocka: *state is one, with nothing leased. */
int leasing_set_up(void **state);
int leasing_tear_down(void **state);
#define LEASING_TEST(test) cmocka_unit_test_setup_teardown(test, leasing_set_up, leasing_tear_down)

/* So many ms after the beginning. */
void leasing_at(struct leasing *leasing, int64_t ms);

/* Says what is known of an anchor, or of a process. */
void leasing_anchor(struct leasing *leasing, const char *anchor, enum liveness is);
void leasing_process(struct leasing *leasing, int64_t pid, enum liveness is);

/* Who waits if need be, for LEASING_TTL_MS, a person without anchor. */
struct lease_ask leasing_ask(const char *resource);

/* Each as `actor`; the answer is in leasing->lease, the reason in leasing->bench.why. */
enum status leasing_acquire(struct leasing *leasing, const char *actor, const struct lease_ask *ask);
enum status leasing_release(struct leasing *leasing, const char *actor, const char *resource, int64_t fence);
enum status leasing_renew(struct leasing *leasing, const char *actor, const char *resource, int64_t fence, int64_t ttl_ms);
enum status leasing_check(struct leasing *leasing, const char *actor, const char *resource, int64_t fence);
enum status leasing_look(struct leasing *leasing, const char *resource, int64_t ticket);
enum status leasing_tend(struct leasing *leasing, const char *resource);
enum status leasing_give_up(struct leasing *leasing, const char *resource, int64_t ticket);

/* Acquires by the plain ask: the fence, or 0 and the ticket is in leasing->lease; -1 when it was refused. */
int64_t leasing_take(struct leasing *leasing, const char *actor, const char *resource);

/* Who holds the resource with that fence, as the rows say; NULL for nobody.  Until the next call. */
const char *leasing_holder(struct leasing *leasing, const char *resource, int64_t fence);

int64_t leasing_holders(struct leasing *leasing, const char *resource);
int64_t leasing_waiters(struct leasing *leasing, const char *resource);

/* Whether `text` is part of the last reason. */
bool leasing_said(const struct leasing *leasing, const char *text);

#endif
