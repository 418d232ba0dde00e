/*
 * Starts a program as our child without a copy of this process, which costs more than all else when it is large: until it is the
 * program it is lent our memory, and we wait.
 */
#ifndef OS_LAUNCH_H
#define OS_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

struct launch {
	char *const *words; /* the first is looked up in PATH */
	char *const *env;
	/*
	 * In the child, before it is the program; NULL = nothing.  Its descriptors and signals are its own, its memory is ours.  Not 0:
	 * it ends with that status instead.
	 */
	int (*in_child)(void *arg);
	void *arg;
};

/* The child, or -1 with errno.  *error: why it could not be the program, 0 = it is; then its status is 126, 127 when it isn't there. */
pid_t launch(const struct launch *launch, int *error);

/*
 * Our environment with `more`, which NULL ends, instead of what has their names: "NAME=VALUE", and a NAME alone is left out.  The
 * caller frees the array, in which the texts are not copied; NULL: no memory.
 */
char **launch_env(const char *const *more);

#endif
