/*
 * A path is found in git's index as git wrote it, in each of its versions; whatever is cut or wrong is no index of that path.
 *
 * Rows: N15
 */
#include "lib/test.h"

#include "os/git_index.h"

#include <string.h>

#define ID_SIZE_MAX 32

struct index {
	unsigned char bytes[4096];
	size_t len;
	unsigned version;
	size_t id_size;
};

static void
put(struct index *index, const void *bytes, size_t len)
{
	assert_true(index->len + len <= sizeof index->bytes);
	memcpy(index->bytes + index->len, bytes, len);
	index->len += len;
}

static void
begin(struct index *index, unsigned version, size_t id_size, unsigned count)
{
	unsigned char head[12] = {'D', 'I', 'R', 'C', 0, 0, 0, (unsigned char)version, 0, 0, 0, (unsigned char)count};

	*index = (struct index){.version = version, .id_size = id_size};
	put(index, head, sizeof head);
}

/* `dropped` bytes of the name before go (version 4 alone). */
static void
entry(struct index *index, bool extended, unsigned char dropped, const char *name)
{
	unsigned char fixed[40 + ID_SIZE_MAX + 2] = {0}, zeros[8] = {0};
	size_t from = index->len;

	/* what is not looked at may hold anything */
	memset(fixed, 0x2f, sizeof fixed);
	fixed[40 + index->id_size] = extended ? 0x40 : 0;
	put(index, fixed, 40 + index->id_size + 2);
	if (extended)
		put(index, zeros, 2);
	if (index->version == 4)
		put(index, &dropped, 1);
	put(index, name, strlen(name));
	put(index, zeros, index->version == 4 ? 1 : 8 - (index->len - from) % 8);
}

static bool
has(const struct index *index, size_t len, const char *path)
{
	/* exactly as long, so that the sanitizer sees a look past the end */
	unsigned char *copy = malloc(len == 0 ? 1 : len);
	bool found;

	memcpy(copy, index->bytes, len);
	found = git_index_has(copy, len, index->id_size, path);
	free(copy);
	return found;
}

static void
fill(struct index *index, unsigned version, size_t id_size)
{
	begin(index, version, id_size, 4);
	entry(index, false, 0, ".claude/a");
	entry(index, version > 2, version == 4 ? 1 : 0, version == 4 ? "settings.json" : ".claude/settings.json");
	entry(index, false, version == 4 ? 4 : 0, version == 4 ? "local.json" : ".claude/settings.local.json");
	entry(index, false, version == 4 ? 27 : 0, "z");
}

static void
a_path_is_found_in_every_version(void **state)
{
	struct index index;

	for (unsigned version = 2; version <= 4; version++)
		for (size_t id_size = GIT_SHA1_SIZE; id_size <= GIT_SHA256_SIZE; id_size += GIT_SHA256_SIZE - GIT_SHA1_SIZE) {
			fill(&index, version, id_size);
			assert_true(has(&index, index.len, ".claude/settings.json"));
			assert_true(has(&index, index.len, ".claude/settings.local.json"));
			assert_true(has(&index, index.len, "z"));
			assert_false(has(&index, index.len, "settings.local.json"));
			assert_false(has(&index, index.len, ".claude/settings.local.jso"));
			assert_false(has(&index, index.len, ""));
		}
}

static void
what_is_cut_or_of_another_kind_has_nothing(void **state)
{
	struct index index;

	for (unsigned version = 2; version <= 4; version++) {
		fill(&index, version, GIT_SHA1_SIZE);
		for (size_t len = 0; len < index.len; len++)
			assert_false(has(&index, len, "z"));
		index.bytes[7] = 5;
		assert_false(has(&index, index.len, "z"));
		index.bytes[7] = (unsigned char)version;
		index.bytes[0] = 'X';
		assert_false(has(&index, index.len, "z"));
	}
	/* more of the name before goes than there was, and a count that never ends */
	begin(&index, 4, GIT_SHA1_SIZE, 1);
	entry(&index, false, 1, "z");
	assert_false(has(&index, index.len, "z"));
	begin(&index, 4, GIT_SHA1_SIZE, 1);
	entry(&index, false, 0xff, "\xff\xff\xff\xff");
	assert_false(has(&index, index.len, "\xff\xff\xff\xff"));
}

TESTS(cmocka_unit_test(a_path_is_found_in_every_version), cmocka_unit_test(what_is_cut_or_of_another_kind_has_nothing))
