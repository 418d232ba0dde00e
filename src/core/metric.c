#include "core/metric.h"

#include <math.h>

static const struct metric_row declared[] = {
	{"messages", METRIC_COUNTER, AGGREGATE_SUM, false, "prompts given to it"},
	{"tool_calls", METRIC_COUNTER, AGGREGATE_SUM, false, "tools it was about to run"},
	{"errors", METRIC_COUNTER, AGGREGATE_SUM, true, "tools that failed"},
	{"complexity", METRIC_GAUGE, AGGREGATE_MEAN, false, "of its present task, as somebody judges it"},
	{"task_depth", METRIC_GAUGE, AGGREGATE_MAX, false, "levels of its present task; makes complexity"},
	{"dependencies", METRIC_GAUGE, AGGREGATE_MAX, false, "things its task depends on; makes complexity"},
	{"file_modifications", METRIC_GAUGE, AGGREGATE_MAX, false, "files its task changes; makes complexity"},
	{"concurrent_operations", METRIC_GAUGE, AGGREGATE_MAX, false, "operations it has running; makes complexity"},
	{"subtasks_pending", METRIC_GAUGE, AGGREGATE_MAX, false, "parts of its task still to do; makes complexity"},
	{"active_tasks", METRIC_GAUGE, AGGREGATE_SUM, false, "tasks it is at"},
	{"instructions", METRIC_GAUGE, AGGREGATE_NONE, false, "instructions it is under"},
	{"context_tokens", METRIC_GAUGE, AGGREGATE_NONE, false, "tokens in its context now"},
	{"spent_tokens", METRIC_COUNTER, AGGREGATE_SUM, false, "tokens of every response, cache included"},
	{"subagent_tokens", METRIC_COUNTER, AGGREGATE_SUM, false, "the same of its sub-agents"},
	{"subagents", METRIC_COUNTER, AGGREGATE_SUM, false, "sub-agents it started"},
	{"observations_dropped", METRIC_COUNTER, AGGREGATE_SUM, false, "what tools did that no queue could take"},
	{"prompts_dropped", METRIC_COUNTER, AGGREGATE_SUM, false, "prompts that no queue could take"},
	{"resume_failures", METRIC_COUNTER, AGGREGATE_SUM, false, "turns whose conversation to resume was gone"},
	{"pressure_checks", METRIC_COUNTER, AGGREGATE_SUM, false, "times its pressure was looked at"},
	{"instructions_added", METRIC_COUNTER, AGGREGATE_SUM, false, "framework activity"},
	{"validations_run", METRIC_COUNTER, AGGREGATE_SUM, false, "framework activity"},
	{"boundary_enforcements", METRIC_COUNTER, AGGREGATE_SUM, false, "framework activity"},
};

const struct metric_row *
metric_nth(size_t n)
{
	return n < sizeof declared / sizeof *declared ? &declared[n] : NULL;
}

const struct metric_row *
metric_find(const char *name)
{
	for (size_t i = 0; i < sizeof declared / sizeof *declared; i++)
		if (str_equal(declared[i].name, name))
			return &declared[i];
	return NULL;
}

const char *
metric_aggregate_name(enum metric_aggregate aggregate)
{
	static const char *const names[] = {"none", "sum", "max", "mean"};

	return names[aggregate];
}

static int64_t
window_start(struct txn *txn)
{
	int64_t window;

	/* one that can't be read was refused when the configuration was opened */
	return config_duration(txn->config, "stile", "error_window", &window, NULL) == OK ? txn_now(txn) - window : 0;
}

static void
add_recent(struct txn *txn, const char *session, const char *name, double amount)
{
	db_run(txn->db, "DELETE FROM metric_recent WHERE project = $1 AND session = $2 AND name = $3 AND at_ms < $4",
	       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(name), DB_INT(window_start(txn)));
	db_run(txn->db,
	       "INSERT INTO metric_recent (project, session, name, at_ms, amount) VALUES ($1, $2, $3, $4, $5)"
	       " ON CONFLICT (project, session, name, at_ms) DO UPDATE SET amount = metric_recent.amount + excluded.amount",
	       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(name), DB_INT(txn_now(txn)), DB_REAL(amount));
}

