/* `session await`: waits until a slot of a session is bound. */
#ifndef VERBS_AWAIT_H
#define VERBS_AWAIT_H

#include "verbs/verb.h"

enum status await_run(struct call *call);

#endif
