/*
 * What one process of many asks of Stile, as its dice say, with each answer written down (lib/recording.h).
 *
 * It plays in lanes.  A lane is one resource; of tasks and tokens it is one after another, since a task ends.
 */
#ifndef LIB_PLAYING_H
#define LIB_PLAYING_H

#include "lib/recording.h"

#define LANES 3 /* the last one's lock is a semaphore of two, its queue one without a line */

/* How long what was taken lasts: what is short is left to pass. */
#define PLAY_SHORT_MS 20
#define PLAY_LONG_MS 60000

/* What all processes of one round share. */
struct stage {
	struct codebase codebase;
	uint64_t seed;
	unsigned round;
	char sessions[LANES][ID_SIZE]; /* whose counters are added to */
	char instructions[LANES][40];
};

struct player {
	struct actor actor;
	const struct stage *stage;
	struct stile *resident;
	int64_t pid; /* what it takes is held as long as this process is there; 0 = by nobody in particular */
	bool dying;  /* it may be gone at any moment */
	struct lane {
		uint32_t resource;
		int64_t fence; /* 0 = none; of a text, the version that was read */
		int64_t ttl_ms;
		int64_t lost; /* a fence that was left to pass */
		int64_t item, lost_item, done_item, done; /* of a queue: what was claimed, left to pass, or done, with that generation */
	} lanes[LANES];
};

void player_begin(struct player *player, const struct stage *stage, struct record *record, uint32_t process);

/* From now on what it holds, and what it comes to hold, may become free at any time. */
void player_dies(struct player *player);

/* How long to wait for what is not to be had at once: mostly not at all; now and then so long that what is short passes meanwhile. */
unsigned player_patience_ms(struct player *player);

/* The text that an instruction begins with: no two have the same, the second would be the first's. */
int64_t play_first_text(const struct stage *stage, uint32_t lane);

/* One operation in that lane. */
typedef void play_function(struct player *player, uint32_t lane);
play_function play_leases, play_tasks, play_tokens, play_counters, play_instructions, play_queues;

#endif
