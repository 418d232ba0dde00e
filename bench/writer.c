/*
 * The least that a one-shot process of ours can be: what a PreToolUse does in the store, without reading payload or transcript.
 * `writer FOLDER EVENTS SLOT` is one event of the conversation bench-SLOT in the codebase at FOLDER, whose transcript
 * EVENTS/transcript.SLOT is said to have grown by one response.
 */
#include "db/sqlite.h"
#include "os/clock.h"
#include "verbs/event.h"

#include <unistd.h>

#define GROWN 1200

static enum status
open_store(const struct store_address *address, bool make, struct db **out, struct buf *why)
{
	struct sqlite_options options = {.folder = address->folder, .file = address->file, .make = make, .alone = true};

	return sqlite_open(&options, out, why);
}

static enum status
look(struct context *context, struct event *event, struct buf *why)
{
	struct transcript_look *look = &event->looks[0];
	struct usage usage = {.input = 4, .cache_write = 600, .cache_read = 15000, .output = 90};
	struct transcript lagging;
	enum status status = event_positions(context, event, &look->before, &lagging, why);

	if (status != OK)
		return status;
	look->after = look->before;
	look->after.position += GROWN;
	look->after.size = look->after.position;
	look->context = usage.input + usage.cache_write + usage.cache_read;
	usage.offset = look->before.position;
	snprintf(usage.message, sizeof usage.message, "msg_%lld", (long long)look->before.position);
	snprintf(usage.request, sizeof usage.request, "req_%lld", (long long)look->before.position);
	event->look_count = 1;
	return usage_list_put(&look->usages, &usage);
}

static enum status
run(struct context *context, const char *folder, const char *events, const char *slot, struct buf *why)
{
	static struct event event;
	struct event_answer answer;
	enum status status;

	event_init(&event);
	event.kind = EVENT_TOOL;
	event.began_boot_ms = clock_boot_ms();
	snprintf(event.client, sizeof event.client, "claude");
	snprintf(event.client_session, sizeof event.client_session, "bench-%s", slot);
	snprintf(event.cwd, sizeof event.cwd, "%s", folder);
	snprintf(event.transcript, sizeof event.transcript, "%s/transcript.%s", events, slot);
	status = context_open(context, false, why);
	if (status == OK)
		status = look(context, &event, why);
	if (status == OK)
		status = event_handle(context, &event, &answer, why);
	return status;
}

int
main(int argc, char **argv)
{
	static struct context context = {.open_store = open_store, .wait_ms = 60000};
	enum status status;
	struct buf why;

	if (argc != 4) {
		fprintf(stderr, "usage: writer FOLDER EVENTS SLOT\n");
		return 64;
	}
	buf_init(&why, WHY_MAX);
	status = context_find(&context, argv[1], &why);
	if (status == OK)
		status = run(&context, argv[1], argv[2], argv[3], &why);
	if (status != OK)
		fprintf(stderr, "writer: %s\n", why.data);
	context_release(&context, true);
	_exit(status == OK ? 0 : 1);
}
