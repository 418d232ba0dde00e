#include "os/file_change.h"
#include "verbs/file_place.h"
#include "verbs/lease_ask.h"
#include "verbs/lease_hold.h"
#include "verbs/tables.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define CONTENT_MAX ((size_t)64 << 20)

/*
 * `file write|append|create|update`: one file changed as a whole, or not at all.
 *
 * Each passes the file's own lock: that one is free, or ours, in the transaction in which the change is made; who finds it held
 * waits for it.  With --lock that lease, too, must be the caller's with that fence at this moment.
 */
struct work {
	struct call *call;
	const char *path;
	char own[RESOURCE_MAX + 1];
	char lock[RESOURCE_MAX + 1]; /* that --lock names, "" = none */
	int64_t fence;
	struct caller caller; /* found only for --lock */
	struct hold hold;     /* of the file's own lock, once it is taken */
	bool held;
	struct lease other;
	struct buf content;
	struct file_change change;
};

static const char *
arg(const struct work *work, const char *key)
{
	return json_text(work->call->args, key, NULL);
}

static enum status
read_stdin(struct buf *out, struct buf *why)
{
	uint64_t dropped;
	enum status status = file_drain(STDIN_FILENO, out, &dropped, why);

	if (status == OK && dropped > 0)
		return why_not(why, BAD_INPUT, "the content has %llu bytes; at most %zu are taken",
		               (unsigned long long)(out->len + dropped), CONTENT_MAX);
	return status;
}

static enum status
read_content(struct work *work)
{
	const char *from = arg(work, "from");

	return from == NULL ? read_stdin(&work->content, work->call->why) : file_read(from, &work->content, work->call->why);
}

static enum status
rule_caller(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	return caller_find(txn, arg(work, "session"), &work->caller, why);
}

static enum status
begin(struct work *work)
{
	struct call *call = work->call;
	enum status status;

	buf_init(&work->content, CONTENT_MAX);
	work->path = arg(work, "path");
	work->change.fd = -1;
	if (*work->path == '\0')
		return why_not(call->why, BAD_INPUT, "the file's path is empty");
	status = ask_fence(call, work->lock, &work->fence, call->why);
	if (status == OK)
		status = context_open(call->context, false, call->why);
	hold_init(&work->hold, call->context, arg(work, "session"), NULL);
	/*
	 * Who asks is found apart: the change's own transaction waits for what it needs and nothing else.  And that a server has a store
	 * is known before anything is made here.
	 */
	if (status == OK && (work->lock[0] != '\0' || call->context->address.url[0] != '\0'))
		status = engine_read(&call->context->engine, rule_caller, work, call->why);
	if (status == OK)
		status = file_resource(call->context, work->path, work->own, call->why);
	return status;
}

/* The file's own lock for as long as it takes. */
static enum status
take_own(struct work *work)
{
	struct call *call = work->call;
	struct lease_ask ask = {.resource = work->own, .ttl_ms = HOLD_RUN_TTL_MS};
	enum status status = hold_take(&work->hold, &ask, 1, json_whole(call->args, "wait", HOLD_WAIT_MS), true, &work->other,
	                               call->why);

	work->held = status == OK;
	tell_holder(call->result, status, &work->other);
	return status;
}

static enum status
check_own(struct txn *txn, struct work *work, struct buf *why)
{
	enum status status;

	if (work->held) {
		txn->actor = work->hold.caller.actor;
		return lease_check(txn, work->own, work->hold.leases[0].fence, &work->other, why);
	}
	/* nobody's is as good as ours: until COMMIT nobody can take it */
	status = lease_holder(txn, work->own, &work->other, why);
	return status == NO_SUCH ? OK : status == OK || status == HELD ? QUEUED : status;
}

static enum status
rule_change(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	struct lease lease;
	enum status status = check_own(txn, work, why);

	if (status != OK || work->lock[0] == '\0')
		return status;
	txn->actor = work->caller.actor;
	return lease_check(txn, work->lock, work->fence, &lease, why);
}

static enum status
make_change(void *data, struct buf *why)
{
	struct work *work = data;

	return file_change_make(&work->change, why);
}

