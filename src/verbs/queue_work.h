/*
 * `queue work`: processes that each take an item, run the command with its payload on stdin, and end the claim by what became of it.
 *
 * A worker is a process of its own with an anchor that its command holds too; one that is killed is replaced, and its item is
 * anybody's at once.  Told to stop (TERM, INT, HUP) they finish what they are at; told again, the commands are told.
 */
#ifndef VERBS_QUEUE_WORK_H
#define VERBS_QUEUE_WORK_H

#include "verbs/verb.h"

enum status queue_work_run(struct call *call);

#endif
