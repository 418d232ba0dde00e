/*
 * Prints every SQL statement that the program runs on stderr, in order, one a line: as it was written, a tab, and with its values
 * in it.  `statements hook` with an event's payload on stdin, `statements metric FOLDER SESSION` for one `metric add`, whose own
 * come after a line "-- opened".  bench/run makes the scripts for plain_sqlite of it.
 */
#include "db/sqlite.h"
#include "hook/hook.h"
#include "os/clock.h"
#include "stile.h"

#include <ctype.h>
#include <sqlite3.h>

static void
print_line(const char *text, char end)
{
	bool blank = false;

	for (; text != NULL && *text != '\0'; text++) {
		if (!isspace((unsigned char)*text))
			fputc(*text, stderr);
		else if (!blank)
			fputc(' ', stderr);
		blank = isspace((unsigned char)*text) != 0;
	}
	fputc(end, stderr);
}

static int
print(unsigned kind, void *arg, void *statement, void *sql)
{
	const char *text = sql;
	char *expanded = sqlite3_expanded_sql(statement);

	(void)kind;
	(void)arg;
	/* "--": a comment of SQLite's, about what a statement does inside */
	if (text[0] != '-' || text[1] != '-') {
		print_line(sqlite3_sql(statement), '\t');
		print_line(expanded, '\n');
	}
	sqlite3_free(expanded);
	return 0;
}

static int
watch(sqlite3 *handle, const char **why, const struct sqlite3_api_routines *routines)
{
	(void)why;
	(void)routines;
	return sqlite3_trace_v2(handle, SQLITE_TRACE_STMT, print, NULL);
}

static enum status
open_store(const struct store_address *address, bool make, struct db **out, struct buf *why)
{
	struct sqlite_options options = {.folder = address->folder, .file = address->file, .make = make};

	return sqlite_open(&options, out, why);
}

static int
run_metric(const char *folder, const char *session)
{
	char why[500], parameters[200];
	struct stile *stile;

	snprintf(parameters, sizeof parameters, "{\"name\":\"validations_run\",\"amount\":1,\"session\":\"%s\"}", session);
	if (stile_open(folder, &stile, why, sizeof why) != STILE_OK) {
		fprintf(stderr, "statements: %s\n", why);
		return 1;
	}
	fputs("-- opened\n", stderr);
	return stile_call(stile, "metric add", parameters, NULL) == STILE_OK ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static struct context context = {.open_store = open_store, .wait_ms = 10000};

	sqlite3_auto_extension((void (*)(void))watch);
	if (argc == 4 && str_equal(argv[1], "metric"))
		return run_metric(argv[2], argv[3]);
	if (argc == 2 && str_equal(argv[1], "hook"))
		return hook_run(&context, "claude", clock_boot_ms());
	fprintf(stderr, "usage: statements hook <PAYLOAD | statements metric FOLDER SESSION\n");
	return 64;
}
