#include "diagnose/witness.h"

#include "os/anchor.h"
#include "os/clock.h"

static enum liveness
witness_anchor(void *arg, const char *name)
{
	return anchor_liveness(arg, name, true);
}

static enum liveness
witness_process(void *arg, const struct process *process)
{
	(void)arg;
	return process_liveness(process);
}

static int64_t
witness_awake(void *arg, char boot[BOOT_MAX])
{
	(void)arg;
	if (clock_boot_name(boot) != OK)
		boot[0] = '\0';
	return clock_awake_ms();
}

struct witness
diagnose_witness(char *folder)
{
	return (struct witness){witness_anchor, witness_process, witness_awake, folder};
}
