/*
 * A session is one agent's run on one codebase.  Its key is made here and kept for life; what others call it are bindings.
 *
 * Its state moves only through session_move, along the table in session_state.c, and only by an event that is not older than
 * the state: hooks of one moment run in parallel and arrive in any order.  `ended` and `lost` are not final.
 */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include "base/json.h"
#include "base/str.h"
#include "core/engine.h"
#include "os/process.h"

enum session_state { SESSION_OPENING, SESSION_ACTIVE, SESSION_IDLE, SESSION_WAITING, SESSION_ENDED, SESSION_LOST };

/* What can happen to a session's state. */
enum session_event {
	SESSION_STARTS,   /* the client announces it, new or again */
	SESSION_WORKS,    /* a prompt, a tool call, its result, a sub-agent */
	SESSION_WAITS,    /* it asks a person something */
	SESSION_RESTS,    /* its turn is over */
	SESSION_ENDS,     /* the client says so, or its process announced another */
	SESSION_VANISHES, /* its process is gone */
	SESSION_EVENTS
};

struct session {
	char id[ID_SIZE];
	char client[LABEL_MAX + 1];
	char client_session[ID_MAX + 1];
	char client_version[LABEL_MAX + 1];
	char parent[ID_SIZE];
	enum session_state state;
	int64_t state_ms;
	char waiting_for[ID_MAX + 1];
	int64_t started_ms;
	int64_t event_ms;
	int64_t ended_ms; /* 0 = hasn't */
	char end_reason[LABEL_MAX + 1];
	int64_t events;
	int64_t generation;
	int64_t generation_ms;
	int64_t told_epoch; /* of the instructions, up to which its model was told; -1 = never */
	int64_t budget;
	bool budget_given;
	struct process process; /* pid 0 = not known */
	char cwd[TEXT_MAX + 1];
	char worktree[256];
	char branch[256];
};

const char *session_state_name(enum session_state state);
const char *session_event_name(enum session_event event);
enum status session_state_parse(const char *name, enum session_state *out) MUST_CHECK;

struct session_move_row {
	enum session_state from;
	enum session_event event;
	enum session_state to;
	const char *comment;
};

/* The n-th row of the table of lawful moves, NULL past the last. */
const struct session_move_row *session_move_nth(size_t n);

/* Whether it counts as here: opening, active, idle or waiting. */
bool session_is_live(enum session_state state);

/* What holds for all of a project's sessions: how its instructions stand. */
struct rulebook {
	int64_t epoch;
	int64_t active;    /* instructions */
	int64_t conflicts; /* that stand */
};

#define TRANSCRIPTS_READ 2 /* by one event, at most */
#define READING_SIZE 64
/* Where the reading of a transcript `t` stands, in one text; what does so else is spend.h's. */
#define TRANSCRIPT_READING "t.position || ' ' || t.context_from || ' ' || t.inside"

/* What is known of a session when it starts.  Texts may be empty, numbers 0. */
struct session_start {
	const char *client;
	const char *client_session;
	const char *client_version;
	const char *parent;
	int64_t budget; /* 0 = the configured one */
	struct process process;
	const char *cwd;
	const char *worktree;
	const char *branch;
	int64_t began_ms; /* when the event's own process began; 0 = as the next says */
	int64_t began_boot_ms; /* the same by this machine's clock_boot_ms; 0 = now */
	const struct session *joins; /* the one that an id which is new here becomes a conversation of; NULL = none */
	const char *transcripts[TRANSCRIPTS_READ]; /* whose readings are asked for with the session; NULL = none */
};

/* When that was on the store's clock; 0 = it doesn't say. */
int64_t session_began(struct txn *txn, const struct session_start *start);

/* Makes a new session in state `opening` and fills *out.  Queued writes only; IO_FAILED without randomness. */
enum status session_create(struct txn *txn, const struct session_start *start, struct session *out, struct buf *why) MUST_CHECK;

/* NO_SUCH with `why` when there is none. */
enum status session_load(struct txn *txn, const char *id, struct session *out, struct buf *why) MUST_CHECK;
enum status session_unknown(const char *id, struct buf *why);

/* Writes back every column that may change: queued.  The caller loaded it in this transaction. */
void session_save(struct txn *txn, const struct session *session);

/*
 * Moves the state by `event`, which began at `began_ms`; an event older than the state changes nothing here (false), save that
 * any work ends `opening`.  The move is audited.  `detail` is what it waits for, or why it ended; "" otherwise.  Changes *session; the caller saves it.
 */
bool session_move(struct txn *txn, struct session *session, enum session_event event, int64_t began_ms, const char *detail);

/* Opens a new generation of its context (clear, compact): audited; the caller saves it. */
void session_open_generation(struct txn *txn, struct session *session, const char *reason);

/* For nouns that join: the columns, in this order, from column 0 of a row. */
#define SESSION_COLUMNS                                                                                                         \
	"session, client, client_session, client_version, parent, state, state_ms, waiting_for, started_ms, event_ms, ended_ms,"    \
	" end_reason, events, generation, generation_ms, budget, budget_given, pid, pid_start, pid_space, pid_boot, cwd, worktree," \
	" branch, told_epoch"
#define SESSION_COLUMN_COUNT 25
void session_from_row(const struct db_rows *rows, size_t row, struct session *out);

struct session_list {
	struct session *items;
	size_t count;
};

/* Every session of the project that is live, and with `all` every other too, oldest first; of more than 10,000 the newest. */
enum status session_list(struct txn *txn, bool all, struct session_list *out, struct buf *why) MUST_CHECK;
void session_list_release(struct session_list *list);

/* As a document, the times in ms; `liveness` as found by the caller. */
json_t *session_json(const struct session *session, enum liveness liveness);

/* A start that nothing followed within the configured time: not a peer. */
bool session_is_phantom(const struct session *session, int64_t now_ms, int64_t phantom_ms);

#endif
