#include "hook/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORWARD_MAX ((size_t)1 << 20) /* read on from where the last event left off, per event */
#define TAIL_MAX ((size_t)256 << 10)  /* looked at for the present context when there is more than that to read */

/* Fills `text` from `offset`; false if the file gives less than that. */
static bool
read_at(int fd, char *text, size_t len, int64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = pread(fd, text + done, len - done, (off_t)(offset + (int64_t)done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

/* The context as the last record of the main thread has it, if it is of the present generation: what the model was given. */
static int64_t
context_of(const struct usage_list *usages, int64_t context_from)
{
	int64_t at = -1, context = -1;

	for (size_t i = 0; i < usages->count; i++)
		if (usages->items[i].agent[0] == '\0' && usages->items[i].offset >= context_from && usages->items[i].offset > at) {
			at = usages->items[i].offset;
			context = usages->items[i].input + usages->items[i].cache_write + usages->items[i].cache_read;
		}
	return context;
}

static size_t
after_last_newline(const char *text, size_t len)
{
	const char *newline = memrchr(text, '\n', len);

	return newline == NULL ? 0 : (size_t)(newline - text) + 1;
}

/*
 * One window of whole lines.  A line longer than the window is passed over in steps (`inside`) and counted as broken once.
 * False when there is nothing to take in yet.
 */
static bool
forward(int fd, const struct client *client, struct transcript_look *look, char *text)
{
	struct transcript *after = &look->after;
	int64_t left = after->size - after->position;
	size_t len = left > (int64_t)FORWARD_MAX ? FORWARD_MAX : (size_t)left, skip = 0, end;
	const char *newline;

	if (len == 0 || !read_at(fd, text, len, after->position))
		return false;
	if (after->inside) {
		newline = memchr(text, '\n', len);
		skip = newline == NULL ? len : (size_t)(newline - text) + 1;
		after->inside = newline == NULL;
	}
	end = after_last_newline(text, len);
	if (end < skip)
		end = skip;
	if (end == 0 && len < FORWARD_MAX)
		return false;
	if (end == 0) {
		after->inside = true;
		after->broken++;
		end = len;
	} else if (end > skip && client->read_transcript(text + skip, end - skip, after->position + (int64_t)skip, after->agent,
	                                                 &look->usages, &after->broken) != OK) {
		return false;
	}
	after->position += (int64_t)end;
	return true;
}

/* There is more than one window: what the context is now stands at the end. */
static int64_t
tail(int fd, const struct client *client, const struct transcript_look *look, char *text)
{
	struct usage_list usages = {0};
	int64_t from = look->after.size - (int64_t)TAIL_MAX, broken = 0, context = -1;
	const char *newline;
	size_t start, end;
	bool whole_line = from <= look->after.position && !look->after.inside;

	if (from < look->after.position)
		from = look->after.position;
	if (!read_at(fd, text, (size_t)(look->after.size - from), from))
		return -1;
	end = after_last_newline(text, (size_t)(look->after.size - from));
	newline = memchr(text, '\n', end);
	start = whole_line ? 0 : newline == NULL ? end : (size_t)(newline - text) + 1;
	if (end > start && client->read_transcript(text + start, end - start, from + (int64_t)start, "", &usages, &broken) == OK)
		context = context_of(&usages, look->after.context_from);
	usage_list_release(&usages);
	return context;
}

/*
 * What the context is now.  With more to read than one window it is what the end says; if that says nothing, and what was read
 * does not reach up to it, what is known so far is perhaps newer than what was read: -1.
 */
static int64_t
present_context(int fd, const struct client *client, const struct transcript_look *look, bool behind, char *text)
{
	int64_t context = -1;

	if (look->after.agent[0] != '\0')
		return -1;
	if (behind)
		context = tail(fd, client, look, text);
	if (context < 0 && !(behind && look->after.size - look->after.position > (int64_t)TAIL_MAX))
		context = context_of(&look->usages, look->after.context_from);
	return context;
}

/* False when nothing was found to take in. */
static bool
look_into(int fd, const struct client *client, struct transcript_look *look)
{
	struct transcript *after = &look->after;
	struct stat file;
	char *text = fstat(fd, &file) == 0 && S_ISREG(file.st_mode) ? malloc(FORWARD_MAX) : NULL;
	bool behind, found;

	if (text == NULL)
		return false;
	after->size = file.st_size;
	if (file.st_size < after->position) {
		/* written anew: what was counted is counted again into the same rows */
		after->position = after->context_from = 0;
		after->inside = false;
	}
	behind = after->size - after->position > (int64_t)FORWARD_MAX;
	found = forward(fd, client, look, text);
	if (found)
		look->context = present_context(fd, client, look, behind, text);
	free(text);
	return found;
}

/* `lagging`: one that other events left behind.  If there is no way on in it, it is done with, so that it keeps no other back. */
static void
look_at(const struct client *client, struct event *event, const struct transcript *before, const char *agent, bool lagging)
{
	struct transcript_look *look = &event->looks[event->look_count];
	int fd = open(before->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool found;

	*look = (struct transcript_look){.before = *before, .after = *before, .context = -1};
	snprintf(look->after.agent, sizeof look->after.agent, "%s", before->agent[0] != '\0' ? before->agent : agent);
	found = fd >= 0 && look_into(fd, client, look);
	if (fd >= 0)
		close(fd);
	if (!found)
		usage_list_release(&look->usages);
	if (!found && lagging) {
		look->after = *before;
		look->after.size = before->position;
	}
	/* it may be of a conversation that was cleared */
	if (lagging)
		look->context = -1;
	event->look_count += found || lagging;
}

void
hook_look(struct context *context, const struct client *client, struct event *event)
{
	struct transcript main = {0}, lagging = {0};
	struct stat file;

	if (event->kind == EVENT_START) {
		/* nothing of it is read yet; but what stands in it now may be of an earlier context */
		event->transcript_size = event->transcript[0] != '\0' && stat(event->transcript, &file) == 0 ? file.st_size : 0;
		return;
	}
	if (client->read_transcript == NULL || event_positions(context, event, &main, &lagging, NULL) != OK)
		return;
	if (main.path[0] != '\0')
		look_at(client, event, &main, "", false);
	if (event->kind == EVENT_SUB_ENDS && event->agent_transcript[0] != '\0') {
		struct transcript of_agent;
		struct event asked = *event;

		snprintf(asked.transcript, sizeof asked.transcript, "%s", event->agent_transcript);
		if (event_positions(context, &asked, &of_agent, &lagging, NULL) == OK)
			look_at(client, event, &of_agent, event->agent[0] == '\0' ? "subagent" : event->agent, false);
	} else if (lagging.path[0] != '\0') {
		look_at(client, event, &lagging, lagging.agent, true);
	}
}