/* What was prepared is made, when its time comes. */
static enum status
make(struct work *work)
{
	struct engine *engine = &work->call->context->engine;
	enum status status = engine_run_with(engine, rule_change, make_change, work, work->call->why);

	if (status == QUEUED && (status = take_own(work)) == OK)
		status = engine_run_with(engine, rule_change, make_change, work, work->call->why);
	return status == OK ? file_change_settle(&work->change, work->call->why) : status;
}

static enum status
finish(struct work *work, enum status status)
{
	struct call *call = work->call;

	file_change_release(&work->change);
	/* the change is made; a lease that can't be given back ends with this process */
	if (work->held && hold_release(&work->hold, NULL) != OK)
		work->held = false;
	buf_release(&work->content);
	if (status != OK)
		return status;
	json_object_set_new(call->result, "path", json_lossy(work->path, strlen(work->path)));
	return OK;
}

static enum status
run_write(struct call *call)
{
	struct work work = {.call = call};
	enum status status = begin(&work);

	if (status == OK)
		status = read_content(&work);
	if (status == OK)
		status = file_change_replace(&work.change, work.path, work.content.data, work.content.len, 0666, call->why);
	if (status == OK)
		status = make(&work);
	if (status == OK)
		json_object_set_new(call->result, "bytes", json_integer((json_int_t)work.content.len));
	return finish(&work, status);
}

/* A line without its end would swallow the next one. */
static enum status
close_line(struct work *work)
{
	struct buf *content = &work->content;

	if (content->len == 0)
		return why_not(work->call->why, BAD_INPUT, "there is nothing to append; the content comes from stdin or --from");
	if (content->data[content->len - 1] != '\n')
		buf_add(content, "\n", 1);
	return buf_status(content) == OK ? OK : why_not(work->call->why, buf_status(content), "at most %zu bytes", CONTENT_MAX);
}

/* Anew, when the file was made or replaced between the look and the line; the second time nobody of ours can do that. */
static enum status
append(struct work *work)
{
	enum status status = CONFLICT, taken = OK;

	for (int tries = 0; tries < 3; tries++) {
		file_change_release(&work->change);
		status = file_change_append(&work->change, work->path, work->content.data, work->content.len, 0666, work->call->why);
		if (status == OK)
			status = make(work);
		if (status != CONFLICT || !work->change.there)
			break;
		if (!work->held && (taken = take_own(work)) != OK)
			return taken;
	}
	return status;
}

static enum status
run_append(struct call *call)
{
	struct work work = {.call = call};
	enum status status = begin(&work);

	if (status == OK)
		status = read_content(&work);
	if (status == OK)
		status = close_line(&work);
	if (status == OK)
		status = append(&work);
	if (status == OK) {
		json_object_set_new(call->result, "bytes", json_integer((json_int_t)work.content.len));
		json_object_set_new(call->result, "healed", json_boolean(work.change.torn));
	}
	return finish(&work, status);
}

static enum status
run_create(struct call *call)
{
	struct work work = {.call = call};
	enum status status = begin(&work);

	if (status == OK)
		status = read_content(&work);
	if (status == OK)
		status = file_change_create(&work.change, work.path, work.content.data, work.content.len, 0666, call->why);
	if (status == OK)
		status = make(&work);
	if (status == OK)
		json_object_set_new(call->result, "created", json_boolean(!work.change.there));
	return finish(&work, status);
}

/* Files in memory instead of pipes: nobody has to read while somebody writes. */
static enum status
memory_file(const struct buf *content, int *fd, struct buf *why)
{
	*fd = memfd_create("content", MFD_CLOEXEC);
	if (*fd >= 0 && (content == NULL || file_write_all(*fd, content->data, content->len)) && lseek(*fd, 0, SEEK_SET) == 0)
		return OK;
	return why_not(why, IO_FAILED, "no memory file: %s", strerror(errno));
}

