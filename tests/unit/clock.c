/* The machine's clocks: the boot's never goes back, and its name tells whose it is.  The store's own clock is in sqlite.c. */
#include "lib/scratch.h"
#include "lib/test.h"

#include "base/str.h"
#include "os/clock.h"

static void
the_boots_clock_never_goes_back(void **state)
{
	int64_t last = clock_boot_ms();

	assert_true(last > 0);
	for (int i = 0; i < 100000; i++) {
		int64_t now = clock_boot_ms();

		assert_true(now >= last);
		last = now;
	}
}

static void
the_wall_clock_is_in_milliseconds_since_1970(void **state)
{
	time_t seconds = time(NULL);
	int64_t ms = clock_wall_ms();

	assert_true(ms / 1000 >= seconds && ms / 1000 <= seconds + 60);
}

static int
says_the_same(void *arg)
{
	char boot[BOOT_MAX];

	return clock_boot_name(boot) == OK && str_equal(boot, arg) ? 0 : 1;
}

static void
the_boot_has_one_name_for_every_process(void **state)
{
	char boot[BOOT_MAX], again[BOOT_MAX];
	struct scratch_child child;

	assert_int_equal(clock_boot_name(boot), OK);
	assert_int_equal(clock_boot_name(again), OK);
	assert_string_equal(boot, again);
	/* a UUID, then the time namespace */
	assert_int_equal(strcspn(boot, "."), 36);
	assert_true(strspn(boot + 37, "0123456789") == strlen(boot + 37) && boot[37] != '\0');
	scratch_spawn(&child, says_the_same, boot);
	assert_int_equal(scratch_wait(&child, 20000), 0);
}

TESTS(cmocka_unit_test(the_boots_clock_never_goes_back), cmocka_unit_test(the_wall_clock_is_in_milliseconds_since_1970),
      cmocka_unit_test(the_boot_has_one_name_for_every_process))
