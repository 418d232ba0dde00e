/*
 * What `stile` hands to a resident so that a worker of it does in its place what it was called for: its words, environment, umask,
 * parent and the instant it began; and descriptors: what stands for stdin, stdout and stderr, its folder, and a *ticket*.
 *
 * The ticket is an eventfd that holds one.  Who takes it does the work: the worker before it begins, or, when nobody has for too
 * long, the one who asked, and then the worker never will.  So nothing is done twice, whoever stops or dies.
 *
 * The *key* says what resident and asker must have in common: program, namespaces, group, the store's address, libpq's environment.
 * It stands first, and what follows is looked at only if it is the same, to the byte.
 */
#ifndef SERVE_REQUEST_H
#define SERVE_REQUEST_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define REQUEST_MAX ((size_t)64 << 10)
#define REQUEST_WORDS_MAX 8
#define REQUEST_ENV_MAX 256

enum request_fd { REQUEST_STDIN, REQUEST_STDOUT, REQUEST_STDERR, REQUEST_FOLDER, REQUEST_TICKET, REQUEST_FDS };

struct request {
	int64_t began_boot_ms;
	int64_t parent; /* of who asks */
	mode_t mask;
	int count;
	char *words[REQUEST_WORDS_MAX + 1];
	char *env[REQUEST_ENV_MAX + 1];
	int fds[REQUEST_FDS]; /* -1 = none; of a received one the caller's to close */
	char text[REQUEST_MAX];
};

/* The key of this process, were it the program at `path`.  IO_FAILED when that isn't there; BAD_INPUT: too long. */
enum status request_key(const char *path, struct buf *out) MUST_CHECK;

/* The words, this process's environment as far as it counts, and `fds`: false when that is too much, or it can't be sent. */
bool request_send(int connection, const struct buf *key, int count, char *const *words, int64_t began_boot_ms,
                  const int fds[REQUEST_FDS]);

enum received { RECEIVED, RECEIVED_NOTHING, RECEIVED_OTHER_KEY };

/* Waits as long as the connection's own limit.  `out->fds` are filled in any case. */
enum received request_receive(int connection, const struct buf *key, struct request *out);

/* Whether it is ours now. */
bool request_take(int ticket);

#endif
