#include "legacy/tractatus_history.h"

#include "base/str.h"

#include <math.h>

#define LABEL "stile"
#define TIMESTAMP_MAX 40

/* Node writes 1.0 as 1: whole reals are whole numbers, so that what it wrote back is what it read. */
static json_t *
plain_number(const json_t *value)
{
	double real = json_real_value(value);

	return json_is_real(value) && floor(real) == real && fabs(real) < 9e15 ? json_integer((json_int_t)real) : NULL;
}

static void
make_plain(json_t *value)
{
	const char *key;
	json_t *member, *plain;
	size_t i;

	json_object_foreach(value, key, member)
	{
		if ((plain = plain_number(member)) != NULL)
			json_object_set_new(value, key, plain);
		else
			make_plain(member);
	}
	json_array_foreach(value, i, member)
	{
		if ((plain = plain_number(member)) != NULL)
			json_array_set_new(value, i, plain);
		else
			make_plain(member);
	}
}

void
history_release(struct history *history)
{
	json_decref(history->top);
	json_decref(history->entries);
	*history = (struct history){0};
}

/* Takes the label off. */
static void
read_label(struct history *history)
{
	const json_t *label = json_object_get(history->top, LABEL);
	const char *place = json_text(label, "place", "");

	if (str_copy(history->place, sizeof history->place, place) != OK)
		history->place[0] = '\0';
	history->epoch = history->place[0] == '\0' ? 0 : json_whole(label, "epoch", 0);
	json_object_del(history->top, LABEL);
}

static enum status
split(json_t *document, struct history *out, struct buf *why)
{
	if (json_is_array(document)) {
		out->entries = json_incref(document);
		return OK;
	}
	if (!json_is_array(json_object_get(document, "instructions")))
		return why_not(why, BAD_INPUT, "holds no list of instructions");
	out->entries = json_incref(json_object_get(document, "instructions"));
	out->top = json_incref(document);
	json_object_del(out->top, "instructions");
	read_label(out);
	return OK;
}

static enum status
check_entry(const json_t *entry, size_t index, struct buf *why)
{
	const json_t *id = json_object_get(entry, "id");
	struct history_draft draft;
	enum status status;

	if (!json_is_object(entry))
		return why_not(why, BAD_INPUT, "entry %zu is no object", index + 1);
	if (id != NULL && json_text(entry, "id", NULL) == NULL)
		return why_not(why, BAD_INPUT, "entry %zu: its id is no text", index + 1);
	if (id != NULL && str_check_id("the id", json_string_value(id), ID_MAX, why) != OK)
		return BAD_INPUT;
	if (json_text(entry, "text", NULL) == NULL)
		return why_not(why, BAD_INPUT, "%s: has no text", json_text(entry, "id", "an entry without id"));
	status = history_draft(entry, &draft, why);
	history_draft_release(&draft);
	return status;
}

static enum status
check_entries(const json_t *entries, struct buf *why)
{
	json_t *seen = json_object(), *entry;
	enum status status = seen == NULL ? NO_MEMORY : OK;
	size_t i;

	if (json_array_size(entries) > HISTORY_ENTRIES_MAX)
		status = why_not(why, BAD_INPUT, "holds more than %d instructions", HISTORY_ENTRIES_MAX);
	json_array_foreach(entries, i, entry)
	{
		const char *id = json_text(entry, "id", NULL);

		if (status == OK)
			status = check_entry(entry, i, why);
		if (status == OK && id != NULL && json_object_get(seen, id) != NULL)
			status = why_not(why, BAD_INPUT, "two instructions have the id %s; give one of them another", id);
		if (status == OK && id != NULL && json_object_set_new(seen, id, json_true()) != 0)
			status = NO_MEMORY;
	}
	json_decref(seen);
	return status;
}

enum status
history_parse(char *text, size_t len, struct history *out, struct buf *why)
{
	struct history found = {0};
	json_t *document = NULL;
	enum status status;

	if (len == 0)
		return why_not(why, BAD_INPUT, "is empty");
	status = json_parse(text, len, &document, why);
	if (status == OK) {
		make_plain(document);
		status = split(document, &found, why);
	}
	json_decref(document);
	if (status == OK)
		status = check_entries(found.entries, why);
	if (status == OK)
		*out = found;
	else
		history_release(&found);
	return status == NO_MEMORY ? why_not(why, NO_MEMORY, "out of memory") : status;
}

/* Whether 15 digits give every number back: then 0.9 is written as people wrote it. */
static bool
is_short(const json_t *value)
{
	const char *key;
	json_t *member;
	char text[40];
	size_t i;

	if (json_is_real(value)) {
		snprintf(text, sizeof text, "%.15g", json_real_value(value));
		return strtod(text, NULL) == json_real_value(value);
	}
	json_object_foreach((json_t *)(uintptr_t)value, key, member)
		if (!is_short(member))
			return false;
	json_array_foreach(value, i, member)
		if (!is_short(member))
			return false;
	return true;
}

static int
write_chunk(const char *data, size_t len, void *out)
{
	buf_add(out, data, len);
	return 0;
}

void
history_write(const json_t *document, struct buf *out)
{
	size_t digits = is_short(document) ? JSON_REAL_PRECISION(15) : JSON_REAL_PRECISION(17);

	if (document == NULL || json_dump_callback(document, write_chunk, out, JSON_INDENT(2) | digits) != 0)
		out->failed = out->failed == OK ? NO_MEMORY : out->failed;
}

