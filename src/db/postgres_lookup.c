#include "db/postgres_lookup.h"

#include "os/clock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

struct lookup {
	char name[LOOKUP_NAME_SIZE];
	int end; /* closed when it is over */
};

static void *
look(void *arg)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct lookup *lookup = arg;
	struct addrinfo *found;

	if (getaddrinfo(lookup->name, NULL, &hints, &found) == 0)
		freeaddrinfo(found);
	close(lookup->end);
	free(lookup);
	return NULL;
}

/* Signals stay those of the thread that is there. */
static bool
begin_thread(struct lookup *lookup)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;
	bool begun;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	begun = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0 &&
	        pthread_create(&thread, &attributes, look, lookup) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return begun;
}

/* A descriptor that hangs up when it is over; -1 when there is no thread to be had for it. */
static int
begin_lookup(const char *name)
{
	struct lookup *lookup = malloc(sizeof *lookup);
	int ends[2] = {-1, -1};

	if (lookup != NULL && pipe2(ends, O_CLOEXEC) == 0) {
		snprintf(lookup->name, sizeof lookup->name, "%s", name);
		lookup->end = ends[1];
		if (begin_thread(lookup))
			return ends[0];
		close(ends[0]);
		close(ends[1]);
	}
	free(lookup);
	return -1;
}

/* A folder with a socket in it, an abstract one, or an address is none. */
static bool
is_name(const char *name)
{
	unsigned char address[sizeof(struct in6_addr)];

	return *name != '\0' && *name != '/' && *name != '@' && inet_pton(AF_INET, name, address) != 1 &&
	       inet_pton(AF_INET6, name, address) != 1;
}

/* Closes those that are over.  How many are not. */
static size_t
close_over(struct pollfd *there, size_t count)
{
	size_t open = 0;

	for (size_t i = 0; i < count; i++) {
		if (there[i].fd >= 0 && there[i].revents != 0) {
			close(there[i].fd);
			there[i].fd = -1;
		}
		open += there[i].fd >= 0;
	}
	return open;
}

void
postgres_look_up(char (*names)[LOOKUP_NAME_SIZE], size_t count, int64_t limit_ms, int64_t other_ms, bool late[LOOKUPS_MAX])
{
	struct pollfd there[LOOKUPS_MAX] = {0};
	int64_t began_ms = clock_boot_ms(), left_ms = limit_ms;
	size_t open;

	for (size_t i = 0; i < count; i++)
		there[i].fd = is_name(names[i]) ? begin_lookup(names[i]) : -1;
	while ((open = close_over(there, count)) > 0 && left_ms > 0) {
		left_ms = began_ms + (open < count && other_ms < limit_ms ? other_ms : limit_ms) - clock_boot_ms();
		if (left_ms > 0)
			poll(there, count, (int)left_ms);
	}
	for (size_t i = 0; i < count; i++) {
		late[i] = there[i].fd >= 0;
		if (late[i])
			close(there[i].fd);
	}
}
