#ifndef VERBS_INSTALL_H
#define VERBS_INSTALL_H

#include "verbs/verb.h"

enum status install_new_worktrees(struct context *context, struct buf *why) MUST_CHECK;

#endif
