#include "os/gate.h"

#include "os/clock.h"
#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BYTE_GATE 0
#define BYTE_TURNSTILE 1
#define GATE_TRIES 100
#define FREE_TIMES 3 /* as often in a row, each 20 ms, the gate is found free by one who waits at the turnstile */
#define HOLDER_AT 16 /* past the locked bytes, so that a reader of the file sees plain text after them */
#define HOLDER_LEN 24

static const char *
what_to_do(int error)
{
	switch (error) {
	case ENOENT:
		return "; run `stile init` in the codebase";
	case EISDIR:
	case ELOOP:
		return "; move it away and run `stile init`";
	case EACCES:
	case EPERM:
	case EROFS:
		return "; check its owner, mode and mount, or put its folder on the sandbox's write list";
	default:
		return "";
	}
}

static enum status
make_room(int fd, off_t len, const char *path, struct buf *why)
{
	int error;

	if (len >= GATE_PAGE_LEN)
		return OK;
	/* with room on the disk: a page that is mapped can't say that there is none */
	error = posix_fallocate(fd, 0, GATE_PAGE_LEN);
	if (error == EOPNOTSUPP || error == EINVAL)
		error = ftruncate(fd, GATE_PAGE_LEN) == 0 ? 0 : errno;
	if (error == ENOSPC || error == EDQUOT)
		return why_not(why, STORE_DOWN, "%s: the disk is full; make room", path);
	return error == 0 ? OK : why_not(why, STORE_DOWN, "%s: can't be grown: %s", path, strerror(error));
}

void
gate_look(struct gate *gate)
{
	int fd = open(gate->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat file;
	void *page = MAP_FAILED;

	if (fd < 0)
		return;
	if (fstat(fd, &file) == 0 && file.st_size >= GATE_PAGE_LEN)
		page = mmap(NULL, GATE_PAGE_LEN, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (page != MAP_FAILED)
		gate->page = page;
}

static enum status
map_page(struct gate *gate, struct buf *why)
{
	struct stat file;
	enum status status;
	void *page;

	if (fstat(gate->fd, &file) != 0)
		return why_not(why, STORE_DOWN, "%s: %s", gate->path, strerror(errno));
	status = make_room(gate->fd, file.st_size, gate->path, why);
	if (status != OK)
		return status;
	page = mmap(NULL, GATE_PAGE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, gate->fd, 0);
	if (page == MAP_FAILED)
		return why_not(why, STORE_DOWN, "%s: can't be mapped: %s", gate->path, strerror(errno));
	gate->page = page;
	gate->inode = file.st_ino;
	gate->device = file.st_dev;
	return OK;
}

enum status
gate_open(struct gate *gate, const char *folder, bool make, struct buf *why)
{
	int len = snprintf(gate->path, sizeof gate->path, "%s/gate", folder);
	enum status status;

	gate->held = false;
	gate->fd = -1;
	gate->page = NULL;
	if (len < 0 || (size_t)len >= sizeof gate->path)
		return why_not(why, STORE_DOWN, "%s: the path is too long", folder);
	gate->fd = open(gate->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
	if (gate->fd < 0)
		return why_not(why, STORE_DOWN, "%s: %s%s", gate->path, strerror(errno), what_to_do(errno));
	status = map_page(gate, why);
	if (status != OK)
		gate_close(gate);
	return status;
}

void
gate_close(struct gate *gate)
{
	if (gate->held)
		gate_leave(gate);
	if (gate->page != NULL)
		munmap(gate->page, GATE_PAGE_LEN);
	gate->page = NULL;
	if (gate->fd >= 0)
		close(gate->fd);
	gate->fd = -1;
}

static int
set_lock(int fd, int command, short type, off_t byte)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return fcntl(fd, command, &lock);
}

static void
interrupt(int number)
{
	(void)number;
}

/*
 * fcntl has no wait with a limit, so a timer interrupts it: a signal to this thread when its patience, or its time, is over,
 * and every 20 ms after it, since one may come just before the call blocks.
 */
struct alarm {
	timer_t timer;
	sigset_t mask;
};

#define ALARM_SIGNAL (SIGRTMIN + 5)

/* How a signal is taken is one thing for all threads: the first waiter says it, the last one puts back what the first found. */
static pthread_mutex_t handler_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned handler_users;
static struct sigaction handler_before;

static bool
handler_set(void)
{
	struct sigaction action = {.sa_handler = interrupt};
	bool set = true;

	sigemptyset(&action.sa_mask);
	pthread_mutex_lock(&handler_lock);
	if (handler_users == 0)
		set = sigaction(ALARM_SIGNAL, &action, &handler_before) == 0;
	handler_users += set;
	pthread_mutex_unlock(&handler_lock);
	return set;
}

static void
handler_clear(void)
{
	pthread_mutex_lock(&handler_lock);
	if (--handler_users == 0)
		sigaction(ALARM_SIGNAL, &handler_before, NULL);
	pthread_mutex_unlock(&handler_lock);
}

static bool
alarm_set(struct alarm *alarm, int64_t wait_ms)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = ALARM_SIGNAL};
	int64_t first_ms = wait_ms < GATE_PATIENCE_MS ? wait_ms : GATE_PATIENCE_MS;
	struct itimerspec when = {.it_value = {0, first_ms * 1000000}, .it_interval = {0, 20000000}};
	sigset_t open_set;

	if (first_ms == 0)
		when.it_value.tv_nsec = 1;
	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (!handler_set())
		return false;
	sigemptyset(&open_set);
	sigaddset(&open_set, ALARM_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &open_set, &alarm->mask);
	if (timer_create(CLOCK_MONOTONIC, &event, &alarm->timer) == 0) {
		if (timer_settime(alarm->timer, 0, &when, NULL) == 0)
			return true;
		timer_delete(alarm->timer);
	}
	pthread_sigmask(SIG_SETMASK, &alarm->mask, NULL);
	handler_clear();
	return false;
}

