#include "serve/serve.h"

#include "os/clock.h"
#include "os/resident.h"
#include "serve/request.h"
#include "serve/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEY_MAX ((size_t)32 << 10)
#define USELESS_MAX 3 /* workers that end, one after another, before anybody was served */

extern char **environ;

struct resident_process {
	struct worker worker; /* what each of them is given */
	struct resident_seat seat;
	struct buf key;
	char program[PATH_SIZE];
	int64_t idle_ms;
	pid_t workers[WORKERS_MAX];
	uint32_t served; /* when a worker last ended */
	int useless;
	sigset_t before;
	int signals;
	int told;
	bool leaving;
};

static noreturn void
become_worker(const struct resident_process *self, int slot, pid_t parent)
{
	struct worker worker = self->worker;

	worker.slot = slot;
	/* the lock must be free when the parent is gone */
	close(self->seat.lock);
	close(self->seat.folder);
	close(self->signals);
	close(self->told);
	sigprocmask(SIG_SETMASK, &self->before, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
		_exit(1);
	worker_run(&worker);
}

/* One worker more, if none is idle and there may be one more. */
static void
keep_one_idle(struct resident_process *self)
{
	pid_t parent = getpid();
	int slot = 0;

	while (slot < WORKERS_MAX && self->workers[slot] != 0)
		slot++;
	if (slot == WORKERS_MAX || board_has_idle(self->worker.board))
		return;
	self->worker.board->slots[slot] = SLOT_STARTING;
	self->workers[slot] = fork();
	if (self->workers[slot] == 0)
		become_worker(self, slot, parent);
	if (self->workers[slot] > 0)
		return;
	self->workers[slot] = 0;
	self->worker.board->slots[slot] = SLOT_FREE;
}

static void
reap(struct resident_process *self)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int slot = 0; slot < WORKERS_MAX; slot++) {
			if (self->workers[slot] != pid)
				continue;
			self->workers[slot] = 0;
			self->worker.board->slots[slot] = SLOT_FREE;
			self->useless = self->worker.board->served == self->served && status != 0 ? self->useless + 1 : 0;
			self->served = self->worker.board->served;
		}
	if (self->useless >= USELESS_MAX)
		self->leaving = true;
}

/* Whether the program at our path is still the one that we are. */
static bool
is_replaced(const struct resident_process *self)
{
	struct buf now;
	bool replaced;

	buf_init(&now, KEY_MAX);
	replaced = request_key(self->program, &now) != OK || strcmp(now.data, self->key.data) != 0;
	buf_release(&now);
	return replaced;
}

static void
hear_workers(struct resident_process *self)
{
	char said[64];
	ssize_t len = read(self->told, said, sizeof said);

	if (len > 0 && memchr(said, TOLD_OTHER_KEY, (size_t)len) != NULL && is_replaced(self))
		self->leaving = true;
}

static void
hear_signals(struct resident_process *self)
{
	struct signalfd_siginfo info;

	while (read(self->signals, &info, sizeof info) == (ssize_t)sizeof info)
		if (info.ssi_signo != SIGCHLD)
			self->leaving = true;
	reap(self);
}

static int64_t
idle_left(const struct resident_process *self)
{
	for (size_t i = 0; i < WORKERS_MAX; i++)
		if (self->worker.board->slots[i] == SLOT_BUSY)
			return self->idle_ms;
	return self->worker.board->last_ms + self->idle_ms - clock_boot_ms();
}

static void
attend(struct resident_process *self)
{
	struct pollfd there[2] = {{.fd = self->signals, .events = POLLIN}, {.fd = self->told, .events = POLLIN}};
	int64_t left;

	while (!self->leaving) {
		keep_one_idle(self);
		left = idle_left(self);
		if (left <= 0 || (poll(there, 2, left > INT32_MAX ? INT32_MAX : (int)left) < 0 && errno != EINTR))
			break;
		if (there[0].revents != 0)
			hear_signals(self);
		if (there[1].revents != 0)
			hear_workers(self);
	}
}

/* Those that work end what they have begun. */
static void
end_workers(struct resident_process *self)
{
	for (int slot = 0; slot < WORKERS_MAX; slot++)
		if (self->workers[slot] > 0)
			kill(self->workers[slot], SIGTERM);
	while (wait(NULL) > 0 || errno == EINTR)
		;
}

