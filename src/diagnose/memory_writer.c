#include "core/queue_claim.h"
#include "diagnose/targets.h"

/*
 * ALAI's MEMORY.md, to which all sessions add lines.  Who reads it and writes it back takes away what came in between; in a queue's
 * group lines are taken by one writer, in the order in which they were accepted.
 */
#define FILE_NAME "MEMORY"
#define QUEUE "memory"
#define LINE QUEUE_GROUP "MEMORY.md"
#define TTL_MS 600000

static enum status
prepare_file(struct race *race, struct buf *why)
{
	json_t *document = json_array();
	enum status status = trial_write_file(race, FILE_NAME, document, why);

	json_decref(document);
	snprintf(race->trial->expected, sizeof race->trial->expected, "%u lines, in order", race->trial->writers);
	return status;
}

static enum status
add_to_file(struct race *race, struct buf *why)
{
	json_t *document;
	enum status status = trial_read_file(race, FILE_NAME, &document, why);

	if (status != OK)
		return status;
	status = trial_meet(race, why);
	json_array_append_new(document, json_integer(100 + race->self->number)); /* all of one length */
	if (status == OK)
		status = trial_write_file(race, FILE_NAME, document, why);
	json_decref(document);
	return status;
}

static void
tell(struct race *race, int64_t kept, bool in_order)
{
	race->finding->wanted = race->trial->writers;
	race->finding->kept = kept;
	race->finding->strange = !in_order;
	snprintf(race->finding->found, sizeof race->finding->found, "%lld lines%s", (long long)kept, in_order ? ", in order" : "");
}

static enum status
look_at_file(struct race *race, struct buf *why)
{
	json_t *document;
	enum status status = trial_read_file(race, FILE_NAME, &document, why);

	if (status != OK)
		return status;
	tell(race, (int64_t)json_array_size(document), true);
	json_decref(document);
	return OK;
}

static enum status
prepare_queue(struct race *race, struct buf *why)
{
	(void)why;
	snprintf(race->trial->expected, sizeof race->trial->expected, "%u lines, in order", race->trial->writers);
	return OK;
}

/* What it is told is its place in the order of acceptance. */
static enum status
add_to_queue(struct race *race, struct buf *why)
{
	char payload[40];
	struct queue_put ask = {.queue = QUEUE, .line = LINE, .key = "", .slot = "", .payload = payload, .digest = "", .apart = ""};
	struct queue_item item;
	bool again;
	enum status status = trial_meet(race, why);

	ask.size = (size_t)snprintf(payload, sizeof payload, "%u", race->self->number);
	if (status == OK)
		status = queue_put(race->txn, &ask, &item, &again, why);
	race->self->seen = status == OK ? item.number : 0;
	return status;
}

/* Whether the n-th that is taken is that of the writer who was told so. */
static bool
is_its(const struct race *race, const char *payload, int64_t place)
{
	int64_t number;

	return payload != NULL && str_integer(payload, 0, race->trial->writers - 1, &number) == OK &&
	       race->trial->shared->writers[number].seen == place;
}

/* The one writer: takes them one after another. */
static enum status
look_at_queue(struct race *race, struct buf *why)
{
	struct queue_take ask = {.queue = QUEUE, .max = 1, .ttl_ms = TTL_MS, .session = "", .anchor = "", .wake = ""};
	struct queue_taken taken;
	bool in_order = true;
	int64_t kept = 0;
	enum status status;

	while ((status = queue_take(race->txn, &ask, &taken, why)) == OK) {
		struct queue_item item;
		char id[QUEUE_ID_SIZE];

		in_order = in_order && is_its(race, taken.payloads[0], ++kept);
		queue_id(&taken.items[0], id);
		status = queue_ack(race->txn, id, taken.items[0].claim.fence, &item, why);
		queue_taken_release(&taken);
		if (status != OK)
			return status;
	}
	tell(race, kept, in_order);
	return status == BUSY ? why_not(why, OK, "%s", "") : status;
}

const struct target target_memory_writer = {
	"memory-writer",
	{.prepare = prepare_file, .write = add_to_file, .look = look_at_file},
	{.prepare = prepare_queue, .write = add_to_queue, .look = look_at_queue},
};
