/*
 * Queues on a bench of each engine: who puts, claims and ends items, with holders of whom the test says whether they live (lib/leasing.h).
 */
#ifndef LIB_QUEUEING_H
#define LIB_QUEUEING_H

#include "core/queue_claim.h"
#include "lib/leasing.h"

#define QUEUEING_QUEUE "work"
#define QUEUEING_TTL_MS 10000

struct queueing {
	struct leasing leasing; /* first: a struct queueing is one */
	char *folder;           /* its store's, of the engine that is being tried */
	struct db_ops ops;      /* of its store, with a look at who is woken */
	const struct db_ops *real;
	char woken[200];        /* the addresses, each followed by a blank */
	struct queue_item item; /* the last answer's */
	bool again;
	char payload[64]; /* of the last that was taken */
};

/* For cmocka, in CONTRACT_TESTS: *state is one, with two sessions, "s1" and "s2", and no queue. */
int queueing_set_up(void **state);
int queueing_tear_down(void **state);
#define QUEUEING_TEST(test) cmocka_unit_test_setup_teardown(test, queueing_set_up, queueing_tear_down)

/* What is put of a line: a payload, no key, not held. */
struct queue_put queueing_ask(const char *line, const char *payload);

/* By a person, for whom nothing speaks; one item of any line, without waiting. */
struct queue_take queueing_wish(void);

enum status queueing_put_as(struct queueing *queueing, const struct queue_put *ask);
enum status queueing_take_as(struct queueing *queueing, const char *actor, const struct queue_take *ask);

/* The plain ones.  The number that was put; that was claimed, 0 when there was nothing. */
int64_t queueing_put(struct queueing *queueing, const char *line, const char *payload);
int64_t queueing_take(struct queueing *queueing, const char *actor);

/* Of the item of that number. */
enum status queueing_ack(struct queueing *queueing, const char *actor, int64_t number, int64_t generation);
enum status queueing_nack(struct queueing *queueing, const char *actor, int64_t number, int64_t generation, int64_t delay_ms);
enum status queueing_nack_as(struct queueing *queueing, const char *actor, int64_t number, int64_t generation,
                             const struct queue_failure *failure);
enum status queueing_renew(struct queueing *queueing, const char *actor, int64_t number, int64_t generation);

/* Binds a slot of a session, or clears it with NULL. */
void queueing_bind(struct queueing *queueing, const char *session, const char *slot, const char *value);

/* What a row says of the item of that number. */
int64_t queueing_state(struct queueing *queueing, int64_t number);
/* What the queue's row says. */
int64_t queueing_items(struct queueing *queueing);
int64_t queueing_settled(struct queueing *queueing);

#endif
