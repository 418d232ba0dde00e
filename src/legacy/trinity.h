/*
 * Trinity's database: its sessions, with the id to resume each by, and their messages, which become turns.  Sessions without an id, and
 * messages whose session is gone, are taken too.
 */
#ifndef LEGACY_TRINITY_H
#define LEGACY_TRINITY_H

#include "db/foreign.h"
#include "legacy/past.h"

#define TRINITY "trinity"

struct trinity {
	struct foreign *foreign;
	bool started, agent, ran_as; /* it has these columns */
};

/* BAD_INPUT when it is no database of Trinity's. */
enum status trinity_open(struct trinity *trinity, const char *path, struct buf *why) MUST_CHECK;
void trinity_close(struct trinity *trinity);

/* A past_walk; `foreign` is the struct trinity. */
enum status trinity_walk(struct past *past, void *foreign, struct buf *why);

#endif
