#include "serve/worker.h"

#include "os/clock.h"
#include "os/process.h"
#include "os/resident.h"
#include "serve/ask.h"
#include "serve/request.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define REQUESTS_MAX 2000 /* by one worker, so that what leaks anywhere does so for a while only */
#define REQUEST_WAIT_MS 200
#define SPARE_S 10 /* idle for so long, with another one idle too: not needed */

extern char **environ;

bool
board_has_idle(const struct board *board)
{
	for (size_t i = 0; i < WORKERS_MAX; i++)
		if (board->slots[i] == SLOT_IDLE || board->slots[i] == SLOT_STARTING)
			return true;
	return false;
}

/* The one connection that outlives a request, and where it leads to. */
static struct {
	enum status (*open)(const struct store_address *address, bool make, struct db **out, struct buf *why);
	struct store_address address;
	struct db *db;
	struct db_ops ops;
	const struct db_ops *real;
} kept;

static void
keep(struct db *db, bool process_ends)
{
	(void)process_ends;
	db_rollback(db);
}

static void
drop_kept(void)
{
	if (kept.db == NULL)
		return;
	kept.db->ops = kept.real;
	kept.db->ops->close(kept.db, false);
	kept.db = NULL;
}

/* An opener for struct context: another codebase's event may come here too, for which the connection is made anew. */
static enum status
open_kept(const struct store_address *address, bool make, struct db **out, struct buf *why)
{
	enum status status;

	if (kept.db != NULL && !make && str_equal(kept.address.url, address->url) &&
	    str_equal(kept.address.project, address->project)) {
		*out = kept.db;
		return OK;
	}
	drop_kept();
	kept.address = *address;
	kept.address.hurried = true; /* hooks are all that it does */
	status = kept.open(&kept.address, make, &kept.db, why);
	if (status != OK)
		return status;
	kept.real = kept.db->ops;
	kept.ops = *kept.real;
	kept.ops.close = keep;
	kept.db->ops = &kept.ops;
	*out = kept.db;
	return OK;
}

/* Descriptors 0 to 2 become `fds`, or nothing. */
static bool
take_streams(const int *fds)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool done = null >= 0;

	for (int i = 0; i <= STDERR_FILENO && done; i++)
		done = dup2(fds == NULL ? null : fds[i], i) >= 0;
	if (null > STDERR_FILENO)
		close(null);
	return done;
}

/* Nothing of this one's is left to the next. */
static void
leave(void)
{
	__fpurge(stdout);
	__fpurge(stderr);
	clearerr(stdout);
	clearerr(stderr);
	/* what had failed is the event's own end, not ours */
	if (!take_streams(NULL) || chdir("/") != 0)
		_exit(1);
	process_stand_for(0);
}

static int
do_in_its_place(const struct worker *worker, struct request *request)
{
	char **own = environ;
	int status = 1;

	environ = request->env;
	umask(request->mask);
	process_stand_for(request->parent);
	if (fchdir(request->fds[REQUEST_FOLDER]) == 0 && take_streams(request->fds)) {
		status = worker->run(worker->context, request->count, request->words, request->began_boot_ms);
		context_release(worker->context, false);
		if (fflush(stdout) != 0 && status == 0)
			status = 74;
	}
	leave();
	environ = own;
	return status;
}

static void
tell_parent(const struct worker *worker, char what)
{
	/* full: it has enough to read */
	if (write(worker->parent, &what, 1) < 0)
		return;
}

static void
answer(const struct worker *worker, int connection, struct request *request)
{
	enum received received = request_receive(connection, worker->key, request);
	unsigned char status;

	if (received == RECEIVED_OTHER_KEY)
		tell_parent(worker, TOLD_OTHER_KEY);
	if (received == RECEIVED && request_take(request->fds[REQUEST_TICKET])) {
		status = (unsigned char)do_in_its_place(worker, request);
		worker->board->served++;
		send(connection, &status, 1, MSG_NOSIGNAL);
	}
	for (size_t i = 0; i < REQUEST_FDS; i++)
		if (request->fds[i] >= 0)
			close(request->fds[i]);
}

static void
hold_term(bool hold)
{
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &term, NULL);
}

static void
work_for(const struct worker *worker, int connection)
{
	static struct request request; /* large */
	const struct timeval limit = {.tv_usec = REQUEST_WAIT_MS * 1000};

	hold_term(true);
	alarm(SERVE_LIMIT_S);
	worker->board->slots[worker->slot] = SLOT_BUSY;
	worker->board->last_ms = clock_boot_ms();
	if (!board_has_idle(worker->board))
		tell_parent(worker, TOLD_NONE_IDLE);
	if (resident_is_ours(connection) && setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0)
		answer(worker, connection, &request);
	worker->board->last_ms = clock_boot_ms();
	worker->board->slots[worker->slot] = SLOT_IDLE;
	alarm(0);
	hold_term(false);
}

/* Whether one who stays longer is idle too. */
static bool
is_spare(const struct worker *worker)
{
	for (int i = 0; i < worker->slot; i++)
		if (worker->board->slots[i] == SLOT_IDLE)
			return true;
	return false;
}

/* The connection is there before anybody asks.  If it can't be made now, that is told to who asks. */
static void
connect_early(struct context *context)
{
	if (context_open(context, false, NULL) == OK)
		context_release(context, false);
}

noreturn void
worker_run(const struct worker *worker)
{
	const struct timeval spare = {.tv_sec = SPARE_S};

	hold_term(false);
	if (!take_streams(NULL) || setsockopt(worker->listener, SOL_SOCKET, SO_RCVTIMEO, &spare, sizeof spare) != 0)
		_exit(1);
	kept.open = worker->context->open_store;
	worker->context->open_store = open_kept;
	connect_early(worker->context);
	if (chdir("/") != 0)
		_exit(1);
	worker->board->slots[worker->slot] = SLOT_IDLE;
	for (int done = 0; done < REQUESTS_MAX;) {
		int connection = accept4(worker->listener, NULL, NULL, SOCK_CLOEXEC);

		if (connection >= 0) {
			work_for(worker, connection);
			close(connection);
			done++;
		} else if (errno == EAGAIN ? is_spare(worker) : errno != EINTR && errno != ECONNABORTED) {
			break;
		}
	}
	_exit(0);
}
