/* The program: names the fronts, which nothing else does. */
#include "cli/cli.h"
#include "hook/hook.h"
#include "os/clock.h"
#include "os/memory.h"
#include "program.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#define SHORT_MEMORY ((size_t)320 << 10) /* of what an event, or a lock, takes, most */

static int
run(struct context *context, int count, char **words, int64_t began_boot_ms)
{
	if (count >= 1 && str_equal(words[0], "hook")) {
		if (count == 2)
			return hook_run(context, words[1], began_boot_ms);
		fprintf(stderr, "stile: usage: stile hook CLIENT\n");
		return 1;
	}
	if (count == 1 && str_equal(words[0], "statusline"))
		return statusline_run(context, began_boot_ms);
	if (count >= 1 && str_equal(words[0], "serve"))
		return program_serve(context, run, count - 1, words + 1);
	return cli_run(context, count, words);
}

/*
 * Without these three a file of the store would be opened as one of them, and an answer written into it.  Only for reading, so
 * that an answer which goes nowhere is an error.
 */
static bool
have_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* What a hook is to call: `stile`, which becomes what it must be, also when it is `stile-full` that writes it down. */
static void
name_program(char out[PATH_SIZE])
{
	ssize_t len = readlink("/proc/self/exe", out, PATH_SIZE - 1);

	out[len > 0 ? len : 0] = '\0';
	if (str_ends(out, "/stile-full")) {
		out[len - (ssize_t)strlen("-full")] = '\0';
		if (access(out, X_OK) != 0)
			memcpy(out + strlen(out), "-full", sizeof "-full");
	}
}

int
main(int argc, char **argv)
{
	int64_t began_boot_ms = clock_boot_ms();
	static struct context the_one; /* too large for the stack */
	struct context *context = &the_one;
	int status;

	signal(SIGCHLD, SIG_DFL); /* whoever called us may ignore it, and then no command's end would ever be told */
	signal(SIGPIPE, SIG_IGN); /* a reader that left is an error we tell, not our death in mid-answer */
	began_boot_ms = program_become(argc, argv, began_boot_ms);
	if (argc > 1 && (str_equal(argv[1], "hook") || str_equal(argv[1], "lock")))
		memory_begin(SHORT_MEMORY);
	json_begin();
	if (!have_streams())
		return 69;
	context->open_store = program_open_store;
	context->wait_ms = 10000;
	name_program(context->program);
	status = run(context, argc - 1, argv + 1, began_boot_ms);
	context_release(context, true);
	if (fflush(stdout) != 0 && status == 0)
		status = 74;
	if (context->wants_resident)
		program_start_resident(context);
	/* what exit() would still do costs a tenth of a hook and frees what is about to be gone */
	_exit(status);
}
