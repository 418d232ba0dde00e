#include "hook/hook.h"

static enum status
stand(struct context *context, const struct client *client, struct event *event, int64_t began_boot_ms,
      struct pressure *pressure, size_t *peers, struct buf *why)
{
	struct event_answer answer = {0};
	enum status status = hook_read(client, true, event, why);

	event->began_boot_ms = began_boot_ms;
	if (status == OK)
		status = hook_place(context, client, event, why);
	if (status == OK)
		status = context_open(context, false, why);
	if (status == OK)
		status = event_handle(context, event, &answer, why);
	if (status == OK)
		status = event_standing(context, &answer.arrived.session, pressure, peers, why);
	event_answer_release(&answer);
	return status;
}

int
statusline_run(struct context *context, int64_t began_boot_ms)
{
	const struct client *client = client_find("claude");
	struct event *event = malloc(sizeof *event);
	struct pressure pressure;
	size_t peers = 0;
	struct buf why;

	buf_init(&why, WHY_MAX);
	if (event == NULL)
		return 1;
	event_init(event);
	context->wait_ms = 500;
	/* a client shows nothing at all of a status line that fails, so the failure is the line */
	if (stand(context, client, event, began_boot_ms, &pressure, &peers, &why) == OK)
		printf("%s %.1f%% | %zu peer%s\n", pressure.level, pressure.tokens * 100, peers, peers == 1 ? "" : "s");
	else
		printf("stile: %s\n", why.data);
	event_release(event);
	free(event);
	buf_release(&why);
	return fflush(stdout) == 0 ? 0 : 1;
}
