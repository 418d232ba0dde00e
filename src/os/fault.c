#include "os/fault.h"

#ifdef STILE_FAULTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>

void
fault_point(const char *name)
{
	static int seen;
	const char *wanted = getenv("STILE_FAULT");
	size_t len = strlen(name);
	int at = 1;

	if (wanted == NULL || strncmp(wanted, name, len) != 0)
		return;
	if (wanted[len] == ':')
		at = (int)strtol(wanted + len + 1, NULL, 10);
	if (++seen == at)
		raise(strstr(wanted, "!stop") != NULL ? SIGSTOP : SIGKILL);
}

int64_t
fault_file_system(int64_t found)
{
	const char *given = getenv("STILE_FAULT_FILE_SYSTEM");

	return given == NULL ? found : strtoll(given, NULL, 0);
}
#endif