void
metric_add(struct txn *txn, const char *session, const char *name, double amount)
{
	const struct metric_row *row = metric_find(name);

	db_run(txn->db,
	       "INSERT INTO metric (project, session, name, value, base) VALUES ($1, $2, $3, $4, 0)"
	       " ON CONFLICT (project, session, name) DO UPDATE SET value = metric.value + excluded.value",
	       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(name), DB_REAL(amount));
	if (row != NULL && row->recent)
		add_recent(txn, session, name, amount);
}

void
metric_set(struct txn *txn, const char *session, const char *name, double value)
{
	db_run(txn->db,
	       "INSERT INTO metric (project, session, name, value, base) VALUES ($1, $2, $3, $4, 0)"
	       " ON CONFLICT (project, session, name) DO UPDATE SET value = excluded.value, base = 0",
	       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(name), DB_REAL(value));
}

void
metric_open_generation(struct txn *txn, const char *session)
{
	db_run(txn->db, "UPDATE metric SET base = value WHERE project = $1 AND session = $2", DB_TEXT(txn->project),
	       DB_TEXT(session));
}

static void
from_row(const struct db_rows *rows, size_t at, struct metric_value *out)
{
	const struct metric_row *row;

	snprintf(out->session, sizeof out->session, "%s", db_text(rows, at, 0));
	snprintf(out->name, sizeof out->name, "%s", db_text(rows, at, 1));
	row = metric_find(out->name);
	out->life = db_real(rows, at, 2);
	out->now = out->life - db_real(rows, at, 3);
	if (row != NULL && row->kind == METRIC_GAUGE)
		out->now = out->life;
	if (row != NULL && row->recent)
		out->now = db_real(rows, at, 4);
}

