/*
 * Which process each live session is: all that it takes to find out who calls, and less than all that is known of each.
 */
#ifndef CORE_SESSION_HOST_H
#define CORE_SESSION_HOST_H

#include "core/session.h"

struct session_host {
	char session[ID_SIZE];
	struct process process; /* pid 0 = not known */
};

/* Live or not; NO_SUCH with `why`. */
enum status session_host_load(struct txn *txn, const char *id, struct session_host *out, struct buf *why) MUST_CHECK;

struct session_hosts {
	struct session_host *items;
	size_t count;
};

/* Those of the project, oldest first; of more than 10,000 the newest. */
enum status session_hosts(struct txn *txn, struct session_hosts *out, struct buf *why) MUST_CHECK;

/* Those of a list that was read for other reasons, too. */
enum status session_hosts_of(const struct session_list *list, struct session_hosts *out, struct buf *why) MUST_CHECK;

void session_hosts_release(struct session_hosts *hosts);

#endif
