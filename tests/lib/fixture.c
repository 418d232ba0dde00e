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
	char *path;
	FILE *file;

	if (asprintf(&path, "%s/fixtures/%s", folder, name) < 0)
		give_up(name);
	file = fopen(path, "rb");
	free(path);
	return file;
}

char *
fixture_read(const char *name, size_t *len)
{
	FILE *file = open_in("tests", name);

	if (file == NULL)
		give_up(name);
	return read_all(file, len);
}

char *
fixture_read_shared(const char *name, size_t *len)
{
	const char *shared = getenv("STILE_SHARED");
	FILE *file = open_in(shared == NULL ? "../shared" : shared, name);

	return file == NULL ? NULL : read_all(file, len);
}
