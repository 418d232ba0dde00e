/*
 * Puts so many instructions into a codebase's store at once: `instructions FOLDER COUNT`.  Every tenth is HIGH and sets a
 * parameter of its own.
 */
#include "core/instruction.h"
#include "db/sqlite.h"
#include "verbs/verb.h"

static enum status
open_store(const struct store_address *address, bool make, struct db **out, struct buf *why)
{
	struct sqlite_options options = {.folder = address->folder, .file = address->file, .make = make, .alone = true};

	return sqlite_open(&options, out, why);
}

static enum status
put(struct instruction_book *book, long number, struct buf *why)
{
	struct instruction_draft draft = INSTRUCTION_DRAFT;
	char text[200], parameters[60];

	snprintf(text, sizeof text,
	         "Rule %ld: keep the rows of the orchard in the order in which they were planted, and say so when "
	         "one of them is moved.",
	         number);
	snprintf(parameters, sizeof parameters, "{\"parameter_%ld\":%ld}", number, number);
	draft.text = text;
	draft.persistence = number % 10 == 0 ? "HIGH" : "MEDIUM";
	draft.parameters = number % 10 == 0 ? parameters : NULL;
	return instruction_put(book, NULL, "", "import", &draft, NULL, why);
}

static enum status
fill(struct txn *txn, void *count, struct buf *why)
{
	struct instruction_book book;
	enum status status = instruction_open(&book, txn, "", NULL, why);

	if (status != OK)
		return status;
	for (long i = 1; i <= *(const long *)count && status == OK; i++)
		status = put(&book, i, why);
	if (status == OK)
		status = instruction_close(&book, NULL, why);
	instruction_list_release(&book.read);
	return status;
}

int
main(int argc, char **argv)
{
	static struct context context = {.open_store = open_store, .wait_ms = 60000};
	long count = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	enum status status;
	struct buf why;

	if (count < 1) {
		fprintf(stderr, "usage: instructions FOLDER COUNT\n");
		return 64;
	}
	buf_init(&why, WHY_MAX);
	status = context_find(&context, argv[1], &why);
	if (status == OK)
		status = context_open(&context, false, &why);
	if (status == OK)
		status = engine_run(&context.engine, fill, &count, &why);
	if (status != OK)
		fprintf(stderr, "instructions: %s\n", why.data);
	context_release(&context, false);
	buf_release(&why);
	return status == OK ? 0 : 1;
}
