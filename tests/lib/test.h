/*
 * What every C test includes.  cmocka, with the headers that it wants before it, and its usual end:
 *
 *	TESTS(cmocka_unit_test(the_second_session_is_refused), ...)
 */
#ifndef LIB_TEST_H
#define LIB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Begins as our program does. */
void test_begin(void);

#define TESTS(...) \
	int main(void) \
	{ \
		const struct CMUnitTest tests[] = {__VA_ARGS__}; \
		test_begin(); \
		return cmocka_run_group_tests(tests, NULL, NULL); \
	}

#endif
