/*
 * What a session's model calls cost, from its transcripts: one row per response, (session, message id, request id), so that a
 * response met again replaces its counts.  And how far each transcript was read, moved by compare-and-set: of two hooks that
 * read the same stretch one counts it.
 */
#ifndef CORE_SPEND_H
#define CORE_SPEND_H

#include "core/metric.h"

/* One response as a transcript has it. */
struct usage {
	char message[ID_MAX + 1];
	char request[ID_MAX + 1];
	char agent[LABEL_MAX + 1]; /* "" = the main thread */
	int64_t input;
	int64_t cache_write;
	int64_t cache_read;
	int64_t output;
	int64_t offset; /* of its line in the file */
};

struct usage_list {
	struct usage *items;
	size_t count;
	size_t cap;
};

void usage_list_release(struct usage_list *list);

/* Adds one, or replaces the one with the same message and request.  NO_MEMORY. */
enum status usage_list_put(struct usage_list *list, const struct usage *usage) MUST_CHECK;

/* Where the reading of one transcript stands. */
struct transcript {
	char path[TEXT_MAX + 1];
	char agent[LABEL_MAX + 1];
	int64_t position;
	bool inside;
	int64_t context_from;
	int64_t size;
	int64_t broken;
};

/* What one look at a transcript found.  `context` < 0: no newer record of the main thread was seen. */
struct transcript_look {
	struct transcript before; /* as spend_position gave it */
	struct transcript after;
	struct usage_list usages;
	int64_t context;
};

/*
 * Where to go on in `path` of the session that `client`'s id means; all zero for one not read before (OK).  `lagging` gets
 * another transcript of it that is not read to its end, its path "" if there is none.
 */
enum status spend_position(struct txn *txn, const char *client, const char *client_session, const char *path,
                           struct transcript *out, struct transcript *lagging, struct buf *why) MUST_CHECK;

/*
 * Takes in what a look at a transcript found, if that still stands where the look began: `reading` is where it stands
 * (TRANSCRIPT_READING), "" = never read.  Else another hook was first and nothing is changed.  Context and spend are two metrics;
 * sub-agents' spend is apart.  Queued.
 */
void spend_take(struct txn *txn, const char *session, const struct transcript_look *look, const char *reading);

/* The context begins anew at `size` bytes of the transcript: what stands before is of an earlier one.  Queued. */
void spend_open_generation(struct txn *txn, const char *session, const char *path, int64_t size);

#endif
