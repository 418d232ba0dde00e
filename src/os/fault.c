#include "os/fault.h"

#ifdef STILE_FAULTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* The one that is awaited; it is behind us once it came. */
static const char *
awaited(const char *behind)
{
	const char *all = getenv("STILE_FAULT");

	return behind == NULL ? all : strchr(behind, ',') == NULL ? NULL : strchr(behind, ',') + 1;
}

void
fault_point(const char *name)
{
	static const char *behind;
	static int seen;
	const char *wanted = awaited(behind);
	size_t len = strlen(name);
	int at = 1;

	if (wanted == NULL || strncmp(wanted, name, len) != 0)
		return;
	if (wanted[len] == ':')
		at = (int)strtol(wanted + len + 1, NULL, 10);
	if (++seen != at)
		return;
	seen = 0;
	behind = wanted;
	raise(strncmp(wanted + strcspn(wanted, "!,"), "!stop", 5) == 0 ? SIGSTOP : SIGKILL);
}

int64_t
fault_file_system(int64_t found)
{
	const char *given = getenv("STILE_FAULT_FILE_SYSTEM");

	return given == NULL ? found : strtoll(given, NULL, 0);
}
#endif
