/*
 * Tractatus' history file while many processes add instructions, each of which exports it, and while a program that knows
 * nothing of Stile reads it, or reads, changes and writes it.
 *
 * The anomalies refuted:
 *   - a reader finds the file empty or half, because it was truncated and then written (R55);
 *   - an export that read the store first and wrote last puts an older epoch over a newer one (R128);
 *   - a program reads the file, Stile replaces it, the program writes what it had read and one entry more: Stile's newer entries
 *     are gone; or it writes into the file that was swapped out, and its own entry is (R56, the seed's 13.3).
 *
 * Time limit: 600 s
 */
#include "lib/codebase.h"
#include "lib/crowd.h"
#include "lib/test.h"

#include "base/str.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#define ADDERS 16
#define FILE_BYTES ((size_t)16 << 20)

struct shared {
	atomic_uint working; /* adders that are not done yet */
	unsigned reads;
	unsigned broken; /* reads that were no whole history */
	unsigned back;   /* reads whose epoch was older than the one before */
	unsigned failed; /* exports that were told to have failed */
	unsigned wrote;  /* entries that the outsider added */
};

struct scene {
	struct codebase codebase;
	char *path;
	unsigned rounds;
	struct shared *shared;
	int (*outsider)(struct scene *scene);
};

/* As fs.readFileSync does: open, read to the end.  NULL when it is no whole JSON object. */
static json_t *
read_history(const char *path)
{
	char *text = malloc(FILE_BYTES);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got;
	json_t *document = NULL;

	while (fd >= 0 && text != NULL && (got = read(fd, text + len, FILE_BYTES - len)) > 0)
		len += (size_t)got;
	if (fd >= 0)
		close(fd);
	if (text != NULL)
		document = json_loadb(text, len, 0, NULL);
	free(text);
	return document;
}

static int
reads(struct scene *scene)
{
	json_int_t last = 0;

	while (atomic_load(&scene->shared->working) > 0) {
		json_t *document = read_history(scene->path);
		json_int_t epoch = json_integer_value(json_object_get(json_object_get(document, "stile"), "epoch"));

		scene->shared->reads++;
		scene->shared->broken += !json_is_array(json_object_get(document, "instructions"));
		scene->shared->back += epoch < last;
		last = epoch;
		json_decref(document);
	}
	return 0;
}

/* As fs.writeFileSync does: truncated, then written, in two parts so that whoever looks between them sees half. */
static bool
write_in_place(const char *path, const json_t *document)
{
	struct buf text;
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	size_t half;
	bool well;

	buf_init(&text, FILE_BYTES);
	json_write(&text, document);
	half = text.len / 2;
	well = fd >= 0 && buf_status(&text) == OK && write(fd, text.data, half) == (ssize_t)half &&
	       write(fd, text.data + half, text.len - half) == (ssize_t)(text.len - half);
	if (fd >= 0)
		close(fd);
	buf_release(&text);
	return well;
}

static int
edits(struct scene *scene)
{
	bool well = true;

	/* what it adds makes the file longer, and so all of it slower */
	while (atomic_load(&scene->shared->working) > 0 && well && scene->shared->wrote < ADDERS * scene->rounds * 4) {
		json_t *document = read_history(scene->path);
		char id[40];

		snprintf(id, sizeof id, "outside-%u", scene->shared->wrote);
		json_array_append_new(json_object_get(document, "instructions"), json_pack("{ss ss}", "id", id, "text", id));
		well = write_in_place(scene->path, document);
		scene->shared->wrote += well;
		json_decref(document);
	}
	return well ? 0 : 3;
}

static int
adds(const struct member *member, struct scene *scene)
{
	struct stile *resident = codebase_resident(&scene->codebase);
	bool well = crowd_together(member);

	for (unsigned i = 0; i < scene->rounds && well; i++) {
		json_t *document = NULL;

		well = resident_call(resident, &document, "instruction add", "{\"text\":\"%u of %u\"}", i, member->index) == STILE_OK;
		scene->shared->failed += json_object_get(document, "export_failed") != NULL;
		json_decref(document);
	}
	stile_close(resident);
	atomic_fetch_sub(&scene->shared->working, 1);
	return well ? 0 : 2;
}

static int
takes_part(const struct member *member)
{
	struct scene *scene = member->arg;

	if (member->index < ADDERS)
		return adds(member, scene);
	return crowd_together(member) ? scene->outsider(scene) : 4;
}

static void
run(struct scene *scene, int (*outsider)(struct scene *scene))
{
	struct said said;

	codebase_make(&scene->codebase);
	scene->path = scratch_path(scene->codebase.folder, ".claude/instruction-history.json");
	scene->shared = scratch_shared(sizeof *scene->shared);
	scene->rounds = share_is_full() ? 16 : 4;
	scene->outsider = outsider;
	atomic_store(&scene->shared->working, ADDERS);
	codebase_run(&scene->codebase, &said, "export", "tractatus", ".", "--continuous");
	assert_int_equal(said.status, 0);
	assert_true(crowd_run(ADDERS + 1, takes_part, scene));
	codebase_run(&scene->codebase, &said, "export", "tractatus", ".", "--json");
	assert_int_equal(said.status, 0);
}

static void
clean_up(struct scene *scene)
{
	scratch_unshare(scene->shared, sizeof *scene->shared);
	free(scene->path);
	codebase_remove(&scene->codebase);
}

static void
a_reader_never_meets_half_a_file_nor_an_older_epoch(void **state)
{
	struct scene scene;
	json_t *document;

	run(&scene, reads);
	assert_true(scene.shared->reads > 0);
	assert_int_equal(scene.shared->broken, 0);
	assert_int_equal(scene.shared->back, 0);
	assert_int_equal(scene.shared->failed, 0);
	document = read_history(scene.path);
	assert_int_equal(json_array_size(json_object_get(document, "instructions")), ADDERS * scene.rounds);
	json_decref(document);
	clean_up(&scene);
}

static void
an_outsider_who_reads_changes_and_writes_loses_nothing_and_takes_nothing_away(void **state)
{
	struct scene scene;
	json_t *document;
	size_t total;

	run(&scene, edits);
	total = ADDERS * scene.rounds + scene.shared->wrote;
	assert_true(scene.shared->wrote > 0);
	assert_int_equal(codebase_number(&scene.codebase, "SELECT count(*) FROM instruction WHERE current = 1 AND active = $1",
	                                 DB_INT(1)),
	                 total);
	document = read_history(scene.path);
	assert_int_equal(json_array_size(json_object_get(document, "instructions")), total);
	json_decref(document);
	assert_true(codebase_is_whole(&scene.codebase));
	clean_up(&scene);
}

TESTS(cmocka_unit_test(a_reader_never_meets_half_a_file_nor_an_older_epoch),
      cmocka_unit_test(an_outsider_who_reads_changes_and_writes_loses_nothing_and_takes_nothing_away))
