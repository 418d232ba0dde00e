#include "lib/fixture.h"

#include <errno.h>

static _Noreturn void
give_up(const char *what)
{
	fprintf(stderr, "fixture: %s: %s\n", what, strerror(errno));
	abort();
}

static char *
read_all(FILE *file, size_t *len)
{
	size_t size;
	char *data;

	if (fseek(file, 0, SEEK_END) != 0 || ftell(file) < 0)
		give_up("seek");
	size = (size_t)ftell(file);
	rewind(file);
	data = malloc(size + 1);
	if (data == NULL || fread(data, 1, size, file) != size)
		give_up("read");
	fclose(file);
	data[size] = '\0';
	*len = size;
	return data;
}

static FILE *
open_in(const char *folder, const char *name)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return fopen(path, "rb");
}

char *
fixture_read(const char *name, size_t *len)
{
	FILE *file = open_in("tests/fixtures", name);

	if (file == NULL)
		give_up(name);
	return read_all(file, len);
}

char *
fixture_read_shared(const char *name, size_t *len)
{
	const char *shared = getenv("STILE_SHARED");
	char folder[4096];
	FILE *file;

	snprintf(folder, sizeof folder, "%s/fixtures", shared == NULL ? "../shared" : shared);
	file = open_in(folder, name);
	return file == NULL ? NULL : read_all(file, len);
}
