#include "verbs/caller.h"

#include <unistd.h>

#define ANCESTORS_MAX 32

static void
is_session(const struct session *session, struct caller *out)
{
	out->session = *session;
	snprintf(out->actor, sizeof out->actor, "%s", session->id);
}

/* Live ones are in `list`, which may be NULL. */
static enum status
named_session(struct txn *txn, const char *id, const struct session_list *list, struct caller *out, struct buf *why)
{
	struct session session;
	enum status status = str_check_id("the session's id", id, ID_SIZE - 1, why);

	for (size_t i = 0; status == OK && list != NULL && i < list->count; i++)
		if (str_equal(list->items[i].id, id)) {
			is_session(&list->items[i], out);
			return OK;
		}
	if (status == OK)
		status = session_load(txn, id, &session, why);
	if (status == OK)
		is_session(&session, out);
	return status;
}

static bool
any_hosted(const struct session_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].process.pid > 0)
			return true;
	return false;
}

/* The live sessions that the nearest ancestor which hosts any hosts: their indices in `list`. */
static size_t
hosted(const struct session_list *list, size_t *out)
{
	struct process ancestors[ANCESTORS_MAX];
	/* through the library the agent may be this very process */
	size_t own = process_read(getpid(), &ancestors[0], NULL, NULL) == OK, count = 0;
	size_t known = own + process_ancestors(ancestors + own, ANCESTORS_MAX - own);

	for (size_t i = 0; i < known && count == 0; i++)
		for (size_t j = 0; j < list->count; j++)
			if (process_same(&list->items[j].process, &ancestors[i]))
				out[count++] = j;
	return count;
}

static enum status
one_of(const struct session_list *list, const size_t *which, size_t count, struct caller *out, struct buf *why)
{
	const char *named = getenv("STILE_SESSION");
	char ids[WHY_MAX / 2] = "";
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		const char *id = list->items[which[i]].id;

		if (count == 1 || (named != NULL && str_equal(named, id))) {
			is_session(&list->items[which[i]], out);
			return OK;
		}
		if (len < sizeof ids)
			len += (size_t)snprintf(ids + len, sizeof ids - len, " %s", id);
	}
	return why_not(why, CONFLICT, "this process hosts several sessions; say which with --session or STILE_SESSION:%s", ids);
}

enum status
caller_find(struct txn *txn, const char *session_arg, struct caller *out, struct buf *why)
{
	const char *named = getenv("STILE_SESSION");
	struct session_list live;
	size_t *which, count;
	enum status status;

	*out = (struct caller){0};
	if (session_arg != NULL)
		return named_session(txn, session_arg, NULL, out, why);
	status = session_list(txn, false, &live, why);
	if (status != OK)
		return status;
	which = calloc(live.count + 1, sizeof *which);
	count = which == NULL || !any_hosted(&live) ? 0 : hosted(&live, which);
	if (which == NULL)
		status = why_not(why, NO_MEMORY, "out of memory");
	else if (count > 0)
		status = one_of(&live, which, count, out, why);
	else if (named != NULL && *named != '\0')
		status = named_session(txn, named, &live, out, why);
	else
		out->person = snprintf(out->actor, sizeof out->actor, "uid:%lu", (unsigned long)getuid()) > 0;
	free(which);
	session_list_release(&live);
	return status;
}

enum status
caller_session(struct txn *txn, const char *session_arg, struct caller *out, struct buf *why)
{
	enum status status = caller_find(txn, session_arg, out, why);

	if (status == OK && out->person)
		return why_not(why, NOT_ALLOWED, "a person acts for no session; name one with --session (see `stile session list`)");
	return status;
}
