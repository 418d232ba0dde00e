#include "core/queue_parts.h"

#include "core/audit.h"

#define PRIORITY_MAX 1000000
#define AT_FACTS QUEUE_COLUMN_COUNT /* where they stand in a row, and the waiters after them */
#define AT_WAITERS (AT_FACTS + 6)
#define DELAY_MAX_MS ((int64_t)365 * 24 * 3600 * 1000)

const char *
queue_state_name(enum queue_state state)
{
	static const char *const names[] = {"pending", "pending", "claimed", "dead", "done"};

	return names[state];
}

void
queue_id(const struct queue_item *item, char out[QUEUE_ID_SIZE])
{
	snprintf(out, QUEUE_ID_SIZE, "%s/%lld", item->queue, (long long)item->number);
}

enum status
queue_check_name(const char *queue, struct buf *why)
{
	enum status status = str_check_id("the queue's name", queue, QUEUE_NAME_MAX, why);

	/* an id is the name and a number */
	if (status == OK && (strstr(queue, "..") != NULL || strchr(queue, '/') != NULL))
		return why_not(why, BAD_INPUT, "the queue's name: \"/\" and \"..\" can't be in it");
	return status;
}

enum status
queue_id_parse(const char *id, char queue[QUEUE_NAME_MAX + 1], int64_t *number, struct buf *why)
{
	const char *slash = strrchr(id, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - id);

	if (len == 0 || len > QUEUE_NAME_MAX || str_integer(slash + 1, 1, INT64_MAX, number) != OK)
		return why_not(why, BAD_INPUT, "%.150s: an item's id is QUEUE/NUMBER", id);
	snprintf(queue, QUEUE_NAME_MAX + 1, "%.*s", (int)len, id);
	return queue_check_name(queue, why);
}

static void
copy(char *out, size_t size, const struct db_rows *rows, size_t row, size_t column)
{
	snprintf(out, size, "%s", db_text(rows, row, column));
}

static void
claim_from_row(const struct db_rows *rows, size_t row, struct lease *out)
{
	*out = (struct lease){.fence = db_int(rows, row, 16),
	                      .anchored = db_int(rows, row, 20) != 0,
	                      .process = {.pid = db_int(rows, row, 21),
	                                  .start = db_int(rows, row, 22),
	                                  .space = db_int(rows, row, 23)},
	                      .since_ms = db_int(rows, row, 25),
	                      .ttl_ms = db_int(rows, row, 26),
	                      .expires_ms = db_int(rows, row, 27),
	                      .challenged_ms = db_int(rows, row, 28),
	                      .challenged_awake_ms = db_int(rows, row, 29)};
	copy(out->actor, sizeof out->actor, rows, row, 17);
	copy(out->session, sizeof out->session, rows, row, 18);
	copy(out->anchor, sizeof out->anchor, rows, row, 19);
	copy(out->process.boot, sizeof out->process.boot, rows, row, 24);
	copy(out->challenged_boot, sizeof out->challenged_boot, rows, row, 30);
}

void
queue_from_row(const struct db_rows *rows, size_t row, struct queue_item *out)
{
	*out = (struct queue_item){.number = db_int(rows, row, 1),
	                           .state = (enum queue_state)db_int(rows, row, 3),
	                           .priority = db_int(rows, row, 4),
	                           .size = db_int(rows, row, 8),
	                           .put_ms = db_int(rows, row, 11),
	                           .ready_ms = db_int(rows, row, 12),
	                           .ended_ms = db_int(rows, row, 13),
	                           .attempts = db_int(rows, row, 14)};
	copy(out->queue, sizeof out->queue, rows, row, 0);
	copy(out->line, sizeof out->line, rows, row, 2);
	copy(out->slot, sizeof out->slot, rows, row, 5);
	copy(out->key, sizeof out->key, rows, row, 6);
	copy(out->digest, sizeof out->digest, rows, row, 7);
	copy(out->apart, sizeof out->apart, rows, row, 9);
	copy(out->actor, sizeof out->actor, rows, row, 10);
	copy(out->reason, sizeof out->reason, rows, row, 15);
	claim_from_row(rows, row, &out->claim);
}

