#include "os/git_index.h"

#include <stdint.h>
#include <string.h>

#define HEAD_SIZE 12
#define STAT_SIZE 40
#define EXTENDED 0x4000
#define NAME_LIMIT 8192

struct reader {
	const uint8_t *at;
	const uint8_t *end;
	size_t id_size;
	uint32_t version;
	char name[NAME_LIMIT]; /* of the last entry: version 4 gives the next one by what differs */
	size_t len;
};

static uint32_t
number(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* How many bytes of the last name go: seven bits a byte, the most significant first, each further byte counting one more. */
static bool
read_dropped(struct reader *reader, size_t *out)
{
	size_t value = 0;

	for (size_t i = 0; i < 4 && reader->at < reader->end; i++) {
		uint8_t byte = *reader->at++;

		value = (i == 0 ? 0 : (value + 1) << 7) | (byte & 0x7f);
		if ((byte & 0x80) == 0) {
			*out = value;
			return true;
		}
	}
	return false;
}

/* The name at `at`, and past its end and what fills it up. */
static bool
read_name(struct reader *reader, const uint8_t *entry)
{
	const uint8_t *zero;
	size_t dropped = reader->len, kept;

	if (reader->version == 4 && (!read_dropped(reader, &dropped) || dropped > reader->len))
		return false;
	kept = reader->len - dropped;
	zero = memchr(reader->at, '\0', (size_t)(reader->end - reader->at));
	if (zero == NULL || (size_t)(zero - reader->at) >= sizeof reader->name - kept)
		return false;
	reader->len = kept + (size_t)(zero - reader->at);
	memcpy(reader->name + kept, reader->at, reader->len - kept + 1);
	reader->at = zero + 1;
	if (reader->version < 4) {
		size_t filled = ((size_t)(zero - entry) + 8) & ~(size_t)7;

		if (filled > (size_t)(reader->end - entry))
			return false;
		reader->at = entry + filled;
	}
	return true;
}

static bool
read_entry(struct reader *reader)
{
	const uint8_t *entry = reader->at;
	size_t fixed = STAT_SIZE + reader->id_size + 2;

	if ((size_t)(reader->end - entry) < fixed + 2)
		return false;
	if (reader->version > 2 && (entry[fixed - 2] << 8 & EXTENDED) != 0)
		fixed += 2;
	reader->at = entry + fixed;
	return read_name(reader, entry);
}

bool
git_index_has(const void *data, size_t len, size_t id_size, const char *path)
{
	struct reader reader;
	bool found = false;
	uint32_t count;

	if (len < HEAD_SIZE || memcmp(data, "DIRC", 4) != 0)
		return false;
	reader.at = data;
	reader.end = reader.at + len;
	reader.id_size = id_size;
	reader.len = 0;
	reader.version = number(reader.at + 4);
	count = number(reader.at + 8);
	reader.at += HEAD_SIZE;
	if (reader.version < 2 || reader.version > 4)
		return false;
	for (uint32_t i = 0; i < count && !found && read_entry(&reader); i++)
		found = strcmp(reader.name, path) == 0;
	return found;
}