static void
alarm_clear(struct alarm *alarm)
{
	struct timespec none = {0};
	sigset_t ours;

	/* one that is already on its way must not reach the handler that is put back: take it first */
	sigemptyset(&ours);
	sigaddset(&ours, ALARM_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &ours, NULL);
	timer_delete(alarm->timer);
	while (sigtimedwait(&ours, NULL, &none) == ALARM_SIGNAL)
		;
	handler_clear();
	pthread_sigmask(SIG_SETMASK, &alarm->mask, NULL);
}

static bool
is_locked(int fd, off_t byte)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Returns 0, or -1 with errno EINTR when the instant came first. */
static int
wait_until(int fd, off_t byte, int64_t instant)
{
	while (set_lock(fd, F_OFD_SETLKW, F_WRLCK, byte) != 0)
		if (errno != EINTR || clock_boot_ms() >= instant)
			return -1;
	return 0;
}

/*
 * Who has the turnstile takes the gate as soon as it is free.  Where the gate stays free all the same he was stopped: past him.
 * With *past the gate is taken, and the turnstile isn't.
 */
static int
wait_at_turnstile(int fd, int64_t deadline, bool *past)
{
	int times = 0;

	*past = false;
	while (set_lock(fd, F_OFD_SETLKW, F_WRLCK, BYTE_TURNSTILE) != 0) {
		bool over = clock_boot_ms() >= deadline;

		if (errno != EINTR)
			return -1;
		times = is_locked(fd, BYTE_GATE) ? 0 : times + 1;
		if ((over || times >= FREE_TIMES) && set_lock(fd, F_OFD_SETLK, F_WRLCK, BYTE_GATE) == 0) {
			*past = true;
			return 0;
		}
		errno = EINTR;
		if (over)
			return -1;
	}
	return 0;
}

/* With the turnstile in hand nobody new gets in before. */
static int
wait_in_order(int fd, int64_t deadline)
{
	int result, error;
	bool past;

	if (wait_at_turnstile(fd, deadline, &past) != 0)
		return -1;
	if (past)
		return 0;
	result = wait_until(fd, BYTE_GATE, deadline);
	error = errno;
	set_lock(fd, F_OFD_SETLK, F_UNLCK, BYTE_TURNSTILE);
	errno = error;
	return result;
}

static int
wait_for_gate(int fd, int64_t deadline)
{
	int64_t patience = clock_boot_ms() + GATE_PATIENCE_MS;

	if (!is_locked(fd, BYTE_TURNSTILE)) {
		if (wait_until(fd, BYTE_GATE, patience < deadline ? patience : deadline) == 0)
			return 0;
		if (errno != EINTR || patience >= deadline)
			return -1;
	}
	return wait_in_order(fd, deadline);
}