static enum status
setting(const struct config *config, const char *section, const char *key, bool duration, int64_t *out, struct buf *why)
{
	const char *from = config_get(config, section, key) != NULL ? section : "queue";

	return duration ? config_duration(config, from, key, out, why) : config_whole(config, from, key, out, why);
}

enum status
queue_limits(const struct config *config, const char *queue, struct queue_limits *out, struct buf *why)
{
	const struct {
		const char *key;
		bool duration;
		int64_t *to;
	} settings[] = {
		{"items", false, &out->items},       {"bytes", false, &out->bytes},       {"age", true, &out->age_ms},
		{"attempts", false, &out->attempts}, {"backoff", true, &out->backoff_ms}, {"backoff_max", true, &out->backoff_max_ms},
	};
	char section[QUEUE_NAME_MAX + sizeof "queue "];
	enum status status = OK;

	snprintf(section, sizeof section, "queue %s", queue);
	for (size_t i = 0; i < sizeof settings / sizeof *settings && status == OK; i++)
		status = setting(config, section, settings[i].key, settings[i].duration, settings[i].to, why);
	if (status == OK && (out->attempts < 1 || out->items < 0 || out->bytes < 0))
		return why_not(why, BAD_CONFIG, "config: [queue] attempts is at least 1, items and bytes at least 0");
	return status;
}

/* What a put is decided by. */
struct facts {
	int64_t last, items, bytes, oldest_ms;
	bool line_busy; /* somebody of its line is there before it */
	bool bound;
	struct queue_item known; /* that has the key; number 0 = none */
};

static enum status
check(const struct queue_put *ask, struct buf *why)
{
	enum status status = queue_check_name(ask->queue, why);

	if (status == OK && *ask->line != '\0')
		status = str_check_id("the queue's line", ask->line, QUEUE_LINE_SIZE - 1, why);
	if (status == OK)
		status = str_check_text("the key", ask->key, ID_MAX, why);
	if (status == OK)
		status = str_check_text("the slot", ask->slot, LABEL_MAX, why);
	if (status == OK && *ask->slot != '\0' && (*ask->line == '\0' || str_starts(ask->line, QUEUE_GROUP)))
		return why_not(why, BAD_INPUT, "only an item of a session can wait for a slot to be bound; name one with --session");
	if (status == OK && (ask->priority < -PRIORITY_MAX || ask->priority > PRIORITY_MAX))
		return why_not(why, BAD_INPUT, "a priority is at most %d", PRIORITY_MAX);
	if (status == OK && (ask->delay_ms < 0 || ask->delay_ms > DELAY_MAX_MS))
		return why_not(why, BAD_INPUT, "an item waits for a year at most");
	if (status == OK && ask->size > QUEUE_PAYLOAD_MAX)
		return why_not(why, BAD_INPUT, "the payload is longer than %zu MiB", QUEUE_PAYLOAD_MAX >> 20);
	return status;
}

/* Whether the line has one in that state. */
#define IN_LINE(in) \
	"EXISTS (SELECT 1 FROM queue_item n WHERE n.project = $2 AND n.line = $4 AND n.line <> '' AND n.queue = $3 AND n.state = " in \
	")"

