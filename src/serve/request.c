#include "serve/request.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

/* Names that begin so are read somewhere on the way of an event. */
static bool
is_read(const char *entry)
{
	static const char *const beginnings[] = {"STILE_", "CLAUDE", "XDG_", "HOME=", "PG"};

	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
		if (str_starts(entry, beginnings[i]))
			return true;
	return false;
}

/* Those that a connection depends on. */
static bool
is_of_key(const char *entry)
{
	static const char *const beginnings[] = {"STILE_STORE=", "HOME=", "PG", "KRB5", "SSL_CERT", "OPENSSL_"};

	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
		if (str_starts(entry, beginnings[i]))
			return true;
	return false;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
add_environment(struct buf *out)
{
	char *entries[REQUEST_ENV_MAX] = {NULL};
	size_t count = 0;

	for (char **entry = environ; *entry != NULL; entry++)
		if (is_of_key(*entry) && count < REQUEST_ENV_MAX)
			entries[count++] = *entry;
	qsort(entries, count, sizeof *entries, compare);
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s\n", entries[i]);
}

enum status
request_key(const char *path, struct buf *out)
{
	static const char *const spaces[] = {"mnt", "pid", "user", "time"};
	struct stat program, root, space;
	char name[40];

	if (stat(path, &program) != 0 || stat("/", &root) != 0)
		return IO_FAILED;
	buf_printf(out, "stile " STILE_VERSION " %llu %llu %lld.%ld %lld\n", (unsigned long long)program.st_dev,
	           (unsigned long long)program.st_ino, (long long)program.st_mtim.tv_sec, program.st_mtim.tv_nsec,
	           (long long)program.st_size);
	buf_printf(out, "%lu %llu %llu", (unsigned long)getegid(), (unsigned long long)root.st_dev,
	           (unsigned long long)root.st_ino);
	for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
		snprintf(name, sizeof name, "/proc/self/ns/%s", spaces[i]);
		buf_printf(out, " %llu", stat(name, &space) == 0 ? (unsigned long long)space.st_ino : 0);
	}
	buf_text(out, "\n");
	add_environment(out);
	return buf_status(out);
}

static void
add_string(struct buf *out, const char *text)
{
	buf_add(out, text, strlen(text) + 1);
}

static void
put_together(struct buf *out, const struct buf *key, int count, char *const *words, int64_t began_boot_ms)
{
	mode_t mask = umask(0);
	char numbers[100];

	umask(mask);
	add_string(out, key->data);
	snprintf(numbers, sizeof numbers, "%lld %lld %u %d", (long long)began_boot_ms, (long long)getppid(), (unsigned)mask, count);
	add_string(out, numbers);
	for (int i = 0; i < count; i++)
		add_string(out, words[i]);
	for (char **entry = environ; *entry != NULL; entry++)
		if (is_read(*entry))
			add_string(out, *entry);
}

union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int) * REQUEST_FDS)];
};

bool
request_send(int connection, const struct buf *key, int count, char *const *words, int64_t began_boot_ms,
             const int fds[REQUEST_FDS])
{
	union control control = {0};
	struct iovec part;
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	struct buf text;
	bool sent;

	buf_init(&text, REQUEST_MAX - 1);
	put_together(&text, key, count, words, began_boot_ms);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int) * REQUEST_FDS);
	memcpy(CMSG_DATA(head), fds, sizeof(int) * REQUEST_FDS);
	part = (struct iovec){text.data, text.len};
	sent = count <= REQUEST_WORDS_MAX && buf_status(&text) == OK &&
	       sendmsg(connection, &message, MSG_NOSIGNAL) == (ssize_t)text.len;
	buf_release(&text);
	return sent;
}

/* The string at *at, which moves behind it; NULL past the end. */
static char *
next_string(char **at, const char *end)
{
	char *found = *at;

	if (found >= end)
		return NULL;
	*at += strlen(found) + 1;
	return found;
}

static bool
take_apart(struct request *out, char *at, const char *end)
{
	char *numbers = next_string(&at, end), *entry;
	int envs = 0;

	if (numbers == NULL)
		return false;
	out->began_boot_ms = strtoll(numbers, &numbers, 10);
	out->parent = strtoll(numbers, &numbers, 10);
	out->mask = (mode_t)strtoul(numbers, &numbers, 10) & 0777;
	out->count = (int)strtol(numbers, &numbers, 10);
	if (out->count < 1 || out->count > REQUEST_WORDS_MAX)
		return false;
	for (int i = 0; i < out->count; i++)
		if ((out->words[i] = next_string(&at, end)) == NULL)
			return false;
	out->words[out->count] = NULL;
	while (envs < REQUEST_ENV_MAX && (entry = next_string(&at, end)) != NULL)
		out->env[envs++] = entry;
	out->env[envs] = NULL;
	return at >= end;
}

static bool
take_fds(const struct msghdr *message, struct request *out)
{
	const struct cmsghdr *head = CMSG_FIRSTHDR(message);

	for (size_t i = 0; i < REQUEST_FDS; i++)
		out->fds[i] = -1;
	if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
	    head->cmsg_len < CMSG_LEN(sizeof(int)))
		return false;
	memcpy(out->fds, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
	return head->cmsg_len == CMSG_LEN(sizeof out->fds);
}

enum received
request_receive(int connection, const struct buf *key, struct request *out)
{
	union control control = {0};
	struct iovec part = {out->text, sizeof out->text - 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	ssize_t got = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
	bool whole = got > 0 && take_fds(&message, out) && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;

	if (got <= 0)
		take_fds(&(struct msghdr){0}, out);
	if (!whole)
		return RECEIVED_NOTHING;
	out->text[got] = '\0';
	if (strcmp(out->text, key->data) != 0)
		return RECEIVED_OTHER_KEY;
	return take_apart(out, out->text + key->len + 1, out->text + got) ? RECEIVED : RECEIVED_NOTHING;
}

bool
request_take(int ticket)
{
	uint64_t one;

	return read(ticket, &one, sizeof one) == (ssize_t)sizeof one;
}
