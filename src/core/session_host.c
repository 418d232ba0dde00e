#include "core/session_host.h"

#define HOSTS_MAX 10000

/* Of a row "session, pid, pid_start, pid_space, pid_boot". */
static void
from_row(const struct db_rows *rows, size_t row, struct session_host *out)
{
	snprintf(out->session, sizeof out->session, "%s", db_text(rows, row, 0));
	out->process =
	    (struct process){.pid = db_int(rows, row, 1), .start = db_int(rows, row, 2), .space = db_int(rows, row, 3)};
	snprintf(out->process.boot, sizeof out->process.boot, "%s", db_text(rows, row, 4));
}

enum status
session_host_load(struct txn *txn, const char *id, struct session_host *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT session, pid, pid_start, pid_space, pid_boot FROM session WHERE project = $1"
	                            " AND session = $2",
	                            DB_TEXT(txn->project), DB_TEXT(id));

	if (status != OK)
		return status;
	if (rows.count == 0)
		status = session_unknown(id, why);
	else
		from_row(&rows, 0, out);
	db_rows_release(&rows);
	return status;
}

enum status
session_hosts(struct txn *txn, struct session_hosts *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT session, pid, pid_start, pid_space, pid_boot FROM session WHERE project = $1"
	                            " AND ended_ms IS NULL ORDER BY session DESC LIMIT $2",
	                            DB_TEXT(txn->project), DB_INT(HOSTS_MAX));

	if (status != OK)
		return status;
	*out = (struct session_hosts){.items = calloc(rows.count + 1, sizeof *out->items)};
	if (out->items == NULL)
		status = why_not(why, NO_MEMORY, "out of memory");
	for (size_t i = rows.count; i-- > 0 && status == OK;)
		from_row(&rows, i, &out->items[out->count++]);
	db_rows_release(&rows);
	return status;
}

enum status
session_hosts_of(const struct session_list *list, struct session_hosts *out, struct buf *why)
{
	*out = (struct session_hosts){.items = calloc(list->count + 1, sizeof *out->items), .count = list->count};
	if (out->items == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	for (size_t i = 0; i < list->count; i++) {
		memcpy(out->items[i].session, list->items[i].id, sizeof out->items[i].session);
		out->items[i].process = list->items[i].process;
	}
	return OK;
}

void
session_hosts_release(struct session_hosts *hosts)
{
	free(hosts->items);
	*hosts = (struct session_hosts){0};
}
