#include "verbs/caller.h"

#include <unistd.h>

#define ANCESTORS_MAX 32

static enum status
is_session(struct txn *txn, const char *id, struct caller *out, struct buf *why)
{
	struct session session;
	enum status status = str_check_id("the session's id", id, ID_SIZE - 1, why);

	if (status == OK)
		status = session_load(txn, id, &session, why);
	if (status != OK)
		return status;
	snprintf(out->session, sizeof out->session, "%s", session.id);
	snprintf(out->actor, sizeof out->actor, "%s", session.id);
	return OK;
}

/* The live sessions that the nearest ancestor which hosts any hosts: their indices in `list`. */
static size_t
hosted(const struct session_list *list, size_t *out)
{
	struct process ancestors[ANCESTORS_MAX];
	size_t known = process_ancestors(ancestors, ANCESTORS_MAX), count = 0;

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
			snprintf(out->session, sizeof out->session, "%s", id);
			snprintf(out->actor, sizeof out->actor, "%s", id);
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
		return is_session(txn, session_arg, out, why);
	status = session_list(txn, false, &live, why);
	if (status != OK)
		return status;
	which = calloc(live.count + 1, sizeof *which);
	count = which == NULL ? 0 : hosted(&live, which);
	if (which == NULL)
		status = why_not(why, NO_MEMORY, "out of memory");
	else if (count > 0)
		status = one_of(&live, which, count, out, why);
	else if (named != NULL && *named != '\0')
		status = is_session(txn, named, out, why);
	else
		snprintf(out->actor, sizeof out->actor, "uid:%lu", (unsigned long)getuid());
	free(which);
	session_list_release(&live);
	return status;
}

enum status
caller_session(struct txn *txn, const char *session_arg, struct caller *out, struct buf *why)
{
	enum status status = caller_find(txn, session_arg, out, why);

	if (status == OK && out->session[0] == '\0')
		return why_not(why, NOT_ALLOWED, "a person acts for no session; name one with --session (see `stile session list`)");
	return status;
}