static enum status
make_ready(struct resident_process *self, struct buf *why)
{
	ssize_t len = readlink("/proc/self/exe", self->program, sizeof self->program - 1);
	int ends[2];
	sigset_t ours;

	if (len <= 0)
		return why_not(why, IO_FAILED, "/proc/self/exe: %s", strerror(errno));
	sigemptyset(&ours);
	for (size_t i = 0; i < 4; i++)
		sigaddset(&ours, (const int[]){SIGCHLD, SIGTERM, SIGINT, SIGHUP}[i]);
	sigprocmask(SIG_BLOCK, &ours, &self->before);
	self->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	/* cppcheck-suppress invalidFunctionArg ; no file */
	self->worker.board = mmap(NULL, sizeof *self->worker.board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (self->signals < 0 || self->worker.board == MAP_FAILED || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return why_not(why, IO_FAILED, "no pipe and memory for workers: %s", strerror(errno));
	self->told = ends[0];
	self->worker.parent = ends[1];
	self->worker.board->last_ms = clock_boot_ms();
	self->worker.key = &self->key;
	if (request_key("/proc/self/exe", &self->key) != OK)
		return why_not(why, BAD_INPUT, "the environment (PG*) is too long for a resident");
	return OK;
}

static enum status
serve(struct resident_process *self, struct buf *why)
{
	struct context *context = self->worker.context;
	enum status status = context_find(context, ".", why);

	if (status == OK && context->address.url[0] == '\0')
		status = why_not(why, USAGE, "STILE_STORE names no server; an embedded store needs no resident");
	/* who can't be served need not be waited for */
	if (status == OK)
		status = context_open(context, false, why);
	context_release(context, false);
	if (status == OK)
		status = resident_sit(context->address.folder, &self->seat, why);
	if (status != OK)
		return status;
	self->worker.listener = self->seat.listener;
	status = make_ready(self, why);
	if (status == OK) {
		printf("serving %s\n", context_store_name(context));
		if (fflush(stdout) != 0)
			clearerr(stdout);
		attend(self);
	}
	if (self->useless >= USELESS_MAX)
		status = why_not(why, IO_FAILED, "%d workers ended, one after another, before anybody was served", self->useless);
	resident_rise(&self->seat);
	end_workers(self);
	return status;
}

static enum status
read_words(int count, char **words, int64_t *idle_ms, struct buf *why)
{
	if (count == 0 || (count == 2 && str_equal(words[0], "--idle") && str_duration(words[1], idle_ms) == OK && *idle_ms > 0))
		return OK;
	return why_not(why, USAGE, "usage: stile serve [--idle DURATION]");
}

int
serve_run(struct context *context, serve_function *run, int count, char **words)
{
	static struct resident_process self;
	struct buf why;
	enum status status;

	buf_init(&why, WHY_MAX);
	self = (struct resident_process){.worker = {.context = context, .run = run}, .idle_ms = SERVE_IDLE_MS};
	buf_init(&self.key, KEY_MAX);
	status = read_words(count, words, &self.idle_ms, &why);
	if (status == OK)
		status = serve(&self, &why);
	if (status != OK)
		fprintf(stderr, "stile: serve: %s\n", why.data);
	buf_release(&self.key);
	buf_release(&why);
	return status_row(status)->exit;
}

void
serve_start(const struct context *context)
{
	char program[PATH_SIZE], word[] = "serve";
	char *argv[] = {program, word, NULL};
	ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid;

	if (len <= 0 || posix_spawn_file_actions_init(&actions) != 0)
		return;
	program[len] = '\0';
	if (posix_spawnattr_init(&attributes) == 0) {
		if (posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID) == 0 &&
		    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0) == 0 &&
		    posix_spawn_file_actions_adddup2(&actions, 0, 1) == 0 && posix_spawn_file_actions_adddup2(&actions, 0, 2) == 0 &&
		    posix_spawn_file_actions_addclosefrom_np(&actions, 3) == 0 &&
		    posix_spawn_file_actions_addchdir_np(&actions, context->place.root) == 0 &&
		    posix_spawn(&pid, program, &actions, &attributes, argv, environ) != 0)
			pid = 0; /* there is none then */
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
}
