/*
 * claude-mem's database, in all its schemas: its sessions, with the ids of its own agent bound in the slot `memory`, which is distinct;
 * and what waited to be analysed there, into the queue `observations`, held until that slot is bound.
 *
 * Columns are read by the names they have: `claude_session_id` and `sdk_session_id` up to schema 16, `content_session_id` and
 * `memory_session_id` since; `platform_source` since 33; pending_messages may be away, or lack what came later.
 */
#ifndef LEGACY_CLAUDE_MEM_H
#define LEGACY_CLAUDE_MEM_H

#include "base/redact.h"
#include "db/foreign.h"
#include "legacy/past.h"

#define CLAUDE_MEM "claude-mem"
#define CLAUDE_MEM_SLOT "memory"
#define CLAUDE_MEM_QUEUE "observations"

struct claude_mem {
	struct foreign *foreign;
	const struct redactor *redactor; /* the caller's: what takes secrets out of what is put */
	const char *content, *memory; /* columns of sdk_sessions */
	bool platform, project, started;
	char pending[2000];           /* the query for what is pending; "" = there is no such table */
	int64_t schema;               /* 0 = it doesn't say */
	int64_t prompts, observations, summaries; /* which stay there */
};

/* Fills *mem but for the redactor.  BAD_INPUT when it is no database of claude-mem, or of an era that isn't known. */
enum status claude_mem_open(struct claude_mem *mem, const char *path, struct buf *why) MUST_CHECK;
void claude_mem_close(struct claude_mem *mem);

/* A past_walk; `foreign` is the struct claude_mem. */
enum status claude_mem_walk(struct past *past, void *foreign, struct buf *why);

#endif
