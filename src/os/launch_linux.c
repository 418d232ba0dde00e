#include "os/launch.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACK_LEN ((size_t)128 << 10) /* besides the words, which are copied there when a script without #! is run */

extern char **environ;

struct start {
	const struct launch *launch;
	int error;
};

/* It returns instead of leaving by _exit: nothing of ours is told that this stack is gone. */
static int
become(void *arg)
{
	struct start *start = arg;
	const struct launch *launch = start->launch;
	int status = launch->in_child == NULL ? 0 : launch->in_child(launch->arg);

	if (status != 0)
		return status;
	execvpe(launch->words[0], launch->words, launch->env);
	start->error = errno;
	return errno == ENOENT ? 127 : 126;
}

pid_t
launch(const struct launch *launch, int *error)
{
	struct start start = {launch, 0};
	size_t count = 0, len;
	char *stack;
	pid_t pid;
	int failed;

	while (launch->words[count] != NULL)
		count++;
	len = STACK_LEN + (count + 2) * sizeof *launch->words;
	len = (len + 4095) & ~(size_t)4095;
	/* cppcheck-suppress invalidFunctionArg ; no file */
	stack = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return -1;
	pid = clone(become, stack + len, CLONE_VM | CLONE_VFORK | SIGCHLD, &start);
	failed = errno;
	munmap(stack, len);
	errno = failed;
	*error = start.error;
	return pid;
}

static bool
is_named(const char *entry, const char *more)
{
	size_t len = strcspn(more, "=");

	return strncmp(entry, more, len) == 0 && entry[len] == '=';
}

char **
launch_env(const char *const *more)
{
	size_t own = 0, added = 0, count = 0;
	char **env;

	while (environ != NULL && environ[own] != NULL)
		own++;
	while (more[added] != NULL)
		added++;
	env = calloc(own + added + 1, sizeof *env);
	for (size_t i = 0; env != NULL && i < own; i++) {
		bool kept = true;

		for (size_t j = 0; j < added; j++)
			kept = kept && !is_named(environ[i], more[j]);
		if (kept)
			env[count++] = environ[i];
	}
	for (size_t j = 0; env != NULL && j < added; j++)
		if (strchr(more[j], '=') != NULL)
			memcpy(&env[count++], &more[j], sizeof *env);
	return env;
}
