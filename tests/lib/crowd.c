#include "lib/crowd.h"

#include <stdio.h>
#include <stdlib.h>

#define FOR_EVER_MS 100000000

struct one {
	struct member member;
	int (*run)(const struct member *member);
	struct scratch_child child;
};

bool
crowd_together(const struct member *member)
{
	return scratch_barrier_meet(member->barrier, CROWD_MEET_MS);
}

static int
run_one(void *arg)
{
	struct one *one = arg;

	return one->run(&one->member);
}

bool
crowd_run(unsigned count, int (*run)(const struct member *member), void *arg)
{
	struct scratch_barrier *barrier = scratch_barrier_new(count);
	struct one *all = calloc(count, sizeof *all);
	bool well = true;

	if (all == NULL)
		abort();
	for (unsigned i = 0; i < count; i++) {
		all[i] = (struct one){.member = {.index = i, .count = count, .arg = arg, .barrier = barrier}, .run = run};
		scratch_spawn(&all[i].child, run_one, &all[i]);
	}
	for (unsigned i = 0; i < count; i++) {
		int status = scratch_wait(&all[i].child, FOR_EVER_MS);

		if (status != 0)
			fprintf(stderr, "crowd: member %u of %u ended with %d\n", i, count, status);
		well = well && status == 0;
	}
	free(all);
	scratch_barrier_free(barrier);
	return well;
}
