#include "verbs/lease_hold.h"

#include "os/clock.h"

#include <stdio.h>
#include <unistd.h>

static enum status
keep(void *arg, bool late, struct buf *why)
{
	struct hold *hold = arg;

	return late ? hold_renew(hold, KEPT_LIMIT_MS, why) : hold_keep(hold, KEPT_LIMIT_MS, why);
}

static int64_t
next_ms(const void *arg)
{
	return hold_next_ms(arg);
}

static int64_t
left_ms(const void *arg)
{
	return ((const struct hold *)arg)->safe_boot_ms - clock_boot_ms();
}

enum status
hold_command(struct hold *hold, const struct kept_command *command, int *exit, struct buf *why)
{
	const struct lease *first = &hold->leases[0];
	const struct kept kept = {keep, next_ms, left_ms, hold, hold->anchor.fd};
	struct kept_command with = *command;
	char fence[40], slot[40], chain[ACTOR_SIZE + sizeof "STILE_CHAIN="];
	size_t count = 0;

	snprintf(fence, sizeof fence, "STILE_FENCE=%lld", (long long)first->fence);
	snprintf(slot, sizeof slot, "STILE_SLOT=%lld", (long long)first->slot);
	snprintf(chain, sizeof chain, "STILE_CHAIN=%s", first->chain);
	while (with.env[count] != NULL)
		count++;
	with.env[count++] = fence;
	with.env[count++] = slot;
	with.env[count++] = chain;
	return kept_run(&kept, &with, exit, NULL, why);
}

enum status
hold_run(struct hold *hold, const struct kept_command *command, int *exit, struct buf *why)
{
	enum status status = hold_command(hold, command, exit, why), released;
	struct buf reason;

	buf_init(&reason, WHY_MAX);
	released = hold_release(hold, &reason);
	if (status == OK && released > OK && released != BUSY) {
		*exit = KEPT_LOST;
		status = why_not(why, HELD, "the lease was lost while the command ran: %.900s", reason.data);
	} else if (status == OK && released != OK) {
		/* the command is done and the lease ends by itself: its anchor is free */
		status = why_not(why, OK, "the lease could not be given back and ends by itself: %.900s", reason.data);
	}
	buf_release(&reason);
	return status;
}

struct ends {
	int in, out;
};

static bool
take_ends(void *arg)
{
	const struct ends *ends = arg;

	return dup2(ends->in, STDIN_FILENO) >= 0 && dup2(ends->out, STDOUT_FILENO) >= 0;
}

enum status
hold_filter(struct hold *hold, char *const *command, int in, int out, int *exit, struct buf *why)
{
	struct ends ends = {in, out};
	const struct kept_command held = {.words = command, .in_child = take_ends, .arg = &ends};

	return hold_command(hold, &held, exit, why);
}
