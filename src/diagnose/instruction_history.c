#include "core/instruction.h"
#include "diagnose/targets.h"

/*
 * Tractatus' instruction-history.json: every session reads the 18 instructions, adds its own with the next number, and writes
 * all of them back.  A's inst_019 is gone when B, which had read 18 too, writes; and who reads in between may find half a file.
 */
#define FILE_NAME "instruction-history.json"
#define BEFORE 18

static void
describe(char out[TRIAL_TEXT], int64_t instructions, int64_t bad_reads)
{
	snprintf(out, TRIAL_TEXT, "%lld rules, %lld torn", (long long)instructions, (long long)bad_reads);
}

static void
expect(struct trial *trial)
{
	describe(trial->expected, BEFORE + trial->writers, 0);
}

/* Each writer's own has its number in it, and the same length as every other's. */
static void
own_text(const struct race *race, char out[60])
{
	snprintf(out, 60, "Added by session %02u", race->self->number);
}

static json_t *
entry(int number, const char *text)
{
	char id[20];

	snprintf(id, sizeof id, "inst_%03d", number);
	return json_pack("{ss ss ss ss sb}", "id", id, "text", text, "quadrant", "OPERATIONAL", "persistence", "HIGH", "active", 1);
}

static void
standing_text(int number, char out[60])
{
	snprintf(out, 60, "Standing instruction %02d", number);
}

static enum status
prepare_file(struct race *race, struct buf *why)
{
	json_t *history = json_pack("{ss s[]}", "version", "1.0", "instructions"), *list = json_object_get(history, "instructions");
	char text[60];
	enum status status;

	for (int i = 1; i <= BEFORE; i++) {
		standing_text(i, text);
		json_array_append_new(list, entry(i, text));
	}
	status = trial_write_file(race, FILE_NAME, history, why);
	expect(race->trial);
	json_decref(history);
	return status;
}

/* As the other sessions do all the while; `seen` tells whether it was half a file. */
static void
read_along(struct race *race)
{
	json_t *history;

	if (trial_read_file(race, FILE_NAME, &history, NULL) == OK)
		json_decref(history);
	else
		race->self->seen = 1;
}

static enum status
write_file(struct race *race, struct buf *why)
{
	json_t *history, *list;
	char text[60];
	enum status status = trial_read_file(race, FILE_NAME, &history, why);

	if (status != OK)
		return status;
	list = json_object_get(history, "instructions");
	own_text(race, text);
	json_array_append_new(list, entry((int)json_array_size(list) + 1, text));
	status = trial_meet(race, why);
	if (status == OK)
		status = trial_write_file(race, FILE_NAME, history, why);
	read_along(race);
	json_decref(history);
	return status;
}

static int64_t
bad_reads(const struct trial *trial)
{
	int64_t count = 0;

	for (unsigned i = 0; i < trial->writers; i++)
		count += trial->shared->writers[i].seen;
	return count;
}

static void
compare(struct race *race, int64_t instructions)
{
	struct finding *finding = race->finding;

	finding->wanted = race->trial->writers;
	finding->kept = instructions - BEFORE;
	finding->strange = instructions < BEFORE;
	describe(finding->found, instructions, bad_reads(race->trial));
}

static enum status
look_at_file(struct race *race, struct buf *why)
{
	json_t *history;
	enum status status = trial_read_file(race, FILE_NAME, &history, why);

	if (status != OK)
		return status;
	compare(race, (int64_t)json_array_size(json_object_get(history, "instructions")));
	json_decref(history);
	return OK;
}

static enum status
put(struct instruction_book *book, const char *text, char id[ID_MAX + 1], struct buf *why)
{
	struct instruction_draft draft = INSTRUCTION_DRAFT;

	draft.text = text;
	draft.persistence = "HIGH";
	return instruction_put(book, NULL, "", "add", &draft, id, why);
}

static enum status
prepare_instructions(struct race *race, struct buf *why)
{
	struct instruction_book book;
	char text[60];
	enum status status = instruction_open(&book, race->txn, "", NULL, why);

	expect(race->trial);
	if (status != OK)
		return status;
	for (int i = 1; i <= BEFORE && status == OK; i++) {
		standing_text(i, text);
		status = put(&book, text, NULL, why);
	}
	if (status == OK)
		status = instruction_close(&book, NULL, why);
	instruction_list_release(&book.read);
	return status;
}

static enum status
add_instruction(struct race *race, struct buf *why)
{
	struct instruction_book book;
	struct session own;
	char text[60];
	enum status status = trial_own_session(race, ARRIVAL_STARTUP, &own, why);

	if (status == OK)
		status = instruction_open(&book, race->txn, own.id, NULL, why);
	if (status != OK)
		return status;
	own_text(race, text);
	status = trial_meet(race, why);
	if (status == OK)
		status = put(&book, text, race->self->id, why);
	if (status == OK)
		status = instruction_close(&book, NULL, why);
	instruction_list_release(&book.read);
	return status;
}

static enum status
look_at_instructions(struct race *race, struct buf *why)
{
	struct instruction_list list;
	unsigned ids = trial_distinct_ids(race->trial);
	enum status status = instruction_list(race->txn, false, &list, why);

	if (status != OK)
		return status;
	compare(race, (int64_t)list.count);
	/* two that were given one id are one that is lost, however many rows there are */
	if (ids < race->trial->writers)
		race->finding->kept = ids;
	instruction_list_release(&list);
	return OK;
}

const struct target target_instruction_history = {
	"instruction-history",
	{.prepare = prepare_file, .write = write_file, .look = look_at_file},
	{.prepare = prepare_instructions, .write = add_instruction, .look = look_at_instructions},
};
