/*
 * The list of what is copied against the schema, as each engine made it: no table of a codebase's rows and no column of one is
 * left out, nor is there one too many.  And values that are at the edge of what a column holds come out of each engine as they
 * went in.
 *
 * Rows: N11
 */
#include "lib/store.h"
#include "lib/test.h"

#include "core/copy.h"

/* What a project's row has of its own in each store. */
static const char *const stays[] = {"project.moved",    "project.moved_to",      "project.seen_ms",
                                    "project.ahead_ms", "operation.project",     "operation.at_ms",
                                    "operation.key",    "project_grant.project", "project_grant.role"};

static bool
is_left(const char *name)
{
	for (size_t i = 0; i < sizeof stays / sizeof *stays; i++)
		if (strcmp(stays[i], name) == 0)
			return true;
	return false;
}

/* Whether `sql` begins with a list that has `column` in it. */
static bool
has_column(const char *sql, const char *column)
{
	const char *from = strstr(sql, " FROM ");
	size_t len = strlen(column);

	for (const char *at = strchr(sql, ' ') + 1; at < from; at += strcspn(at, " ") + 1)
		if (strncmp(at, column, len) == 0 && (at[len] == ',' || at[len] == ' '))
			return true;
	return false;
}

static const struct copy_table *
find_table(const char *name)
{
	const struct copy_table *table;

	for (size_t i = 0; (table = copy_nth(i)) != NULL; i++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

static const char *
catalog(void)
{
	if (strcmp(contract_engine(contract_now), "sqlite") == 0)
		return "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND EXISTS"
			   " (SELECT 1 FROM pragma_table_info(m.name) p WHERE p.name = $1) ORDER BY 1, 2";
	return "SELECT c.table_name::text, c.column_name::text FROM information_schema.columns c JOIN information_schema.columns p"
		   " USING (table_schema, table_name) WHERE c.table_schema = 'public' AND p.column_name = $1 ORDER BY 1, 2";
}

static void
every_column_of_a_table_with_a_project_is_copied_and_no_other(void **state)
{
	struct contract *contract = *state;
	const struct copy_table *table;
	struct db_rows rows;
	size_t listed = 0, found = 0;
	char name[200];

	assert_int_equal(db_begin(contract->db, false, 1000, &contract->why), OK);
	assert_int_equal(db_ask(contract->db, &rows, &contract->why, catalog(), DB_TEXT("project")), OK);
	for (size_t i = 0; i < rows.count; i++) {
		snprintf(name, sizeof name, "%s.%s", db_text(&rows, i, 0), db_text(&rows, i, 1));
		if (is_left(name))
			continue;
		table = find_table(db_text(&rows, i, 0));
		if (table == NULL || !has_column(table->first, db_text(&rows, i, 1)))
			fail_msg("%s is not copied", name);
		found++;
	}
	for (size_t i = 0; (table = copy_nth(i)) != NULL; i++) {
		listed += table->columns;
		assert_true(table->columns <= COPY_COLUMNS_MAX && i < COPY_TABLES_MAX);
	}
	assert_int_equal(listed, found);
	db_rows_release(&rows);
	assert_int_equal(db_commit(contract->db, &contract->why), OK);
}

static const char *const texts[] = {
	"",
	" ",
	"'\"\\%$1;--\n\r\t\x01\x1f\x7f",
	"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8d\xed\x9f\xbf\xef\xbf\xbf",
	/* bytes that are no UTF-8, and the characters that may stand for such */
	"\xff\xfe/\x80\xc3",
	"a\xed\xa0\x80z",
	"\xf4\x8f\xbf\xbf",
	"\xf4\x8f\xbe\x80\xf4\x8f",
	"\xf4\x8f\xbd\xbf",
};
static const int64_t wholes[] = {0, -1, INT64_MAX, INT64_MIN, (int64_t)1 << 53, ((int64_t)1 << 53) + 1};
static const double reals[] = {0.0, 0.1, -1e-308, 5e-324, 1.7976931348623157e308, 3.0, 123456789.123456789};

static void
put(struct db *db, int64_t number, const char *text, int64_t whole, double real)
{
	char name[24];

	snprintf(name, sizeof name, "n%lld", (long long)number);
	db_run(db, "INSERT INTO metric (project, session, name, value, base) VALUES ('p', $1, $2, $3, 0)", DB_TEXT(text),
	       DB_TEXT(name), DB_REAL(real));
	db_run(db, "INSERT INTO tractatus_seen (project, place, name, number, text) VALUES ('p', 'x', $1, $2, $3)", DB_TEXT(name),
	       DB_INT(whole), DB_TEXT(text));
}

static void
values_come_back_as_they_went_in(void **state)
{
	struct contract *contract = *state;
	struct db_rows rows;
	int64_t count = 0;

	assert_int_equal(db_begin(contract->db, true, 1000, &contract->why), OK);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++, count++)
		put(contract->db, count, texts[i], wholes[i % 6], reals[i % 7]);
	assert_int_equal(db_commit(contract->db, &contract->why), OK);
	assert_int_equal(db_begin(contract->other, false, 1000, &contract->why), OK);
	assert_int_equal(db_ask(contract->other, &rows, &contract->why,
	                        "SELECT s.text, s.number, m.value, m.session FROM tractatus_seen s JOIN metric m ON m.project = "
	                        "s.project"
	                        " AND m.name = s.name WHERE s.project = $1 ORDER BY s.name",
	                        DB_TEXT("p")),
	                 OK);
	assert_int_equal(rows.count, count);
	for (size_t i = 0; i < rows.count; i++) {
		assert_string_equal(db_text(&rows, i, 0), texts[i]);
		assert_string_equal(db_text(&rows, i, 3), texts[i]);
		assert_true(db_int(&rows, i, 1) == wholes[i % 6]);
		assert_int_equal(db_at(&rows, i, 2)->type, DB_TYPE_REAL);
		assert_true(db_real(&rows, i, 2) == reals[i % 7]);
	}
	db_rows_release(&rows);
	assert_int_equal(db_commit(contract->other, &contract->why), OK);
}

CONTRACT_TESTS(CONTRACT_TEST(every_column_of_a_table_with_a_project_is_copied_and_no_other),
               CONTRACT_TEST(values_come_back_as_they_went_in))
