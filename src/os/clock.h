/*
 * The machine's clocks.  Only the engine and the fronts read them; core is handed instants.
 */
#ifndef OS_CLOCK_H
#define OS_CLOCK_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Milliseconds since 1970 by the wall clock, which people and NTP may move. */
int64_t clock_wall_ms(void);

/* Milliseconds since the boot, suspend included; never goes back within one boot and time namespace. */
int64_t clock_boot_ms(void);

/* The same, but it stops while the machine sleeps. */
int64_t clock_awake_ms(void);

#define BOOT_MAX 80

/*
 * The name of this boot and time namespace: clock_boot_ms of two processes can be compared if and only if it is the same.
 * IO_FAILED when /proc is not there.
 */
enum status clock_boot_name(char out[BOOT_MAX]) MUST_CHECK;

#endif