/* One row for each waiter that may be woken, or one without: the facts stand in all of them. */
static enum status
ask_facts(struct txn *txn, const struct queue_put *ask, bool aged, struct db_rows *rows, struct buf *why)
{
	char topic[TOPIC_MAX];

	snprintf(topic, sizeof topic, QUEUE_TOPIC "%s", ask->queue);
	return db_ask(txn->db, rows, why,
	              "SELECT " QUEUE_COLUMNS ", q.last, q.items, q.bytes,"
	              " CASE WHEN $1 = 1 THEN (SELECT o.put_ms FROM queue_item o WHERE o.project = $2 AND o.queue = $3"
	              "  AND o.item > q.settled AND o.state < 3 ORDER BY o.item LIMIT 1) END,"
	              " CASE WHEN $4 <> '' AND (" IN_LINE("1") " OR " IN_LINE("2") " OR " IN_LINE("0") ") THEN 1 ELSE 0 END,"
	              " CASE WHEN $5 = '' THEN 1 WHEN COALESCE((SELECT b.value FROM binding b WHERE b.project = $2 AND b.session = "
	              "$4"
	              "  AND b.slot = $5 ORDER BY b.generation DESC LIMIT 1), '') <> '' THEN 1 ELSE 0 END, " WAITER_COLUMNS
	              " FROM (SELECT 1 AS one) AS one LEFT JOIN queue q ON q.project = $2 AND q.queue = $3"
	              " LEFT JOIN queue_item i ON i.project = $2 AND i.queue = $3 AND i.line = $4 AND i.key = $6 AND i.key <> ''"
	              " LEFT JOIN waiter w ON w.project = $2 AND w.topic = $7 ORDER BY " WAITER_ORDER " LIMIT " WAITERS_LOOKED_AT,
	              DB_INT(aged), DB_TEXT(txn->project), DB_TEXT(ask->queue), DB_TEXT(ask->line), DB_TEXT(ask->slot),
	              DB_TEXT(ask->key), DB_TEXT(topic));
}

static void
take_facts(const struct db_rows *rows, int64_t now_ms, struct facts *out)
{
	*out = (struct facts){.last = db_int(rows, 0, AT_FACTS),
	                      .items = db_int(rows, 0, AT_FACTS + 1),
	                      .bytes = db_int(rows, 0, AT_FACTS + 2),
	                      .oldest_ms = db_is_null(rows, 0, AT_FACTS + 3) ? now_ms : db_int(rows, 0, AT_FACTS + 3),
	                      .line_busy = db_int(rows, 0, AT_FACTS + 4) > 0,
	                      .bound = db_int(rows, 0, AT_FACTS + 5) > 0};
	if (!db_is_null(rows, 0, 1))
		queue_from_row(rows, 0, &out->known);
}

static enum status
check_room(const struct queue_put *ask, const struct queue_limits *limits, const struct facts *facts, int64_t now_ms,
           struct buf *why)
{
	char age[40];

	if (limits->items > 0 && facts->items >= limits->items)
		return why_not(why, BUSY, "the queue %s is full: %lld items, which is its limit; have them done, or raise it",
		               ask->queue, (long long)facts->items);
	if (limits->bytes > 0 && facts->bytes + (int64_t)ask->size > limits->bytes)
		return why_not(why, BUSY, "the queue %s is full: %lld bytes in %lld items, of %lld; have them done, or raise it",
		               ask->queue, (long long)facts->bytes, (long long)facts->items, (long long)limits->bytes);
	if (limits->age_ms > 0 && now_ms - facts->oldest_ms > limits->age_ms) {
		str_ago(age, sizeof age, now_ms - facts->oldest_ms);
		return why_not(why, BUSY, "the queue %s is full: its oldest item waits for %s; see that somebody works on it",
		               ask->queue, age);
	}
	return OK;
}

static void
insert(struct txn *txn, const struct queue_item *item, const char *payload)
{
	db_run(txn->db,
	       "INSERT INTO queue_item (project, queue, item, line, state, priority, slot, key, digest, size, apart, actor, put_ms,"
	       " ready_ms, ended_ms, attempts, reason, generation, holder, session, anchor, anchored, pid, pid_start, pid_space,"
	       " pid_boot, since_ms, ttl_ms, expires_ms, challenged_ms, challenged_awake_ms, challenged_boot)"
	       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0, 0, '', 0, '', '', '', 0, 0, 0, 0, '', 0, "
	       "0,"
	       " 0, 0, 0, '')",
	       DB_TEXT(txn->project), DB_TEXT(item->queue), DB_INT(item->number), DB_TEXT(item->line), DB_INT(item->state),
	       DB_INT(item->priority), DB_TEXT(item->slot), DB_TEXT(item->key), DB_TEXT(item->digest), DB_INT(item->size),
	       DB_TEXT(item->apart), DB_TEXT(item->actor), DB_INT(item->put_ms), DB_INT(item->ready_ms));
	if (item->apart[0] == '\0')
		db_run(txn->db, "INSERT INTO queue_payload (project, queue, item, payload) VALUES ($1, $2, $3, $4)",
		       DB_TEXT(txn->project), DB_TEXT(item->queue), DB_INT(item->number), DB_TEXT(payload));
	db_run(txn->db,
	       "INSERT INTO queue (project, queue, last, settled, items, bytes, dead, done) VALUES ($1, $2, 1, 0, 1, $3, 0, 0)"
	       " ON CONFLICT (project, queue) DO UPDATE SET last = queue.last + 1, items = queue.items + 1,"
	       " bytes = queue.bytes + excluded.bytes",
	       DB_TEXT(txn->project), DB_TEXT(item->queue), DB_INT(item->size));
}

