#include "legacy/tractatus_export.h"

#include "base/str.h"
#include "core/metric.h"
#include "legacy/tractatus_state.h"
#include "os/swap.h"

/* A session's numbers as files. */
struct reading {
	const char *id;
	struct session session;
	struct state_numbers numbers;
	struct session_list live;
	int64_t now_ms;
};

static enum status
rule_numbers(struct txn *txn, void *data, struct buf *why)
{
	struct reading *reading = data;
	struct state_numbers *numbers = &reading->numbers;
	struct metric_values values;
	enum status status = session_load(txn, reading->id, &reading->session, why);

	if (status == OK)
		status = metric_load(txn, reading->id, &values, why);
	if (status != OK)
		return status;
	numbers->session = &reading->session;
	numbers->messages = (int64_t)metric_life(&values, "messages");
	numbers->tokens = (int64_t)metric_life(&values, "context_tokens");
	status = pressure_of(txn->config, config_get(txn->config, "stile", "profile"), &values, reading->session.budget,
	                     &numbers->pressure, why);
	metric_values_release(&values);
	return status == OK ? checkpoint_percents(txn->config, numbers->percents, &numbers->percent_count, why) : status;
}

static enum status
rule_checkpoints(struct txn *txn, void *data, struct buf *why)
{
	struct reading *reading = data;
	struct checkpoint_list *list = &reading->numbers.checkpoints;
	json_t *all = json_array(), *one;
	enum status status = checkpoint_all(txn, reading->id, all, why);
	size_t i;

	json_array_foreach(all, i, one) if (json_whole(one, "generation", 0) == reading->session.generation &&
	                                    list->count < CHECKPOINTS_MAX)
		list->items[list->count++] = (struct checkpoint){.percent = json_whole(one, "percent", 0),
	                                                     .tokens = json_whole(one, "tokens", 0),
	                                                     .fired_ms = json_whole(one, "fired_ms", 0),
	                                                     .told_ms = json_whole(one, "told_ms", 0)};
	json_decref(all);
	return status;
}

static enum status
read_numbers(struct tractatus_export *export, const char *session, struct reading *reading, struct buf *why)
{
	enum status status;

	*reading = (struct reading){.id = session};
	status = engine_read(export->engine, rule_numbers, reading, why);
	return status == OK ? engine_read(export->engine, rule_checkpoints, reading, why) : status;
}

enum status
tractatus_export_documents(struct tractatus_export *export, const char *session, const json_t *before, json_t **state,
                           json_t **checkpoints, struct buf *why)
{
	struct reading reading;
	enum status status = read_numbers(export, session, &reading, why);

	if (status != OK)
		return status;
	*state = state_document(&reading.numbers, before);
	*checkpoints = state_checkpoints(&reading.numbers, NULL);
	return *state == NULL || *checkpoints == NULL ? why_not(why, NO_MEMORY, "out of memory") : OK;
}

/* Takes the document over. */
static enum status
write_document(struct tractatus_export *export, const char *folder, const char *name, const char *shown, json_t *document,
               struct buf *why)
{
	struct buf text;
	enum status status;

	buf_init(&text, STATE_MAX);
	history_write(document, &text);
	json_decref(document);
	status = buf_status(&text);
	if (status == OK)
		status = tractatus_export_file(export, folder, name, shown, &text, why);
	else
		status = why_not(why, status, "%s: more than %zu bytes, or out of memory", name, STATE_MAX);
	buf_release(&text);
	return status;
}

enum status
tractatus_export_session(struct tractatus_export *export, const char *session, struct buf *why)
{
	char all[PATH_SIZE], own[PATH_SIZE], shown[ID_SIZE + 60];
	struct reading reading;
	enum status status = read_numbers(export, session, &reading, why);

	if (status == OK)
		status = swap_folder(export->place.folder, "sessions", 0777, why);
	if (status == OK && (paths_join(all, sizeof all, export->place.folder, "sessions") != OK ||
	                     paths_join(own, sizeof own, all, reading.session.id) != OK))
		status = why_not(why, IO_FAILED, "the path is too long: %s", export->place.folder);
	if (status == OK)
		status = swap_folder(all, reading.session.id, 0777, why);
	snprintf(shown, sizeof shown, "sessions/%s/state.json", reading.session.id);
	if (status == OK)
		status = write_document(export, own, "state.json", shown, state_document(&reading.numbers, NULL), why);
	snprintf(shown, sizeof shown, "sessions/%s/checkpoints.json", reading.session.id);
	if (status == OK)
		status = write_document(export, own, "checkpoints.json", shown, state_checkpoints(&reading.numbers, NULL), why);
	return status;
}

static enum status
rule_live(struct txn *txn, void *data, struct buf *why)
{
	struct reading *reading = data;

	reading->now_ms = txn_now(txn);
	return session_list(txn, false, &reading->live, why);
}

/* What the scripts wrote there, as far as it can be read. */
static enum status
read_before(const struct tractatus_export *export, const char *name, json_t **out, struct buf *why)
{
	char path[PATH_SIZE];
	struct buf text;
	enum status status;

	*out = NULL;
	if (paths_join(path, sizeof path, export->place.folder, name) != OK)
		return why_not(why, IO_FAILED, "the path is too long: %s", export->place.folder);
	buf_init(&text, STATE_MAX);
	status = swap_read(path, TRACTATUS_WAIT_MS, &text, NULL, why);
	if (status == OK && (json_parse(text.data, text.len, out, NULL) != OK || !json_is_object(*out))) {
		json_decref(*out);
		*out = NULL;
	}
	buf_release(&text);
	return status == NO_SUCH || status == BAD_INPUT ? OK : status;
}

static enum status
write_plain(struct tractatus_export *export, const char *session, struct buf *why)
{
	struct reading reading;
	json_t *state = NULL, *checkpoints = NULL;
	enum status status = read_numbers(export, session, &reading, why);

	if (status == OK)
		status = read_before(export, TRACTATUS_STATE, &state, why);
	if (status == OK)
		status = read_before(export, TRACTATUS_CHECKPOINTS, &checkpoints, why);
	if (status == OK)
		status = write_document(export, export->place.folder, TRACTATUS_STATE, TRACTATUS_STATE,
		                        state_document(&reading.numbers, state), why);
	if (status == OK)
		status = write_document(export, export->place.folder, TRACTATUS_CHECKPOINTS, TRACTATUS_CHECKPOINTS,
		                        state_checkpoints(&reading.numbers, checkpoints), why);
	json_decref(state);
	json_decref(checkpoints);
	return status;
}

enum status
tractatus_export_plain(struct tractatus_export *export, struct buf *why)
{
	struct reading reading = {0};
	int64_t phantom_ms = INT64_MAX;
	char line[200], only[ID_SIZE] = "";
	size_t count = 0;
	enum status status = engine_read(export->engine, rule_live, &reading, why);

	if (status == OK)
		status = config_duration(&export->engine->config, "stile", "phantom", &phantom_ms, why);
	for (size_t i = 0; status == OK && i < reading.live.count; i++)
		if (!session_is_phantom(&reading.live.items[i], reading.now_ms, phantom_ms)) {
			memcpy(only, reading.live.items[i].id, sizeof only);
			count++;
		}
	session_list_release(&reading.live);
	if (status == OK && count == 1)
		return write_plain(export, only, why);
	if (status == OK && count > 1) {
		snprintf(line, sizeof line,
		         "%s is not exported: %zu sessions live, and it can only be one's; each has sessions/ID/state.json",
		         TRACTATUS_STATE, count);
		json_array_append_new(export->notes, json_string(line));
	}
	return status;
}
