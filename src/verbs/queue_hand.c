#include "verbs/queue_hand.h"

#include "verbs/payload.h"

struct give_back {
	const struct queue_item *item;
	const char *actor;
	const char *reason;
};

static enum status
rule_give_back(struct txn *txn, void *data, struct buf *why)
{
	const struct give_back *given = data;
	const struct queue_failure failure = {.reason = given->reason, .delay_ms = -1};
	char id[QUEUE_ID_SIZE];
	struct queue_item now;

	queue_id(given->item, id);
	txn->actor = given->actor;
	return queue_nack(txn, id, given->item->claim.fence, &failure, &now, why);
}

static enum status
add_one(struct call *call, const struct queue_item *item, const char *payload, json_t *out)
{
	json_t *object = queue_json(item, call->context->engine.db->now_ms);
	enum status status = OK;
	struct buf text;

	buf_init(&text, QUEUE_PAYLOAD_MAX);
	if (payload == NULL)
		status = payload_fetch(call->context, item, &text, call->why);
	json_object_set_new(object, "payload", json_string(payload == NULL ? text.data : payload));
	buf_release(&text);
	if (status == OK)
		json_array_append_new(out, object);
	else
		json_decref(object);
	return status;
}

enum status
queue_hand_out(struct call *call, const char *actor, const struct queue_taken *taken, json_t *out)
{
	enum status failed = OK;
	char reason[QUEUE_REASON_MAX + 1];

	for (size_t i = 0; i < taken->count; i++) {
		enum status status = add_one(call, &taken->items[i], taken->payloads[i], out);
		struct give_back given = {&taken->items[i], actor, reason};
		struct buf why;

		if (status == OK)
			continue;
		failed = status;
		str_one_line(reason, sizeof reason, call->why->data);
		buf_init(&why, WHY_MAX);
		/* what can't be given back comes back by itself, when the claim is over */
		(void)!engine_run(&call->context->engine, rule_give_back, &given, &why);
		buf_release(&why);
	}
	return json_array_size(out) > 0 ? OK : failed;
}