static void
fill(struct txn *txn, const struct queue_put *ask, const struct facts *facts, struct queue_item *out)
{
	*out = (struct queue_item){.number = facts->last + 1,
	                           .state = facts->line_busy ? QUEUE_BEHIND : QUEUE_FIRST,
	                           .priority = ask->priority,
	                           .size = (int64_t)ask->size,
	                           .put_ms = txn_now(txn),
	                           .ready_ms = txn_now(txn) + ask->delay_ms};
	snprintf(out->queue, sizeof out->queue, "%s", ask->queue);
	snprintf(out->line, sizeof out->line, "%s", ask->line);
	snprintf(out->slot, sizeof out->slot, "%s", ask->slot);
	snprintf(out->key, sizeof out->key, "%s", ask->key);
	snprintf(out->digest, sizeof out->digest, "%s", *ask->key == '\0' ? "" : ask->digest);
	snprintf(out->apart, sizeof out->apart, "%s", ask->apart);
	snprintf(out->actor, sizeof out->actor, "%s", txn->actor);
}

/* The key was there. */
static enum status
same_again(const struct queue_put *ask, const struct facts *facts, struct queue_item *out, struct buf *why)
{
	if (strcmp(facts->known.digest, ask->digest) != 0)
		return why_not(why, CONFLICT, "the key %s is that of %s/%lld, whose payload is another one", ask->key, ask->queue,
		               (long long)facts->known.number);
	*out = facts->known;
	return OK;
}

enum status
queue_put(struct txn *txn, const struct queue_put *ask, struct queue_item *out, bool *again, struct buf *why)
{
	struct queue_limits limits;
	struct facts facts;
	struct db_rows rows;
	enum status status = check(ask, why);

	*again = false;
	if (status == OK)
		status = queue_limits(txn->config, ask->queue, &limits, why);
	if (status == OK)
		status = ask_facts(txn, ask, limits.age_ms > 0, &rows, why);
	if (status != OK)
		return status;
	take_facts(&rows, txn_now(txn), &facts);
	*again = facts.known.number > 0;
	status = *again ? same_again(ask, &facts, out, why) : check_room(ask, &limits, &facts, txn_now(txn), why);
	if (status == OK && !*again) {
		fill(txn, ask, &facts, out);
		insert(txn, out, ask->payload);
		if (out->state == QUEUE_FIRST && facts.bound && ask->delay_ms == 0)
			waiter_wake(txn, &rows, AT_WAITERS, QUEUE_TOPIC, false);
	}
	db_rows_release(&rows);
	return status;
}

void
queue_keep_here(struct txn *txn, const char *apart, const char *payload)
{
	db_run(txn->db,
	       "INSERT INTO queue_payload (project, queue, item, payload) SELECT i.project, i.queue, i.item, $1 FROM queue_item i"
	       " WHERE i.project = $2 AND i.apart = $3 AND i.apart <> ''",
	       DB_TEXT(payload), DB_TEXT(txn->project), DB_TEXT(apart));
	db_run(txn->db, "UPDATE queue_item SET apart = '' WHERE project = $1 AND apart = $2 AND apart <> ''", DB_TEXT(txn->project),
	       DB_TEXT(apart));
}
