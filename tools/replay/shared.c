#include "base/config.h"
#include "clients/client.h"
#include "replay/replay.h"

/*
 * One file for all sessions, as Tractatus has it: every session adds what it did to the same counters and the same sum of
 * tokens, measured against one budget; a session that starts writes the checkpoints anew.  Nothing is lost here by racing:
 * the events come one after the other, in the order in which the replay was done with them.
 */
#define BUDGET 200000
#define TEXT_LIMIT ((size_t)16 << 20)
#define PERCENTS 3

static const int percents[PERCENTS] = {25, 50, 75};

/* What one session truly is at this point. */
struct truth {
	int64_t context;
	int64_t budget;
	bool fired[PERCENTS]; /* in this context */
};

struct shared_file {
	int64_t messages, tools, errors;
	int64_t tokens; /* the sessions' contexts, added up */
	bool fired[PERCENTS];
	size_t events;
	size_t right_level;    /* events at which it says the level that the session has */
	size_t due, in_time;   /* checkpoints that are due to a session, and those that came to it at that event */
	size_t came, too_soon; /* those that came, and those of them to a session that wasn't there yet */
	struct truth truths[STREAMS_MAX];
	struct config config;
};

/* The context that the last record of the main thread tells; -1 when none does. */
static int64_t
context_in(const struct client *client, const json_t *records)
{
	struct usage_list usages = {0};
	int64_t broken = 0, context = -1, at = -1;
	const json_t *record;
	struct buf text;
	size_t i;

	buf_init(&text, TEXT_LIMIT);
	json_array_foreach(records, i, record)
	{
		if (json_is_string(record))
			buf_text(&text, json_string_value(record));
		else
			json_write(&text, record);
		buf_text(&text, "\n");
	}
	if (text.len > 0 && client->read_transcript(text.data, text.len, 0, "", &usages, &broken) != OK)
		usages.count = 0;
	for (i = 0; i < usages.count; i++)
		if (usages.items[i].agent[0] == '\0' && usages.items[i].offset > at) {
			at = usages.items[i].offset;
			context = usages.items[i].input + usages.items[i].cache_write + usages.items[i].cache_read;
		}
	usage_list_release(&usages);
	buf_release(&text);
	return context;
}

static void
level_of(const struct shared_file *file, int64_t tokens, int64_t budget, struct pressure *out)
{
	struct metric_value value = {.name = "context_tokens", .life = (double)tokens, .now = (double)tokens};
	struct metric_values values = {&value, 1};

	*out = (struct pressure){0};
	if (pressure_of(&file->config, "token-ratio", &values, budget, out, NULL) != OK)
		out->level[0] = '\0';
}

static bool
reaches(int64_t tokens, int64_t budget, int percent)
{
	return tokens * 100 >= percent * budget;
}

static void
compare_checkpoints(struct shared_file *file, struct truth *truth)
{
	for (int i = 0; i < PERCENTS; i++) {
		bool due = !truth->fired[i] && reaches(truth->context, truth->budget, percents[i]);
		bool comes = !file->fired[i] && reaches(file->tokens, BUDGET, percents[i]);

		truth->fired[i] |= due;
		file->fired[i] |= comes;
		file->due += due;
		file->in_time += due && comes;
		file->came += comes;
		file->too_soon += comes && !reaches(truth->context, truth->budget, percents[i]);
	}
}

static void
begin(struct shared_file *file, struct truth *truth, const struct event *event)
{
	/* the file's session-init asks nobody whether he still needs what stands there */
	memset(file->fired, 0, sizeof file->fired);
	if (event->arrival != ARRIVAL_CLEAR && event->arrival != ARRIVAL_COMPACT)
		return;
	memset(truth->fired, 0, sizeof truth->fired);
	file->tokens -= truth->context;
	truth->context = 0;
}

static void
take(struct shared_file *file, size_t stream, const json_t *line, const struct client *client, const struct event *event)
{
	struct truth *truth = &file->truths[stream];
	struct pressure own, said;
	int64_t context = context_in(client, json_object_get(line, "transcript"));

	if (event->context >= 0)
		context = event->context;
	if (event->budget > 0)
		truth->budget = event->budget;
	if (event->kind == EVENT_START)
		begin(file, truth, event);
	else if (context >= 0) {
		file->tokens += context - truth->context;
		truth->context = context;
	}
	file->messages += event->kind == EVENT_PROMPT;
	file->tools += event->kind == EVENT_TOOL;
	file->errors += event->kind == EVENT_TOOL_FAILED;
	compare_checkpoints(file, truth);
	level_of(file, truth->context, truth->budget, &own);
	level_of(file, file->tokens, BUDGET, &said);
	file->right_level += str_equal(own.level, said.level);
	file->events++;
}

static enum status
feed(struct shared_file *file, const struct replay *replay, const struct order *order, struct buf *why)
{
	const struct client *client = client_find("claude");
	struct event *event = malloc(sizeof *event);
	enum status status = event == NULL ? NO_MEMORY : OK;

	for (size_t i = 0; i < order->count && status == OK; i++) {
		const struct happening *happening = &order->items[i];
		const json_t *line = replay->streams[happening->stream].lines[happening->line], *payload;
		bool status_line;

		event_init(event);
		payload = line_payload(line, &status_line);
		status = (status_line ? client->parse_status_line : client->parse)(payload, event, why);
		if (status == OK)
			take(file, happening->stream, line, client, event);
		event_release(event);
	}
	free(event);
	return status;
}

static void
print_file(const struct shared_file *file)
{
	struct pressure said;

	level_of(file, file->tokens, BUDGET, &said);
	printf("all      one file %8s  %5s  %6s  %9s  %9s  %5.1f %%  %s\n", grouped(file->messages), grouped(file->tools),
	       grouped(file->errors), grouped(file->tokens), grouped(BUDGET), said.tokens * 100, said.level);
	printf("At %zu of %zu events that is the level of the session which reads it.  Of %zu checkpoints that\n"
	       "fell due %zu came when they did; of %zu that came %zu came to a session that had not got so far.\n",
	       file->right_level, file->events, file->due, file->in_time, file->came, file->too_soon);
}

enum status
report_shared(const struct replay *replay, const struct order *order, struct buf *why)
{
	struct shared_file *file = calloc(1, sizeof *file);
	enum status status;

	if (file == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	config_init(&file->config);
	for (size_t i = 0; i < replay->count; i++)
		file->truths[i].budget = BUDGET;
	status = config_defaults(&file->config);
	if (status == OK)
		status = feed(file, replay, order, why);
	if (status == OK)
		print_file(file);
	config_release(&file->config);
	free(file);
	return status;
}
