/* Functions that have a safer neighbour do not compile.  Included by every source file, through the compiler's command line. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets system popen tmpnam mktemp gmtime localtime \
	ctime asctime atoi atol atoll

#endif
