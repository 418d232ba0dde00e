#include "lib/store.h"

#include "lib/postgres.h"
#include "lib/scratch.h"

#include "base/str.h"
#include "db/postgres.h"
#include "db/sqlite_store.h"

#include <sqlite3.h>

static void
must(enum status status, const char *what, const struct buf *why)
{
	if (status == OK)
		return;
	fprintf(stderr, "store: %s: %s (%s)\n", what, status_row(status)->word, why == NULL ? "" : why->data);
	abort();
}

enum status
store_random(void *out, size_t len)
{
	static uint64_t given;
	uint64_t number = ++given;
	uint8_t *bytes = out;

	memset(bytes, 0xa5, len);
	for (size_t i = 0; i < 8 && i < len; i++, number >>= 8)
		bytes[len - 1 - i] = (uint8_t)number;
	return OK;
}

static void
begin(struct bench *bench, int64_t now_ms)
{
	must(db_begin(bench->db, true, 0, &bench->why), "begin", &bench->why);
	bench->db->now_ms = now_ms;
	bench->txn = (struct txn){.db = bench->db,
	                          .instant_ms = now_ms,
	                          .project = BENCH_PROJECT,
	                          .actor = "uid:7",
	                          .config = &bench->config,
	                          .random = store_random};
}

void
bench_init(struct bench *bench)
{
	struct sqlite_options options = {.file = ":memory:", .make = true};
	struct db *db;

	must(sqlite_open(&options, &db, NULL), "open", NULL);
	bench_init_on(bench, db);
}

void
bench_init_on(struct bench *bench, struct db *db)
{
	*bench = (struct bench){.db = db};
	buf_init(&bench->why, WHY_MAX);
	config_init(&bench->config);
	must(config_defaults(&bench->config), "settings", NULL);
	begin(bench, BENCH_START_MS);
}

void
bench_release(struct bench *bench)
{
	must(db_commit(bench->db, &bench->why), "commit", &bench->why);
	bench->db->ops->close(bench->db, false);
	config_release(&bench->config);
	buf_release(&bench->why);
}

void
bench_at(struct bench *bench, int64_t now_ms)
{
	must(db_commit(bench->db, &bench->why), "commit", &bench->why);
	begin(bench, now_ms);
}

void
bench_undo(struct bench *bench)
{
	int64_t now_ms = bench->txn.instant_ms;

	db_rollback(bench->db);
	begin(bench, now_ms);
}

void
bench_config(struct bench *bench, const char *text)
{
	must(config_add(&bench->config, "test", text, &bench->why), "settings", &bench->why);
}

int
bench_set_up(void **state)
{
	struct bench *bench = malloc(sizeof *bench);

	if (bench == NULL)
		return -1;
	bench_init(bench);
	*state = bench;
	return 0;
}

int
bench_tear_down(void **state)
{
	bench_release(*state);
	free(*state);
	return 0;
}

static void
ask_first(struct db *db, struct db_rows *rows, const char *sql, const struct db_value *args, size_t count)
{
	struct buf why;

	buf_init(&why, WHY_MAX);
	must(db->ops->ask(db, rows, sql, args, count, &why), sql, &why);
	buf_release(&why);
}

int64_t
store_number_of(struct db *db, const char *sql, const struct db_value *args, size_t count)
{
	struct db_rows rows;
	int64_t number;

	ask_first(db, &rows, sql, args, count);
	number = rows.count == 0 ? -1 : db_int(&rows, 0, 0);
	db_rows_release(&rows);
	return number;
}

char *
store_text_of(struct db *db, const char *sql, const struct db_value *args, size_t count)
{
	struct db_rows rows;
	char *text;

	ask_first(db, &rows, sql, args, count);
	text = rows.count == 0 ? NULL : strdup(db_text(&rows, 0, 0));
	db_rows_release(&rows);
	return text;
}

