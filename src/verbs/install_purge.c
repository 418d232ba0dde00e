#include "verbs/install.h"

#include "core/session.h"
#include "os/file.h"
#include "os/gate.h"
#include "verbs/install_set.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

struct living {
	struct session_list sessions;
	struct session first;
	size_t count;
};

static enum status
list_live(struct txn *txn, void *arg, struct buf *why)
{
	struct living *living = arg;

	return session_list(txn, false, &living->sessions, why);
}

/* HELD while a session lives that isn't proven dead. */
static enum status
check_nobody_lives(struct context *context, json_t *result, struct buf *why)
{
	struct living living = {.count = 0};
	enum status status = engine_read(&context->engine, list_live, &living, why);

	if (status != OK)
		return status;
	for (size_t i = living.sessions.count; i-- > 0;)
		if (context_liveness(context, &living.sessions.items[i].process) != LIVENESS_DEAD) {
			living.first = living.sessions.items[i];
			living.count++;
		}
	session_list_release(&living.sessions);
	if (living.count == 0)
		return OK;
	json_object_set_new(result, "holder", json_string(living.first.id));
	json_object_set_new(result, "client", json_string(living.first.client));
	json_object_set_new(result, "since_ms", json_integer(living.first.started_ms));
	json_object_set_new(result, "count", json_integer((json_int_t)living.count));
	return why_not(why, HELD, "session %s (%s, process %lld) lives here%s; end it first (stile session end %s)",
	               living.first.id, living.first.client, (long long)living.first.process.pid,
	               living.count > 1 ? ", and others" : "", living.first.id);
}

/*
 * In one step, under the gate: who waits for the gate finds then that the file he waited at is no longer the store's.  Nobody
 * can have become a session since the last look.
 */
static enum status
move_aside(struct context *context, const char *aside, json_t *result, struct buf *why)
{
	struct gate gate;
	enum status status = gate_open(&gate, context->address.folder, true, why);

	if (status != OK)
		return status;
	status = gate_take(&gate, context->wait_ms, why);
	if (status == OK && context->engine_open)
		status = check_nobody_lives(context, result, why);
	if (status == OK) {
		context_release(context, false);
		if (rename(context->address.folder, aside) != 0)
			status = why_not(why, STORE_DOWN, "%s: can't be removed: %s", context->address.folder, strerror(errno));
	}
	gate_close(&gate);
	return status;
}

static enum status
remove_store(struct context *context, bool locked, json_t *result, struct buf *why)
{
	char aside[PATH_SIZE + 16];
	struct stat there;
	enum status status;

	snprintf(aside, sizeof aside, "%s-purged", context->address.folder);
	status = file_remove_folder(aside, why); /* what an earlier one left that was killed */
	if (status == OK && locked && stat(context->address.folder, &there) == 0)
		status = move_aside(context, aside, result, why);
	return status == OK ? file_remove_folder(aside, why) : status;
}

/* Without the lock there was no store; one that comes to be meanwhile is its maker's. */
static enum status
purge(struct context *context, bool locked, json_t *result, struct buf *why)
{
	enum status status = OK;
	struct stat there;

	if (locked && stat(context->address.file, &there) == 0) {
		status = context_open(context, false, why);
		if (status == OK)
			status = check_nobody_lives(context, result, why);
	}
	/* the files are given back first, so that whatever ends us before the store is gone leaves nothing that can't be undone */
	if (status == OK)
		status = install_undo_locked(context, result, why);
	if (status != OK)
		return status;
	status = remove_store(context, locked, result, why);
	if (status == HELD && json_array_size(json_object_get(result, "worktrees")) > 0 &&
	    install_guard_locked(context, result, NULL) != OK)
		return why_not(why, HELD, "a session began meanwhile, so the store is kept; but the hooks are out: run `stile init`");
	return status;
}

enum status
install_purge(struct context *context, json_t *result, struct buf *why)
{
	int fd;
	enum status status;

	if (!str_equal(context->address.project, ".") || context->address.url[0] != '\0')
		return why_not(why, NOT_ALLOWED,
		               "%s is named by STILE_STORE, and other codebases may use it: take the hooks out with "
		               "`stile init --undo`, and remove it by hand when nobody does",
		               context_store_name(context));
	status = install_lock_if_there(context, &fd, why);
	if (status != OK)
		return status;
	status = purge(context, fd >= 0, result, why);
	if (status == OK)
		json_object_set_new(result, "purged", json_true());
	if (fd >= 0)
		close(fd);
	return status;
}