void
history_render(const struct history *history, struct buf *out)
{
	json_t *document;

	if (history->top == NULL) {
		history_write(history->entries, out);
		return;
	}
	document = json_copy(history->top);
	json_object_set(document, "instructions", history->entries);
	if (history->place[0] != '\0')
		json_object_set_new(document, LABEL,
		                    json_pack("{ss sI}", "place", history->place, "epoch", (json_int_t)history->epoch));
	history_write(document, out);
	json_decref(document);
}

static json_t *
parse_object(const char *text)
{
	char *copy = strdup(text);
	json_t *object = NULL;

	if (copy == NULL || json_parse(copy, strlen(copy), &object, NULL) != OK || !json_is_object(object)) {
		json_decref(object);
		object = json_object();
	}
	free(copy);
	return object;
}

/* What upstream's readers expect of an instruction that never was in a file of theirs. */
static json_t *
made_here(const struct instruction *instruction, const json_t *fields)
{
	char timestamp[TIMESTAMP_MAX];
	json_t *entry;

	str_instant(timestamp, sizeof timestamp, instruction->at_ms);
	entry = json_pack("{ss ss ss ss ss ss ss si ss so sb ss ss}", "id", instruction->id, "text", instruction->text, "timestamp",
	                  timestamp, "quadrant", "OPERATIONAL", "persistence",
	                  instruction->persistence[0] == '\0' ? "MEDIUM" : instruction->persistence, "temporal_scope", "PERMANENT",
	                  "verification_required", "RECOMMENDED", "explicitness", 1, "source",
	                  instruction->session[0] == '\0' ? "user" : "derived", "parameters", parse_object(instruction->parameters),
	                  "active", (int)instruction->active, "notes", "", "author", instruction->actor);
	if (entry != NULL && instruction->priority != INSTRUCTION_PRIORITY)
		json_object_set_new(entry, "priority", json_integer(instruction->priority));
	json_object_update(entry, (json_t *)(uintptr_t)fields);
	return entry;
}

static char *
compact(const json_t *value)
{
	struct buf text;

	buf_init(&text, HISTORY_MAX);
	json_write(&text, value);
	if (buf_status(&text) == OK)
		return text.data;
	buf_release(&text);
	return NULL;
}

/* The entry as it is kept: what is kept elsewhere only holds its place. */
static char *
fields_of(const json_t *entry)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)entry);
	char *text = NULL;

	json_object_set_new(copy, "text", json_string(""));
	if (json_is_object(json_object_get(copy, "parameters")))
		json_object_set_new(copy, "parameters", json_object());
	if (copy != NULL)
		text = compact(copy);
	json_decref(copy);
	return text;
}

static enum status
fill_draft(const json_t *entry, struct history_draft *out)
{
	const json_t *parameters = json_object_get(entry, "parameters"), *priority = json_object_get(entry, "priority");
	json_int_t number = json_integer_value(priority);

	*out = (struct history_draft){.draft = INSTRUCTION_DRAFT};
	out->parameters = json_is_object(parameters) ? compact(parameters) : strdup("{}");
	out->fields = fields_of(entry);
	out->draft.text = json_text(entry, "text", "");
	out->draft.persistence = json_text(entry, "persistence", "");
	out->draft.priority = json_is_integer(priority) && number >= 0 && number <= INSTRUCTION_PRIORITY_MAX ? (int64_t)number
	                                                                                                     : INSTRUCTION_PRIORITY;
	out->draft.active = !json_is_false(json_object_get(entry, "active"));
	out->draft.parameters = out->parameters;
	out->draft.fields = out->fields;
	return out->parameters == NULL || out->fields == NULL ? NO_MEMORY : OK;
}

enum status
history_draft(const json_t *entry, struct history_draft *out, struct buf *why)
{
	struct buf reason;
	enum status status = fill_draft(entry, out);

	if (status != OK)
		return why_not(why, NO_MEMORY, "out of memory");
	buf_init(&reason, WHY_MAX);
	status = instruction_check(&out->draft, &reason);
	if (status != OK)
		status = why_not(why, status, "%.100s: %.900s", json_text(entry, "id", "an entry without id"), reason.data);
	buf_release(&reason);
	return status;
}

/* Puts a member right if the entry means something else by it. */
static void
settle(json_t *entry, const char *key, bool same, json_t *value)
{
	if (same)
		json_decref(value);
	else
		json_object_set_new(entry, key, value);
}

static json_t *
as_imported(const struct instruction *instruction, json_t *entry)
{
	struct history_draft said;
	json_t *parameters = parse_object(instruction->parameters), *own;

	json_object_set_new(entry, "id", json_string(instruction->id));
	json_object_set_new(entry, "text", json_string(instruction->text));
	if (fill_draft(entry, &said) == OK) {
		own = parse_object(said.parameters);
		settle(entry, "persistence", str_equal(said.draft.persistence, instruction->persistence),
		       json_string(instruction->persistence));
		settle(entry, "priority", said.draft.priority == instruction->priority, json_integer(instruction->priority));
		settle(entry, "active", (said.draft.active != 0) == instruction->active, json_boolean(instruction->active));
		settle(entry, "parameters", json_equal(own, parameters), parameters);
		json_decref(own);
	} else {
		json_decref(parameters);
	}
	history_draft_release(&said);
	return entry;
}

json_t *
history_entry(const struct instruction *instruction)
{
	json_t *fields = parse_object(instruction->fields), *entry;

	if (json_object_get(fields, "text") != NULL)
		return as_imported(instruction, fields);
	entry = made_here(instruction, fields);
	json_decref(fields);
	return entry;
}

json_t *
history_entries(const struct instruction_list *list)
{
	json_t *entries = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(entries, history_entry(&list->items[i]));
	return entries;
}

void
history_draft_release(struct history_draft *draft)
{
	free(draft->parameters);
	free(draft->fields);
	*draft = (struct history_draft){0};
}
