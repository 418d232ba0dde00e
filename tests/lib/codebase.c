#include "lib/codebase.h"

#include "lib/store.h"

#include "db/postgres.h"
#include "db/sqlite.h"
#include "library.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MAX 24

static _Noreturn void
give_up(const char *what, const char *why)
{
	fprintf(stderr, "codebase: %s: %s\n", what, why);
	abort();
}

/* Stands in for the library's own, which has the embedded engine alone. */
enum status
library_open_store(const struct store_address *address, bool make, struct db **out, struct buf *why)
{
	struct sqlite_options embedded = {.folder = address->folder, .file = address->file, .make = make};
	struct postgres_options team = {.url = address->url, .name = address->file, .project = address->project, .make = make};

	return address->url[0] == '\0' ? sqlite_open(&embedded, out, why) : postgres_open(&team, out, why);
}

/* The program stands beside this one. */
static char *
find_program(void)
{
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof path - 16);
	char *slash, *program;

	if (len <= 0)
		give_up("/proc/self/exe", strerror(errno));
	path[len] = '\0';
	slash = strrchr(path, '/');
	memcpy(slash, "/stile", 7);
	program = strdup(path);
	if (program == NULL || access(program, X_OK) != 0)
		give_up(path, strerror(errno));
	return program;
}

void
codebase_make_bare(struct codebase *codebase)
{
	static const char *const others[] = {"STILE_SESSION", "STILE_STORE", "CLAUDE_PROJECT_DIR", "CLAUDE_ENV_FILE"};

	/* nothing of whoever runs the tests */
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		unsetenv(others[i]);
	*codebase = (struct codebase){.folder = scratch_folder(), .program = find_program()};
	codebase->store = scratch_path(codebase->folder, ".stile");
	codebase->file = scratch_path(codebase->store, "stile.db");
}

void
codebase_make(struct codebase *codebase)
{
	codebase_make_bare(codebase);
	if (mkdir(codebase->store, 0700) != 0)
		give_up(codebase->store, strerror(errno));
	contract_close(contract_store(contract_now, codebase->store));
	contract_name(contract_now, codebase->store);
}

void
codebase_configure(const struct codebase *codebase, const char *text)
{
	char *home = scratch_path(codebase->folder, "settings"), *folder = scratch_path(home, "stile");
	char *path = scratch_path(folder, "config");
	FILE *file;

	if (mkdir(home, 0700) != 0 || mkdir(folder, 0700) != 0 || (file = fopen(path, "w")) == NULL)
		give_up(path, strerror(errno));
	if (fputs(text, file) < 0 || fclose(file) != 0)
		give_up(path, strerror(errno));
	setenv("XDG_CONFIG_HOME", home, 1);
	free(path);
	free(folder);
	free(home);
}

void
codebase_remove(struct codebase *codebase)
{
	free(codebase->program);
	free(codebase->store);
	free(codebase->file);
	scratch_remove(codebase->folder);
}

struct launch {
	const struct codebase *codebase;
	const char *const *words;
	int in;
	int out;
	int err;
};

static int
launch(void *arg)
{
	const struct launch *launch = arg;
	const struct codebase *codebase = launch->codebase;
	const char *argv[WORDS_MAX + 2] = {"stile"};

	for (size_t i = 0; i < WORDS_MAX && launch->words[i] != NULL; i++)
		argv[i + 1] = launch->words[i];
	for (size_t i = 0; i < 4 && codebase->env[i] != NULL; i++)
		putenv((char *)(uintptr_t)codebase->env[i]);
	if (dup2(launch->in, 0) < 0 || dup2(launch->out, 1) < 0 || dup2(launch->err, 2) < 0 || chdir(codebase->folder) != 0)
		return 126;
	execv(codebase->program, (char *const *)(uintptr_t)argv);
	return 127;
}

static int
memory_file(const char *text)
{
	int fd = memfd_create("said", MFD_CLOEXEC);
	size_t len = text == NULL ? 0 : strlen(text);

	if (fd < 0 || pwrite(fd, text == NULL ? "" : text, len, 0) != (ssize_t)len)
		give_up("memfd", strerror(errno));
	return fd;
}

void
codebase_start(const struct codebase *codebase, struct running *running, const char *const *words)
{
	struct launch ask = {.codebase = codebase, .words = words, .in = memory_file(codebase->input)};

	ask.out = running->out = memory_file(NULL);
	ask.err = running->err = memory_file(NULL);
	scratch_spawn(&running->child, launch, &ask);
	close(ask.in);
}

static void
read_back(int fd, char *out, size_t size)
{
	ssize_t len = pread(fd, out, size - 1, 0);

	if (len < 0 || (size_t)len == size - 1)
		give_up("output", len < 0 ? strerror(errno) : "too long");
	out[len] = '\0';
	close(fd);
}

void
codebase_finish(struct running *running, struct said *said)
{
	said->status = scratch_wait(&running->child, CODEBASE_LIMIT_MS);
	read_back(running->out, said->out, sizeof said->out);
	read_back(running->err, said->err, sizeof said->err);
	/* as tests/run sets it: a status that none of our outcomes has */
	if (said->status == 99)
		give_up("a sanitizer found something", said->err);
}

void
codebase_run_words(const struct codebase *codebase, struct said *said, const char *const *words)
{
	struct running running;

	codebase_start(codebase, &running, words);
	codebase_finish(&running, said);
}

json_t *
said_document(const struct said *said)
{
	return json_loads(said->out, 0, NULL);
}

bool
said_one_line(const struct said *said, int status)
{
	const char *newline = strchr(said->err, '\n');
	bool one = said->status == status && said->out[0] == '\0' && strncmp(said->err, "stile: ", 7) == 0 && newline != NULL &&
	           newline[1] == '\0';

	if (!one)
		fprintf(stderr, "not one line with status %d: status %d, out \"%s\", err \"%s\"\n", status, said->status, said->out,
		        said->err);
	return one;
}

struct stile *
codebase_resident(const struct codebase *codebase)
{
	struct stile *resident;
	char why[1024];

	if (stile_open(codebase->folder, &resident, why, sizeof why) != STILE_OK)
		give_up(codebase->folder, why);
	return resident;
}

enum stile_status
resident_call(struct stile *resident, json_t **document, const char *verb, const char *format, ...)
{
	const char *result;
	char parameters[8192];
	enum stile_status status;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(parameters, sizeof parameters, format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof parameters)
		give_up(verb, "the parameters are too long");
	status = stile_call(resident, verb, parameters, &result);
	if (document != NULL)
		*document = json_loads(result, 0, NULL);
	return status;
}

void
resident_start(struct stile *resident, const char *client_session, char id[ID_SIZE])
{
	json_t *document;

	*id = '\0';
	if (resident_call(resident, &document, "session start", "{\"client\":\"claude\",\"client_session\":\"%s\"}",
	                  client_session) == STILE_OK)
		snprintf(id, ID_SIZE, "%s", json_text(document, "session", ""));
	json_decref(document);
}

int64_t
codebase_number_of(const struct codebase *codebase, const char *sql, const struct db_value *args, size_t count)
{
	struct db *db = contract_store(contract_now, codebase->store);
	int64_t number = store_number_of(db, sql, args, count);

	contract_close(db);
	return number;
}

bool
codebase_is_whole(const struct codebase *codebase)
{
	struct db *db = contract_store(contract_now, codebase->store);
	bool whole = store_is_whole(db);

	contract_close(db);
	return whole;
}

bool
share_is_full(void)
{
	const char *share = getenv("STILE_SHARE");

	return share != NULL && strcmp(share, "full") == 0;
}
