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
	struct session session;
	char actor[ACTOR_SIZE];
};

/* Inside a transaction.  CONFLICT with `why` naming the sessions when it can't be told which of several; NO_SUCH. */
enum status caller_find(struct txn *txn, const char *session_arg, struct caller *out, struct buf *why) MUST_CHECK;

/* The same where a session is needed: NOT_ALLOWED with what to do for a person. */
enum status caller_session(struct txn *txn, const char *session_arg, struct caller *out, struct buf *why) MUST_CHECK;

#endif
