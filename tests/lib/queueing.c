#include "lib/queueing.h"

#include "lib/scratch.h"

#include "base/str.h"
#include "core/binding.h"

static struct queueing *queueing_now; /* whose store wakes somebody */

static void
wake(struct db *db, const char *address)
{
	size_t len = strlen(queueing_now->woken);

	(void)db;
	snprintf(queueing_now->woken + len, sizeof queueing_now->woken - len, "%s ", address);
}

static struct txn *
act(struct queueing *queueing, const char *actor)
{
	struct leasing *leasing = &queueing->leasing;
	struct txn *txn = &leasing->bench.txn;

	snprintf(leasing->actor, sizeof leasing->actor, "%s", actor);
	txn->actor = leasing->actor;
	txn->witness = &leasing->witness;
	queueing_now = queueing;
	queueing->woken[0] = '\0';
	buf_clear(&leasing->bench.why);
	return txn;
}

static void
add_session(struct txn *txn, const char *id)
{
	db_run(
		txn->db,
		"INSERT INTO session (project, session, client, client_session, client_version, parent, state, state_ms, waiting_for,"
		" started_ms, event_ms, end_reason, events, generation, generation_ms, budget, budget_given, pid, pid_start, pid_space,"
		" pid_boot, cwd, worktree, branch) VALUES ($1, $2, 'claude', $2, '', '', 'active', 0, '', 0, 0, '', 0, 1, 0, 1, 0, 0, "
		"0,"
		" 0, '', '', '', '')",
		DB_TEXT(txn->project), DB_TEXT(id));
}

int
queueing_set_up(void **state)
{
	struct queueing *queueing = calloc(1, sizeof *queueing);

	if (queueing == NULL)
		return -1;
	queueing->folder = scratch_folder();
	bench_init_on(&queueing->leasing.bench, contract_store(contract_now, queueing->folder));
	leasing_init(&queueing->leasing);
	queueing->leasing.bench.txn.config = &queueing->leasing.bench.config;
	queueing->real = queueing->leasing.bench.db->ops;
	queueing->ops = *queueing->real;
	queueing->ops.wake = wake;
	queueing->leasing.bench.db->ops = &queueing->ops;
	add_session(act(queueing, "uid:1"), "s1");
	add_session(act(queueing, "uid:1"), "s2");
	*state = queueing;
	return 0;
}

int
queueing_tear_down(void **state)
{
	struct queueing *queueing = *state;

	queueing->leasing.bench.db->ops = queueing->real;
	bench_release(&queueing->leasing.bench);
	scratch_remove(queueing->folder);
	free(queueing);
	return 0;
}

struct queue_put
queueing_ask(const char *line, const char *payload)
{
	return (struct queue_put){.queue = QUEUEING_QUEUE,
	                          .line = line,
	                          .key = "",
	                          .slot = "",
	                          .payload = payload,
	                          .size = strlen(payload),
	                          .digest = payload,
	                          .apart = ""};
}

struct queue_take
queueing_wish(void)
{
	return (struct queue_take){.queue = QUEUEING_QUEUE,
	                           .max = 1,
	                           .ttl_ms = QUEUEING_TTL_MS,
	                           .session = "",
	                           .anchor = "",
	                           .wake = ""};
}

enum status
queueing_put_as(struct queueing *queueing, const struct queue_put *ask)
{
	return queue_put(act(queueing, "uid:1"), ask, &queueing->item, &queueing->again, &queueing->leasing.bench.why);
}

enum status
queueing_take_as(struct queueing *queueing, const char *actor, const struct queue_take *ask)
{
	struct queue_taken taken;
	enum status status = queue_take(act(queueing, actor), ask, &taken, &queueing->leasing.bench.why);

	if (status != OK)
		return status;
	queueing->item = taken.items[0];
	snprintf(queueing->payload, sizeof queueing->payload, "%s", taken.payloads[0] == NULL ? "" : taken.payloads[0]);
	for (size_t i = 1; i < taken.count; i++) {
		size_t len = strlen(queueing->payload);

		snprintf(queueing->payload + len, sizeof queueing->payload - len, " %s", taken.payloads[i]);
	}
	queue_taken_release(&taken);
	return OK;
}

int64_t
queueing_put(struct queueing *queueing, const char *line, const char *payload)
{
	struct queue_put ask = queueing_ask(line, payload);

	return queueing_put_as(queueing, &ask) == OK ? queueing->item.number : 0;
}

int64_t
queueing_take(struct queueing *queueing, const char *actor)
{
	struct queue_take ask = queueing_wish();

	return queueing_take_as(queueing, actor, &ask) == OK ? queueing->item.number : 0;
}

static const char *
id_of(int64_t number)
{
	static char id[QUEUE_ID_SIZE];

	snprintf(id, sizeof id, QUEUEING_QUEUE "/%lld", (long long)number);
	return id;
}

enum status
queueing_ack(struct queueing *queueing, const char *actor, int64_t number, int64_t generation)
{
	return queue_ack(act(queueing, actor), id_of(number), generation, &queueing->item, &queueing->leasing.bench.why);
}

enum status
queueing_nack_as(struct queueing *queueing, const char *actor, int64_t number, int64_t generation,
                 const struct queue_failure *failure)
{
	return queue_nack(act(queueing, actor), id_of(number), generation, failure, &queueing->item, &queueing->leasing.bench.why);
}

enum status
queueing_nack(struct queueing *queueing, const char *actor, int64_t number, int64_t generation, int64_t delay_ms)
{
	struct queue_failure failure = {.reason = "it failed", .delay_ms = delay_ms};

	return queueing_nack_as(queueing, actor, number, generation, &failure);
}

enum status
queueing_renew(struct queueing *queueing, const char *actor, int64_t number, int64_t generation)
{
	return queue_renew(act(queueing, actor), id_of(number), generation, 0, &queueing->item, &queueing->leasing.bench.why);
}

void
queueing_bind(struct queueing *queueing, const char *session, const char *slot, const char *value)
{
	struct txn *txn = act(queueing, session);
	struct binding_ask ask = {.session = session, .slot = slot, .value = value, .rebind = true};
	struct binding bound;

	if (value == NULL)
		binding_clear(txn, session, slot, "");
	else if (binding_set(txn, &ask, &bound, &queueing->leasing.bench.why) != OK)
		abort();
}

int64_t
queueing_state(struct queueing *queueing, int64_t number)
{
	return store_number(queueing->leasing.bench.db, "SELECT state FROM queue_item WHERE queue = $1 AND item = $2",
	                    DB_TEXT(QUEUEING_QUEUE), DB_INT(number));
}

int64_t
queueing_items(struct queueing *queueing)
{
	return store_number(queueing->leasing.bench.db, "SELECT items FROM queue WHERE queue = $1", DB_TEXT(QUEUEING_QUEUE));
}

int64_t
queueing_settled(struct queueing *queueing)
{
	return store_number(queueing->leasing.bench.db, "SELECT settled FROM queue WHERE queue = $1", DB_TEXT(QUEUEING_QUEUE));
}