/* Their values, and what of them is `noted`; NO_MEMORY only. */
static enum status
from_rows(const struct db_rows *rows, struct metric_values *out, struct metric_noted *noted, struct buf *why)
{
	*out = (struct metric_values){.items = calloc(rows->count + 1, sizeof *out->items)};
	if (out->items == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	for (size_t i = 0; i < rows->count; i++) {
		int64_t at_ms = noted == NULL ? 0 : db_int(rows, i, 5);

		if (at_ms == 0)
			from_row(rows, i, &out->items[out->count++]);
		else if (noted->count < METRIC_NOTED)
			noted->items[noted->count++] = (struct metric_note){.at_ms = at_ms, .value = db_real(rows, i, 2)};
	}
	return OK;
}

static enum status
load(struct txn *txn, const char *session, bool all, struct metric_values *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(
		txn->db, &rows, why,
		"SELECT m.session, m.name, m.value, m.base, (SELECT coalesce(sum(r.amount), 0) FROM metric_recent r"
		" WHERE r.project = $1 AND r.session = m.session AND r.name = m.name AND r.at_ms >= $2) FROM metric m"
		" WHERE m.project = $1 AND (m.session = $3 OR ($3 = '' AND ($4 = 1 OR m.session IN (SELECT s.session FROM session s"
		" WHERE s.project = $1 AND s.state NOT IN ('ended', 'lost'))))) ORDER BY m.session, m.name",
		DB_TEXT(txn->project), DB_INT(window_start(txn)), DB_TEXT(session), DB_INT(all));

	if (status == OK) {
		status = from_rows(&rows, out, NULL, why);
		db_rows_release(&rows);
	}
	return status;
}

enum status
metric_load_noted(struct txn *txn, const char *session, const char *name, struct metric_values *out, struct metric_noted *noted,
                  struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(
		txn->db, &rows, why,
		"SELECT m.session, m.name, m.value, m.base, (SELECT coalesce(sum(r.amount), 0) FROM metric_recent r"
		" WHERE r.project = $1 AND r.session = m.session AND r.name = m.name AND r.at_ms >= $2), 0 AS noted_ms FROM metric m"
		" WHERE m.project = $1 AND m.session = $3 UNION ALL SELECT n.session, n.name, n.amount, 0, 0, n.at_ms"
		" FROM metric_recent n WHERE n.project = $1 AND n.session = $3 AND n.name = $4 ORDER BY noted_ms DESC",
		DB_TEXT(txn->project), DB_INT(window_start(txn)), DB_TEXT(session), DB_TEXT(name));

	if (status != OK)
		return status;
	*noted = (struct metric_noted){0};
	status = from_rows(&rows, out, noted, why);
	db_rows_release(&rows);
	return status;
}

void
metric_note(struct txn *txn, const char *session, const char *name, double value, struct metric_noted *noted)
{
	struct metric_note now = {.at_ms = txn_now(txn), .value = value};
	size_t kept = noted->count < METRIC_NOTED ? noted->count : METRIC_NOTED - 1;

	/* two of one millisecond are two */
	if (noted->count > 0 && now.at_ms <= noted->items[0].at_ms)
		now.at_ms = noted->items[0].at_ms + 1;
	memmove(noted->items + 1, noted->items, kept * sizeof *noted->items);
	noted->items[0] = now;
	noted->count = kept + 1;
	db_run(txn->db, "INSERT INTO metric_recent (project, session, name, at_ms, amount) VALUES ($1, $2, $3, $4, $5)",
	       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(name), DB_INT(now.at_ms), DB_REAL(value));
	db_run(txn->db, "DELETE FROM metric_recent WHERE project = $1 AND session = $2 AND name = $3 AND at_ms < $4",
	       DB_TEXT(txn->project), DB_TEXT(session), DB_TEXT(name), DB_INT(noted->items[noted->count - 1].at_ms));
}

enum status
metric_load(struct txn *txn, const char *session, struct metric_values *out, struct buf *why)
{
	return load(txn, session, false, out, why);
}

enum status
metric_load_all(struct txn *txn, bool all, struct metric_values *out, struct buf *why)
{
	return load(txn, "", all, out, why);
}

struct metric_values
metric_values_of(const struct metric_values *values, const char *session)
{
	struct metric_values part = {0};

	/* they come ordered by session */
	for (size_t i = 0; i < values->count; i++)
		if (str_equal(values->items[i].session, session) && part.count++ == 0)
			part.items = &values->items[i];
	return part;
}

void
metric_values_release(struct metric_values *values)
{
	free(values->items);
	*values = (struct metric_values){0};
}

static const struct metric_value *
find_value(const struct metric_values *values, const char *name)
{
	for (size_t i = 0; i < values->count; i++)
		if (str_equal(values->items[i].name, name))
			return &values->items[i];
	return NULL;
}

bool
metric_has(const struct metric_values *values, const char *name)
{
	return find_value(values, name) != NULL;
}

double
metric_now(const struct metric_values *values, const char *name)
{
	const struct metric_value *value = find_value(values, name);

	return value == NULL ? 0 : value->now;
}

double
metric_life(const struct metric_values *values, const char *name)
{
	const struct metric_value *value = find_value(values, name);

	return value == NULL ? 0 : value->life;
}

enum status
metric_aggregate(struct txn *txn, json_t *out, struct buf *why)
{
	json_t *metrics = json_object();
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT name, sum(value), max(value), avg(value), count(*) FROM metric WHERE project = $1"
	                            " GROUP BY name ORDER BY name",
	                            DB_TEXT(txn->project));

	if (status != OK) {
		json_decref(metrics);
		return status;
	}
	for (size_t i = 0; i < rows.count; i++) {
		const struct metric_row *row = metric_find(db_text(&rows, i, 0));

		if (row != NULL && row->aggregate != AGGREGATE_NONE)
			json_object_set_new(metrics, row->name,
			                    json_pack("{ss so sI}", "aggregate", metric_aggregate_name(row->aggregate), "value",
			                              json_number(db_real(&rows, i, (size_t)row->aggregate)), "sessions",
			                              (json_int_t)db_int(&rows, i, 4)));
	}
	db_rows_release(&rows);
	json_object_set_new(out, "aggregated", metrics);
	return OK;
}
