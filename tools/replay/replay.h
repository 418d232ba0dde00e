/*
 * Replays recorded sessions at once, through the hook program as a client calls it, and compares what Stile then says of each
 * with what was worked out by hand; and beside it, what one shared file would have said of all.
 */
#ifndef REPLAY_REPLAY_H
#define REPLAY_REPLAY_H

#include "base/json.h"
#include "base/str.h"
#include "os/paths.h"

#define STREAMS_MAX 16
#define LINES_MAX 4096
#define STALLED_MS 30000 /* no event takes so long */

struct setting {
	char program[PATH_SIZE];     /* stile */
	char repository[PATH_SIZE];  /* where it has been initialised */
	char transcripts[PATH_SIZE]; /* a folder for the conversations' transcripts */
	unsigned at_once;            /* events that may be on their way */
	uint64_t seed;
};

/* One session's recording: its lines in order, and what is to come of it. */
struct stream {
	const char *name; /* "1" */
	json_t *expected;
	json_t **lines; /* {"event" or "statusline":..., "transcript":[...], ...} */
	size_t count;
};

struct replay {
	struct setting setting;
	json_t *expected; /* owns what streams and lines borrow */
	struct stream streams[STREAMS_MAX];
	size_t count;
};

/* The order in which the events were done with. */
struct happening {
	size_t stream;
	size_t line;
};

struct order {
	struct happening *items;
	size_t count;
	size_t failed; /* hooks that did not end with 0 */
};

/* Reads expected.json and the recordings it names in `fixtures`.  Statuses as file_read and json_parse. */
enum status streams_read(struct replay *replay, const char *fixtures, struct buf *why) MUST_CHECK;
void streams_release(struct replay *replay);

/* The payload of a line, and whether it is for the status line. */
const json_t *line_payload(const json_t *line, bool *status_line);

/* An agent's process: it plays one stream, a line whenever it is told to, and stays until it is let go. */
struct agent {
	pid_t pid;
	int fd; /* a byte to it: the next line; a byte from it: the status its hook ended with */
};

enum status agent_start(const struct replay *replay, size_t stream, struct agent *out, struct buf *why) MUST_CHECK;
void agent_stop(struct agent *agent);

/* Lets the agents play all their lines in random order, some at a time.  BUSY when one stalls. */
enum status play(const struct replay *replay, struct agent *agents, struct order *order, struct buf *why) MUST_CHECK;

/* What stile says, sessions beside what was expected: prints the table; *wrong counts what differs, each told on stderr. */
enum status report_sessions(const struct replay *replay, size_t *wrong, struct buf *why) MUST_CHECK;

/* What one shared file would have said, fed with the same in the same order: prints it. */
enum status report_shared(const struct replay *replay, const struct order *order, struct buf *why) MUST_CHECK;

/* A number with commas, in a static place that is used again eight calls later. */
const char *grouped(int64_t number);

#endif
