/*
 * A verb is one operation, stated once: name, parameters, help, what it does, from where it can be reached, and its function.
 * The command line, help, manual page and completions are made from the table; so will be HTTP routes and MCP tools.
 * To add one: a function and a row in its noun's file (verbs/NOUN.c).  A new file's table stands in tables.h and verb.c.
 * A verb never prints: it fills `result`, a JSON object, and for a no or a failure gives its reason in `why`.
 */
#ifndef VERBS_VERB_H
#define VERBS_VERB_H

#include "base/json.h"
#include "base/str.h"
#include "core/engine.h"
#include "core/lease.h"
#include "os/anchor.h"
#include "os/paths.h"
#include "os/process.h"

/* Where we are, and the store when a verb has opened it.  One per process or per stile_open. */
struct context {
	char folder[PATH_SIZE];         /* where the caller is */
	struct place place;
	struct store_address address;
	char program[PATH_SIZE];        /* absolute path of the running program */
	int64_t wait_ms;                /* for the write gate */
	struct engine engine;
	struct witness witness;         /* the engine's */
	bool engine_open;
	bool wants_resident; /* a session began, on a server's store, and the configuration lets a resident be started */
	/* given by main.c, which alone knows the engines; `make` makes a store that isn't there */
	enum status (*open_store)(const struct store_address *address, bool make, struct db **out, struct buf *why);
};

/*
 * Finds the place of `folder` and where its store is.  Opens nothing.  Statuses as paths_find and paths_store.
 */
enum status context_find(struct context *context, const char *folder, struct buf *why) MUST_CHECK;

/* The store for people: its folder, or a server's address without user and password. */
const char *context_store_name(const struct context *context);

/*
 * Whether a session's process lives.  As process_liveness, but where the store serves many machines a process of another boot
 * may be another machine's: it is unknown.
 */
enum liveness context_liveness(const struct context *context, const struct process *process);

/* Opens the store and reads the configuration, if that isn't done yet.  STORE_DOWN, BAD_CONFIG with `why`. */
enum status context_open(struct context *context, bool make, struct buf *why) MUST_CHECK;

/*
 * Makes the folder that is this machine's own (anchors and the like), which a server's store has not where nobody typed `init`.
 * After the store has answered: without one nothing is made.  IO_FAILED.
 */
enum status context_make_place(const struct context *context, struct buf *why) MUST_CHECK;

/*
 * An anchor of this process; and, if it `stays` to prove what is held by it, for those on other machines what shows them that our
 * connection is there.  The store is asked first: without one nothing is made here.  STORE_DOWN, IO_FAILED.
 */
enum status context_anchor(struct context *context, bool stays, struct anchor *out, struct buf *why) MUST_CHECK;

/*
 * The settings alone, for when the store can't be opened.  BAD_CONFIG with `why`: *config then holds what could be read.  The
 * caller releases it in any case.
 */
enum status context_config(const struct context *context, struct config *config, struct buf *why) MUST_CHECK;
void context_release(struct context *context, bool process_ends);

/*
 * A long text of at most LONG_TEXT_MAX bytes may on the command line also come from a file, --NAME-file F, or from stdin, `-`.
 * So may a body (BODY_MAX) and a payload (PAYLOAD_MAX; not given, it comes from stdin), which are kept to the byte.  A pair is
 * "KEY=VALUE"; given several times it is not taken apart at commas.  A command is all words after `--`, of any bytes: it comes
 * as call->command, from the command line alone.  A span is a duration that isn't 0.
 */
enum param_type {
	PARAM_TEXT,
	PARAM_LONG,
	PARAM_BODY,
	PARAM_PAYLOAD,
	PARAM_PAIR,
	PARAM_WHOLE,
	PARAM_NUMBER,
	PARAM_DURATION,
	PARAM_SPAN,
	PARAM_FLAG,
	PARAM_COMMAND
};
#define LONG_TEXT_MAX ((size_t)64 << 10)
#define BODY_MAX ((size_t)1 << 20)
#define PAYLOAD_MAX ((size_t)16 << 20)

struct param {
	const char *name;        /* "client-session"; in JSON the same with _ for - */
	enum param_type type;    /* durations: ms in JSON */
	const char *placeholder; /* "ID" */
	const char *help;
	bool positional;
	bool required;
	bool many;               /* may be given again, or with commas: an array of texts */
};

/* What a verb does, so that a front can decide whether to offer it. */
enum verb_does {
	DOES_READ = 1,
	DOES_WRITE = 2,
	DOES_OPEN_PATH = 4,   /* opens a path that the caller names */
	DOES_RUN = 8,         /* runs a command */
	DOES_INSTALL = 16,    /* changes the installation */
};
#define COMMAND_LINE_ONLY (DOES_OPEN_PATH | DOES_RUN | DOES_INSTALL)

struct call {
	struct context *context;
	const json_t *args;   /* object, checked against the verb's params */
	bool by_hand;         /* it came from the command line: only then may a part of a verb open a path, where the verb itself doesn't */
	char *const *command; /* of a verb with a PARAM_COMMAND; else NULL */
	int exit;             /* of that command, -1 until the verb has started it; the verb's own outcome is told on stderr then */
	json_t *result;       /* object, empty at first; its "notes" are lines for people about a command that was run */
	struct buf *why;
	struct rows *rows;    /* NULL: a list is only in the result; else a long one may be given here instead */
};

struct verb {
	const char *name;     /* "session start", "status" */
	const char *help;     /* one line */
	unsigned does;
	const char *columns;  /* of a list as text: "session client state"; NULL: all */
	const struct param *params;
	size_t param_count;
	enum status (*run)(struct call *call);
};

/* Whether it is a text that may come from a file; and the most bytes that it may have. */
bool param_is_long(const struct param *param);
size_t param_limit(const struct param *param);

/* A parameter's key in JSON, and back. */
void param_key(const struct param *param, char out[LABEL_MAX + 1]);
const struct param *param_find(const struct verb *verb, const char *key);

const struct verb *verb_find(const char *name); /* NULL when there is none */
const struct verb *verb_nth(size_t n);

/* Adds what a no or a failure says of itself, {"error":...,"hint":...}, unless the verb has said a narrower "error". */
void verb_refusal(json_t *result, enum status status, const struct buf *why);

/* Checks `args` (unknown, missing, wrong type: USAGE or BAD_INPUT with `why`) and runs it. */
enum status verb_run(const struct verb *verb, struct call *call) MUST_CHECK;

#endif
