/*
 * Clients of a durable queue that stay: `queue ours put|take FOLDER EVENTS SECONDS N` through the library, each process with a connection
 * of its own, an item for its own session (line N of EVENTS/sessions) at each call, or an item taken and acknowledged; and
 * `queue beanstalkd put|take PORT SECONDS N` the same of a beanstalkd that listens there on loopback.
 */
#include "many.h"
#include "stile.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#define PAYLOAD_BYTES 256

struct where {
	const char *folder;
	const char *events;
	int port;
	bool take;
};

struct client {
	struct stile *stile;
	char parameters[PAYLOAD_BYTES + 300];
	int socket;
	char put[PAYLOAD_BYTES + 40];
	size_t put_len;
	bool take;
};

static void
fill_payload(char out[PAYLOAD_BYTES + 1])
{
	memset(out, 'x', PAYLOAD_BYTES);
	out[PAYLOAD_BYTES] = '\0';
}

static bool
session_of(const char *events, int number, char *out, size_t size)
{
	char path[4096];
	FILE *file;
	bool found = true;

	snprintf(path, sizeof path, "%s/sessions", events);
	file = fopen(path, "r");
	for (int i = 0; file != NULL && found && i <= number; i++)
		found = fgets(out, (int)size, file) != NULL;
	if (file != NULL)
		fclose(file);
	out[strcspn(out, "\n")] = '\0';
	return file != NULL && found;
}

static void *
ours_open(const void *arg, int number)
{
	const struct where *where = arg;
	struct client *client = calloc(1, sizeof *client);
	char session[80] = "", why[500], payload[PAYLOAD_BYTES + 1];

	if (client == NULL || !session_of(where->events, number, session, sizeof session))
		return NULL;
	if (stile_open(where->folder, &client->stile, why, sizeof why) != STILE_OK) {
		fprintf(stderr, "queue: %s\n", why);
		return NULL;
	}
	/* what drives us hosts them all */
	setenv("STILE_SESSION", session, 1);
	fill_payload(payload);
	client->take = where->take;
	snprintf(client->parameters, sizeof client->parameters,
	         where->take ? "{\"queue\":\"bench\"%.0s%.0s}" : "{\"queue\":\"bench\",\"session\":\"%s\",\"payload\":\"%s\"}",
	         session, payload);
	return client;
}

/* The value of a member of one line of JSON of ours, up to a quote or comma. */
static bool
member(const char *json, const char *name, char *out, size_t size)
{
	const char *at = strstr(json, name);

	if (at == NULL)
		return false;
	at += strlen(name);
	snprintf(out, size, "%.*s", (int)strcspn(at, "\","), at);
	return true;
}

static bool
ours_call(void *opened)
{
	struct client *client = opened;
	const char *result;
	char id[100], generation[30], ack[200];

	if (stile_call(client->stile, client->take ? "queue take" : "queue put", client->parameters, &result) != STILE_OK)
		return false;
	if (!client->take)
		return true;
	if (!member(result, "\"id\":\"", id, sizeof id) || !member(result, "\"generation\":", generation, sizeof generation))
		return false;
	snprintf(ack, sizeof ack, "{\"id\":\"%s\",\"generation\":%s}", id, generation);
	return stile_call(client->stile, "queue ack", ack, &result) == STILE_OK;
}

static void
ours_close(void *opened)
{
	struct client *client = opened;

	stile_close(client->stile);
	free(client);
}

static void *
peer_open(const void *arg, int number)
{
	const struct where *where = arg;
	const struct sockaddr_in address = {.sin_family = AF_INET,
	                                    .sin_port = htons((uint16_t)where->port),
	                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct client *client = calloc(1, sizeof *client);
	char payload[PAYLOAD_BYTES + 1];

	(void)number;
	if (client == NULL || (client->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0 ||
	    connect(client->socket, (const struct sockaddr *)&address, sizeof address) != 0)
		return NULL;
	fill_payload(payload);
	client->take = where->take;
	client->put_len = (size_t)snprintf(client->put, sizeof client->put, "put 0 0 60 %d\r\n%s\r\n", PAYLOAD_BYTES, payload);
	return client;
}

static bool
send_all(int fd, const char *text, size_t len)
{
	return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* An answer: its first line, and of one that brings a job its `body` bytes. */
static bool
receive(int fd, char *out, size_t size, size_t body)
{
	size_t len = 0;
	char *end;

	for (;;) {
		ssize_t got = recv(fd, out + len, size - 1 - len, 0);

		if (got <= 0)
			return false;
		len += (size_t)got;
		out[len] = '\0';
		end = strstr(out, "\r\n");
		if (end != NULL && (body == 0 || strncmp(out, "RESERVED", 8) != 0 || len >= (size_t)(end - out) + 2 + body + 2))
			return true;
	}
}

static bool
peer_call(void *opened)
{
	struct client *client = opened;
	char answer[PAYLOAD_BYTES + 200], gone[60];
	unsigned long id;

	if (!client->take)
		return send_all(client->socket, client->put, client->put_len) && receive(client->socket, answer, sizeof answer, 0) &&
		       strncmp(answer, "INSERTED", 8) == 0;
	if (!send_all(client->socket, "reserve-with-timeout 0\r\n", 24) ||
	    !receive(client->socket, answer, sizeof answer, PAYLOAD_BYTES) || sscanf(answer, "RESERVED %lu", &id) != 1)
		return false;
	snprintf(gone, sizeof gone, "delete %lu\r\n", id);
	return send_all(client->socket, gone, strlen(gone)) && receive(client->socket, answer, sizeof answer, 0) &&
	       strncmp(answer, "DELETED", 7) == 0;
}

static void
peer_close(void *opened)
{
	struct client *client = opened;

	close(client->socket);
	free(client);
}

int
main(int argc, char **argv)
{
	bool ours = argc == 7 && strcmp(argv[1], "ours") == 0, peer = argc == 6 && strcmp(argv[1], "beanstalkd") == 0;
	struct where where;
	struct worker worker = {ours ? ours_open : peer_open, ours ? ours_call : peer_call, ours ? ours_close : peer_close, &where};

	if (!ours && !peer) {
		fprintf(stderr, "usage: queue ours put|take FOLDER EVENTS SECONDS N, queue beanstalkd put|take PORT SECONDS N\n");
		return 64;
	}
	where = (struct where){argv[3], ours ? argv[4] : NULL, ours ? 0 : (int)strtol(argv[3], NULL, 10),
	                       strcmp(argv[2], "take") == 0};
	return many_run(&worker, (int)strtol(argv[argc - 1], NULL, 10), (int64_t)(strtod(argv[argc - 2], NULL) * 1e6));
}
