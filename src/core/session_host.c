#include "core/session_host.h"

#define HOSTS_MAX 10000

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
	for (size_t i = rows.count; i-- > 0 && status == OK;) {
		struct session_host *host = &out->items[out->count++];

		snprintf(host->session, sizeof host->session, "%s", db_text(&rows, i, 0));
		host->process = (struct process){
		    .pid = db_int(&rows, i, 1), .start = db_int(&rows, i, 2), .space = db_int(&rows, i, 3)};
		snprintf(host->process.boot, sizeof host->process.boot, "%s", db_text(&rows, i, 4));
	}
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
