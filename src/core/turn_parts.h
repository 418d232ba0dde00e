/* What the files of the noun turn share. */
#ifndef CORE_TURN_PARTS_H
#define CORE_TURN_PARTS_H

#include "core/turn.h"

/* At a turn's end, before its lease's: the client that joined in it is gone with it, so the session's process is what it was.  Queued. */
void turn_give_back(struct txn *txn, const char *session, const char *resource, int64_t fence);

#endif