static struct db *
open_sqlite(const char *folder)
{
	char file[4096];
	struct sqlite_options options = {.folder = folder, .file = file, .make = true};
	struct buf why;
	struct db *db;

	buf_init(&why, WHY_MAX);
	snprintf(file, sizeof file, "%s/stile.db", folder);
	must(sqlite_open(&options, &db, &why), folder, &why);
	buf_release(&why);
	return db;
}

/* A folder's store is the database of its name, of which the end is random. */
static void
find_postgres(const char *folder, char url[POSTGRES_URL_SIZE])
{
	size_t len = strlen(folder);
	char name[50];

	snprintf(name, sizeof name, "%s", folder + (len < sizeof name ? 0 : len - sizeof name + 1));
	postgres_address(name, url);
}

static void
name_postgres(const char *folder)
{
	char url[POSTGRES_URL_SIZE], address[POSTGRES_URL_SIZE + 20];

	find_postgres(folder, url);
	snprintf(address, sizeof address, "%s&project=" BENCH_PROJECT, url);
	setenv("STILE_STORE", address, 1);
}

static struct db *
open_postgres(const char *folder)
{
	char url[POSTGRES_URL_SIZE];
	struct postgres_options options = {.url = url, .name = "postgresql:///test", .project = BENCH_PROJECT, .make = true};
	struct buf why;
	struct db *db;

	buf_init(&why, WHY_MAX);
	find_postgres(folder, url);
	must(postgres_open(&options, &db, &why), folder, &why);
	buf_release(&why);
	/* what the tests call the codebases beside it */
	postgres_execute(url, "INSERT INTO project_grant (project, role) SELECT beside, 'ordinary'::regrole FROM"
	                      " unnest(ARRAY['p', 'elsewhere']) AS beside ON CONFLICT DO NOTHING");
	return db;
}

static const struct contract_row {
	const char *name;
	struct db *(*open)(const char *folder);
	void (*name_it)(const char *folder); /* NULL: where it is looked for anyway */
} engines[] = {
	{"sqlite", open_sqlite, NULL},
	{"postgresql", open_postgres, name_postgres},
};

const char *
contract_engine(size_t n)
{
	return n < sizeof engines / sizeof *engines ? engines[n].name : NULL;
}

struct db *
contract_store(size_t engine, const char *folder)
{
	return engines[engine].open(folder);
}

void
contract_name(size_t engine, const char *folder)
{
	if (engines[engine].name_it != NULL)
		engines[engine].name_it(folder);
}

void
contract_close(struct db *db)
{
	db->ops->close(db, false);
}

size_t contract_now;

int
contract_set_up(void **state)
{
	struct contract *contract = calloc(1, sizeof *contract);

	if (contract == NULL)
		return -1;
	contract->folder = scratch_folder();
	contract->db = contract_store(contract_now, contract->folder);
	contract->other = contract_store(contract_now, contract->folder);
	buf_init(&contract->why, WHY_MAX);
	*state = contract;
	return 0;
}

int
contract_tear_down(void **state)
{
	struct contract *contract = *state;
	bool whole = store_is_whole(contract->db);

	contract_close(contract->db);
	contract_close(contract->other);
	buf_release(&contract->why);
	scratch_remove(contract->folder);
	free(contract);
	return whole ? 0 : -1;
}

bool
store_is_whole(struct db *db)
{
	sqlite3 *handle = ((struct sqlite *)db)->handle;
	sqlite3_stmt *statement = NULL;
	bool whole = false;

	if (!str_equal(db->ops->name, "sqlite"))
		return true;
	if (sqlite3_prepare_v2(handle, "PRAGMA integrity_check", -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW)
		whole = str_equal((const char *)sqlite3_column_text(statement, 0), "ok");
	if (!whole)
		fprintf(stderr, "store: not whole: %s\n",
		        statement == NULL ? sqlite3_errmsg(handle) : (const char *)sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	return whole;
}