/* Runs the command on the content that is there; `out` is what it makes of it. */
static enum status
filter(struct work *work, struct buf *out)
{
	struct call *call = work->call;
	int from = -1, to = -1;
	uint64_t dropped = 0;
	enum status status = memory_file(&work->content, &from, call->why);

	if (status == OK)
		status = memory_file(NULL, &to, call->why);
	if (status == OK)
		status = hold_filter(&work->hold, call->command, from, to, &call->exit, call->why);
	if (status == OK && call->exit == 0 && lseek(to, 0, SEEK_SET) == 0)
		status = file_drain(to, out, &dropped, call->why);
	if (status == OK && dropped > 0)
		status = why_not(call->why, BAD_INPUT, "the command made more than %zu bytes; %s stays as it is", CONTENT_MAX,
		                 work->path);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return status;
}

static enum status
replace_if_changed(struct work *work, const struct buf *fresh, bool there)
{
	struct call *call = work->call;
	bool same = there && fresh->len == work->content.len &&
	            (fresh->len == 0 || memcmp(fresh->data, work->content.data, fresh->len) == 0);
	enum status status;

	json_object_set_new(call->result, "changed", json_boolean(!same));
	if (same)
		return OK;
	status = file_change_replace(&work->change, work->path, fresh->data, fresh->len, 0666, call->why);
	/* those who don't come through here are seen up to this moment */
	if (status == OK)
		status = target_compare(work->change.target.path, there ? work->content.data : NULL, work->content.len, call->why);
	if (status == OK)
		buf_clear(call->why);
	return status == OK ? make(work) : status;
}

static enum status
run_update(struct call *call)
{
	struct work work = {.call = call};
	struct buf fresh;
	bool there;
	enum status status = begin(&work);

	buf_init(&fresh, CONTENT_MAX);
	if (status == OK)
		status = file_may_replace(work.path, call->why);
	if (status == OK)
		status = take_own(&work);
	if (status == OK)
		status = file_read(work.path, &work.content, call->why);
	there = status == OK;
	if (status == NO_SUCH)
		status = why_not(call->why, OK, "%s", "");
	if (status == OK)
		status = filter(&work, &fresh);
	/* a command that failed has made nothing */
	if (status == OK && call->exit == 0)
		status = replace_if_changed(&work, &fresh, there);
	buf_release(&fresh);
	return finish(&work, status);
}

#define PATH \
	{ \
		"path", PARAM_TEXT, "PATH", "the file; links are followed", true, true, false \
	}
#define FROM \
	{ \
		"from", PARAM_TEXT, "F", "the content; default: stdin", false, false, false \
	}
#define GUARD \
	{"lock", PARAM_TEXT, "NAME", "only while the caller holds this lock (or task/NAME), with --fence", false, false, false}, \
		{"fence", PARAM_WHOLE, "F", "the lease's: a stale one is refused", false, false, false}, \
		{"wait", PARAM_DURATION, "D", "for who updates the file just now; default 30s", false, false, false}, \
	{ \
		"session", PARAM_TEXT, "SESSION", "who asks; default: the caller", false, false, false \
	}

static const struct param content_params[] = {PATH, FROM, GUARD};
static const struct param update_params[] = {
	PATH,
	GUARD,
	{"command", PARAM_COMMAND, "CMD...",
     "gets the content on stdin, and what it writes to stdout is the new one if it ends with 0; run without a shell", true,
     true, false},
};

static const struct verb verbs[] = {
	{"file write", "replace a file in one step", DOES_WRITE | DOES_OPEN_PATH, NULL, PARAMS(content_params), run_write},
	{"file append", "add a line to a file, in one write; a torn one before it is closed first", DOES_WRITE | DOES_OPEN_PATH,
     NULL, PARAMS(content_params), run_append},
	{"file create", "make a file once: with the same content it is no error, with another it is refused",
     DOES_WRITE | DOES_OPEN_PATH, NULL, PARAMS(content_params), run_create},
	{"file update", "read, change and replace a file while no other does", DOES_WRITE | DOES_OPEN_PATH | DOES_RUN, NULL,
     PARAMS(update_params), run_update},
};

const struct verb_table verbs_file = VERB_TABLE(verbs);
