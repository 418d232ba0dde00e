/*
 * Who is calling: `--session`; else the nearest ancestor process registered as an agent's; if it hosts several sessions,
 * STILE_SESSION, which must be one of them; without such an ancestor STILE_SESSION; else a person, uid:<n>, who may look and
 * administer but never acts for a session.
 */
#ifndef VERBS_CALLER_H
#define VERBS_CALLER_H

#include "core/session.h"
#include "verbs/verb.h"

struct caller {
	bool person;            /* then there is no session */
	char session[ID_SIZE];
	struct process process; /* that session's */
	char actor[ACTOR_SIZE];
};

/* Inside a transaction.  CONFLICT with `why` naming the sessions when it can't be told which of several; NO_SUCH. */
enum status caller_find(struct txn *txn, const char *session_arg, struct caller *out, struct buf *why) MUST_CHECK;

/* The same where a session is needed: NOT_ALLOWED with what to do for a person.  *whole, which may be NULL, is all of it. */
enum status caller_session(struct txn *txn, const char *session_arg, struct caller *out, struct session *whole,
                           struct buf *why) MUST_CHECK;

/* *out is that session. */
void caller_is(const char *session, const struct process *process, struct caller *out);

#endif
