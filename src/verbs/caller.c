#include "verbs/caller.h"

#include "core/session_host.h"

#include <unistd.h>

#define ANCESTORS_MAX 32

void
caller_is(const char *session, const struct process *process, struct caller *out)
{
	*out = (struct caller){.process = *process};
	snprintf(out->session, sizeof out->session, "%s", session);
	snprintf(out->actor, sizeof out->actor, "%s", session);
}

static enum status
named_session(struct txn *txn, const char *id, struct caller *out, struct buf *why)
{
	struct session_host host;
	enum status status = str_check_id("the session's id", id, ID_SIZE - 1, why);

	if (status == OK)
		status = session_host_load(txn, id, &host, why);
	if (status == OK)
		caller_is(host.session, &host.process, out);
	return status;
}

static enum status
named_whole(struct txn *txn, const char *id, struct caller *out, struct session *whole, struct buf *why)
{
	enum status status = str_check_id("the session's id", id, ID_SIZE - 1, why);

	if (status == OK)
		status = session_load(txn, id, whole, why);
	if (status == OK)
		caller_is(whole->id, &whole->process, out);
	return status;
}

static bool
is_among(const struct session_list *list, const char *id, struct session *out)
{
	for (size_t i = 0; i < list->count; i++)
		if (str_equal(list->items[i].id, id)) {
			*out = list->items[i];
			return true;
		}
	return false;
}

static bool
any_hosted(const struct session_hosts *live)
{
	for (size_t i = 0; i < live->count; i++)
		if (live->items[i].process.pid > 0)
			return true;
	return false;
}

/* The live sessions that the nearest ancestor which hosts any hosts: their indices in `live`. */
static size_t
hosted(const struct session_hosts *live, size_t *out)
{
	struct process ancestors[ANCESTORS_MAX];
	/* through the library the agent may be this very process */
	size_t own = process_read(getpid(), &ancestors[0], NULL, NULL) == OK, count = 0;
	size_t known = own + process_ancestors(ancestors + own, ANCESTORS_MAX - own);

	for (size_t i = 0; i < known && count == 0; i++)
		for (size_t j = 0; j < live->count; j++)
			if (process_same(&live->items[j].process, &ancestors[i]))
				out[count++] = j;
	return count;
}

static enum status
one_of(const struct session_hosts *live, const size_t *which, size_t count, struct caller *out, struct buf *why)
{
	const char *named = getenv("STILE_SESSION");
	char ids[WHY_MAX / 2] = "";
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		const struct session_host *host = &live->items[which[i]];

		if (count == 1 || (named != NULL && str_equal(named, host->session))) {
			caller_is(host->session, &host->process, out);
			return OK;
		}
		if (len < sizeof ids)
			len += (size_t)snprintf(ids + len, sizeof ids - len, " %s", host->session);
	}
	return why_not(why, CONFLICT, "this process hosts several sessions; say which with --session or STILE_SESSION:%s", ids);
}

/* *found: by the processes around. */
static enum status
around(const struct session_hosts *live, bool *found, struct caller *out, struct buf *why)
{
	size_t *which = calloc(live->count + 1, sizeof *which);
	size_t count = which == NULL || !any_hosted(live) ? 0 : hosted(live, which);
	enum status status = OK;

	if (which == NULL)
		status = why_not(why, NO_MEMORY, "out of memory");
	else if (count > 0)
		status = one_of(live, which, count, out, why);
	*found = count > 0;
	free(which);
	return status;
}

/* Without --session: by the processes around, by the environment, or a person. */
static enum status
by_surroundings(struct txn *txn, const struct session_hosts *live, struct caller *out, struct buf *why)
{
	const char *named = getenv("STILE_SESSION");
	bool found;
	enum status status = around(live, &found, out, why);

	if (status != OK || found)
		return status;
	for (size_t i = 0; named != NULL && i < live->count; i++)
		if (str_equal(live->items[i].session, named)) {
			caller_is(named, &live->items[i].process, out);
			return OK;
		}
	if (named != NULL && *named != '\0')
		return named_session(txn, named, out, why);
	out->person = snprintf(out->actor, sizeof out->actor, "uid:%lu", (unsigned long)getuid()) > 0;
	return OK;
}

enum status
caller_find(struct txn *txn, const char *session_arg, struct caller *out, struct buf *why)
{
	struct session_hosts live;
	enum status status;

	*out = (struct caller){0};
	if (session_arg != NULL)
		return named_session(txn, session_arg, out, why);
	status = session_hosts(txn, &live, why);
	if (status != OK)
		return status;
	status = by_surroundings(txn, &live, out, why);
	session_hosts_release(&live);
	return status;
}

/* One answer for all: so that who needs a session whole waits for no more of them. */
static enum status
find_whole(struct txn *txn, const char *session_arg, struct caller *out, struct session *whole, struct buf *why)
{
	struct session_list list;
	struct session_hosts live;
	enum status status;

	*out = (struct caller){0};
	if (session_arg != NULL)
		return named_whole(txn, session_arg, out, whole, why);
	status = session_list(txn, false, &list, why);
	if (status != OK)
		return status;
	status = session_hosts_of(&list, &live, why);
	if (status == OK) {
		status = by_surroundings(txn, &live, out, why);
		session_hosts_release(&live);
	}
	if (status == OK && !out->person)
		status = is_among(&list, out->session, whole) ? OK : session_load(txn, out->session, whole, why);
	session_list_release(&list);
	return status;
}

enum status
caller_session(struct txn *txn, const char *session_arg, struct caller *out, struct session *whole, struct buf *why)
{
	enum status status = whole == NULL ? caller_find(txn, session_arg, out, why)
	                                   : find_whole(txn, session_arg, out, whole, why);

	if (status == OK && out->person)
		return why_not(why, NOT_ALLOWED, "a person acts for no session; name one with --session (see `stile session list`)");
	return status;
}
