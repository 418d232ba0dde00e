/*
 * What an agent's client says happened, in our words, and what follows from it: the session it belongs to, its state, its
 * counters, its context and checkpoints, and what is to be said back.  One transaction.
 */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "core/binding.h"
#include "core/checkpoint.h"
#include "core/instruction_report.h"
#include "core/pressure.h"
#include "core/queue.h"
#include "core/spend.h"
#include "core/turn.h"

enum event_kind {
	EVENT_OTHER,       /* a sign of life, nothing more */
	EVENT_START,
	EVENT_PROMPT,      /* a person or program said something: a message */
	EVENT_TOOL,        /* a tool is about to run: may be denied */
	EVENT_TOOL_DONE,
	EVENT_TOOL_FAILED,
	EVENT_ASKS,        /* it waits for a person */
	EVENT_ANSWERED,    /* it does no longer */
	EVENT_TURN_ENDS,
	EVENT_SUB_STARTS,
	EVENT_SUB_ENDS,
	EVENT_COMPACTED,
	EVENT_END,
	EVENT_METRICS,     /* the status line: tokens only, no state */
};

/* What of an event is to be kept in a queue, with the event's own rows.  `queue` NULL: nothing. */
struct event_keep {
	const char *queue;
	const struct queue_put *put; /* but for its line, which is the session; NULL: it can't be, for `reason` */
	const char *reason;
};

struct event {
	enum event_kind kind;
	enum arrival arrival;            /* of EVENT_START */
	char name[LABEL_MAX + 1];        /* the client's word for it */
	char client[LABEL_MAX + 1];
	char client_session[ID_MAX + 1];
	char client_version[LABEL_MAX + 1];
	char agent[LABEL_MAX + 1];       /* sub-agent; "" = the session itself */
	char agent_type[LABEL_MAX + 1];
	char prompt_id[ID_MAX + 1];
	char tool[ID_MAX + 1];
	char tool_use[ID_MAX + 1];
	char detail[ID_MAX + 1];         /* what it waits for; why it ended */
	char cwd[TEXT_MAX + 1];
	char transcript[TEXT_MAX + 1];   /* "" = not given */
	char agent_transcript[TEXT_MAX + 1];
	int64_t context;                 /* tokens, if the client says; -1 = it doesn't */
	int64_t budget;                  /* the context's size, if the client says; 0 = it doesn't */
	bool can_speak;                  /* its answer reaches the model and the person */
	bool can_deny;
	json_t *input, *response;        /* of a tool, or a prompt as input; owned; NULL = not given */

	/* filled in by the front */
	char turn[ID_SIZE];              /* that its environment names; "" = none */
	struct process process;
	char worktree[256];
	char branch[256];
	int64_t began_ms;                /* on the store's clock; 0 = made of the next by the rule */
	int64_t began_boot_ms;           /* on the machine's */
	int64_t transcript_size;         /* when the event came */
	struct transcript_look looks[2]; /* owned */
	size_t look_count;
	struct event_keep keep;
};

struct event_answer {
	struct turn_inside inside; /* the turn in which its session is */
	bool opened; /* a generation of the context */
	struct arrived arrived;
	int64_t at_ms; /* the transaction's instant */
	struct checkpoint_list fired;
	struct checkpoint_list told;
	struct instruction_news news; /* to be told to the model */
	bool reap_due;
	bool kept;                /* a new item is there for what was to be kept */
	char dropped[WHY_MAX];    /* why it isn't kept, which is counted and on record; "" = it is, or was, or nothing was to be */
	char ended[2 * ID_SIZE + 1]; /* sessions that ended by it: what they hold by single steps is over (lease_end_sessions) */
};

void event_init(struct event *event);
void event_release(struct event *event);
void event_answer_release(struct event_answer *answer);

/*
 * The session that the event is of, made if need be: binding_arrive.  In the command of a turn the first conversation that is new
 * here joins the turn's session, and what comes after it is a child of that.  *inside is the turn, if the event's session is the
 * turn's own; else empty.  Two round trips in a turn.
 */
enum status event_arrive(struct txn *txn, const struct event *event, struct arrived *out, struct turn_inside *inside,
                         struct buf *why) MUST_CHECK;

/* The rule (see engine.h): at most four round trips. */
enum status event_apply(struct txn *txn, struct event *event, struct event_answer *answer, struct buf *why) MUST_CHECK;

#endif