/*
 * Without falling asleep, and only while nobody has lost his patience: to wake one who sleeps takes as long as the holder needs
 * the gate.
 */
static bool
take_at_once(int fd)
{
	for (int i = 0; i < GATE_TRIES && !is_locked(fd, BYTE_TURNSTILE); i++) {
		if (set_lock(fd, F_OFD_SETLK, F_WRLCK, BYTE_GATE) == 0)
			return true;
		sched_yield();
	}
	return false;
}

int64_t
gate_holder(const struct gate *gate, char *state)
{
	char text[HOLDER_LEN], path[40], line[256];
	long long pid = 0;
	ssize_t got;
	int fd;

	*state = 0;
	memcpy(text, gate->page + HOLDER_AT, sizeof text);
	text[sizeof text - 1] = '\0';
	if (sscanf(text, "%lld", &pid) != 1)
		return 0;
	snprintf(path, sizeof path, "/proc/%lld/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
	if (fd >= 0)
		close(fd);
	if (got > 0) {
		char *end;

		line[got] = '\0';
		end = strrchr(line, ')');
		if (end != NULL && end[1] == ' ')
			*state = end[2];
	}
	return pid;
}

static enum status
busy(const struct gate *gate, int64_t wait_ms, struct buf *why)
{
	char state;
	int64_t pid = gate_holder(gate, &state);

	/* the holder may not have signed yet: one that isn't there is the holder before it */
	if (pid == 0 || state == 0)
		return why_not(why, BUSY, "busy: somebody has held the write gate for more than %lld ms; try again", (long long)wait_ms);
	if (state == 'T' || state == 't')
		return why_not(why, BUSY, "busy: process %lld holds the write gate and is stopped; continue it (kill -CONT %lld) or end it",
		               (long long)pid, (long long)pid);
	return why_not(why, BUSY, "busy: process %lld has held the write gate for more than %lld ms; try again", (long long)pid,
	               (long long)wait_ms);
}

/* Whether the path still leads to the file that we locked. */
static bool
still_there(const struct gate *gate)
{
	struct stat there;

	return stat(gate->path, &there) == 0 && gate->inode == there.st_ino && gate->device == there.st_dev;
}

void
gate_block_stops(sigset_t *before)
{
	sigset_t stops;

	sigemptyset(&stops);
	sigaddset(&stops, SIGTSTP);
	sigaddset(&stops, SIGTTIN);
	sigaddset(&stops, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &stops, before);
}

static void
sign(const struct gate *gate)
{
	snprintf(gate->page + HOLDER_AT, HOLDER_LEN, "%-*lld\n", HOLDER_LEN - 2, (long long)getpid());
}

static enum status
wait_for(struct gate *gate, int64_t wait_ms, struct buf *why)
{
	struct alarm alarm;
	int result, error;

	if (!alarm_set(&alarm, wait_ms))
		return why_not(why, STORE_DOWN, "%s: no timer to wait with: %s", gate->path, strerror(errno));
	result = wait_for_gate(gate->fd, clock_boot_ms() + wait_ms);
	error = errno;
	alarm_clear(&alarm);
	if (result == 0)
		return OK;
	if (error == EINTR)
		return busy(gate, wait_ms, why);
	return why_not(why, STORE_DOWN, "%s: can't be locked: %s", gate->path, strerror(error));
}

enum status
gate_take(struct gate *gate, int64_t wait_ms, struct buf *why)
{
	enum status status = OK;

	gate_block_stops(&gate->before);
	if (!take_at_once(gate->fd))
		status = wait_for(gate, wait_ms, why);
	if (status != OK) {
		pthread_sigmask(SIG_SETMASK, &gate->before, NULL);
		return status;
	}
	gate->held = true;
	fault_point(FAULT_GATE_TAKEN);
	if (!still_there(gate)) {
		gate_leave(gate);
		return why_not(why, STORE_DOWN, "%s: the store was removed or replaced; run `stile init` again", gate->path);
	}
	sign(gate);
	return OK;
}

void
gate_leave(struct gate *gate)
{
	set_lock(gate->fd, F_OFD_SETLK, F_UNLCK, BYTE_GATE);
	gate->held = false;
	pthread_sigmask(SIG_SETMASK, &gate->before, NULL);
}
